# -*- coding: utf-8 -*-

"""
    From a stored message to the relay: Mail.send composes, sessions hand over

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging
import re
import time

from concurrent.futures import ThreadPoolExecutor
from email.errors import MessageError
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import Compat32
from functools import partial
from types import FunctionType

from gluon.tools import Mail

from .address import BadInput, address_of
from .dialogue import MailObject
from .policy import ConfigTrouble, DeliveryError, Never, NotNow, Trouble
from .smtp import Server, Session

__all__ = ("Transport", "substitute")

log = logging.getLogger("web2py.mails3")

# What the email package raises over a message that it can not write
UNFIT = (MessageError, ValueError, TypeError, AttributeError)

# Mail.send delivers by itself when settings.server is one of these
NATIVE = ("logging", "gae", "aws")

# RFC 5322 section 2.1.1, without the line's end
LONGEST_LINE = 998

# =============================================================================
class Transport:
    """ Has Mail.send compose mail, and sessions hand it over """

    def __init__(self, mail, timeout, remote_server=None, clock=time.monotonic):
        """
            Args:
                mail: the MailS3
                timeout: the longest wait for one reply (seconds)
                remote_server: a live connection of the caller's, to be used
                clock: tells the time (seconds)
        """

        self.mail = mail
        self.timeout = timeout
        self.remote_server = remote_server
        self.clock = clock
        self.sessions = []
        self.most = None # sessions that the relay puts up with
        self.composed = {} # by session: (message, MailObject) of the next one

    # -------------------------------------------------------------------------
    def send(self, submission, message_id, recipients, within):
        """
            Compose a message and hand it over

            Args:
                submission: the Submission
                message_id: its Message-ID
                recipients: those of its recipients to send it to
                within: the time it may take in all (seconds)

            Returns:
                dict {recipient: None if accepted, else a DeliveryError}

            Raises:
                Trouble: the relay or the configuration is to blame
                NotNow, Never: the message was refused for all recipients
        """

        sending = self.sending(0, (submission, message_id, recipients), within)
        while True:
            try:
                next(sending)
            except StopIteration as end:
                return end.value

    # -------------------------------------------------------------------------
    def sending(self, number, message, within, following=None):
        """
            Compose a message and hand it over by one of the sessions: a
            generator, which pauses while the relay is to answer, so that
            others can go on meanwhile

            Args:
                number: of the session, from 0; less than open() has said
                message: tuple (submission, message_id, recipients), as for send()
                within: the time it may take in all (seconds)
                following: the message that is most likely the next one for
                           that session, likewise; None = there is none

            Returns, raises:
                as send()
        """

        submission, message_id, recipients = message
        if self._is_native():
            self._compose(submission.only_to(recipients), message_id, self._sender(submission))
            return dict.fromkeys(recipients)

        mail = self._mail_object(number, message)
        if self.remote_server:
            return self._send_by(self.remote_server, mail)

        ahead = None
        if following:
            try:
                ahead = self._mail_object(number, following)
                self.composed[number] = following, ahead
            except DeliveryError:
                # For its own turn
                pass
        return (yield from self._session(number).transmitting(mail, within, ahead))

    # -------------------------------------------------------------------------
    def _mail_object(self, number, message):
        """ Compose the MailObject of a message, if it is not yet; see sending() """

        composed, mail = self.composed.pop(number, (None, None))
        if composed == message:
            return mail

        submission, message_id, recipients = message
        if not submission.to:
            # A mail of their own
            submission = submission.only_to(recipients)
        sender, configured = self._sender(submission), self.mail.settings.sender
        try:
            envelope = address_of(sender)
        except BadInput:
            raise ConfigTrouble("The configured sender is no address") from None
        return MailObject(envelope, recipients,
                          self._compose(submission, message_id, sender),
                          sender is configured or is_address(configured, envelope))

    # -------------------------------------------------------------------------
    def _sender(self, submission):
        """ The sender of a message; raises ConfigTrouble if there is none """

        sender = submission.sender or self.mail.settings.sender
        if not sender or not isinstance(sender, str):
            raise ConfigTrouble("No sender configured")
        return sender

    # -------------------------------------------------------------------------
    def open(self, number, within):
        """
            Have sessions ready

            Args:
                number: how many at most
                within: the time for that and the next messages (seconds)

            Returns:
                how many there are

            Raises:
                Trouble: not one can be had
        """

        if self.remote_server or self._is_native():
            return 1
        start = self.clock()
        self._session(0).open(within)
        number = min(number, self.most or number)
        if number == 1 or self.clock() - start > within / 4:
            # What there is must do
            return 1

        def is_opened(session):
            try:
                session.open(min(self.timeout, within / 4))
            except Trouble as trouble:
                log.info("The mail server takes no more sessions (%s).", trouble)
                return False
            return True

        # All that this does is to wait
        with ThreadPoolExecutor(number - 1) as pool:
            opened = list(pool.map(is_opened, [self._session(each)
                                               for each in range(1, number)]))
        if not all(opened):
            self.most = number = 1 + opened.index(False)
        return number

    # -------------------------------------------------------------------------
    def is_open(self, number):
        """ Whether open() would have nothing to do """

        if self.remote_server or self._is_native():
            return True
        number = min(number, self.most or number)
        return len(self.sessions) >= number and \
            all(session.is_ready() for session in self.sessions[:number])

    # -------------------------------------------------------------------------
    def _session(self, number):
        """ One of the sessions; a new one is not open yet """

        while len(self.sessions) <= number:
            self.sessions.append(Session(self._server(), self.timeout))
        return self.sessions[number]

    # -------------------------------------------------------------------------
    def _is_native(self):
        """ Whether Mail.send is to deliver by itself """

        return str(self.mail.settings.server).partition(":")[0] in NATIVE

    # -------------------------------------------------------------------------
    def fingerprint(self, salt):
        """ Tell this configuration from another (see Server.fingerprint) """

        try:
            server = self._server()
        except ConfigTrouble as error:
            # None that could work
            server = Server(str(error), 0)
        return server.fingerprint(self.mail.settings.sender, salt)

    # -------------------------------------------------------------------------
    def close(self):
        """ Close the sessions, all at once """

        for session in self.sessions:
            session.leave()
        while self.sessions:
            self.sessions.pop().close()
        self.composed.clear()

    # -------------------------------------------------------------------------
    def _server(self):
        """ The Server as configured """

        options = self.mail.options
        return Server.read(self.mail.settings,
                           verify = options.verify_tls,
                           cafile = options.cafile or None,
                           )

    # -------------------------------------------------------------------------
    def _compose(self, submission, message_id, sender):
        """
            Compose a message: Mail.send's own work, with a stand-in for
            smtplib that takes what it would send

            Returns:
                the message (str or bytes), or None if Mail.send has
                delivered it by itself
        """

        arguments = submission.arguments()
        arguments["sender"] = sender
        headers = arguments["headers"]
        if not any(name.lower() == "message-id" for name in headers):
            headers["Message-ID"] = message_id

        composer = Composer()
        send = substitute(Mail.send, smtplib=composer, MIMEText=text_part,
                          MIMEMultipart=partial(MIMEMultipart, policy=UNFOLDED))
        try:
            composed = send(self.mail, **arguments)
        except Exception as error:
            raise Never("The message can not be composed (%s)" %
                        type(error).__name__) from None
        if not composed:
            # An exception is about the message; a text is about gpg or x509,
            # which the admin may repair
            kind = Never if isinstance(self.mail.error, UNFIT) else NotNow
            raise kind("The message can not be composed: %s" % self.mail.error)
        return folded(composer.content)

    # -------------------------------------------------------------------------
    @staticmethod
    def _send_by(remote_server, mail):
        """ Hand a MailObject over by a connection of the caller's """

        refused = dict.fromkeys(mail.recipients)
        for recipient, reply in remote_server.sendmail(mail.sender, mail.recipients,
                                                       mail.content).items():
            refused[recipient] = Never("%s %s" % reply)
        return refused

