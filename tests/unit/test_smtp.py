"""
    The session with a relay that is told what to answer
"""

import hmac
import socket
import time

from base64 import b64encode
from contextlib import suppress
from threading import Thread
from types import SimpleNamespace

import pytest

from support.fake_relay import FakeRelay
from gluon.storage import Storage

from mails3.smtp.client import Client
from mails3.smtp.dialogue import Envelope, as_lines, dotted
from mails3.replies import BODY, DATA, ConfigurationFailure, LoginRefused, PermanentFailure, \
                           RelayUnavailable, Reply, TransientFailure
from mails3.smtp.server import Server
from mails3.smtp.session import Session

ANNE, BOB = "anne@example.org", "bob@example.org"
TEXT = "Subject: News\n\nThere is news.\n"

# -----------------------------------------------------------------------------
@pytest.fixture(params=[(), ("PIPELINING",), ("PIPELINING", "CHUNKING")], ids="-".join)
def relay(request):
    """ A relay that can be told what to answer, whatever it offers """

    with FakeRelay(extensions=request.param) as relay:
        yield relay

# -----------------------------------------------------------------------------
def session(relay, timeout=2, **settings):
    """ A session with a relay """

    return Session(Server(relay.host, relay.port, **settings), timeout)

def mail(*recipients, content=TEXT):
    """ A mail for them """

    return Envelope("shelter@example.org", list(recipients) or [ANNE], content)

def transmit(session, *recipients, within=5, **options):
    """ Hand a mail over, and close """

    try:
        return session.transmit(mail(*recipients, **options), within)
    finally:
        session.close()

