"""
    Commands that are given together: PIPELINING, CHUNKING, and the next envelope ahead
"""

import pytest

from support.clock import SleeplessClock
from support.fake_relay import FakeRelay
from support.scripted_relay import scripted_relay, take_until
from support.sessions import TEXT, accepted, mail, session, transmit, transmit_by

from mails3.replies import BODY, PermanentFailure, RelayUnavailable, TransientFailure
from mails3.smtp.client import Client
from mails3.smtp.session import Session

ANNE, BOB = "anne@example.org", "bob@example.org"

# -----------------------------------------------------------------------------
@pytest.fixture
def round_trips(monkeypatch):
    """ One entry for each group of commands that was given, and took a round trip """

    groups, exchange = [], Client.exchange

    def counted(self, group):
        groups.append([phase for phase, _ in group])
        return exchange(self, group)

    monkeypatch.setattr(Client, "exchange", counted)
    return groups

# =============================================================================
class TestPipelining:
    """ Commands of one group get one reply each (RFC 2920, RFC 3030) """

    @pytest.mark.parametrize("extensions, expected", [((), 4), (("CHUNKING",), 4),
                                                      (("PIPELINING",), 2),
                                                      (("PIPELINING", "CHUNKING"), 1)])
    def test_round_trips_follow_the_extensions(self, extensions, expected, round_trips):
        """ A message takes the fewest round trips that the relay's extensions allow """

        with FakeRelay(extensions=extensions) as relay:
            ours = session(relay)
            transmit_by(ours, mail(ANNE), 5)
            ours.close()
            assert len(round_trips) == expected
            assert len(relay.mails) == 1

    def test_a_large_message_waits_for_a_recipient(self):
        """ A large message is sent only after a recipient was accepted """

        with FakeRelay(extensions=("PIPELINING", "CHUNKING")) as relay:
            relay.answer("RCPT", "550 5.1.1 Never", to=BOB)
            ours = session(relay)
            large = TEXT + "There is news.\n" * 10000
            assert isinstance(transmit_by(ours, mail(BOB, content=large), 5)[BOB], PermanentFailure)
            assert transmit(ours, ANNE, content=large) == {ANNE: None}
            assert not any(verb == "BDAT" for _, verb, _ in relay.commands)
            assert relay.connections == 1

    def test_a_long_list_is_sent_in_groups(self, any_relay):
        """ Each recipient of a long list has its own reply """

        users = ["user%s@example.org" % n for n in range(70)]
        for user in users[::7]:
            any_relay.answer("RCPT", "450 4.2.0 Later", to=user)

        refused = transmit(session(any_relay), *users)

        assert [user for user in users if refused[user]] == users[::7]
        assert any_relay.mails[0].recipients == [user for user in users if not refused[user]]

    def test_a_354_for_nobody_gets_no_content(self, any_relay):
        """ A relay that answers 354 after refusing all recipients gets only the final dot """

        any_relay.answer("RCPT", "550 5.1.1 Never", to=BOB)
        any_relay.answer("DATA", "354 Go ahead", times=1)
        ours = session(any_relay)
        assert isinstance(transmit_by(ours, mail(BOB), 5)[BOB], PermanentFailure)
        transmit(ours, ANNE)

        assert [mail.recipients for mail in any_relay.mails] == [[ANNE]]

    def test_a_refused_recipient_keeps_the_pipelined_content(self):
        """ Content that went along is accepted for the others when one recipient is refused """

        with FakeRelay(extensions=("PIPELINING", "CHUNKING")) as relay:
            relay.answer("RCPT", "452 4.3.1 Full", to=BOB)
            refused = transmit(session(relay), ANNE, BOB)
            assert refused[ANNE] is None
            assert isinstance(refused[BOB], TransientFailure)
            assert len(relay.mails) == 1

    def test_unanswered_pipelined_content_leaves_a_doubt(self):
        """ A message is in doubt if the relay falls silent after pipelined content """

        with FakeRelay(extensions=("PIPELINING", "CHUNKING")) as relay:
            relay.drop("RCPT")
            with pytest.raises(RelayUnavailable) as error:
                accepted(transmit(session(relay)))
            assert error.value.phase == BODY

    def test_eight_bit_content_is_announced(self, any_relay):
        """ BODY=8BITMIME is given to a relay that offers it """

        transmit(session(any_relay), content=TEXT.encode() + b"Gr\xc3\xbc\xc3\x9fe\n")

        verb, argument = next((verb, argument) for _, verb, argument in any_relay.commands
                              if verb == "MAIL")
        assert argument.endswith("BODY=8BITMIME")
        assert b"Gr\xc3\xbc\xc3\x9fe" in any_relay.mails[0].content

