"""
    Encryption of the connection with the relay
"""

import socket
import ssl
import threading

from contextlib import nullcontext, suppress
from dataclasses import replace

import pytest

from support.certificates import HOST, certificate, resolve_here
from support.fake_relay import FakeRelay
from support.scripted_relay import scripted_relay, take_until
from support.sessions import accepted, session, transmit

from mails3.replies import ConfigurationFailure, RelayUnavailable
from mails3.smtp import opening
from mails3.smtp.server import Server
from mails3.smtp.session import Session
from mails3.smtp.tls import TLS, YES

ANNE = "anne@example.org"
LOGIN = {"user": "shelter", "password": "hush"}
kinds = pytest.mark.parametrize("kind", ["starttls", "ssl"])

# -----------------------------------------------------------------------------
def refused(session):
    """ Why no mail went out by a session: the ConfigurationFailure """

    with pytest.raises(ConfigurationFailure) as failure:
        accepted(transmit(session))
    return failure.value

def until_quit(connection, lines):
    """ A script for a relay that only waits """

    take_until(lines, b"QUIT")

# =============================================================================
class TestTLS:
    """ Mail is encrypted, or it does not go out """

    @kinds
    def test_any_certificate_of_this_machine_is_taken(self, kind):
        """ The certificate of a relay on this machine is not verified """

        with FakeRelay(tls=kind) as relay:
            assert transmit(session(relay, **{kind: True})) == {ANNE: None}

    @kinds
    def test_a_verified_certificate_needs_its_authority(self, kind):
        """
            With verify_tls = yes, a certificate without a known authority raises
            ConfigurationFailure
        """

        with FakeRelay(tls=kind) as relay:
            relay_known = session(relay, tls=TLS(YES, relay.cafile), **{kind: True})
            assert transmit(relay_known) == {ANNE: None}
            with pytest.raises(ConfigurationFailure):
                accepted(transmit(session(relay, tls=TLS(YES), **{kind: True})))

    def test_a_mail_is_never_sent_unencrypted(self, any_relay):
        """ No mail is sent if TLS is set and not offered """

        with pytest.raises(ConfigurationFailure):
            accepted(transmit(session(any_relay, starttls=True)))
        assert any_relay.mails == []

    @pytest.mark.parametrize("cafile", ["/nowhere.pem", __file__])
    def test_a_missing_file_of_authorities_is_a_configuration_failure(self, any_relay, cafile):
        """ A file of authorities that is missing, or is none, is named by the failure """

        with FakeRelay(tls="starttls") as relay:
            assert cafile in str(refused(session(relay, starttls=True, tls=TLS(YES, cafile))))

# =============================================================================
class TestUnasked:
    """ A login uses STARTTLS wherever it is offered, without being told """

    def test_a_login_is_not_sent_in_clear_where_starttls_is_offered(self):
        """ A relay that offers STARTTLS gets the login encrypted although tls is not set """

        with FakeRelay(tls="starttls", login=("shelter", "hush"),
                       mechanisms=("CRAM-MD5", "PLAIN")) as relay:
            assert transmit(session(relay, **LOGIN)) == {ANNE: None}

            verbs = [verb for _, verb, _ in relay.commands]
            assert verbs.index("STARTTLS") < verbs.index("AUTH")
            # As where tls is set
            assert relay.logins[0][1] == "PLAIN"

    def test_without_a_login_nothing_changes(self):
        """ Without a login and without tls, STARTTLS is not used although it is offered """

        with FakeRelay(tls="starttls") as relay:
            assert transmit(session(relay)) == {ANNE: None}

            assert "STARTTLS" not in [verb for _, verb, _ in relay.commands]

    def test_without_starttls_the_login_goes_out_as_before(self):
        """ A relay that offers no STARTTLS gets the login in clear """

        with FakeRelay(login=("shelter", "hush")) as relay:
            assert transmit(session(relay, **LOGIN)) == {ANNE: None}

    @pytest.mark.parametrize("reply, kind", [("454 4.7.0 TLS not available", RelayUnavailable),
                                             ("501 5.5.4 Syntax error", ConfigurationFailure)])
    def test_a_refused_starttls_sends_no_login(self, reply, kind):
        """ A relay that offers STARTTLS and refuses it gets no login in clear """

        with FakeRelay(tls="starttls", login=("shelter", "hush")) as relay:
            relay.answer("STARTTLS", reply)
            with pytest.raises(kind):
                accepted(transmit(session(relay, **LOGIN)))

            assert "AUTH" not in [verb for _, verb, _ in relay.commands]

    def test_yes_wants_starttls_for_a_login(self, monkeypatch):
        """ With verify_tls = yes, a relay that offers no STARTTLS gets no login """

        resolve_here(monkeypatch)
        with FakeRelay(login=("shelter", "hush")) as relay:
            server = Server(HOST, relay.port, tls=TLS(YES), **LOGIN)

            assert "no STARTTLS" in str(refused(Session(server, 2)))
            assert relay.logins == []

