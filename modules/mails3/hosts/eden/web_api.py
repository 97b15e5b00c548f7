# -*- coding: utf-8 -*-

"""
    SMS by a web API: what the answer of a gateway means

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import re

from http.client import HTTPException, InvalidURL
from io import StringIO
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from gluon import current

from ...message.composition import substitute
from ...replies import AUTH, BODY, CONNECT, DATA, RCPT, ConfigurationFailure, QuotaReached, \
                       RelayUnavailable, Reply, TransientFailure

__all__ = ("GatewayReply", "send_by_web_api")

# -----------------------------------------------------------------------------
# What the status of an HTTP response means. Only a refused login (AUTH) concerns
# all texts for sure; another refusal may concern one text (RCPT): the worker
# finds out with the next text. A status that is not in the table is a
# TransientFailure.
#
MEANING = {
    # status phase  what it means
    401:    (AUTH, ConfigurationFailure), # RFC 9110 15.5.2: login refused
    402:    (RCPT, ConfigurationFailure), # RFC 9110 15.5.3: not paid
    403:    (RCPT, ConfigurationFailure), # RFC 9110 15.5.4: not allowed
    404:    (RCPT, ConfigurationFailure), # RFC 9110 15.5.5: the URL is wrong
    405:    (RCPT, ConfigurationFailure), # RFC 9110 15.5.6: the URL is for another method
    407:    (AUTH, ConfigurationFailure), # RFC 9110 15.5.8: login to the proxy refused
    408:    (RCPT, RelayUnavailable),     # RFC 9110 15.5.9: the request took too long
    410:    (RCPT, ConfigurationFailure), # RFC 9110 15.5.11: the URL is gone
    429:    (RCPT, QuotaReached),         # RFC 6585 4: too many requests
    502:    (RCPT, RelayUnavailable),     # RFC 9110 15.6.3: bad gateway
    503:    (RCPT, RelayUnavailable),     # RFC 9110 15.6.4: overloaded, in maintenance
    504:    (RCPT, RelayUnavailable),     # RFC 9110 15.6.5: gateway time-out
    }

# Gateways that refuse with status 200 and words (S3Msg.send_sms_via_api), by a
# part of their URL; the words that are about the site are a ConfigurationFailure
REFUSALS_WITH_200 = {"clickatell": r"ERR", "mcommons": r"(?s).*error"}
ABOUT_SITE = re.compile(r"authenticat|user ?name|password|account|credit|lockdown",
                        re.IGNORECASE)

# The gateway has closed a connection that was open
CLOSED = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)

# The words of a gateway are cut here: they may quote the text of the SMS
MAX_WORDS = 160

# =============================================================================
class GatewayReply(Reply):
    """ What a gateway has answered; an admin sees only its words """

    def __str__(self):

        # The phases are those of SMTP, which a gateway does not have
        return self.text

# -----------------------------------------------------------------------------
def send_by_web_api(address, text, eden_message_id, channel_id, timeout_s):
    """
        Send a text by S3Msg.send_sms_via_api(), with another urlopen: the one
        that Eden uses
        - fails on Eden-ASP, because it passes str and not bytes
        - has no time-out
        - returns bytes, while Eden wants to read text
        - hides the gateway's answer from the caller

        Args:
            address: the phone number
            text: the text of the SMS
            eden_message_id: the message_id in msg_outbox
            channel_id: the record in msg_channel
            timeout_s: the longest wait for the answer (seconds)

        Returns:
            True if the gateway has taken the text

        Raises:
            DeliveryError: the gateway refuses the text, or does not answer
    """

    send = substitute(type(current.msg).send_sms_via_api,
                      urlopen = lambda request, query: ask(request, query, timeout_s))
    return send(current.msg, address, text, eden_message_id, channel_id)

# -----------------------------------------------------------------------------
def ask(request, query, timeout_s):
    """
        Send a request to a gateway

        Args:
            request: the Request (urllib)
            query: the form data (str or bytes)
            timeout_s: the longest wait (seconds)

        Returns:
            the answer, as a file of text

        Raises:
            DeliveryError: the gateway refuses the text, or does not answer
    """

    if isinstance(query, str):
        query = query.encode("iso-8859-1")
    try:
        with urlopen(request, query, timeout=timeout_s) as response:
            words = response.read().decode("utf-8", "replace")
    except HTTPError as error:
        raise refusal(error.code, error.reason) from None
    except URLError as error:
        # The gateway has not got the whole request
        phase = DATA if isinstance(error.reason, CLOSED) else CONNECT
        raise no_answer(phase, error.reason) from None
    except InvalidURL:
        # Its text quotes the URL, which may contain a password
        raise ConfigurationFailure(GatewayReply(CONNECT, None,
                                                "The URL of the SMS gateway is malformed")
                                   ) from None
    except (OSError, HTTPException) as error:
        # The gateway may have got the text
        raise no_answer(BODY, error) from None

    for name, refusing_words in REFUSALS_WITH_200.items():
        if name in request.full_url and re.match(refusing_words, words):
            raise refusal(200, words)
    return StringIO(words)

# -----------------------------------------------------------------------------
def refusal(status, words):
    """
        What the refusal of a gateway means

        Args:
            status: the status of the HTTP response
            words: the reason phrase, or the body of the response

        Returns:
            the DeliveryError
    """

    if status == 200:
        phase = RCPT
        meaning = ConfigurationFailure if ABOUT_SITE.search(words) else TransientFailure
    else:
        phase, meaning = MEANING.get(status, (RCPT, TransientFailure))
    first_line = (str(words).splitlines() or [""])[0][:MAX_WORDS]
    return meaning(GatewayReply(phase, status, "The SMS gateway says %s %s" %
                                (status, first_line)))

# -----------------------------------------------------------------------------
def no_answer(phase, error):
    """
        What it means that a gateway does not answer

        Args:
            phase: BODY if the gateway may have got the text
            error: the exception, or its reason

        Returns:
            the DeliveryError
    """

    return RelayUnavailable(GatewayReply(phase, None,
                                         "The SMS gateway does not answer (%s)" % error))

# END =========================================================================
