"""
    The verb oauth
"""

import os

from base64 import urlsafe_b64encode
from hashlib import sha256
from urllib.parse import parse_qs, urlsplit

import pytest

from support.token_endpoint import CLIENT, SECRET, TokenEndpoint, secret_file
from support.web2py import CLONE # noqa: F401 (mails3 can be imported)

from mails3.admin.sign_in import sign_in
from mails3.oauth.secret_file import read_secret
from mails3.settings import read_settings

DEVICE = {"user_code": "ABCD-EFGH", "device_code": "a-device-code", "interval": 2,
          "verification_uri": "https://microsoft.com/devicelogin"}
TOKENS = {"access_token": "an-access-token", "refresh_token": "a-refresh-token"}

# =============================================================================
class Person:
    """ A person at the command line, with a provider of the test's own """

    def __init__(self, folder, provider):

        self.endpoint = TokenEndpoint()
        self.told, self.slept, self.answer = [], [], lambda: ""
        self.path = str(folder / "refresh")
        self.given = {"oauth": provider, "oauth_client_id": CLIENT, "oauth_tenant": "contoso",
                      "oauth_token_url": self.endpoint.token_url,
                      "oauth_refresh_token_file": self.path,
                      "oauth_user": "shelter@example.org"}
        if provider == "google":
            self.given["oauth_client_secret_file"] = secret_file(folder, "secret", SECRET)

    def sign_in(self, relay=None):
        """ Does the verb; its exit status """

        return sign_in(read_settings(self.given, pytest.fail), relay,
                       lambda question: self.answer(), self.told.append, self.slept.append)

    def page(self):
        """ The query of the address that was printed """

        address, = [line for line in self.told if line.startswith("https://")]
        return {name: value for name, (value,) in parse_qs(urlsplit(address).query).items()}

    def paste(self, **query):
        """ What the person pastes """

        return lambda: "http://127.0.0.1:1/?state=%s&code=a-code\n" % \
            query.get("state", self.page()["state"])

# -----------------------------------------------------------------------------
@pytest.fixture
def microsoft(tmp_path):
    """ A person whose app is at Microsoft """

    person = Person(tmp_path, "microsoft")
    with person.endpoint:
        yield person

@pytest.fixture
def google(tmp_path):
    """ A person whose app is at Google """

    person = Person(tmp_path, "google")
    with person.endpoint:
        yield person

# =============================================================================
class TestMicrosoft:
    """ By a code that is entered on a page """

    def test_the_token_is_stored(self, microsoft, capsys):
        """ The refresh token goes into a file for its owner, and is not printed """

        microsoft.endpoint.answer(200, DEVICE)
        microsoft.endpoint.answer(400, {"error": "authorization_pending"})
        microsoft.endpoint.answer(400, {"error": "slow_down"})
        microsoft.endpoint.answer(200, TOKENS)

        assert microsoft.sign_in() == 0

        assert read_secret(microsoft.path, "x") == "a-refresh-token"
        assert os.stat(microsoft.path).st_mode & 0o777 == 0o600
        assert microsoft.slept == [2, 2, 7]
        assert "ABCD-EFGH" in microsoft.told[0] and "devicelogin" in microsoft.told[0]
        printed = "".join(microsoft.told) + "".join(capsys.readouterr())
        for secret in ("a-refresh-token", "an-access-token", "a-device-code"):
            assert secret not in printed
        assert microsoft.endpoint.requests[-1]["device_code"] == "a-device-code"

    @pytest.mark.parametrize("last", [
        (400, {"error": "expired_token"}), (400, {"error": "authorization_declined"}),
        (503, ""), (200, {"access_token": "x"})])
    def test_a_failure_leaves_the_file(self, microsoft, last, capsys, tmp_path):
        """ A login that fails is told, and the old token stays """

        secret_file(tmp_path, "refresh", "before")
        microsoft.endpoint.answer(200, DEVICE)
        microsoft.endpoint.answer(*last)

        assert microsoft.sign_in() == 2

        assert read_secret(microsoft.path, "x") == "before"
        assert capsys.readouterr().err.startswith("mails3: ")

# =============================================================================
class TestGoogle:
    """ By an address that is pasted """

    def test_the_token_is_stored(self, google, capsys):
        """ The code of the pasted address is exchanged, with the proof of PKCE """

        google.answer = lambda: google.paste()()
        google.endpoint.answer(200, TOKENS)

        assert google.sign_in() == 0

        assert read_secret(google.path, "x") == "a-refresh-token"
        form, page = google.endpoint.requests[0], google.page()
        assert (form["code"], form["grant_type"]) == ("a-code", "authorization_code")
        digest = sha256(form["code_verifier"].encode()).digest()
        assert page["code_challenge"] == urlsafe_b64encode(digest).decode().rstrip("=")
        assert (page["access_type"], page["scope"]) == ("offline", "https://mail.google.com/")
        assert page["login_hint"] == "shelter@example.org"
        assert SECRET not in "".join(google.told) + "".join(capsys.readouterr())

    @pytest.mark.parametrize("pasted", [
        "", "a-code", "http://127.0.0.1:1/?code=a-code", "http://127.0.0.1:1/?state=x&code=a-code",
        "http://127.0.0.1:1/?error=access_denied", "http://["])
    def test_another_address_is_refused(self, google, pasted):
        """ An address without the code of this page is refused, and nothing is asked """

        google.answer = lambda: pasted

        assert google.sign_in() == 2
        assert google.endpoint.requests == []
        assert not os.path.exists(google.path)

# =============================================================================
class TestSettings:
    """ What the verb needs """

    @pytest.mark.parametrize("change", [
        {"oauth": ""}, {"oauth": "other"}, {"oauth_client_id": ""},
        {"oauth_refresh_token_file": "", "oauth_client_secret_file": "/x"},
        {"oauth_refresh_token_file": "/no/such/folder/file"}])
    def test_a_setting_that_is_missing_is_told(self, microsoft, change, capsys):
        """ Without the settings, the verb says which """

        microsoft.endpoint.answer(200, DEVICE)
        microsoft.endpoint.answer(200, TOKENS)
        microsoft.given.update(change)

        assert microsoft.sign_in() == 2
        assert "oauth" in capsys.readouterr().err or "/no/such" in str(change)

    def test_a_further_relay_has_a_token_of_its_own(self, microsoft, capsys):
        """ With its name, the settings of a further relay are used """

        microsoft.given = {"relays": {"backup": microsoft.given}}
        microsoft.endpoint.answer(200, DEVICE)
        microsoft.endpoint.answer(200, TOKENS)

        assert microsoft.sign_in() == 2
        assert microsoft.sign_in("else") == 2
        assert "[relay else]" in capsys.readouterr().err
        assert microsoft.sign_in("backup") == 0
        assert read_secret(microsoft.path, "x") == "a-refresh-token"

# END =========================================================================
