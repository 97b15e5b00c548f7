# -*- coding: utf-8 -*-

"""
    The login (RFC 4954)

    smtplib's own login() does not do: it makes several attempts with the same
    password, after which some relays lock the account; and it can't encode a
    login that is not ASCII (RFC 4616 section 2: UTF-8). A refused login is not tried
    again before it changes: see LoginRefused (replies.py) and delivery/breaker.py.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import hmac
import smtplib

from base64 import b64decode

from .server import in_base64

__all__ = ("login",)

# -----------------------------------------------------------------------------
def login(connection, server):
    """
        Log in, with one attempt
        - a second one is made only after CRAM-MD5, which many relays offer
          although they have no secrets to check it with

        Args:
            connection: the Connection, after EHLO
            server: the Server, with user and password

        Returns:
            tuple (code, text) of the last reply, as smtplib gives it

        Raises:
            smtplib.SMTPNotSupportedError: the relay offers no mechanism that
                                           is possible here
            smtplib.SMTPException, OSError: there is no reply
    """

    offered = connection.esmtp_features.get("auth", "").upper().split()
    possible = [mechanism for name, mechanism in mechanisms(connection) if name in offered]
    for mechanism in possible:
        try:
            reply = mechanism(connection, server)
        except ValueError:
            # This host has no MD5 (FIPS 140), or the challenge is not base64
            continue
        if reply[0] < 400 or mechanism is not auth_cram_md5 or mechanism is possible[-1]:
            return reply
    raise smtplib.SMTPNotSupportedError("The server offers no login that is possible here")

# -----------------------------------------------------------------------------
def mechanisms(connection):
    """
        The mechanisms, the best one first: without TLS, the one that does not
        show the password

        Args:
            connection: the Connection

        Returns:
            list of tuples (name, function)
    """

    plain = [("PLAIN", auth_plain), ("LOGIN", auth_login)]
    cram_md5 = [("CRAM-MD5", auth_cram_md5)]
    return plain + cram_md5 if connection.is_encrypted else cram_md5 + plain

# -----------------------------------------------------------------------------
def auth_plain(connection, server):
    """ AUTH PLAIN (RFC 4616); see login() """

    user_and_password = "\0%s\0%s" % (server.user, server.password)
    return connection.docmd("AUTH", "PLAIN " + in_base64(user_and_password))

# -----------------------------------------------------------------------------
def auth_login(connection, server):
    """ AUTH LOGIN: no RFC has it, but all servers do; see login() """

    reply = connection.docmd("AUTH", "LOGIN")
    for part in (server.user, server.password):
        if reply[0] == 334:
            reply = connection.docmd(in_base64(part))
    return reply

# -----------------------------------------------------------------------------
def auth_cram_md5(connection, server):
    """
        AUTH CRAM-MD5 (RFC 2195); see login()

        Raises:
            ValueError: this host has no MD5, or the challenge is not base64
    """

    # Find out whether there is MD5 before the relay waits for the answer
    hmac.new(b"", b"", "md5")
    reply = connection.docmd("AUTH", "CRAM-MD5")
    if reply[0] == 334:
        try:
            challenge = b64decode(reply[1])
        except ValueError:
            # RFC 4954 section 4: cancel, before another mechanism is tried
            connection.docmd("*")
            raise
        digest = hmac.new(server.password.encode("utf-8"), challenge, "md5").hexdigest()
        reply = connection.docmd(in_base64("%s %s" % (server.user, digest)))
    return reply

# END =========================================================================
