"""
    The certificate of the relay: verified, pinned, or told about
"""

import ssl

import pytest

from cryptography.hazmat.primitives.asymmetric import rsa

from support.certificates import HOST, authority, certificate, resolve_here
from support.clock import SleeplessClock
from support.fake_relay import FakeRelay
from support.sessions import accepted, mail, transmit_by

from mails3.replies import ConfigurationFailure
from mails3.smtp import verification
from mails3.smtp.certificate import Certificate
from mails3.smtp.server import Server
from mails3.smtp.session import Session
from mails3.smtp.tls import NO, TLS, WARN, YES
from mails3.smtp.verification import reason_of
from mails3.states import stored_text

kinds = pytest.mark.parametrize("kind", ["starttls", "ssl"])

ADDRESS = "192.0.2.1"
IDN = "münchen.shelter.net"

# -----------------------------------------------------------------------------
@pytest.fixture(autouse=True)
def elsewhere(monkeypatch):
    """ A relay that is on another machine, as far as its name tells, and is not known yet """

    resolve_here(monkeypatch, HOST, IDN, ADDRESS)
    monkeypatch.setattr(verification, "REMEMBERED", {})

def relay_with(certificate, kind="starttls"):
    """ A relay with a certificate, which wants a login """

    return FakeRelay(tls=kind, context=certificate.context(), login=("shelter", "hush"))

def ours(relay, tls, host=HOST, **options):
    """ A Session with the relay by a name (tls: TLS; options: of Session) """

    return Session(Server(host, relay.port, starttls = relay.tls == "starttls",
                          ssl = relay.tls == "ssl", user="shelter", password="hush", tls=tls),
                   2, **options)

def found(session):
    """ Hand a mail over: what was found out about the certificate """

    try:
        accepted(transmit_by(session, mail(), 5))
    finally:
        session.close()
    return session.finding

def own():
    """ The path of the certificate of the private authority """

    return authority().file()

# Certificates that are not verified, each with what is said
BAD = {
    "self-signed": (lambda: certificate(HOST), "it is self-signed"),
    "unknown": (lambda: certificate(HOST, by=authority("Other CA")),
                "its authority is not known here"),
    "other name": (lambda: certificate("mx.hoster.net", "b.hoster.net", by=authority()),
                   "it is for mx.hoster.net, b.hoster.net, and not for mail.shelter.net"),
    "many names": (lambda: certificate(*"abcd", by=authority()),
                   "it is for a, b, c and others, and not for mail.shelter.net"),
    "expired": (lambda: certificate(HOST, by=authority(), days=(-9, -1)), "it has expired on 20"),
    "not yet": (lambda: certificate(HOST, by=authority(), days=(3, 9)),
                "and the clock of this machine says 20"),
    "short": (lambda: certificate(HOST, by=authority(), key=rsa.generate_private_key(65537, 1024)),
              "its key is too short to be safe"),
    }
bad = pytest.mark.parametrize("make, words", BAD.values(), ids=BAD)

# =============================================================================
class TestWarn:
    """ Without a setting, mail goes out, and what is wrong is told """

    @kinds
    def test_a_good_certificate_takes_one_connection(self, kind):
        """ A certificate that is verified is told as such, and takes one connection """

        with relay_with(certificate(HOST, by=authority(), days=(-1, 30)), kind) as relay:
            finding = found(ours(relay, TLS(cafile=own())))

            assert str(finding).startswith("verified: mail.shelter.net of Shelter, by Shelter CA")
            assert (relay.connections, len(relay.mails), finding.is_told) == (1, 1, False)

    @kinds
    @bad
    def test_what_is_wrong_is_told_in_words(self, kind, make, words):
        """ Mail goes out, and the reason, the owner and the fingerprint are told """

        made = make()
        with relay_with(made, kind) as relay:
            finding = found(ours(relay, TLS(cafile=own())))

            assert words in finding.reason
            assert finding.is_told and made.fingerprint in str(finding)
            assert len(relay.mails) == 1

    def test_an_expired_authority_is_told_from_an_expired_certificate(self):
        """ Where the authority has expired, it is not the certificate that is said to have """

        old = certificate(name="Old CA", is_authority=True, days=(-9, -1))
        with relay_with(certificate(HOST, by=old)) as relay:
            finding = found(ours(relay, TLS(cafile=old.file())))

            assert finding.reason == "a certificate of its authority has expired"

    @kinds
    def test_a_bad_certificate_is_remembered(self, kind):
        """ The second session takes one connection, for an hour; then it is verified again """

        clock = SleeplessClock()
        with relay_with(certificate(HOST), kind) as relay:
            for connections in (2, 3, 4):
                assert found(ours(relay, TLS(), clock=clock)).reason == "it is self-signed"
                assert relay.connections == connections
            clock.sleep(verification.REMEMBER_S + 1)
            found(ours(relay, TLS(), clock=clock))
            assert relay.connections == 6

    def test_a_new_certificate_is_verified(self):
        """ When the relay has another certificate, the next session but one verifies it """

        with relay_with(certificate(HOST)) as relay:
            assert found(ours(relay, TLS(cafile=own()))).is_told
            relay.context = certificate(HOST, by=authority()).context()

            found(ours(relay, TLS(cafile=own())))

            assert found(ours(relay, TLS(cafile=own()))).reason is None

    def test_a_relay_of_this_machine_is_not_verified(self):
        """ Nothing is told about the certificate of a relay on this machine """

        with relay_with(certificate("elsewhere")) as relay:
            finding = found(ours(relay, TLS(), host="localhost"))

            assert (finding.is_told, relay.connections) == (False, 1)

    def test_an_unreadable_file_of_authorities_is_told(self):
        """ Where the cafile can't be read, mail goes out, and that is told """

        with relay_with(certificate(HOST)) as relay:
            assert "/nowhere.pem" in found(ours(relay, TLS(cafile="/nowhere.pem"))).reason

    @pytest.mark.parametrize("code, words", [
        (23, "it has been revoked"),
        (67, "the key of its authority is too short to be safe"),
        (68, "it is signed by a method that is not safe any more"),
        (26, "OpenSSL says: unsupported certificate purpose")])
    def test_each_reason_of_openssl_has_its_words(self, code, words):
        """ A reason that is rare is told as well, in the words of OpenSSL at worst """

        made = Certificate.read(certificate(HOST).der)

        assert reason_of(code, "unsupported certificate purpose", made, HOST) == words

