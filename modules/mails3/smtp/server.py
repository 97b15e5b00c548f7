# -*- coding: utf-8 -*-

"""
    The relay as configured: how to reach it, how to recognise a change of the
    configuration, how to keep the login out of texts

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import hashlib
import re
import ssl

from base64 import b64encode
from dataclasses import dataclass, field
from typing import Optional

from ..replies import ConfigurationFailure

__all__ = ("Server", "in_base64")

# A text that may be a login, or a part of one, as AUTH sends it
BASE64 = re.compile(r"[A-Za-z0-9+/]{6,}={0,2}")

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
    verify: bool = False           # verify the relay's certificate
    cafile: Optional[str] = None   # certificates of the authorities, PEM; None = the system's

    # -------------------------------------------------------------------------
    @classmethod
    def read(cls, settings, verify=False, cafile=None):
        """
            Read mail.settings (gluon/tools.py, class Mail)

            Args:
                settings: the settings of a Mail object
                verify: verify the relay's certificate (bool)
                cafile: path of the certificates of the authorities (str);
                        None = the system's

            Returns:
                the Server

            Raises:
                ConfigurationFailure: there is no server, or it is not "host:port", or
                                      the login is not "user:password"
        """

        address = settings.server
        if not address or not isinstance(address, str):
            raise ConfigurationFailure("No mail server configured")

        host, colon, port = address.rpartition(":")
        if not colon or "]" in port:
            host, port = address, ""
        if port and not port.isdigit():
            raise ConfigurationFailure("Mail server is not host:port")

        user = password = None
        if settings.login:
            user, colon, password = str(settings.login).partition(":")
            if not colon:
                raise ConfigurationFailure("Mail login is not user:password")

        over_ssl = bool(settings.ssl)
        return cls(host = host.strip("[]"),
                   # RFC 8314 section 7.3 and RFC 5321 section 4.5.4.2
                   port = int(port) if port else (465 if over_ssl else 25),
                   starttls = bool(settings.tls) and not over_ssl,
                   ssl = over_ssl,
                   user = user,
                   password = password,
                   hostname = settings.hostname or None,
                   verify = verify,
                   cafile = cafile,
                   )

    # -------------------------------------------------------------------------
    def tls_context(self):
        """
            The TLS context; without verification, as in Mail.send, unless set

            Returns:
                the SSLContext, None if there is no TLS

            Raises:
                ConfigurationFailure: the certificates of the authorities are
                                      not readable
        """

        if not (self.ssl or self.starttls):
            return None
        if self.verify:
            try:
                return ssl.create_default_context(cafile=self.cafile)
            except OSError:
                raise ConfigurationFailure("Certificates of the authorities not readable") \
                      from None
        # No create_default_context() here: it takes long to read the authorities
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

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
                       self.user, self.password, self.verify, self.cafile, sender), salt)

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
                       self.password), salt)

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
        sent = " ".join(in_base64(part) for part in
                        (user, password, "\0%s\0%s" % (user, password)))
        text = BASE64.sub(lambda found: "***" if found.group() in sent else found.group(),
                          text)
        for secret in (password, user):
            text = text.replace(secret, "***") if secret else text
        return text

# -----------------------------------------------------------------------------
def digest(values, salt):
    """ A hash of settings; slow on purpose, because a login may be easy to guess """

    return hashlib.pbkdf2_hmac("sha256", repr(values).encode("utf-8"),
                               salt.encode("ascii"), 20000).hex()

# -----------------------------------------------------------------------------
def in_base64(text):
    """ A text as AUTH sends it: base64 of UTF-8 """

    return b64encode(text.encode("utf-8")).decode("ascii")

# END =========================================================================
