"""
    The admin's verbs: their effect on mail, and when they are refused
"""

from datetime import timedelta

import pytest

from support.office import begin, claim, users
from support.transports import WatchedTransport

from mails3.clock import utcnow
from mails3.states import DEFERRED, DRAFT, FAILED, INVALID, NEW, SENT, UNSENT
from mails3.admin.operator import Operator, OperatorError

ANNE, BOB, NOBODY = "anne@example.org", "bob@example.org", "nobody@example.org"

# -----------------------------------------------------------------------------
@pytest.fixture
def operator(office):

    return Operator(office.mail, "Pat")

# -----------------------------------------------------------------------------
def deferred(office, address=ANNE):
    """ A mail that was refused for now """

    office.relay.answer("RCPT", "451 4.3.0 Later", to=address, times=1)
    number = office.queue(address)
    office.drain()
    return number

# =============================================================================
class TestOneMail:
    """ Each verb has its states, and leaves its line in the log """

    def test_a_held_mail_is_not_sent_until_released(self, office, operator):
        """ A held mail waits until it is released, and names the person who has held it """

        anne = office.queue(ANNE)

        assert operator.hold([anne]) == ([anne], {})
        office.db.commit()
        office.drain()
        assert office.status(anne) == DRAFT
        assert office.entry(anne).mails3_delivery.reply == "Held by Pat"

        assert operator.release([anne]) == ([anne], {})
        office.db.commit()
        office.drain()
        assert office.status(anne) == SENT

    def test_a_retried_mail_leaves_with_the_next_drain(self, office, operator):
        """ retry has the next drain send a deferred mail, and its attempts still count """

        office.relay.answer("RCPT", "451 4.3.0 Later", to=ANNE, times=1)
        anne = deferred(office)

        assert operator.retry([anne])[0] == [anne]
        office.db.commit()
        office.drain()
        delivery = office.entry(anne).mails3_delivery
        assert (delivery.attempts, delivery.queue) == (2, DEFERRED)

        operator.retry([anne])
        office.db.commit()
        office.drain()
        assert office.status(anne) == SENT

    def test_a_requeued_mail_begins_again(self, office, operator):
        """ requeue gives a mail the attempts, retries and times of a new one """

        office.configure(max_retries=1)
        office.relay.answer("RCPT", "550 5.1.1 No such user", times=1)
        anne = office.queue(ANNE)
        office.drain()
        assert office.status(anne) == INVALID

        assert operator.requeue([anne])[0] == [anne]
        office.db.commit()
        entry = office.entry(anne)
        assert (entry.msg_outbox.status, entry.msg_outbox.retries) == (UNSENT, 1)
        assert (entry.mails3_delivery.attempts, entry.mails3_delivery.deferred_on,
                entry.mails3_delivery.queue) == (0, None, NEW)

        office.drain()
        assert office.status(anne) == SENT

    def test_a_cancelled_mail_is_given_up(self, office, operator):
        """ A cancelled mail has failed, also if it was held before """

        anne, bob = office.queue(ANNE, BOB)
        operator.hold([bob])

        assert operator.cancel([anne, bob]) == ([anne, bob], {})
        office.db.commit()
        office.drain()
        assert (office.status(anne), office.status(bob)) == (FAILED, FAILED)
        assert office.entry(bob).mails3_delivery.reply == "Cancelled by Pat"
        assert office.relay.mails == []

    def test_a_verb_that_does_not_apply_says_why(self, office, operator):
        """ A verb that does not apply to one mail says why and acts on the others """

        sent = office.queue(ANNE)
        office.drain()
        new = office.queue(BOB)

        done, refused = operator.hold([sent, new, 99999])
        assert done == [new]
        assert refused == {sent: "It has been sent.", 99999: "There is no such mail."}
        for verb in (operator.release, operator.retry, operator.requeue,
                     operator.cancel):
            assert verb([sent])[0] == []
        assert "waiting" in operator.retry([office.queue(ANNE)])[1].popitem()[1]

    def test_a_mail_being_sent_is_out_of_reach(self, office, operator):
        """ No verb applies to a mail while the relay is getting it """

        anne = office.queue(ANNE)
        other = office.connection()
        worker = office.mailer(other).channel().worker()
        delivery, = claim(worker)
        begin(worker, [delivery])
        other.commit()

        for verb in (operator.hold, operator.cancel, operator.requeue):
            assert verb([anne]) == ([], {anne: "It is being sent just now."})
        office.db.commit()
        assert office.status(anne) == UNSENT

        worker.channel.transitions.mark_sent([delivery], worker.now())
        other.commit()
        other.close()
        assert office.status(anne) == SENT

    def test_a_claimed_mail_can_be_held(self, office, operator):
        """ A mail that is claimed and not begun can be held, and its worker leaves it alone """

        anne = office.queue(ANNE)
        other = office.connection()
        worker = office.mailer(other).channel().worker()
        delivery, = claim(worker)
        other.commit()

        assert operator.hold([anne])[0] == [anne]
        office.db.commit()

        assert not begin(worker, [delivery])
        other.rollback()
        other.close()
        assert office.status(anne) == DRAFT

    def test_a_mail_that_is_held_after_its_claim_ends_no_run(self, office):
        """ A run goes on with the other mails if the first one is held after its claim """

        first, *others = office.queue(*users(4))

        def hold_the_first():
            office.db(office.db.msg_outbox.id == first).update(status=DRAFT)
            office.db.commit()

        transport = WatchedTransport(office.mail, before_open=hold_the_first)
        office.mail.channel().worker(transport=transport).drain()

        assert office.status(first) == DRAFT
        assert {office.status(number) for number in others} == {SENT}

    def test_each_verb_leaves_a_line_in_the_log(self, office, operator, caplog):
        """ The log says who did what to which mail """

        anne = deferred(office)
        for verb, word in ((operator.retry, "to be retried"), (operator.hold, "held"),
                           (operator.release, "released"), (operator.cancel, "cancelled"),
                           (operator.requeue, "requeued")):
            caplog.clear()
            verb([anne])
            assert caplog.messages == ["Mail to %s (number %s) is %s, by Pat." %
                                       (ANNE, anne, word)]

    def test_all_deferred_mail_can_be_tried_now(self, office, operator):
        """ flush sends all deferred mail, past the limits of the retry pass """

        numbers = [deferred(office, "user%s@example.org" % n) for n in range(3)]
        office.configure(retry_limit=1)

        assert operator.retry_all() == 3
        office.db.commit()
        office.drain()
        assert {office.status(number) for number in numbers} == {SENT}

