"""
    A relay for one connection, which does as a function of the test says
"""

import socket

from contextlib import contextmanager
from threading import Thread

from . import web2py # noqa: F401 (mails3 can be imported)

from mails3.smtp.server import Server

# -----------------------------------------------------------------------------
@contextmanager
def scripted_relay(script, context=None):
    """
        A relay that does as a function says, with one connection

        Args:
            script: function that is called with the socket and a file of the
                    lines received, after the dialogue up to EHLO
            context: SSLContext for TLS from the first byte on

        Yields:
            the Server
    """

    def serve():
        connection, _ = listening.accept()
        if context:
            connection = context.wrap_socket(connection, server_side=True)
        with connection, connection.makefile("rb") as lines:
            connection.sendall(b"220 relay.example.org\r\n")
            lines.readline()
            connection.sendall(b"250-relay.example.org\r\n250 PIPELINING\r\n")
            script(connection, lines)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield Server(*listening.getsockname(), ssl=context is not None)
    thread.join(10)

# -----------------------------------------------------------------------------
def take_until(lines, last):
    """ Read lines up to one that starts with some bytes, or to the end """

    line = lines.readline()
    while line and not line.upper().startswith(last):
        line = lines.readline()

# END =========================================================================
