# -*- coding: utf-8 -*-

"""
    From a stored message to the relay: composed, and handed over by sessions

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging
import time

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from ..message.composition import compose
from ..message.stored import Message
from ..replies import ChannelFailure, DeliveryError, PermanentFailure, TransientFailure
from ..smtp.dialogue import Envelope
from ..smtp.session import Session
from ..smtp.waits import run
from .configuration import Configuration, is_native

__all__ = ("Direct", "Transport", "send_directly")

log = logging.getLogger("web2py.mails3")

# Which part of a message's time may be spent with further sessions
OPENING_PART = 1 / 4

# How many replies a message may wait for in all that is sent directly
DIRECT_REPLIES = 6

# =============================================================================
class Direct(NamedTuple):
    """ A message that is sent without the queue; as Outgoing, for Transport """

    message: Message
    message_id_header: str
    recipients: list

# =============================================================================
class Transport:
    """
        Hands over the messages of a channel. A host with channels of its own
        has transports of its own, with the same methods.
    """

    # Whether sending() may keep the run waiting for as long as a message may take
    is_blocking = False

    def __init__(self, mail, timeout_s, remote_server=None, clock=time.monotonic):
        """
            Args:
                mail: the MailS3
                timeout_s: the longest wait for one reply (seconds)
                remote_server: a live connection of the caller's, to be used
                clock: tells the time (seconds)
        """

        self.mail = mail
        self.configuration = Configuration(mail)
        self.timeout_s = timeout_s
        self.remote_server = remote_server
        self.clock = clock
        self.sessions = []
        self.max_sessions = None # how many the relay takes at a time; None = unknown
        self.composed = {}       # by session: (Outgoing, Envelope) of its next message

    # -------------------------------------------------------------------------
    def sending(self, session, outgoing, within_s, following=None):
        """
            Compose a message and hand it over by one of the sessions

            Args:
                session: the number of the session, from 0; less than open()
                         has returned
                outgoing: the Outgoing or Direct
                within_s: the time that it may take in all (seconds)
                following: the Outgoing that is most likely the next one in
                           that session, or None

            Yields:
                a Wait while the relay has to answer; None to go on at once

            Returns:
                dict {recipient: None if accepted, else the DeliveryError that
                is about that recipient}; without the recipients that are to be
                handed over again

            Raises:
                ChannelFailure: there is no session, the message was not handed over
                DeliveryError: the message can not be composed
        """

        if is_native(self.mail.settings):
            compose(self.mail, outgoing.message.only_to(outgoing.recipients),
                    outgoing.message_id_header, str(self.configuration.sender_of(outgoing.message)))
            return dict.fromkeys(outgoing.recipients)

        envelope = self._envelope(session, outgoing)
        if self.remote_server:
            return send_by(self.remote_server, envelope)

        ahead = None
        if following:
            try:
                ahead = self._envelope(session, following)
                self.composed[session] = following, ahead
            except DeliveryError:
                # Handled when it is its turn
                pass
        return (yield from self._session(session).transmitting(envelope, within_s, ahead))

    # -------------------------------------------------------------------------
    def _envelope(self, session, outgoing):
        """ The Envelope of a message, composed if it is not yet """

        composed, envelope = self.composed.pop(session, (None, None))
        if composed == outgoing:
            return envelope

        message, recipients = outgoing.message, outgoing.recipients
        if not message.to:
            # Each recipient gets a mail of their own
            message = message.only_to(recipients)
        sender = self.configuration.sender_of(message)
        return Envelope(sender.address, recipients,
                        compose(self.mail, message, outgoing.message_id_header, str(sender)),
                        self.configuration.is_own_sender(message))

    # -------------------------------------------------------------------------
    # Sessions
    #
    def open(self, count, within_s):
        """
            Open sessions

            Args:
                count: how many at most
                within_s: the time for that and the next messages (seconds)

            Returns:
                how many are open

            Raises:
                ChannelFailure: not one can be opened
        """

        if self.is_local():
            return 1
        start = self.clock()
        self._session(0).open(within_s)
        count = min(count, self.max_sessions or count)
        if count == 1 or self.clock() - start > within_s * OPENING_PART:
            # Continue with one session
            return 1

        def is_opened(session):
            try:
                session.open(min(self.timeout_s, within_s * OPENING_PART))
            except ChannelFailure as failure:
                log.info("The mail server takes no more sessions (%s).", failure)
                return False
            return True

        # The threads only wait for the relay
        with ThreadPoolExecutor(count - 1) as pool:
            opened = list(pool.map(is_opened, [self._session(each)
                                               for each in range(1, count)]))
        if not all(opened):
            self.max_sessions = count = 1 + opened.index(False)
        return count

    # -------------------------------------------------------------------------
    def is_ready(self, session):
        """ Whether a session (its number) is open, and takes one more message """

        if self.is_local():
            return session == 0
        return session < len(self.sessions) and self.sessions[session].is_ready()

    # -------------------------------------------------------------------------
    def looks_ahead(self, session):
        """ Whether a session (its number) makes use of its following message """

        return session < len(self.sessions) and self.sessions[session].looks_ahead()

    # -------------------------------------------------------------------------
    def is_local(self):
        """ Whether no session is needed """

        return bool(self.remote_server) or is_native(self.mail.settings)

    # -------------------------------------------------------------------------
    def _session(self, number):
        """ One of the sessions; a new one is not open yet """

        while len(self.sessions) <= number:
            self.sessions.append(Session(self.configuration.server(), self.timeout_s))
        return self.sessions[number]

    # -------------------------------------------------------------------------
    def close(self):
        """ Close the sessions, all at the same time """

        for session in self.sessions:
            session.leave()
        while self.sessions:
            self.sessions.pop().close()
        self.composed.clear()

    # -------------------------------------------------------------------------
    def fingerprint(self, salt):
        """ Tell this configuration from another, see Configuration """

        return self.configuration.fingerprint(salt)

    # -------------------------------------------------------------------------
    def login_fingerprint(self, salt):
        """ Tell this login from another, see Configuration """

        return self.configuration.login_fingerprint(salt)

# -----------------------------------------------------------------------------
def send_by(remote_server, envelope):
    """ Hand an Envelope over by a connection of the caller's """

    outcome = dict.fromkeys(envelope.recipients)
    for recipient, reply in remote_server.sendmail(envelope.sender, envelope.recipients,
                                                   envelope.content).items():
        outcome[recipient] = PermanentFailure("%s %s" % reply)
    return outcome

# -----------------------------------------------------------------------------
def send_directly(mail, direct, timeout_s, remote_server=None):
    """
        Send a message now, without the queue

        Args:
            mail: the MailS3
            direct: the Direct
            timeout_s: the longest wait for one reply (seconds)
            remote_server: a live connection of the caller's, to be used

        Returns:
            dict {recipient: None if accepted, else the DeliveryError}

        Raises:
            Exception: the message was not handed over
    """

    transport = Transport(mail, timeout_s, remote_server)
    try:
        outcome = run(transport.sending(0, direct, DIRECT_REPLIES * timeout_s))
    finally:
        transport.close()
    for address in direct.recipients:
        outcome.setdefault(address, TransientFailure("Time ran short"))
    return outcome

# END =========================================================================
