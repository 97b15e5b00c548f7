"""
    Sessions side by side: one that waits for its relay does not block the others
"""

import selectors
import time

from threading import Event, active_count

import pytest

from support.fake_relay import FakeRelay, certificate
from support.scripted_relay import full_relay, scripted_relay, take_until
from support.sessions import mail, session, transmit_by
from support.site import eventually
from support.steps import drive, hold, run_until, then

from mails3.smtp.session import Session
from mails3.smtp.waits import in_thread, pause, run

ANNE, BOB = "anne@example.org", "bob@example.org"
LARGE = "Subject: News\n\n" + "There is news.\n" * 1000000

# =============================================================================
class TestSideBySide:
    """ One slow relay does not hold up the others """

    def test_a_relay_that_answers_in_drips_does_not_block_another(self):
        """ A session has its outcome while another relay answers byte by byte """

        with FakeRelay() as slow, FakeRelay() as quick:
            slow.slow("RCPT", 0.05)
            sessions = {"slow": session(slow), "quick": session(quick)}

            outcomes = drive({name: each.transmitting(mail(), 10)
                              for name, each in sessions.items()})
            for each in sessions.values():
                each.close()

        assert list(outcomes.items()) == [("quick", {ANNE: None}), ("slow", {ANNE: None})]

    @pytest.mark.parametrize("is_tls", [False, True])
    def test_a_relay_that_reads_slowly_does_not_block_another(self, is_tls):
        """ A session yields while its content waits for room in the socket """

        def read_late(connection, lines):
            take_until(lines, b"DATA")
            connection.sendall(b"250 OK\r\n250 OK\r\n354 Go on\r\n")
            # In a loop that is blocked, this takes its time
            is_free.wait(10)
            take_until(lines, b".\r\n")
            connection.sendall(b"250 OK\r\n")
            take_until(lines, b"QUIT")
            connection.sendall(b"221 Bye\r\n")

        is_free = Event()

        with scripted_relay(read_late, certificate()[1] if is_tls else None) as server, \
             FakeRelay() as quick:
            sessions = {"slow": Session(server, 5), "quick": session(quick)}

            outcomes = drive({
                "slow": sessions["slow"].transmitting(mail(content=LARGE), 20),
                "quick": then(sessions["quick"].transmitting(mail(BOB), 20), is_free.set)})
            for each in sessions.values():
                each.close()

        assert list(outcomes.items()) == [("quick", {BOB: None}), ("slow", {ANNE: None})]

    def test_a_session_asks_to_write_while_its_content_is_not_written(self):
        """
            A session waits to read while a reply is missing, and to write while its content is
            not written
        """

        def waits_for(event):
            return eventually(lambda: events[-1:] == [event])

        def read_late(connection, lines):
            take_until(lines, b"DATA")
            seen.append(waits_for(selectors.EVENT_READ))
            connection.sendall(b"250 OK\r\n250 OK\r\n354 Go on\r\n")
            seen.append(waits_for(selectors.EVENT_WRITE))
            take_until(lines, b".\r\n")
            seen.append(waits_for(selectors.EVENT_READ))
            connection.sendall(b"250 OK\r\n")

        events, seen = [], []
        with scripted_relay(read_late) as server:
            ours = Session(server, 60)
            for wait in ours.transmitting(mail(content=LARGE), 200):
                events.append(wait.events)
                pause([wait])
            ours.close()

        assert seen == [True, True, True]

    def test_a_session_may_be_resumed_early(self):
        """ A session that is resumed early waits for the same again """

        with FakeRelay() as relay:
            is_resumed = Event()
            relay.hold("MAIL", is_resumed.is_set)
            ours = session(relay)
            ours.open(5)
            transmitting = ours.transmitting(mail(), 5)
            first = next(transmitting)
            assert [next(transmitting) for _ in range(3)] == [first] * 3

            is_resumed.set()
            assert run(transmitting) == {ANNE: None}
            ours.close()

# =============================================================================
class TestOpening:
    """ A session that is being opened does not hold up the others """

    @pytest.mark.parametrize("kind", ["starttls", "ssl"])
    def test_a_late_banner_does_not_block_another_session(self, kind):
        """ The session whose relay is late with the banner has its outcome last, with TLS too """

        with FakeRelay(tls=kind) as slow, FakeRelay() as quick:
            slow.hold("CONNECT", lambda: quick.mails)
            sessions = {"slow": session(slow, **{kind: True}), "quick": session(quick)}

            outcomes = drive({name: each.transmitting(mail(), 10)
                              for name, each in sessions.items()})
            for each in sessions.values():
                each.close()

        assert list(outcomes.items()) == [("quick", {ANNE: None}), ("slow", {ANNE: None})]

    def test_a_connection_that_is_not_accepted_does_not_block_another_session(self):
        """
            While the accept queue of one relay is full, the session with another one has its
            outcome
        """

        with full_relay() as (server, let_in), FakeRelay() as quick:
            sessions = {"slow": Session(server, 20), "quick": session(quick)}

            outcomes = drive({
                "slow": sessions["slow"].opening(20),
                "quick": then(sessions["quick"].transmitting(mail(BOB), 20), let_in.set)})
            is_open = sessions["slow"].is_ready()
            for each in sessions.values():
                each.close()

        assert list(outcomes) == ["quick", "slow"]
        assert is_open

    def test_a_session_that_is_given_up_while_it_opens_gives_no_command(self):
        """
            A session that is given up while it opens gives no command and is not open later; its
            next message opens another one
        """

        with FakeRelay() as relay:
            is_given_up = Event()
            relay.hold("CONNECT", is_given_up.is_set, times=1)
            ours, threads = session(relay), active_count()
            opening = ours.opening(5)
            next(opening)
            assert eventually(lambda: relay.connections == 1)
            opening.close()
            is_given_up.set()
            assert eventually(lambda: active_count() == threads)

            assert not ours.is_ready()
            assert transmit_by(ours, mail(), 5) == {ANNE: None}
            ours.close()
            assert {number for number, verb, _ in relay.commands if verb != "QUIT"} == {2}

    def test_work_that_outlasts_its_time_is_undone(self):
        """ Work that is not done in its time is not waited for, and is undone when it is done """

        may_end, undone = Event(), Event()
        steps = in_thread(lambda: may_end.wait(10), time.monotonic() + 0.1, undone.set)

        with pytest.raises(TimeoutError):
            run(steps)

        assert not undone.is_set()
        may_end.set()
        assert undone.wait(10)

# =============================================================================
class TestGivenUp:
    """ A generator that is given up leaves no session in an unknown state """

    @pytest.mark.parametrize("step", ["MAIL", "BODY"])
    def test_the_session_is_closed(self, step):
        """ A session whose generator is given up is closed, and its next message opens another """

        with FakeRelay() as relay:
            is_reached = hold(relay, step, Event())
            ours = session(relay, timeout=60)
            transmitting = ours.transmitting(mail(), 200)
            run_until(is_reached, transmitting)
            transmitting.close()

            assert not ours.is_ready()
            assert transmit_by(ours, mail(BOB), 200) == {BOB: None}
            ours.close()
            assert relay.connections == 2

# END =========================================================================
