"""
    Relays for one connection: one does as a function of the test says, one does
    not accept the connection at first
"""

import socket
import ssl

from contextlib import contextmanager, suppress
from threading import Event, Thread

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
            try:
                connection = context.wrap_socket(connection, server_side=True)
            except ssl.SSLError:
                # The handshake has failed, and the client has been told
                return
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
@contextmanager
def full_relay():
    """
        A relay that takes no connection at first: its accept queue is full, as
        on a host that is overloaded

        Yields:
            tuple (the Server, an Event that lets the connections in)
    """

    def serve():
        let_in.wait(20)
        for other in others:
            other.close()
        while True:
            connection, _ = listening.accept()
            with connection, connection.makefile("rb") as lines, suppress(OSError):
                connection.sendall(b"220 relay.example.org\r\n")
                if lines.readline():
                    connection.sendall(b"250 relay.example.org\r\n")
                    take_until(lines, b"QUIT")
                    connection.sendall(b"221 Bye\r\n")
                    return

    let_in, others = Event(), []
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
        for _ in range(4):
            others.append(socket.socket())
            others[-1].setblocking(False)
            others[-1].connect_ex(listening.getsockname())
        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield Server(*listening.getsockname()), let_in
        thread.join(10)

# -----------------------------------------------------------------------------
def take_until(lines, last):
    """ Read lines up to one that starts with some bytes, or to the end """

    line = lines.readline()
    while line and not line.upper().startswith(last):
        line = lines.readline()

# END =========================================================================
