# -*- coding: utf-8 -*-

"""
    One session with the relay: open, reuse, close; smtplib's errors become ours

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import hashlib
import hmac
import re
import select
import smtplib
import socket
import ssl
import time

from base64 import b64decode, b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Optional

from .dialogue import Dialogue
from ..states import one_line
from ..policy import AUTH, BODY, CONNECT, DATA, EHLO, MAIL, MESSAGE_PHASES, STARTTLS, \
                     ConfigurationFailure, InternalFailure, PermanentFailure, \
                     RelayUnavailable, Reply, classify

__all__ = ("Server", "Session")

# What may be (a part of) a login, as AUTH sends it
BASE64 = re.compile(r"[A-Za-z0-9+/]{6,}={0,2}")

# =============================================================================
@dataclass(frozen = True)
class Server:
    """ How to reach the relay: the settings of a Mail object, read """

    host: str
    port: int
    starttls: bool = False
    ssl: bool = False
    user: Optional[str] = None
    password: Optional[str] = field(default = None, repr = False)
    hostname: Optional[str] = None # to introduce ourselves with
    verify: bool = False           # verify the relay's certificate
    cafile: Optional[str] = None   # authorities to trust, PEM; None = system's

    # -------------------------------------------------------------------------
    @classmethod
    def read(cls, settings, verify=False, cafile=None):
        """
            Read mail.settings (gluon/tools.py, class Mail)

            Args:
                settings: the settings of a Mail object
                verify: verify the relay's certificate
                cafile: path of the authorities' certificates

            Returns:
                the Server

            Raises:
                ConfigurationFailure: no server, or not as in "host:port"
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
                   hostname = settings.hostname,
                   verify = verify,
                   cafile = cafile,
                   )

    # -------------------------------------------------------------------------
    def fingerprint(self, sender, salt):
        """
            Tell this configuration from another, without giving it away

            Args:
                sender: the configured sender
                salt: a random text

            Returns:
                a hex text; equal for equal configurations
        """

        return digest((self.host, self.port, self.starttls, self.ssl, self.hostname,
                       self.user, self.password, self.verify, self.cafile, sender), salt)

    # -------------------------------------------------------------------------
    def login_fingerprint(self, salt):
        """
            Tell this login from another: by nothing that two machines of one
            site may have different, like their hostname

            Args:
                salt: a random text

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
            A relay's words about a login, without that: some repeat it, or the
            command in which it was sent (base64, RFC 4616 and LOGIN)

            Args:
                text: what the relay said

            Returns:
                the same, with asterisks
        """

        user, password = self.user or "", self.password or ""
        said = " ".join(encoded(part) for part in
                        (user, password, "\0%s\0%s" % (user, password)))
        text = BASE64.sub(lambda found: "***" if found.group() in said else found.group(),
                          text)
        for secret in (password, user):
            text = text.replace(secret, "***") if secret else text
        return text

# -----------------------------------------------------------------------------
def digest(values, salt):
    """ A fingerprint of settings; slow on purpose, for a login may be guessable """

    return hashlib.pbkdf2_hmac("sha256", repr(values).encode("utf-8"),
                               salt.encode("ascii"), 20000).hex()

# -----------------------------------------------------------------------------
def encoded(text):
    """ A text as AUTH sends it: base64 of UTF-8 """

    return b64encode(text.encode("utf-8")).decode("ascii")

