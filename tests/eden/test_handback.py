"""
    Uninstall: unsent mail becomes Eden's own where stock Eden can send it (on
    the stand-in for Eden)
"""

import re

from io import BytesIO

import pytest

from gluon import current

from support.web2py import CLONE
from mails3.admin.operator import Operator
from mails3.hosts.eden.mail import INDEXES
from mails3.queue.schema import COMPANIONS
from mails3.states import DRAFT, FAILED, SENT, UNSENT

from .stand_in import Mail3, Msg

ANNE, BOB = "anne@example.org", "bob@example.org"

KEPT = "Unsent mails that stay in the tables of MailS3, and are sent when MailS3 is " \
       "installed again: %s."

# -----------------------------------------------------------------------------
def leave(branch):
    """ MailS3 leaves: what it says """

    told = branch.mail.retire()
    branch.db.commit()
    return told

def queue(branch, *addresses):
    """ Queue a mail to each address """

    for address in addresses:
        assert branch.mail.send(address, "News", "There is news.")
    branch.db.commit()

def emails(branch):
    """ How many messages Eden's table of mails has """

    return branch.db(branch.s3db.msg_email.id > 0).count()

# =============================================================================
class TestHandback:
    """ Stock Eden can send the mail """

    def test_unsent_mail_becomes_edens_own(self, branch):
        """ Unsent mail becomes messages of Eden's own, secret mail does not """

        anne = branch.person(ANNE)
        plan = branch.mail.Attachment(BytesIO(b"Go home"), filename="plan.txt")
        assert branch.mail.send(ANNE, "News", "There is news.", attachments=plan)
        assert branch.mail.send(BOB, "News", ("Text", "<b>Html</b>"))
        assert branch.mail.send("carl@example.org", "Reset", "Link", secret=True)

        told = leave(branch)

        outbox, email = branch.s3db.msg_outbox, branch.s3db.msg_email
        rows = branch.db(outbox.id > 0).select(
                    outbox.pe_id, email.body,
                    left = email.on(email.message_id == outbox.message_id),
                    orderby = outbox.id)
        assert [row.msg_email.body for row in rows] == ["There is news.", "Text", None]
        assert rows[0].msg_outbox.pe_id == anne["pe_id"]
        contact = branch.s3db.pr_contact
        added = branch.db(contact.pe_id == rows[1].msg_outbox.pe_id).select().first()
        assert (added.value, added.comments) == (BOB, "MailS3: recipient of unsent mail")
        document = branch.db(branch.s3db.doc_document.id > 0).select().first()
        name, stream = branch.s3db.doc_document.file.retrieve(document.file)
        with stream:
            assert (name, stream.read()) == ("plan.txt", b"Go home")
        assert "as text: 2." in told[0] and "is installed again: 1." in told[1]

    def test_each_mail_has_a_number_of_retries(self, branch):
        """ A mail without a limit of attempts gets one, at which stock Eden does not fail """

        branch.eden.settings["msg"]["max_send_retries"] = None
        branch.request()
        queue(branch, ANNE)

        leave(branch)

        assert [row.retries for row in branch.db(branch.s3db.msg_outbox).select()] == [9]

    def test_a_repaired_eden_gets_the_mail(self, small_branch, monkeypatch):
        """ An Eden that the site has repaired gets the mail, on web2py 3 as well """

        def send_email(msg, to, subject, message, attachments=None, sender=None):
            return current.mail.send(to, subject=subject, message=message,
                                     attachments=attachments, sender=sender)

        monkeypatch.setattr(Msg, "send_email", send_email)
        small_branch.eden.mail_class = Mail3
        small_branch.request()
        queue(small_branch, ANNE)

        told = leave(small_branch)

        assert told == ["Unsent mails handed to Eden, which sends them as text: 1."]

# =============================================================================
class TestRemains:
    """ What stays in the database, and how to remove it """

    @staticmethod
    def documented(is_mysql):
        """ The statements of the document (list of str) """

        text = (CLONE / "private/docs/installing-in-eden.md").read_text(encoding="utf-8")
        lines = re.search(r"(?ms)^```sql\n(.*?)^```", text).group(1).splitlines()
        # On MariaDB, an index is dropped "on" its table
        return [re.sub(r"; +-- (on \w+)", r" \1" if is_mysql else "", line).rstrip(";")
                for line in lines]

    def test_the_documented_statements_remove_all_of_it(self, branch):
        """ The statements of the document remove all that is ours, and nothing of Eden's """

        anne = branch.person(ANNE)
        sent = branch.entry(branch.message(), pe_id=anne["pe_id"], status=SENT)
        queue(branch, ANNE, BOB)
        assert branch.mail.send("carl@example.org", "Reset", "Link", secret=True)
        handed_to_anne = branch.numbers()[1]
        leave(branch)
        db, s3db = branch.db, branch.s3db

        try:
            for statement in self.documented("mysql" in branch.eden.uri):
                db.executesql(statement)
            db.commit()

            assert branch.numbers() == [sent, handed_to_anne]
            assert db(s3db.pr_person.id > 0).count() == db(s3db.pr_pentity.pe_id > 0).count() == 1
            assert [row.value for row in db(s3db.pr_contact.id > 0).select()] == [ANNE]
            for name in COMPANIONS:
                with pytest.raises(Exception):
                    db.executesql("SELECT * FROM %s" % name)
                db.rollback()
            # What is there already could not be made again
            for table, name, columns in INDEXES:
                db.executesql("CREATE INDEX %s ON %s (%s)" % (name, table, columns[0]))
            db.commit()
        finally:
            db.rollback()
            current.cache.ram.clear()
            branch.request()
            assert branch.mail.self_repair()

