"""
    How a token is had, and what a refusal means
"""

import os
import shlex
import socket
import ssl
import sys
import threading

from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from support.site import eventually
from support.token_endpoint import CLIENT, SECRET, TokenEndpoint, secret_file
from support.web2py import CLONE # noqa: F401 (mails3 can be imported)

from mails3.oauth.configuration import OAuth
from mails3.oauth.grants import fetch
from mails3.oauth.secret_file import read_secret
from mails3.replies import ConfigurationFailure, LoginRefused, RelayUnavailable

# -----------------------------------------------------------------------------
@pytest.fixture
def endpoint():
    """ A token endpoint """

    with TokenEndpoint() as endpoint:
        yield endpoint

@pytest.fixture
def client(endpoint, tmp_path):
    """ The OAuth of a client that logs in as itself """

    return OAuth("other", "client_credentials", token_url=endpoint.token_url, scope="mail",
                 client_id=CLIENT, secret_file=secret_file(tmp_path, "secret", SECRET))

@pytest.fixture
def person(endpoint, tmp_path):
    """ The OAuth of a client with a person's refresh token """

    return OAuth("other", "refresh_token", token_url=endpoint.token_url, client_id=CLIENT,
                 refresh_token_file=secret_file(tmp_path, "refresh", "refresh-0"))

# -----------------------------------------------------------------------------
def by_command(code, within_s=10):
    """ Fetch a token by a command of Python """

    return fetch(OAuth("command", "command", command=(sys.executable, "-c", code)), within_s)

# -----------------------------------------------------------------------------
def is_over(pid):
    """ Whether a process has ended, though nobody may have asked for its end """

    try:
        return Path("/proc/%s/stat" % pid).read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True

# =============================================================================
class TestClientCredentials:
    """ The client logs in as itself """

    def test_a_token_is_had(self, endpoint, client):
        """ The form has what RFC 6749 section 4.4.2 asks for """

        grant = fetch(client, 10)

        assert endpoint.requests == [{"grant_type": "client_credentials", "client_id": CLIENT,
                                      "client_secret": SECRET, "scope": "mail"}]
        assert endpoint.is_valid("shelter@example.org", grant.token)
        assert grant.life_s == 3600
        assert grant.token not in repr(grant)

    @pytest.mark.parametrize("told, life_s", [(None, 3600), ("1800", 1800), (59.5, 59), (0, 1),
                                              (-5, 1), ("soon", 3600), ([], 3600)])
    def test_a_life_is_a_number(self, endpoint, client, told, life_s):
        """ Without a life that is a number, a token is taken to be valid for an hour """

        endpoint.life_s = told

        assert fetch(client, 10).life_s == life_s