# =============================================================================
class TestPause:
    """ While sending is paused, nobody sends anything """

    def test_a_paused_site_sends_nothing_until_resumed(self, office, operator):
        """ Neither a drain nor a retry pass sends anything until sending is resumed """

        refused = deferred(office)
        anne = office.queue(ANNE)
        office.relay.clear()
        operator.pause("Moving house")
        office.db.commit()

        office.drain()
        office.later(600)
        office.retry()
        assert office.relay.connections == 0

        operator.resume()
        office.db.commit()
        office.drain()
        office.later(60)
        office.retry()
        assert (office.status(anne), office.status(refused)) == (SENT, SENT)

    def test_a_pause_ends_at_its_time(self, office, operator):
        """ A pause with an end is over when its time has come """

        anne = office.queue(ANNE)
        operator.pause("Tea", utcnow() + timedelta(minutes=10))
        office.db.commit()

        office.drain()
        assert office.status(anne) == UNSENT

        office.later(660)
        office.drain()
        assert office.status(anne) == SENT

    def test_a_pause_can_not_end_in_the_past(self, operator):
        """ A pause whose end has passed is refused """

        with pytest.raises(OperatorError):
            operator.pause("Tea", utcnow() - timedelta(minutes=1))

    def test_the_fallback_is_paused_as_well(self, office, operator):
        """ While sending is paused, a visitor's mail stays queued without a worker as well """

        office.configure(fallback="yes")
        operator.pause()
        office.db.commit()

        anne = office.queue(ANNE)

        assert office.status(anne) == UNSENT
        assert office.relay.connections == 0

    def test_a_pause_stops_claimed_mail(self, office, operator):
        """ A run that has claimed a hundred messages sends none of them after the pause """

        office.queue(ANNE, BOB)

        def pause(outgoing):
            other = office.connection()
            Operator(office.mailer(other), "Pat").pause()
            other.commit()
            other.close()

        transport = WatchedTransport(office.mail, before=pause)
        office.mail.channel().worker(transport=transport).drain()

        assert len(office.relay.mails) == 1

    def test_a_pause_looks_like_no_hanging_worker(self, office, operator):
        """ No worker counts as hanging while sending is paused, nor right after it """

        office.queue(ANNE)
        office.drain()
        operator.pause()
        office.queue(BOB)
        office.later(3600)
        activity, now = office.mail.channel().activity, utcnow()
        assert not activity.is_neglected(now - timedelta(seconds=300), now)

        operator.resume()
        assert not activity.is_neglected(now - timedelta(seconds=300), now)

    def test_resuming_asks_a_broken_relay_again(self, office, operator):
        """ resume has a tripped breaker probed at once, also after a refused login """

        office.relay.login = ("shelter", "secret")
        office.mail.settings.login = "shelter:secret"
        office.relay.answer("AUTH", "535 5.7.8 Locked", times=1)
        anne = office.queue(ANNE)
        office.drain()
        office.later(3600)
        office.drain()
        assert office.state().login_refused

        operator.resume()
        office.db.commit()
        office.drain()
        assert office.status(anne) == SENT
        assert office.state().status == "closed"

# =============================================================================
class TestAttempts:
    """ Each failed attempt can be read about """

    def test_failed_attempts_are_kept_with_phase_code_and_words(self, office, operator):
        """ Failed attempts are listed in their order, a successful one is not """

        anne = deferred(office)
        office.relay.answer("BODY", "452 4.2.2 Full", times=1)
        office.later(600)
        office.retry()
        office.later(1200)
        office.retry()

        entry = operator.report.entry(anne)
        attempts = operator.report.attempts(entry)
        assert [(row["phase"], row["code"], row["reply"]) for row in attempts] == \
               [("RCPT", 451, "4.3.0 Later"), ("end of data", 452, "4.2.2 Full")]
        assert entry["state"] == "sent"

    def test_a_tripped_breaker_adds_no_attempt(self, office, operator):
        """ A tripped breaker adds no attempt to a mail's history """

        office.relay.stop()
        anne = office.queue(ANNE)
        office.drain()
        office.relay.start()

        assert operator.report.attempts(operator.report.entry(anne)) == []

# =============================================================================
class TestTestMail:
    """ A test mail goes the way of all mail """

    def test_a_test_mail_is_queued_first(self, office, operator):
        """ A test mail is queued with the highest priority and can be followed by its number """

        office.queue(BOB)
        number = operator.test(ANNE)
        office.db.commit()
        office.drain()

        assert office.status(number) == SENT
        assert office.relay.mails[0].recipients == [ANNE]

    def test_a_malformed_address_is_refused(self, operator):
        """ A test mail to a malformed address is refused with a reason """

        with pytest.raises(OperatorError, match="Malformed address"):
            operator.test("anne")

# END =========================================================================
