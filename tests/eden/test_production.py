"""
    Sites in production: compiled, without migration, with several processes,
    upgraded, uninstalled
"""

import hashlib
import json
import subprocess

from threading import Thread

import pytest

from support.site import eventually

from .visitor import EdenVisitor

SENDER = "Shelter <shelter@example.org>"

WAITING = "SELECT COUNT(*) FROM msg_outbox WHERE status = 1"

# What Eden's scheduler and its first run leave in the database, after years
OLD_ROWS = """
outbox, email, contact = s3db.msg_outbox, s3db.msg_email, s3db.pr_contact

def entity(tablename, **values):
    table = s3db[tablename]
    record = {"id": table.insert(**values)}
    s3db.update_super(table, record)
    return record

def person(name):
    record = entity("pr_person", first_name=name, last_name="Example")
    contact.insert(pe_id=record["pe_id"], contact_method="EMAIL",
                   value="%s@example.org" % name)
    return record

def letter(subject, **values):
    record = {"id": email.insert(subject=subject, body="News", inbound=False)}
    s3db.update_super(email, record)
    outbox.insert(message_id=record["message_id"], contact_method="EMAIL", **values)

letter("new", pe_id=person("new")["pe_id"])
letter("tried", pe_id=person("tried")["pe_id"], retries=3)
letter("last", pe_id=person("last")["pe_id"], retries=0)
letter("for ever", pe_id=person("forever")["pe_id"], retries=None)
letter("address", address="address@example.org")
letter("sent", pe_id=person("sent")["pe_id"], status=2)
letter("draft", pe_id=person("draft")["pe_id"], status=3)
letter("invalid", pe_id=person("invalid")["pe_id"], status=4)
letter("failed", pe_id=person("failed")["pe_id"], status=5, retries=0)
letter("deleted", pe_id=person("deleted")["pe_id"], deleted=True)
outbox.insert(pe_id=person("nothing")["pe_id"], contact_method="EMAIL")

group = entity("pr_group", name="Helpers")
for name in ("one", "two"):
    s3db.pr_group_membership.insert(group_id=group["id"], person_id=person(name)["id"])
letter("group", pe_id=group["pe_id"])

task = db.scheduler_task
db((task.function_name == "msg_process_outbox") &
   task.args.contains("EMAIL")).update(status="FAILED", times_failed=1)
db((task.function_name == "msg_process_outbox") & task.args.contains("SMS")).delete()
"""

# =============================================================================
@pytest.fixture
def fresh(eden, engine, relay):
    """ A stock site whose mail goes to the relay """

    with eden.site(engine) as site:
        site.configure(mail = {"server": relay.address, "tls": False, "sender": SENDER},
                       auth = {"registration_requires_verification": True,
                               "registration_requires_approval": False,
                               })
        yield site

# -----------------------------------------------------------------------------
def compile_app(site):
    """ Compile an app by Eden's own script """

    script = "applications/%s/static/scripts/tools/compile.py" % site.app
    run = subprocess.run([site.python, "web2py.py", "-S", site.app, "-M", "-R", script],
                         cwd = site.folder,
                         env = site._environ(),
                         stdin = subprocess.DEVNULL,
                         stdout = subprocess.PIPE,
                         stderr = subprocess.STDOUT,
                         encoding = "utf-8",
                         timeout = 180,
                         )
    assert run.returncode == 0, run.stdout
    assert (site.app_path / "compiled" / "models.tasks_mail.pyc").exists()

