"""
    The connection with a relay: replies that arrive in any way, and their deadlines
"""

import selectors
import time

from threading import Event

import pytest

from support.clock import SleeplessClock
from support.fake_relay import FakeRelay, certificate
from support.scripted_relay import scripted_relay, take_until
from support.sessions import mail, session, transmit_by
from support.site import eventually
from support.steps import TIMEOUT_S, hold, is_ready, run_until

from mails3.policy import is_in_doubt
from mails3.replies import BODY, MAIL, RCPT, RelayUnavailable
from mails3.smtp.deadlines import Deadlines
from mails3.smtp.session import Session
from mails3.smtp.waits import Wait, pause, run
from mails3.smtp.wire import connect

ANNE, BOB = "anne@example.org", "bob@example.org"
LARGE = "Subject: News\n\n" + "There is news.\n" * 1000000

# =============================================================================
class TestReply:
    """ A reply counts as soon as it is complete, and not before """

    def test_a_reply_may_arrive_in_pieces(self):
        """ Replies that arrive in pieces, each of them read by itself, are put together """

        pieces = (b"250-Send", b"er\r\n25", b"0 OK\r\n250 OK\r\n354-Go\r\n", b"354 on\r\n")
        waits, read = [], []

        def answer_in_pieces(connection, lines):
            take_until(lines, b"DATA")
            for number, piece in enumerate(pieces):
                # The session has read all others, and waits
                read.append(eventually(lambda: len(waits) > number))
                connection.sendall(piece)
            read.append(lines.readline())
            take_until(lines, b".\r\n")
            connection.sendall(b"250 OK\r\n")

        with scripted_relay(answer_in_pieces) as server:
            ours = Session(server, 60)
            for wait in ours.transmitting(mail(), 200):
                waits.append(wait)
                pause([wait])
            ours.close()

        assert read == [True] * len(pieces) + [b"Subject: News\r\n"]

    @pytest.mark.parametrize("tls", [None, "ssl"])
    def test_a_reply_that_has_arrived_is_taken_without_waiting(self, tls):
        """
            No session waits for a reply that has arrived, although select() does not know of
            the bytes that TLS has already decrypted
        """

        def answer_all_at_once(connection, lines):
            take_until(lines, b"DATA")
            # Longer than one read, in one TLS record
            connection.sendall(b"250-%s\r\n" % (b"x" * 100) * 90 +
                               b"250 OK\r\n250 OK\r\n354 Go\r\n")
            take_until(lines, b".\r\n")
            connection.sendall(b"250 OK\r\n")

        with scripted_relay(answer_all_at_once, certificate()[1] if tls else None) as server:
            ours = Session(server, 60)
            assert all(map(is_ready, ours.transmitting(mail(), 200)))
            ours.close()

    @pytest.mark.parametrize("kind", ["starttls", "ssl"])
    def test_replies_come_over_tls_as_well(self, kind):
        """ Several messages, one of them large, are accepted over one session with TLS """

        with FakeRelay(tls=kind, extensions=("PIPELINING",)) as relay:
            ours = session(relay, **{kind: True})
            mails = [mail(ANNE, content=LARGE[:2000000]), mail(BOB), mail(ANNE)]
            for each, following in zip(mails, mails[1:] + [None]):
                assert transmit_by(ours, each, 20, lambda: following) == {each.recipients[0]: None}
            ours.close()
            assert (relay.connections, len(relay.mails)) == (1, 3)

    def test_unsolicited_data_means_that_the_relay_is_closing(self):
        """ Unsolicited data counts as unread, also if it has come with the last reply """

        def answer_and_leave(connection, lines):
            connection.sendall(b"250 OK\r\n421 Going down\r\n")
            is_over.wait(TIMEOUT_S)

        is_over = Event()
        with scripted_relay(answer_and_leave) as server:
            connection = connect(server.host, server.port, time.monotonic() + 5)
            connection.ehlo()
            assert not connection.has_unread()
            run(connection.writing(b"NOOP\r\n", time.monotonic() + 5))
            assert run(connection.reading(time.monotonic() + 5)) == (250, b"OK")
            assert connection.has_unread()
            connection.close()
            is_over.set()

