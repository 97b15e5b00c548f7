"""
    Sessions that wait for a relay do not block: a loop drives several of them
"""

import selectors
import socket
import time

from contextlib import contextmanager, suppress
from threading import Event, Thread

import pytest

from support.fake_relay import FakeRelay, certificate
from support.site import eventually

from mails3.smtp.deadlines import Deadlines
from mails3.smtp.dialogue import Envelope
from mails3.policy import is_in_doubt
from mails3.replies import BODY, MAIL, RCPT, RelayUnavailable
from mails3.smtp.server import Server
from mails3.smtp.session import Session
from mails3.smtp.waits import Wait, in_thread, pause, run
from mails3.smtp.wire import connect

ANNE, BOB = "anne@example.org", "bob@example.org"
TEXT = "Subject: News\n\nThere is news.\n"
LARGE = TEXT + "There is news.\n" * 1000000

# -----------------------------------------------------------------------------
def envelope(recipient=ANNE, content=TEXT):
    """ A message for one recipient """

    return Envelope("shelter@example.org", [recipient], content)

def session_with(relay, timeout_s=5, **settings):
    """ A session with a relay """

    return Session(Server(relay.host, relay.port, **settings), timeout_s)

# -----------------------------------------------------------------------------
def drive(transmitting):
    """
        Drive several generators in one loop

        Args:
            transmitting: dict {name: generator}

        Returns:
            dict {name: outcome}, in the order in which they ended
    """

    waits, outcomes, ready = {}, {}, dict(transmitting)
    while ready or waits:
        for name, generator in ready.items():
            try:
                waits[name] = next(generator)
            except StopIteration as end:
                outcomes[name] = end.value
        over = pause(waits.values())
        ready = {name: transmitting[name] for name, wait in waits.items() if wait in over}
        waits = {name: wait for name, wait in waits.items() if name not in ready}
    return outcomes

def then(generator, action):
    """ A generator that does something when another one has ended """

    outcome = yield from generator
    action()
    return outcome

# -----------------------------------------------------------------------------
@contextmanager
def scripted_relay(script, context=None):
    """
        A relay that does as a function says, with one connection

        Args:
            script: function that is called with the socket and a file of the
                    lines received, after the dialogue up to EHLO
            context: SSLContext for TLS from the first byte on

        Yields:
            the Server
    """

    def serve():
        connection, _ = listening.accept()
        if context:
            connection = context.wrap_socket(connection, server_side=True)
        with connection, connection.makefile("rb") as lines:
            connection.sendall(b"220 relay.example.org\r\n")
            lines.readline()
            connection.sendall(b"250-relay.example.org\r\n250 PIPELINING\r\n")
            script(connection, lines)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield Server(*listening.getsockname(), ssl=context is not None)
    thread.join(10)

# -----------------------------------------------------------------------------
@contextmanager
def full_relay():
    """
        A relay that takes no connection at first: its accept queue is full, as
        on a host that is overloaded

        Yields:
            tuple (the Server, an Event that lets the connections in)
    """

    def serve():
        let_in.wait(20)
        for other in others:
            other.close()
        while True:
            connection, _ = listening.accept()
            with connection, connection.makefile("rb") as lines, suppress(OSError):
                connection.sendall(b"220 relay.example.org\r\n")
                if lines.readline():
                    connection.sendall(b"250 relay.example.org\r\n")
                    take_until(lines, b"QUIT")
                    connection.sendall(b"221 Bye\r\n")
                    return

    let_in, others = Event(), []
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
        for _ in range(4):
            others.append(socket.socket())
            others[-1].setblocking(False)
            others[-1].connect_ex(listening.getsockname())
        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield Server(*listening.getsockname()), let_in
        thread.join(10)

def take_until(lines, last):
    """ Read lines up to one that starts with some bytes, or to the end """

    line = lines.readline()
    while line and not line.upper().startswith(last):
        line = lines.readline()

