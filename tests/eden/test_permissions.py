"""
    Access rights: only an admin can read a body or a link of auth's mail in
    Eden
"""

import pytest

from .host import ADMIN, NORMAL_USER
from .visitor import EdenVisitor

PASSWORD = "testing"

# With an organisation, and with nothing but the controller of messages
ORG_ADMIN = ("orgadmin@example.com", PASSWORD)
MESSENGER = ("messenger@example.com", PASSWORD)

USERS = """
def user(email, role, realm):
    user_id = db.auth_user.insert(first_name="Anne", last_name="Example", email=email,
                                  password=db.auth_user.password.validate("%s")[0])
    auth.s3_approve_user(db.auth_user[user_id])
    auth.s3_assign_role(user_id, role, for_pe=realm)

auth.override = True
organisation = s3db.org_organisation
record = {"id": organisation.insert(name="Relief")}
s3db.update_super(organisation, record)
user("%s", "ORG_ADMIN", record["pe_id"])
acl = auth.permission
auth.s3_create_role("Messenger", "", {"c": "msg", "uacl": acl.ALL, "oacl": acl.ALL},
                    {"c": "sync", "uacl": acl.ALL, "oacl": acl.ALL},
                    {"c": "gis", "uacl": acl.ALL, "oacl": acl.ALL}, uid="MESSENGER")
user("%s", "MESSENGER", 0)
""" % (PASSWORD, ORG_ADMIN[0], MESSENGER[0])

# What lists messages, and what may refer to them
MESSAGES = ("msg/outbox", "msg/email_outbox", "msg/message", "msg/inbox", "msg/email_inbox")
OTHERS = ("msg/tag", "msg/search", "msg/sender", "doc/document", "admin/task", "admin/errors",
          "mails3/index", "mails3/mails", "mails3/show/1", "mails3/content/1",
          "mails3/show/2", "mails3/content/2", "mails3/message", "mails3/delivery")

FORMATS = ("", ".s3json", ".json", ".xml", ".csv", ".xls", ".aadata")

OURS = ("mails3_message", "mails3_attachment", "mails3_delivery", "mails3_attempt")

# Where who asks may name a table
TABLES = ("sync/sync.xml?resource=%s",
          "sync/sync.s3json?resource=%s",
          "gis/location/1/export_poi.xml?resources=%s",
          "msg/outbox.xml?components=%s",
          "msg/outbox.xml?references=%s",
          "msg/outbox/1/%s.xml",
          "msg/outbox/options.s3json?component=%s",
          "msg/message/1/%s.s3json",
          "appadmin/select/db?query=db.%s.id>0",
          "default/table/%s.xml",
          )

# =============================================================================
@pytest.fixture(scope="module")
def office(eden):
    """ A site with MailS3 and several kinds of users; mail can't leave """

    with eden.site("sqlite") as site:
        site.configure(mail = {"server": "127.0.0.1:1",
                               "tls": False,
                               "sender": "Shelter <shelter@example.org>",
                               })
        site.install()
        site.shell(USERS)
        site.serve()

        EdenVisitor(site).fill_in("default/user/retrieve_password", email=ADMIN[0])
        key, = site.sql("SELECT reset_password_key FROM auth_user WHERE email = '%s'" % ADMIN[0])[0]
        # The key alone is in auth_user as well, which is Eden's
        site.link = ("reset_password?key=%s" % key).encode()
        yield site

# -----------------------------------------------------------------------------
def read(visitor, path):
    """ What a visitor gets: tuple (status, content) """

    response = visitor.session.get("%s/%s" % (visitor.site.url, path),
                                   allow_redirects = False,
                                   stream = True,
                                   )
    return response.status_code, response.content

# -----------------------------------------------------------------------------
def paths():
    """ All that is tried """

    for page in MESSAGES:
        yield from (page + extension for extension in FORMATS)
        yield from ("%s/%s%s" % (page, record, extension)
                    for record in (1, 2) for extension in ("", ".xml"))
    for page in OTHERS:
        yield from (page, page + ".xml", page + ".s3json")
    for path in TABLES:
        yield from (path.replace("%s", table) for table in OURS)

