# -*- coding: utf-8 -*-

"""
    To open a connection with the relay: smtplib's methods, which block

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import smtplib
import ssl

from .errors import ERRORS, translated
from .login import login, login_by_token
from .verification import Verification
from .wire import connect
from ..oauth.token_cache import TOKENS
from ..phases import AUTH, CERTIFICATE, CONNECT, EHLO, STARTTLS, TOKEN
from ..replies import ConfigurationFailure, Reply, classify

__all__ = ("Opening",)

# Ports where TLS begins with the first byte (RFC 8314 7.3; Amazon SES)
TLS_PORTS = (465, 2465)

# How long a relay may be silent there. Without TLS, both sides wait for the other one (seconds)
SILENCE_S = 3

# =============================================================================
class Opening:
    """ Connect, EHLO, STARTTLS, login; before that, have the token for the login """

    def __init__(self, client):
        """
            Args:
                client: the Client, which gets the connection
        """

        self.client = client
        self.server = client.server
        self.observe = client.observe
        self.verification = Verification(client.server, client.clock)

    # -------------------------------------------------------------------------
    def run(self):
        """ As Client.connect() """

        client, server = self.client, self.server
        token = self._token() if server.oauth else None
        try:
            self._reach()
        except ssl.SSLCertVerificationError as error:
            self.verification.note_refusal(error)
            if client.connection:
                client.connection.close()
                client.connection = None
            # Nobody need see the same steps again
            client.observe = None
            self._reach()
        if token:
            self._ask(AUTH, login_by_token, client.connection, server, token,
                      self._another_token)
        elif server.user is not None:
            self._ask(AUTH, login, client.connection, server)

    # -------------------------------------------------------------------------
    # Its steps
    #
    def _token(self):
        """ The Token to log in with; raises the ChannelFailure if it can't be had """

        client, oauth = self.client, self.server.oauth
        began = client.clock()
        token = TOKENS.token(oauth, client.answer_by(TOKEN) - began)
        if client.observe:
            text = "had from %s, valid for %d min" % (oauth.source, TOKENS.left_s(token) / 60)
            client.observe(Reply(TOKEN, None, text), None, client.clock() - began)
        return token

    # -------------------------------------------------------------------------
    def _another_token(self, refused):
        """ The Token in place of one that the relay refuses; None if that is refused as well """

        client = self.client
        return TOKENS.after_refusal(client.server.oauth, refused,
                                    client.answer_by(TOKEN) - client.clock())

    # -------------------------------------------------------------------------
    def _reach(self):
        """
            Connect, EHLO, STARTTLS

            Raises:
                SSLCertVerificationError: the handshake has failed, and another
                                          connection is to find out more
                DeliveryError: as Client.connect()
        """

        client, server = self.client, self.server
        if server.ssl:
            client.observe = self.observe
            self._ask(CONNECT, self._connect, self.verification.context())
            self._judge()
            self._hello()
            return
        self._ask(CONNECT, self._connect)
        self._hello()
        if server.wants_starttls(client.connection.has_extn("starttls")):
            client.observe = self.observe
            self._ask(STARTTLS, client.connection.starttls, context=self.verification.context())
            self._judge()
            self._hello()

    # -------------------------------------------------------------------------
    def _connect(self, context=None):
        """ Connect, and take the banner; smtplib raises if its code is not 220 """

        client, server = self.client, self.server
        now, answer_by = client.clock(), client.answer_by(CONNECT)
        is_doubtful = server.port in TLS_PORTS and not context
        half_time = min(now + SILENCE_S, (now + answer_by) / 2)
        try:
            client.connection = self._connection(half_time if is_doubtful else answer_by, context)
        except TimeoutError as silence:
            if not is_doubtful:
                raise
            # Does it speak TLS?
            try:
                self._connection(answer_by, server.tls.context(False)).close()
            except ssl.SSLError:
                # No: it is slow. To have the setting ssl would not help
                raise silence from None
            raise smtplib.SMTPNotSupportedError(
                "Port %s speaks TLS from the first byte: set mail.settings.ssl = True" %
                server.port) from None
        return 220, b""

    # -------------------------------------------------------------------------
    def _connection(self, answer_by, context):
        """ A Connection (see wire.py) """

        server = self.server
        return connect(server.host, server.port, answer_by, self.client.clock,
                       tls_context = context,
                       local_hostname = server.hostname)

    # -------------------------------------------------------------------------
    def _judge(self):
        """ Judge the relay by its certificate, before it gets anything """

        client = self.client
        began = client.clock()
        try:
            client.note(self.verification.judge(client.connection))
        except ConfigurationFailure as failure:
            client.heard(began, CERTIFICATE, None, failure.text, ConfigurationFailure)

    # -------------------------------------------------------------------------
    def _hello(self):
        """ EHLO, or HELO if the relay knows only that; raises the DeliveryError """

        connection = self.client.connection
        reply = self._command(EHLO, connection.ehlo)
        if reply.code is not None and reply.code >= 500:
            reply = self._command(EHLO, connection.helo)
        error = classify(reply)
        if error:
            raise error

    # -------------------------------------------------------------------------
    def _ask(self, phase, method, *args, **kwargs):
        """ As _command(); raises the DeliveryError if the relay refuses """

        error = classify(self._command(phase, method, *args, **kwargs))
        if error:
            raise error

    # -------------------------------------------------------------------------
    def _command(self, phase, method, *args, **kwargs):
        """
            Give a command, and wait for its reply

            Args:
                phase: the phase of the dialogue
                method: function that returns the tuple (code, text), and its
                        arguments

            Returns:
                the Reply

            Raises:
                SSLCertVerificationError: see _reach()
                ConfigurationFailure: the command is not possible at all
        """

        client = self.client
        began = client.clock()
        if began >= client.deadlines.reply:
            return client.heard(began, phase, None, "took too long")
        if client.connection:
            client.connection.wait_until(client.answer_by(phase))
        try:
            result = method(*args, **kwargs)
        except ssl.SSLCertVerificationError:
            raise
        except ERRORS as error:
            result = translated(phase, error)
        return client.heard(began, phase, *result)

# END =========================================================================
