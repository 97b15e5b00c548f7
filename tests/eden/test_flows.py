"""
    All mail that Eden itself sends, in the browser, with relays in each
    condition
"""

import re
import time

from collections import Counter

import pytest

from support.site import eventually
from support.visitor import SECRET

from .host import ADMIN
from .visitor import EdenVisitor

SENDER = "Shelter <shelter@example.org>"
APPROVER = "useradmin@example.org"

# What the relay is like, and what the admin's log says of it
CONDITIONS = {"working": None,
              "dead": "refused",
              "silent": "timed out|time-out",
              "unconfigured": "No sender configured",
              }

# Nothing that a visitor should ever read
SMTP_TEXT = re.compile("smtp|errno|refused|timed out|time-out|unable to send|failed to send|"
                       "not.* sent|error sending|queue", re.I)

# Longest time for a page (seconds); the longest wait for a reply of the relay
# (seconds), which a request that waits for SMTP would take
AT_ONCE = 5
PATIENCE = 30

# Who is to approve, and whom to write to
PEOPLE = """
def user(name, language):
    user_id = db.auth_user.insert(first_name=name, last_name="Example", language=language,
                                  email=name + "@example.org",
                                  password=db.auth_user.password.validate("a long secret")[0])
    auth.s3_link_user(db.auth_user[user_id])
    db(db.auth_user.id == user_id).update(registration_key="")
    return user_id

def entity(tablename, **values):
    record = {"id": s3db[tablename].insert(**values)}
    s3db.update_super(s3db[tablename], record)
    return record

auth.override = True
auth.s3_create_role("Approvers", "", uid="APPROVERS")
for name, language in (("english", "en"), ("french", "fr"), ("spanish", "es")):
    auth.s3_assign_role(user(name, language), "APPROVERS")
organisation = entity("org_organisation", name="Relief")
s3db.auth_organisation.insert(organisation_id=organisation["id"], domain="relief.example.org",
                              approver="relief@example.org")
group = entity("pr_group", name="Helpers", group_type=3)
for name in ("anne", "bob"):
    person = entity("pr_person", first_name=name, last_name="Example")
    s3db.pr_contact.insert(pe_id=person["pe_id"], contact_method="EMAIL",
                           value=name + "@example.org")
    s3db.pr_group_membership.insert(group_id=group["id"], person_id=person["id"])
print(person["pe_id"], group["pe_id"], "max_failed_logins" in str(type(settings).__dict__))
"""

# =============================================================================
@pytest.fixture(scope="module")
def town(eden, engine):
    """ A site with MailS3, served, with people in it """

    with eden.site(engine) as site:
        configure(site)
        site.install()
        person, group, locks = site.shell(PEOPLE).split()
        site.person, site.group, site.locks = int(person), int(group), locks == "True"
        site.serve()
        public_url(site)
        yield site

@pytest.fixture
def site(town):
    """ That site, with nothing queued, and nobody at work """

    yield town
    for process in town.processes[1:]:
        town.stop(process, grace=0)
    for table in ("scheduler_worker", "mails3_delivery", "mails3_message", "msg_outbox",
                  "mails3_incident"):
        town.sql("DELETE FROM %s" % table)
    # What the killed worker was running: the next one would find that by the row
    # of its worker, which is gone
    town.sql("UPDATE scheduler_task SET status = 'QUEUED', assigned_worker_name = '' "
             "WHERE status IN ('ASSIGNED', 'RUNNING')")
    town.sql("UPDATE mails3_channel SET status = 'closed', reason = NULL")

# -----------------------------------------------------------------------------
def configure(site):
    """ What an admin has set """

    site.configure(mail = {"tls": False,
                           "reply_timeout": PATIENCE,
                           "drain_interval": 5,
                           "approver": APPROVER,
                           },
                   msg = {"max_send_retries": None},
                   auth = {"failed_login_lock_timeout": 300},
                   )

def public_url(site):
    """ The links in mails lead to the site """

    site.configure(base={"public_url": site.url.rpartition("/")[0]})

