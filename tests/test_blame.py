"""
    Whose fault a trouble is: the configuration's, the relay's, or that of the
    one message over which it came up
"""

import ssl

import pytest

from conftest import FakeRelay, Office

from mails3.smtp.dialogue import Dialogue, Envelope
from mails3.states import DRAFT, FAILED, INVALID, SENT, UNSENT
from mails3.policy import BODY, MAIL, RCPT, STARTTLS, ConfigurationFailure, RelayUnavailable, \
                          Reply, classify, is_in_doubt
from mails3.smtp.session import Server, Session

ANNE, BOB, ODD = "anne@example.org", "bob@example.org", "odd@example.org"

# What servers say when they refuse the site, and not a recipient; where it is
# told, and what becomes of a mail that has a sender of its own
REFUSALS_OF_THE_SENDER = [
    # Postfix, with smtpd_delay_reject as by default
    ("RCPT", "553 5.7.1 <a@example.org>: Sender address rejected: not owned by user shelter"),
    ("RCPT", "553 5.7.1 <a@example.org>: Sender address rejected: not logged in"),
    ("RCPT", "550 5.1.8 <a@example.org>: Sender address rejected: Domain not found"),
    ("RCPT", "450 4.1.8 <a@example.org>: Sender address rejected: Domain not found"),
    # Exim
    ("RCPT", "550 Sender verify failed"),
    # Exchange Online
    ("BODY", "550 5.7.60 SMTP; Client does not have permissions to send as this sender"),
    ("BODY", "554 5.2.252 SendAsDenied; a@example.org not allowed to send as b@example.org"),
    ("BODY", "550 5.1.8 Access denied, bad outbound sender"),
    # Amazon SES, SendGrid
    ("BODY", "554 Message rejected: Email address is not verified."),
    ("BODY", "550 The from address does not match a verified Sender Identity."),
    # Zoho
    ("RCPT", "553 Relaying disallowed as a@example.org"),
    ]
REFUSALS_OF_THE_CLIENT = [
    ("RCPT", "554 5.7.1 <anne@example.org>: Relay access denied"),
    ("RCPT", "454 4.7.1 <anne@example.org>: Relay access denied"),
    ("RCPT", "550 relay not permitted"),
    ("RCPT", "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain"),
    ("RCPT", "554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied"),
    ("DATA", "421 Domain example.org is not allowed to send: Free accounts are limited"),
    ("BODY", "550 5.4.5 Daily user sending limit exceeded."),
    ("RCPT", "450 Mail send limit exceeded."),
    ("BODY", "554 5.7.1 Your account has been suspended"),
    ]

# -----------------------------------------------------------------------------
def named(relay, address):
    """ How often a recipient was named to the relay """

    return sum(verb == "RCPT" and "<%s>" % address in argument
               for _, verb, argument in relay.commands)

def attempts(office, number):
    """ How many attempts a delivery has been charged with """

    return office.entry(number).mails3_delivery.attempts

def users(number, name="user"):
    """ So many addresses """

    return ["%s%02d@example.org" % (name, n) for n in range(number)]

# =============================================================================
class TestOddRecipient:
    """ A relay that goes away over one recipient """

    @pytest.fixture(params=["421 4.3.2 Not now, closing", "drop", "500 5.5.2 What?"])
    def odd(self, request, office):
        """ The office, with a relay that goes away over ODD, and over nobody else """

        if request.param == "drop":
            office.relay.drop("RCPT", to=ODD)
        else:
            office.relay.answer("RCPT", request.param, to=ODD)
        return office

    def test_an_odd_recipient_does_not_delay_the_others(self, odd):
        """ One drain sends all other mail, and the breaker does not trip """

        odd_one = odd.queue(ODD)
        others = odd.queue(*users(5))

        odd.drain()

        assert {odd.status(number) for number in others} == {SENT}
        assert odd.state().status == "closed"
        # Once it may have been the relay; the second time is its own attempt
        assert attempts(odd, odd_one) == 1
        assert named(odd.relay, ODD) == 2

    def test_an_odd_recipient_is_given_up_in_the_end(self, odd):
        """ Alone in the queue as well: each further attempt is counted """

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
        """ The others on the list get it with the same drain """

        odd.queue([ANNE, ODD, BOB])

        odd.drain()

        got = [address for mail in odd.relay.mails for address in mail.recipients]
        assert sorted(got) == [ANNE, BOB]

