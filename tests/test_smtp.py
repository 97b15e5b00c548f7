"""
    The session with the relay, against a relay that is told what to answer
"""

import hmac
import socket
import time

from base64 import b64encode
from contextlib import suppress
from threading import Thread
from types import SimpleNamespace

import pytest

from conftest import FakeRelay
from gluon.storage import Storage

from mails3.smtp.dialogue import Envelope, as_lines, dotted
from mails3.policy import BODY, DATA, ConfigurationFailure, LoginRefused, PermanentFailure, \
                          RelayUnavailable, Reply, TransientFailure
from mails3.smtp.session import Server, Session

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

# =============================================================================
class TestSession:
    """ What the relay answers becomes an error of ours that says what happens next """

    def test_content_arrives_as_it_was(self, relay):
        """ Dots at the start of lines, any line ends, no line end at the end """

        transmit(session(relay), content="Subject: x\r\n\n.\n..dots\rFrom me\n\nend")

        assert relay.mails[0].content == b"Subject: x\r\n\r\n.\r\n..dots\r\nFrom me\r\n\r\nend\r\n"

    def test_each_recipient_has_its_answer(self, relay):
        """ Accepted, refused for now, refused for good """

        relay.answer("RCPT", "450 4.2.0 Later", to=BOB)
        relay.answer("RCPT", "550 5.1.1 Never", to="carl@example.org")

        refused = transmit(session(relay), ANNE, BOB, "carl@example.org")

        assert refused[ANNE] is None
        assert isinstance(refused[BOB], TransientFailure)
        assert isinstance(refused["carl@example.org"], PermanentFailure)

    def test_if_nobody_is_accepted_nothing_is_handed_over(self, relay):
        """ And the session can be used again """

        relay.answer("RCPT", "550 5.1.1 Never", to=BOB)
        ours = session(relay)
        assert isinstance(ours.transmit(mail(BOB), 5)[BOB], PermanentFailure)

        transmit(ours, ANNE)

        assert relay.connections == 1
        assert len(relay.mails) == 1

    @pytest.mark.parametrize("step", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BODY"])
    @pytest.mark.parametrize("fault", ["silence", "drop"])
    def test_no_answer_is_the_relays_trouble(self, relay, step, fault):
        """ At whatever point it falls silent or goes away """

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
    def test_a_refusal_is_judged_by_its_phase(self, relay, step, reply, trouble):
        """ With the relay's words in it """

        relay.answer(step, reply)

        with pytest.raises(trouble) as error:
            accepted(transmit(session(relay)))
        assert reply in str(error.value)

    def test_one_refused_mail_does_not_spoil_the_session(self, relay):
        """ The next one goes over the same connection """

        relay.answer("BODY", "554 5.7.1 Spam", times=1)
        ours = session(relay)
        with pytest.raises(PermanentFailure):
            accepted(ours.transmit(mail(ANNE), 5))

        transmit(ours)

        assert relay.connections == 1 and len(relay.mails) == 1

    def test_a_relay_gone_after_its_yes_has_said_yes(self, relay):
        """ What happens after the 250 does not matter any more """

        relay.drop_after("BODY")

        assert transmit(session(relay)) == {ANNE: None}

    def test_a_mail_has_only_so_much_time(self, relay):
        """ Those who could be asked for in half of it get it, the others wait """

        relay.delay("RCPT", 0.2)
        users = ["user%s@example.org" % n for n in range(20)]

        taken = transmit(session(relay), *users, within=2)

        assert 0 < len(taken) < 20
        assert relay.mails[0].recipients == list(taken)

    def test_a_new_session_gives_it_no_new_time(self, relay):
        """ Where the relay has had enough of the one before """

        ours, ends = session(relay, timeout=0.5), []
        ours.transmit(mail(), 5)
        relay.silence("MAIL", times=1)
        begin = ours.open

        def open_until(within):
            begin(within)
            ends.append(ours.deadline)

        ours.open = open_until
        with suppress(RelayUnavailable):
            # With CHUNKING it may have got all of the mail: it is not asked again
            transmit(ours)

        assert ends == [pytest.approx(ends[0], abs=0.2)] * len(ends)

    def test_a_reply_that_trickles_in_takes_too_long(self, relay):
        """ Though each of its bytes comes in time """

        relay.slow("RCPT", 0.1)

        with pytest.raises(RelayUnavailable):
            accepted(transmit(session(relay, timeout=0.5)))

    def test_nobody_there_is_the_relays_trouble(self):
        """ Connection refused, unknown host """

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        for server in (Server("127.0.0.1", port), Server("relay.invalid", 25)):
            with pytest.raises(RelayUnavailable):
                accepted(transmit(Session(server, 1)))

    def test_a_session_is_not_used_for_ever(self, relay):
        """ After some messages a new one is opened """

        ours = session(relay)
        ours.MESSAGES = 2
        for _ in range(5):
            ours.transmit(mail(ANNE), 5)
        ours.close()

        assert relay.connections == 3 and len(relay.mails) == 5

    def test_too_large_a_mail_is_refused_before_it_is_sent(self):
        """ The relay is told its size, and that mail alone is refused """

        with FakeRelay(size=1000) as relay:
            with pytest.raises(PermanentFailure):
                accepted(transmit(session(relay), content=TEXT + "x" * 2000))
            assert not any(verb == "DATA" for _, verb, _ in relay.commands)

# =============================================================================
class TestPipelining:
    """ What is given at once is answered one by one (RFC 2920, RFC 3030) """

    @pytest.mark.parametrize("extensions, round_trips", [((), 4), (("CHUNKING",), 4),
                                                         (("PIPELINING",), 2),
                                                         (("PIPELINING", "CHUNKING"), 1)])
    def test_a_message_takes_so_many_round_trips(self, extensions, round_trips):
        """ As few as the relay's extensions allow """

        with FakeRelay(extensions=extensions) as relay:
            ours = session(relay)
            pauses = sum(1 for _ in ours.transmitting(mail(ANNE), 5))
            ours.close()
            assert pauses == round_trips
            assert len(relay.mails) == 1

    def test_a_large_message_is_not_sent_before_somebody_wants_it(self):
        """ Though the relay would take it all at once """

        with FakeRelay(extensions=("PIPELINING", "CHUNKING")) as relay:
            relay.answer("RCPT", "550 5.1.1 Never", to=BOB)
            ours = session(relay)
            large = TEXT + "There is news.\n" * 10000
            assert isinstance(ours.transmit(mail(BOB, content=large), 5)[BOB], PermanentFailure)
            assert transmit(ours, ANNE, content=large) == {ANNE: None}
            assert not any(verb == "BDAT" for _, verb, _ in relay.commands)
            assert relay.connections == 1

    def test_a_long_list_is_asked_for_in_groups(self, relay):
        """ And each has the answer that was given to it """

        users = ["user%s@example.org" % n for n in range(70)]
        for user in users[::7]:
            relay.answer("RCPT", "450 4.2.0 Later", to=user)

        refused = transmit(session(relay), *users)

        assert [user for user in users if refused[user]] == users[::7]
        assert relay.mails[0].recipients == [user for user in users if not refused[user]]

    def test_a_relay_that_wants_content_for_nobody_gets_none(self, relay):
        """ It answered DATA with 354 though it had refused each recipient """

        class Eager(Session):

            def _take(self, phase):
                reply = super()._take(phase)
                if phase == DATA and reply.code == 503:
                    # What such a relay says; ours does not take content, so
                    # that the dot is a command that it does not know
                    reply = Reply(DATA, 354, "go ahead")
                return reply

        relay.answer("RCPT", "550 5.1.1 Never", to=BOB)
        ours = Eager(Server(relay.host, relay.port), 2)
        assert isinstance(ours.transmit(mail(BOB), 5)[BOB], PermanentFailure)
        transmit(ours, ANNE)

        assert [mail.recipients for mail in relay.mails] == [[ANNE]]

    def test_trouble_over_one_recipient_is_none_for_those_who_have_it(self):
        """ Sent along with its envelope, the message is there already """

        with FakeRelay(extensions=("PIPELINING", "CHUNKING")) as relay:
            relay.answer("RCPT", "452 4.3.1 Full", to=BOB)
            refused = transmit(session(relay), ANNE, BOB)
            assert refused[ANNE] is None
            assert isinstance(refused[BOB], TransientFailure)
            assert len(relay.mails) == 1

    def test_no_answer_to_what_was_sent_along_is_a_doubt(self):
        """ The relay may have got all of it """

        with FakeRelay(extensions=("PIPELINING", "CHUNKING")) as relay:
            relay.drop("RCPT")
            with pytest.raises(RelayUnavailable) as error:
                accepted(transmit(session(relay)))
            assert error.value.args[0].phase == BODY

    def test_what_is_not_ascii_is_announced(self, relay):
        """ To a relay that takes eight bits """

        transmit(session(relay), content=TEXT.encode() + b"Gr\xc3\xbc\xc3\x9fe\n")

        verb, argument = next((verb, argument) for _, verb, argument in relay.commands
                              if verb == "MAIL")
        assert argument.endswith("BODY=8BITMIME")
        assert b"Gr\xc3\xbc\xc3\x9fe" in relay.mails[0].content

# =============================================================================
class TestAhead:
    """
        The next envelope is given along with the content of the mail before
        (RFC 2920 section 3.1); its content is not, until it is its turn
    """

    @pytest.fixture
    def relay(self):

        with FakeRelay(extensions=("PIPELINING",)) as relay:
            yield relay

    def test_each_further_mail_takes_one_round_trip(self, relay):
        """ The envelope of the next one is answered along with the content """

        ours, mails = session(relay), [mail(ANNE), mail(BOB), mail(ANNE, BOB)]

        pauses = [sum(1 for _ in ours.transmitting(each, 5, following))
                  for each, following in zip(mails, mails[1:] + [None])]
        ours.close()

        assert pauses == [2, 1, 1]
        assert [each.recipients for each in relay.mails] == [[ANNE], [BOB], [ANNE, BOB]]
        assert relay.connections == 1

    @pytest.mark.parametrize("another", [[mail(BOB)], []])
    def test_the_content_of_another_is_not_for_them(self, relay, another):
        """ If the next one is not sent after all: another session, or none any more """

        ours = session(relay)
        ours.transmit(mail(ANNE), 5, mail("carl@example.org"))
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
    def test_what_is_said_to_it_is_about_it(self, relay, step, reply, kind):
        """ Not about the mail that the relay was just given """

        ours, following = session(relay), mail(BOB)
        relay.answer("MAIL", "250 2.1.0 OK", times=1)
        relay.answer("RCPT", "250 2.1.5 OK", times=1)
        relay.answer("DATA", "354 Go on", times=1)
        relay.answer(step, reply)

        assert ours.transmit(mail(ANNE), 5, following) == {ANNE: None}
        with pytest.raises(kind) as error:
            accepted(ours.transmit(following, 5))

        assert reply in str(error.value)
        assert len(relay.mails) == 1
        relay.reset()
        assert transmit(ours, ANNE) == {ANNE: None}

    def test_who_is_refused_is_refused(self, relay):
        """ Some of many, asked for in several groups """

        ours, users = session(relay), ["user%s@example.org" % n for n in range(20)]
        relay.answer("RCPT", "550 5.1.1 Never", to=users[3])
        following = mail(*users)

        ours.transmit(mail(ANNE), 5, following)
        refused = ours.transmit(following, 5)
        ours.close()

        assert [user for user in users if refused[user]] == [users[3]]
        assert relay.mails[1].recipients == users[:3] + users[4:]

    def test_it_does_not_care_whether_the_mail_before_was_refused(self, relay):
        """ Its envelope stands, over the same connection """

        ours, following = session(relay), mail(BOB)
        relay.answer("BODY", "554 5.7.1 Spam", times=1)

        with pytest.raises(PermanentFailure):
            accepted(ours.transmit(mail(ANNE), 5, following))
        assert ours.transmit(following, 5) == {BOB: None}
        ours.close()

        assert [each.recipients for each in relay.mails] == [[BOB]]
        assert relay.connections == 1

    @pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
    @pytest.mark.parametrize("fault", ["silence", "drop"])
    def test_no_answer_to_it_costs_a_session(self, relay, step, fault):
        """ The mail before has been taken, and the next one is none to blame """

        ours, following = session(relay, timeout=0.3), mail(BOB)
        relay.answer(step, "354 Go on" if step == "DATA" else "250 2.0.0 OK", times=1)
        getattr(relay, fault)(step, times=1)

        assert ours.transmit(mail(ANNE), 5, following) == {ANNE: None}
        assert ours.transmit(following, 5) == {BOB: None}
        ours.close()

        assert [each.recipients for each in relay.mails] == [[ANNE], [BOB]]
        assert relay.connections == 2

    def test_content_has_all_the_time_there_is(self):
        """ A relay that reads slowly may take longer for it than for a reply """

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
            assert ours.transmit(large, 10, mail(BOB)) == {ANNE: None}
            ours.close()

    def test_a_mail_that_goes_all_in_one_is_not_begun(self):
        """ With CHUNKING its content would be sent before its turn """

        with FakeRelay(extensions=("PIPELINING", "CHUNKING")) as relay:
            large = mail(ANNE, content=TEXT + "There is news.\n" * 10000)
            ours = session(relay)
            ours.transmit(large, 5, mail(BOB))
            ours.close()
            assert [each.recipients for each in relay.mails] == [[ANNE]]

# =============================================================================
class TestLogin:
    """ Whom the relay knows """

    def test_with_the_right_password(self):
        """ The mail is taken """

        with FakeRelay(login=("user", "right")) as relay:
            assert transmit(session(relay, user="user", password="right")) == {ANNE: None}

    @pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
    def test_a_login_need_not_be_ascii(self, mechanism):
        """ It is UTF-8 (RFC 4616), by whatever mechanism the relay offers """

        with FakeRelay(login=("Zoë", "Schlüssel"), mechanisms=[mechanism]) as relay:
            ours = session(relay, user="Zoë", password="Schlüssel")
            assert transmit(ours) == {ANNE: None}
            assert relay.logins[0][1:] == (mechanism, "Zoë", True)

    def test_a_host_without_md5_logs_in_by_another_mechanism(self, monkeypatch):
        """ One that goes by FIPS 140 refuses MD5 with a ValueError """

        new = hmac.new

        def without_md5(key, message=None, digestmod=""):
            if digestmod == "md5":
                raise ValueError("[digital envelope routines] unsupported")
            return new(key, message, digestmod)

        monkeypatch.setattr("mails3.smtp.session.hmac", SimpleNamespace(new=without_md5))
        with FakeRelay(login=("user", "right"), mechanisms=["CRAM-MD5", "PLAIN"]) as relay:
            assert transmit(session(relay, user="user", password="right")) == {ANNE: None}

    def test_with_a_wrong_password(self):
        """ It is a fault that must not be repeated """

        with FakeRelay(login=("user", "right")) as relay:
            with pytest.raises(LoginRefused):
                accepted(transmit(session(relay, user="user", password="wrong")))
            assert len(relay.logins) == 1

    def test_a_relay_that_repeats_it_is_not_quoted(self):
        """ Neither in plain nor as it was sent, nor a part of that """

        sent = b64encode(b"\0shelter-user\0pass-word").decode()
        with FakeRelay(login=("user", "right")) as relay:
            relay.answer("AUTH", '535 5.5.1 What? "AUTH PLAIN %s", %s..., pass-word' %
                         (sent, sent[:20]))
            with pytest.raises(LoginRefused) as error:
                accepted(transmit(session(relay, user="shelter-user", password="pass-word")))
        assert str(error.value).endswith('535 5.5.1 What? "AUTH PLAIN ***", ***..., ***')

    def test_without_a_login_where_one_is_needed(self):
        """ The configuration is to blame, not the mail """

        with FakeRelay(login=("user", "right")) as relay:
            with pytest.raises(ConfigurationFailure):
                accepted(transmit(session(relay)))

    def test_with_a_login_that_nobody_asks_for(self, relay):
        """ The relay offers no AUTH """

        with pytest.raises(ConfigurationFailure):
            accepted(transmit(session(relay, user="user", password="right")))

# =============================================================================
class TestTLS:
    """ Encryption, as far as web2py goes and further """

    @pytest.mark.parametrize("kind", ["starttls", "ssl"])
    def test_unverified_like_web2py(self, kind):
        """ Any certificate is taken, as long as nothing else is set """

        with FakeRelay(tls=kind) as relay:
            assert transmit(session(relay, **{kind: True})) == {ANNE: None}

    @pytest.mark.parametrize("kind", ["starttls", "ssl"])
    def test_verified(self, kind):
        """ Taken if an authority vouches for it, else the configuration is to blame """

        with FakeRelay(tls=kind) as relay:
            relay_known = session(relay, verify=True, cafile=relay.cafile, **{kind: True})
            assert transmit(relay_known) == {ANNE: None}
            with pytest.raises(ConfigurationFailure):
                accepted(transmit(session(relay, verify=True, **{kind: True})))

    def test_not_offered(self, relay):
        """ A mail that should be encrypted is not sent in clear """

        with pytest.raises(ConfigurationFailure):
            accepted(transmit(session(relay, starttls=True)))
        assert relay.mails == []

    def test_spoken_to_a_port_that_does_not(self, relay):
        """ The configuration is to blame """

        with pytest.raises((ConfigurationFailure, RelayUnavailable)):
            accepted(transmit(session(relay, ssl=True)))

    def test_authorities_that_are_not_there(self, relay):
        """ The configuration is to blame """

        with pytest.raises(ConfigurationFailure):
            accepted(transmit(session(relay, starttls=True, verify=True, cafile="/nowhere.pem")))

# =============================================================================
class TestServer:
    """ mail.settings, read """

    @pytest.mark.parametrize("given, host, port", [
        ("mail.example.org:587", "mail.example.org", 587),
        ("mail.example.org", "mail.example.org", 25),
        ("[::1]:2525", "::1", 2525),
        ("[::1]", "::1", 25),
        ])
    def test_a_server_is_host_and_port(self, given, host, port):
        """ As web2py takes it, and IPv6 """

        server = Server.read(Storage(server=given))

        assert (server.host, server.port) == (host, port)

    def test_a_password_may_have_a_colon(self):
        """ The user may not """

        assert Server.read(Storage(server="x", login="user:a:b")).password == "a:b"

    def test_the_fingerprint_tells_configurations_apart(self):
        """ By everything that may have been repaired, and by nothing else """

        base = dict(server="host:25", login="user:password", tls=True, ssl=False)
        prints = {Server.read(Storage(base, **change)).fingerprint(sender, "salt")
                  for change in ({}, {"server": "host:26"}, {"login": "user:other"},
                                 {"tls": False}, {"ssl": True}, {"timeout": 9})
                  for sender in ("a@example.org", "b@example.org")}

        assert len(prints) == 10

    def test_the_password_is_not_shown(self):
        """ Neither by the server nor by its fingerprint """

        server = Server.read(Storage(server="host", login="user:pass-word"))

        assert "pass-word" not in repr(server) + server.fingerprint("a@example.org", "salt")

# =============================================================================
def test_an_empty_mail_can_be_sent():
    """ It still ends with a line of its own """

    assert dotted(as_lines("")) == b"\r\n.\r\n"

# END =========================================================================
