"""
    Rows in the outbox of a real Eden, and Eden's own methods
"""

import json

from email.header import decode_header, make_header

import pytest

from support.site import eventually

from .host import ADMIN
from .visitor import EdenVisitor

SENDER = "Shelter <shelter@example.org>"

# How Eden's modules write, condensed
WRITERS = """
from io import BytesIO

def entity(tablename, **values):
    record = {"id": s3db[tablename].insert(**values)}
    s3db.update_super(s3db[tablename], record)
    return record

def person(name, *addresses):
    record = entity("pr_person", first_name=name, last_name="Example")
    # The last one comes first
    for priority, address in enumerate(reversed(addresses), 1):
        s3db.pr_contact.insert(pe_id=record["pe_id"], contact_method="EMAIL", value=address,
                               priority=priority)
    return record

def letter(subject, **values):
    record = {"id": s3db.msg_email.insert(subject=subject, body="There is news",
                                          inbound=False)}
    s3db.update_super(s3db.msg_email, record)
    if values:
        s3db.msg_outbox.insert(message_id=record["message_id"], contact_method="EMAIL",
                               **values)
    return record["message_id"]

auth.override = True

def document(name):
    field = s3db.doc_document.file
    return entity("doc_document", name=name, file=field.store(BytesIO(b"content"), name))["id"]
"""

# Each kind of entity that Eden writes to
ENTITIES = WRITERS + """
# The default template does without
settings.modules["deploy"] = settings.modules["hrm"]
settings.base.custom_models = {"deploy": "RMS"} # where Sahana Eden has it

anne = person("anne", "old@example.org", "anne@example.org")
bob = person("bob", "bob@example.org")
left = person("left", "left@example.org")
people = (anne, bob, anne)

group = entity("pr_group", name="Helpers")
forum = entity("pr_forum", name="Forum")
organisation = entity("org_organisation", name="Relief")
event = entity("hrm_training_event", start_date=request.utcnow)
alert = entity("deploy_alert", subject="Alert", body="Alert")
# No more than defined
s3db.table("pr_forum_membership")
staff = [entity("hrm_human_resource", person_id=one["id"],
                organisation_id=organisation["id"])["id"] for one in (anne, bob)]
for one in people:
    s3db.pr_group_membership.insert(group_id=group["id"], person_id=one["id"])
    s3db.pr_forum_membership.insert(forum_id=forum["id"], person_id=one["id"])
    s3db.hrm_training.insert(training_event_id=event["id"], person_id=one["id"])
s3db.pr_group_membership.insert(group_id=group["id"], person_id=left["id"], deleted=True)
for one in staff:
    s3db.deploy_alert_recipient.insert(alert_id=alert["id"], human_resource_id=one)

letter("pr_person", pe_id=anne["pe_id"])
letter("pr_group", pe_id=group["pe_id"])
letter("pr_forum", pe_id=forum["pe_id"])
letter("org_organisation", pe_id=organisation["pe_id"])
letter("hrm_training_event", pe_id=event["pe_id"])
letter("deploy_alert", pe_id=alert["pe_id"])
letter("address", address="address@example.org")
letter("without end", pe_id=bob["pe_id"], retries=None)
"""

# What can't be sent, or not as it was meant
TROUBLES = WRITERS + """
import os
bob = person("bob", "bob@example.org")
removed = document("removed.txt")
stored = s3db.doc_document[removed].file
os.remove(os.path.join(s3db.doc_document.file.retrieve_file_properties(stored)["path"], stored))
withdrawn = document("withdrawn.txt")
db(s3db.doc_document.id == withdrawn).update(deleted=True)
kept = document("B\\u00e9richt-2026.txt")

for subject, documents in (("no file", [removed]), ("withdrawn", [withdrawn, kept])):
    message_id = letter(subject, pe_id=bob["pe_id"])
    for document_id in documents:
        s3db.msg_attachment.insert(message_id=message_id, document_id=document_id)

letter("no contact", pe_id=person("nobody")["pe_id"])
letter("no members", pe_id=entity("org_office", name="Office")["pe_id"])
letter("nobody at all", system_generated=False)
letter("no address", address="nonsense")
gone = person("gone", "gone@example.org")
letter("deleted person", pe_id=gone["pe_id"])
s3db.resource("pr_person", id=gone["id"]).delete()
letter("last", pe_id=bob["pe_id"])
"""