# =============================================================================
class TestUnable:
    """ Stock Eden can't send the mail, or not now """

    def test_mail_waits_that_eden_can_not_send(self, branch):
        """ Mail that stock Eden can't send stays, and is sent when MailS3 is installed again """

        branch.eden.mail_class = Mail3
        branch.request()
        branch.person(ANNE)
        queue(branch, ANNE, BOB)

        told = leave(branch)

        assert told == ["Without MailS3, Eden can not send mail here (TypeError: got an "
                        "unexpected keyword argument 'encoding').", KEPT % 2]
        assert emails(branch) == 0
        assert [(row.status, row.pe_id) for row in branch.db(branch.s3db.msg_outbox).select()] \
            == [(UNSENT, None)] * 2
        branch.request()
        branch.drain()
        assert branch.addresses() == [ANNE, BOB]

    def test_nothing_is_sent_to_find_out(self, small_branch):
        """ Neither a mail nor a row of the daily limit comes of finding out what Eden can send """

        small_branch.configure(limit=10)

        assert leave(small_branch) == []
        assert small_branch.relay.connections == 0
        assert small_branch.db(small_branch.s3db.msg_channel_limit).count() == 0

    def test_an_eden_that_can_not_send_is_told_of_without_mail(self, small_branch):
        """ Also with nothing unsent, an admin reads that stock Eden can't send mail """

        small_branch.eden.mail_class = Mail3
        small_branch.request()

        told, = leave(small_branch)

        assert told.startswith("Without MailS3, Eden can not send mail here (")

    def test_messages_that_eden_gives_up_can_be_requeued(self, branch):
        """ A message of Eden's own that stock Eden gives up is sent after a requeue """

        branch.eden.mail_class = Mail3
        branch.request()
        branch.msg.send_by_pe_id(branch.person(ANNE)["pe_id"], "News", "There is news.")
        number, = branch.numbers()

        told = leave(branch)
        # What stock Eden has done after some attempts
        branch.db(branch.s3db.msg_outbox.id == number).update(status=FAILED, retries=0)
        branch.request()
        assert Operator(branch.mail, "admin").requeue([number])[0] == [number]
        branch.drain()

        assert told[1:] == ["Unsent mails that Eden itself has queued, and will try: 1. If Eden "
                            "gives them up, install MailS3 again and requeue them."]
        assert branch.statuses() == [SENT] and branch.addresses() == [ANNE]

    @pytest.mark.parametrize("trouble, reason", [
        ("no sender", "Eden sends no mail without a sender (settings.mail.sender)."),
        ("paused", "Sending is paused."),
        ("relay", "The mail server does not take mail."),
        ("login", "The mail configuration is wrong."),
        ("no module", "Without MailS3, Eden sends no queued mail here: its module msg is "
                      "disabled."),
        ])
    def test_mail_waits_that_eden_would_give_up(self, small_branch, trouble, reason):
        """ Mail stays that stock Eden would give up, or would send although an admin has paused """

        branch = small_branch
        queue(branch, ANNE)
        if trouble == "no sender":
            branch.configure(sender=None)
        elif trouble == "paused":
            Operator(branch.mail, "admin").pause("Tea", None)
        elif trouble == "no module":
            del branch.eden.settings["modules"]["msg"]
            branch.request()
        else:
            if trouble == "relay":
                branch.relay.answer("CONNECT", "421 4.3.2 Closed")
            else:
                # The relay knows no login
                branch.configure(login="user:password")
            branch.drain()

        assert leave(branch) == [reason, KEPT % 1]
        assert [row.status for row in branch.db(branch.db.msg_outbox).select()] == [UNSENT]

    def test_held_mail_is_not_unsent(self, small_branch):
        """ Mail that is held stays held, and is not counted """

        queue(small_branch, ANNE)
        small_branch.db(small_branch.s3db.msg_outbox).update(status=DRAFT)

        assert leave(small_branch) == []

# END =========================================================================
