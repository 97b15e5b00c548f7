"""
    The mail server as the settings name it
"""

import pytest

from gluon.storage import Storage

from support.certificates import HOST, resolve_here
from support.fake_relay import FakeRelay
from support.sessions import accepted, transmit

from mails3.replies import ConfigurationFailure
from mails3.smtp.server import Server
from mails3.smtp.session import Session
from mails3.smtp.tls import NO, TLS, YES

# =============================================================================
class TestServer:
    """ A Server is read from mail.settings """

    @pytest.mark.parametrize("given, host, port", [
        ("mail.example.org:587", "mail.example.org", 587),
        ("mail.example.org", "mail.example.org", 25),
        ("[::1]:2525", "::1", 2525),
        ("[::1]", "::1", 25),
        ("2001:db8::25", "2001:db8::25", 25),
        ("[2001:db8::25]:587", "2001:db8::25", 587),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1", 25),
        ])
    def test_a_server_is_host_and_port(self, given, host, port):
        """ A server is a host with an optional port, as in web2py, or an IPv6 address """

        server = Server.read(Storage(server=given))

        assert (server.host, server.port) == (host, port)
        again = Server.read(Storage(server=server.address))
        assert (again.host, again.port) == (host, port)

    @pytest.mark.parametrize("address, tls, starttls", [
        ("mail.example.org", TLS(YES), True), ("192.0.2.1:25", TLS(YES), True),
        ("localhost:25", TLS(YES), False), ("[::1]:25", TLS(YES), False),
        ("127.0.0.1", TLS(pins=("AB",)), True), ("mail.example.org", TLS(), False),
        ("mail.example.org", TLS(NO), False)])
    @pytest.mark.parametrize("login", [None, "user:password"])
    def test_a_certificate_needs_tls(self, address, tls, starttls, login):
        """ Where a certificate is wanted, there is TLS without being told, also without a login """

        assert Server.read(Storage(server=address, login=login), tls).starttls == starttls
        assert not Server.read(Storage(server=address, login=login, ssl=True), tls).starttls

    def test_mail_in_clear_goes_to_nobody_who_must_show_a_certificate(self, monkeypatch):
        """ With verify_tls = yes, a relay without TLS gets no mail, also if there is no login """

        resolve_here(monkeypatch, HOST)
        with FakeRelay() as relay:
            address = "%s:%s" % (HOST, relay.port)
            ours = Session(Server.read(Storage(server=address), TLS(YES)), 2)
            with pytest.raises(ConfigurationFailure, match="no STARTTLS.*neither login nor mail"):
                accepted(transmit(ours))
            assert relay.mails == []

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

# END =========================================================================
