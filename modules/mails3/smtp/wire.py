# -*- coding: utf-8 -*-

"""
    The connection with the relay: deadlines, and reading and writing without
    blocking

    The time-outs and the reader of smtplib do not do:
    - smtplib's time-out counts for each recv() anew: a relay that sends one
      byte at a time keeps its client waiting without end
    - smtplib reads by socket.makefile(), which may lose bytes at a time-out and
      can't be used with a non-blocking socket
    - smtplib can't tell whether a reply has arrived completely, and its
      sendall() blocks until all is written: meanwhile no other session goes on

    So smtplib parses the replies and speaks TLS, and this module moves the
    bytes: by generators, which yield a Wait each time they would block.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import selectors
import smtplib
import socket
import ssl
import time

from contextlib import contextmanager

from .ehlo_name import ehlo_name
from .reply_buffer import ReplyBuffer
from .waits import Selector, Wait, run

__all__ = ("Connection", "connect")

# How much is read or written at a time (bytes). A TLS socket returns only when
# a whole piece is encrypted, so that a piece must be small.
READ_BYTES, WRITE_BYTES = 8192, 65536

# The shortest time-out of a blocking call (seconds): 0 would make the socket
# non-blocking, which a TLS handshake refuses
SHORTEST_TIMEOUT_S = 0.01

# So many addresses of one name share the time to connect; if it has more, that may
# take longer
FEW = 3

# -----------------------------------------------------------------------------
def connect(host, port, answer_by, clock=time.monotonic, tls_context=None, local_hostname=None):
    """
        Connect to a relay, and take its banner; blocks

        Args:
            host, port: where the relay listens
            answer_by: the latest time for the banner (by the clock)
            clock: function that tells the time (seconds)
            tls_context: SSLContext, for TLS from the first byte on; None = no TLS
            local_hostname: our own name, for EHLO, as far as ehlo_name() takes it

        Returns:
            the Connection

        Raises:
            smtplib.SMTPException, OSError: no connection, or the banner is not 220
    """

    # A name may have several addresses: the time is for a few of them together
    addresses = {address for *_, address in
                 socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    timeout_s = max((answer_by - clock()) / min(len(addresses), FEW), SHORTEST_TIMEOUT_S)
    # smtplib would look up a name of its own
    options = {"timeout": timeout_s, "local_hostname": "localhost"}
    connection = TLSConnection(host, port, answer_by, clock, context=tls_context, **options) \
        if tls_context else Connection(host, port, answer_by, clock, **options)
    connection.local_hostname = ehlo_name(local_hostname, connection.sock.getsockname()[0])
    return connection

# =============================================================================
class Connection(smtplib.SMTP):
    """
        smtplib's SMTP with a deadline for each reply
        - its own methods (ehlo, starttls, docmd, ...) block until the reply is
          there, but not longer than wait_until() has said
        - writing() and reading() never block
    """

    def __init__(self, host, port, answer_by, clock=time.monotonic, **options):
        """ As connect(); options: other arguments of smtplib.SMTP """

        self.answer_by = answer_by
        self.clock = clock
        super().__init__(host, port, **options)

    # -------------------------------------------------------------------------
    def wait_until(self, answer_by):
        """
            Set the deadline for the next command that blocks

            Args:
                answer_by: the latest time for its reply (by the clock)
        """

        self.answer_by = answer_by
        if self.sock:
            self.sock.settimeout(max(answer_by - self.clock(), SHORTEST_TIMEOUT_S))

    # -------------------------------------------------------------------------
    @property
    def is_encrypted(self):
        """ Whether it speaks TLS now """

        return isinstance(self.sock, ssl.SSLSocket)

    # -------------------------------------------------------------------------
    def peer_address(self):
        """ The IP address of the relay (str); None = it has closed the connection already """

        try:
            return self.sock.getpeername()[0]
        except OSError:
            return None

    # -------------------------------------------------------------------------
    def getreply(self):
        """ Take a reply, as smtplib.SMTP; raises TimeoutError at the deadline """

        reply = run(self.reading(self.answer_by), self.clock)
        # The next part of the same command may block again
        self.wait_until(self.answer_by)
        return reply

    # -------------------------------------------------------------------------
    def writing(self, data, until):
        """
            Write some bytes; a generator
            - at the deadline, the bytes for which the socket has room are
              written, no more

            Args:
                data: the bytes
                until: the deadline (by the clock)

            Yields:
                a Wait, each time it would block

            Raises:
                TimeoutError: the relay has not read all of it in time
                smtplib.SMTPServerDisconnected: the connection is lost
        """

        rest = memoryview(data)
        with self._closed_if_it_fails():
            while rest:
                # OpenSSL wants the same piece again if it was not written at once
                written = yield from self._attempt("send", rest[:WRITE_BYTES],
                                                   selectors.EVENT_WRITE, until)
                rest = rest[written:]

    # -------------------------------------------------------------------------
    def reading(self, until):
        """
            Read one reply; a generator
            - after the deadline, only the bytes are read that have already
              arrived

            Args:
                until: the deadline (by the clock)

            Yields:
                a Wait, each time it would block

            Returns:
                tuple (code, text), as smtplib.SMTP.getreply(): int, bytes

            Raises:
                TimeoutError: the reply was not complete in time
                smtplib.SMTPException: as smtplib.SMTP.getreply()
        """

        with self._closed_if_it_fails():
            if self.file is None:
                # In place of the file that smtplib would make of the socket
                self.file = ReplyBuffer()
            while not self.file.has_reply():
                received = yield from self._attempt("recv", READ_BYTES,
                                                    selectors.EVENT_READ, until)
                self.file.add(received)
            return super().getreply()

    # -------------------------------------------------------------------------
    def _attempt(self, method, argument, event, until):
        """
            Call a method of the socket until it does not block; a generator
            - it is called before any wait: select() does not tell of the bytes
              that a TLS socket has taken from the network already

            Args:
                method: "send" or "recv"
                argument: its argument
                event: the event for which this method waits without TLS
                until: the deadline (by the clock)

            Returns:
                what the method returns

            Raises:
                TimeoutError: it still blocks at the deadline
                OSError: as the method
        """

        while True:
            self.sock.settimeout(0)
            try:
                return getattr(self.sock, method)(argument)
            except ssl.SSLWantReadError:
                wanted = selectors.EVENT_READ
            except ssl.SSLWantWriteError:
                wanted = selectors.EVENT_WRITE
            except BlockingIOError:
                wanted = event
            if self.clock() >= until:
                raise TimeoutError("timed out")
            yield Wait(self.sock, wanted, until)

    # -------------------------------------------------------------------------
    @contextmanager
    def _closed_if_it_fails(self):
        """
            Close the connection if data or a reply stay incomplete, also
            when the generator is given up; raises smtplib's error where the
            socket fails, as smtplib does
        """

        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("Connection closed")
        try:
            yield
        except (TimeoutError, smtplib.SMTPException):
            self.close()
            raise
        except OSError as error:
            self.close()
            raise smtplib.SMTPServerDisconnected("Connection lost (%s)" %
                                                 (error.strerror or error)) from None
        except BaseException:
            self.close()
            raise

    # -------------------------------------------------------------------------
    def has_unread(self):
        """ Whether the relay has sent unread data, or has closed the connection """

        if self.sock is None or self.file and self.file.received or \
           self.is_encrypted and self.sock.pending():
            return True
        with Selector() as selector:
            try:
                selector.register(self.sock, selectors.EVENT_READ)
            except (OSError, ValueError):
                # The socket is broken: a read would tell
                return True
            return bool(selector.select(0))

# -----------------------------------------------------------------------------
class TLSConnection(Connection, smtplib.SMTP_SSL):
    """ A Connection that speaks TLS from its first byte on """

# END =========================================================================
