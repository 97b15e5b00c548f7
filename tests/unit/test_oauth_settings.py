"""
    The settings of OAuth 2.0
"""

import pytest

from gluon.storage import Storage

from support.web2py import CLONE # noqa: F401 (mails3 can be imported)

from mails3.oauth.configuration import OAuth
from mails3.replies import ConfigurationFailure
from mails3.settings import read_settings
from mails3.smtp.server import Server

MICROSOFT = {"oauth": "microsoft", "oauth_tenant": "contoso.onmicrosoft.com",
             "oauth_client_id": "an-app", "oauth_client_secret_file": "/etc/mails3/secret"}
GOOGLE = {"oauth": "google", "oauth_client_id": "a-client", "oauth_client_secret_file": "/secret",
          "oauth_refresh_token_file": "/refresh"}

# -----------------------------------------------------------------------------
def read(**given):
    """ The OAuth of some settings, none of which is malformed """

    return OAuth.read(read_settings(given, pytest.fail))

# =============================================================================
class TestProviders:
    """ Microsoft and Google need little """

    def test_without_oauth_there_is_none(self):
        """ By default the login is by password """

        assert read() is None

    def test_microsoft_needs_tenant_client_and_secret(self):
        """ The client logs in as itself, with the scope that SMTP needs """

        oauth = read(**MICROSOFT)

        assert oauth.grant == "client_credentials"
        assert oauth.token_url == "https://login.microsoftonline.com/contoso.onmicrosoft.com" \
                                  "/oauth2/v2.0/token"
        assert oauth.scope == "https://outlook.office365.com/.default"
        assert oauth.source == "login.microsoftonline.com"

    def test_microsoft_takes_a_refresh_token(self):
        """ With a refresh token, a person has logged in, and no secret is needed """

        oauth = read(**dict(MICROSOFT, oauth_client_secret_file="", oauth_tenant="common",
                            oauth_refresh_token_file="/refresh"))

        assert oauth.grant == "refresh_token"
        assert oauth.scope == "https://outlook.office.com/SMTP.Send offline_access"

    def test_google_needs_client_secret_and_refresh_token(self):
        """ Google has the one scope that its SMTP takes """

        oauth = read(**GOOGLE)

        assert (oauth.grant, oauth.scope) == ("refresh_token", "https://mail.google.com/")
        assert oauth.token_url == "https://oauth2.googleapis.com/token"

    def test_a_command_needs_nothing_else(self):
        """ A command has arguments as in a shell, and no shell """

        oauth = read(oauth="command", oauth_token_command="/bin/token --for 'a b' $HOME")

        assert oauth.command == ("/bin/token", "--for", "a b", "$HOME")

    @pytest.mark.parametrize("given, named", [
        ({"oauth": "microsft"}, "oauth is not one of microsoft, google, other, command"),
        (dict(MICROSOFT, oauth_tenant=""), "oauth_tenant"),
        (dict(MICROSOFT, oauth_tenant="a/b"), "oauth_tenant"),
        (dict(MICROSOFT, oauth_tenant="common"), "oauth_tenant"),
        (dict(MICROSOFT, oauth_client_id=""), "oauth_client_id"),
        (dict(MICROSOFT, oauth_client_secret_file=""), "oauth_client_secret_file or "
                                                       "oauth_refresh_token_file"),
        (dict(MICROSOFT, oauth_client_secret_file="secret"), "oauth_client_secret_file"),
        (dict(MICROSOFT, oauth_token_url="http://example.org/"), "oauth_token_url"),
        (dict(MICROSOFT, oauth_token_url="ftp://localhost/"), "oauth_token_url"),
        (dict(MICROSOFT, oauth_token_url="https://[/"), "oauth_token_url"),
        (dict(MICROSOFT, oauth_token_url="https:/token"), "oauth_token_url"),
        (dict(GOOGLE, oauth_refresh_token_file=""), "oauth_refresh_token_file"),
        (dict(GOOGLE, oauth_client_secret_file=""), "oauth_client_secret_file"),
        ({"oauth": "other", "oauth_client_id": "x"}, "oauth_token_url"),
        ({"oauth": "command"}, "oauth_token_command"),
        ({"oauth": "command", "oauth_token_command": "echo '"}, "oauth_token_command"),
        ])
    def test_a_mistake_is_named(self, given, named):
        """ A mistake is a ConfigurationFailure, which names the setting """

        with pytest.raises(ConfigurationFailure, match="Setting " + named):
            read(**given)

# =============================================================================
class TestServer:
    """ A Server with OAuth """

    @pytest.mark.parametrize("login, user, mailbox", [
        ("anne@example.org", "", "anne@example.org"),
        ("anne@example.org:password", "", "anne@example.org"),
        ("anne@example.org:password", "office@example.org", "office@example.org"),
        (None, "office@example.org", "office@example.org")])
    def test_the_mailbox_is_that_of_the_login(self, login, user, mailbox):
        """ The mailbox is oauth_user, else the user of Mail's login; the password is unused """

        server = Server.read(Storage(server="x", login=login),
                             oauth=read(**dict(MICROSOFT, oauth_user=user)))

        assert (server.user, server.password) == (mailbox, None)

    def test_without_a_mailbox_the_setting_is_named(self):
        """ Without a mailbox, the text names the setting that has it """

        with pytest.raises(ConfigurationFailure, match="oauth_user"):
            Server.read(Storage(server="x"), oauth=read(**MICROSOFT))

    def test_the_fingerprints_change_with_the_secret(self, tmp_path):
        """ A repair of a setting or of the content of a file is a changed login """

        secret = tmp_path / "secret"
        prints = []
        for change, text, mode in (({}, "one", 0o600), ({}, "one", 0o600), ({}, "two", 0o600),
                                   ({}, "two", 0o644), ({"oauth_client_id": "b"}, "two", 0o600),
                                   ({"oauth_tenant": "b"}, "two", 0o600)):
            secret.write_text(text)
            secret.chmod(mode)
            server = Server.read(Storage(server="x", login="a"), oauth=read(
                **dict(MICROSOFT, oauth_client_secret_file=str(secret), **change)))
            prints.append((server.login_fingerprint("salt"), server.fingerprint("a", "salt")))

        assert prints[0] == prints[1]
        assert len(set(prints)) == 5
        assert len({login for login, _ in prints}) == 5

# END =========================================================================