# -----------------------------------------------------------------------------
def accepted(outcome):
    """ The outcome of a message; raises what its recipients met, if all were refused """

    for error in outcome.values():
        if None not in outcome.values():
            raise error
    return outcome

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
class TestSession:
    """ A reply of the relay becomes an error of ours that says what happens next """

    def test_content_arrives_unchanged(self, relay):
        """
            Content arrives unchanged with dots at line starts, any line ends and no line end at
            its end
        """

        transmit(session(relay), content="Subject: x\r\n\n.\n..dots\rFrom me\n\nend")

        assert relay.mails[0].content == b"Subject: x\r\n\r\n.\r\n..dots\r\nFrom me\r\n\r\nend\r\n"

    def test_each_recipient_has_its_reply(self, relay):
        """ Each recipient is accepted, refused for now or refused for good by its own reply """

        relay.answer("RCPT", "450 4.2.0 Later", to=BOB)
        relay.answer("RCPT", "550 5.1.1 Never", to="carl@example.org")

        refused = transmit(session(relay), ANNE, BOB, "carl@example.org")

        assert refused[ANNE] is None
        assert isinstance(refused[BOB], TransientFailure)
        assert isinstance(refused["carl@example.org"], PermanentFailure)

    def test_a_message_without_recipients_is_not_handed_over(self, relay):
        """ If no recipient is accepted, no content is sent and the session can be used again """

        relay.answer("RCPT", "550 5.1.1 Never", to=BOB)
        ours = session(relay)
        assert isinstance(ours.transmit(mail(BOB), 5)[BOB], PermanentFailure)

        transmit(ours, ANNE)

        assert relay.connections == 1
        assert len(relay.mails) == 1

    @pytest.mark.parametrize("step", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BODY"])
    @pytest.mark.parametrize("fault", ["silence", "drop"])
    def test_a_silent_relay_is_unavailable(self, relay, step, fault):
        """ A relay that falls silent or goes away at any point raises RelayUnavailable """

        getattr(relay, fault)(step)

        with pytest.raises(RelayUnavailable):
            accepted(transmit(session(relay, timeout=0.3)))

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
    def test_a_refusal_is_classified_by_its_phase(self, relay, step, reply, trouble):
        """ A refusal raises the error of its phase, with the relay's words """

        relay.answer(step, reply)

        with pytest.raises(trouble) as error:
            accepted(transmit(session(relay)))
        assert reply in str(error.value)

    def test_a_refused_mail_keeps_the_session(self, relay):
        """ The next mail after a refused one goes over the same connection """

        relay.answer("BODY", "554 5.7.1 Spam", times=1)
        ours = session(relay)
        with pytest.raises(PermanentFailure):
            accepted(ours.transmit(mail(ANNE), 5))

        transmit(ours)

        assert relay.connections == 1 and len(relay.mails) == 1

    def test_a_relay_gone_after_its_250_has_accepted(self, relay):
        """ A message counts as accepted although the relay goes away after its 250 """

        relay.drop_after("BODY")

        assert transmit(session(relay)) == {ANNE: None}

    def test_a_mail_has_only_so_much_time(self, relay):
        """
            Recipients who could not be asked for in half of the time get the message in another
            transaction
        """

        relay.delay("RCPT", 0.2)
        users = ["user%s@example.org" % n for n in range(20)]

        taken = transmit(session(relay), *users, within=2)

        assert 0 < len(taken) < 20
        assert relay.mails[0].recipients == list(taken)

    def test_a_new_session_gives_a_message_no_new_time(self, relay):
        """
            A message keeps its deadline in the session that replaces one that the relay has
            ended
        """

        ours, ends = session(relay, timeout=0.5), []
        ours.transmit(mail(), 5)
        relay.silence("MAIL", times=1)
        converse = ours._converse

        def note_deadline(*args):
            ends.append(ours.client.deadlines.reply)
            return converse(*args)

        ours._converse = note_deadline
        with suppress(RelayUnavailable):
            # With CHUNKING it may have got all of the mail: it is not asked again
            transmit(ours)

        assert ends == [pytest.approx(ends[0], abs=0.2)] * len(ends)

    def test_a_trickling_reply_times_out(self, relay):
        """ A reply times out as a whole, although each of its bytes comes in time """

        relay.slow("RCPT", 0.1)

        with pytest.raises(RelayUnavailable):
            accepted(transmit(session(relay, timeout=0.5)))

    def test_an_unreachable_relay_is_unavailable(self):
        """ A refused connection and an unknown host raise RelayUnavailable """

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        for server in (Server("127.0.0.1", port), Server("relay.invalid", 25)):
            with pytest.raises(RelayUnavailable):
                accepted(transmit(Session(server, 1)))

    def test_a_session_ends_after_some_messages(self, relay):
        """ A new session is opened after a number of messages """

        ours = session(relay)
        ours.MAX_MESSAGES = 2
        for _ in range(5):
            ours.transmit(mail(ANNE), 5)
        ours.close()

        assert relay.connections == 3 and len(relay.mails) == 5

    def test_too_large_a_mail_is_refused_before_it_is_sent(self):
        """ A message over the relay's SIZE is refused without its content being sent """

        with FakeRelay(size=1000) as relay:
            with pytest.raises(PermanentFailure):
                accepted(transmit(session(relay), content=TEXT + "x" * 2000))
            assert not any(verb == "DATA" for _, verb, _ in relay.commands)

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
            ours.transmit(mail(ANNE), 5)
            ours.close()
            assert len(round_trips) == expected
            assert len(relay.mails) == 1

    def test_a_large_message_waits_for_a_recipient(self):
        """ A large message is sent only after a recipient was accepted """

        with FakeRelay(extensions=("PIPELINING", "CHUNKING")) as relay:
            relay.answer("RCPT", "550 5.1.1 Never", to=BOB)
            ours = session(relay)
            large = TEXT + "There is news.\n" * 10000
            assert isinstance(ours.transmit(mail(BOB, content=large), 5)[BOB], PermanentFailure)
            assert transmit(ours, ANNE, content=large) == {ANNE: None}
            assert not any(verb == "BDAT" for _, verb, _ in relay.commands)
            assert relay.connections == 1

    def test_a_long_list_is_sent_in_groups(self, relay):
        """ Each recipient of a long list has its own reply """

        users = ["user%s@example.org" % n for n in range(70)]
        for user in users[::7]:
            relay.answer("RCPT", "450 4.2.0 Later", to=user)

        refused = transmit(session(relay), *users)

        assert [user for user in users if refused[user]] == users[::7]
        assert relay.mails[0].recipients == [user for user in users if not refused[user]]

    def test_a_354_for_nobody_gets_no_content(self, relay, monkeypatch):
        """ A relay that answers 354 after refusing all recipients gets only the final dot """

        class Eager(Client):

            def _take(self, phase, began):
                reply = yield from super()._take(phase, began)
                if phase == DATA and reply.code == 503:
                    # What such a relay says; ours does not take content, so
                    # that the dot is a command that it does not know
                    reply = Reply(DATA, 354, "go ahead")
                return reply

        relay.answer("RCPT", "550 5.1.1 Never", to=BOB)
        monkeypatch.setattr("mails3.smtp.session.Client", Eager)
        ours = session(relay)
        assert isinstance(ours.transmit(mail(BOB), 5)[BOB], PermanentFailure)
        transmit(ours, ANNE)

        assert [mail.recipients for mail in relay.mails] == [[ANNE]]

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

    def test_eight_bit_content_is_announced(self, relay):
        """ BODY=8BITMIME is given to a relay that offers it """

        transmit(session(relay), content=TEXT.encode() + b"Gr\xc3\xbc\xc3\x9fe\n")

        verb, argument = next((verb, argument) for _, verb, argument in relay.commands
                              if verb == "MAIL")
        assert argument.endswith("BODY=8BITMIME")
        assert b"Gr\xc3\xbc\xc3\x9fe" in relay.mails[0].content

# =============================================================================
class TestAhead:
    """ The next envelope is sent together with the content before it (RFC 2920 section 3.1) """

    @pytest.fixture
    def relay(self):

        with FakeRelay(extensions=("PIPELINING",)) as relay:
            yield relay

    def test_each_further_mail_takes_one_round_trip(self, relay, round_trips):
        """ The next envelope is answered in the round trip of the content before it """

        ours, mails = session(relay), [mail(ANNE), mail(BOB), mail(ANNE, BOB)]

        counts = [0]
        for each, following in zip(mails, mails[1:] + [None]):
            ours.transmit(each, 5, lambda: following)
            counts.append(len(round_trips))
        ours.close()

        assert counts == [0, 2, 3, 4]
        assert [each.recipients for each in relay.mails] == [[ANNE], [BOB], [ANNE, BOB]]
        assert relay.connections == 1

    @pytest.mark.parametrize("another", [[mail(BOB)], []])
    def test_an_unused_envelope_gets_no_content(self, relay, another):
        """
            Recipients of an envelope that was sent ahead never get the content of another
            message
        """

        ours = session(relay)
        ours.transmit(mail(ANNE), 5, lambda: mail("carl@example.org"))
        for each in another:
            ours.transmit(each, 5)
        ours.close()

        assert [each.recipients for each in relay.mails] == [[ANNE]] + \
            [each.recipients for each in another]
        assert relay.connections == 1 + len(another)

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

        assert ours.transmit(mail(ANNE), 5, lambda: following) == {ANNE: None}
        with pytest.raises(kind) as error:
            accepted(ours.transmit(following, 5))

        assert reply in str(error.value)
        assert len(relay.mails) == 1
        relay.reset()
        assert transmit(ours, ANNE) == {ANNE: None}

    def test_refusals_of_a_long_envelope_are_kept(self, relay):
        """ Each recipient of a long envelope that was sent ahead has its own reply """

        ours, users = session(relay), ["user%s@example.org" % n for n in range(20)]
        relay.answer("RCPT", "550 5.1.1 Never", to=users[3])
        following = mail(*users)

        ours.transmit(mail(ANNE), 5, lambda: following)
        refused = ours.transmit(following, 5)
        ours.close()

        assert [user for user in users if refused[user]] == [users[3]]
        assert relay.mails[1].recipients == users[:3] + users[4:]

    def test_an_envelope_ahead_survives_a_refused_content(self, relay):
        """
            The next envelope is valid on the same connection although the content before it was
            refused
        """

        ours, following = session(relay), mail(BOB)
        relay.answer("BODY", "554 5.7.1 Spam", times=1)

        with pytest.raises(PermanentFailure):
            accepted(ours.transmit(mail(ANNE), 5, lambda: following))
        assert ours.transmit(following, 5) == {BOB: None}
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

        assert ours.transmit(mail(ANNE), 5, lambda: following) == {ANNE: None}
        assert ours.transmit(following, 5) == {BOB: None}
        ours.close()

        assert [each.recipients for each in relay.mails] == [[ANNE], [BOB]]
        assert relay.connections == 2

    def test_content_may_take_longer_than_a_reply(self):
        """ Content may take longer than the time-out of a reply """

        replies = ["220 slow.example.org", "250-slow.example.org\r\n250 PIPELINING",
                   "250 OK\r\n250 OK\r\n354 Go on", "250 OK\r\n250 OK\r\n250 OK\r\n354 Go on"]
        large = mail(ANNE, content=TEXT + "There is news.\n" * 2000000)

        def serve(listening):
            connection, _ = listening.accept()
            with connection, connection.makefile("rb") as lines:
                for reply, last in zip(replies, (b"EHLO", b"DATA", b".\r\n", b"DATA")):
                    connection.sendall(reply.encode() + b"\r\n")
                    if last == b".\r\n":
                        time.sleep(0.6)
                    while not lines.readline().upper().startswith(last):
                        pass

        with socket.create_server(("127.0.0.1", 0)) as listening:
            Thread(target=serve, args=[listening], daemon=True).start()
            ours = Session(Server(*listening.getsockname()), 0.3)
            assert ours.transmit(large, 10, lambda: mail(BOB)) == {ANNE: None}
            ours.close()

    def test_a_chunked_mail_is_not_begun_ahead(self):
        """ With CHUNKING no envelope is sent ahead, because its content would go with it """

        with FakeRelay(extensions=("PIPELINING", "CHUNKING")) as relay:
            large = mail(ANNE, content=TEXT + "There is news.\n" * 10000)
            ours = session(relay)
            ours.transmit(large, 5, lambda: mail(BOB))
            ours.close()
            assert [each.recipients for each in relay.mails] == [[ANNE]]

# =============================================================================
class TestLogin:
    """ The login to the relay """

    def test_the_right_password_is_accepted(self):
        """ A mail is accepted after a login with the right password """

        with FakeRelay(login=("user", "right")) as relay:
            assert transmit(session(relay, user="user", password="right")) == {ANNE: None}

    @pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
    def test_a_login_need_not_be_ascii(self, mechanism):
        """ User and password are sent in UTF-8 (RFC 4616) by each mechanism """

        with FakeRelay(login=("Zoë", "Schlüssel"), mechanisms=[mechanism]) as relay:
            ours = session(relay, user="Zoë", password="Schlüssel")
            assert transmit(ours) == {ANNE: None}
            assert relay.logins[0][1:] == (mechanism, "Zoë", True)

    def test_a_host_without_md5_logs_in_by_another_mechanism(self, monkeypatch):
        """ A Python without MD5 (FIPS 140) uses another mechanism """

        new = hmac.new

        def without_md5(key, message=None, digestmod=""):
            if digestmod == "md5":
                raise ValueError("[digital envelope routines] unsupported")
            return new(key, message, digestmod)

        monkeypatch.setattr("mails3.smtp.login.hmac", SimpleNamespace(new=without_md5))
        with FakeRelay(login=("user", "right"), mechanisms=["CRAM-MD5", "PLAIN"]) as relay:
            assert transmit(session(relay, user="user", password="right")) == {ANNE: None}

    def test_a_wrong_password_is_refused(self):
        """ A wrong password raises LoginRefused """

        with FakeRelay(login=("user", "right")) as relay:
            with pytest.raises(LoginRefused):
                accepted(transmit(session(relay, user="user", password="wrong")))
            assert len(relay.logins) == 1

    def test_a_repeated_password_is_not_quoted(self):
        """
            An error does not show a password that the relay repeats, in plain or encoded, whole
            or in part
        """

        sent = b64encode(b"\0shelter-user\0pass-word").decode()
        with FakeRelay(login=("user", "right")) as relay:
            relay.answer("AUTH", '535 5.5.1 What? "AUTH PLAIN %s", %s..., pass-word' %
                         (sent, sent[:20]))
            with pytest.raises(LoginRefused) as error:
                accepted(transmit(session(relay, user="shelter-user", password="pass-word")))
        assert str(error.value).endswith('535 5.5.1 What? "AUTH PLAIN ***", ***..., ***')

    def test_a_missing_login_is_a_configuration_failure(self):
        """ A relay that requires a login raises ConfigurationFailure where none is set """

        with FakeRelay(login=("user", "right")) as relay:
            with pytest.raises(ConfigurationFailure):
                accepted(transmit(session(relay)))

    def test_an_impossible_login_is_a_configuration_failure(self, relay):
        """ A relay that offers no AUTH raises ConfigurationFailure where a login is set """

        with pytest.raises(ConfigurationFailure):
            accepted(transmit(session(relay, user="user", password="right")))

# =============================================================================
class TestTLS:
    """ Encryption as in web2py, and with verification """

    @pytest.mark.parametrize("kind", ["starttls", "ssl"])
    def test_any_certificate_is_taken_by_default(self, kind):
        """ Any certificate is accepted if nothing else is set, as in web2py """

        with FakeRelay(tls=kind) as relay:
            assert transmit(session(relay, **{kind: True})) == {ANNE: None}

    @pytest.mark.parametrize("kind", ["starttls", "ssl"])
    def test_a_verified_certificate_needs_its_authority(self, kind):
        """
            With verification, a certificate without a known authority raises
            ConfigurationFailure
        """

        with FakeRelay(tls=kind) as relay:
            relay_known = session(relay, verify=True, cafile=relay.cafile, **{kind: True})
            assert transmit(relay_known) == {ANNE: None}
            with pytest.raises(ConfigurationFailure):
                accepted(transmit(session(relay, verify=True, **{kind: True})))

    def test_a_mail_is_never_sent_unencrypted(self, relay):
        """ No mail is sent if TLS is set and not offered """

        with pytest.raises(ConfigurationFailure):
            accepted(transmit(session(relay, starttls=True)))
        assert relay.mails == []

    def test_tls_to_a_plain_port_is_a_configuration_failure(self, relay):
        """ TLS to a port without TLS raises ConfigurationFailure """

        with pytest.raises((ConfigurationFailure, RelayUnavailable)):
            accepted(transmit(session(relay, ssl=True)))

    def test_a_missing_file_of_authorities_is_a_configuration_failure(self, relay):
        """ A missing file of authorities raises ConfigurationFailure """

        with pytest.raises(ConfigurationFailure):
            accepted(transmit(session(relay, starttls=True, verify=True, cafile="/nowhere.pem")))

# =============================================================================
class TestServer:
    """ A Server is read from mail.settings """

    @pytest.mark.parametrize("given, host, port", [
        ("mail.example.org:587", "mail.example.org", 587),
        ("mail.example.org", "mail.example.org", 25),
        ("[::1]:2525", "::1", 2525),
        ("[::1]", "::1", 25),
        ])
    def test_a_server_is_host_and_port(self, given, host, port):
        """ A server is a host with an optional port, as in web2py, or an IPv6 address """

        server = Server.read(Storage(server=given))

        assert (server.host, server.port) == (host, port)

    def test_a_password_may_have_a_colon(self):
        """ A login is divided at its first colon """

        assert Server.read(Storage(server="x", login="user:a:b")).password == "a:b"

    def test_the_fingerprint_changes_with_the_configuration(self):
        """
            The fingerprint changes with each setting that a repair may change, and with no
            other
        """

        base = dict(server="host:25", login="user:password", tls=True, ssl=False)
        prints = {Server.read(Storage(base, **change)).fingerprint(sender, "salt")
                  for change in ({}, {"server": "host:26"}, {"login": "user:other"},
                                 {"tls": False}, {"ssl": True}, {"timeout": 9})
                  for sender in ("a@example.org", "b@example.org")}

        assert len(prints) == 10

    def test_the_password_is_not_shown(self):
        """ Neither a Server's text nor its fingerprint shows the password """

        server = Server.read(Storage(server="host", login="user:pass-word"))

        assert "pass-word" not in repr(server) + server.fingerprint("a@example.org", "salt")

# =============================================================================
def test_an_empty_mail_can_be_sent():
    """ An empty message is sent with a final line of its own """

    assert dotted(as_lines("")) == b"\r\n.\r\n"

# END =========================================================================
