"""
    A fake SMTP relay that tests can tell what to answer at each step

    aiosmtpd speaks the protocol, over real sockets on 127.0.0.1; this file
    only interferes with what it answers, and records what has happened:

        with FakeRelay(login=("user", "secret")) as relay:
            relay.answer("RCPT", "550 5.1.1 No such user", to="x@example.org")
            ...
            mail = relay.wait()[0]

    Of several things told of one step, a particular address goes before any,
    and a number of times before for ever. What is to happen some times happens
    in the order told, of what is to happen for ever the last told counts. What
    to answer, the delay, holding, slowness and closing afterwards add up.
"""

import asyncio
import atexit
import email
import email.policy
import hmac
import itertools
import logging
import os
import re
import socket
import ssl
import threading
import time

from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache, wraps
from types import SimpleNamespace
from typing import Any, List, Optional

from aiosmtpd.smtp import SMTP, AuthResult

from .folders import temporary_file

# CONNECT is the banner, DATA the answer to the command, BODY that to the dot
STEPS = ("CONNECT", "HELO", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA",
         "BODY", "RSET", "NOOP", "QUIT")

# Told in place of a reply
SILENCE = "silence"
DROP = "drop"

# How often a held answer looks at its condition (seconds)
POLL_S = 0.005

# aiosmtpd warns of its own future at every login, and reports each client that
# breaks off; its errors reach the client as a reply 500
logging.getLogger("mail.log").setLevel(logging.CRITICAL)

# =============================================================================
@dataclass
class Mail:
    """ A message the relay has accepted, i.e. answered 250 after the dot """

    sender: str
    recipients: List[str] # only the accepted ones
    content: bytes # as received, without the transparency dots
    at: float # time.time()
    session: int

    @property
    def message(self):
        """ The content, parsed """

        return email.message_from_bytes(self.content)

    @property
    def subject(self):
        """ The subject as a reader is shown it: unfolded and decoded """

        return email.message_from_bytes(self.content, policy=email.policy.default)["Subject"]

# =============================================================================
@dataclass
class Rule:
    """ One thing the relay was told """

    step: str
    kind: str # "reply", "midway", "delay", "hold", "slow" or "close"
    value: Any
    to: Optional[str] # None = any address
    times: Optional[int] # times left; None = for ever

# =============================================================================
class FakeRelay:
    """ An SMTP server that does as it is told, in a thread of its own """

    host = "127.0.0.1"

    def __init__(self, port=0, tls=None, login=None, size=None, extensions=(),
                 mechanisms=("LOGIN", "PLAIN")):
        """
            Args:
                port: the port to listen on; 0 = any free one, kept for good
                tls: None, "starttls" or "ssl"
                login: (user, password) without which no mail is accepted
                size: the SIZE to announce and to enforce (bytes)
                extensions: others to announce: "PIPELINING", "CHUNKING"; it
                            could do both in any case
                mechanisms: the ways to log in: "LOGIN", "PLAIN", "CRAM-MD5"
        """

        with socket.create_server((self.host, port)) as probe:
            self.port = probe.getsockname()[1]
        self.address = "%s:%s" % (self.host, self.port)

        self.tls = tls
        self.cafile, self.context = certificate() if tls else (None, None)
        self.login = login
        self.size = size or 33554432
        self.extensions = extensions
        self.mechanisms = mechanisms

        self.thread = None
        self.numbers = itertools.count(1) # of the sessions, never reused
        self.changed = threading.Condition() # guards the script and records
        self.reset()
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
    def answer(self, step, reply, to=None, times=None):
        """
            Tells what to answer

            Args:
                step: one of the STEPS
                reply: e.g. "550 5.1.1 No such user"; may have several lines.
                       Unless it's 4xx or 5xx, things proceed as usual. A 354
                       is answered to DATA also if no recipient was accepted;
                       no content is taken then.
                to: only for this sender (MAIL), this recipient (RCPT), or
                    when among the recipients so far (other steps)
                times: only so many times; None = for ever
        """

        self.tell(step, "reply", "\r\n".join(reply.splitlines()), to, times)

    def silence(self, step, to=None, times=None):
        """ Never answers, but stays connected """

        self.tell(step, "reply", SILENCE, to, times)

    def drop(self, step, to=None, times=None, midway=False):
        """ Closes instead of answering, or midway through receiving BODY """

        if midway:
            self.tell("DATA", "midway", True, to, times)
        else:
            self.tell(step, "reply", DROP, to, times)

    def drop_after(self, step, to=None, times=None):
        """ Closes as soon as it has answered """

        self.tell(step, "close", True, to, times)

    def delay(self, step, seconds, to=None, times=None):
        """ Answers, and accepts, only after so many seconds """

        self.tell(step, "delay", seconds, to, times)

    def hold(self, step, until, to=None, times=None):
        """ Answers, and accepts, only when a condition (function) is true """

        self.tell(step, "hold", until, to, times)

    def slow(self, step, seconds_per_byte, to=None, times=None):
        """ Lets the reply trickle out byte by byte """

        self.tell(step, "slow", seconds_per_byte, to, times)

    def limit(self, messages, reply="421 4.7.0 Too many messages"):
        """ Accepts so many per connection, and closes at the next MAIL """

        self.most = messages, reply

    def reset(self):
        """ Forgets all it was told """

        with self.changed:
            self.script = []
            self.most = float("inf"), None

    def tell(self, step, kind, value, to, times):
        """ Adds a rule, by rank: told() takes the first that applies """

        if step not in STEPS:
            raise ValueError("No such step: %s" % step)

        with self.changed:
            self.script.insert(len(self.script) if times else 0,
                               Rule(step, kind, value, to, times))
            self.script.sort(key = lambda rule: (rule.to is None,
                                                 rule.times is None))

    def told(self, step, addresses):
        """ What to do now at this step, as {kind: value} """

        told = {}
        with self.changed:
            for rule in self.script:
                if rule.step == step and rule.times != 0 and \
                   rule.kind not in told and \
                   (rule.to is None or rule.to in addresses):
                    told[rule.kind] = rule.value
                    if rule.times:
                        rule.times -= 1
        return told

    # -------------------------------------------------------------------------
    def clear(self):
        """ Forgets what has happened """

        with self.changed:
            self.connections = 0
            self.commands = [] # (session, verb, argument)
            self.logins = [] # (session, mechanism, username, accepted)
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

