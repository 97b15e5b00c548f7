"""
    The login to the relay by a token
"""

import threading

from pathlib import Path
from types import SimpleNamespace

import pytest

from support.fake_relay import FakeRelay
from support.sessions import TEXT, accepted, session, transmit
from support.token_endpoint import CLIENT, SECRET, TokenEndpoint, secret_file

from mails3.oauth.configuration import OAuth
from mails3.replies import ConfigurationFailure, LoginRefused, RelayUnavailable
from mails3.smtp.login import is_local

ANNE, USER = "anne@example.org", "shelter@example.org"

# What Google says about a token that it refuses
GOOGLE = {"status": "400", "schemes": "Bearer", "scope": "https://mail.google.com/"}

# -----------------------------------------------------------------------------
@pytest.fixture
def endpoint():
    """ A token endpoint whose tokens are as long as Microsoft's """

    with TokenEndpoint(long_token=True) as endpoint:
        yield endpoint

@pytest.fixture
def oauth(endpoint, tmp_path):
    """ The OAuth of its client """

    return OAuth("other", "client_credentials", token_url=endpoint.token_url, client_id=CLIENT,
                 secret_file=secret_file(tmp_path, "secret", SECRET))

@pytest.fixture
def relay(endpoint):
    """ A relay that takes its tokens, and no password """

    with relay_for(endpoint) as relay:
        yield relay

# -----------------------------------------------------------------------------
def relay_for(endpoint, mechanisms=("XOAUTH2", "PLAIN", "LOGIN"), **options):
    """ A relay that takes the tokens of an endpoint, not started yet """

    relay = FakeRelay(login=(USER, "password"), mechanisms=mechanisms, **options)
    relay.takes_token = endpoint.is_valid
    return relay

