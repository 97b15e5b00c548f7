# -*- coding: utf-8 -*-

"""
    One session with the relay: open, reuse, close; smtplib's errors become ours

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import hashlib
import re
import smtplib
import socket
import ssl
import time

from dataclasses import dataclass, field
from typing import Optional

from .policy import AUTH, BODY, CONNECT, DATA, EHLO, MAIL, RCPT, STARTTLS, \
                    ConfigTrouble, Never, RelayTrouble, Reply, Trouble, judge

__all__ = ("Server", "Session")

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
                ConfigTrouble: no server, or not as in "host:port"
        """

        address = settings.server
        if not address or not isinstance(address, str):
            raise ConfigTrouble("No mail server configured")

        host, colon, port = address.rpartition(":")
        if not colon or "]" in port:
            host, port = address, ""
        if port and not port.isdigit():
            raise ConfigTrouble("Mail server is not host:port")

        user = password = None
        if settings.login:
            user, colon, password = str(settings.login).partition(":")
            if not colon:
                raise ConfigTrouble("Mail login is not user:password")

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

        parts = repr((self.host, self.port, self.starttls, self.ssl,
                      self.hostname, self.user,
                      self.password, self.verify, self.cafile, sender))
        # Slow on purpose: the login is in it, and may be guessable
        return hashlib.pbkdf2_hmac("sha256", parts.encode("utf-8"),
                                   salt.encode("ascii"), 20000).hex()

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

    # -------------------------------------------------------------------------
    def transmit(self, sender, recipients, content, within, own_sender=True):
        """
            Hand one message over

            Args:
                sender: the envelope sender, a bare address
                recipients: the envelope recipients, bare addresses
                content: the message (str or bytes)
                within: the time it may take in all (seconds)
                own_sender: the sender is the configured one

            Returns:
                dict {recipient: None if accepted, else a DeliveryError};
                without those that were not asked for, as time ran short

            Raises:
                Trouble: the relay or the configuration is to blame
                NotNow, Never: the message was refused for all recipients
        """

        try:
            content = as_sent(content)
        except UnicodeEncodeError:
            raise Never("The message can not be encoded") from None

        self.open(within)
        reused = self.messages > 0
        try:
            try:
                self._mail(sender, len(content), own_sender)
            except RelayTrouble:
                if not reused:
                    raise
                # The relay has had enough of that session, not of us
                self.close()
                self.open(within)
                self._mail(sender, len(content), own_sender)
            return self._hand_over(recipients, content)
        except Exception as error:
            # After protocol trouble the session's state is anybody's guess
            if isinstance(error, RelayTrouble) or not self._reset():
                self.close()
            raise

    # -------------------------------------------------------------------------
    def _mail(self, sender, size, own_sender):
        """ Begin a message, telling its size where the relay wants to know """

        # RFC 1870 section 6: too large is refused before it is sent
        options = ["SIZE=%s" % size] if self.smtp.has_extn("size") else []
        self.messages += 1
        self._ask(MAIL, self.smtp.mail, sender, options, own_sender=own_sender)

    # -------------------------------------------------------------------------
    def _hand_over(self, recipients, content):
        """ RCPT, DATA and the content; as for transmit() """

        refused = {}
        half = (self.clock() + self.deadline) / 2
        for recipient in recipients:
            if self.clock() >= half and None in refused.values():
                # The rest of the time is for handing it over to those
                break
            error = judge(self._reply(RCPT, self.smtp.rcpt, recipient))
            if isinstance(error, Trouble):
                raise error
            refused[recipient] = error

        if all(refused.values()):
            if not self._reset():
                self.close()
            return refused

        self._ask(DATA, self.smtp.docmd, "DATA")
        self._ask(BODY, self._send, content)
        return refused

    # -------------------------------------------------------------------------
    def _send(self, content):
        """ Send the content and take the reply to it """

        # A large one may take longer than a reply
        self.smtp.sock.settimeout(max(self.deadline - self.clock(), 0.01))
        self.smtp.send(content)
        # Nobody knows what became of it if that is not waited for: all the
        # time that is left (RFC 5321 section 4.5.3.2.6 asks for 10 minutes)
        self.answer_by = self.deadline
        return self.smtp.getreply()

    # -------------------------------------------------------------------------
    def open(self, within):
        """
            Open the session, if it is not: connect, EHLO, STARTTLS, login

            Args:
                within: the time for that and the next message (seconds)

            Raises:
                Trouble: it can't be had
        """

        self.deadline = self.clock() + within
        if self.smtp and self.messages < self.MESSAGES and \
           self.clock() - self.opened < self.SECONDS:
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

    # -------------------------------------------------------------------------
    def close(self):
        """ Close the session, politely if it is still alive; never raises """

        smtp, self.smtp = self.smtp, None
        if smtp is None:
            return
        try:
            if smtp.sock:
                # Nothing depends on the answer
                smtp.sock.settimeout(min(self.timeout, 1))
                smtp.quit()
        except (OSError, smtplib.SMTPException):
            pass
        finally:
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
        """ Log in, with one attempt: smtplib's own login() makes several """

        smtp = self.smtp
        smtp.user, smtp.password = self.server.user, self.server.password
        offered = smtp.esmtp_features.get("auth", "").upper().split()

        # Without TLS rather in a way that does not show the password
        ways = ["PLAIN", "LOGIN"]
        ways.insert(2 if self.server.starttls or self.server.ssl else 0, "CRAM-MD5")
        for way in [way for way in ways if way in offered]:
            answer = getattr(smtp, "auth_" + way.lower().replace("-", "_"))
            try:
                return smtp.auth(way, answer)
            except smtplib.SMTPAuthenticationError:
                # Many relays offer it who have no secrets for it
                if way != "CRAM-MD5" or offered == [way]:
                    raise
        raise smtplib.SMTPNotSupportedError("The server offers no login that we know")

    # -------------------------------------------------------------------------
    def _hello(self):
        """ EHLO, or HELO where that is all the relay knows """

        reply = self._reply(EHLO, self.smtp.ehlo)
        if reply.code is not None and reply.code >= 500:
            reply = self._reply(EHLO, self.smtp.helo)
        error = judge(reply)
        if error:
            raise error

    # -------------------------------------------------------------------------
    def _context(self):
        """ The TLS context; unverified like Mail.send's, unless set """

        if not (self.server.ssl or self.server.starttls):
            return None
        try:
            context = ssl.create_default_context(cafile=self.server.cafile)
        except OSError:
            raise ConfigTrouble("Certificates of the authorities not readable") \
                  from None
        if not self.server.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    # -------------------------------------------------------------------------
    def _patience(self):
        """ How long to go on waiting for this reply (seconds) """

        return min(self.answer_by, self.deadline) - self.clock()

    # -------------------------------------------------------------------------
    def _ask(self, phase, command, *args, own_sender=True, **kwargs):
        """ Give a command; raises the DeliveryError if it is refused """

        error = judge(self._reply(phase, command, *args, **kwargs), own_sender)
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
                ConfigTrouble: what was to be done can't be done at all
        """

        if self.clock() >= self.deadline:
            return Reply(phase, None, "took too long")
        self.answer_by = self.clock() + self.timeout
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
            # Certificate or protocol version: only a person repairs that
            raise ConfigTrouble(Reply(phase, None, "TLS impossible (%s)" %
                                      (error.reason or "?"))) from None
        except ValueError as error:
            # What can't be encoded, or decoded, is ours: the configuration,
            # or this message
            kind = ConfigTrouble if phase in (CONNECT, EHLO, STARTTLS, AUTH) else Never
            raise kind(Reply(phase, None, "not possible (%s)" %
                             type(error).__name__)) from None
        except smtplib.SMTPException as error:
            # An extension is needed that the relay does not offer; before
            # OSError, of which it is a kind
            raise ConfigTrouble(Reply(phase, None, str(error))) from None
        except OSError as error:
            code, text = None, error.strerror or str(error) or type(error).__name__

        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        text = " ".join(text.split())[:400]
        if phase == AUTH:
            # Some relays repeat the login in their words
            for secret in (self.server.password, self.server.user):
                text = text.replace(secret, "***") if secret else text
        # smtplib's -1: that was no reply
        return Reply(phase, code if code and code > 0 else None, text)

    # -------------------------------------------------------------------------
    def _reset(self):
        """ Forget a message that was begun; False if that fails """

        if self.smtp is None:
            return False
        return judge(self._reply(MAIL, self.smtp.rset)) is None

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
            patience = self.patience()
            if patience <= 0:
                raise TimeoutError("The reply took too long")
            self.sock.settimeout(patience)
            received = self.sock.recv(8192)
            if not received:
                break
            self.buffer += received
        end = self.buffer.find(b"\n") + 1 or len(self.buffer)
        line, self.buffer = self.buffer[:end][:limit], self.buffer[end:]
        return line

    # -------------------------------------------------------------------------
    def close(self):

        self.buffer = b""

# -----------------------------------------------------------------------------
def as_sent(content):
    """ Lines end with CRLF, a leading dot is doubled, a dot ends it all """

    if isinstance(content, str):
        # Mail.send composes ASCII; what is not can not be sent as it is
        content = content.encode("ascii")
    content = re.sub(br"\r\n|\n|\r", b"\r\n", content)
    content = re.sub(br"(?m)^\.", b"..", content)
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    return content + b".\r\n"

# END =========================================================================