STATES = "SELECT e.subject, o.status, d.reply FROM msg_outbox o" \
         " JOIN msg_email e ON e.message_id = o.message_id" \
         " LEFT JOIN mails3_delivery d ON d.outbox_id = o.id"

# =============================================================================
@pytest.fixture(scope="module")
def station(eden, engine):
    """ A site with MailS3, where nothing is sent before somebody says so """

    with eden.site(engine) as site:
        site.configure(mail={"tls": False, "sender": SENDER, "fallback": False})
        site.install()
        site.serve()
        yield site

@pytest.fixture
def site(station, relay):
    """ That site, with nothing queued """

    station.configure(mail={"server": relay.address})
    yield station
    for table in ("mails3_delivery", "mails3_message", "msg_outbox"):
        station.sql("DELETE FROM %s" % table)
    station.sql("UPDATE mails3_channel SET status = 'closed', retried_on = NULL")

# -----------------------------------------------------------------------------
def received(relay):
    """ Who has got what: dict {subject: sorted addresses} """

    mails = {}
    for mail in relay.mails:
        mails.setdefault(mail.subject, []).extend(mail.recipients)
    return {subject: sorted(addresses) for subject, addresses in mails.items()}

def names(message):
    """ The names of the attachments """

    return [str(make_header(decode_header(part.get_filename())))
            for part in message.walk() if part.get_filename()]

DRAIN = "db.commit()\nmail.drain()\n"

# =============================================================================
class TestRows:
    """ The drain picks up rows that Eden itself has queued """

    def test_each_kind_of_entity_gets_its_mail(self, site, relay):
        """ Each member of each kind of entity gets one mail at their first address """

        site.shell(ENTITIES + DRAIN)

        both = ["anne@example.org", "bob@example.org"]
        assert received(relay) == {"pr_person": ["anne@example.org"],
                                   "pr_group": both,
                                   "pr_forum": both,
                                   "org_organisation": both,
                                   "hrm_training_event": both,
                                   "deploy_alert": both,
                                   "address": ["address@example.org"],
                                   "without end": ["bob@example.org"],
                                   }
        assert site.sql("SELECT COUNT(*) FROM msg_outbox WHERE status <> 2") == [(0,)]
        assert site.sql("SELECT COUNT(*) FROM msg_outbox WHERE system_generated = 'T'") == [(10,)]

    def test_a_rejected_row_stops_no_other(self, site, relay):
        """
            Rows that can't be sent are rejected with the reason, and the rest leaves with its
            documents
        """

        site.shell(TROUBLES + DRAIN)

        assert received(relay) == {"withdrawn": ["bob@example.org"], "last": ["bob@example.org"]}
        mail, = [mail for mail in relay.mails if mail.message["Subject"] == "withdrawn"]
        assert names(mail.message) == ["B\u00e9richt-2026.txt"]
        states = {subject: (status, reply) for subject, status, reply in site.sql(STATES)}
        # Sahana Eden deletes it with the person
        states.setdefault("deleted person", (4, "gone"))
        assert {subject: status for subject, (status, _) in states.items()} == \
            {"withdrawn": 2, "last": 2, "no file": 4, "no contact": 4, "no members": 4,
             "nobody at all": 4, "no address": 4, "deleted person": 4}
        assert all(reply for status, reply in states.values() if status == 4)

