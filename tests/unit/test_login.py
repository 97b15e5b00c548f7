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

    @pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
    def test_a_login_need_not_be_ascii(self, mechanism):
        """ User and password are sent in UTF-8 (RFC 4616) by each mechanism """

        with FakeRelay(login=("Zoë", "Schlüssel"), mechanisms=[mechanism]) as relay:
            ours = session(relay, user="Zoë", password="Schlüssel")
            assert transmit(ours) == {ANNE: None}
            assert relay.logins[0][1:] == (mechanism, "Zoë", True)

    @pytest.mark.parametrize("tls, offered, used", [
        (None, ["LOGIN", "PLAIN", "CRAM-MD5", "SCRAM-SHA-256"], "SCRAM-SHA-256"),
        (None, ["LOGIN", "PLAIN", "CRAM-MD5"], "CRAM-MD5"),
        (None, ["LOGIN", "PLAIN", "XOAUTH2"], "PLAIN"),
        ("ssl", ["LOGIN", "PLAIN", "CRAM-MD5", "SCRAM-SHA-256"], "SCRAM-SHA-256"),
        ("ssl", ["LOGIN", "PLAIN", "CRAM-MD5"], "PLAIN"),
        ("starttls", ["CRAM-MD5", "LOGIN"], "LOGIN")])
    def test_the_strongest_mechanism_is_used(self, tls, offered, used):
        """
            The relay sees no password if it does not have to; without TLS, nobody on the way
            does
        """

        with FakeRelay(login=("user", "right"), tls=tls, mechanisms=offered) as relay:
            ours = session(relay, user="user", password="right", **({tls: True} if tls else {}))
            assert transmit(ours) == {ANNE: None}
            assert [login[1] for login in relay.logins] == [used]

    @pytest.mark.parametrize("strong", ["CRAM-MD5", "SCRAM-SHA-256"])
    def test_a_mechanism_that_the_relay_can_not_check_costs_one_attempt(self, strong):
        """
            After a refusal of a mechanism for which many relays have no secrets, one further
            mechanism is tried, and no third one
        """

        offered = [strong, "CRAM-MD5", "PLAIN", "LOGIN"]
        with FakeRelay(login=("user", "right"), mechanisms=offered) as relay:
            relay.answer("AUTH", "535 5.7.8 No secret in the database", times=1)
            assert transmit(session(relay, user="user", password="right")) == {ANNE: None}
        with FakeRelay(login=("user", "right"), mechanisms=offered) as relay:
            with pytest.raises(LoginRefused):
                accepted(transmit(session(relay, user="user", password="wrong")))
            assert [login[1] for login in relay.logins] == [strong, "PLAIN"]

    @pytest.mark.parametrize("strong", ["CRAM-MD5", "SCRAM-SHA-256"])
    def test_a_challenge_that_is_garbage_is_cancelled(self, strong):
        """ After a challenge that has no answer, another mechanism is used """

        with FakeRelay(login=("user", "right"), mechanisms=[strong, "PLAIN"]) as relay:
            relay.scrambles = True
            assert transmit(session(relay, user="user", password="right")) == {ANNE: None}

    @pytest.mark.parametrize("lie", [{"server_key": b"wrong"}, {"is_silent_about_itself": True}])
    def test_a_relay_that_does_not_know_the_password_gets_no_mail(self, lie):
        """ A relay that does not prove itself (SCRAM) gets neither mail nor password """

        with FakeRelay(login=("user", "right"), mechanisms=["SCRAM-SHA-256", "PLAIN"]) as relay:
            vars(relay).update(lie)
            with pytest.raises(ConfigurationFailure, match="know"):
                accepted(transmit(session(relay, user="user", password="right")))
            assert relay.mails == []
            assert "PLAIN" not in [argument for _, _, argument in relay.commands]

    def test_a_long_password_is_not_in_the_command(self):
        """ A login that is too long for one command follows it (RFC 4954 section 4) """

        password = "long" * 200
        with FakeRelay(login=("user", password), mechanisms=["PLAIN"]) as relay:
            assert transmit(session(relay, user="user", password=password)) == {ANNE: None}

    def test_a_host_without_md5_logs_in_by_another_mechanism(self, monkeypatch):
        """ A Python without MD5 (FIPS 140) uses another mechanism """

        new = hmac.new

        def without_md5(key, message=None, digestmod=""):
            if digestmod == "md5":
                raise ValueError("[digital envelope routines] unsupported")
            return new(key, message, digestmod)

        monkeypatch.setattr("mails3.smtp.mechanisms.hmac", SimpleNamespace(new=without_md5))
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
