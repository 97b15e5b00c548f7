"""
    The login to the relay
"""

import hmac

from base64 import b64encode
from types import SimpleNamespace

import pytest

from support.fake_relay import FakeRelay
from support.sessions import accepted, session, transmit

from mails3.replies import ConfigurationFailure, LoginRefused

ANNE = "anne@example.org"

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

    def test_an_impossible_login_is_a_configuration_failure(self, any_relay):
        """ A relay that offers no AUTH raises ConfigurationFailure where a login is set """

        with pytest.raises(ConfigurationFailure):
            accepted(transmit(session(any_relay, user="user", password="right")))

# END =========================================================================