# =============================================================================
class TestRefusals:
    """ What the endpoint refuses """

    @pytest.mark.parametrize("code, content, kind", [
        (400, {"error": "invalid_grant"}, LoginRefused),
        (401, {"error": "invalid_client"}, LoginRefused),
        (400, {"error": "unauthorized_client"}, LoginRefused),
        (400, {"error": "invalid_scope"}, ConfigurationFailure),
        (400, {"error": "temporarily_unavailable"}, RelayUnavailable),
        (429, {"error": "invalid_client"}, RelayUnavailable),
        (500, {"error": "invalid_client"}, RelayUnavailable),
        (503, "<html>", RelayUnavailable),
        (404, "<html>", ConfigurationFailure),
        (200, "<html>", RelayUnavailable),
        (200, "[" * 100000, RelayUnavailable),
        (200, "x" * 2000000, RelayUnavailable),
        (200, {}, RelayUnavailable),
        (200, {"access_token": 1}, RelayUnavailable),
        (200, {"access_token": "a\1b"}, RelayUnavailable),
        (200, {"access_token": "a b"}, RelayUnavailable),
        (200, {"access_token": "ab", "token_type": "mac"}, RelayUnavailable),
        ])
    def test_a_refusal_is_told_from_trouble(self, endpoint, client, code, content, kind):
        """
            A refused client or grant is a refused login; an endpoint that is busy, away or says
            garbage is trouble of the relay; all else is the configuration
        """

        endpoint.answer(code, content)

        with pytest.raises(kind) as failure:
            fetch(client, 10)
        assert type(failure.value) is kind
        assert failure.value.code == code
        assert "127.0.0.1" in str(failure.value)

    def test_the_words_are_kept_without_secrets(self, endpoint, client):
        """ The words of the endpoint are told, short and without the secret """

        endpoint.answer(401, {"error": "invalid_client", "error_description":
                              "AADSTS7000222: The provided client secret keys are expired.\r\n"
                              "It was %s. Trace ID: 1234 Timestamp: 2026" % SECRET})

        with pytest.raises(LoginRefused) as failure:
            fetch(client, 10)
        assert str(failure.value) == (
            "token: 401 127.0.0.1: invalid_client: AADSTS7000222: The provided client secret keys "
            "are expired. It was ***. (see oauth_client_id and oauth_client_secret_file)")

    @pytest.mark.parametrize("name", ["error", "error_description"])
    def test_a_secret_that_would_be_cut_is_not_quoted(self, endpoint, client, name):
        """ A part of the secret is in no error text, where the words are longer than is kept """

        for length in range(170, 200):
            endpoint.answer(401, {"error": "no", name: "x" * length + SECRET})
            with pytest.raises(ConfigurationFailure) as failure:
                fetch(client, 10)
            assert SECRET[:2] not in str(failure.value)

    @pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
    def test_a_redirect_is_not_followed(self, endpoint, client, code):
        """ The secret goes to no other address """

        with TokenEndpoint() as other:
            endpoint.answer(code, "", Location=other.token_url)
            with pytest.raises(ConfigurationFailure) as failure:
                fetch(client, 10)
            assert failure.value.code == code
            assert "oauth_token_url" in str(failure.value)
            assert other.requests == []

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST"])
    def test_an_endpoint_of_this_machine_is_asked_without_a_proxy(self, endpoint, client, host,
                                                                  monkeypatch):
        """ The secret for an endpoint of this machine goes to no proxy """

        with TokenEndpoint() as proxy:
            for name in ("http_proxy", "https_proxy", "all_proxy"):
                monkeypatch.setenv(name, proxy.url)
            monkeypatch.delenv("no_proxy", raising=False)
            url = endpoint.token_url.replace("127.0.0.1", host)

            assert fetch(replace(client, token_url=url), 10).token
            assert proxy.requests == []

    def test_an_endpoint_that_is_away_is_trouble_of_the_relay(self, tmp_path):
        """ A port without a listener is RelayUnavailable, which names the host """

        with socket.create_server(("127.0.0.1", 0)) as closed:
            url = "http://127.0.0.1:%s/token" % closed.getsockname()[1]
        oauth = OAuth("other", "client_credentials", token_url=url, client_id=CLIENT,
                      secret_file=secret_file(tmp_path, "secret", SECRET))

        with pytest.raises(RelayUnavailable, match="127.0.0.1: Connection refused"):
            fetch(oauth, 10)

    def test_a_silent_endpoint_is_given_up(self, endpoint, client):
        """ An endpoint that does not answer is given up in time """

        done = threading.Event()
        endpoint.before_answer = lambda: done.wait(20)
        try:
            with pytest.raises(RelayUnavailable, match="timed out"):
                fetch(client, 0.3)
        finally:
            done.set()

    def test_a_certificate_is_verified(self, tmp_path, monkeypatch):
        """ The endpoint's certificate must be of a known authority """

        ca, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("127.0.0.1").configure_cert(context)
        with TokenEndpoint(context) as endpoint:
            oauth = OAuth("other", "client_credentials", token_url=endpoint.token_url,
                          client_id=CLIENT, secret_file=secret_file(tmp_path, "secret", SECRET))
            with pytest.raises(ConfigurationFailure, match="certificate not verified"):
                fetch(oauth, 10)
            assert endpoint.requests == []

            ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
            assert fetch(oauth, 10).token