# =============================================================================
class Session:
    """ A session with the relay, opened when first needed, kept for reuse """

    # Relays close what is used too much or too long (cf. Postfix,
    # smtp_connection_reuse_count_limit and _time_limit)
    MESSAGES = 100
    SECONDS = 240

    def __init__(self, server, timeout, clock=time.monotonic):
        """
            Args:
                server: the Server
                timeout: the longest wait for one reply (seconds)
                clock: tells the time (seconds)
        """

        self.server = server
        self.timeout = timeout
        self.clock = clock

        self.smtp = None
        self.opened = 0
        self.messages = 0
        self.deadline = None  # of the message
        self.answer_by = None # the next reply
        self.receiving = False # the relay waits for the content
        self.ahead = None      # the Dialogue that has been opened already
        self.left = False      # QUIT has been said

    # -------------------------------------------------------------------------
    def transmit(self, *args, **kwargs):
        """ Hand one mail over, without a pause; as transmitting() """

        transmitting = self.transmitting(*args, **kwargs)
        while True:
            try:
                next(transmitting)
            except StopIteration as end:
                return end.value

    # -------------------------------------------------------------------------
    def transmitting(self, mail, within, following=None):
        """
            Hand one mail over; a generator, which pauses while the relay
            is to answer, so that other sessions can go on meanwhile

            Args:
                mail: the Envelope
                within: the time it may take in all (seconds)
                following: the Envelope that is most likely the next one:
                           its envelope is sent along, if the relay allows;
                           None = there is none

            Returns:
                dict {recipient: None if accepted, else the DeliveryError that
                is about that recipient}; without those that are to be handed
                over again

            Raises:
                ChannelFailure: the session could not be opened, the message was not
                         handed over
                PermanentFailure: the message can not be encoded
        """

        self.open(within)
        if self.ahead and not (self.ahead.mail is mail and self.ahead.is_answered()):
            # It waits for the content of another one, or for nothing any more
            self.close()
            self.open(within)
        reused = self.messages > 0
        try:
            outcome = yield from self._dialogue(mail, following)
            if reused and is_dropped(outcome):
                # The relay has had enough of that session, not of us
                self.close()
                self.open(self.deadline - self.clock())
                outcome = yield from self._dialogue(mail, following)
        except Exception:
            # Nobody knows what the session waits for
            self.close()
            raise
        if any(isinstance(error, RelayUnavailable) for error in outcome.values()):
            # After protocol trouble the state of the session is not known
            self.close()
        elif None not in outcome.values() and not (self.ahead or self._reset()):
            self.close()
        return outcome

    # -------------------------------------------------------------------------
    def _dialogue(self, mail, following):
        """ Hold the dialogue about one mail; as transmitting() """

        self.messages += 1
        half = (self.clock() + self.deadline) / 2
        extensions = self.smtp.esmtp_features
        dialogue, self.ahead = self.ahead or Dialogue(mail, extensions), None
        ahead = self._may_follow(following, extensions)
        try:
            return (yield from self._hold(dialogue.hand_over(lambda: self.clock() >= half,
                                                             ahead)))
        finally:
            if ahead and ahead.replies:
                self.ahead = ahead

    # -------------------------------------------------------------------------
    def _may_follow(self, mail, extensions):
        """ The Dialogue about the next mail if it may be opened ahead, else None """

        if mail is None or self.messages >= self.MESSAGES:
            return None
        try:
            dialogue = Dialogue(mail, extensions)
        except PermanentFailure:
            # For its own turn
            return None
        return dialogue if dialogue.may_be_opened_ahead() else None

    # -------------------------------------------------------------------------
    def _hold(self, dialogue):
        """ Hold a dialogue (see there): give its commands, pause, take replies """

        try:
            group = next(dialogue)
            while True:
                broken = self._give(group)
                if not broken:
                    yield
                replies = []
                for phase, _ in group:
                    reply = Reply(phase, None, broken.text) if broken else \
                            self._take(phase)
                    if reply.code is None:
                        # Nothing comes after that
                        broken = reply
                    replies.append(reply)
                group = dialogue.send(replies)
        except StopIteration as end:
            return end.value

    # -------------------------------------------------------------------------
    def _give(self, group):
        """ Give commands; None, or the Reply that is missing if that fails """

        def send(commands):
            self.smtp.send(commands)
            return 250, b""

        # Content has all the time there is, whatever goes along with it
        phases = [phase for phase, _ in group]
        reply = self._reply(BODY if BODY in phases else phases[0], send,
                            b"".join(command for _, command in group))
        return reply if reply.code is None else None

    # -------------------------------------------------------------------------
    def _take(self, phase):
        """ Take the reply to a command that was given """

        reply = self._outcome(phase, self.smtp.getreply)
        # After 354, it takes what follows for the content
        self.receiving = phase == DATA and reply.code is not None and \
            300 <= reply.code < 400
        return reply

    # -------------------------------------------------------------------------
    def open(self, within):
        """
            Open the session, if it is not: connect, EHLO, STARTTLS, login

            Args:
                within: the time for that and the next message (seconds)

            Raises:
                ChannelFailure: it can't be had
        """

        self.deadline = self.clock() + within
        if self.is_ready():
            return
        self.close()

        server = self.server
        try:
            context = self._context()
            self._ask(CONNECT, self._connect, context)
            self._hello()
            if server.starttls:
                self._ask(STARTTLS, self.smtp.starttls, context=context)
                self._hello()
            if server.user is not None:
                self._ask(AUTH, self._login)
        except Exception:
            self.close()
            raise
        self.opened, self.messages = self.clock(), 0
        self.receiving = self.left = False

    # -------------------------------------------------------------------------
    def is_ready(self):
        """ Whether the session is open, and can be used for one more message """

        if self.smtp is None or self.messages >= self.MESSAGES or \
           self.clock() - self.opened >= self.SECONDS:
            return False
        try:
            # What the relay says unasked is that it goes away
            return not select.select([self.smtp.sock], [], [], 0)[0]
        except (OSError, ValueError, TypeError):
            return False

    # -------------------------------------------------------------------------
    def leave(self):
        """ Say QUIT, if the relay can hear it; close() takes the answer; never raises """

        if self.smtp and self.smtp.sock and not (self.receiving or self.left):
            # The relay may have closed first: then smtplib drops the socket
            with suppress(Exception):
                self.smtp.sock.settimeout(min(self.timeout, 1))
                self.smtp.putcmd("quit")
                self.left = True

    # -------------------------------------------------------------------------
    def close(self):
        """ Close the session, politely if it is still alive; never raises """

        self.leave()
        smtp, self.smtp, self.ahead = self.smtp, None, None
        if smtp is None:
            return
        if self.left and smtp.sock:
            # Nothing depends on the answer
            with suppress(Exception):
                self.answer_by = self.deadline = self.clock() + min(self.timeout, 1)
                smtp.getreply()
        with suppress(Exception):
            smtp.close()

    # -------------------------------------------------------------------------
    def _connect(self, context):
        """ Connect and take the banner; smtplib raises if it is not 220 """

        server = self.server
        # The time is for all addresses of that name together
        addresses = {address for *_, address in
                     socket.getaddrinfo(server.host, server.port,
                                        type=socket.SOCK_STREAM)}
        arguments = {"local_hostname": server.hostname,
                     "timeout": max(self._patience() / len(addresses), 0.01),
                     }
        if server.ssl:
            self.smtp = PunctualSSL(self._patience, server.host, server.port,
                                    context=context, **arguments)
        else:
            self.smtp = Punctual(self._patience, server.host, server.port, **arguments)
        return 220, b""

    # -------------------------------------------------------------------------
    def _login(self):
        """
            Log in, with one attempt: smtplib's own login() makes several, and
            can't encode what is not ASCII (RFC 4616 section 2: UTF-8)
        """

        offered = self.smtp.esmtp_features.get("auth", "").upper().split()
        # Without TLS rather in a way that does not show the password
        ways = {"PLAIN": self._plain, "LOGIN": self._login_by_steps}
        if self.server.starttls or self.server.ssl:
            ways["CRAM-MD5"] = self._cram_md5
        else:
            ways = {"CRAM-MD5": self._cram_md5, **ways}
        possible = [ways[name] for name in ways if name in offered]

        for number, way in enumerate(possible, 1):
            try:
                reply = way()
            except ValueError:
                # No MD5 on a host that goes by FIPS 140
                continue
            # Many relays offer CRAM-MD5 who have no secrets for it
            if reply[0] < 400 or way != self._cram_md5 or number == len(possible):
                return reply
        raise smtplib.SMTPNotSupportedError("The server offers no login that is possible here")

    # -------------------------------------------------------------------------
    def _plain(self):
        """ AUTH PLAIN (RFC 4616) """

        return self.smtp.docmd("AUTH", "PLAIN " + encoded("\0%s\0%s" % (self.server.user,
                                                                        self.server.password)))

    # -------------------------------------------------------------------------
    def _login_by_steps(self):
        """ AUTH LOGIN, as all servers have it, without an RFC """

        reply = self.smtp.docmd("AUTH", "LOGIN")
        for part in (self.server.user, self.server.password):
            if reply[0] == 334:
                reply = self.smtp.docmd(encoded(part))
        return reply

    # -------------------------------------------------------------------------
    def _cram_md5(self):
        """ AUTH CRAM-MD5 (RFC 2195); raises ValueError where there is no MD5 """

        hmac.new(b"", b"", "md5") # before the server waits for the answer
        reply = self.smtp.docmd("AUTH", "CRAM-MD5")
        if reply[0] == 334:
            try:
                challenge = b64decode(reply[1])
            except ValueError:
                # RFC 4954 section 4: cancelled, before another way is tried
                self.smtp.docmd("*")
                raise
            digest = hmac.new(self.server.password.encode("utf-8"), challenge, "md5")
            reply = self.smtp.docmd(encoded("%s %s" % (self.server.user, digest.hexdigest())))
        return reply

    # -------------------------------------------------------------------------
    def _hello(self):
        """ EHLO, or HELO where that is all the relay knows """

        reply = self._reply(EHLO, self.smtp.ehlo)
        if reply.code is not None and reply.code >= 500:
            reply = self._reply(EHLO, self.smtp.helo)
        error = classify(reply)
        if error:
            raise error

    # -------------------------------------------------------------------------
    def _context(self):
        """ The TLS context; unverified like Mail.send's, unless set """

        if not (self.server.ssl or self.server.starttls):
            return None
        if self.server.verify:
            try:
                return ssl.create_default_context(cafile=self.server.cafile)
            except OSError:
                raise ConfigurationFailure("Certificates of the authorities not readable") \
                      from None
        # Without those, which take their time to read
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    # -------------------------------------------------------------------------
    def _patience(self):
        """ How long to go on waiting for this reply (seconds) """

        return self.answer_by - self.clock()

    # -------------------------------------------------------------------------
    def _ask(self, phase, command, *args, **kwargs):
        """ Give a command; raises the DeliveryError if it is refused """

        error = classify(self._reply(phase, command, *args, **kwargs))
        if error:
            raise error

    # -------------------------------------------------------------------------
    def _reply(self, phase, command, *args, **kwargs):
        """
            Give a command and take the reply: the edge where smtplib's
            errors become ours

            Args:
                phase: where in the dialogue
                command: a method that returns (code, text), and its arguments

            Returns:
                the Reply

            Raises:
                ConfigurationFailure: what was to be done can't be done at all
        """

        if self.clock() >= self.deadline and phase != BODY:
            return Reply(phase, None, "took too long")
        return self._outcome(phase, command, *args, **kwargs)

    # -------------------------------------------------------------------------
    def _outcome(self, phase, command, *args, **kwargs):
        """ What a command came to; as _reply(), also when it is late """

        # Nobody knows what became of the content if the reply to it is not
        # waited for: all the time that is left, and never less than for any
        # other reply (RFC 5321 section 4.5.3.2.6 asks for 10 minutes)
        answer_by = self.clock() + self.timeout
        self.answer_by = max(self.deadline, answer_by) if phase == BODY else \
            min(self.deadline, answer_by)
        if self.smtp and self.smtp.sock:
            self.smtp.sock.settimeout(max(self._patience(), 0.01))
        try:
            code, text = command(*args, **kwargs)
        except smtplib.SMTPResponseException as error:
            code, text = error.smtp_code, error.smtp_error
        except smtplib.SMTPServerDisconnected as error:
            code, text = None, str(error)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            code, text = None, "Connection closed"
        except ssl.SSLError as error:
            if phase not in MESSAGE_PHASES:
                # Certificate or protocol version: only a person repairs that
                raise ConfigurationFailure(Reply(phase, None, "TLS impossible (%s)" %
                                                 (error.reason or "?"))) from None
            # It was possible until now: broken off, also after the content
            code, text = None, "TLS broken off (%s)" % (error.reason or "?")
        except ValueError as error:
            # What can't be encoded, or decoded, is ours: the configuration,
            # or this code
            kind = InternalFailure if phase in MESSAGE_PHASES else ConfigurationFailure
            raise kind(Reply(phase, None, "not possible (%s)" %
                             type(error).__name__)) from None
        except smtplib.SMTPException as error:
            # An extension is needed that the relay does not offer; before
            # OSError, of which it is a kind
            raise ConfigurationFailure(Reply(phase, None, str(error))) from None
        except OSError as error:
            code, text = None, error.strerror or str(error) or type(error).__name__

        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        text = one_line(text)[:400]
        if phase == AUTH:
            text = self.server.without_login(text)
        # smtplib's -1: that was no reply
        return Reply(phase, code if code and code > 0 else None, text)

    # -------------------------------------------------------------------------
    def _reset(self):
        """ Forget a message that was begun; False if that fails """

        if self.smtp is None or self.receiving:
            return False
        return classify(self._reply(MAIL, self.smtp.rset)) is None

