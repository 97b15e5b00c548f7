# -*- coding: utf-8 -*-

"""
    Whether the relay is the one that the site means: its certificate, verified or
    compared with a pin

    Python does not give away the certificate of a handshake that has failed. So what is
    wrong with it is known only after a second connection, without verification; this
    process then remembers that, for the next sessions.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import time

from dataclasses import dataclass
from typing import Optional

from ..clock import utcnow
from ..replies import ConfigurationFailure
from .certificate import Certificate
from .tls import NO, WARN, YES

__all__ = ("Finding", "Verification", "forget")

# OpenSSL's codes (x509_vfy.h): those with words of their own, and all others
NOT_YET_VALID, EXPIRED, OTHER_HOST, OTHER_ADDRESS = 9, 10, 62, 64
UNKNOWN = "its authority is not known here"
REASONS = {2: UNKNOWN, 19: UNKNOWN, 20: UNKNOWN, 21: UNKNOWN,
           18: "it is self-signed",
           23: "it has been revoked",
           66: "its key is too short to be safe",
           67: "the key of its authority is too short to be safe",
           68: "it is signed by a method that is not safe any more",
           }

# Why certificates were not verified: {(host, port, TLS): (since when, {fingerprint: reason})};
# shared by the sessions of this process
REMEMBERED = {}

# The authorities that the machine knows may change (seconds)
REMEMBER_S = 3600

# What to do about a certificate that is not verified, by verify_tls
WAY_OUT = {WARN: "set tls_fingerprint to that; or have it repaired, and set verify_tls = yes (with "
                 "cafile, if its authority is a private one)",
           YES: "set tls_fingerprint to that; or have it repaired; or set cafile, if its authority "
                "is a private one",
           }

# How many names of a certificate are told, and how much of a reason (characters, as stored)
MAX_NAMES = 3
MAX_REASON = 200

# =============================================================================
@dataclass(frozen = True)
class Finding:
    """ What a session has found out about the relay's certificate """

    certificate: Certificate
    reason: Optional[str] = None # why it is not verified; None = it is
    is_pinned: bool = False
    is_wanted: bool = True       # the site wants it to be verified
    address: Optional[str] = None # of the machine that has shown it; a name may have several

    # -------------------------------------------------------------------------
    @property
    def is_told(self):
        """ Whether the admin is to be told """

        return self.reason is not None and self.is_wanted

    # -------------------------------------------------------------------------
    @property
    def text(self):
        """ Why it is not verified, whose certificate it is, and what to do """

        if self.reason is None:
            return str(self.certificate)
        if not self.is_wanted:
            return "%s (%s)" % (self.reason, self.certificate)
        return told(self.reason, self.certificate, WAY_OUT[WARN])

    # -------------------------------------------------------------------------
    def __str__(self):

        return "%s: %s" % ("not verified" if self.reason is not None else
                           "pinned" if self.is_pinned else "verified", self.text)

