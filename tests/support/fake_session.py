"""
    A session of a client with the relay of the tests: aiosmtpd speaks the
    protocol, this file interferes with what it answers, and records what has
    happened
"""

import asyncio
import email
import email.policy
import logging
import re
import time

from dataclasses import dataclass
from functools import wraps
from types import SimpleNamespace
from typing import List

from aiosmtpd.smtp import SMTP

from .fake_logins import MECHANISMS, Logins
from .relay_script import DROP, SILENCE, negative

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
class Session(Logins, SMTP):
    """ One connection """

    # RFC 4954 section 4: the longest answer to a challenge
    line_length_limit = 12288

    def __init__(self, relay):

        super().__init__(
            SimpleNamespace(handle_EHLO=self.greet, handle_DATA=self.accept),
            hostname = "relay.example.org", # or else it asks the DNS
            data_size_limit = relay.size,
            enable_SMTPUTF8 = relay.utf8,
            tls_context = relay.context if relay.tls == "starttls" else None,
            auth_require_tls = relay.tls == "starttls",
            authenticator = self.authenticate,
            auth_exclude_mechanism = set(MECHANISMS) - set(relay.mechanisms),
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
            if verb in self.relay.dsn:
                arg = re.sub(r" (RET|ENVID|NOTIFY)=\S*", "", arg)
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
            self.told = {"reply": reply}
            if reply.startswith("421"):
                self.told["close"] = True

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

    def authenticate(self, server, session, envelope, mechanism, credentials):
        """ Decides on a login """

        username, password = (value.decode() for value in credentials)
        return self.decided(mechanism, username, (username, password) == self.relay.login)

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

# END =========================================================================
