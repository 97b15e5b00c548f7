"""
    The scope of a failure: relay, or one message
"""

import ssl

from datetime import timedelta

import pytest

from support.clock import SleeplessClock
from support.office import attempts, named, users, worker_that_commits
from support.transports import WatchedTransport

from mails3.clock import utcnow
from mails3.policy import is_in_doubt
from mails3.replies import BODY, MAIL, RCPT, STARTTLS, ConfigurationFailure, Reply, classify
from mails3.smtp.dialogue import Dialogue
from mails3.smtp.envelope import Envelope
from mails3.smtp.errors import translated
from mails3.smtp.server import Server
from mails3.smtp.session import Session
from mails3.states import DRAFT, FAILED, INVALID, SENT, UNSENT

ANNE, BOB, ODD = "anne@example.org", "bob@example.org", "odd@example.org"

# =============================================================================
class TestOddRecipient:
    """ A relay that closes the connection over one recipient delays nobody else """

    @pytest.fixture(params=["421 4.3.2 Not now, closing", "drop", "500 5.5.2 What?"])
    def odd(self, request, office):
        """ The office, with a relay that goes away over ODD, and over nobody else """

        if request.param == "drop":
            office.relay.drop("RCPT", to=ODD)
        else:
            office.relay.answer("RCPT", request.param, to=ODD)
        return office

    def test_an_odd_recipient_does_not_delay_the_others(self, odd):
        """ One drain sends all other mail, and the breaker stays closed """

        odd_one = odd.queue(ODD)
        others = odd.queue(*users(5))

        odd.drain()

        assert {odd.status(number) for number in others} == {SENT}
        assert odd.state().status == "closed"
        # Once it may have been the relay; the second time is its own attempt
        assert attempts(odd, odd_one) == 1
        assert named(odd.relay, ODD) == 2

    def test_an_odd_recipient_is_given_up_in_the_end(self, odd):
        """
            A recipient over which the relay always goes away fails in the end, also alone in
            the queue
        """

        odd.given["max_retries"] = 2
        odd_one = odd.queue(ODD)

        odd.drain()
        for _ in range(3):
            odd.later(20000)
            odd.retry()

        assert odd.status(odd_one) == FAILED
        assert attempts(odd, odd_one) == 3
        assert odd.state().status == "closed"

    def test_an_odd_recipient_does_not_delay_those_of_its_own_message(self, odd):
        """ The other recipients of the same message get it with the same drain """

        odd.queue([ANNE, ODD, BOB])

        odd.drain()

        got = [address for mail in odd.relay.mails for address in mail.recipients]
        assert sorted(got) == [ANNE, BOB]

# =============================================================================
class TestProbe:
    """ Each probe of a relay that takes nothing uses another message """

    def test_the_same_failure_of_two_messages_trips_the_breaker(self, office):
        """ The same failure of two messages trips the breaker, and costs neither an attempt """

        office.relay.answer("MAIL", "421 4.3.2 Going down")
        ids = office.queue(*users(20))

        office.drain(sessions=1)

        assert office.state().status == "tripped"
        assert {attempts(office, number) for number in ids} == {0}
        assert sum(verb == "MAIL" for _, verb, _ in office.relay.commands) == 2

    def test_each_probe_takes_another_message(self, office):
        """ No message keeps the breaker tripped, because each probe takes another one """

        office.relay.answer("RCPT", "421 4.3.2 Going down")
        office.queue(*users(6))
        for _ in range(5):
            office.drain(sessions=1)
            office.later(400)

        assert {named(office.relay, address) for address in users(6)} == {1}

    def test_a_long_outage_gives_up_no_mail(self, small_office):
        """ No message is given up in an outage, however often it has been the probe """

        office = small_office
        office.configure(max_retries=1)
        office.relay.answer("MAIL", "421 4.3.2 Going down")
        ids = office.queue(*users(3))

        for _ in range(20):
            office.drain()
            office.retry()
            office.later(600)

        assert {attempts(office, number) for number in ids} == {0}
        office.relay.reset()
        office.drain()
        assert {office.status(number) for number in ids} == {SENT}

    def test_a_busy_database_leaves_no_breaker_tripped(self, small_office):
        """ An accepted probe closes the breaker although its first commit has failed """

        office = small_office
        office.relay.answer("MAIL", "421 4.3.2 Going down")
        ids = office.queue(*users(4))
        office.drain()
        office.relay.reset()
        office.later(400)
        breaker, failed = office.mail.channel().breaker, []

        def fail_to_close_once():
            if not failed and breaker.read().status == "closed":
                failed.append(True)
                raise RuntimeError("database is locked")
            office.db.commit()

        clock = SleeplessClock()
        worker_that_commits(office, fail_to_close_once, clock=clock, sleep=clock.sleep).drain()

        assert failed
        assert office.state().status == "closed"
        assert {office.status(number) for number in ids} == {SENT}

