# -*- coding: utf-8 -*-

"""
    The relay as configured: how to reach it, how to recognise a change of the
    configuration, how to keep the login out of texts

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import hashlib
import re

from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Optional

from ..oauth.configuration import OAuth
from ..replies import ConfigurationFailure
from .redaction import redacted
from .tls import TLS, YES

__all__ = ("Server",)

LOOPBACK = re.compile(r"localhost|127\.[\d.]+|::1", re.IGNORECASE)

# =============================================================================
@dataclass(frozen = True)
class Server:
    """ How to reach the relay: the settings of a Mail object, read """

    host: str
    port: int
    starttls: bool = False
    ssl: bool = False
    user: Optional[str] = None     # None = no login
    password: Optional[str] = field(default = None, repr = False)
    hostname: Optional[str] = None # our own name, for EHLO; None = this machine's
    tls: TLS = TLS()               # how to encrypt, where we do
    oauth: Optional[OAuth] = None  # log in by a token, in place of the password

    # -------------------------------------------------------------------------
    @classmethod
    def read(cls, settings, tls=TLS(), oauth=None, ehlo_name=None):
        """
            Read mail.settings (gluon/tools.py, class Mail)

            Args:
                settings: the settings of a Mail object
                tls: the TLS
                oauth: the OAuth; None = log in by password, or not at all
                ehlo_name: our own name, where the settings have no hostname (str)

            Returns:
                the Server

            Raises:
                ConfigurationFailure: there is no server, or it is not "host:port" ("host"
                                      may be an IPv6 address, with brackets if there is a
                                      port), or the login is not "user:password"; with
                                      OAuth, there is no user
        """

        address = settings.server
        if not address or not isinstance(address, str):
            raise ConfigurationFailure("No mail server configured")

        host, colon, port = address.rpartition(":")
        if not colon or "]" in port or is_ipv6(address):
            host, port = address, ""
        if port and not port.isdigit():
            raise ConfigurationFailure("Mail server is not host:port")

        user = password = None
        if settings.login:
            user, colon, password = str(settings.login).partition(":")
            if not colon and not oauth:
                raise ConfigurationFailure("Mail login is not user:password")
        if oauth:
            user, password = oauth.user or user, None
            if not user:
                raise ConfigurationFailure("Setting oauth_user is missing, and Mail has no login")

        host, over_ssl = host.strip("[]"), bool(settings.ssl)
        # Who wants to see a certificate wants TLS; see is_local
        wants_certificate = tls.pins or tls.verify == YES and not LOOPBACK.fullmatch(host)
        return cls(host = host,
                   # RFC 8314 section 7.3 and RFC 5321 section 4.5.4.2
                   port = int(port) if port else (465 if over_ssl else 25),
                   starttls = bool(settings.tls or wants_certificate) and not over_ssl,
                   ssl = over_ssl,
                   user = user,
                   password = password,
                   hostname = settings.hostname or ehlo_name or None,
                   tls = tls,
                   oauth = oauth,
                   )

    # -------------------------------------------------------------------------
    @property
    def address(self):
        """ Host and port for people, and as read() takes them (str) """

        return "%s:%s" % ("[%s]" % self.host if ":" in self.host else self.host, self.port)

    # -------------------------------------------------------------------------
    @property
    def is_local(self):
        """ Whether the relay is this machine: nobody is on the way to it """

        return LOOPBACK.fullmatch(self.host) is not None

    # -------------------------------------------------------------------------
    def wants_starttls(self, is_offered):
        """
            Whether to use STARTTLS (RFC 3207)
            - a login uses it wherever the relay offers it, without being told

            Args:
                is_offered: the relay offers STARTTLS (bool)

            Raises:
                ConfigurationFailure: the site wants to know who gets its login and
                                      mail, and the relay can't show that
        """

        if self.ssl:
            return False
        if not is_offered and self.tls.verify == YES and not self.is_local:
            raise ConfigurationFailure("The mail server offers no STARTTLS: with verify_tls = yes, "
                                       "it gets neither login nor mail")
        return self.starttls or self.user is not None and is_offered

    # -------------------------------------------------------------------------
    def fingerprint(self, sender, salt):
        """
            Tell this configuration from another, without giving it away

            Args:
                sender: the configured sender (str)
                salt: a random text (str, ASCII)

            Returns:
                a hex text; equal for equal configurations
        """

        return digest((self.host, self.port, self.starttls, self.ssl, self.hostname,
                       self.user, self.password, self.tls, sender,
                       self.oauth and self.oauth.identity()), salt)

    # -------------------------------------------------------------------------
    def login_fingerprint(self, salt):
        """
            Tell this login from another
            - without settings in which two machines of one site may differ,
              as their hostname: else each would try a refused login again

            Args:
                salt: a random text (str, ASCII)

            Returns:
                a hex text, None if there is no login
        """

        if self.user is None:
            return None
        return digest((self.host, self.port, self.starttls, self.ssl, self.user,
                       self.password, self.oauth and self.oauth.identity()), salt)

    # -------------------------------------------------------------------------
    def without_login(self, text):
        """
            Replace the login in a reply by asterisks: some relays repeat the
            login, or the command in which it was sent (in base64: RFC 4616,
            AUTH LOGIN)

            Args:
                text: the relay's words (str)

            Returns:
                the text without user and password (str)
        """

        user, password = self.user or "", self.password or ""
        return redacted(text, (password, user), (user, password, "\0%s\0%s" % (user, password)))

# -----------------------------------------------------------------------------
def is_ipv6(text):
    """ Whether a text is an IPv6 address, without brackets """

    try:
        return bool(IPv6Address(text))
    except ValueError:
        return False

# -----------------------------------------------------------------------------
def digest(values, salt):
    """ A hash of settings; slow on purpose, because a login may be easy to guess """

    return hashlib.pbkdf2_hmac("sha256", repr(values).encode("utf-8"),
                               salt.encode("ascii"), 20000).hex()

# END =========================================================================