# =============================================================================
class TestAhead:
    """
        The next envelope is sent together with the content before it (RFC 2920 section 3.1), or
        its sender right after the reply to that content
    """

    @pytest.fixture
    def relay(self, request):

        with FakeRelay(extensions=getattr(request, "param", ("PIPELINING",))) as relay:
            yield relay

    def test_each_further_mail_takes_one_round_trip(self, relay, round_trips):
        """ The next envelope is answered in the round trip of the content before it """

        ours, mails = session(relay), [mail(ANNE), mail(BOB), mail(ANNE, BOB)]

        counts = [0]
        for each, following in zip(mails, mails[1:] + [None]):
            transmit_by(ours, each, 5, lambda: following)
            counts.append(len(round_trips))
        ours.close()

        assert counts == [0, 2, 3, 4]
        assert [each.recipients for each in relay.mails] == [[ANNE], [BOB], [ANNE, BOB]]
        assert relay.connections == 1

    @pytest.mark.parametrize("relay", [("PIPELINING",), ()], indirect=True)
    @pytest.mark.parametrize("another", [[mail(BOB)], []])
    def test_an_unused_envelope_gets_no_content(self, relay, another):
        """
            Recipients of an envelope that was sent ahead never get the content of another
            message
        """

        ours = session(relay)
        transmit_by(ours, mail(ANNE), 5, lambda: mail("carl@example.org"))
        for each in another:
            transmit_by(ours, each, 5)
        ours.close()

        assert [each.recipients for each in relay.mails] == [[ANNE]] + \
            [each.recipients for each in another]
        assert relay.connections == 1 + len(another)

    @pytest.mark.parametrize("relay", [("PIPELINING",), ()], indirect=True)
    @pytest.mark.parametrize("step, reply, kind", [("MAIL", "451 4.5.0 Later", TransientFailure),
                                                   ("RCPT", "452 4.3.1 Full", RelayUnavailable),
                                                   ("DATA", "451 4.3.0 Later", TransientFailure),
                                                   ("DATA", "554 5.5.1 Never", PermanentFailure)])
    def test_a_reply_to_the_next_envelope_is_its_own(self, relay, step, reply, kind):
        """ A refusal of the next envelope does not concern the message before it """

        ours, following = session(relay), mail(BOB)
        relay.answer("MAIL", "250 2.1.0 OK", times=1)
        relay.answer("RCPT", "250 2.1.5 OK", times=1)
        relay.answer("DATA", "354 Go on", times=1)
        relay.answer(step, reply)

        assert transmit_by(ours, mail(ANNE), 5, lambda: following) == {ANNE: None}
        with pytest.raises(kind) as error:
            accepted(transmit_by(ours, following, 5))

        assert reply in str(error.value)
        assert len(relay.mails) == 1
        relay.reset()
        assert transmit(ours, ANNE) == {ANNE: None}

    @pytest.mark.parametrize("relay", [("PIPELINING",), ()], indirect=True)
    def test_refusals_of_a_long_envelope_are_kept(self, relay):
        """ Each recipient of a long envelope that was sent ahead has its own reply """

        ours, users = session(relay), ["user%s@example.org" % n for n in range(20)]
        relay.answer("RCPT", "550 5.1.1 Never", to=users[3])
        following = mail(*users)

        transmit_by(ours, mail(ANNE), 5, lambda: following)
        refused = transmit_by(ours, following, 5)
        ours.close()

        assert [user for user in users if refused[user]] == [users[3]]
        assert relay.mails[1].recipients == users[:3] + users[4:]

    @pytest.mark.parametrize("relay", [("PIPELINING",), ()], indirect=True)
    def test_an_envelope_ahead_survives_a_refused_content(self, relay):
        """
            The next envelope is valid on the same connection although the content before it was
            refused
        """

        ours, following = session(relay), mail(BOB)
        relay.answer("BODY", "554 5.7.1 Spam", times=1)

        with pytest.raises(PermanentFailure):
            accepted(transmit_by(ours, mail(ANNE), 5, lambda: following))
        assert transmit_by(ours, following, 5) == {BOB: None}
        ours.close()

        assert [each.recipients for each in relay.mails] == [[BOB]]
        assert relay.connections == 1

    @pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
    @pytest.mark.parametrize("fault", ["silence", "drop"])
    def test_an_unanswered_envelope_ahead_costs_a_session(self, relay, step, fault):
        """ A relay that falls silent over the next envelope has accepted the message before it """

        ours, following = session(relay, timeout=0.3), mail(BOB)
        relay.answer(step, "354 Go on" if step == "DATA" else "250 2.0.0 OK", times=1)
        getattr(relay, fault)(step, times=1)

        assert transmit_by(ours, mail(ANNE), 5, lambda: following) == {ANNE: None}
        assert transmit_by(ours, following, 5) == {BOB: None}
        ours.close()

        assert [each.recipients for each in relay.mails] == [[ANNE], [BOB]]
        assert relay.connections == 2

    @pytest.mark.parametrize("relay", [()], indirect=True)
    def test_the_next_sender_is_given_before_its_turn(self, relay, round_trips):
        """ Without PIPELINING, the next sender is given as soon as a message is accepted """

        ours, following = session(relay), mail(BOB)

        assert transmit_by(ours, mail(ANNE), 5, lambda: following) == {ANNE: None}
        assert ours.is_ahead() and ours.is_ready()
        before = len(round_trips)
        assert transmit_by(ours, following, 5) == {BOB: None}
        ours.close()

        assert round_trips[before:] == [["RCPT"], ["DATA"], ["end of data"]]
        assert [verb for _, verb, _ in relay.commands].count("MAIL") == 2
        assert relay.connections == 1

    @pytest.mark.parametrize("relay", [()], indirect=True)
    @pytest.mark.parametrize("fault", ["silence", "drop"])
    def test_an_unanswered_next_sender_costs_a_session(self, relay, fault):
        """ A relay that falls silent over the next sender has accepted the message before """

        ours, following = session(relay, timeout=0.3), mail(BOB)
        relay.answer("MAIL", "250 2.0.0 OK", times=1)
        getattr(relay, fault)("MAIL", times=1)

        assert transmit_by(ours, mail(ANNE), 5, lambda: following) == {ANNE: None}
        assert transmit_by(ours, following, 5) == {BOB: None}
        ours.close()

        assert [each.recipients for each in relay.mails] == [[ANNE], [BOB]]
        assert relay.connections == 2

    def test_content_may_take_longer_than_a_reply(self):
        """ Content may take longer than the time-out of a reply """

        large, clock = mail(ANNE, content=TEXT + "There is news.\n" * 2000000), SleeplessClock()

        def take_time(connection, lines):
            take_until(lines, b"DATA")
            connection.sendall(b"250 OK\r\n250 OK\r\n354 Go on\r\n")
            # The content has begun to arrive
            lines.readline()
            clock.sleep(60)
            take_until(lines, b".\r\n")
            take_until(lines, b"DATA")
            connection.sendall(b"250 OK\r\n250 OK\r\n250 OK\r\n354 Go on\r\n")

        with scripted_relay(take_time) as server:
            ours = Session(server, 30, clock)
            assert transmit_by(ours, large, 1000, lambda: mail(BOB)) == {ANNE: None}
            ours.close()

    def test_a_chunked_mail_is_not_begun_ahead(self):
        """ With CHUNKING no envelope is sent ahead, because its content would go with it """

        with FakeRelay(extensions=("PIPELINING", "CHUNKING")) as relay:
            large = mail(ANNE, content=TEXT + "There is news.\n" * 10000)
            ours = session(relay)
            transmit_by(ours, large, 5, lambda: mail(BOB))
            ours.close()
            assert [each.recipients for each in relay.mails] == [[ANNE]]

# END =========================================================================
