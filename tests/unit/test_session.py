"""
    The session with a relay: a reply becomes an error that says what happens next
"""

import socket

import pytest

from support.clock import SleeplessClock
from support.fake_relay import FakeRelay
from support.office import users
from support.sessions import TEXT, accepted, mail, session, transmit, transmit_by

from mails3.replies import ConfigurationFailure, PermanentFailure, RelayUnavailable, \
                           TransientFailure
from mails3.smtp.envelope import as_lines, dotted
from mails3.smtp.server import Server
from mails3.smtp.session import Session

ANNE, BOB = "anne@example.org", "bob@example.org"

# =============================================================================
class TestSession:
    """ A reply of the relay becomes an error of ours that says what happens next """

    def test_content_arrives_unchanged(self, any_relay):
        """
            Content arrives unchanged with dots at line starts, any line ends and no line end at
            its end
        """

        transmit(session(any_relay), content="Subject: x\r\n\n.\n..dots\rFrom me\n\nend")

        arrived, = any_relay.mails
        assert arrived.content == b"Subject: x\r\n\r\n.\r\n..dots\r\nFrom me\r\n\r\nend\r\n"

    def test_each_recipient_has_its_reply(self, any_relay):
        """ Each recipient is accepted, refused for now or refused for good by its own reply """

        any_relay.answer("RCPT", "450 4.2.0 Later", to=BOB)
        any_relay.answer("RCPT", "550 5.1.1 Never", to="carl@example.org")

        refused = transmit(session(any_relay), ANNE, BOB, "carl@example.org")

        assert refused[ANNE] is None
        assert isinstance(refused[BOB], TransientFailure)
        assert isinstance(refused["carl@example.org"], PermanentFailure)

    def test_a_message_without_recipients_is_not_handed_over(self, any_relay):
        """ If no recipient is accepted, no content is sent and the session can be used again """

        any_relay.answer("RCPT", "550 5.1.1 Never", to=BOB)
        ours = session(any_relay)
        assert isinstance(transmit_by(ours, mail(BOB), 5)[BOB], PermanentFailure)

        transmit(ours, ANNE)

        assert any_relay.connections == 1
        assert len(any_relay.mails) == 1

    @pytest.mark.parametrize("step", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BODY"])
    @pytest.mark.parametrize("fault", ["silence", "drop"])
    def test_a_silent_relay_is_unavailable(self, any_relay, step, fault):
        """ A relay that falls silent or goes away at any point raises RelayUnavailable """

        getattr(any_relay, fault)(step)

        with pytest.raises(RelayUnavailable):
            accepted(transmit(session(any_relay, timeout=0.3), within=0.6))

    @pytest.mark.parametrize("step, reply, trouble", [
        ("CONNECT", "554 5.3.2 No service", RelayUnavailable),
        ("CONNECT", "421 4.3.2 Busy", RelayUnavailable),
        ("MAIL", "550 5.1.8 Sender refused", ConfigurationFailure),
        ("MAIL", "451 4.5.0 Later", TransientFailure),
        ("MAIL", "452 4.3.1 Full", RelayUnavailable),
        ("DATA", "451 4.3.0 Later", TransientFailure),
        ("DATA", "554 5.5.1 Never", PermanentFailure),
        ("BODY", "451 4.3.0 Later", TransientFailure),
        ("BODY", "554 5.7.1 Spam", PermanentFailure),
        ])
    def test_a_refusal_is_classified_by_its_phase(self, any_relay, step, reply, trouble):
        """ A refusal raises the error of its phase, with the relay's words """

        any_relay.answer(step, reply)

        with pytest.raises(trouble) as error:
            accepted(transmit(session(any_relay)))
        assert reply in str(error.value)

    def test_a_refused_mail_keeps_the_session(self, any_relay):
        """ The next mail after a refused one goes over the same connection """

        any_relay.answer("BODY", "554 5.7.1 Spam", times=1)
        ours = session(any_relay)
        with pytest.raises(PermanentFailure):
            accepted(transmit_by(ours, mail(ANNE), 5))

        transmit(ours)

        assert any_relay.connections == 1 and len(any_relay.mails) == 1

    def test_a_relay_gone_after_its_250_has_accepted(self, any_relay):
        """ A message counts as accepted although the relay goes away after its 250 """

        any_relay.drop_after("BODY")

        assert transmit(session(any_relay)) == {ANNE: None}

    def test_a_mail_has_only_so_much_time(self, any_relay):
        """
            Recipients who could not be asked for in half of the time get the message in another
            transaction
        """

        clock, addresses = SleeplessClock(), users(20)
        any_relay.hold("RCPT", clock.passes(0.6))

        taken = transmit(session(any_relay, clock=clock), *addresses, within=10)

        assert 0 < len(taken) < 20
        assert any_relay.mails[0].recipients == list(taken)

    def test_a_new_session_gives_a_message_no_new_time(self, any_relay):
        """
            A message keeps its deadline in the session that replaces one that the relay has
            ended
        """

        clock = SleeplessClock()
        ours = session(any_relay, timeout=20, clock=clock)
        transmit_by(ours, mail(), 30)
        any_relay.hold("MAIL", clock.passes(15), times=1)
        any_relay.drop("MAIL", times=1)
        end = clock() + 30

        outcome = transmit_by(ours, mail(), 30)

        # With CHUNKING, the relay may have got all of the mail: it is not asked again
        assert (outcome == {ANNE: None}) == (ours.client is not None) == \
            ("CHUNKING" not in any_relay.extensions)
        assert ours.client is None or ours.client.deadlines.reply == pytest.approx(end, abs=5)
        ours.close()

    def test_a_trickling_reply_times_out(self, any_relay):
        """ A reply times out as a whole, although each of its bytes comes in time """

        any_relay.slow("RCPT", 0.05)

        with pytest.raises(RelayUnavailable):
            accepted(transmit(session(any_relay, timeout=0.3)))

    def test_an_unreachable_relay_is_unavailable(self):
        """ A refused connection and an unknown host raise RelayUnavailable """

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        for server in (Server("127.0.0.1", port), Server("relay.invalid", 25)):
            with pytest.raises(RelayUnavailable):
                accepted(transmit(Session(server, 1)))

    def test_a_session_ends_after_some_messages(self, any_relay):
        """ A new session is opened after a number of messages """

        ours = session(any_relay)
        ours.max_messages = 2
        for _ in range(5):
            transmit_by(ours, mail(ANNE), 5)
        ours.close()

        assert any_relay.connections == 3 and len(any_relay.mails) == 5

    def test_too_large_a_mail_is_refused_before_it_is_sent(self):
        """ A message over the relay's SIZE is refused without its content being sent """

        with FakeRelay(size=1000) as relay:
            with pytest.raises(PermanentFailure):
                accepted(transmit(session(relay), content=TEXT + "x" * 2000))
            assert not any(verb == "DATA" for _, verb, _ in relay.commands)

# -----------------------------------------------------------------------------
def test_an_empty_mail_can_be_sent():
    """ An empty message is sent with a final line of its own """

    assert dotted(as_lines(mail(content=""))) == b"\r\n.\r\n"

# END =========================================================================
