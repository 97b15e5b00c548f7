"""
    The admin's verbs: what they do to the mail, and what they refuse
"""

from datetime import timedelta

import pytest

from mails3.clock import utcnow
from mails3.states import DEFERRED, DRAFT, FAILED, INVALID, NEW, SENT, UNSENT
from mails3.admin.operator import Operator, OperatorError

ANNE, BOB, NOBODY = "anne@example.org", "bob@example.org", "nobody@example.org"

# -----------------------------------------------------------------------------
@pytest.fixture
def postmaster(office):

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

    def test_what_is_held_is_not_sent_until_released(self, office, postmaster):
        """ By name: the next admin wants to know whom to ask """

        anne = office.queue(ANNE)

        assert postmaster.hold([anne]) == ([anne], {})
        office.db.commit()
        office.drain()
        assert office.status(anne) == DRAFT
        assert office.entry(anne).mails3_delivery.reply == "Held by Pat"

        assert postmaster.release([anne]) == ([anne], {})
        office.db.commit()
        office.drain()
        assert office.status(anne) == SENT

    def test_retry_means_now(self, office, postmaster):
        """ With the next drain, not with a retry pass; its attempts still count """

        office.relay.answer("RCPT", "451 4.3.0 Later", to=ANNE, times=1)
        anne = deferred(office)

        assert postmaster.retry([anne])[0] == [anne]
        office.db.commit()
        office.drain()
        delivery = office.entry(anne).mails3_delivery
        assert (delivery.attempts, delivery.queue) == (2, DEFERRED)

        postmaster.retry([anne])
        office.db.commit()
        office.drain()
        assert office.status(anne) == SENT

    def test_requeue_begins_again(self, office, postmaster):
        """ Attempts, retries and times are those of a new mail """

        office.configure(max_retries=1)
        office.relay.answer("RCPT", "550 5.1.1 No such user", times=1)
        anne = office.queue(ANNE)
        office.drain()
        assert office.status(anne) == INVALID

        assert postmaster.requeue([anne])[0] == [anne]
        office.db.commit()
        entry = office.entry(anne)
        assert (entry.msg_outbox.status, entry.msg_outbox.retries) == (UNSENT, 1)
        assert (entry.mails3_delivery.attempts, entry.mails3_delivery.deferred_on,
                entry.mails3_delivery.queue) == (0, None, NEW)

        office.drain()
        assert office.status(anne) == SENT

    def test_what_is_cancelled_is_given_up(self, office, postmaster):
        """ Also if it is on hold """

        anne, bob = office.queue(ANNE, BOB)
        postmaster.hold([bob])

        assert postmaster.cancel([anne, bob]) == ([anne, bob], {})
        office.db.commit()
        office.drain()
        assert (office.status(anne), office.status(bob)) == (FAILED, FAILED)
        assert office.entry(bob).mails3_delivery.reply == "Cancelled by Pat"
        assert office.relay.mails == []

    def test_a_verb_that_does_not_apply_says_why(self, office, postmaster):
        """ And does what it can to the others """

        sent = office.queue(ANNE)
        office.drain()
        new = office.queue(BOB)

        done, refused = postmaster.hold([sent, new, 99999])
        assert done == [new]
        assert refused == {sent: "It has been sent.", 99999: "There is no such mail."}
        for verb in (postmaster.release, postmaster.retry, postmaster.requeue,
                     postmaster.cancel):
            assert verb([sent])[0] == []
        assert "waiting" in postmaster.retry([office.queue(ANNE)])[1].popitem()[1]

    def test_what_is_being_handed_over_is_out_of_reach(self, office, postmaster):
        """ Nobody could say whether it is sent """

        anne = office.queue(ANNE)
        other = office.connection()
        courier = office.mailer(other)._run()
        now = courier.now()
        lease = courier.outbox.claim(NEW, 10, now, now + courier.lease_time)
        delivery, = courier.outbox.claimed(lease)
        courier.outbox.begin([delivery], now, now + courier.lease_time)
        other.commit()

        for verb in (postmaster.hold, postmaster.cancel, postmaster.requeue):
            assert verb([anne]) == ([], {anne: "It is being sent just now."})
        office.db.commit()
        assert office.status(anne) == UNSENT

        courier.outbox.sent([delivery], now)
        other.commit()
        other.close()
        assert office.status(anne) == SENT

    def test_what_is_only_claimed_can_be_held(self, office, postmaster):
        """ Its worker finds its claim gone, and leaves it alone """

        anne = office.queue(ANNE)
        other = office.connection()
        courier = office.mailer(other)._run()
        now = courier.now()
        lease = courier.outbox.claim(NEW, 10, now, now + courier.lease_time)
        delivery, = courier.outbox.claimed(lease)
        other.commit()

        assert postmaster.hold([anne])[0] == [anne]
        office.db.commit()

        assert not courier.outbox.begin([delivery], now, now + courier.lease_time)
        other.rollback()
        other.close()
        assert office.status(anne) == DRAFT

    def test_each_verb_leaves_a_line_in_the_log(self, office, postmaster, caplog):
        """ That says who did what to which mail """

        anne = deferred(office)
        for verb, word in ((postmaster.retry, "to be retried"), (postmaster.hold, "held"),
                           (postmaster.release, "released"), (postmaster.cancel, "cancelled"),
                           (postmaster.requeue, "requeued")):
            caplog.clear()
            verb([anne])
            assert caplog.messages == ["Mail to %s (number %s) is %s, by Pat." %
                                       (ANNE, anne, word)]

    def test_all_that_is_deferred_can_be_tried_now(self, office, postmaster):
        """ Past the limits of the retry pass, as somebody asks for it """

        numbers = [deferred(office, "user%s@example.org" % n) for n in range(3)]
        office.configure(retry_limit=1)

        assert postmaster.retry_all() == 3
        office.db.commit()
        office.drain()
        assert {office.status(number) for number in numbers} == {SENT}

