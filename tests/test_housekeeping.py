"""
    Housekeeping: what is removed, and what is not
"""

from datetime import timedelta

import pytest

from mails3.clock import utcnow
from mails3.queue.purge import BATCH
from mails3.states import DRAFT, FAILED, INVALID, SENT, UNSENT
from mails3.admin.operator import Operator

ANNE, BOB, CARL = "anne@example.org", "bob@example.org", "carl@example.org"

# -----------------------------------------------------------------------------
def settle(office, number, status, days):
    """ A mail that has been in a status for some days """

    db = office.db
    db(db.msg_outbox.id == number).update(status = status,
                                          modified_on = utcnow() - timedelta(days=days))
    if status != UNSENT:
        db(db.mails3_delivery.outbox_id == number).update(queue=None)
    db.commit()

# -----------------------------------------------------------------------------
def left(office):
    """ How many rows there are, by table """

    office.db.commit()
    return [office.db(office.db[name]).count() for name in
            ("msg_outbox", "mails3_delivery", "mails3_message", "mails3_attachment",
             "mails3_attempt")]

# =============================================================================
class TestPurge:
    """ What has come to its end goes after its time, with all that belongs to it """

    def test_each_state_has_its_age(self, office):
        """ Sent, invalid and failed """

        office.configure(keep_sent=10, keep_rejected=20, keep_failed=30)
        numbers = office.queue(*["user%s@example.org" % n for n in range(6)])
        for number, status, days in zip(numbers, (SENT, SENT, INVALID, INVALID, FAILED, FAILED),
                                        (9, 11, 19, 21, 29, 31)):
            settle(office, number, status, days)

        assert office.mail.purge() == 3
        assert office.mail.purge() is None
        entries, *_ = office.mail.report().page()
        assert sorted(entry["number"] for entry in entries) == [numbers[0], numbers[2],
                                                                numbers[4]]

    def test_unsent_mail_is_never_touched(self, office):
        """ However old: new, deferred, or on hold """

        office.configure(keep_sent=1, keep_rejected=1, keep_failed=1)
        office.relay.answer("RCPT", "451 4.3.0 Later", to=BOB)
        numbers = office.queue(BOB, ANNE, CARL)
        office.mail.drain() # Bob's is deferred
        for number, status in zip(numbers, (UNSENT, UNSENT, DRAFT)):
            settle(office, number, status, 5000)
        before = left(office)

        assert office.mail.purge() is None
        assert left(office) == before

    def test_attachments_and_attempts_go_with_it(self, office):
        """ Nothing is left behind """

        office.relay.answer("RCPT", "550 5.1.1 No such user")
        part = office.mail.Attachment(__file__)
        number = office.queue(ANNE, attachments=[part])
        office.drain()
        assert left(office) == [1, 1, 1, 1, 1]
        settle(office, number, INVALID, 100)

        assert office.mail.purge() == 1
        assert left(office) == [0, 0, 0, 0, 0]

    def test_a_message_stays_as_long_as_a_recipient_waits(self, office):
        """ It is still to be sent to them """

        first = office.queue([ANNE, BOB])
        settle(office, first - 1 if first > 1 else first, SENT, 100)
        office.mail.purge()

        assert left(office)[:3] == [1, 1, 1]
        office.drain()
        assert len(office.relay.mails) == 1

    def test_an_idempotency_key_is_good_for_ever(self, office):
        """ Though nothing else of the message is kept """

        number = office.queue(ANNE, idempotency_key="order 7")
        office.drain()
        settle(office, number, SENT, 100)
        assert office.mail.purge() == 1

        message, = office.db(office.db.mails3_message).select()
        assert (message.head, message.body) == (None, None)
        assert office.mail.send(ANNE, "News", "Again", idempotency_key="order 7")
        assert left(office)[:2] == [0, 0]

    def test_the_hosts_own_rows_are_the_hosts(self, office):
        """ Of what Eden has queued, our companions go, and our copy; its row stays """

        number = office.queue(ANNE, idempotency_key="eden-message-1")
        office.db(office.db.msg_outbox.id == number).update(message_id=1)
        office.drain()
        settle(office, number, SENT, 100)

        assert office.mail.purge() == 1
        assert left(office)[:3] == [1, 0, 0]

    def test_never_means_never(self, office):
        """ 0 days """

        office.configure(keep_sent=0)
        settle(office, office.queue(ANNE), SENT, 5000)

        assert office.mail.purge() is None

    def test_it_goes_in_batches(self, small_office):
        """ Each committed, so that others can write between them """

        office = small_office
        users = ["user%s@example.org" % number for number in range(BATCH + 50)]
        assert office.mail.send(users, "News", "News")
        office.db(office.db.msg_outbox).update(status = SENT,
                                               modified_on = utcnow() - timedelta(days=99))
        office.db.commit()
        commits = []
        housekeeping = office.mail.housekeeping()
        housekeeping.commit = lambda: (office.db.commit(), commits.append(left(office)[0]))

        assert housekeeping.purge() == BATCH + 50
        assert commits == [50, 0]

    def test_it_can_be_stopped(self, small_office):
        """ After a batch """

        office = small_office
        users = ["user%s@example.org" % number for number in range(BATCH + 50)]
        assert office.mail.send(users, "News", "News")
        office.db(office.db.msg_outbox).update(status = SENT,
                                               modified_on = utcnow() - timedelta(days=99))
        office.db.commit()
        housekeeping = office.mail.housekeeping()

        assert housekeeping.purge(tell=lambda removed: housekeeping.stop()) == BATCH

    def test_what_was_counted_stays_counted(self, office):
        """ A counter never goes back """

        from mails3.admin.metrics import exposition
        from mails3.admin.status import Status

        office.relay.answer("RCPT", "550 5.1.1 No such user", to=BOB)
        numbers = office.queue(ANNE, BOB)
        office.drain()
        before = exposition(Status(office.mail, utcnow()))
        for number, status in zip(numbers, (SENT, INVALID)):
            settle(office, number, status, 100)
        assert office.mail.purge() == 2

        after = exposition(Status(office.mail, utcnow()))
        for line in ("mails3_sent_total 1", "mails3_refusals_total 1"):
            assert line in before.splitlines() and line in after.splitlines()

    def test_what_is_requeued_meanwhile_stays(self, office):
        """ Though it was in the batch """

        number = office.queue(ANNE)
        settle(office, number, FAILED, 100)
        housekeeping = office.mail.housekeeping()
        found = housekeeping._old

        def requeue_meanwhile(*args):
            batch = found(*args)
            other = office.connection()
            Operator(office.mailer(other), "Pat").requeue([number])
            other.commit()
            other.close()
            return batch

        if office.db._adapter.dbengine == "sqlite":
            pytest.skip("SQLite has one writer")
        housekeeping._old = lambda *args: housekeeping.__dict__.pop("_old") and \
            requeue_meanwhile(*args)
        housekeeping.purge()

        office.drain()
        assert office.status(number) == SENT

