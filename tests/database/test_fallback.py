"""
    The fallback: without a worker, a mail is tried within the request
"""

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
