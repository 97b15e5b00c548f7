"""
    The fallback: without a worker, a mail is tried within the request
"""

from datetime import timedelta

from mails3.clock import utcnow
from mails3.delivery.worker import Worker
from mails3.states import SENT, UNSENT

ANNE, BOB = "anne@example.org", "bob@example.org"

# =============================================================================
class TestFallback:
    """ Without a scheduler, a mail is tried within the request """

    def test_a_mail_without_scheduler_leaves_at_once(self, office):
        """
            Without a scheduler a mail leaves in send(), and is marked as sent by the caller's
            commit
        """

        office.given["fallback"] = "yes"
        anne = office.queue(ANNE)

        assert office.status(anne) == SENT
        assert len(office.relay.mails) == 1

    def test_a_long_fallback_is_not_among_the_workers(self, office):
        """ A mail that is tried for longer than a renewal of leases leaves no row of a worker """

        anne = office.queue(ANNE)
        passed = iter(range(0, 10 ** 6, 10))
        start = utcnow()
        Worker(office.mail.channel().relay, office.mail.channel().transport(), office.mail.options,
               office.db.commit,
               now = lambda: start + timedelta(seconds=next(passed))
               ).send_own([office.entry(anne).mails3_delivery.id])
        office.db.commit()

        assert office.status(anne) == SENT
        assert office.db(office.db.mails3_worker).isempty()

    def test_a_dead_relay_leaves_the_mail_queued(self, office, caplog):
        """ send() returns True although the relay is away, and the log has the reason """

        office.given["fallback"] = "yes"
        office.relay.stop()

        anne = office.queue(ANNE)

        assert office.mail.error is None
        assert office.status(anne) == UNSENT
        assert "Sending is suspended" in caplog.text

    def test_a_silent_relay_is_waited_for_once(self, office):
        """ Only the first visitor waits for a silent relay, then the breaker is tripped """

        office.configure(fallback="yes")
        office.hurry(fallback_timeout=0.5)
        office.relay.silence("CONNECT")

        office.queue(ANNE, BOB)

        assert office.relay.connections == 1

    def test_the_fallback_does_not_commit(self, office):
        """ The caller may still roll back after a mail was tried within the request """

        office.given["fallback"] = "yes"
        assert office.mail.send(ANNE, "News", "There is news.")

        office.db.rollback()

        assert office.db(office.db.msg_outbox).isempty()

# END =========================================================================
