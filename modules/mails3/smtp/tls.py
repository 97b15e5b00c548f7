# -*- coding: utf-8 -*-

"""
    TLS with the relay: what the site has set, and what the errors of OpenSSL mean

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import os
import re
import ssl

from dataclasses import dataclass
from functools import lru_cache
from typing import Optional, Tuple

from ..replies import ConfigurationFailure
from .certificate import read_pin

__all__ = ("NO", "TLS", "WARN", "YES", "tls_error", "with_tls_hint")

# The setting verify_tls
WARN = "warn" # mail goes to an unverified relay as well, and the admin is told
YES = "yes"   # it does not
NO = "no"     # nothing is verified

# The setting tls_min
VERSIONS = {"1.0": ssl.TLSVersion.TLSv1,
            "1.1": ssl.TLSVersion.TLSv1_1,
            "1.2": ssl.TLSVersion.TLSv1_2,
            "1.3": ssl.TLSVersion.TLSv1_3,
            }

# OpenSSL 3 uses TLS before 1.2 at its lowest security level only
OLD_CIPHERS = "DEFAULT:@SECLEVEL=0"

# OpenSSL's reasons for which a person can do something, in words
PLAIN_PORT = "This port does not speak TLS from its first byte: set mail.settings.ssl = False " \
             "and mail.settings.tls = True"
TOO_OLD = "The mail server speaks no version of TLS that is allowed here (tls_min)"
NOTHING_IN_COMMON = "The mail server and this machine have no kind of encryption in common"
REASONS = {"WRONG_VERSION_NUMBER": PLAIN_PORT,
           "UNKNOWN_PROTOCOL": PLAIN_PORT,
           "RECORD_LAYER_FAILURE": PLAIN_PORT,
           "PACKET_LENGTH_TOO_LONG": PLAIN_PORT,
           "HTTP_REQUEST": PLAIN_PORT,
           "UNSUPPORTED_PROTOCOL": TOO_OLD,
           "NO_PROTOCOLS_AVAILABLE": TOO_OLD,
           "VERSION_TOO_LOW": TOO_OLD,
           "TLSV1_ALERT_PROTOCOL_VERSION": TOO_OLD,
           "NO_SHARED_CIPHER": NOTHING_IN_COMMON,
           "SSLV3_ALERT_HANDSHAKE_FAILURE": NOTHING_IN_COMMON,
           "TLSV1_ALERT_INSUFFICIENT_SECURITY": NOTHING_IN_COMMON,
           "DH_KEY_TOO_SMALL": "The mail server's key exchange is too weak (DH_KEY_TOO_SMALL)",
           "TLSV1_UNRECOGNIZED_NAME": "The mail server does not know itself by this name "
                                      "(mail.settings.server)",
           }

# Refusals without TLS (RFC 3207 4, RFC 4954 6, RFC 5248 2.4; Mimecast has 553), with the
# words of such a refusal
CODES_WITHOUT_TLS = (523, 530, 538, 553)
WANTS_TLS = re.compile(r"starttls|encrypt|\b(tls|ssl)\b", re.IGNORECASE)

# =============================================================================
@dataclass(frozen = True)
class TLS:
    """ What the site has set about TLS, beside whether there is any (see Server) """

    verify: str = WARN           # WARN, YES or NO
    cafile: Optional[str] = None # certificates of the authorities, PEM; None = the system's
    pins: Tuple[str, ...] = ()   # fingerprints (see read_pin()), the relay has one; () = any
    oldest: str = "1.2"          # version of TLS

    # -------------------------------------------------------------------------
    @classmethod
    def read(cls, options):
        """
            Read the settings

            Args:
                options: see settings.py: verify_tls, cafile, tls_fingerprint, tls_min

            Returns:
                the TLS

            Raises:
                ConfigurationFailure: a fingerprint is malformed; to go on without it
                                      would be to trust any relay
        """

        try:
            pins = tuple(read_pin(text) for text in options.tls_fingerprint.split(",")
                         if text.strip())
        except ValueError:
            raise ConfigurationFailure("tls_fingerprint is not a SHA-256 fingerprint of 64 "
                                       "hexadecimal digits") from None
        return cls(options.verify_tls, options.cafile or None, pins, options.tls_min)

    # -------------------------------------------------------------------------
    def context(self, verified):
        """
            What Python needs for a handshake

            Args:
                verified: the handshake fails if the relay's certificate can't be
                          verified (bool)

            Returns:
                the SSLContext, shared by all sessions of this process

            Raises:
                ConfigurationFailure: the certificates of the authorities are not readable
        """

        if not verified:
            return context_of(self.oldest)
        try:
            # A file that has changed is read again
            changed = os.stat(self.cafile).st_mtime_ns if self.cafile else None
            return context_of(self.oldest, True, self.cafile, changed)
        except OSError as error:
            raise ConfigurationFailure("Certificates of the authorities are not readable: %s (%s)" %
                                       (self.cafile, error.strerror or "no PEM")) from None

# -----------------------------------------------------------------------------
@lru_cache(maxsize=16)
def context_of(oldest, verified=False, cafile=None, changed=None):
    """
        Make an SSLContext; kept, as it takes 40 ms to read the system's authorities

        Args:
            oldest: version of TLS (str)
            verified, cafile: see TLS
            changed: when the cafile was changed; None = there is no cafile

        Raises:
            OSError: the cafile is not readable
    """

    # Not create_default_context(): from Python 3.13 on, that is stricter about the
    # certificates of private authorities than OpenSSL and other mail programs
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = VERSIONS[oldest]
    if oldest < "1.2":
        context.set_ciphers(OLD_CIPHERS)
    if not verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif cafile:
        # Also one that is not the root, or the relay's own certificate
        context.verify_flags |= getattr(ssl, "VERIFY_X509_PARTIAL_CHAIN", 0)
        context.load_verify_locations(cafile)
    else:
        context.load_default_certs()
    return context

# -----------------------------------------------------------------------------
def tls_error(error):
    """ What an error of a handshake (ssl.SSLError) means, in words """

    if isinstance(error, ssl.SSLCertVerificationError):
        return "The certificate is not verified (%s)" % error.verify_message
    return REASONS.get(error.reason) or "TLS impossible (%s)" % (error.reason or "?")

# -----------------------------------------------------------------------------
def with_tls_hint(code, text):
    """
        The words of a relay to which we do not speak TLS

        Args:
            code: the code of its reply (int)
            text: its words (str)

        Returns:
            the words; with the setting to change if the relay wants TLS
    """

    if code in CODES_WITHOUT_TLS and WANTS_TLS.search(text):
        return "%s (set mail.settings.tls = True)" % text
    return text

# END =========================================================================