# =============================================================================
class TestSecrets:
    """ What carries a secret is not kept longer than needed """

    def test_its_content_is_dropped_once_it_is_sent(self, office):
        """ With its attachments; the rest of its story stays """

        office.relay.answer("RCPT", "451 4.3.0 Later", times=1)
        number = office.queue(ANNE, secret=True, attachments=[office.mail.Attachment(__file__)])
        office.drain()
        assert left(office)[3] == 1
        office.later(600)
        office.retry()

        assert office.status(number) == SENT
        assert office.db(office.db.mails3_message).select().first().body is None
        assert left(office)[2:4] == [1, 0]
        assert office.mail.report().entry(number)["subject"] == "News"

    def test_not_before_all_recipients_have_it(self, office):
        """ One of them may have to wait """

        office.relay.answer("RCPT", "451 4.3.0 Later", to=BOB, times=1)
        office.queue([ANNE, BOB], secret=True)
        office.drain()
        assert office.db(office.db.mails3_message).select().first().body

        office.later(600)
        office.retry()
        assert [mail.recipients for mail in office.relay.mails] == [[ANNE], [BOB]]
        assert office.db(office.db.mails3_message).select().first().body is None

    def test_all_of_auths_mail_is_secret(self, office):
        """ It does not know, its mailer does """

        mailer = office.mail.for_secrets()
        assert mailer.send(ANNE, "Your password", "a link")
        assert mailer.send(BOB, "No secret", "News", secret=False)
        office.db.commit()
        office.drain()

        table = office.db.mails3_message
        bodies = [row.body for row in office.db(table).select(orderby=table.id)]
        assert bodies[0] is None and bodies[1]

    def test_a_setting_keeps_it(self, office):
        """ Until it is purged """

        office.queue(ANNE, secret=True)
        office.drain(drop_secrets="no")

        assert office.db(office.db.mails3_message).select().first().body

    def test_what_has_been_dropped_can_not_be_sent_again(self, office):
        """ And that is said """

        number = office.queue(ANNE, secret=True)
        office.drain()
        settle(office, number, FAILED, 0)

        assert Operator(office.mail, "Pat").requeue([number]) == \
            ([], {number: "Its content has been dropped."})

# END =========================================================================
