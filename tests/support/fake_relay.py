"""
    A fake SMTP relay that tests can tell what to answer at each step

    aiosmtpd speaks the protocol, over real sockets on 127.0.0.1 (see
    fake_session.py); what it answers can be told (see relay_script.py), and
    what has happened is recorded:

        with FakeRelay(login=("user", "secret")) as relay:
            relay.answer("RCPT", "550 5.1.1 No such user", to="x@example.org")
            ...
            mail = relay.wait()[0]
"""

import asyncio
import atexit
import itertools
import os
import socket
import ssl
import threading

from concurrent.futures import Future
from functools import lru_cache

from .fake_session import Session
from .folders import temporary_file
from .relay_script import Script

# =============================================================================
class FakeRelay(Script):
    """ An SMTP server that does as it is told, in a thread of its own """

    host = "127.0.0.1"

    def __init__(self, port=0, tls=None, login=None, size=None, extensions=(),
                 mechanisms=("LOGIN", "PLAIN"), context=None, utf8=True, dsn=()):
        """
            Args:
                port: the port to listen on; 0 = any free one, kept for good
                tls: None, "starttls" or "ssl"
                login: (user, password) without which no mail is accepted
                size: the SIZE to announce and to enforce (bytes)
                extensions: others to announce: "PIPELINING", "CHUNKING"; it
                            could do both in any case
                mechanisms: the ways to log in, of fake_logins.MECHANISMS
                context: the SSLContext, with a certificate; None = a good one
                utf8: whether it announces and takes SMTPUTF8; a client that
                      is connected learns of a change with its next EHLO
                dsn: the commands whose parameters of DSN it takes: "MAIL",
                     "RCPT"; where it announces "DSN", it refuses the others
        """

        super().__init__()
        with socket.create_server((self.host, port)) as probe:
            self.port = probe.getsockname()[1]
        self.address = "%s:%s" % (self.host, self.port)

        self.tls = tls
        self.cafile, self.context = (None, context) if context or not tls else certificate()
        self.login = login
        self.size = size or 33554432
        self.extensions = extensions
        self.mechanisms = mechanisms
        self.utf8 = utf8
        self.dsn = dsn
        self.scrambles = False         # its challenges are garbage
        self.server_key = None         # in place of the right one, by which it proves itself
        self.is_silent_about_itself = False # it does not prove itself
        self.takes_token = lambda user, token: False # whether a token is right
        self.words_about_token = None  # what it says about one that is not (dict)

        self.thread = None
        self.numbers = itertools.count(1) # of the sessions, never reused
        self.clear()

    # -------------------------------------------------------------------------
    def start(self):
        """ Listens, always on the same port """

        # Bound here, not in the thread, so that the caller sees it fail
        listener = socket.create_server((self.host, self.port))
        started = Future()

        self.thread = threading.Thread(
            target = lambda: asyncio.run(self.serve(listener, started)),
            daemon = True,
        )
        self.thread.start()
        self.loop, self.stopping = started.result(timeout=30)

    def stop(self):
        """ Drops every open connection, and refuses new ones """

        if self.thread:
            self.loop.call_soon_threadsafe(self.stopping.set)
            self.thread.join()
            self.thread = None

    def __enter__(self):

        self.start()
        return self

    def __exit__(self, *exc_info):

        self.stop()

    async def serve(self, listener, started):
        """ Accepts connections until told to stop """

        loop, stopping = asyncio.get_running_loop(), asyncio.Event()

        # Not loop.create_server(): when closed, that would leave open what it
        # is just accepting
        listener.setblocking(False)
        loop.add_reader(
            listener,
            lambda: loop.create_task(self.serve_one(*listener.accept())),
        )
        started.set_result((loop, stopping))

        with listener:
            await stopping.wait()
            loop.remove_reader(listener)

        # Now asyncio.run() cancels each serve_one()

    async def serve_one(self, connection, peer):
        """ Serves one connection, and sees to it that it is closed """

        loop = asyncio.get_running_loop()
        # Else each connection waits 40 ms for an acknowledgement
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            transport, session = await loop.connect_accepted_socket(
                lambda: Session(self),
                connection,
                ssl = self.context if self.tls == "ssl" else None,
            )
        except OSError:
            return # no TLS, asyncio has closed it

        try:
            await asyncio.gather(session._handler_coroutine,
                                 return_exceptions=True)
        finally:
            transport.abort()

    # -------------------------------------------------------------------------
    def clear(self):
        """ Forgets what has happened """

        with self.changed:
            self.connections = 0
            self.commands = [] # (session, verb, argument)
            self.logins = [] # (session, mechanism, username, accepted)
            self.tokens = [] # (mechanism, user, token)
            self.mails = []

    def record(self, records, entry):
        """ Adds to one of the records, given by its name """

        with self.changed:
            getattr(self, records).append(entry)
            self.changed.notify_all()

    def wait(self, count=1, timeout=30):
        """ The mails, once there are at least so many """

        with self.changed:
            if not self.changed.wait_for(lambda: len(self.mails) >= count,
                                         timeout):
                raise AssertionError(
                    "%s of %s mails in %s seconds, %s connections, at last %s"
                    % (len(self.mails), count, timeout, self.connections,
                       self.commands[-8:]))
            return list(self.mails)

# -----------------------------------------------------------------------------
@lru_cache(maxsize=None)
def certificate():
    """
        A throw-away certificate for 127.0.0.1, made once per process

        Returns:
            the path of its CA (PEM), and the SSLContext of the server
    """

    import trustme # needed only with TLS

    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1", "localhost").configure_cert(context)

    cafile = temporary_file(".pem")
    atexit.register(os.remove, cafile)
    ca.cert_pem.write_to_path(cafile)

    return cafile, context

# END =========================================================================