# =============================================================================
class TestDeadline:
    """ After the deadline, a reply counts only if it has arrived already """

    def test_a_session_tells_when_to_resume_it(self):
        """ A session is to be resumed at the latest when the time for one reply is over """

        with FakeRelay() as relay:
            relay.silence("MAIL")
            ours = session(relay, timeout=3, clock=lambda: 100)
            ours.open(50)

            assert next(ours.transmitting(mail(), 50)).until == 103
            ours.close()

    def test_a_reply_that_is_late_is_missing(self):
        """ A session is given up if a reply is missing at its deadline, and says why """

        clock = SleeplessClock()
        with FakeRelay() as relay:
            relay.silence("MAIL")
            ours = session(relay, timeout=30, clock=clock)
            ours.open(500)
            transmitting = ours.transmitting(mail(), 500)
            next(transmitting)
            clock.sleep(31)

            error = run(transmitting, clock)[ANNE]

        assert isinstance(error, RelayUnavailable)
        assert (error.phase, error.code, error.text) == (MAIL, None, "timed out")
        assert not ours.is_ready()

    def test_a_reply_that_has_arrived_counts_though_it_is_read_late(self):
        """ A reply that has arrived in time counts although it is read after its deadline """

        clock, is_answered = SleeplessClock(), Event()
        with FakeRelay() as relay:
            # Else the relay may answer all before the first look
            hold(relay, "MAIL", is_answered)
            ours = session(relay, timeout=30, clock=clock)
            ours.open(500)
            transmitting = ours.transmitting(mail(), 500)
            waiting = next(transmitting)
            is_answered.set()
            assert is_ready(waiting)
            # The loop is busy with other sessions
            clock.sleep(31)

            assert run(transmitting, clock) == {ANNE: None}
            ours.close()

    @pytest.mark.parametrize("final_within_s, is_awaited", [(0, False), (10, True)])
    def test_the_reply_to_the_content_may_come_later(self, final_within_s, is_awaited):
        """ The reply to the content has a time of its own, if one is given """

        clock, is_answered = SleeplessClock(), Event()
        with FakeRelay() as relay:
            is_reached = hold(relay, "BODY", is_answered)
            ours = session(relay, timeout=3, clock=clock)
            transmitting = ours.transmitting(mail(), 5, final_within_s=final_within_s)
            run_until(is_reached, transmitting)
            clock.sleep(6)

            if is_awaited:
                assert isinstance(next(transmitting), Wait)
                is_answered.set()
            outcome = run(transmitting, clock)
            ours.close()

        assert (outcome[ANNE] is None) == is_awaited
        assert is_in_doubt(outcome[ANNE]) != is_awaited

    @pytest.mark.parametrize("rest_s, expected_s", [(5000, 600), (300, 300), (100, 200), (10, 200)])
    def test_the_reply_to_the_content_has_ten_minutes(self, rest_s, expected_s):
        """
            The reply to the content is waited for for ten minutes or what is left of the run,
            and never for less than is left for the message
        """

        deadlines = Deadlines(1000 + 200, 1000 + rest_s)

        assert deadlines.answer_by(BODY, 1000, 60) == 1000 + expected_s
        assert deadlines.answer_by(RCPT, 1000, 60) == 1060
        # As long as another reply, also if the message has no time left
        assert deadlines.answer_by(BODY, 6000, 60) == 6060

    def test_content_that_is_not_read_in_time_is_in_doubt(self):
        """ Content of which the relay has not read all at the deadline is in doubt """

        def read_nothing(connection, lines):
            take_until(lines, b"DATA")
            connection.sendall(b"250 OK\r\n250 OK\r\n354 Go on\r\n")
            is_over.wait(TIMEOUT_S)

        clock, is_over = SleeplessClock(), Event()
        with scripted_relay(read_nothing) as server:
            ours = Session(server, 60, clock)
            ours.open(500)
            transmitting = ours.transmitting(mail(content=LARGE), 500)
            wait = next(transmitting)
            while wait.events != selectors.EVENT_WRITE:
                assert is_ready(wait)
                wait = next(transmitting)
            clock.sleep(501)

            error = run(transmitting, clock)[ANNE]
            is_over.set()

        assert is_in_doubt(error)
        assert ours.client is None

# END =========================================================================
