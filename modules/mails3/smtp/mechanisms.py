# -*- coding: utf-8 -*-

"""
    The mechanisms of a login (SASL, RFC 4422), one class each: what we say and
    what we make of the relay's challenges, without a connection. SCRAM-SHA-256
    is in scram.py.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import hmac
import json

from .redaction import redacted
from ..states import one_line

__all__ = ("CramMD5", "Login", "Mechanism", "OAuthBearer", "Plain", "XOAuth2", "saslname")

# How much of the relay's words about a token is kept (characters of each)
MAX_DETAIL = 100

# =============================================================================
class Mechanism:
    """
        One login by one mechanism

        To begin, initial() is sent; each challenge gets an answer(). After the
        relay's consent, is_settled tells whether it may be believed.
    """

    name = None            # as EHLO and AUTH have it
    shows_password = False # a reader of the connection then has the password
    # The relay must have stored the password for this mechanism; some offer it
    # all the same
    needs_stored_password = False
    is_settled = True
    told = ""              # what the relay has told in a challenge about the refusal

    def __init__(self, user, password):
        """
            Args:
                user, password: str
        """

        self.user = user
        self.password = password

    # -------------------------------------------------------------------------
    @classmethod
    def is_possible(cls):
        """ Whether this host can do it """

        return True

    # -------------------------------------------------------------------------
    def initial(self):
        """ What we say first (bytes); None = the relay speaks first """

        return None

    # -------------------------------------------------------------------------
    def answer(self, challenge):
        """
            Answer a challenge

            Args:
                challenge: bytes; empty if it is not base64

            Returns:
                the answer (bytes)

            Raises:
                ValueError: this challenge has no answer
                smtplib.SMTPException: the relay is not the one that we know
        """

        raise ValueError("A challenge too many")

# =============================================================================
class Plain(Mechanism):
    """ PLAIN (RFC 4616) """

    name = "PLAIN"
    shows_password = True

    def initial(self):

        return ("\0%s\0%s" % (self.user, self.password)).encode("utf-8")

# =============================================================================
class Login(Mechanism):
    """ LOGIN: no RFC has it, but all servers do """

    name = "LOGIN"
    shows_password = True

    def __init__(self, user, password):

        super().__init__(user, password)
        self.parts = [user, password]

    # -------------------------------------------------------------------------
    def answer(self, challenge):

        # What the challenges say differs from server to server
        return self.parts.pop(0).encode("utf-8") if self.parts else super().answer(challenge)

# =============================================================================
class CramMD5(Mechanism):
    """ CRAM-MD5 (RFC 2195) """

    name = "CRAM-MD5"
    needs_stored_password = True

    # -------------------------------------------------------------------------
    @classmethod
    def is_possible(cls):
        """ Not on a host without MD5 (FIPS 140) """

        try:
            hmac.new(b"", b"", "md5")
        except ValueError:
            return False
        return True

    # -------------------------------------------------------------------------
    def answer(self, challenge):

        if not challenge:
            raise ValueError("No challenge")
        digest = hmac.new(self.password.encode("utf-8"), challenge, "md5").hexdigest()
        return ("%s %s" % (self.user, digest)).encode("utf-8")

# =============================================================================
class TokenMechanism(Mechanism):
    """ A login by an OAuth 2.0 access token """

    shows_password = True
    # What to answer to the relay's words about a token that it refuses
    RECEIPT = b""

    def __init__(self, user, token, host="", port=0):
        """
            Args:
                user: the mailbox (str)
                token: the access token (str)
                host, port: of the relay
        """

        super().__init__(user, token)
        self.host = host
        self.port = port
        self.is_given = False

    # -------------------------------------------------------------------------
    def answer(self, challenge):

        if self.told:
            return super().answer(challenge)
        # RFC 7628 section 3.2.2; Google and Microsoft have the same names for XOAUTH2
        try:
            words = json.loads(challenge)
            told = ["%s %s" % (name, self.without_token(one_line(str(words[name])))[:MAX_DETAIL])
                    for name in ("status", "scope") if words.get(name)]
        except (ValueError, AttributeError, RecursionError):
            told = []
        self.told = ", ".join(told) or "the token is refused"
        return self.RECEIPT

    # -------------------------------------------------------------------------
    def without_token(self, text):
        """ The relay's words without the token (str): whole words, not cut yet """

        return redacted(text, (self.password,), (self.initial().decode("utf-8"),))

# =============================================================================
class XOAuth2(TokenMechanism):
    """ XOAUTH2 (developers.google.com/gmail/imap/xoauth2-protocol) """

    name = "XOAUTH2"

    def initial(self):

        return ("user=%s\1auth=Bearer %s\1\1" % (self.user, self.password)).encode("utf-8")

# =============================================================================
class OAuthBearer(TokenMechanism):
    """ OAUTHBEARER (RFC 7628) """

    name = "OAUTHBEARER"
    RECEIPT = b"\1" # section 3.2.3

    def initial(self):

        return ("n,a=%s,\1host=%s\1port=%s\1auth=Bearer %s\1\1" %
                (saslname(self.user), self.host, self.port, self.password)).encode("utf-8")

# -----------------------------------------------------------------------------
def saslname(text):
    """ A user as a part of a message (RFC 5802 section 5.1) """

    return text.replace("=", "=3D").replace(",", "=2C")

# END =========================================================================