# =============================================================================
class TestYes:
    """ With verify_tls = yes, no login goes to a relay that can't show who it is """

    @kinds
    @bad
    def test_nothing_goes_to_a_relay_with_a_bad_certificate(self, kind, make, words):
        """ A bad certificate is a failure of the configuration, before the login, in words """

        made = make()
        with relay_with(made, kind) as relay:
            with pytest.raises(ConfigurationFailure) as failure:
                found(ours(relay, TLS(YES, own())))

            assert words in str(failure.value)
            assert str(failure.value).startswith("certificate: not verified: ")
            assert relay.mails == relay.logins == []

    @pytest.mark.parametrize("tls, way_out", [
        (TLS(YES), "or set cafile, if its authority is a private one"),
        (TLS(pins=("AB:CD",)), "add that to tls_fingerprint")])
    @pytest.mark.parametrize("char", ["a", "\xe4"])
    def test_the_way_out_is_told_to_its_end(self, tls, way_out, char):
        """ Names of any length cut off neither the fingerprint nor the way out, where stored """

        names = ["%s%s.shelter.net" % (number, "a" * 50) for number in range(4)]
        made = certificate(*names, name=char * 32, by=authority(char * 31))
        with relay_with(made) as relay:
            with pytest.raises(ConfigurationFailure) as failure:
                found(ours(relay, tls))

        stored = stored_text(str(failure.value))
        assert made.fingerprint in stored and way_out in stored

    def test_a_bad_certificate_is_verified_each_time(self):
        """ A certificate that was repaired counts at once """

        with relay_with(certificate(HOST)) as relay:
            with pytest.raises(ConfigurationFailure):
                found(ours(relay, TLS(YES, own())))
            relay.context = certificate(HOST, by=authority()).context()

            assert found(ours(relay, TLS(YES, own()))).reason is None

    @pytest.mark.parametrize("host", [HOST, IDN, ADDRESS])
    def test_any_kind_of_host_is_verified(self, host):
        """ A name, a name that is not ASCII and an address are each compared """

        with relay_with(certificate(host, by=authority())) as relay:
            assert found(ours(relay, TLS(YES, own()), host=host)).reason is None
            relay.context = certificate("other.shelter.net", by=authority()).context()
            with pytest.raises(ConfigurationFailure, match="and not for %s" % host):
                found(ours(relay, TLS(YES, own()), host=host))

    def test_a_changed_file_of_authorities_is_read_again(self, tmp_path):
        """ A cafile that is written anew counts in this process """

        path = tmp_path / "ca.pem"
        path.write_bytes(authority("Other CA").chain)
        with relay_with(certificate(HOST, by=authority())) as relay:
            with pytest.raises(ConfigurationFailure):
                found(ours(relay, TLS(YES, str(path))))
            path.write_bytes(authority().chain)

            assert found(ours(relay, TLS(YES, str(path)))).reason is None

    @pytest.mark.skipif(not hasattr(ssl, "VERIFY_X509_PARTIAL_CHAIN"),
                        reason="This Python can't do that")
    def test_the_certificate_itself_may_be_the_cafile(self):
        """ A cafile may have the certificate of the relay, in place of its authority's """

        made = certificate(HOST, by=authority())
        with relay_with(made) as relay:
            assert found(ours(relay, TLS(YES, made.file()))).reason is None

# =============================================================================
class TestPin:
    """ With a fingerprint, mail goes to that certificate only """

    @kinds
    @bad
    def test_a_pinned_certificate_is_taken_as_it_is(self, kind, make, words):
        """ Nothing else about a pinned certificate matters, and it takes one connection """

        made = make()
        with relay_with(made, kind) as relay:
            finding = found(ours(relay, TLS(pins=("AB:CD", made.fingerprint))))

            assert str(finding).startswith("pinned: ")
            assert (finding.is_told, relay.connections) == (False, 1)

    @kinds
    @pytest.mark.parametrize("verify", [WARN, YES, NO])
    def test_another_certificate_gets_nothing(self, kind, verify):
        """ A certificate that is not pinned gets no login, also if it is a good one """

        made = certificate(HOST, by=authority())
        with relay_with(made, kind) as relay:
            with pytest.raises(ConfigurationFailure) as failure:
                found(ours(relay, TLS(verify, own(), pins=("AB:CD",))))

            assert "certificate: not the one of tls_fingerprint" in str(failure.value)
            assert made.fingerprint in str(failure.value)
            assert relay.mails == relay.logins == []

# =============================================================================
class TestNo:
    """ With verify_tls = no, nothing is verified and nothing told """

    @kinds
    @bad
    def test_any_certificate_is_taken(self, kind, make, words):
        """ Any certificate is taken, by one connection, and nothing is told """

        made = make()
        with relay_with(made, kind) as relay:
            finding = found(ours(relay, TLS(NO)))

            assert (finding.is_told, relay.connections, len(relay.mails)) == (False, 1, 1)

# END =========================================================================
