# -*- coding: utf-8 -*-

"""
    Ask the token endpoint of a provider (RFC 6749 section 5), and what its
    refusals mean

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import http.client
import json
import ssl
import time
import urllib.error
import urllib.request

from urllib.parse import urlencode, urlsplit

from ..phases import TOKEN
from ..replies import ConfigurationFailure, LoginRefused, RelayUnavailable, Reply
from ..states import one_line
from .advice import advice_for
from .configuration import LOOPBACK

__all__ = ("post",)

# What an answer may have (bytes), and what is read at a time
MAX_BYTES, READ_BYTES = 262144, 8192

# How much of the provider's words is kept (characters)
MAX_WORDS = 200

# The longest wait for one piece of the answer (seconds)
LONGEST_WAIT_S, SHORTEST_WAIT_S = 30, 0.1

# Refusals of the client or of its refresh token (RFC 6749 section 5.2): the same
# secret will not do again
REFUSED = ("invalid_grant", "invalid_client", "unauthorized_client", "access_denied",
           "invalid_token", "expired_token")
# Errors that end by themselves (RFC 6749 section 4.1.2.1)
PASSING = ("temporarily_unavailable", "server_error")

# =============================================================================
class NoRedirect(urllib.request.HTTPRedirectHandler):
    """ Does not follow: the secret is for one address """

    def redirect_request(self, *args, **kwargs):

        return None

# -----------------------------------------------------------------------------
def post(url, fields, within_s, secrets=(), clock=time.monotonic, expected=()):
    """
        POST a form to a token endpoint

        Args:
            url: of the endpoint
            fields: dict of the form
            within_s: how long it may take (seconds)
            secrets: what must not be in an error text (texts)
            clock: function that tells the time (seconds)
            expected: errors that are answers, not refusals (texts)

        Returns:
            the JSON object of the answer (dict)

        Raises:
            RelayUnavailable: it is away, too busy, or its answer is garbage
            LoginRefused: it refuses the client, or the refresh token
            ConfigurationFailure: it refuses something else, or it is not the
                                  right URL
    """

    host = urlsplit(url).hostname
    until = clock() + within_s
    request = urllib.request.Request(url, urlencode(fields).encode("ascii"),
                                     {"Accept": "application/json"})
    # To a proxy on the way to this machine, the secret would go over a network in clear
    proxies = [urllib.request.ProxyHandler({})] if host in LOOPBACK else []
    opener = urllib.request.build_opener(
        NoRedirect, urllib.request.HTTPSHandler(context=ssl.create_default_context()), *proxies)
    code, text = None, b""
    try:
        with opener.open(request, timeout=wait_s(until, clock)) as answer:
            code, text = answer.status, read(answer, until, clock)
    except urllib.error.HTTPError as error:
        code = error.code
        try:
            with error:
                text = read(error, until, clock)
        except (OSError, http.client.HTTPException):
            # The code tells enough
            pass
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise unreachable(host, error) from None
    answer = as_json(text)
    if code == 200 and answer is None:
        raise RelayUnavailable(Reply(TOKEN, code, "%s does not answer with JSON" % host))
    if code == 200 or answer and answer.get("error") in expected:
        return answer
    raise refusal(host, code, answer or {}, secrets)

# -----------------------------------------------------------------------------
def wait_s(until, clock):
    """ How long to wait for the next piece (seconds) """

    return max(min(until - clock(), LONGEST_WAIT_S), SHORTEST_WAIT_S)

# -----------------------------------------------------------------------------
def read(answer, until, clock):
    """
        Read an answer

        Args:
            answer: the HTTPResponse
            until: the deadline (by the clock)
            clock: function that tells the time (seconds)

        Returns:
            bytes, not more than about MAX_BYTES

        Raises:
            TimeoutError: that takes too long; OSError, HTTPException: it breaks off
    """

    text = b""
    while len(text) <= MAX_BYTES:
        # read() would wait for all of it
        part = answer.read1(READ_BYTES)
        if not part:
            return text
        text += part
        if clock() >= until:
            raise TimeoutError("timed out")
    return text

# -----------------------------------------------------------------------------
def as_json(text):
    """ A JSON object (dict), None if it is something else (text: bytes) """

    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None

# -----------------------------------------------------------------------------
def unreachable(host, error):
    """ The ChannelFailure when there is no answer (host: str; error: the exception) """

    reason = getattr(error, "reason", error)
    if isinstance(reason, ssl.SSLCertVerificationError):
        # Only a person can repair that
        return ConfigurationFailure(Reply(TOKEN, None, "%s: certificate not verified (%s)" %
                                          (host, reason.verify_message)))
    if isinstance(reason, OSError):
        reason = reason.strerror or reason
    return RelayUnavailable(Reply(TOKEN, None, one_line("%s: %s" % (host, reason))[:MAX_WORDS]))

# -----------------------------------------------------------------------------
def refusal(host, code, answer, secrets):
    """
        What a refusal means (RFC 6749 section 5.2)

        Args:
            host: of the endpoint
            code: of HTTP
            answer: the JSON object of the answer (dict), empty if it has none
            secrets: what must not be in the text (texts)

        Returns:
            the ChannelFailure
    """

    error = one_line(str(answer.get("error", "")))
    words = one_line(str(answer.get("error_description", "")))
    # Microsoft: what follows is for its support
    text = "%s: %s" % (error, words.partition(" Trace ID:")[0]) if words else error
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    # Not before: a part of a secret would not be found
    text = text[:MAX_WORDS]
    is_passing = code in (408, 425, 429) or code >= 500 or error in PASSING
    advice = "" if is_passing else advice_for(host, error, words)
    text = text or ("no reason given" if is_passing else
                    "this is no token endpoint: see oauth_token_url")
    reply = Reply(TOKEN, code, "%s: %s%s" % (host, text, advice))
    if is_passing:
        return RelayUnavailable(reply)
    return (LoginRefused if error in REFUSED else ConfigurationFailure)(reply)

# END =========================================================================