# =============================================================================
class TestProbe:
    """ A relay that takes nothing is asked again, each time for another message """

    def test_two_messages_that_meet_the_same_trip_the_breaker(self, office):
        """ Then the relay is to blame, and no message pays for it """

        office.relay.answer("MAIL", "421 4.3.2 Going down")
        ids = office.queue(*users(20))

        office.drain(sessions=1)

        assert office.state().status == "tripped"
        assert {attempts(office, number) for number in ids} == {0}
        assert sum(verb == "MAIL" for _, verb, _ in office.relay.commands) == 2

    def test_each_probe_takes_another_message(self, office):
        """ So that no message can keep the breaker tripped """

        office.relay.answer("RCPT", "421 4.3.2 Going down")
        office.queue(*users(6))
        for _ in range(5):
            office.drain(sessions=1)
            office.later(400)

        assert {named(office.relay, address) for address in users(6)} == {1}

    def test_an_outage_that_lasts_gives_up_no_mail(self, small_office):
        """ However often each message has been the probe """

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

    def test_a_database_that_is_busy_for_a_moment_leaves_no_breaker_tripped(self,
                                                                            small_office):
        """ The probe was accepted, only its commit has failed once """

        office = small_office
        office.relay.answer("MAIL", "421 4.3.2 Going down")
        ids = office.queue(*users(4))
        office.drain()
        office.relay.reset()
        office.later(400)
        run = office.mail._run()
        run.sleep = lambda seconds: None
        opened, commit, failed = run.relay.open, run.commit, []

        def open_and_fail(*args):
            failed.append(False)
            return opened(*args)

        def fail_once():
            if failed == [False]:
                failed.append(True)
                raise RuntimeError("database is locked")
            commit()

        run.relay.open, run.commit = open_and_fail, fail_once
        run.drain()

        assert True in failed
        assert office.state().status == "closed"
        assert {office.status(number) for number in ids} == {SENT}

# =============================================================================
class TestAnswers:
    """ What the relay has answered counts, whatever it does after that """

    def test_refusals_count_although_the_relay_hangs_up(self, office):
        """ A Postfix does so after 20 of them: the living still get their mail """

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
    def test_a_refused_content_leaves_the_refused_recipients_as_they_are(self, small_office,
                                                                         reply):
        """ Each delivery has the words that were said to it """

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
    def test_recipients_beyond_a_transaction_go_in_the_next_one(self, office, reply):
        """ RFC 3463: in several messages; it costs no attempt """

        for address in users(10)[5:]:
            office.relay.answer("RCPT", reply, to=address, times=1)
        office.queue(users(10))

        office.drain()

        assert [mail.recipients for mail in office.relay.mails] == [users(10)[:5],
                                                                    users(10)[5:]]
        assert {row.attempts for row in office.db(office.db.mails3_delivery).select()} == {1}

    def test_a_relay_that_takes_no_recipient_at_all_is_asked_later(self, small_office):
        """ Where not even one fits into a transaction, smaller ones are no help """

        small_office.relay.answer("RCPT", "452 4.5.3 Too many recipients")
        anne = small_office.queue(ANNE)

        small_office.drain()

        assert (small_office.status(anne), attempts(small_office, anne)) == (UNSENT, 1)

    @pytest.mark.parametrize("reply", ["421 4.3.2 Going down", "452 4.3.1 Full"])
    def test_what_the_relay_has_explicitly_refused_is_not_in_doubt(self, small_office, reply):
        """ With in_doubt = hold as well: an answer after the dot is an answer """

        small_office.relay.answer("BODY", reply, times=1)
        anne = small_office.queue(ANNE)

        small_office.drain(in_doubt="hold")

        assert small_office.status(anne) == SENT

    def test_words_with_control_characters_end_no_run(self, office):
        """ A NUL, which PostgreSQL refuses, or an ESC, which terminals obey """

        office.relay.answer("RCPT", "550 5.1.1 No\0such \x1b[31muser\x07", to=ODD)
        odd, anne = office.queue(ODD, ANNE)

        office.drain()

        assert (office.status(odd), office.status(anne)) == (INVALID, SENT)
        assert office.entry(odd).mails3_delivery.reply == "RCPT: 550 5.1.1 No such [31muser"

