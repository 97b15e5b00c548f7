"""
    What an admin is told of the mail server's certificate
"""

import json
import logging

import pytest

from support.certificates import HOST, authority, certificate, resolve_here
from support.fake_relay import FakeRelay

from mails3.admin.alerts import Alerts
from mails3.admin.config_check import check_configuration
from mails3.admin.printing import status_lines
from mails3.admin.status import FLOWING, Status
from mails3.clock import utcnow
from mails3.smtp import verification
from mails3.states import SENT, UNSENT

ANNE = "anne@example.org"
NOT_VERIFIED = "The certificate of mail.shelter.net is not verified"

# -----------------------------------------------------------------------------
@pytest.fixture(autouse=True)
def elsewhere(monkeypatch):
    """ A relay that is on another machine, as far as its name tells, and is not known yet """

    resolve_here(monkeypatch)
    monkeypatch.setattr(verification, "REMEMBERED", {})

@pytest.fixture
def self_signed():
    """ A relay with a self-signed certificate """

    with relay_with(certificate(HOST)) as relay:
        yield relay

def relay_with(certificate):
    """ A relay with a certificate, which wants a login """

    return FakeRelay(tls="starttls", context=certificate.context(), login=("shelter", "hush"))

def send_by(office, relay):
    """ Send a mail by a relay, which is known by its name: the number of the mail """

    office.mail.settings.update(server = "%s:%s" % (HOST, relay.port), tls = True,
                                login = "shelter:hush", sender = "office@shelter.net")
    number = office.queue(ANNE)
    office.drain()
    return number

def told(office):
    """ The warnings of the status about a certificate, in another process """

    verification.REMEMBERED.clear()
    office.db.commit()
    return [warning for warning in Status(office.mail, utcnow()).warnings()
            if "certificate" in warning]

def shown(office):
    """ What the status prints about the certificate, beside warnings """

    office.db.commit()
    line, = [line for line in status_lines(Status(office.mail, utcnow()))
             if line.startswith("Certificate")]
    return line.split(None, 1)[1]

# =============================================================================
class TestTold:
    """ A certificate that is not verified is told about, wherever an admin looks """

    def test_a_bad_certificate_is_a_warning(self, office, self_signed):
        """ Mail goes out, and the status has a warning with reason, owner, end and fingerprint """

        number = send_by(office, self_signed)

        assert office.status(number) == SENT
        warning, = told(office)
        assert warning.startswith("%s: it is self-signed (SHA-256 " % NOT_VERIFIED)
        assert "It says: mail.shelter.net of Shelter, by itself, until 20" in warning
        assert "SHA-256" in warning and "tls_fingerprint" in warning and "verify_tls" in warning
        assert shown(office) == "not verified"
        assert Status(office.mail, utcnow()).level == FLOWING

    def test_a_good_certificate_is_no_warning(self, office):
        """ A certificate that is verified is shown as verified, and is no warning """

        office.configure(cafile=authority().file())
        with relay_with(certificate(HOST, by=authority())) as relay:
            send_by(office, relay)

        assert (told(office), shown(office)) == ([], "verified")

    def test_it_is_written_once(self, office, self_signed):
        """ A second run that finds the same writes nothing """

        send_by(office, self_signed)
        known = office.state().certificate
        send_by(office, self_signed)

        assert office.state().certificate == known

    @pytest.mark.parametrize("repair", [
        lambda office, relay, pin: office.configure(tls_fingerprint=pin),
        lambda office, relay, pin: office.configure(verify_tls="no"),
        lambda office, relay, pin: office.mail.settings.update(server="other.shelter.net")])
    def test_the_warning_ends_with_the_configuration(self, small_office, self_signed, repair):
        """ With a pin, without a wish to know, or with another server there is no warning """

        office = small_office
        send_by(office, self_signed)
        pin = json.loads(office.state().certificate)["fingerprint"]

        repair(office, self_signed, pin)

        assert told(office) == []

    def test_the_warning_ends_with_the_certificate(self, office, self_signed):
        """ When the relay has a good certificate, the warning is gone with the next mail """

        office.configure(cafile=authority().file())
        send_by(office, self_signed)
        assert told(office)
        self_signed.context = certificate(HOST, by=authority()).context()

        send_by(office, self_signed)

        assert told(office) == []

