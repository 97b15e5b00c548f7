# -*- coding: utf-8 -*-

"""
    How a relay and which sender are configured, at the time of sending

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from hashlib import sha256

from ..message.address import NULL_PATH, BadInput, read_mailbox
from ..oauth.configuration import OAuth
from ..replies import ConfigurationFailure
from ..smtp.server import Server
from ..smtp.tls import TLS

__all__ = ("Configuration", "is_native")

# Mail.send delivers by itself if settings.server is one of these
NATIVE = ("logging", "gae", "aws")

# -----------------------------------------------------------------------------
def is_native(settings):
    """ Whether Mail.send delivers by itself with these settings of a Mail object """

    return str(settings.server).partition(":")[0] in NATIVE

# =============================================================================
class Configuration:
    """ The mail configuration of an app for one relay, read anew each time """

    def __init__(self, mail, relay_settings=None):
        """
            Args:
                mail: the MailS3
                relay_settings: those of a further relay (see settings.py); None
                                = the first one, with those of web2py's Mail
        """

        self.mail = mail
        self.is_first = relay_settings is None
        self.settings = mail.settings if self.is_first else relay_settings
        self.options = relay_settings or mail.options

    # -------------------------------------------------------------------------
    def server(self):
        """ The Server; raises ConfigurationFailure if none is configured, or not well """

        if self.options.mistake:
            raise ConfigurationFailure(self.options.mistake)
        return Server.read(self.settings, TLS.read(self.options), OAuth.read(self.options),
                           self.options.ehlo_name)

    # -------------------------------------------------------------------------
    def is_native(self):
        """ Whether Mail.send delivers by itself """

        return self.is_first and is_native(self.settings) and not self.options.mistake

    # -------------------------------------------------------------------------
    def sender_of(self, message):
        """
            The sender of a message

            Args:
                message: the Message

            Returns:
                the Mailbox for its header: its own sender, else the configured one

            Raises:
                ConfigurationFailure: it is missing, or is not an address
        """

        sender = message.sender
        if not sender or sender == NULL_PATH:
            sender = self.mail.configured("sender")
        if not sender:
            raise ConfigurationFailure("No sender configured")
        try:
            return read_mailbox(sender)
        except BadInput:
            raise ConfigurationFailure("The configured sender is no address") from None

    # -------------------------------------------------------------------------
    def is_own_sender(self, message):
        """ Whether the sender of a message is the configured one """

        if message.sender is None:
            return True
        if message.sender == NULL_PATH:
            return False
        try:
            return read_mailbox(self.mail.configured("sender")).address == \
                self.sender_of(message).address
        except BadInput:
            return False

    # -------------------------------------------------------------------------
    def relay_name(self):
        """ The address of the relay (str), with a hash of the login, which has its own limits """

        server = self._any_server()
        login = "" if server.user is None else sha256(server.user.encode("utf-8")).hexdigest()
        return ("%s %s" % (server.address, login[:8])).strip()

    # -------------------------------------------------------------------------
    def fingerprint(self, salt):
        """ Tell this configuration from another (see Server.fingerprint) """

        return self._any_server().fingerprint(self.mail.configured("sender"), salt)

    # -------------------------------------------------------------------------
    def login_fingerprint(self, salt):
        """ Tell this login from another (see Server.login_fingerprint); None without one """

        return self._any_server().login_fingerprint(salt)

    # -------------------------------------------------------------------------
    def _any_server(self):
        """ The Server; without one, a Server that tells what is wrong """

        try:
            return self.server()
        except ConfigurationFailure as failure:
            return Server(str(failure), 0)

# END =========================================================================