# =============================================================================
class TestAnswers:
    """ A reply of the relay counts, whatever the relay does after it """

    def test_refusals_count_although_the_relay_hangs_up(self, office):
        """
            Valid recipients get their mail from a server that hangs up after 20 refused ones,
            as Postfix does
        """

        dead, living = users(25, "dead"), users(35, "live")
        for address in dead:
            office.relay.answer("RCPT", "550 5.1.1 User unknown", to=address)
        office.relay.answer("RCPT", "421 4.7.0 Error: too many errors", to=dead[20], times=1)
        ids = office.db(office.db.msg_outbox)
        assert office.mail.send(living[:1] + dead + living[1:], "News", "There is news.")
        office.db.commit()

        office.drain()

        rows = {row.address: row.status for row in ids.select()}
        assert {rows[address] for address in dead} == {INVALID}
        assert {rows[address] for address in living} == {SENT}
        assert {named(office.relay, address) for address in dead[:20]} == {1}
        assert office.state().status == "closed"

    @pytest.mark.parametrize("reply", ["451 4.3.0 Later", "554 5.6.0 Never"])
    def test_refused_content_leaves_refused_recipients_alone(self, small_office,
                                                             reply):
        """ A refused recipient keeps its own reply when the content is refused afterwards """

        office = small_office
        office.relay.answer("RCPT", "550 5.1.1 User unknown", to=BOB)
        office.relay.answer("BODY", reply)
        office.queue([ANNE, BOB])
        anne, bob = [row.id for row in office.db(office.db.msg_outbox).select()]

        office.drain()

        assert office.status(bob) == INVALID
        assert "User unknown" in office.entry(bob).mails3_delivery.reply
        assert reply in office.entry(anne).mails3_delivery.reply

    @pytest.mark.parametrize("reply", ["452 4.5.3 Too many recipients", "452 Too many",
                                       "550 5.5.3 Too many recipients",
                                       "552 Too many recipients"])
    def test_recipients_beyond_the_limit_go_in_the_next_transaction(self, office, reply):
        """
            Recipients over the server's limit for a transaction get the message in a further
            one, at no cost of an attempt
        """

        for address in users(10)[5:]:
            office.relay.answer("RCPT", reply, to=address, times=1)
        office.queue(users(10))

        office.drain()

        assert [mail.recipients for mail in office.relay.mails] == [users(10)[:5],
                                                                    users(10)[5:]]
        assert {row.attempts for row in office.db(office.db.mails3_delivery).select()} == {1}

    def test_a_recipient_that_is_one_too_many_alone_is_deferred(self, small_office):
        """ A message whose only recipient is one too many pays an attempt and is deferred """

        small_office.relay.answer("RCPT", "452 4.5.3 Too many recipients")
        anne = small_office.queue(ANNE)

        small_office.drain()

        assert (small_office.status(anne), attempts(small_office, anne)) == (UNSENT, 1)

    @pytest.mark.parametrize("reply", ["421 4.3.2 Going down", "452 4.3.1 Full"])
    def test_a_refused_message_is_not_in_doubt(self, small_office, reply):
        """ A refusal after the content leaves no doubt, also with in_doubt = hold """

        small_office.relay.answer("BODY", reply, times=1)
        anne = small_office.queue(ANNE)

        small_office.drain(in_doubt="hold")

        assert small_office.status(anne) == SENT

    def test_control_characters_in_a_reply_end_no_run(self, office):
        """
            A reply with NUL (which PostgreSQL refuses) or ESC (which terminals obey) ends no
            run
        """

        office.relay.answer("RCPT", "550 5.1.1 No\0such \x1b[31muser\x07", to=ODD)
        odd, anne = office.queue(ODD, ANNE)

        office.drain()

        assert (office.status(odd), office.status(anne)) == (INVALID, SENT)
        assert office.entry(odd).mails3_delivery.reply == "RCPT: 550 5.1.1 No such [31muser"