# =============================================================================
class Session(SMTP):
    """ One connection """

    def __init__(self, relay):

        super().__init__(
            SimpleNamespace(handle_EHLO=self.greet, handle_DATA=self.accept),
            hostname = "relay.example.org", # or else it asks the DNS
            data_size_limit = relay.size,
            enable_SMTPUTF8 = True,
            tls_context = relay.context if relay.tls == "starttls" else None,
            auth_require_tls = relay.tls == "starttls",
            authenticator = self.authenticate,
            auth_exclude_mechanism = {"LOGIN", "PLAIN", "CRAM-MD5"} - set(relay.mechanisms),
            timeout = 86400, # the relay never gives up by itself
        )
        self.relay = relay
        self.told = {}
        self.accepted = 0 # messages
        with relay.changed:
            self.number = next(relay.numbers)
            relay.connections += 1

    # -------------------------------------------------------------------------
    async def _handle_client(self):

        if not await self.refused("CONNECT"):
            await super()._handle_client()

    async def command(self, verb, arg, proceed):
        """ Records a command and, unless told otherwise, lets it proceed """

        arg = arg or ""
        secret = verb == "AUTH"
        self.relay.record("commands", (self.number, verb,
                                       arg.split(" ")[0] if secret else arg))

        if verb in ("MAIL", "RCPT"):
            addresses = re.findall("<(.*?)>", arg)
        else:
            addresses = self.envelope.rcpt_tos

        if not await self.refused(verb, addresses):
            await proceed(self, arg)

    async def refused(self, step, addresses=()):
        """ Gives the reply if it is told to be a refusal """

        reply = await self.ask(step, addresses)

        # A login is heard first, see authenticate()
        refused = negative(reply) and step != "AUTH"
        if refused:
            await self.push(reply)
        return refused

    async def ask(self, step, addresses):
        """ The reply told for a step (None: the usual one), when it's due """

        self.told = self.relay.told(step, addresses)
        most, reply = self.relay.most
        if step == "MAIL" and self.accepted >= most:
            self.told = {"reply": reply, "close": True}

        await asyncio.sleep(self.told.get("delay", 0))
        while "hold" in self.told and not self.told["hold"]():
            await asyncio.sleep(POLL_S)

        reply = self.told.get("reply")
        if reply == DROP:
            await self.hang_up()
        elif reply == SILENCE:
            await self.silence()
        return reply

    async def push(self, status):
        """ Says a line of aiosmtpd's, or else the reply told """

        status = status if isinstance(status, str) else status.decode()
        told = {} if status.startswith("334") else self.told # AUTH goes on

        reply = told.get("reply") or ""
        if negative(status) and reply.startswith("354"):
            # Nobody was accepted: the dot that follows is an unknown command
            status, self.told = reply, {}
        elif reply and not negative(status):
            if status[3:4] == "-":
                return # EHLO has many lines, the reply told is for them all
            status = reply

        if "slow" in told:
            for byte in status.encode() + b"\r\n":
                self.transport.write(bytes([byte]))
                await asyncio.sleep(told["slow"])
        else:
            await super().push(status)

        if "midway" in told and status.startswith("354"):
            await self._reader.read(1)
            await self.hang_up()
        elif "close" in told and status.splitlines()[-1][3:4] != "-":
            await self.hang_up()

    async def hang_up(self):

        self.transport.abort()
        await self.silence()

    async def silence(self):
        """ Lasts until the connection is lost: that cancels the session """

        await self.loop.create_future()

    # -------------------------------------------------------------------------
    async def greet(self, server, session, envelope, hostname, lines):
        """ Without a login, aiosmtpd would still offer AUTH """

        session.host_name = hostname
        lines = [line for line in lines
                 if self.relay.login or not line.startswith("250-AUTH")]
        # After its name
        return lines[:1] + ["250-%s" % name for name in self.relay.extensions] + lines[1:]

    async def smtp_BDAT(self, arg):
        """ BDAT (RFC 3030), with LAST: DATA and BODY in one, by one reply """

        self.relay.record("commands", (self.number, "BDAT", arg))
        recipients = self.envelope.rcpt_tos
        midway = self.relay.told("DATA", recipients).get("midway")
        # Whatever the answer, it is read first
        self.envelope.content = await self._reader.readexactly(
                                        1 if midway else int(arg.split()[0]))
        if midway:
            await self.hang_up()
        if not recipients:
            await self.push("503 5.5.1 No recipients")
        elif not await self.refused("DATA", recipients):
            reply = await self.accept(self, self.session, self.envelope)
            self._set_post_data_state()
            await self.push(reply)

    async def check_auth_needed(self, caller_method):
        """ Unlike auth_required, doesn't warn if there is no TLS """

        needed = bool(self.relay.login and not self.session.authenticated)
        if needed:
            await self.push("530 5.7.0 Authentication required")
        return needed

    async def auth_CRAM__MD5(self, server, args):
        """ RFC 2195: the password answers a challenge, and is not shown """

        challenge = b"<%d@relay.example.org>" % self.number
        username, _, answer = (await self.challenge_auth(challenge)).decode().partition(" ")
        login = self.relay.login
        known = login and hmac.new(login[1].encode(), challenge, "md5").hexdigest()
        accepted = (username, answer) == (login and login[0], known)
        self.relay.record("logins", (self.number, "CRAM-MD5", username, accepted))
        return AuthResult(success=accepted, handled=False)

    def authenticate(self, server, session, envelope, mechanism, credentials):
        """ Decides on a login """

        username, password = (value.decode() for value in credentials)
        reply = self.told.get("reply")
        if reply:
            accepted = not negative(reply)
        else:
            accepted = (username, password) == self.relay.login

        self.relay.record("logins", (self.number, mechanism, username,
                                     accepted))
        return AuthResult(success=accepted, handled=False, message=reply)

    async def accept(self, server, session, envelope):
        """ Decides on a message """

        reply = await self.ask("BODY", envelope.rcpt_tos) or "250 2.0.0 OK"
        if reply.startswith("250"):
            self.accepted += 1
            self.relay.record("mails", Mail(sender = envelope.mail_from,
                                            recipients = envelope.rcpt_tos,
                                            content = envelope.content,
                                            at = time.time(),
                                            session = self.number,
                                            ))
        return reply

# -----------------------------------------------------------------------------
def scripted(proceed):
    """ aiosmtpd's method for a command, made to do as told """

    @wraps(proceed)
    async def method(self, arg):
        await self.command(proceed.__name__[len("smtp_"):], arg, proceed)

    return method

for name in dir(SMTP):
    if name.startswith("smtp_"):
        setattr(Session, name, scripted(getattr(SMTP, name)))

# =============================================================================
def negative(reply):
    """ Whether a reply is 4xx or 5xx """

    return bool(reply) and reply[0] in "45"

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