# =============================================================================
class TestAlert:
    """ An admin is told once """

    def test_one_entry_in_the_log(self, office, self_signed, caplog):
        """ The log has one entry, however often the certificate is met, and one at the end """

        caplog.set_level(logging.WARNING, "web2py.mails3")
        office.configure(cafile=authority().file())
        for _ in range(3):
            send_by(office, self_signed)
            Alerts(office.mail).run()
        entry, = caplog.messages
        assert entry.startswith("%s. It is self-signed" % NOT_VERIFIED)

        self_signed.context = certificate(HOST, by=authority()).context()
        verification.REMEMBERED.clear()
        send_by(office, self_signed)
        Alerts(office.mail).run()
        assert caplog.messages[1:] == \
               ["The certificate of the mail server is not warned of any more."]

    def test_another_bad_certificate_is_told_as_well(self, small_office, self_signed, caplog):
        """ When another certificate is not verified either, that is told """

        office = small_office
        send_by(office, self_signed)
        Alerts(office.mail).run()
        self_signed.context = certificate(HOST, days=(-3, -1)).context()
        verification.REMEMBERED.clear()
        caplog.clear()
        send_by(office, self_signed)
        Alerts(office.mail).run()

        entry, = caplog.messages
        assert entry.startswith(NOT_VERIFIED)

    def test_direct_mail_is_told_of(self, small_office, self_signed, caplog):
        """ A mail that is not queued tells the log about the certificate, once """

        office = small_office
        office.mail.settings.update(server = "%s:%s" % (HOST, self_signed.port), tls = True,
                                    login = "shelter:hush")
        for _ in range(2):
            assert office.mail.send_direct_email(ANNE, "News", "There is news.")

        entry, = [entry for entry in caplog.messages if "certificate" in entry]
        assert "is not verified: it is self-signed" in entry

# =============================================================================
class TestEnforced:
    """ verify_tls = yes and a fingerprint hold mail back """

    @pytest.mark.parametrize("given, words", [
        ({"verify_tls": "yes"}, "certificate: not verified: it is self-signed"),
        ({"tls_fingerprint": "00" * 32}, "certificate: not the one of tls_fingerprint"),
        ({"tls_fingerprint": "hush"}, "tls_fingerprint is not a SHA-256 fingerprint")])
    def test_sending_is_suspended_before_the_login(self, office, self_signed, given, words):
        """ The breaker trips with the reason, no login is sent, and no attempt counted """

        office.configure(**given)
        number = send_by(office, self_signed)

        state = office.state()
        assert (state.status, state.cause, state.login_refused) == ("tripped", "configuration",
                                                                    False)
        assert state.reason.startswith(words)
        assert (office.status(number), self_signed.logins) == (UNSENT, [])
        assert office.entry(number).mails3_delivery.attempts == 0

    def test_a_pin_lets_mail_flow_again(self, office, self_signed):
        """ After a pin is set, the mail that waits goes out with the next run """

        office.configure(verify_tls="yes")
        number = send_by(office, self_signed)
        made = certificate(HOST)
        self_signed.context = made.context()

        office.drain(tls_fingerprint="%s, %s" % ("00" * 32, made.fingerprint.lower()))

        assert office.status(number) == SENT
        assert shown(office) == "pinned: no mail goes to another one"

# =============================================================================
class TestCheck:
    """ The check of the configuration tells about the certificate """

    def steps(self, office, relay, **given):
        """ The steps of the check: list of tuples (phase, good), and the words about it """

        office.configure(**given)
        office.mail.settings.update(server = "%s:%s" % (HOST, relay.port), tls = True,
                                    login = "shelter:hush")
        steps = check_configuration(office.mail, ANNE)
        return [(step["phase"], step["good"]) for step in steps], \
               [step["reply"] for step in steps if step["phase"] == "certificate"]

    def test_a_good_certificate_is_a_good_step(self, small_office):
        """ The step tells whose certificate it is, by whom, and until when """

        with relay_with(certificate(HOST, by=authority())) as relay:
            steps, (words,) = self.steps(small_office, relay, cafile=authority().file())

        assert ("certificate", True) in steps
        assert words.startswith("verified: mail.shelter.net of Shelter, by Shelter CA of Shelter, "
                                "until 20")

    def test_a_bad_one_is_told_and_the_check_goes_on(self, small_office, self_signed):
        """ The steps before are shown once, although a second connection is needed """

        for _ in range(2):
            steps, (words,) = self.steps(small_office, self_signed)
            assert [phase for phase, _ in steps] == ["connect", "EHLO", "STARTTLS", "certificate",
                                                     "EHLO", "AUTH", "MAIL", "RCPT", "RSET"]
            assert words.startswith("not verified: it is self-signed")

    def test_with_yes_the_check_ends_there(self, small_office, self_signed):
        """ With verify_tls = yes, the check ends with the certificate, without a login """

        steps, (words,) = self.steps(small_office, self_signed, verify_tls="yes")

        assert steps[-1] == ("certificate", False)
        assert words.startswith("not verified: it is self-signed")
        assert self_signed.logins == []

# END =========================================================================