# -----------------------------------------------------------------------------
def broken_worker(office):
    """ A worker whose code fails over one mail """

    def fail(outgoing):
        if ODD in outgoing.recipients:
            raise AttributeError("sock")

    return office.mail.channel().worker(transport=WatchedTransport(office.mail, during=fail))

# =============================================================================
class TestInternalFailure:
    """ An exception of our own code """

    def test_an_exception_of_ours_rejects_no_mail(self, small_office):
        """
            A message over which our code raises an exception is tried again, and the others go
            out
        """

        office = small_office
        odd, anne = office.queue(ODD, ANNE)

        broken_worker(office).drain()

        assert (office.status(odd), office.status(anne)) == (UNSENT, SENT)
        assert "AttributeError" in office.entry(odd).mails3_delivery.reply

    def test_a_repeated_exception_of_ours_holds_the_message(self, small_office):
        """ A message over which our code fails each time is held, not rejected and not given up """

        office = small_office
        office.configure(max_retries=1)
        odd = office.queue(ODD)
        broken_worker(office).drain()
        office.later(20000)
        broken_worker(office).retry()

        assert office.status(odd) == DRAFT

# =============================================================================
class TestRun:
    """ Others can see how a run is doing """

    def test_a_live_run_keeps_its_heartbeat(self, office):
        """ A run with slow messages does not look like a worker that hangs """

        office.queue(*users(6))
        start = office.clock = utcnow()

        def take_time(outgoing):
            office.clock += timedelta(seconds=100)

        transport = WatchedTransport(office.mail, before=take_time)
        office.mail.channel().worker(transport=transport, now=lambda: office.clock).drain()

        assert office.state().drained_on >= start + timedelta(seconds=200)

    def test_a_slow_answer_to_the_content_is_waited_for(self, small_office):
        """
            A slow reply to the content is waited for without a worker as well, and the message
            arrives once
        """

        office = small_office
        office.relay.delay("BODY", 0.7)
        office.configure(fallback="yes", reply_timeout=10)
        office.hurry(fallback_timeout=0.5)
        anne = office.queue(ANNE)

        assert office.status(anne) == SENT
        assert len(office.relay.mails) == 1
        assert office.state().status == "closed"

    @pytest.mark.parametrize("given", [{"priority": 0}, {"secret": True}])
    def test_the_deferred_queue_goes_by_priority(self, office, given):
        """ A deferred message of high priority is sent before deferred newsletters """

        office.relay.answer("RCPT", "450 4.7.1 Greylisted")
        office.queue(*users(5))
        office.queue(ANNE, **given)
        office.drain()
        office.relay.reset()
        office.relay.clear()
        office.later(20000)

        office.retry(retry_limit=1)

        assert [mail.recipients for mail in office.relay.mails] == [[ANNE]]

# -----------------------------------------------------------------------------
def test_tls_failure_after_the_content_leaves_a_doubt():
    """ A TLS failure after the content is no configuration failure, and the message is in doubt """

    error = ssl.SSLError(1, "bad record mac")
    error.reason = "SSLV3_ALERT_BAD_RECORD_MAC"

    code, text, kind = translated(BODY, error)
    assert kind is None and is_in_doubt(classify(Reply(BODY, code, text)))
    *_, kind = translated(STARTTLS, error)
    assert kind is ConfigurationFailure

# -----------------------------------------------------------------------------
def test_accepted_recipients_are_in_doubt_after_pipelined_content():
    """
        A relay that falls silent after pipelined content leaves its accepted recipients in
        doubt
    """

    dialogue = Dialogue(Envelope("a@example.org", [ANNE, BOB], "Text"),
                        {"pipelining": "", "chunking": ""}).hand_over(lambda: False)
    phases = [phase for phase, _ in next(dialogue)]
    replies = [Reply(MAIL, 250, "OK"), Reply(RCPT, 250, "OK"),
               Reply(RCPT, None, "Connection closed"), Reply(BODY, None, "Connection closed")]
    assert phases == [MAIL, RCPT, RCPT, BODY]

    with pytest.raises(StopIteration) as end:
        dialogue.send(replies)

    assert {recipient: is_in_doubt(error) for recipient, error
            in end.value.value.items()} == {ANNE: True, BOB: True}

# -----------------------------------------------------------------------------
def test_closing_a_session_never_raises(relay):
    """ Closing a session raises nothing, also if the relay has closed it first """

    ours = Session(Server(relay.host, relay.port), 1)
    ours.open(5)
    # QUIT meets EPIPE
    ours.client.connection.sock.shutdown(1)

    ours.close()

    assert ours.client is None

# END =========================================================================