# -----------------------------------------------------------------------------
def folded(content):
    """
        A message whose header lines are as short as they must be: Mail.send
        writes all recipients into one (RFC 5322 sections 2.1.1 and 2.2.3)

        Args:
            content: the message; bytes are signed, and stay as they are

        Returns:
            the message
    """

    if not isinstance(content, str):
        return content
    head, blank, body = content.partition("\n\n")
    lines = []
    for line in head.split("\n"):
        while len(line) > LONGEST_LINE:
            end = line.rfind(" ", 1, LONGEST_LINE)
            if end < 0:
                break
            lines.append(line[:end])
            line = line[end:]
        lines.append(line)
    return "\n".join(lines) + blank + body

# -----------------------------------------------------------------------------
def substitute(function, **names):
    """
        The same function, with stand-ins for names of its module
        - it is itself left alone: other threads and other apps use it, too
    """

    same = FunctionType(function.__code__,
                        dict(function.__globals__, **names),
                        function.__name__,
                        function.__defaults__,
                        function.__closure__,
                        )
    same.__kwdefaults__ = function.__kwdefaults__
    return same

# -----------------------------------------------------------------------------
def is_address(text, address):
    """ Whether a header text, if it is one, has that address """

    try:
        return address_of(text) == address
    except (BadInput, TypeError, AttributeError):
        return False

# =============================================================================
class Composer:
    """
        Stands for smtplib while Mail.send composes: catches what it would
        send
    """

    SMTPException = Exception

    def __init__(self):

        self.content = None

    # -------------------------------------------------------------------------
    def SMTP(self, *args, **kwargs):

        return self

    SMTP_SSL = SMTP

    def sendmail(self, sender, recipients, content):

        self.content = content
        return {}

    def ehlo(self, *args):
        pass

    starttls = login = quit = close = ehlo

# =============================================================================
class Unfolded(Compat32):
    """
        The email package's own policy, which takes no detour for a header line
        that it writes as it is: half of what composing a mail costs
    """

    AS_IT_IS = re.compile(r"[!-~](?:[ -~]*[!-~])?")

    # -------------------------------------------------------------------------
    def fold(self, name, value):

        if not self.max_line_length and isinstance(value, str) and \
           self.AS_IT_IS.fullmatch(value):
            return "%s: %s%s" % (name, value, self.linesep)
        return super().fold(name, value)

UNFOLDED = Unfolded()

# -----------------------------------------------------------------------------
def text_part(text, *args, **kwargs):
    """ MIMEText, also for the bytes that web2py 2.x makes of a raw message """

    if isinstance(text, bytes):
        text = text.decode("utf-8")
    return MIMEText(text, *args, policy=UNFOLDED, **kwargs)

# END =========================================================================
