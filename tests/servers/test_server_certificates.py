"""
    The certificates of Postfix, Exim and OpenSMTPD
"""

import pytest

from support.certificates import HOST, authority, certificate, resolve_here
from support.mail_servers import DOMAIN, Exim, OpenSMTPD, Postfix
from support.server_app import app_of, wanted

from mails3.admin.config_check import check_configuration
from mails3.admin.status import Status
from mails3.clock import utcnow
from mails3.smtp import opening, verification
from mails3.states import SENT, UNSENT

ANNE = "anne@" + DOMAIN

# Certificates that are not verified, each with what is said
BAD = {"self-signed": (lambda: certificate(HOST), "it is self-signed"),
       "unknown": (lambda: certificate(HOST, by=authority("Other CA")),
                   "its authority is not known here"),
       "other name": (lambda: certificate("mx.example.org", by=authority()),
                      "it is for mx.example.org, and not for mail.shelter.net"),
       "expired": (lambda: certificate(HOST, by=authority(), days=(-9, -1)), "it has expired on"),
       }

# -----------------------------------------------------------------------------
@pytest.fixture(params=[Postfix, Exim, OpenSMTPD])
def server(request, monkeypatch):
    """ Each mail server in turn, not started yet, known by a name """

    resolve_here(monkeypatch)
    monkeypatch.setattr(verification, "REMEMBERED", {})
    with wanted(request.param) as server:
        yield server

@pytest.fixture
def office(server, tmp_path):
    """ An app whose mail goes to that server, with a file of its authority """

    office = app_of(server, tmp_path)
    office.mail.settings.update(server="%s:%s" % (HOST, server.port), tls=True)
    office.configure(cafile=authority().file())
    yield office
    office.close()

def run(server, made, **options):
    """ Start a mail server with a certificate; skips where it can't speak TLS """

    server.run(certificate=(made.chain, made.key), **options)
    if not server.speaks_tls:
        pytest.skip("This one fails with its OpenSSL")

def warnings(office):
    """ The warnings of the status about a certificate """

    office.db.commit()
    return [warning for warning in Status(office.mail, utcnow()).warnings()
            if "certificate" in warning]

# =============================================================================
class TestCertificates:
    """ The certificate of a mail server is verified """

    @pytest.mark.parametrize("verify_tls", ["warn", "yes"])
    @pytest.mark.parametrize("ssl", [False, True])
    def test_a_good_certificate_is_verified(self, server, office, ssl, verify_tls):
        """ Mail goes to a server with a good certificate, and there is no warning """

        run(server, certificate(HOST, by=authority()), ssl=ssl)
        office.mail.settings.ssl = ssl

        anne = office.queue(ANNE)
        office.drain(verify_tls=verify_tls)

        assert (office.status(anne), warnings(office)) == (SENT, [])
        assert office.state().certificate

    @pytest.mark.parametrize("make, words", BAD.values(), ids=BAD)
    def test_a_bad_certificate_is_told(self, server, office, make, words):
        """ Mail waits with verify_tls = yes; by default it goes out, and the reason is told """

        made = make()
        run(server, made)

        anne = office.queue(ANNE)
        office.drain(verify_tls="yes")
        assert (office.status(anne), office.state().cause) == (UNSENT, "configuration")
        assert words in office.state().reason

        office.drain(verify_tls="warn")
        assert office.status(anne) == SENT
        warning, = warnings(office)
        assert words in warning and made.fingerprint in warning

    def test_a_pin_is_enforced(self, server, office):
        """ Mail goes to the pinned certificate, and to no other """

        made = certificate("mx.example.org")
        run(server, made)

        anne = office.queue(ANNE)
        office.drain(tls_fingerprint="00" * 32)
        assert (office.status(anne), office.state().cause) == (UNSENT, "configuration")

        office.drain(tls_fingerprint=made.fingerprint)
        assert (office.status(anne), warnings(office)) == (SENT, [])

    def test_a_server_on_this_machine_is_not_verified(self, server, office):
        """ Any certificate of a server on this machine is taken, and none is told about """

        run(server, certificate("mx.example.org"))
        office.mail.settings.server = server.address

        anne = office.queue(ANNE)
        office.drain()

        assert (office.status(anne), warnings(office)) == (SENT, [])

    def test_what_should_be_encrypted_is_never_sent_in_clear(self, server, office):
        """ Mail waits where STARTTLS is offered and fails, and no failure is a warning only """

        made = certificate(HOST, by=authority())
        server.run(certificate=(made.chain, made.key))

        anne = office.queue(ANNE)
        office.drain()

        assert office.status(anne) == (SENT if server.speaks_tls else UNSENT)

# =============================================================================
class TestWrongKind:
    """ TLS of the wrong kind is told in words """

    def test_tls_from_the_first_byte_is_not_told_by_a_time_out(self, server, office, monkeypatch):
        """ Without ssl, a server that speaks TLS from the first byte names the setting """

        monkeypatch.setattr(opening, "SILENCE_S", 0.5)
        monkeypatch.setattr(opening, "TLS_PORTS", (server.port,))
        run(server, certificate(HOST, by=authority()), ssl=True)

        office.queue(ANNE)
        office.drain()

        assert "set mail.settings.ssl = True" in office.state().reason
        assert office.state().cause == "configuration"

    def test_ssl_to_a_server_with_starttls_names_the_setting(self, server, office):
        """ With ssl, a server that wants STARTTLS names the settings """

        run(server, certificate(HOST, by=authority()))
        office.mail.settings.ssl = True

        office.queue(ANNE)
        office.drain()

        assert "mail.settings.ssl = False and mail.settings.tls = True" in office.state().reason
        assert office.state().cause == "configuration"

    @pytest.mark.parametrize("server", [Postfix], indirect=True)
    def test_a_server_that_wants_tls_names_the_setting(self, server, office):
        """ Without tls, a server that takes nothing in clear names the setting """

        run(server, certificate(HOST, by=authority()),
            settings={"smtpd_tls_security_level": "encrypt"})
        office.mail.settings.tls = False

        office.queue(ANNE)
        office.drain()

        assert "STARTTLS" in office.state().reason
        assert office.state().reason.endswith("(set mail.settings.tls = True)")

    @pytest.mark.parametrize("server", [Postfix], indirect=True)
    def test_old_tls_is_told(self, server, office):
        """ A server that speaks no TLS from 1.2 on gets mail only with tls_min """

        run(server, certificate(HOST, by=authority()),
            settings={"smtpd_tls_protocols": "TLSv1.1",
                      "tls_medium_cipherlist": "ALL:@SECLEVEL=0"})

        anne = office.queue(ANNE)
        office.drain()
        assert "tls_min" in office.state().reason

        office.drain(tls_min="1.1")
        assert office.status(anne) == SENT

    @pytest.mark.parametrize("server", [Postfix], indirect=True)
    def test_the_check_tells_about_the_certificate(self, server, office):
        """ The check has the certificate as a step, after STARTTLS """

        run(server, certificate(HOST, by=authority()))

        steps = {step["phase"]: step["reply"] for step in check_configuration(office.mail, ANNE)}

        assert steps["certificate"].startswith("verified: mail.shelter.net")

# END =========================================================================
