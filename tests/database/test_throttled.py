"""
    A relay that wants less mail: no message is to blame, and the pace drops
"""

import json

from datetime import timedelta

import pytest

from support.office import attempts, named, users

from mails3.clock import utcnow
from mails3.delivery.limits import Limits, seconds
from mails3.delivery.pace import Pace
from mails3.queue.workers import OTHER_CHANNELS, OWN, WorkerRow
from mails3.states import SENT, UNSENT

ANNE, ODD = "anne@example.org", "odd@example.org"

TOO_MUCH = "450 4.7.1 Error: too much mail from 192.0.2.1"
UNKNOWN = "450 4.3.9 Nope, come back a bit later"
TOO_MANY_SESSIONS = "421 4.7.0 Error: too many connections from 192.0.2.1"

# -----------------------------------------------------------------------------
def run(office):
    """ A run that does not wait for a limit; then time passes for the next one """

    office.mail.channel().worker(max_wait_s=0).drain()
    office.later(60)

def pace(office):
    """ What is known of the relay's pace """

    return Pace.load(json.loads(office.state().pace)["pace"])

# =============================================================================
class TestThrottled:

    @pytest.mark.parametrize("step", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BODY"])
    @pytest.mark.parametrize("reply", [TOO_MUCH, TOO_MANY_SESSIONS])
    def test_a_relay_that_wants_less_costs_nothing(self, office, caplog, step, reply):
        """ No attempt counts, the breaker stays closed, and all mail leaves by the next runs """

        numbers = office.queue(*users(3))
        office.relay.answer(step, reply, times=2)

        for _ in range(6):
            run(office)

        assert {office.status(number) for number in numbers} == {SENT}
        # The one that succeeds
        assert {attempts(office, number) for number in numbers} == {1}
        assert office.state().status == "closed"
        assert not [record for record in caplog.records if record.levelname == "ERROR"]

    def test_a_pause_holds_up_new_mail(self, office):
        """ While the relay wants less mail, new mail is not tried, by no worker """

        office.queue(ANNE)
        office.relay.answer("MAIL", TOO_MUCH)
        office.mail.channel().worker(max_wait_s=0).drain()
        tried = len(office.relay.commands)

        office.queue(ANNE)
        office.mail.channel().worker(max_wait_s=0).drain()

        assert len(office.relay.commands) == tried
        assert pace(office).backoff_s > 0

    def test_another_message_is_tried_next(self, office):
        """ A message that is throttled does not keep the next one from being tried """

        office.queue(ODD, priority=0)
        office.queue(ANNE)
        office.relay.answer("RCPT", TOO_MUCH, to=ODD)

        run(office)
        run(office)

        assert [mail.recipients for mail in office.relay.mails] == [[ANNE]]

    def test_a_message_that_alone_is_throttled_is_deferred(self, office):
        """ When the relay takes other mail in between, again and again, the message is to blame """

        odd = office.queue(ODD, priority=0)
        office.relay.answer("RCPT", TOO_MUCH, to=ODD)

        for _ in range(8):
            office.queue(ANNE)
            run(office)
            run(office)

        assert len(office.relay.mails) == 8
        assert office.status(odd) == UNSENT and attempts(office, odd) >= 1
        assert named(office.relay, ODD) <= 8

    def test_what_is_learned_holds_for_this_relay_only(self, office):
        """ What was learned about a relay is forgotten when another one is configured """

        office.queue(ANNE)
        office.relay.answer("MAIL", TOO_MUCH, times=1)
        office.mail.channel().worker(max_wait_s=0).drain()
        assert not office.relay.mails

        office.mail.settings.server = office.mail.settings.server.replace("127.0.0.1", "localhost")
        office.mail.channel().worker(max_wait_s=0).drain()

        assert len(office.relay.mails) == 1

# =============================================================================
class TestUnknownWords:

    def test_the_same_refusal_of_several_messages_is_taken_for_slower(self, office):
        """
            After three messages in a row were refused in the same words, and others accepted
            before, no further attempt counts
        """

        numbers = office.queue(*users(20))
        office.configure(sessions=1)
        office.relay.answer("MAIL", UNKNOWN)
        office.relay.answer("MAIL", "250 2.1.0 Ok", times=5)

        run(office)

        assert len(office.relay.mails) == 5
        assert sorted(attempts(office, number) for number in numbers) == 13 * [0] + 7 * [1]
        assert pace(office).words and pace(office).backoff_s

    def test_a_refused_recipient_is_no_sign(self, office):
        """ At RCPT each refused message is deferred, for it may be greylisting """

        numbers = office.queue(*users(9))
        office.relay.answer("RCPT", "450 4.7.1 Come back in 5 minutes")
        office.relay.answer("RCPT", "250 2.1.5 Ok", times=1)

        for _ in range(9):
            run(office)

        assert len(office.relay.mails) == 1
        assert sum(attempts(office, number) for number in numbers) == 9

# =============================================================================
class TestSessions:

    def test_a_relay_with_few_sessions_gets_no_more(self, office):
        """ Sessions beyond what the relay takes are not opened again in the next runs """

        office.configure(sessions=10)
        office.queue(*users(60))
        office.relay.hold("BODY", lambda: refused(office) or len(office.relay.mails) > 40)
        office.relay.answer("CONNECT", TOO_MANY_SESSIONS)
        office.relay.answer("CONNECT", "220 Ready", times=2)

        run(office)

        assert len(office.relay.mails) == 60
        assert pace(office).max_sessions in (1, 2)

    @pytest.mark.parametrize("minutes_ago, messages", [(50, 4), (70, 5)])
    def test_a_full_session_is_tried_again_with_more(self, office, minutes_ago, messages):
        """ An hour after sessions were full, a session tries a quarter more, and no earlier """

        takes_messages_per_session(office, 4, utcnow() - timedelta(minutes=minutes_ago))
        office.configure(sessions=1)
        office.queue(ANNE)
        run(office)
        assert pace(office).messages_per_session == messages

        office.queue(*users(messages))
        office.relay.clear()
        run(office)

        assert office.relay.connections == 1

    def test_a_worker_without_a_share_opens_no_session(self, office):
        """ Where the relay takes one session, and another worker has it, none is opened """

        takes_one_session(office)
        another_worker(office, OWN)
        office.queue(*users(3))

        office.mail.channel().worker(max_wait_s=0).drain()

        assert office.relay.connections == 0
        assert [row.lease for row in office.db(office.db.mails3_delivery).select()] == 3 * [None]

    def test_a_worker_of_other_channels_has_no_share(self, office):
        """ A worker that sends no mail takes away none of the sessions of mail """

        takes_one_session(office)
        another_worker(office, OTHER_CHANNELS)
        office.queue(*users(3))

        office.mail.channel().worker(max_wait_s=0).drain()

        assert len(office.relay.mails) == 3

def takes_one_session(office):
    """ It was learned that the relay takes one session """

    limits = Limits([], True, relay=office.mail.channel().transport().relay_name())
    limits.pace.note_too_many_sessions(1, 1, 1, 2)
    office.db(office.db.mails3_channel).update(pace = limits.dump(3))
    office.db.commit()

def takes_messages_per_session(office, messages, time):
    """ It was learned at a time that the relay takes so many messages by one session """

    limits = Limits([], True, relay=office.mail.channel().transport().relay_name())
    limits.pace.messages_per_session, limits.pace.session_full_at = messages, seconds(time)
    office.db(office.db.mails3_channel).update(pace = limits.dump(seconds(time)), pace_no = 1)
    office.db.commit()

def another_worker(office, kind):
    """ Another worker is alive, whose name is before that of any other """

    row = WorkerRow(office.db, "shelter", kind)
    row.name = "0"
    row.note_alive(office.mail.channel().shared_clock()(), "sending")
    office.db.commit()

def refused(office):
    """ Whether the relay has refused a session """

    return office.state().pace is not None

# END =========================================================================