# =============================================================================
class TestSideBySide:
    """ One slow relay does not hold up the others """

    def test_a_relay_that_answers_in_drips_does_not_block_another(self):
        """ The quick session has its outcome before the slow one """

        with FakeRelay() as slow, FakeRelay() as quick:
            slow.slow("RCPT", 0.1)
            sessions = {"slow": session_with(slow), "quick": session_with(quick)}

            outcomes = drive({name: session.transmitting(envelope(), 10)
                              for name, session in sessions.items()})
            for session in sessions.values():
                session.close()

        assert list(outcomes.items()) == [("quick", {ANNE: None}), ("slow", {ANNE: None})]

    @pytest.mark.parametrize("is_tls", [False, True])
    def test_a_relay_that_reads_slowly_does_not_block_another(self, is_tls):
        """ Content that the socket has no room for waits, and the session yields """

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
            sessions = {"slow": Session(server, 5), "quick": session_with(quick)}

            outcomes = drive({
                "slow": sessions["slow"].transmitting(envelope(content=LARGE), 20),
                "quick": then(sessions["quick"].transmitting(envelope(BOB), 20), is_free.set)})
            for session in sessions.values():
                session.close()

        assert list(outcomes.items()) == [("quick", {BOB: None}), ("slow", {ANNE: None})]

    def test_a_session_asks_to_write_while_its_content_is_not_written(self):
        """ And to read while a reply is missing """

        def read_late(connection, lines):
            take_until(lines, b"DATA")
            time.sleep(0.3)
            connection.sendall(b"250 OK\r\n250 OK\r\n354 Go on\r\n")
            time.sleep(0.3)
            take_until(lines, b".\r\n")
            time.sleep(0.3)
            connection.sendall(b"250 OK\r\n")

        with scripted_relay(read_late) as server:
            session, events = Session(server, 5), []
            transmitting = session.transmitting(envelope(content=LARGE), 20)
            for wait in transmitting:
                assert isinstance(wait, Wait)
                events.append(wait.events)
                pause([wait])
            session.close()

        assert selectors.EVENT_WRITE in events
        assert events[0] == events[-1] == selectors.EVENT_READ

    def test_a_session_may_be_resumed_early(self):
        """ It waits for the same again """

        with FakeRelay() as relay:
            relay.delay("MAIL", 1)
            session = session_with(relay)
            session.open(5)
            transmitting = session.transmitting(envelope(), 5)
            first = next(transmitting)
            assert [next(transmitting) for _ in range(3)] == [first] * 3
            assert run(transmitting) == {ANNE: None}
            session.close()

# =============================================================================
class TestOpening:
    """ A session that is being opened does not hold up the others """

    @pytest.mark.parametrize("kind", ["starttls", "ssl"])
    def test_a_late_banner_does_not_block_another_session(self, kind):
        """ The session whose relay is late with the banner has its outcome last, with TLS too """

        with FakeRelay(tls=kind) as slow, FakeRelay() as quick:
            slow.delay("CONNECT", 0.5)
            sessions = {"slow": session_with(slow, **{kind: True}), "quick": session_with(quick)}

            outcomes = drive({name: session.transmitting(envelope(), 10)
                              for name, session in sessions.items()})
            for session in sessions.values():
                session.close()

        assert list(outcomes.items()) == [("quick", {ANNE: None}), ("slow", {ANNE: None})]

    def test_a_connection_that_is_not_accepted_does_not_block_another_session(self):
        """ A relay whose accept queue is full until the other session has its outcome """

        with full_relay() as (server, let_in), FakeRelay() as quick:
            sessions = {"slow": Session(server, 20), "quick": session_with(quick)}

            outcomes = drive({
                "slow": sessions["slow"].opening(20),
                "quick": then(sessions["quick"].transmitting(envelope(BOB), 20), let_in.set)})
            is_open = sessions["slow"].is_ready()
            for session in sessions.values():
                session.close()

        assert list(outcomes) == ["quick", "slow"]
        assert is_open

    def test_a_session_that_is_given_up_while_it_opens_gives_no_command(self):
        """ Nor is it open later; its next message opens a new one """

        with FakeRelay() as relay:
            relay.delay("CONNECT", 0.5, times=1)
            seen = []
            session = Session(Server(relay.host, relay.port), 5,
                              observe = lambda reply, *args: seen.append(reply.phase))
            opening = session.opening(5)
            next(opening)
            assert eventually(lambda: relay.connections == 1)
            opening.close()
            # Given up; connected all the same; and no time left for a command
            assert eventually(lambda: len(seen) == 3)

            assert not session.is_ready()
            assert session.transmit(envelope(), 5) == {ANNE: None}
            session.close()
            assert {number for number, verb, _ in relay.commands if verb != "QUIT"} == {2}

    def test_work_that_outlasts_its_time_is_undone(self):
        """ Nobody waits for it, and when it is done at last, it is undone """

        may_end, undone = Event(), Event()
        steps = in_thread(lambda: may_end.wait(10), time.monotonic() + 0.1, undone.set)

        with pytest.raises(TimeoutError):
            run(steps)

        assert not undone.is_set()
        may_end.set()
        assert undone.wait(10)

