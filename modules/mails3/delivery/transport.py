# -*- coding: utf-8 -*-

"""
    From a stored message to the relay: composed, and handed over by sessions

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging
import time

from concurrent.futures import ThreadPoolExecutor

from ..message.address import BadInput, read_mailbox
from ..message.composition import compose
from ..smtp.dialogue import Envelope
from ..policy import ChannelFailure, ConfigurationFailure, DeliveryError, PermanentFailure
from ..smtp.session import Server, Session

__all__ = ("Transport", "is_native")

log = logging.getLogger("web2py.mails3")

# Mail.send delivers by itself when settings.server is one of these
NATIVE = ("logging", "gae", "aws")

# =============================================================================
class Transport:
    """ Has mail composed, and sessions hand it over """

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
        self.composed = {} # by session: (message, Envelope) of the next one

    # -------------------------------------------------------------------------
    def send(self, submission, message_id_header, recipients, within):
        """
            Compose a message and hand it over

            Args:
                submission: the Message
                message_id_header: its Message-ID
                recipients: those of its recipients to send it to
                within: the time it may take in all (seconds)

            Returns:
                dict {recipient: None if accepted, else the DeliveryError that
                is about that recipient}; without those that are to be handed
                over again

            Raises:
                ChannelFailure: there is no session, the message was not handed over
                DeliveryError: the message can not be composed
        """

        sending = self.sending(0, (submission, message_id_header, recipients), within)
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
                message: tuple (submission, message_id_header, recipients), as for send()
                within: the time it may take in all (seconds)
                following: the message that is most likely the next one for
                           that session, likewise; None = there is none

            Returns, raises:
                as send()
        """

        submission, message_id_header, recipients = message
        if is_native(self.mail.settings):
            compose(self.mail, submission.only_to(recipients), message_id_header,
                    str(self._sender(submission)))
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
        """ Compose the Envelope of a message, if it is not yet; see sending() """

        composed, mail = self.composed.pop(number, (None, None))
        if composed == message:
            return mail

        submission, message_id_header, recipients = message
        if not submission.to:
            # A mail of their own
            submission = submission.only_to(recipients)
        sender = self._sender(submission)
        return Envelope(sender.address, recipients,
                        compose(self.mail, submission, message_id_header, str(sender)),
                        submission.sender is None or self._is_own(sender.address))

    # -------------------------------------------------------------------------
    def _sender(self, submission):
        """ The sender of a message (Mailbox); raises ConfigurationFailure if there is none """

        sender = submission.sender or self.mail.configured("sender")
        if not sender:
            raise ConfigurationFailure("No sender configured")
        try:
            return read_mailbox(sender)
        except BadInput:
            raise ConfigurationFailure("The configured sender is no address") from None

    # -------------------------------------------------------------------------
    def _is_own(self, address):
        """ Whether an address is that of the configured sender """

        try:
            return read_mailbox(self.mail.configured("sender")).address == address
        except BadInput:
            return False

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
                ChannelFailure: not one can be had
        """

        if self.remote_server or is_native(self.mail.settings):
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
            except ChannelFailure as trouble:
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
    def ready(self, number):
        """
            How many sessions there are already

            Args:
                number: as for open()

            Returns:
                what open() would return; 0 if that would have something to do
        """

        if self.remote_server or is_native(self.mail.settings):
            return 1
        number = min(number, self.most or number)
        is_ready = len(self.sessions) >= number and \
            all(session.is_ready() for session in self.sessions[:number])
        return number if is_ready else 0

    # -------------------------------------------------------------------------
    def _session(self, number):
        """ One of the sessions; a new one is not open yet """

        while len(self.sessions) <= number:
            self.sessions.append(Session(self._server(), self.timeout))
        return self.sessions[number]

    # -------------------------------------------------------------------------
    def fingerprint(self, salt):
        """ Tell this configuration from another (see Server.fingerprint) """

        return self._any_server().fingerprint(self.mail.configured("sender"), salt)

    # -------------------------------------------------------------------------
    def login_fingerprint(self, salt):
        """ Tell this login from another (see Server.login_fingerprint) """

        return self._any_server().login_fingerprint(salt)

    # -------------------------------------------------------------------------
    def _any_server(self):
        """ The Server as configured; one that can't work, if there is none """

        try:
            return self._server()
        except ConfigurationFailure as error:
            return Server(str(error), 0)

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
    @staticmethod
    def _send_by(remote_server, mail):
        """ Hand a Envelope over by a connection of the caller's """

        refused = dict.fromkeys(mail.recipients)
        for recipient, reply in remote_server.sendmail(mail.sender, mail.recipients,
                                                       mail.content).items():
            refused[recipient] = PermanentFailure("%s %s" % reply)
        return refused

# -----------------------------------------------------------------------------
def is_native(settings):
    """ Whether Mail.send delivers by itself, with those settings of a Mail object """

    return str(settings.server).partition(":")[0] in NATIVE

# END =========================================================================