# =============================================================================
class TestPause:
    """ While sending is paused, nothing is sent, whoever starts a run """

    def test_nothing_is_sent_until_resumed(self, office, postmaster):
        """ Not by a drain, not by a retry pass """

        refused = deferred(office)
        anne = office.queue(ANNE)
        office.relay.clear()
        postmaster.pause("Moving house")
        office.db.commit()

        office.drain()
        office.later(600)
        office.retry()
        assert office.relay.connections == 0

        postmaster.resume()
        office.db.commit()
        office.drain()
        office.later(60)
        office.retry()
        assert (office.status(anne), office.status(refused)) == (SENT, SENT)

    def test_it_ends_by_itself(self, office, postmaster):
        """ If an end was given """

        anne = office.queue(ANNE)
        postmaster.pause("Tea", utcnow() + timedelta(minutes=10))
        office.db.commit()

        office.drain()
        assert office.status(anne) == UNSENT

        office.later(660)
        office.drain()
        assert office.status(anne) == SENT

    def test_an_end_in_the_past_is_none(self, postmaster):
        """ That would be no pause """

        with pytest.raises(OperatorError):
            postmaster.pause("Tea", utcnow() - timedelta(minutes=1))

    def test_the_try_without_a_worker_is_paused_as_well(self, office, postmaster):
        """ The visitor's mail stays queued """

        office.configure(fallback="yes")
        postmaster.pause()
        office.db.commit()

        anne = office.queue(ANNE)

        assert office.status(anne) == UNSENT
        assert office.relay.connections == 0

    def test_what_is_claimed_but_not_begun_stays(self, office, postmaster):
        """ A run that has claimed a hundred does not send them first """

        office.queue(ANNE, BOB)
        courier = office.mail._run()
        send, sent = courier.transport.sending, []

        def send_one(*args):
            sent.append(args)
            other = office.connection()
            Operator(office.mailer(other), "Pat").pause()
            other.commit()
            other.close()
            return send(*args)

        courier.transport.sending = send_one
        courier.drain()

        assert len(sent) == len(office.relay.mails) == 1

    def test_no_worker_is_blamed_for_it(self, office, postmaster):
        """ Neither while it lasts nor right after it """

        office.queue(ANNE)
        office.drain()
        postmaster.pause()
        office.db.commit()
        office.later(3600)
        assert not office.mail._relay().is_idle(utcnow() - timedelta(seconds=300))

        postmaster.resume()
        assert not office.mail._relay().is_idle(utcnow() - timedelta(seconds=300))

    def test_resuming_asks_a_broken_relay_again(self, office, postmaster):
        """ Also one that refused the login, which is never tried again by itself """

        office.relay.login = ("shelter", "secret")
        office.mail.settings.login = "shelter:secret"
        office.relay.answer("AUTH", "535 5.7.8 Locked", times=1)
        anne = office.queue(ANNE)
        office.drain()
        office.later(3600)
        office.drain()
        assert office.state().login_refused

        postmaster.resume()
        office.db.commit()
        office.drain()
        assert office.status(anne) == SENT
        assert office.state().status == "closed"

# =============================================================================
class TestAttempts:
    """ Each attempt that was in vain can be read about """

    def test_they_are_kept_with_phase_code_and_words(self, office, postmaster):
        """ In their order; the one that worked needs none """

        anne = deferred(office)
        office.relay.answer("BODY", "452 4.2.2 Full", times=1)
        office.later(600)
        office.retry()
        office.later(1200)
        office.retry()

        entry = postmaster.report.entry(anne)
        attempts = postmaster.report.attempts(entry)
        assert [(row["phase"], row["code"], row["reply"]) for row in attempts] == \
               [("RCPT", 451, "4.3.0 Later"), ("end of data", 452, "4.2.2 Full")]
        assert entry["state"] == "sent"

    def test_a_hold_of_the_lane_is_none(self, office, postmaster):
        """ The mail was not at fault """

        office.relay.stop()
        anne = office.queue(ANNE)
        office.drain()
        office.relay.start()

        assert postmaster.report.attempts(postmaster.report.entry(anne)) == []

# =============================================================================
class TestTestMail:
    """ A test mail goes the way of all mail """

    def test_it_is_queued_first_in_rank(self, office, postmaster):
        """ And can be followed by its number """

        office.queue(BOB)
        number = postmaster.test(ANNE)
        office.db.commit()
        office.drain()

        assert office.status(number) == SENT
        assert office.relay.mails[0].recipients == [ANNE]

    def test_a_malformed_address_is_refused(self, postmaster):
        """ With the reason """

        with pytest.raises(OperatorError, match="Malformed address"):
            postmaster.test("anne")

# END =========================================================================
