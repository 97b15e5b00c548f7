# -*- coding: utf-8 -*-

"""
    The verb oauth: get a refresh token for the mailbox, by a person who logs in

    Microsoft: the device authorization grant (RFC 8628). Google has no such grant
    for mail: the code of the page is pasted here (RFC 8252 section 7.3, with PKCE,
    RFC 7636); nothing listens on this machine, which may have no browser.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import hashlib
import secrets
import sys
import time

from base64 import urlsafe_b64encode
from urllib.parse import parse_qs, urlencode, urlsplit

from ..oauth.configuration import GOOGLE, MICROSOFT, REFRESH_TOKEN, OAuth
from ..oauth.endpoint import post
from ..oauth.secret_file import read_secret, write_secret
from ..replies import ChannelFailure, ConfigurationFailure
from ..states import one_line
from .problems import BROKEN, FLOWING

__all__ = ("sign_in",)

# How long an answer may take (seconds)
REPLY_S = 30

# RFC 8628 sections 3.2 and 3.5: how often to ask, if the provider does not say,
# and how much less often if it says so (seconds)
INTERVAL_S, SLOWER_S = 5, 5

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
PENDING = ("authorization_pending", "slow_down")

GOOGLE_PAGE = "https://accounts.google.com/o/oauth2/v2/auth"

# Where the browser is sent with the code. Nothing is there: the address is
# pasted.
NOWHERE = "http://127.0.0.1:1"

# -----------------------------------------------------------------------------
def sign_in(options, relay=None, ask=input, tell=print, sleep=time.sleep):
    """
        Get a refresh token, and put it into the file that the settings name

        Args:
            options: the settings (see settings.py)
            relay: the name of a further relay, whose settings are to be used
            ask: function that asks a person for a line
            tell: function that prints a line
            sleep: function that waits (seconds)

        Returns:
            the exit status
    """

    ways = {MICROSOFT: by_device_code, GOOGLE: by_pasted_code}
    try:
        oauth = OAuth.read(settings_of(options, relay))
        if oauth is None or oauth.provider not in ways or oauth.grant != REFRESH_TOKEN:
            raise ConfigurationFailure("This needs the settings oauth = microsoft or google, and "
                                       "oauth_refresh_token_file")
        token = ways[oauth.provider](oauth, ask, tell, sleep).get("refresh_token")
        if not token:
            raise ConfigurationFailure("There is no refresh token in the answer: see oauth_scope")
        write_secret(oauth.refresh_token_file, token)
    except (ChannelFailure, OSError, ValueError, EOFError) as failure:
        print("mails3: %s" % one_line(str(failure) or type(failure).__name__), file=sys.stderr)
        return BROKEN
    tell("The refresh token is in %s." % oauth.refresh_token_file)
    tell("Now try it: python3 APP/modules/mails3 check")
    return FLOWING

# -----------------------------------------------------------------------------
def settings_of(options, name):
    """ The settings of a relay; name: None = the first one; raises ConfigurationFailure """

    if name is None:
        return options
    for relay in options.relays:
        if relay.name == name:
            return relay
    raise ConfigurationFailure("The settings have no section [relay %s]" % name)

# -----------------------------------------------------------------------------
def by_device_code(oauth, ask, tell, sleep):
    """ The device authorization grant (args as for sign_in()); returns the answer (dict) """

    url = oauth.token_url.rpartition("/")[0] + "/devicecode"
    answer = post(url, {"client_id": oauth.client_id, "scope": oauth.scope}, REPLY_S)
    tell("Open %s in a browser, enter the code %s, and log in as %s." %
         (one_line(str(answer.get("verification_uri"))), one_line(str(answer.get("user_code"))),
          oauth.user or "the mailbox"))
    form = form_of(oauth, DEVICE_CODE, device_code=str(answer.get("device_code")))
    wait_s = seconds(answer.get("interval"), INTERVAL_S)
    while True:
        sleep(wait_s)
        # The provider ends it, by the error expired_token
        answer = post(oauth.token_url, form, REPLY_S, form.values(), expected=PENDING)
        if "error" not in answer:
            return answer
        if answer["error"] == "slow_down":
            wait_s += SLOWER_S

# -----------------------------------------------------------------------------
def by_pasted_code(oauth, ask, tell, sleep):
    """ The authorization code grant, by a person who pastes; as by_device_code() """

    state, verifier = secrets.token_urlsafe(16), secrets.token_urlsafe(48)
    challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest())
    page = {"client_id": oauth.client_id, "redirect_uri": NOWHERE, "response_type": "code",
            "scope": oauth.scope, "state": state,
            "code_challenge": challenge.decode("ascii").rstrip("="),
            "code_challenge_method": "S256",
            # Else there is no refresh token, or none the second time
            "access_type": "offline", "prompt": "consent"}
    if oauth.user:
        page["login_hint"] = oauth.user
    tell("Open this address in a browser, and log in as %s:" % (oauth.user or "the mailbox"))
    tell("%s?%s" % (GOOGLE_PAGE, urlencode(page)))
    tell("The browser then shows that it can't reach %s: that is right." % NOWHERE)
    given = parse_qs(urlsplit(ask("Paste the address that it shows: ").strip()).query)
    if given.get("state") != [state] or "code" not in given:
        raise ConfigurationFailure("This address has no code of this page (%s)" %
                                   one_line(given.get("error", ["begin again"])[0]))
    form = form_of(oauth, "authorization_code", code=given["code"][0], redirect_uri=NOWHERE,
                   code_verifier=verifier)
    return post(oauth.token_url, form, REPLY_S, form.values())

# -----------------------------------------------------------------------------
def form_of(oauth, grant, **fields):
    """ The form of a grant, with the client's secret if it has one (dict) """

    fields.update(client_id=oauth.client_id, grant_type=grant)
    if oauth.secret_file:
        fields["client_secret"] = read_secret(oauth.secret_file, "oauth_client_secret_file")
    return fields

# -----------------------------------------------------------------------------
def seconds(value, default):
    """ A number of seconds that a provider has given (int); the default if it is not one """

    return value if isinstance(value, int) and 0 < value < 60 else default

# END =========================================================================
