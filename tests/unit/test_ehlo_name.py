"""
    The name with which we introduce ourselves: one that says something to others
"""

import socket

import pytest

from gluon.storage import Storage

from support.fake_relay import FakeRelay
from support.sessions import session, transmit

from mails3.admin.configuration import server_warnings
from mails3.delivery.configuration import Configuration
from mails3.smtp.ehlo_name import ehlo_name, full_name
from mails3.smtp.server import Server

# What is configured, and what the mail server gets
NAMES = {
    "mail.example.org": "mail.example.org",
    "mail.example.org.": "mail.example.org",
    " mail.example.org ": "mail.example.org",
    "mail.bücher.example": "mail.xn--bcher-kva.example",
    "192.0.2.1": "[192.0.2.1]",
    "[192.0.2.1]": "[192.0.2.1]",
    "2001:db8::25": "[IPv6:2001:db8::25]",
    "[IPv6:2001:DB8::25]": "[IPv6:2001:db8::25]",
    "fe80::1%eth0": "[IPv6:fe80::1]",
    }

# What says nothing to others, or is refused
NOT_NAMES = [None, "", "shelter", "localhost", "localhost.localdomain", "localhost4.localdomain4",
             "shelter.localhost", "my_host.example.org", "a..example.org", "-a.example.org",
             "1.2.3", "mail.example.org\r\nRSET", "a b.example.org", "x" * 64 + ".example.org",
             "x." * 130 + "org", "[mail.example.org]", "STRAẞE.example"]

# -----------------------------------------------------------------------------
@pytest.fixture
def machine(monkeypatch):
    """ Gives this machine a full name """

    return lambda name: monkeypatch.setattr(socket, "getfqdn", lambda *args: name)

def greeting(relay):
    """ The argument of EHLO that the relay has got """

    return next(argument for _, verb, argument in relay.commands if verb == "EHLO")

# =============================================================================
class TestName:
    """ EHLO has a full name, or an address """

    @pytest.mark.parametrize("given", NAMES)
    def test_a_full_name_is_taken(self, given):
        """ A configured name or address is used, in the form of RFC 5321 """

        assert full_name(given) == NAMES[given]

    @pytest.mark.parametrize("given", NOT_NAMES)
    def test_what_is_no_name_is_not_used(self, given, machine):
        """ A configured name that no other machine knows gives way to that of this machine """

        machine("worker.example.org")

        assert ehlo_name(given, "192.0.2.7") == "worker.example.org"

    @pytest.mark.parametrize("address, greeting", [("192.0.2.7", "[192.0.2.7]"),
                                                   ("2001:db8::7", "[IPv6:2001:db8::7]"),
                                                   ("fe80::7%eth0", "[IPv6:fe80::7]")])
    def test_a_machine_without_a_name_gives_its_address(self, machine, address, greeting):
        """ Without any full name, EHLO has the address of our side (RFC 5321 section 4.1.4) """

        machine("localhost")

        assert ehlo_name(None, address) == greeting

# =============================================================================
class TestGreeting:
    """ The relay is greeted with that name """

    @pytest.mark.parametrize("tls", [None, "starttls", "ssl"])
    def test_the_relay_is_greeted_with_the_configured_name(self, tls):
        """ The name in the settings is that of each EHLO, with and without TLS """

        with FakeRelay(tls=tls) as relay:
            ours = session(relay, hostname="mail.example.org", starttls = tls == "starttls",
                           ssl = tls == "ssl")
            transmit(ours)

            assert {argument for _, verb, argument in relay.commands if verb == "EHLO"} == \
                {"mail.example.org"}

    def test_a_machine_without_a_name_greets_with_its_address(self, relay, machine):
        """ A machine that is called localhost greets with the address of the connection """

        machine("localhost")

        transmit(session(relay))

        assert greeting(relay) == "[127.0.0.1]"

    def test_the_setting_is_for_hosts_without_one(self, small_office):
        """ The setting ehlo_name is used, and mail.settings.hostname goes before it """

        settings = small_office.mail.settings
        small_office.configure(ehlo_name="worker.example.org")
        small_office.queue("anne@example.org")
        small_office.drain()
        assert greeting(small_office.relay) == "worker.example.org"

        small_office.relay.clear()
        settings.hostname = "mail.example.org"
        small_office.queue("anne@example.org")
        small_office.drain()
        assert greeting(small_office.relay) == "mail.example.org"

    def test_an_admin_is_told_of_a_name_that_is_none(self, small_office):
        """ A configured name that can't be used is among the warnings """

        small_office.mail.settings.hostname = "my_host"

        server = Configuration(small_office.mail).server()
        assert any("my_host" in warning for warning in server_warnings(server))

    def test_the_name_is_part_of_the_configuration(self):
        """ Another name is another configuration: a breaker that it has tripped may close """

        prints = {Server.read(Storage(server="x"), ehlo_name=name).fingerprint("a@b.example", "s")
                  for name in (None, "mail.example.org")}

        assert len(prints) == 2

# END =========================================================================