# -----------------------------------------------------------------------------
def greet_the_second(listener):
    """ Accept two connections, and greet the second one in clear """

    with suppress(OSError), listener.accept()[0], listener.accept()[0] as second:
        second.sendall(b"220 relay.example.org ESMTP\r\n")
        # Until it is closed
        while second.recv(8192):
            pass

# =============================================================================
class TestPorts:
    """ TLS of the wrong kind is told in words, and does not end by a time-out """

    def test_tls_to_a_plain_port_is_told_in_words(self, any_relay):
        """ TLS from the first byte, to a port that wants STARTTLS, names the setting """

        assert "set mail.settings.ssl = False and mail.settings.tls = True" in \
               str(refused(session(any_relay, ssl=True)))

    @pytest.mark.parametrize("starttls", [False, True])
    def test_a_port_that_speaks_tls_at_once_is_told_in_words(self, monkeypatch, starttls):
        """ Without ssl, a silent port for TLS is tried by TLS, and the setting is named """

        monkeypatch.setattr(opening, "SILENCE_S", 0.2)
        with FakeRelay(tls="ssl") as relay:
            monkeypatch.setattr(opening, "TLS_PORTS", (relay.port,))

            failure = refused(session(relay, starttls=starttls))

            assert failure.text == "Port %s speaks TLS from the first byte: set " \
                                   "mail.settings.ssl = True" % relay.port

    def test_a_silent_port_without_tls_is_silent(self, monkeypatch):
        """ A port for TLS that answers to nothing is not said to speak TLS """

        monkeypatch.setattr(opening, "SILENCE_S", 0.1)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            monkeypatch.setattr(opening, "TLS_PORTS", (port,))
            with pytest.raises(RelayUnavailable):
                Session(Server("127.0.0.1", port), 0.5).open(1)

    def test_a_slow_port_without_tls_is_slow(self, monkeypatch):
        """ A port for TLS that greets in clear, but late, is told as a time-out """

        monkeypatch.setattr(opening, "SILENCE_S", 0.1)
        with socket.create_server(("127.0.0.1", 0)) as slow:
            port = slow.getsockname()[1]
            monkeypatch.setattr(opening, "TLS_PORTS", (port,))
            threading.Thread(target=greet_the_second, args=[slow]).start()

            with pytest.raises(RelayUnavailable, match="connect: timed out"):
                Session(Server("127.0.0.1", port), 5).open(5)

    def test_a_silent_handshake_is_told_in_words(self):
        """ With ssl, a relay that does not answer to the handshake is said not to """

        with socket.create_server(("127.0.0.1", 0)) as silent:
            with pytest.raises(RelayUnavailable, match="handshake timed out"):
                Session(Server(*silent.getsockname(), ssl=True), 0.3).open(1)

    @pytest.mark.parametrize("reply", ["530 5.7.0 Must issue a STARTTLS command first",
                                       "538 5.7.11 Encryption required",
                                       "530 A SSL/TLS-connection is required for authentication",
                                       "553 This route requires encryption"])
    @pytest.mark.parametrize("step", ["MAIL", "RCPT"])
    def test_a_relay_that_wants_tls_is_told_in_words(self, any_relay, step, reply):
        """ Where a relay refuses for want of TLS, the failure names the setting """

        any_relay.answer(step, reply)

        failure = refused(session(any_relay))

        assert failure.text.endswith("(set mail.settings.tls = True)")

    def test_the_words_of_a_relay_with_tls_stay_as_they_are(self):
        """ Nobody is told to set tls where it is set """

        with FakeRelay(tls="starttls") as relay:
            relay.answer("MAIL", "530 5.7.0 TLS client certificate required")

            assert "set mail" not in str(refused(session(relay, starttls=True)))

# =============================================================================
class TestVersions:
    """ TLS before 1.2 is for those who ask for it """

    @pytest.mark.skipif(not ssl.HAS_TLSv1_1, reason="This OpenSSL has no TLS 1.1")
    def test_old_tls_is_refused_unless_it_is_set(self):
        """ A relay with TLS 1.1 is not used, unless tls_min allows that """

        old = certificate("127.0.0.1").context(ssl.TLSVersion.TLSv1_1)
        for oldest, outcome in (("1.2", pytest.raises(ConfigurationFailure, match="tls_min")),
                                ("1.1", nullcontext()), ("1.0", nullcontext())):
            with scripted_relay(until_quit, old) as server:
                ours = Session(replace(server, tls=TLS(oldest=oldest)), 2)
                with outcome:
                    ours.open(3)
                ours.close()

    def test_a_relay_that_goes_away_during_the_handshake_is_away(self):
        """ A connection that ends during the handshake is no failure of the configuration """

        with socket.create_server(("127.0.0.1", 0)) as listening:
            def close():
                connection, _ = listening.accept()
                connection.recv(1)
                connection.close()

            threading.Thread(target=close, daemon=True).start()
            with pytest.raises(RelayUnavailable):
                Session(Server(*listening.getsockname(), ssl=True), 2).open(3)

# END =========================================================================