def break_down(site, relay, condition):
    """ Bring the relay, or the site, into a condition """

    site.configure(mail = {"server": relay.address,
                           "sender": None if condition == "unconfigured" else SENDER,
                           })
    if condition == "dead":
        relay.stop()
    elif condition == "silent":
        relay.silence("CONNECT")

def repair(site, relay):
    """ What an admin does then """

    relay.stop()
    relay.reset()
    relay.start()
    site.configure(mail={"sender": SENDER})
    # Else it is looked after at an interval
    site.sql("UPDATE mails3_channel SET probe_on = tripped_on")

def logged(site, since):
    """ What the processes have said, after so many characters of each log """

    return "".join(path.read_text(errors="replace")[since.get(path, 0):]
                   for path in site.logs.iterdir())

# =============================================================================
class Crowd:
    """ The visitors of a site, and the mail that they are to get """

    def __init__(self, site, relay, prefix):

        self.site = site
        self.relay = relay
        self.prefix = prefix
        self.expected = Counter() # by address
        self.slowest = 0
        self.admin = EdenVisitor(site)
        self.admin.log_in(*ADMIN)

    # -------------------------------------------------------------------------
    def address(self, name, domain="example.org"):

        return "%s-%s@%s" % (self.prefix, name, domain)

    def expect(self, *addresses):

        self.expected.update(addresses)

    # -------------------------------------------------------------------------
    def page(self, visitor, action):
        """ Do something that sends mail: the page is as if nothing were wrong """

        start = time.monotonic()
        action(visitor)
        self.slowest = max(self.slowest, time.monotonic() - start)
        for told in visitor.told:
            if not told.startswith("No worker is alive"):
                assert not SMTP_TEXT.search(told), told
        assert self.site.tickets() == []
        return visitor

    # -------------------------------------------------------------------------
    def content(self, address, words=""):
        """ The text of the latest mail to an address, be it queued or sent """

        # It may be on its way
        text = eventually(lambda: next((text for text in self.texts(address)
                                        if words in text), None))
        assert text, "No mail to %s" % address
        return text

    def texts(self, address):

        for mail in reversed(self.relay.mails):
            if address in mail.recipients:
                yield text_of(mail)
        for (body,) in self.site.sql("SELECT body FROM mails3_message WHERE body IS NOT NULL AND"
                                     " head LIKE '%%\"%s\"%%' ORDER BY id DESC" % address):
            yield body.replace("\\n", "\n")

    # -------------------------------------------------------------------------
    def follow(self, address, page):
        """ Somebody opens the link that was mailed; the visitor """

        text = self.content(address, page)
        visitor = EdenVisitor(self.site)
        link = re.search(r"http://\S+%s[\w/?=-]+" % page, text).group()
        code = re.search(r"code is: (\w+)", text)

        def open_it(visitor):
            visitor.open(link)
            if code:
                visitor.fill_in(activation_code=code.group(1))

        return self.page(visitor, open_it)

    # -------------------------------------------------------------------------
    def register(self, address, **auth):
        """ Somebody registers, where Eden is set like that; the visitor """

        self.site.configure(auth={"registration_requires_verification": False,
                                  "registration_requires_approval": True,
                                  **auth})
        return self.page(EdenVisitor(self.site), lambda visitor: visitor.register(address))

    # The flows ---------------------------------------------------------------
    def verify_then_approve(self):
        """ By whom the settings name, by default """

        address = self.address("verified")
        visitor = self.register(address, registration_requires_verification=True)
        assert "verify_email_sent" in visitor.url
        self.expect(address)

        self.follow(address, "verify_email")
        assert self.key(address) == "pending"
        self.expect(APPROVER)

        link = re.search(r"http://\S+/admin/user/\d+", self.content(APPROVER))
        self.page(self.admin, lambda visitor: visitor.open(link.group() + "/approve"))
        assert not self.key(address)
        self.expect(address)
        return address

    def verify_alone(self):
        """ Who has verified their address is in """

        address = self.address("alone")
        self.register(address,
                      registration_requires_verification = True,
                      registration_requires_approval = False,
                      always_notify_approver = False)
        self.expect(address)
        self.site.configure(auth={"always_notify_approver": True})
        return address

    def approvers_of_an_organisation(self):

        address = self.address("relief", "relief.example.org")
        self.register(address)
        assert self.key(address) == "pending"
        self.expect("relief@example.org")

    def group_of_approvers(self):
        """ Each is written to in their own language """

        self.site.configure(mail={"approver": "APPROVERS"})
        address = self.address("many")
        self.register(address)
        self.site.configure(mail={"approver": APPROVER})
        assert self.key(address) == "pending"
        self.expect("english@example.org", "french@example.org", "spanish@example.org")

    def automatic_approval(self):
        """ A welcome, and a notice to the approver """

        address = self.address("welcome")
        visitor = self.register(address, registration_requires_approval=False)
        assert visitor.logged_in
        self.expect(address, APPROVER)
        return address

    def created_by_admin(self):

        address = self.address("created")
        self.page(self.admin, lambda visitor: visitor.fill_in("admin/user/create",
                                                              first_name = "Anne",
                                                              last_name = "Example",
                                                              email = address,
                                                              password = SECRET,
                                                              password_two = SECRET,
                                                              ))
        assert not self.key(address)
        self.expect(address)
        return address

    def ask_for(self, what, address):
        """ A password, or a user name """

        self.page(EdenVisitor(self.site),
                  lambda visitor: visitor.fill_in("default/user/retrieve_%s" % what,
                                                  email = address))
        self.expect(address)

    def lock_out(self, address):
        """ The owner of an account is told of attempts to guess its password """

        self.site.configure(auth={"max_failed_logins": 2})
        for _ in range(2):
            self.page(EdenVisitor(self.site), lambda visitor: visitor.log_in(address, "a guess"))
        self.site.configure(auth={"max_failed_logins": None})
        assert self.key(address) == "failed"
        self.expect(address)

    def compose(self):
        """ To a person, and to a group """

        # Eden offers no choice for a person who has but an address
        for pe_id, choice in ((self.site.person, {}),
                              (self.site.group, {"contact_method": "EMAIL"})):
            if self.site.locks:
                self.page(self.admin,
                          lambda visitor: visitor.fill_in("msg/compose?pe_id=%s" % pe_id,
                                                          subject = "News",
                                                          body = "There is news",
                                                          **choice))
                assert "Check outbox for the message status" in self.admin.told
            else:
                # Sahana Eden's own form can't be opened
                self.site.shell("assert msg.send_by_pe_id(%s, 'News', 'There is news')" % pe_id)
        self.expect("anne@example.org", "bob@example.org", "bob@example.org")

    # -------------------------------------------------------------------------
    def key(self, address):

        return self.site.sql("SELECT registration_key FROM auth_user WHERE email = '%s'"
                             % address)[0][0]

    # -------------------------------------------------------------------------
    def received(self):
        """ Who has got how many mails """

        return Counter(recipient for mail in self.relay.mails for recipient in mail.recipients)