def at_once(*actions):
    """ Do things at the same time """

    threads = [Thread(target=action) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

def addresses(relay):
    """ To whom the relay has taken mail, sorted """

    return sorted(recipient for mail in relay.mails for recipient in mail.recipients)

# =============================================================================
class TestProduction:
    """ A site as sahana/eden_deploy sets it up """

    def test_a_compiled_site_without_migration_works(self, fresh, relay):
        """
            First visitors on two web servers at the same time get each mail once, and the site
            works without MailS3 as well
        """

        fresh.configure(base={"migrate": False, "prepopulate": 0})
        fresh.install()
        compile_app(fresh)
        visitors = []
        for _ in range(2):
            fresh.serve()
            for _ in range(2):
                visitor = EdenVisitor(fresh)
                visitor.home = fresh.url
                visitors.append(visitor)
        names = ["visitor%s@example.org" % number for number in range(4)]

        def register(visitor, name):
            def action():
                visitor.open(visitor.home + "/default/user/register")
                visitor.fill_in(first_name="Anne", last_name="Example", email=name,
                                password="a long secret", password_two="a long secret")
            return action

        at_once(*[register(*pair) for pair in zip(visitors, names)])
        fresh.work()
        fresh.work()

        assert eventually(lambda: len(addresses(relay)) >= 4), fresh.tickets()
        assert fresh.tickets() == []
        assert addresses(relay) == names
        assert fresh.sql(WAITING) == [(0,)]

        for process in list(fresh.processes):
            fresh.stop(process)
        fresh.uninstall()
        fresh.serve()
        EdenVisitor(fresh).visit("default/index")
        assert fresh.tickets() == []

# =============================================================================
class TestSiteThatHasRun:
    """ MailS3 is installed in a site that has run for years """

    def test_old_mail_of_a_site_leaves(self, fresh, relay):
        """
            Unsent mail to persons and groups leaves once, the rest is left alone, also with
            failed or missing scheduler rows
        """

        fresh.shell(OLD_ROWS)
        fresh.install()
        fresh.work()
        fresh.work()
        expected = sorted(name + "@example.org" for name in
                          ("new", "tried", "last", "forever", "address", "one", "two"))

        assert eventually(lambda: fresh.sql(WAITING + " AND deleted = 'F'") == [(0,)], 90)
        assert addresses(relay) == expected
        assert {mail.message["From"] for mail in relay.mails} == {SENDER}
        states = dict(fresh.sql("SELECT e.subject, MAX(o.status) FROM msg_outbox o, msg_email e"
                                " WHERE e.message_id = o.message_id GROUP BY e.subject"))
        assert states == {"new": 2, "tried": 2, "last": 2, "for ever": 2, "address": 2,
                          "group": 2, "sent": 2, "draft": 3, "invalid": 4, "failed": 5,
                          "deleted": 1}
        assert fresh.sql("SELECT status FROM msg_outbox WHERE message_id IS NULL") == [(4,)]

# =============================================================================
class TestUpgrade:
    """ The installer is run again """

    def test_mail_queued_before_an_upgrade_is_sent(self, fresh, relay):
        """
            Queued mail is sent after an upgrade with a new column, and files that are no longer
            ours are removed
        """

        fresh.configure(base={"migrate": False, "prepopulate": 0}, mail={"fallback": False})
        fresh.install()
        fresh.shell("assert mail.send('before@example.org', 'News', 'There is news')")
        fresh.sql("ALTER TABLE mails3_delivery DROP COLUMN put_back_on")
        package = fresh.app_path / "modules" / "mails3"
        (package / "former.py").write_text("# of an older version\n")
        manifest = json.loads((package / "INSTALLED").read_text())
        manifest["modules/mails3/former.py"] = \
            hashlib.sha256((package / "former.py").read_bytes()).hexdigest()
        (package / "INSTALLED").write_text(json.dumps(manifest))

        fresh.install()
        fresh.serve()
        EdenVisitor(fresh).register("after@example.org")
        fresh.work()

        assert eventually(lambda: len(relay.mails) == 2), fresh.tickets()
        assert addresses(relay) == ["after@example.org", "before@example.org"]
        assert not (package / "former.py").exists()
        assert fresh.tickets() == []

# =============================================================================
class TestUninstall:
    """ Mail that is unsent at the uninstall: stock Eden sends it if it can, else it waits """

    # Mail of each kind, and what a worker that was lost has left
    MAIL = """
table = s3db.pr_person
record = {"id": table.insert(first_name="Anne", last_name="Example")}
s3db.update_super(table, record)
for address, priority in (("person@example.org", 1), ("other@example.org", 2)):
    s3db.pr_contact.insert(pe_id=record["pe_id"], contact_method="EMAIL", value=address,
                           priority=priority)

def send(address, body="There is news", **kwargs):
    assert mail.send(address, "News", body, **kwargs), mail.error

send("deferred@example.org")
db.commit()
mail.drain()
send("new@example.org")
send("to@example.org", cc=["cc@example.org"], bcc=["bcc@example.org"])
send("html@example.org", ("Plain words", "<b>Bold words</b>"))
send("file@example.org", attachments=[mail.Attachment(__file__, filename="list.txt")])
send("person@example.org")
send("other@example.org")
send("draft@example.org")
send("secret@example.org", "Here is the link", secret=True)
msg.send_by_pe_id(record["pe_id"], "Eden's", "From Eden")
db.commit()
db(db.msg_outbox.address == "draft@example.org").update(status=3)
db(db.mails3_delivery.id > 0).update(lease="lost")
"""

    # Stock Eden passes an encoding to Mail.send, which web2py 2 takes. A site has
    # repaired that, in a model of its own:
    REPAIR = """
def repaired(send):
    return lambda *args, encoding=None, **kwargs: send(*args, **kwargs)
mail.send = repaired(mail.send)
"""
    # and web2py 3 does not take it
    FAULT = """
def faulty(send):
    def send_without_encoding(to, subject, message, attachments=None, cc=None, bcc=None,
                              reply_to=None, sender=None, headers={}, from_address=None):
        return send(to, subject, message)
    return send_without_encoding
mail.send = faulty(mail.send)
"""

    NAMES = ["%s@example.org" % name for name in ("bcc", "cc", "deferred", "file", "html", "new",
                                                  "other", "person", "person", "to")]

    @pytest.fixture
    def waiting(self, fresh, relay):
        """ A site with mail that waits """

        fresh.configure(mail={"fallback": False})
        fresh.install()
        relay.answer("RCPT", "451 4.2.0 Later", to="deferred@example.org", times=1)
        fresh.shell(self.MAIL.replace("__file__", repr(str(fresh.folder / "web2py.py"))))
        assert relay.mails == []
        return fresh

    def write_model(self, site, text):
        """ Give the site a model of its own, which runs after Eden's own settings """

        (site.app_path / "models" / "00_zz_mail.py").write_text(text)

    def test_stock_eden_sends_unsent_mail(self, waiting, relay):
        """
            Stock Eden sends each unsent mail once, and secret mail waits for MailS3 to come
            back
        """

        fresh = waiting
        self.write_model(fresh, self.REPAIR)

        told = fresh.uninstall()
        fresh.shell("msg.process_outbox()")

        assert "Unsent mails handed to Eden, which sends them as text: 9." in told
        assert "Unsent mails with a link or password in them" in told
        assert addresses(relay) == self.NAMES
        assert {mail.message["From"] for mail in relay.mails} == {SENDER}
        contents = {mail.recipients[0].partition("@")[0]: mail.content.decode()
                    for mail in relay.mails}
        assert "Plain words" in contents["html"]
        attached = next(mail for mail in relay.mails
                        if mail.recipients == ["file@example.org"]).message.get_payload()[1]
        assert attached.get_payload(decode=True) == (fresh.folder / "web2py.py").read_bytes()
        assert "Here is the link" not in str(fresh.sql("SELECT body FROM msg_message"))
        assert fresh.sql("SELECT COUNT(*) FROM scheduler_task"
                         " WHERE function_name LIKE 'mails3%'") == [(0,)]

        relay.clear()
        fresh.install()
        fresh.shell("mail.retry(); mail.drain()")
        assert addresses(relay) == ["secret@example.org"]

    def test_mail_waits_that_stock_eden_can_not_send(self, waiting, relay):
        """
            Mail that stock Eden can't send waits for MailS3 to come back, and is sent once
            then; a message of Eden's own is requeued
        """

        fresh = waiting
        self.write_model(fresh, self.FAULT)

        told = fresh.uninstall()
        # Its task does this every five minutes
        fresh.shell("for _ in range(11):\n    msg.process_outbox()")

        assert "Without MailS3, Eden can not send mail here (TypeError: " in told
        assert "and are sent when MailS3 is installed again: 10." in told
        assert "that Eden itself has queued, and will try: 1." in told
        assert relay.mails == [] and fresh.tickets() == []
        assert fresh.sql("SELECT status, COUNT(*) FROM msg_outbox WHERE pe_id IS NULL"
                         " GROUP BY status") == [(1, 10), (3, 1)]

        fresh.install()
        fresh.shell("from mails3.admin.operator import Operator\n"
                    "given_up = [row.id for row in db(db.msg_outbox.status == 5).select()]\n"
                    "assert len(given_up) == 1\n"
                    "Operator(mail, 'admin').requeue(given_up)\n"
                    "Operator(mail, 'admin').retry_all()\n"
                    "db.commit()\n"
                    "mail.drain()")
        assert addresses(relay) == sorted(self.NAMES + ["secret@example.org"])
        assert {mail.message["From"] for mail in relay.mails} == {SENDER}
        assert [mail.message["Subject"] for mail in relay.mails].count("Eden's") == 1

# END =========================================================================