# =============================================================================
class TestConfiguration:
    """ A relay that refuses the site, at whatever point it says so """

    @pytest.mark.parametrize("step, reply", REFUSALS_OF_THE_SENDER + REFUSALS_OF_THE_CLIENT)
    def test_a_refusal_of_the_site_costs_no_message_anything(self, small_office, step, reply):
        """ The breaker trips, and all mail leaves by itself after the repair """

        office = small_office
        office.relay.answer(step, reply)
        ids = office.queue(*users(20))

        for _ in range(3):
            office.drain()
            office.later(400)

        assert office.state().status == "tripped"
        assert {office.status(number) for number in ids} == {UNSENT}
        assert {attempts(office, number) for number in ids} == {0}

        office.relay.reset()
        office.drain()
        assert {office.status(number) for number in ids} == {SENT}

    @pytest.mark.parametrize("step, reply", REFUSALS_OF_THE_SENDER[:1] +
                             REFUSALS_OF_THE_CLIENT[:1])
    def test_a_single_mail_is_enough_to_tell(self, office, step, reply):
        """ There is no other message to try, and the words are clear """

        office.relay.answer(step, reply)
        anne = office.queue(ANNE)

        office.drain()

        assert (office.state().status, office.state().cause) == ("tripped", "configuration")
        assert (office.status(anne), attempts(office, anne)) == (UNSENT, 0)

    @pytest.mark.parametrize("step, reply", REFUSALS_OF_THE_SENDER)
    def test_a_sender_given_in_the_call_is_the_fault_of_that_message(self, small_office, step,
                                                                     reply):
        """ It holds up nobody else's mail """

        office = small_office
        office.relay.answer(step, reply, to=ODD)
        odd = office.queue(ODD, sender="visitor@elsewhere.example")
        anne = office.queue(ANNE)

        office.drain()

        assert office.status(anne) == SENT
        assert office.state().status == "closed"
        assert office.status(odd) == (UNSENT if reply.startswith("4") else INVALID)

    @pytest.mark.parametrize("step, reply", REFUSALS_OF_THE_CLIENT[:1])
    def test_a_repair_that_is_none_costs_no_message_anything(self, small_office, step, reply):
        """ Another configuration is not yet one that works """

        office = small_office
        office.relay.answer(step, reply)
        ids = office.queue(*users(6))
        for _ in range(4):
            office.drain()
            office.later(400)

        office.mail.settings.hostname = "other.example.org"
        for _ in range(8):
            office.drain()
            office.later(400)

        assert {office.status(number) for number in ids} == {UNSENT}
        assert {attempts(office, number) for number in ids} == {0}

    def test_a_quota_that_frees_itself_drop_by_drop_rejects_no_mail(self, small_office):
        """ What was refused before a mail was accepted, and is refused after it """

        office, reply = small_office, "550 5.4.5 Daily user sending limit exceeded."
        office.relay.answer("RCPT", reply)
        ids = office.queue(*users(6))
        for _ in range(8):
            office.drain()
            office.later(400)

        office.relay.answer("RCPT", "250 OK", times=1)
        for _ in range(5):
            office.drain()
            office.later(400)

        assert sum(office.status(number) == SENT for number in ids) == 1
        assert {office.status(number) for number in ids} == {SENT, UNSENT}
        assert sum(attempts(office, number) for number in ids) <= 2

    def test_an_incident_that_lasts_is_logged_once(self, small_office, caplog):
        """ Also when more than ten probes have met it """

        office = small_office
        office.relay.answer("RCPT", "554 5.7.1 Relay access denied")
        office.queue(*users(6))

        for _ in range(15):
            office.drain()
            office.later(400)

        assert caplog.text.count("Mail is held") == 1
        assert office.state().cause == "configuration"
        assert "Relay access denied" in office.state().reason

    def test_what_trips_the_breaker_is_what_the_admin_is_told(self, small_office, caplog):
        """ And not, after it, what another message had met before """

        office = small_office
        office.relay.answer("RCPT", "554 5.7.1 Relay access denied")
        office.queue(ANNE, BOB)
        run = office.mail._run()
        opened, calls = run.transport.open, []

        def open_once(*args):
            calls.append(args)
            if len(calls) > 1:
                raise RelayUnavailable("Connection refused")
            return opened(*args)

        run.transport.open, run.transport.ready = open_once, lambda number: 0
        run.drain()

        assert caplog.text.count("Mail is held") == 1
        assert office.state().reason == "Connection refused"

    def test_a_refusal_beside_mail_that_is_accepted_holds_nothing(self, small_office):
        """ Several sessions: the last of many mails, in one round with others """

        office = small_office
        office.relay.answer("RCPT", "554 5.7.1 Relay access denied", to=ODD)
        ids = office.queue(*users(20), ODD)

        office.drain(sessions=3)

        assert office.state().status == "closed"
        assert (office.status(ids[-1]), attempts(office, ids[-1])) == (UNSENT, 1)

    def test_names_without_a_dot_trip_no_breaker(self, small_office):
        """ Postfix refuses them by a code for a relay that is out of step """

        office = small_office
        for address in ("a@foo", "b@bar"):
            office.relay.answer("RCPT", "504 5.5.2 <%s>: Recipient address rejected: need "
                                        "fully-qualified address" % address, to=address)
        ids = office.queue("a@foo", "b@bar", ANNE)

        office.drain()

        assert [office.status(number) for number in ids] == [INVALID, INVALID, SENT]
        assert office.state().status == "closed"

    def test_a_relay_that_is_for_some_recipients_only_takes_theirs(self, office):
        """ A refusal that others do not meet is that recipient's, the second time """

        office.relay.answer("RCPT", "554 5.7.1 Relay access denied", to=ODD)
        odd = office.queue(ODD)
        others = office.queue(*users(5))

        office.drain()

        assert {office.status(number) for number in others} == {SENT}
        # Not rejected: it may have come back for all
        assert (office.status(odd), attempts(office, odd)) == (UNSENT, 1)
        assert office.state().status == "closed"

    def test_a_refusal_of_the_site_that_comes_back_rejects_nothing(self, small_office):
        """ Though a mail was accepted between: the account is suspended once more """

        office = small_office
        office.relay.answer("BODY", "554 5.7.1 Your account has been suspended")
        ids = office.queue(*users(6))
        for _ in range(4):
            office.drain(sessions=1)
            office.later(400)

        office.relay.answer("BODY", "250 2.0.0 OK", times=1)
        for _ in range(4):
            office.drain()
            office.later(400)

        assert sorted(office.status(number) for number in ids) == [UNSENT] * 5 + [SENT]

    @pytest.mark.parametrize("reply", ["550 5.7.1 No", "450 4.7.0 No"])
    def test_ten_refusals_in_a_row_are_an_incident(self, office, reply, caplog):
        """ Whatever the words: the admin is told, and the rest waits """

        office.relay.answer("RCPT", reply)
        ids = office.queue(*users(25))

        office.drain(sessions=1)

        tried = [number for number in ids if attempts(office, number)]
        assert len(tried) == 10
        assert office.state().status == "tripped"
        assert "10 mails in a row were refused" in office.state().reason
        assert "Mail is held: 10 mails in a row" in caplog.text

        # A probe tells
        office.later(60)
        office.drain()
        assert office.state().status == "tripped"
        office.relay.reset()
        office.later(60)
        office.drain()
        assert {office.status(number) for number in ids if number not in tried[:10]} <= \
               {SENT, INVALID, UNSENT}
        assert sum(office.status(number) == SENT for number in ids) == 14
        assert office.state().status == "closed"

    @pytest.mark.parametrize("reply", ["550 5.1.1 <%s>: Recipient address rejected: User unknown",
                                       "550 No such user here"])
    def test_dead_addresses_in_a_row_hold_up_nothing(self, small_office, reply):
        """ A visitor may register as many as they like: the words tell enough """

        office, dead = small_office, users(30, "dead")
        for address in dead:
            office.relay.answer("RCPT", reply.replace("%s", address), to=address)
        ids = office.queue(*dead)
        anne = office.queue(ANNE)

        office.drain()

        assert {office.status(number) for number in ids} == {INVALID}
        assert office.status(anne) == SENT
        assert office.state().status == "closed"

    def test_refusals_in_a_row_are_counted_over_all_runs(self, small_office):
        """ On a site that sends a mail now and then as well """

        small_office.relay.answer("RCPT", "550 5.7.1 No")
        for address in users(10):
            small_office.queue(address)
            small_office.drain()

        assert small_office.state().status == "tripped"

    def test_a_list_that_is_refused_holds_up_others_for_one_probe(self, office):
        """ The probe takes another message than the list """

        office.relay.answer("RCPT", "550 Invalid recipient")
        office.relay.answer("RCPT", "250 OK", to=ANNE)
        office.queue(users(30))
        office.queue(users(30, "dead"))
        office.drain()
        assert office.state().status == "tripped"
        anne = office.queue(ANNE)

        office.later(35)
        office.drain()

        assert office.status(anne) == SENT

    def test_a_repaired_configuration_is_on_trial_until_it_works(self, office):
        """ With the first mail that is taken, the trouble is over for good """

        office.relay.answer("MAIL", "550 5.1.8 Sender refused", to="shelter@example.org")
        office.queue(ANNE)
        office.drain()
        assert office.state().fingerprints

        office.mail.settings.sender = "other@example.org"
        office.drain()

        state = office.state()
        assert (state.status, state.fingerprints) == ("closed", None)
        assert state.accepted_on is not None

    def test_machines_that_differ_do_not_repeat_a_refused_login(self, tmp_path):
        """ Only what belongs to the login counts: not the hostname, not the sender """

        with FakeRelay(login=("shelter", "right")) as relay:
            office = Office("sqlite://%s" % (tmp_path / "storage.sqlite"), relay)
            office.queue(ANNE)
            for number in range(6):
                mail = office.mailer(office.db)
                mail.settings.login = "shelter:wrong"
                mail.settings.hostname = "machine%s.example.org" % (number % 2)
                mail.settings.sender = "shelter%s@example.org" % (number % 2)
                mail.drain()
                office.later(400)

            assert len({session for session, *_ in relay.logins}) == 1
            office.close()

    def test_machines_that_differ_do_not_close_the_breaker_in_turn(self, small_office):
        """ A configuration that has met the trouble is no new one """

        office = small_office
        office.relay.answer("MAIL", "550 5.1.8 Sender refused")
        office.queue(*users(3))
        for number in range(6):
            mail = office.mailer(office.db)
            mail.settings.hostname = "machine%s.example.org" % (number % 2)
            mail.drain()

        assert office.relay.connections == 2