# =============================================================================
class TestReply:
    """ A reply counts as soon as it is complete, and not before """

    def test_a_reply_may_arrive_in_pieces(self):
        """ Within a line, and between the lines of one reply """

        def answer_in_pieces(connection, lines):
            take_until(lines, b"DATA")
            for piece in (b"250-Send", b"er\r\n25", b"0 OK\r\n250 OK\r\n354-Go\r\n", b"354 on\r\n"):
                connection.sendall(piece)
                time.sleep(0.05)
            take_until(lines, b".\r\n")
            connection.sendall(b"250 OK\r\n")

        with scripted_relay(answer_in_pieces) as server:
            session = Session(server, 5)
            waits = []
            transmitting = session.transmitting(envelope(), 5)
            for wait in transmitting:
                waits.append(wait)
                pause([wait])
            session.close()

        assert len(waits) >= 3

    @pytest.mark.parametrize("tls", [None, "ssl"])
    def test_a_reply_that_has_arrived_is_taken_without_waiting(self, tls):
        """ select() does not know of the bytes that TLS has already decrypted """

        def answer_all_at_once(connection, lines):
            take_until(lines, b"DATA")
            # Longer than one read, in one TLS record
            connection.sendall(b"250-%s\r\n" % (b"x" * 100) * 90 +
                               b"250 OK\r\n250 OK\r\n354 Go\r\n")
            take_until(lines, b".\r\n")
            connection.sendall(b"250 OK\r\n")

        with scripted_relay(answer_all_at_once, certificate()[1] if tls else None) as server:
            session = Session(server, 5)
            start = time.monotonic()
            assert session.transmit(envelope(), 10) == {ANNE: None}
            assert time.monotonic() - start < 2
            session.close()

    @pytest.mark.parametrize("kind", ["starttls", "ssl"])
    def test_replies_come_over_tls_as_well(self, kind):
        """ Several messages over one session """

        with FakeRelay(tls=kind, extensions=("PIPELINING",)) as relay:
            session = session_with(relay, **{kind: True})
            mails = [envelope(ANNE, LARGE[:2000000]), envelope(BOB), envelope(ANNE)]
            for each, following in zip(mails, mails[1:] + [None]):
                assert session.transmit(each, 20, lambda: following) == {each.recipients[0]: None}
            session.close()
            assert (relay.connections, len(relay.mails)) == (1, 3)

