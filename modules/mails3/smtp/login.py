# -*- coding: utf-8 -*-

"""
    The login (RFC 4954): by which mechanism, and one attempt

    smtplib's own login() does not do: it makes several attempts with the same
    password, after which some relays lock the account; and it can't encode a
    login that is not ASCII (RFC 4616 section 2: UTF-8). A refused login is not tried
    again before it changes: see LoginRefused (replies.py) and delivery/breaker.py.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import ipaddress
import smtplib

from base64 import b64decode, b64encode

from ..oauth.advice import advice_on_login
from ..oauth.token_cache import TOKENS
from .mechanisms import CramMD5, Login, OAuthBearer, Plain, XOAuth2
from .scram import ScramSHA256

__all__ = ("login", "login_by_token")

# The best one first. Without TLS, those that do not show the password; with TLS
# CRAM-MD5 is the last one, because many relays offer it that can't check it.
WITH_TLS = (ScramSHA256, Plain, Login, CramMD5)
WITHOUT_TLS = (ScramSHA256, CramMD5, Plain, Login)
BY_TOKEN = (OAuthBearer, XOAuth2)

# How much of a relay's words is kept beside our advice (characters)
MAX_WORDS = 250

# The longest line of a command, with its end (RFC 4954 section 4, RFC 5321 4.5.3.1.4)
MAX_LINE_BYTES = 512

# -----------------------------------------------------------------------------
def login(connection, server):
    """
        Log in by user and password, with one attempt
        - a second one is made only after a mechanism for which the relay must
          have stored the password: many relays offer those and have not

        Args:
            connection: the Connection, after EHLO
            server: the Server, with user and password

        Returns:
            tuple (code, text) of the last reply, as smtplib gives it

        Raises:
            smtplib.SMTPNotSupportedError: the relay offers no mechanism that
                                           is possible here
            smtplib.SMTPException, OSError: there is no reply, or it is another
                                            relay than the one that we know
    """

    reply, possible = None, usable(connection, WITH_TLS if connection.is_encrypted
                                   else WITHOUT_TLS)
    while possible:
        mechanism = possible.pop(0)
        try:
            reply = attempt(connection, mechanism(server.user, server.password))
        except ValueError:
            # The relay's challenge has no answer
            continue
        if reply[0] < 400 or reply[0] == 421 or not mechanism.needs_stored_password:
            break
        possible = [other for other in possible if other.shows_password][:1]
    if reply is None:
        raise no_mechanism(connection)
    code, text = reply
    return explained(code, server.without_login(text.decode("utf-8", "replace")), False)

# -----------------------------------------------------------------------------
def login_by_token(connection, server, token, another):
    """
        Log in by a token; if the relay refuses it, once more by another one: a
        token may be withdrawn before its time

        Args:
            connection: the Connection, after EHLO
            server: the Server, with its OAuth
            token: the Token
            another: function of the Token that is refused; returns the Token
                     to use in place of it, None if there is no other

        Returns, raises:
            as login()
    """

    if not (connection.is_encrypted or is_local(connection)):
        raise smtplib.SMTPNotSupportedError("A token is not sent without TLS: set tls or ssl")
    for kind in usable(connection, BY_TOKEN)[:1]:
        while True:
            mechanism = kind(server.user, token.text, server.host, server.port)
            try:
                code, text = attempt(connection, mechanism)
            except ValueError:
                break
            if code == 235:
                TOKENS.note_accepted(server.oauth, token)
            text = mechanism.without_token(text.decode("utf-8", "replace"))
            if mechanism.told:
                text += " (it says: %s)" % mechanism.told
            token = another(token) if code // 100 == 5 else None
            if token is None:
                return explained(code, text, True)
    raise no_mechanism(connection)

# -----------------------------------------------------------------------------
def explained(code, text, is_by_token):
    """
        A reply with our advice, if we have any

        Args:
            code, text: of the reply (text: str, without the login)
            is_by_token: the login was by OAuth (bool)

        Returns:
            tuple (code, text); the relay's words are short enough for both
    """

    advice = advice_on_login(text, is_by_token) if code // 100 == 5 else ""
    return code, text[:MAX_WORDS] + advice

# -----------------------------------------------------------------------------
def no_mechanism(connection):
    """ The error if no mechanism is possible """

    offered = connection.esmtp_features.get("auth", "").split()
    text = "The server offers no login that is possible here"
    return smtplib.SMTPNotSupportedError("%s, but %s" % (text, " ".join(offered)) if offered
                                         else text)

# -----------------------------------------------------------------------------
def is_local(connection):
    """ Whether the relay is on this machine, so that nothing goes over a network """

    try:
        return ipaddress.ip_address(connection.sock.getpeername()[0]).is_loopback
    except (OSError, ValueError, AttributeError):
        return False

# -----------------------------------------------------------------------------
def usable(connection, mechanisms):
    """
        The mechanisms that both sides can do

        Args:
            connection: the Connection, after EHLO
            mechanisms: classes of Mechanism, the best one first

        Returns:
            list of them
    """

    offered = connection.esmtp_features.get("auth", "").upper().split()
    return [each for each in mechanisms if each.name in offered and each.is_possible()]

# -----------------------------------------------------------------------------
def attempt(connection, mechanism):
    """
        One attempt to log in

        Args:
            connection: the Connection, after EHLO
            mechanism: the Mechanism

        Returns:
            tuple (code, text) of the last reply

        Raises:
            ValueError: a challenge has no answer; the attempt is cancelled
            smtplib.SMTPException, OSError: as login()
    """

    initial = mechanism.initial()
    line = "%s %s" % (mechanism.name, encoded(initial or b""))
    if initial is None or len("AUTH %s\r\n" % line) > MAX_LINE_BYTES:
        # Too long for one command: it is the answer to an empty challenge
        # (RFC 4954 section 4)
        reply = connection.docmd("AUTH", mechanism.name)
        if reply[0] == 334 and initial is not None:
            reply = connection.docmd(encoded(initial))
    else:
        reply = connection.docmd("AUTH", line)
    while reply[0] == 334:
        try:
            answer = mechanism.answer(decoded(reply[1]))
        except ValueError:
            # RFC 4954 section 4: cancel, before another mechanism is tried
            connection.docmd("*")
            raise
        reply = connection.docmd(encoded(answer))
    if reply[0] == 235 and not mechanism.is_settled:
        raise smtplib.SMTPException("The server does not prove that it knows the password: it "
                                    "may be another one (%s)" % mechanism.name)
    return reply

# -----------------------------------------------------------------------------
def encoded(answer):
    """ Bytes as AUTH sends them (str) """

    return b64encode(answer).decode("ascii")

# -----------------------------------------------------------------------------
def decoded(challenge):
    """ A challenge, decoded (bytes); empty if it is not base64 """

    try:
        return b64decode(challenge)
    except ValueError:
        return b""

# END =========================================================================