# =============================================================================
class TestTokenLogin:
    """ A login by token """

    @pytest.mark.parametrize("offered, used", [
        (["XOAUTH2"], "XOAUTH2"), (["OAUTHBEARER"], "OAUTHBEARER"),
        (["PLAIN", "XOAUTH2", "OAUTHBEARER", "SCRAM-SHA-256"], "OAUTHBEARER")])
    @pytest.mark.parametrize("long_token", [False, True])
    @pytest.mark.parametrize("tls", [None, "ssl", "starttls"])
    def test_a_token_is_accepted(self, oauth, endpoint, offered, used, long_token, tls):
        """ A mail leaves after a login by token, of any length, by what the relay offers """

        endpoint.padding = "x" * 2000 if long_token else ""
        with relay_for(endpoint, offered, tls=tls) as relay:
            ours = session(relay, user=USER, oauth=oauth, **({tls: True} if tls else {}))
            assert transmit(ours) == {ANNE: None}
            assert [(name, user) for name, user, _ in relay.tokens] == [(used, USER)]

    def test_sessions_share_a_token(self, relay, endpoint, oauth):
        """ Several sessions ask for one token """

        for _ in range(3):
            assert transmit(session(relay, user=USER, oauth=oauth)) == {ANNE: None}

        assert len(endpoint.requests) == 1
        assert len(relay.tokens) == 3

    def test_a_shared_mailbox_is_named(self, relay, endpoint, oauth):
        """ The user is the mailbox, with its commas escaped where the mechanism needs it """

        endpoint.user = "a=b,c@example.org"
        for mechanism in ("XOAUTH2", "OAUTHBEARER"):
            with relay_for(endpoint, [mechanism]) as other:
                assert transmit(session(other, user=endpoint.user, oauth=oauth)) == {ANNE: None}

    def test_a_token_that_was_withdrawn_is_replaced(self, relay, endpoint, oauth):
        """ A token that the relay refuses before its time is replaced, and the mail leaves """

        transmit(session(relay, user=USER, oauth=oauth))
        endpoint.expire()

        assert transmit(session(relay, user=USER, oauth=oauth)) == {ANNE: None}
        assert len(endpoint.requests) == 2
        assert [taken for *_, taken in relay.logins] == [True, False, True]

    @pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
    def test_a_second_refusal_is_a_refused_login(self, endpoint, oauth, mechanism):
        """
            A relay that refuses a second token too refuses the login: its words are told, with
            those of its challenge, and without the token
        """

        with relay_for(endpoint, [mechanism]) as relay:
            relay.takes_token = lambda user, token: False
            relay.words_about_token = GOOGLE
            with pytest.raises(LoginRefused) as failure:
                accepted(transmit(session(relay, user=USER, oauth=oauth)))
        assert len(relay.tokens) == len({token for *_, token in relay.tokens}) == 2
        assert str(failure.value) == "AUTH: 535 5.7.8 Authentication credentials invalid " \
                                     "(it says: status 400, scope https://mail.google.com/)"

    def test_a_relay_that_hangs_up_after_a_refusal_gets_no_third_token(self, relay, endpoint,
                                                                       oauth):
        """ Where the relay closes after a refusal, the second refusal is one all the same """

        relay.takes_token = lambda user, token: False
        relay.drop_after("AUTH")
        failures = []
        for _ in range(2):
            with pytest.raises((LoginRefused, RelayUnavailable)) as failure:
                accepted(transmit(session(relay, user=USER, oauth=oauth)))
            failures.append(failure.type)

        assert failures == [RelayUnavailable, LoginRefused]
        assert len(endpoint.requests) == 2

    def test_a_repeated_token_is_not_quoted(self, relay, endpoint, oauth):
        """ The token is in no error text, also if the relay repeats it, plain or in base64 """

        endpoint.padding = ""
        relay.answer("AUTH", '535 5.7.3 Not with token-2, dXNlcj1zaGVsdGVyQGV4YW1wbGUub3JnAWF1dGg9'
                             'QmVhcmVyIHRva2VuLTI')
        with pytest.raises(LoginRefused) as failure:
            accepted(transmit(session(relay, user=USER, oauth=oauth)))
        assert "5.7.3 Not with ***, *** (the app needs SMTP.SendAsApp" in str(failure.value)

    @pytest.mark.parametrize("length", [0, 85, 97])
    def test_a_token_in_a_challenge_is_not_quoted(self, relay, endpoint, oauth, length):
        """ The token is in no error text if the relay's challenge has it, in whole or cut """

        endpoint.padding = "~secret"
        relay.takes_token = lambda user, token: False
        relay.words_about_token = {"status": "x" * length + "token-2~secret"}
        with pytest.raises(LoginRefused) as failure:
            accepted(transmit(session(relay, user=USER, oauth=oauth)))
        assert "it says: status" in str(failure.value)
        assert "tok" not in str(failure.value)

    @pytest.mark.parametrize("reply, kind, advice", [
        ("535 5.7.139 SmtpClientAuthentication is disabled for the Mailbox", LoginRefused,
         "Set-CASMailbox"),
        ("454 4.7.0 Temporary authentication failure", RelayUnavailable, "4.7.0")])
    def test_a_refusal_says_what_to_do(self, relay, endpoint, oauth, reply, kind, advice):
        """ Known refusals have an advice; a passing one costs no second token """

        relay.answer("AUTH", reply)
        with pytest.raises(kind, match=advice):
            accepted(transmit(session(relay, user=USER, oauth=oauth)))
        assert len(endpoint.requests) == (2 if kind is LoginRefused else 1)

    def test_what_to_do_is_told_after_many_words(self, relay, endpoint, oauth):
        """ The advice stands also after a refusal that is longer than what is kept of it """

        relay.answer("AUTH", "535 5.7.139 " + "no. " * 110)
        with pytest.raises(LoginRefused, match=r"-SmtpClientAuthenticationDisabled \$false\)$"):
            accepted(transmit(session(relay, user=USER, oauth=oauth)))

    def test_a_relay_without_tokens_is_a_configuration_failure(self, endpoint, oauth):
        """ A relay that offers no login by token gets none, and what it offers is told """

        with relay_for(endpoint, ["PLAIN"]) as relay:
            with pytest.raises(ConfigurationFailure, match="PLAIN"):
                accepted(transmit(session(relay, user=USER, oauth=oauth)))
            assert "AUTH" not in [verb for _, verb, _ in relay.commands]

    def test_a_token_goes_over_no_network_without_tls(self, relay, oauth, monkeypatch):
        """ Without TLS a token is sent to this machine only """

        monkeypatch.setattr("mails3.smtp.login.is_local", lambda connection: False)
        with pytest.raises(ConfigurationFailure, match="without TLS"):
            accepted(transmit(session(relay, user=USER, oauth=oauth)))
        assert relay.tokens == []

    @pytest.mark.parametrize("address, is_here", [
        ("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("192.0.2.25", False),
        ("fe80::1%eth0", False), ("2001:db8::25", False), ("", False)])
    def test_this_machine_is_told_from_a_network(self, address, is_here):
        """ Only a loopback address is this machine, whatever the relay is called """

        sock = SimpleNamespace(getpeername=lambda: (address, 25))

        assert is_local(SimpleNamespace(sock=sock)) == is_here

    def test_a_password_login_is_advised(self):
        """ Where the relay has ended logins by password, the setting oauth is named """

        with FakeRelay(login=(USER, "x")) as relay:
            relay.answer("AUTH", "550 5.7.30 Basic authentication is not supported for Client "
                                 "Submission")
            with pytest.raises(LoginRefused, match="setting oauth"):
                accepted(transmit(session(relay, user=USER, password="password")))

# =============================================================================
class TestEndpoint:
    """ Before the relay is asked, the token must be had """

    def test_without_a_token_the_relay_is_not_asked(self, relay, endpoint, oauth):
        """ An endpoint that is busy leaves the relay alone, and the next session asks again """

        endpoint.answer(503, "busy")
        with pytest.raises(RelayUnavailable, match="token: 503"):
            accepted(transmit(session(relay, user=USER, oauth=oauth)))
        assert relay.connections == 0

        assert transmit(session(relay, user=USER, oauth=oauth)) == {ANNE: None}

    def test_a_relay_with_another_clock_is_served(self, relay, endpoint, oauth):
        """ A token that ends earlier for the relay than for its provider costs no mail """

        endpoint.life_s = 10 ** 9
        for _ in range(3):
            endpoint.expire()
            assert transmit(session(relay, user=USER, oauth=oauth)) == {ANNE: None}

        assert len(endpoint.requests) == 3

    def test_a_refresh_token_outlives_the_session(self, relay, endpoint, tmp_path):
        """
            A session whose time ends while the provider replaces the refresh token is given up,
            and the next refresh token and the access token are kept all the same
        """

        path, answer = secret_file(tmp_path, "refresh", "refresh-0"), threading.Event()
        person = OAuth("other", "refresh_token", token_url=endpoint.token_url, client_id=CLIENT,
                       refresh_token_file=path)
        endpoint.before_answer = lambda: answer.wait(20)
        try:
            for why in ("127.0.0.1: timed out", "Another session fetches the token"):
                with pytest.raises(RelayUnavailable, match=why):
                    accepted(transmit(session(relay, timeout=0.3, user=USER, oauth=person)))
            assert endpoint.refresh_token != "refresh-0"
            assert Path(path).read_text() == "refresh-0"
        finally:
            answer.set()

        assert transmit(session(relay, user=USER, oauth=person)) == {ANNE: None}
        assert len(endpoint.requests) == 1
        assert Path(path).read_text().split()[0] == endpoint.refresh_token

    def test_the_steps_are_observed(self, relay, oauth):
        """ An observer is told where the token comes from and how long it is valid """

        ours, told = session(relay, user=USER, oauth=oauth), []
        ours.observe = lambda reply, error, seconds: told.append((str(reply), error))
        transmit(ours, content=TEXT)

        assert told[0] == ("token: had from 127.0.0.1, valid for 59 min", None)
        assert "AUTH: 235" in told[3][0]

# END =========================================================================