# =============================================================================
class TestDeadline:
    """ After the deadline, a reply counts only if it has arrived already """

    def test_a_session_tells_when_to_resume_it(self):
        """ Not later than after the time-out of one reply """

        with FakeRelay() as relay:
            relay.silence("MAIL")
            session = session_with(relay, timeout_s=0.3)
            session.open(5)
            start = time.monotonic()
            wait = next(session.transmitting(envelope(), 5))

            assert start < wait.until < start + 1
            session.close()

    def test_a_reply_that_is_late_is_missing(self):
        """ The session is given up, and says why """

        with FakeRelay() as relay:
            relay.silence("MAIL")
            session = session_with(relay, timeout_s=0.3)
            start = time.monotonic()

            error = session.transmit(envelope(), 5)[ANNE]

            assert isinstance(error, RelayUnavailable)
            assert (error.phase, error.code, error.text) == (MAIL, None, "timed out")
            assert 0.3 <= time.monotonic() - start < 1
            assert not session.is_ready()

    def test_a_reply_that_has_arrived_counts_though_it_is_read_late(self):
        """ The loop was busy with other sessions """

        with FakeRelay() as relay:
            session = session_with(relay, timeout_s=0.2)
            session.open(5)
            transmitting = session.transmitting(envelope(), 10)
            next(transmitting)
            time.sleep(0.5)

            assert run(transmitting) == {ANNE: None}
            session.close()

    @pytest.mark.parametrize("final_within_s, is_awaited", [(0, False), (10, True)])
    def test_the_reply_to_the_content_may_come_later(self, final_within_s, is_awaited):
        """ It has a time of its own, if it is given one """

        with FakeRelay() as relay:
            relay.delay("BODY", 1)
            session = session_with(relay, timeout_s=0.3)

            outcome = run(session.transmitting(envelope(), 0.5, final_within_s=final_within_s))
            session.close()

        assert (outcome[ANNE] is None) == is_awaited
        assert is_in_doubt(outcome[ANNE]) != is_awaited

    @pytest.mark.parametrize("rest_s, expected_s", [(5000, 600), (300, 300), (100, 200), (10, 200)])
    def test_the_reply_to_the_content_has_ten_minutes(self, rest_s, expected_s):
        """ Or what is left of the run, and never less than is left for the message """

        deadlines = Deadlines(1000 + 200, 1000 + rest_s)

        assert deadlines.answer_by(BODY, 1000, 60) == 1000 + expected_s
        assert deadlines.answer_by(RCPT, 1000, 60) == 1060
        # As long as another reply, also if the message has no time left
        assert deadlines.answer_by(BODY, 6000, 60) == 6060

    def test_content_that_is_not_read_in_time_is_in_doubt(self):
        """ The relay has got a part of it, and nobody knows which """

        def read_nothing(connection, lines):
            take_until(lines, b"DATA")
            connection.sendall(b"250 OK\r\n250 OK\r\n354 Go on\r\n")
            time.sleep(2)

        with scripted_relay(read_nothing) as server:
            session = Session(server, 0.5)
            start = time.monotonic()

            error = session.transmit(envelope(content=LARGE), 1)[ANNE]

            assert is_in_doubt(error)
            assert 0.9 <= time.monotonic() - start < 1.9
            assert session.client is None

# =============================================================================
class TestGivenUp:
    """ A generator that is given up leaves no session in an unknown state """

    @pytest.mark.parametrize("step", ["MAIL", "BODY"])
    def test_the_session_is_closed(self, step):
        """ Its next message opens a new one """

        with FakeRelay() as relay:
            relay.silence(step, times=1)
            session = session_with(relay)
            transmitting = session.transmitting(envelope(), 5)
            end = time.monotonic() + 0.5
            while time.monotonic() < end:
                pause([next(transmitting)._replace(until=end)])
            transmitting.close()

            assert not session.is_ready()
            assert session.transmit(envelope(BOB), 5) == {BOB: None}
            session.close()
            assert relay.connections == 2

    def test_unsolicited_data_means_that_the_relay_is_closing(self):
        """ Also data that has been read along with the last reply """

        def answer_and_leave(connection, lines):
            connection.sendall(b"250 OK\r\n421 Going down\r\n")
            time.sleep(0.3)

        with scripted_relay(answer_and_leave) as server:
            connection = connect(server.host, server.port, time.monotonic() + 5)
            connection.ehlo()
            assert not connection.has_unread()
            run(connection.writing(b"NOOP\r\n", time.monotonic() + 5))
            assert run(connection.reading(time.monotonic() + 5)) == (250, b"OK")
            assert connection.has_unread()
            connection.close()

# END =========================================================================