# -----------------------------------------------------------------------------
def is_dropped(outcome):
    """ Whether the relay broke off before it was told a recipient """

    return any(isinstance(error, RelayUnavailable) and error.phase == MAIL
               for error in outcome.values())

# =============================================================================
class Punctual(smtplib.SMTP):
    """ smtplib's SMTP, which waits for a whole reply only so long """

    def __init__(self, patience, *args, **kwargs):
        """
            Args:
                patience: function that tells how long to go on waiting for
                          the reply (seconds)
                and those of smtplib
        """

        self.patience = patience
        super().__init__(*args, **kwargs)

    # -------------------------------------------------------------------------
    def getreply(self):
        """ Take a reply; smtplib itself would wait anew for each byte of it """

        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("Connection closed")
        if self.file is None:
            self.file = Lines(self.sock, self.patience)
        return super().getreply()

class PunctualSSL(Punctual, smtplib.SMTP_SSL):
    """ smtplib's SMTP_SSL, likewise """

# =============================================================================
class Lines:
    """ What smtplib needs of a file: readline() and close() """

    def __init__(self, sock, patience):

        self.sock = sock
        self.patience = patience
        self.buffer = b""

    # -------------------------------------------------------------------------
    def readline(self, limit):

        while b"\n" not in self.buffer and len(self.buffer) < limit:
            # Late, it is taken if it is there already
            self.sock.settimeout(max(self.patience(), 0))
            try:
                received = self.sock.recv(8192)
            except (BlockingIOError, ssl.SSLWantReadError):
                raise TimeoutError("The reply took too long") from None
            if not received:
                break
            self.buffer += received
        end = self.buffer.find(b"\n") + 1 or len(self.buffer)
        line, self.buffer = self.buffer[:end][:limit], self.buffer[end:]
        return line

    # -------------------------------------------------------------------------
    def close(self):

        self.buffer = b""

# END =========================================================================
