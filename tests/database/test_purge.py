"""
    Purge: the removal of old rows
"""

from datetime import timedelta

import pytest

from support.office import users

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
def queue_old(office, count):
    """ A mail to so many, who have had it for 99 days """

    assert office.mail.send(users(count), "News", "News")
    office.db(office.db.msg_outbox).update(status = SENT,
                                           modified_on = utcnow() - timedelta(days=99))
    office.db.commit()

# -----------------------------------------------------------------------------
def left(office):
    """ How many rows there are, by table """

    office.db.commit()
    return [office.db(office.db[name]).count() for name in
            ("msg_outbox", "mails3_delivery", "mails3_message", "mails3_attachment",
             "mails3_attempt")]

# =============================================================================
class TestPurge:
    """ Old final rows are removed, with their content """

    def test_each_state_has_its_age(self, office):
        """ Sent, rejected and failed deliveries are removed after the time set for each """

        office.configure(keep_sent=10, keep_rejected=20, keep_failed=30)
        numbers = office.queue(*users(6))
        for number, status, days in zip(numbers, (SENT, SENT, INVALID, INVALID, FAILED, FAILED),
                                        (9, 11, 19, 21, 29, 31)):
            settle(office, number, status, days)

        assert office.mail.purge() == 3
        assert office.mail.purge() is None
        entries, *_ = office.mail.report().page()
        assert sorted(entry["number"] for entry in entries) == [numbers[0], numbers[2],
                                                                numbers[4]]

    def test_unsent_mail_is_never_touched(self, office):
        """ Old mail that is new, deferred or held is not removed """

        office.configure(keep_sent=1, keep_rejected=1, keep_failed=1)
        office.relay.answer("RCPT", "451 4.3.0 Later", to=BOB)
        numbers = office.queue(BOB, ANNE, CARL)
        office.mail.drain() # Bob's is deferred
        for number, status in zip(numbers, (UNSENT, UNSENT, DRAFT)):
            settle(office, number, status, 5000)
        before = left(office)

        assert office.mail.purge() is None
        assert left(office) == before

    def test_attachments_and_attempts_go_with_their_message(self, office):
        """ No attachment and no attempt of a removed message is left """

        office.relay.answer("RCPT", "550 5.1.1 No such user")
        part = office.mail.Attachment(__file__)
        number = office.queue(ANNE, attachments=[part])
        office.drain()
        assert left(office) == [1, 1, 1, 1, 1]
        settle(office, number, INVALID, 100)

        assert office.mail.purge() == 1
        assert left(office) == [0, 0, 0, 0, 0]

    def test_a_message_stays_as_long_as_a_recipient_waits(self, office):
        """ The content of a message stays while one of its recipients is unsent """

        first = office.queue([ANNE, BOB])
        settle(office, first - 1 if first > 1 else first, SENT, 100)
        office.mail.purge()

        assert left(office)[:3] == [1, 1, 1]
        office.drain()
        assert len(office.relay.mails) == 1

    def test_an_idempotency_key_is_kept(self, office):
        """ A key still prevents a second message after the first one was removed """

        number = office.queue(ANNE, idempotency_key="order 7")
        office.drain()
        settle(office, number, SENT, 100)
        assert office.mail.purge() == 1

        message, = office.db(office.db.mails3_message).select()
        assert (message.head, message.body) == (None, None)
        assert office.mail.send(ANNE, "News", "Again", idempotency_key="order 7")
        assert left(office)[:2] == [0, 0]

    def test_the_hosts_own_rows_stay(self, office):
        """ The row that Eden itself has queued stays, our companion rows and our copy go """

        number = office.queue(ANNE, idempotency_key="eden-message-1")
        office.db(office.db.msg_outbox.id == number).update(message_id=1)
        office.drain()
        settle(office, number, SENT, 100)

        assert office.mail.purge() == 1
        assert left(office)[:3] == [1, 0, 0]

    def test_zero_days_mean_never(self, office):
        """ With 0 days, nothing is removed """

        office.configure(keep_sent=0)
        settle(office, office.queue(ANNE), SENT, 5000)

        assert office.mail.purge() is None

    def test_a_purge_goes_in_batches(self, small_office):
        """ Each batch of a purge is committed, so that others can write between them """

        office = small_office
        queue_old(office, BATCH + 50)
        commits = []
        purge = office.mail.channel().purge()
        purge.commit = lambda: (office.db.commit(), commits.append(left(office)[0]))

        assert purge.purge() == BATCH + 50
        assert commits == [50, 0]

    def test_a_purge_can_be_stopped(self, small_office):
        """ A purge that is stopped ends after its batch """

        office = small_office
        queue_old(office, BATCH + 50)
        purge = office.mail.channel().purge()

        assert purge.purge(tell=lambda removed: purge.stop()) == BATCH

    def test_a_removed_mail_stays_counted(self, office):
        """ The counters of the metrics do not go back after a purge """

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

    def test_a_requeued_mail_is_not_removed(self, office):
        """ A mail that is requeued while its batch is being removed stays """

        number = office.queue(ANNE)
        settle(office, number, FAILED, 100)
        before_delete = office.db.msg_outbox._before_delete

        def requeue_meanwhile(rows):
            before_delete.remove(requeue_meanwhile)
            other = office.connection()
            Operator(office.mailer(other), "Pat").requeue([number])
            other.commit()
            other.close()

        if office.db._adapter.dbengine == "sqlite":
            pytest.skip("SQLite has one writer")
        # A callback of pydal: the batch is read then, and not removed
        before_delete.append(requeue_meanwhile)
        assert office.mail.purge() is None
        assert requeue_meanwhile not in before_delete

        office.drain()
        assert office.status(number) == SENT

# =============================================================================
class TestSecrets:
    """ The content of a secret message is not kept longer than needed """

    def test_the_content_of_a_secret_is_dropped_once_sent(self, office):
        """
            The content and the attachments of a secret message are dropped when it is sent, its
            history stays
        """

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

    def test_a_secret_is_kept_until_all_recipients_have_it(self, office):
        """ The content of a secret message stays until its last recipient has it """

        office.relay.answer("RCPT", "451 4.3.0 Later", to=BOB, times=1)
        office.queue([ANNE, BOB], secret=True)
        office.drain()
        assert office.db(office.db.mails3_message).select().first().body

        office.later(600)
        office.retry()
        assert [mail.recipients for mail in office.relay.mails] == [[ANNE], [BOB]]
        assert office.db(office.db.mails3_message).select().first().body is None

    def test_all_of_auths_mail_is_secret(self, office):
        """ Each mail that web2py's auth sends is secret """

        mailer = office.mail.for_auth()
        assert mailer.send(ANNE, "Your password", "a link")
        assert mailer.send(BOB, "No secret", "News", secret=False)
        office.db.commit()
        office.drain()

        table = office.db.mails3_message
        bodies = [row.body for row in office.db(table).select(orderby=table.id)]
        assert bodies[0] is None and bodies[1]

    def test_a_setting_keeps_the_content_of_secrets(self, office):
        """ With a setting, the content of a secret message stays until it is purged """

        office.queue(ANNE, secret=True)
        office.drain(drop_secrets="no")

        assert office.db(office.db.mails3_message).select().first().body

    def test_dropped_content_can_not_be_sent_again(self, office):
        """ A mail whose content was dropped can't be requeued, and the reason is given """

        number = office.queue(ANNE, secret=True)
        office.drain()
        settle(office, number, FAILED, 0)

        assert Operator(office.mail, "Pat").requeue([number]) == \
            ([], {number: "Its content has been dropped."})

# END =========================================================================