# =============================================================================
class TestRefreshToken:
    """ A refresh token, which is replaced with each use """

    def test_the_next_refresh_token_is_kept(self, endpoint, person, tmp_path):
        """ The new refresh token is in the file, for its owner only, and is used next """

        for number in (1, 3):
            assert fetch(person, 10).unsaved is None
            assert read_secret(person.refresh_token_file, "x") == "refresh-%s" % number
        assert os.stat(person.refresh_token_file).st_mode & 0o777 == 0o600
        assert os.listdir(tmp_path) == ["refresh"]

    def test_a_provider_need_not_replace_it(self, endpoint, person):
        """ Without a new refresh token, the file stays as it is """

        endpoint.rotates = False
        before = os.stat(person.refresh_token_file)

        fetch(person, 10)

        assert os.stat(person.refresh_token_file) == before

    def test_workers_at_the_same_time_lose_no_refresh_token(self, endpoint, person):
        """ Each of several workers gets a token, though each refresh token may be used once """

        grants, failures = [], []

        def work():
            try:
                grants.append(fetch(person, 30))
            except Exception as failure:
                failures.append(failure)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

        assert failures == []
        assert len({grant.token for grant in grants}) == 8
        assert read_secret(person.refresh_token_file, "x") == endpoint.refresh_token

    def test_another_machine_may_be_faster(self, endpoint, person, tmp_path):
        """ If another one has replaced the file meanwhile, its refresh token is used """

        def be_faster():
            endpoint.before_answer = lambda: None
            secret_file(tmp_path, "refresh", "refresh-9")

        endpoint.refresh_token = "refresh-9"
        endpoint.before_answer = be_faster

        assert fetch(person, 10).token
        assert read_secret(person.refresh_token_file, "x") == endpoint.refresh_token

    def test_a_persons_new_refresh_token_is_not_overwritten(self, endpoint, person, tmp_path):
        """ What a person writes into the file while the token is renewed stays """

        endpoint.before_answer = lambda: secret_file(tmp_path, "refresh", "the-persons")

        assert fetch(person, 10).token
        assert read_secret(person.refresh_token_file, "x") == "the-persons"

    def test_a_refresh_token_that_can_not_be_written_is_kept(self, endpoint, person, monkeypatch,
                                                             caplog):
        """ It is used by this process, told in the log, and written when that is possible """

        def full(handle):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            first = fetch(person, 10)
        assert first.unsaved == endpoint.refresh_token
        assert person.refresh_token_file in caplog.text
        assert "No space left" in caplog.text and first.unsaved not in caplog.text

        assert fetch(person, 10, first.unsaved).unsaved is None
        assert read_secret(person.refresh_token_file, "x") == endpoint.refresh_token

    def test_a_refused_refresh_token_is_a_refused_login(self, endpoint, person):
        """ It says how to get another one """

        endpoint.refresh_token = "another"

        with pytest.raises(LoginRefused, match="invalid_grant.*modules/mails3 oauth"):
            fetch(person, 10)

    def test_without_a_refresh_token_the_verb_is_named(self, endpoint, person):
        """ A file that is not there yet says how to get it """

        os.remove(person.refresh_token_file)

        with pytest.raises(ConfigurationFailure, match="modules/mails3 oauth"):
            fetch(person, 10)
        assert endpoint.requests == []

    @pytest.mark.parametrize("setting", ["secret_file", "refresh_token_file"])
    def test_a_file_that_others_can_read_is_not_used(self, endpoint, person, setting, tmp_path):
        """ The endpoint is not asked with a secret that others can read """

        oauth = OAuth(**dict(vars(person), secret_file=secret_file(tmp_path, "secret", SECRET)))
        os.chmod(getattr(oauth, setting), 0o644)

        with pytest.raises(ConfigurationFailure, match="chmod 600"):
            fetch(oauth, 10)
        assert endpoint.requests == []

# =============================================================================
class TestCommand:
    """ A command that prints the token """

    def test_the_token_is_what_it_prints(self):
        """ White space around the token is removed """

        grant = by_command("print('  a-token  \\n')")

        assert (grant.token, grant.life_s) == ("a-token", 300)

    @pytest.mark.parametrize("code, why", [
        ("raise SystemExit(3)", "exit status 3"), ("", "something else"),
        ("print('two words')", "something else"), ("print('x' * 10 ** 6)", "fails"),
        ("print('\\xe4')", "something else")])
    def test_a_command_that_fails_is_trouble_of_the_relay(self, code, why):
        """ A command that fails or prints something else is told without its output """

        with pytest.raises(RelayUnavailable, match=why) as failure:
            by_command(code)
        assert "words" not in str(failure.value)

    def test_a_command_that_takes_too_long_is_ended(self, tmp_path):
        """ It is ended, with the processes that it has started """

        pid = tmp_path / "pid"
        child = "sleep 600 & echo $! > %s; wait" % shlex.quote(str(pid))

        with pytest.raises(RelayUnavailable, match="takes too long"):
            fetch(OAuth("command", "command", command=("sh", "-c", child)), 1)
        assert eventually(lambda: is_over(int(pid.read_text())), 10)

    def test_a_missing_command_is_the_configuration(self):
        """ A command that does not exist names its setting """

        with pytest.raises(ConfigurationFailure, match="oauth_token_command.*No such file"):
            fetch(OAuth("command", "command", command=("/no/such/command",)), 10)

# END =========================================================================