# =============================================================================
class TestMethods:
    """ Eden's own methods """

    def test_send_email_takes_all_arguments(self, site, relay):
        """ msg.send_email returns True and sends the mail with all of its arguments """

        print(site.shell("""
attachment = mail.Attachment(__import__("io").BytesIO(b"content"), filename="report.txt")
assert msg.send_email(["anne@example.org", "bob@example.org"], T("News"), T("Today"),
                      attachments=[attachment], cc="cc@example.org", bcc=["bcc@example.org"],
                      reply_to="reply@example.org", sender="Team <team@example.org>",
                      encoding="utf-8") is True
assert msg.send_email("", "News", "Today") is False
assert msg.send_email("nonsense", "News", "Today") is False
""" + DRAIN))

        mail = relay.mails[0].message
        assert sorted(to for mail in relay.mails for to in mail.recipients) == \
            ["anne@example.org", "bcc@example.org", "bob@example.org", "cc@example.org"]
        assert mail["Subject"] == "News"
        assert mail["Reply-To"] == "reply@example.org"
        assert mail["From"] == "Team <team@example.org>"
        assert names(mail) == ["report.txt"]

    def test_messages_to_persons_return_their_id(self, site, relay):
        """ Methods that send to persons return the message's id for a subject of any length """

        told = site.shell(WRITERS + """
one, two = [person(name, name + "@example.org")["pe_id"] for name in ("one", "two")]
paper = document("paper.txt")
ids = [msg.send_by_pe_id([one, two], T("News"), T("Today")),
       msg.send_by_pe_id(one, "S" * 100, "Today", "EMAIL", [paper], SENDER, True),
       msg.send_email_by_pe_id(two, "By the way", "Today", from_address=SENDER)]
print([bool(s3db.msg_message(s3db.msg_message.message_id == one)) for one in ids])
""".replace("SENDER", repr("Team <team@example.org>")) + DRAIN)

        assert told.strip() == "[True, True, True]"
        assert received(relay) == {"News": ["one@example.org", "two@example.org"],
                                   "S" * 78: ["one@example.org"],
                                   "By the way": ["two@example.org"]}
        senders = {mail.message["Subject"]: mail.message["From"] for mail in relay.mails}
        assert senders["News"] == SENDER
        assert senders["S" * 78] == senders["By the way"] == "Team <team@example.org>"

    @pytest.mark.parametrize("dead", (False, True))
    def test_no_visitor_is_told_of_smtp(self, site, relay, dead):
        """ Only the caller sets session.error, also without a worker """

        if dead:
            relay.stop()
        site.configure(mail={"fallback": True})
        told = site.shell(WRITERS + """
session.error = "Somebody else's"
pe_id = person("one", "one@example.org")["pe_id"]
assert msg.send_email("anne@example.org", "News", "Today")
assert session.error == "Somebody else's" and not mail.error
assert msg.send_email("nonsense", "News", "Today") is False
assert session.error == "Somebody else's"
session.error = None
assert msg.send_by_pe_id(pe_id, "News", "Today")
assert not msg.send_email("nonsense", "News", "Today")
print(session.error)
""")
        site.configure(mail={"fallback": False})

        assert told.strip() == "None"
        assert len(relay.mails) == (0 if dead else 2)

    def test_process_outbox_tries_all_unsent_mail(self, site, relay):
        """ process_outbox() tries all unsent mail by msg.send_email, which may be replaced """

        told = site.shell(WRITERS + """
one = person("one", "one@example.org")["pe_id"]
for number in range(3):
    msg.send_by_pe_id(one, "News %s" % number, "Today")
db.commit()
calls = []
msg.send_email = lambda to, subject, *args, **kwargs: calls.append((to, subject))
msg.process_outbox("EMAIL")
msg.send_email = lambda to, subject, *args, **kwargs: calls.append((to, subject)) or True
msg.process_outbox("EMAIL")
print(len(calls), len(set(calls)))
""")

        assert told.strip() == "6 3"
        assert relay.mails == []
        assert site.sql("SELECT status FROM msg_outbox") == [(2,)] * 3

    def test_process_outbox_sends_by_edens_own_method(self, site, relay):
        """ process_outbox() sends by Eden's own msg.send_email """

        site.shell(WRITERS + """
msg.send_by_pe_id(person("one", "one@example.org")["pe_id"], "News", "Today")
db.commit()
msg.process_outbox()
""")

        assert received(relay) == {"News": ["one@example.org"]}

# =============================================================================
class TestPage:
    """ msg/process_email_outbox, a page that each reader of messages can open """

    def test_edens_page_can_not_hammer_the_relay(self, site, relay):
        """ Opening the page often does not try a mail more often than the runs do """

        relay.answer("RCPT", "451 4.3.0 Later")
        site.shell("for number in range(3):\n"
                   "    mail.send('anne@example.org', 'News %s' % number, 'Today')\n")
        admin = EdenVisitor(site)
        admin.log_in(*ADMIN)

        def tried(times=6):
            for _ in range(times):
                admin.visit("msg/process_email_outbox")
            return len([verb for _, verb, _ in relay.commands if verb == "RCPT"])

        assert tried() == 3
        # An hour later, the retry pass that is due, and no second one
        site.sql("UPDATE mails3_delivery SET due_on = '2020-01-01 00:00:00'")
        site.sql("UPDATE mails3_channel SET retried_on = '2020-01-01 00:00:00'")
        assert tried() <= 6
        assert site.tickets() == []

        relay.reset()
        site.sql("UPDATE mails3_delivery SET due_on = '2020-01-01 00:00:00'")
        assert tried() <= 9 and relay.mails == []