# -----------------------------------------------------------------------------
def text_of(mail):
    """ The text of a mail that the relay has taken """

    parts = [part for part in mail.message.walk() if part.get_content_type() == "text/plain"]
    return parts[0].get_payload(decode=True).decode("utf-8")

# =============================================================================
class TestFlows:
    """ All of Eden's mail, in each condition, with and without a worker """

    @pytest.mark.parametrize("worker", (True, False), ids=("worker", "alone"))
    @pytest.mark.parametrize("condition", CONDITIONS)
    def test_no_visitor_waits_and_all_mail_arrives(self, site, relay, condition, worker):
        """
            Each visitor sees the usual page in time, the log has the reason, and all mail
            leaves once after the repair
        """

        since = {path: len(path.read_text(errors="replace")) for path in site.logs.iterdir()}
        break_down(site, relay, condition)
        if worker:
            site.work()
        crowd = Crowd(site, relay, "%s%d" % (condition, worker))

        verified = crowd.verify_then_approve()
        alone = crowd.verify_alone()
        crowd.approvers_of_an_organisation()
        crowd.group_of_approvers()
        welcome = crowd.automatic_approval()
        created = crowd.created_by_admin()
        crowd.ask_for("password", welcome)
        crowd.ask_for("username", created)
        if site.locks:
            crowd.lock_out(created)
        crowd.compose()

        assert crowd.slowest < AT_ONCE
        total = sum(crowd.expected.values())
        # Those of a group are one row more, until it is expanded
        rows = "SELECT COUNT(*) FROM msg_outbox WHERE address IS NOT NULL"
        if condition == "working":
            assert eventually(lambda: len(relay.mails) >= total, 60), crowd.expected - \
                crowd.received()
        else:
            assert relay.mails == []
            reason = CONDITIONS[condition]
            assert eventually(lambda: re.search("Sending is suspended: .*(%s)" % reason,
                                                logged(site, since)), 60), logged(site, since)
            repair(site, relay)
            if not worker:
                site.work()
            assert eventually(lambda: len(relay.mails) >= total, 90), crowd.expected - \
                crowd.received()
        assert crowd.received() == crowd.expected
        assert eventually(lambda: site.sql(rows + " AND status = 2") == [(total,)])
        assert site.sql("SELECT COUNT(*) FROM msg_outbox WHERE status <> 2") == [(0,)]

        # The mails say what they should, and their links work
        subjects = {mail.recipients[0]: mail.subject for mail in relay.mails}
        assert "Approval Pending" in subjects["english@example.org"]
        assert "en attente" in subjects["french@example.org"]
        assert "Pendiente" in subjects["spanish@example.org"]
        crowd.follow(alone, "verify_email")
        assert not crowd.key(alone)
        for address in (verified, alone):
            visitor = EdenVisitor(site)
            visitor.log_in(address)
            assert visitor.logged_in, visitor.told
        visitor = crowd.follow(welcome, "reset_password")
        visitor.fill_in(new_password="another secret", new_password2="another secret")
        visitor = EdenVisitor(site)
        visitor.log_in(welcome, "another secret")
        assert visitor.logged_in, visitor.told
        assert site.tickets() == []
        print("slowest page %.2f s, %d mails" % (crowd.slowest, total))

    def test_approvers_without_members_delay_nobody(self, site, relay):
        """
            An empty group of approvers delays nobody and lets nobody in, and the admins are
            asked
        """

        site.configure(mail={"server": relay.address, "sender": SENDER, "approver": "NOBODY"})
        crowd = Crowd(site, relay, "orphan")
        address = crowd.address("orphan")
        crowd.register(address, registration_requires_verification=True)

        visitor = crowd.follow(address, "verify_email")
        site.configure(mail={"approver": APPROVER})

        assert not visitor.logged_in
        assert crowd.key(address) == "pending"
        assert address in crowd.content(ADMIN[0])
        assert "There is nobody to approve" in logged(site, {})
        # The next one is as usual
        crowd.register(crowd.address("next"))
        assert crowd.content(APPROVER)

# =============================================================================
class TestFirstUser:
    """ On a new site the first visitor who registers is the admin """

    @pytest.mark.parametrize("condition", ("dead", "unconfigured"))
    def test_the_first_admin_does_not_wait_for_mail(self, eden, engine, relay, condition):
        """ The first admin is logged in although no mail can leave yet """

        with eden.new_site(engine, prepopulate_demo=0) as site:
            assert site.sql("SELECT COUNT(*) FROM auth_user") == [(0,)]
            configure(site)
            site.install()
            break_down(site, relay, condition)
            site.serve()
            visitor = EdenVisitor(site)

            visitor.register("first@example.org")

            assert visitor.logged_in, visitor.told
            assert not any(SMTP_TEXT.search(told) for told in visitor.told
                           if not told.startswith("No worker")), visitor.told
            visitor.visit("mails3")
            assert visitor.url.endswith("mails3")
            repair(site, relay)
            site.work()
            assert eventually(lambda: site.sql("SELECT COUNT(*) FROM msg_outbox"
                                               " WHERE status = 1") == [(0,)], 90)
            # Eden welcomes the first user twice
            assert [mail.recipients for mail in relay.mails] == [["first@example.org"]] * 2
            assert site.tickets() == []

# END =========================================================================
