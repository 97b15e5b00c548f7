# -*- coding: utf-8 -*-

"""
    To open a connection with the relay: smtplib's methods, which block

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from .errors import ERRORS, translated
from .login import login
from .wire import connect
from ..replies import AUTH, CONNECT, EHLO, STARTTLS, classify

__all__ = ("Opening",)

# =============================================================================
class Opening:
    """ Connect, EHLO, STARTTLS, login """

    def __init__(self, client):
        """
            Args:
                client: the Client, which gets the connection
        """

        self.client = client

    # -------------------------------------------------------------------------
    def run(self):
        """ As Client.connect() """

        server = self.client.server
        context = server.tls_context()
        self._ask(CONNECT, self._connect, context)
        self._hello()
        connection = self.client.connection
        if server.starttls:
            self._ask(STARTTLS, connection.starttls, context=context)
            self._hello()
        if server.user is not None:
            self._ask(AUTH, login, connection, server)

    # -------------------------------------------------------------------------
    def _connect(self, context):
        """ Connect, and take the banner; smtplib raises if its code is not 220 """

        client, server = self.client, self.client.server
        client.connection = connect(server.host, server.port,
                                    client.answer_by(CONNECT), client.clock,
                                    tls_context = context if server.ssl else None,
                                    local_hostname = server.hostname)
        return 220, b""

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
        except ERRORS as error:
            result = translated(phase, error)
        return client.heard(began, phase, *result)

# END =========================================================================