# =============================================================================
class TestAdmin:
    """ An admin's changes in Eden's Outbox are seen on our page """

    @pytest.fixture
    def admin(self, site):
        """ Somebody who may do that """

        admin = EdenVisitor(site)
        admin.log_in(*ADMIN)
        return admin

    @staticmethod
    def status(site):
        """ The status on the command line """

        return json.loads(site.shell("from io import StringIO; from argparse import Namespace\n"
                                     "from mails3.admin.console import Console\n"
                                     "out = StringIO()\n"
                                     "Console(mail, 'admin', out).do(Namespace(verb='status', "
                                     "json=True, prometheus=False, quiet=False))\n"
                                     "print(out.getvalue())\n"))

    @pytest.mark.parametrize("tried", [False, True])
    def test_a_deleted_row_is_cancelled(self, site, relay, admin, tried):
        """
            A deleted row of Eden's or ours is not sent, neither listed nor counted, before and
            after a run has tried it
        """

        relay.stop()
        site.shell(WRITERS + """
assert mail.send("anne@example.org", "News", "Today")
assert msg.send_by_pe_id(person("bob", "bob@example.org")["pe_id"], "News", "Today")
""" + (DRAIN if tried else ""))
        numbers = [number for number, in site.sql("SELECT id FROM msg_outbox ORDER BY id")]
        assert len(numbers) == 2

        for number in numbers:
            admin.visit("msg/outbox/%s/delete" % number)
            assert "Message deleted" in admin.reads

        admin.visit("mails3")
        assert "waiting, the oldest" not in admin.reads
        admin.visit("mails3/mails")
        assert "There are no mails." in admin.reads
        for number in numbers:
            admin.visit("mails3/show/%s" % number)
            assert "It is not sent: somebody has deleted it" in admin.reads
            assert "None" not in admin.page.select_one("h1").text
        status = self.status(site)
        assert not any(status["counts"].values()) and status["oldest"] is None

        relay.start()
        site.sql("UPDATE mails3_channel SET probe_on = tripped_on")
        site.shell("mail.drain()\nmail.retry()\nmsg.process_outbox()")
        assert relay.mails == []
        assert not any(self.status(site)["counts"].values())
        assert site.tickets() == []

    def test_a_group_waits_under_its_name(self, site, relay, admin):
        """
            A message to a group waits under the group's name, later only its members' mails
            count
        """

        site.shell(WRITERS + """
group = entity("pr_group", name="Helpers")
for name in ("anne", "bob"):
    s3db.pr_group_membership.insert(group_id=group["id"],
                                    person_id=person(name, name + "@example.org")["id"])
assert msg.send_by_pe_id(group["pe_id"], "News", "Today")
""")
        (number,), = site.sql("SELECT id FROM msg_outbox")
        admin.visit("mails3/mails")
        assert "Helpers (group)" in admin.reads

        site.shell("mail.drain()")

        assert received(relay) == {"News": ["anne@example.org", "bob@example.org"]}
        counts = self.status(site)["counts"]
        assert {state: count for state, count in counts.items() if count} == {"sent": 2}
        admin.visit("mails3/mails")
        assert "Helpers" not in admin.reads and "anne@example.org" in admin.reads
        admin.visit("mails3/show/%s" % number)
        assert "Mail %s to Helpers (group)" % number in admin.reads
        assert "accepted" not in admin.reads
        assert "Expanded to" in admin.reads and "bob@example.org" in admin.reads
        assert site.tickets() == []

# =============================================================================
class TestStock:
    """ Errors of stock Eden-ASP on web2py 3 """

    def test_a_message_with_a_live_worker_is_sent(self, site, relay):
        """ With a live worker a message is queued and sent """

        worker = site.work()
        site.shell(WRITERS + """
assert msg.send_by_pe_id(person("one", "one@example.org")["pe_id"], T("News"), T("Today"))
""")

        assert eventually(lambda: relay.mails, 60)
        assert received(relay) == {"News": ["one@example.org"]}
        site.stop(worker)

# END =========================================================================
