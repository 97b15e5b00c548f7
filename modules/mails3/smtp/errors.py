# -*- coding: utf-8 -*-

"""
    What the errors of smtplib and of the socket mean

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import smtplib
import ssl

from ..replies import MESSAGE_PHASES, ConfigurationFailure, InternalFailure
from .tls import tls_error

__all__ = ("ERRORS", "translated")

# What smtplib and the socket raise, as translated() takes it
ERRORS = (smtplib.SMTPException, OSError, ValueError)

# -----------------------------------------------------------------------------
def translated(phase, error):
    """
        Translate an error of smtplib or of the socket

        Args:
            phase: the phase of the dialogue
            error: one of the ERRORS

        Returns:
            tuple (code, text, kind): the relay's code, None = it did not
            answer; text (str or bytes); class of the DeliveryError, None =
            classify() decides
    """

    name = type(error).__name__
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code, error.smtp_error, None
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return None, str(error), None
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return None, "Connection closed", None
    if isinstance(error, ssl.SSLError):
        if phase in MESSAGE_PHASES:
            # TLS has worked until now: the relay has broken off
            return None, "TLS broken off (%s)" % (error.reason or "?"), None
        # Certificate or protocol version: only a person can repair that
        return None, tls_error(error), ConfigurationFailure
    if isinstance(error, smtplib.SMTPException):
        # The relay does not offer an extension that is needed
        return None, str(error), ConfigurationFailure
    if isinstance(error, OSError) and "handshake" in str(error):
        return None, "The TLS handshake timed out", None
    if isinstance(error, OSError):
        return None, error.strerror or str(error) or name, None
    # ValueError: the text can't be encoded or decoded; the configuration is
    # wrong, or this code
    return None, "not possible (%s)" % name, \
        InternalFailure if phase in MESSAGE_PHASES else ConfigurationFailure

# END =========================================================================