# =============================================================================
class Verification:
    """ Of the relay's certificate, for one session; may take two connections """

    def __init__(self, server, clock=time.monotonic):
        """
            Args:
                server: the Server
                clock: tells the time (seconds)
        """

        self.server = server
        self.tls = tls = server.tls
        self.key = server.host, server.port, tls
        self.since, self.known = REMEMBERED.get(self.key, (clock(), {}))
        if clock() - self.since > REMEMBER_S:
            self.since, self.known = clock(), {}

        # Nobody can pretend to be this machine itself
        self.is_wanted = not (tls.pins or tls.verify == NO or
                              tls.verify == WARN and server.is_local)
        self.refusal = None # tuple (code, words) of OpenSSL: the handshake has failed for that
        self.is_verified = False # by the handshake, once it is done

    # -------------------------------------------------------------------------
    def context(self):
        """ The SSLContext for the next connection; raises ConfigurationFailure """

        self.is_verified = self.is_wanted and not self.refusal and \
            not (self.known and self.tls.verify == WARN)
        try:
            return self.tls.context(self.is_verified)
        except ConfigurationFailure as failure:
            if self.tls.verify == YES:
                raise
            self.is_verified, self.refusal = False, (None, one_sentence(failure))
            return self.tls.context(False)

    # -------------------------------------------------------------------------
    def note_refusal(self, error):
        """ The handshake has failed: use a second connection (error: SSLCertVerificationError) """

        self.refusal = error.verify_code, error.verify_message

    # -------------------------------------------------------------------------
    def judge(self, connection):
        """
            Whether the relay may get the login and mail

            Args:
                connection: the Connection, with TLS

            Returns:
                the Finding; None = nothing was found out: it has another certificate
                than before, which the next session verifies

            Raises:
                ConfigurationFailure: it may not
        """

        certificate = Certificate.read(connection.sock.getpeercert(True) or b"")
        address = connection.peer_address()
        if self.is_verified:
            REMEMBERED.pop(self.key, None)
            return Finding(certificate, address=address)
        if self.tls.pins:
            return self._compare(certificate, address)
        if not self.is_wanted:
            return Finding(certificate, "verify_tls = no" if self.tls.verify == NO else
                           "the mail server is on this machine", is_wanted=False, address=address)
        if self.refusal:
            reason = reason_of(*self.refusal, certificate, self.server.host)
            finding = Finding(certificate, reason, address=address)
            if self.tls.verify == YES:
                raise ConfigurationFailure("not verified: %s" %
                                           told(reason, certificate, WAY_OUT[YES]))
            if self.refusal[0] is not None:
                self._remember(finding)
            return finding
        if certificate.fingerprint in self.known:
            return Finding(certificate, self.known[certificate.fingerprint], address=address)
        REMEMBERED.pop(self.key, None)
        return None

    # -------------------------------------------------------------------------
    def _compare(self, certificate, address):
        """ Compare the certificate with the pins; as judge() """

        if certificate.fingerprint not in self.tls.pins:
            raise ConfigurationFailure(told("not the one of tls_fingerprint", certificate,
                                            "add that to tls_fingerprint"))
        return Finding(certificate, is_pinned=True, address=address)

    # -------------------------------------------------------------------------
    def _remember(self, finding):
        """ Remember why a certificate is not verified """

        known = {**self.known, finding.certificate.fingerprint: finding.reason}
        REMEMBERED[self.key] = self.since, known

# -----------------------------------------------------------------------------
def told(reason, certificate, way_out):
    """
        What people are told about a certificate that is not as it should be
        - what the server says of itself is last, and what to do is not cut off by it,
          also where the text is stored (see states.py)
    """

    while len(reason.encode("ascii", "backslashreplace")) > MAX_REASON:
        reason = reason[:-1]
    return "%s (SHA-256 %s). If it is the right one, %s. It says: %s" % \
           (reason, certificate.fingerprint, way_out, certificate)

# -----------------------------------------------------------------------------
def reason_of(code, words, certificate, host):
    """
        Why a certificate could not be verified

        Args:
            code: OpenSSL's code (int); None = OpenSSL was not asked
            words: OpenSSL's words, or ours (str)
            certificate: the Certificate
            host: for which it should be (str)

        Returns:
            half a sentence (str)
    """

    now, day = utcnow(), "%Y-%m-%d"
    if code is None:
        return words
    if code == EXPIRED:
        if certificate.not_after and certificate.not_after < now:
            return "it has expired on %s" % certificate.not_after.strftime(day)
        return "a certificate of its authority has expired"
    if code == NOT_YET_VALID and certificate.not_before:
        return "it is valid from %s on, and the clock of this machine says %s" % \
               (certificate.not_before.strftime(day), now.strftime(day))
    if code in (OTHER_HOST, OTHER_ADDRESS):
        names = ", ".join(certificate.names[:MAX_NAMES]) or "no host"
        more = " and others" if len(certificate.names) > MAX_NAMES else ""
        return "it is for %s%s, and not for %s" % (names, more, host)
    return REASONS.get(code) or "OpenSSL says: %s" % words

# -----------------------------------------------------------------------------
def forget(server):
    """ Have the certificate of a Server verified anew, by the next session of this process """

    REMEMBERED.pop((server.host, server.port, server.tls), None)

# -----------------------------------------------------------------------------
def one_sentence(failure):
    """ The words of a DeliveryError, to be part of a sentence """

    return failure.text[:1].lower() + failure.text[1:]

# END =========================================================================