# -----------------------------------------------------------------------------
def log_in(site, who):
    """ A visitor who has logged in; None = one who has not """

    visitor = EdenVisitor(site)
    if who:
        visitor.log_in(*who)
        assert visitor.logged_in, visitor.reads
    return visitor

# =============================================================================
@pytest.mark.parametrize("policy", (1, 3, 5, 7))
class TestReading:
    """ Nobody can read others' mail, under each kind of Eden's security policies """

    @pytest.mark.parametrize("who", (None, NORMAL_USER, ORG_ADMIN, MESSENGER),
                             ids = ("anonymous", "user", "ORG_ADMIN", "messenger"))
    def test_nobody_reads_a_link(self, office, policy, who):
        """ No page and no interface shows a link of another user's mail """

        office.configure(security={"policy": policy})
        visitor = log_in(office, who)

        answers = {path: read(visitor, path) for path in paths()}

        assert [path for path, (_, content) in answers.items() if office.link in content] == []
        assert not any(b'name="mails3_' in content for _, content in answers.values())
        if who in (ORG_ADMIN, MESSENGER):
            # The pages were there to be read
            assert answers["msg/outbox"][0] == answers["msg/outbox.xml"][0] == 200

    # -------------------------------------------------------------------------
    def test_the_link_is_where_it_was_looked_for(self, office, policy):
        """ The admin can read the link in the places that the other tests search """

        office.configure(security={"policy": policy})
        visitor = log_in(office, ADMIN)

        assert office.link in read(visitor, "sync/sync.xml?resource=mails3_message")[1]

# =============================================================================
@pytest.mark.parametrize("policy", (1, 3, 5, 7))
@pytest.mark.parametrize("who", (ORG_ADMIN, MESSENGER), ids=("ORG_ADMIN", "messenger"))
class TestWriting:
    """ Nobody can redirect a mail that they can't read """

    def test_nobody_redirects_a_mail(self, office, policy, who, relay):
        """ A change of the address in the outbox redirects no mail """

        office.configure(security={"policy": policy}, mail={"server": "127.0.0.1:1"})
        EdenVisitor(office).fill_in("default/user/retrieve_password", email=ADMIN[0])
        visitor = log_in(office, who)
        number, uuid = office.sql("SELECT id, uuid FROM msg_outbox"
                                  " WHERE status = 1 ORDER BY id DESC")[0]

        forge(visitor, "msg/outbox/%s.xml" % number, "msg_outbox", uuid,
              address="eve@example.org")
        # Who may edit the outbox at all, has done it
        changed = office.sql("SELECT address FROM msg_outbox WHERE id = %s" % number)
        assert changed == [("eve@example.org",)]
        office.configure(mail={"server": relay.address})
        office.shell("mail.drain()")

        assert "eve@example.org" not in [recipient for mail in relay.mails
                                         for recipient in mail.recipients]
        assert office.sql("SELECT status FROM msg_outbox WHERE id = %s" % number) == [(4,)]

    # -------------------------------------------------------------------------
    def test_nobody_writes_our_tables(self, office, policy, who):
        """ No interface of Eden that takes a table's name writes our tables """

        office.configure(security={"policy": policy})
        visitor = log_in(office, who)
        before = office.sql("SELECT head, body FROM mails3_message")

        for path in ("sync/sync.xml?resource=mails3_message", "mails3/message.xml",
                     "msg/outbox.xml?components=mails3_message"):
            forge(visitor, path, "mails3_message", "", body="forged")

        assert office.sql("SELECT head, body FROM mails3_message") == before

# -----------------------------------------------------------------------------
def forge(visitor, path, table, uuid, **values):
    """ Write a record by Eden's interface for XML """

    fields = "".join('<data field="%s">%s</data>' % item for item in values.items())
    data = '<s3xml><resource name="%s" uuid="%s">%s</resource></s3xml>' % (table, uuid, fields)
    for method in ("PUT", "POST"):
        visitor.session.request(method, "%s/%s" % (visitor.site.url, path), data=data)

# END =========================================================================