# =============================================================================
class TestOwnFault:
    """ An exception of our own code """

    @pytest.fixture
    def broken(self, small_office, monkeypatch):
        """ The office, with code that fails over one mail """

        transmitting = Session.transmitting

        def fail(self, mail, *args):
            if ODD in mail.recipients:
                raise AttributeError("sock")
            return transmitting(self, mail, *args)

        monkeypatch.setattr(Session, "transmitting", fail)
        return small_office

    def test_an_exception_of_ours_rejects_no_mail(self, broken):
        """ It is tried again later; the others go out """

        odd, anne = broken.queue(ODD, ANNE)

        broken.drain()

        assert (broken.status(odd), broken.status(anne)) == (UNSENT, SENT)
        assert "AttributeError" in broken.entry(odd).mails3_delivery.reply

    def test_a_mail_over_which_our_code_fails_is_held_in_the_end(self, broken):
        """ It is not lost as refused or given up """

        broken.given["max_retries"] = 1
        odd = broken.queue(ODD)
        broken.drain()
        broken.later(20000)
        broken.retry()

        assert broken.status(odd) == DRAFT

# =============================================================================
class TestRun:
    """ What others see of a run """

    def test_a_run_that_is_alive_says_so(self, office):
        """ However long its mails take: nobody must take it for a hanging worker """

        office.queue(*users(6))
        run = office.mail._run()
        start = run.now()
        run.now = lambda: office.clock
        office.clock = start

        def slow(*args, begin=run._begin):
            office.clock += (run.alive_on - start) + type(run.lease_time)(seconds=100)
            return begin(*args)

        run._begin = slow
        run.drain()

        assert office.state().drained_on >= (start + type(run.lease_time)(seconds=200)) \
            .replace(microsecond=0)

    def test_a_slow_answer_to_the_content_is_waited_for(self, small_office):
        """ Without a worker as well: it arrives once, and the relay is well """

        office = small_office
        office.relay.delay("BODY", 2)
        office.configure(fallback="yes", fallback_timeout=1, reply_timeout=10)
        anne = office.queue(ANNE)

        assert office.status(anne) == SENT
        assert len(office.relay.mails) == 1
        assert office.state().status == "closed"

    @pytest.mark.parametrize("given", [{"priority": 0}, {"secret": True}])
    def test_the_deferred_queue_goes_by_priority(self, office, given):
        """ A greylisted registration does not wait behind the newsletters """

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
def test_tls_that_breaks_off_after_the_content_leaves_it_in_doubt():
    """ It worked until then: no trouble of the configuration, tried without end """

    def broken():
        error = ssl.SSLError(1, "bad record mac")
        error.reason = "SSLV3_ALERT_BAD_RECORD_MAC"
        raise error

    session = Session(Server("mail.example.org", 25), timeout=1)
    session.deadline = session.clock() + 1

    assert is_in_doubt(classify(session._outcome(BODY, broken)))
    with pytest.raises(ConfigurationFailure):
        session._outcome(STARTTLS, broken)

# -----------------------------------------------------------------------------
def test_who_was_accepted_may_have_what_was_sent_along():
    """ Envelope and content in one, and the relay falls silent after a recipient """

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
    """ Not if the relay has closed first, and smtplib has dropped its socket """

    from mails3.smtp.session import Server

    ours = Session(Server(relay.host, relay.port), 1)
    ours.open(5)
    # QUIT meets EPIPE
    ours.smtp.sock.shutdown(1)

    ours.close()

    assert ours.smtp is None

# END =========================================================================
