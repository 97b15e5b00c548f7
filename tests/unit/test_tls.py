"""
    Encryption of the connection with the relay
"""

import pytest

from support.fake_relay import FakeRelay
from support.sessions import accepted, session, transmit

from mails3.replies import ConfigurationFailure, RelayUnavailable

ANNE = "anne@example.org"

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

    def test_a_mail_is_never_sent_unencrypted(self, any_relay):
        """ No mail is sent if TLS is set and not offered """

        with pytest.raises(ConfigurationFailure):
            accepted(transmit(session(any_relay, starttls=True)))
        assert any_relay.mails == []

    def test_tls_to_a_plain_port_is_a_configuration_failure(self, any_relay):
        """ TLS to a port without TLS raises ConfigurationFailure """

        with pytest.raises((ConfigurationFailure, RelayUnavailable)):
            accepted(transmit(session(any_relay, ssl=True)))

    def test_a_missing_file_of_authorities_is_a_configuration_failure(self, any_relay):
        """ A missing file of authorities raises ConfigurationFailure """

        with pytest.raises(ConfigurationFailure):
            accepted(transmit(session(any_relay, starttls=True, verify=True,
                                      cafile="/nowhere.pem")))

# END =========================================================================
