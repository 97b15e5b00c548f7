# -*- coding: utf-8 -*-

"""
    The mechanism SCRAM-SHA-256

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import hashlib
import hmac
import os
import smtplib
import stringprep
import unicodedata

from base64 import b64decode, b64encode

from .mechanisms import Mechanism, saslname

__all__ = ("ScramSHA256",)

# =============================================================================
class ScramSHA256(Mechanism):
    """
        SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding: the relay
        does not see the password, and has to prove that it knows it
    """

    name = "SCRAM-SHA-256"
    needs_stored_password = True
    is_settled = False # until the relay has proven itself

    # RFC 7677 section 4 asks for 4096; more than the other takes seconds
    MIN_ITERATIONS, MAX_ITERATIONS = 4096, 1000000

    GS2_HEADER = "n,," # RFC 5802 section 7: no channel binding, no other identity

    def __init__(self, user, password, nonce=None):
        """
            Args:
                user, password: str
                nonce: printable ASCII without a comma (str); None = a random one
        """

        super().__init__(saslprep(user), saslprep(password))
        self.nonce = nonce or b64encode(os.urandom(18)).decode("ascii")
        self.first = "n=%s,r=%s" % (saslname(self.user), self.nonce)
        self.signature = None # that the relay has to give

    # -------------------------------------------------------------------------
    def initial(self):

        return (self.GS2_HEADER + self.first).encode("utf-8")

    # -------------------------------------------------------------------------
    def answer(self, challenge):

        text = challenge.decode("utf-8")
        if self.is_settled:
            return super().answer(challenge)
        values = dict(part.split("=", 1) for part in text.split(","))
        if self.signature is None:
            return self._proof(text, values)
        if "e" in values:
            # An error; the refusal follows
            return b""
        if values.get("v") != b64encode(self.signature).decode("ascii"):
            # RFC 5802 section 5: the client must end it
            raise smtplib.SMTPException("The server does not know the password: it is "
                                        "not the right server")
        self.is_settled = True
        return b""

    # -------------------------------------------------------------------------
    def _proof(self, text, values):
        """ The client-final-message (RFC 5802 section 7) to a server-first-message """

        try:
            nonce, salt = values["r"], b64decode(values["s"], validate=True)
            iterations = int(values["i"])
        except KeyError:
            raise ValueError("Not a challenge of SCRAM") from None
        if "m" in values or not nonce.startswith(self.nonce) or nonce == self.nonce or \
           not self.MIN_ITERATIONS <= iterations <= self.MAX_ITERATIONS:
            raise ValueError("Not an acceptable challenge of SCRAM")

        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode("utf-8"), salt, iterations)
        client_key, server_key = digest(salted, b"Client Key"), digest(salted, b"Server Key")
        final = "c=%s,r=%s" % (b64encode(self.GS2_HEADER.encode("ascii")).decode("ascii"), nonce)
        exchanged = ",".join((self.first, text, final)).encode("utf-8")
        self.signature = digest(server_key, exchanged)
        signature = digest(hashlib.sha256(client_key).digest(), exchanged)
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        return ("%s,p=%s" % (final, b64encode(proof).decode("ascii"))).encode("utf-8")

# -----------------------------------------------------------------------------
def digest(key, message):
    """ HMAC with SHA-256 (key, message, result: bytes) """

    return hmac.new(key, message, "sha256").digest()

# -----------------------------------------------------------------------------
def saslprep(text):
    """
        Prepare a user or password for comparison (RFC 4013 sections 2.1 and
        2.2); what it prohibits is left to the relay to refuse

        Args:
            text: str

        Returns:
            str
    """

    mapped = (" " if stringprep.in_table_c12(char) else char for char in text
              if not stringprep.in_table_b1(char))
    return unicodedata.normalize("NFKC", "".join(mapped))

# END =========================================================================
