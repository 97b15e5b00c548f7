# -*- coding: utf-8 -*-

"""
    The phases of the dialogue with the relay (RFC 5321 section 3)

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

__all__ = ("CONNECT", "EHLO", "STARTTLS", "CERTIFICATE", "AUTH", "MAIL", "RCPT", "DATA", "BODY",
           "MESSAGE_PHASES", "TOKEN")

CONNECT, EHLO, STARTTLS, CERTIFICATE, AUTH, MAIL, RCPT, DATA, BODY = \
    "connect", "EHLO", "STARTTLS", "certificate", "AUTH", "MAIL", "RCPT", "DATA", "end of data"

# Before them, where the login is by OAuth 2.0: the token is had, from somebody else
TOKEN = "token"

# The phases that deal with one message: a refusal there may be meant for that
# message alone
MESSAGE_PHASES = (MAIL, RCPT, DATA, BODY)

# END =========================================================================
