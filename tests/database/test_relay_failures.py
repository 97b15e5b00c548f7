"""
    Failures of the relay: silence, lost connections, slowness
"""

import pytest

from support.office import named, users

from mails3.replies import LoginRefused, RelayUnavailable
from mails3.queue.channel_row import TRIPPED
from mails3.states import DRAFT, FAILED, SENT

ANNE, BOB, POISON = "anne@example.org", "bob@example.org", "poison@example.org"

# =============================================================================
class TestRelayGone:
    """
        A failure of one message does not stop the queue, a failure of the relay costs no
        attempt
    """

    @pytest.mark.parametrize("fault", ["drop", "silence"])
    def test_an_unanswered_message_is_sent_twice_at_most(self, office, monkeypatch, fault):
        """
            A message whose content is never answered is sent twice and then held, and delays no
            other
        """

        monkeypatch.setattr("mails3.smtp.deadlines.FINAL_REPLY_S", 0)
        getattr(office.relay, fault)("BODY", to=POISON)
        poison = office.queue(POISON)
        anne, bob = office.queue(ANNE, BOB)
        office.hurry(reply_timeout=0.3)

        for _ in range(4):
            office.drain()
            office.retry()
            office.later(400)

        assert office.status(anne) == office.status(bob) == SENT
        assert office.status(poison) == DRAFT
        assert named(office.relay, POISON) == 2
        assert office.state().status == "closed"

    def test_a_relay_that_drops_all_mail_costs_no_attempt(self, office):
        """ No message pays an attempt for a relay that goes away over each of them """

        office.relay.drop("DATA")
        ids = office.queue(*users(12))

        for _ in range(6):
            office.drain()
            office.later(400)

        assert {office.entry(number).mails3_delivery.attempts for number in ids} == {0}
        assert office.state().status == "tripped"

        office.relay.reset()
        office.drain()
        assert {office.status(number) for number in ids} == {SENT}

    def test_a_message_cut_off_in_the_middle_is_sent_again(self, office):
        """ A message during whose content the relay went away is sent again, whole and once """

        office.relay.drop("BODY", midway=True, times=1)
        assert office.mail.send(ANNE, "News", "There is news.\n" * 20000)
        office.db.commit()

        for _ in range(3):
            office.drain()
            office.retry()
            office.later(400)

        mail, = office.relay.mails
        assert mail.content.count(b"There is news.") == 20000

    def test_an_accepted_message_is_not_sent_again(self, office):
        """ An accepted message is not sent again although the relay is gone before QUIT """

        office.relay.drop_after("BODY")
        ids = office.queue(ANNE, BOB)

        office.drain()
        office.later(3600)
        office.drain()

        assert {office.status(number) for number in ids} == {SENT}
        assert len(office.relay.mails) == 2

    def test_a_relay_that_flaps_gets_every_mail_once(self, office):
        """ A relay that is away for every other connection gets every message once """

        office.relay.limit(1)
        ids = office.queue(*users(6))
        for n in range(30):
            office.relay.drop("CONNECT", times=n % 2)
            office.drain()
            office.later(400)

        assert {office.status(number) for number in ids} == {SENT}
        assert len(office.relay.mails) == 6
        assert {office.entry(number).mails3_delivery.attempts for number in ids} == {1}

    def test_a_trickling_relay_ends_the_run_in_time(self, office):
        """
            A relay whose reply comes byte by byte ends the run in time, and all mail leaves in
            the end
        """

        office.relay.slow("RCPT", 0.2)
        ids = office.queue(*users(5))
        office.hurry(reply_timeout=0.3)
        office.drain()

        assert office.state().status == TRIPPED
        assert {office.entry(number).mails3_delivery.attempts for number in ids} == {0}

        office.relay.reset()
        office.later(60)
        office.drain()
        assert {office.status(number) for number in ids} == {SENT}
        assert len(office.relay.mails) == 5

    def test_a_slow_relay_gets_a_long_list_in_parts(self, office):
        """ Recipients for whom the time was too short pay no attempt, and are next """

        office.relay.delay("RCPT", 0.06)
        addresses = users(25)
        office.queue(addresses)
        office.hurry(reply_timeout=0.3)

        office.drain()

        assert sorted(sum((mail.recipients for mail in office.relay.mails), [])) == addresses
        assert len(office.relay.mails) > 1
        assert {row.attempts for row in office.db(office.db.mails3_delivery).select()} == {1}

    def test_unanswered_content_leaves_a_doubt(self, office, monkeypatch):
        """ With in_doubt = hold, a message whose content was not answered is held """

        monkeypatch.setattr("mails3.smtp.deadlines.FINAL_REPLY_S", 0)
        office.relay.silence("BODY")
        anne = office.queue(ANNE)
        office.hurry(reply_timeout=0.3)

        office.drain(in_doubt="hold")

        assert office.status(anne) == DRAFT
        assert "In doubt" in office.entry(anne).mails3_delivery.reply

    def test_an_expired_mail_does_not_close_the_breaker(self, office, caplog):
        """ Only a reply of the relay closes the breaker, a message that has expired does not """

        office.relay.stop()
        office.queue(ANNE)
        office.drain()
        office.later(60)
        late = office.queue(BOB, expires=1, priority=0)
        office.db(office.db.mails3_message.expires_on != None).update(
                                                        expires_on="2000-01-01 00:00:00")
        office.db.commit()

        office.drain()

        assert office.status(late) == FAILED
        assert office.state().status == TRIPPED
        assert "sent again" not in caplog.text

    def test_a_suspected_message_is_last_in_the_retry_pass(self, office):
        """
            A message that the relay goes away over does not make each probe of the retry pass
            fail
        """

        office.relay.answer("RCPT", "451 4.2.1 Later")
        poison, anne, bob = office.queue(POISON, ANNE, BOB)
        office.drain()
        office.relay.reset()
        office.relay.drop("BODY", to=POISON)

        for _ in range(6):
            office.later(20000)
            office.retry()

        assert office.status(anne) == office.status(bob) == SENT

    def test_a_later_failure_does_not_repeat_a_refused_login(self, office):
        """ Another worker's failure does not have a refused login tried again """

        office.queue(ANNE)
        run = office.mail.channel().worker()
        run.channel.breaker.trip(LoginRefused("535"), "fingerprint", "login", run.now())
        run.channel.breaker.trip(RelayUnavailable("421"), "fingerprint", "login", run.now())
        office.later(3600)

        assert office.state().login_refused
        assert not run.channel.breaker.probe(office.state(), run.now())

# END =========================================================================
