# -*- coding: utf-8 -*-

"""
    From a stored message to the relay: composed, and handed over by sessions

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from functools import partial
from math import inf

from ..message.composition import compose
from ..message.redirect import redirected
from ..replies import PermanentFailure
from ..smtp.envelope import needs_utf8
from ..smtp.session import Session
from .configuration import Configuration
from .envelopes import as_redirected, envelope_of

__all__ = ("Transport",)

# =============================================================================
class Transport:
    """
        Hands over the messages of a channel. A host with channels of its own
        has transports of its own, with the same methods.
    """

    def __init__(self, mail, timeout_s, relay_settings=None, remote_server=None):
        """
            Args:
                mail: the MailS3
                timeout_s: the longest wait for one reply (seconds)
                relay_settings: those of a further relay; None = the first one
                remote_server: a live connection of the caller's, to be used
        """

        self.mail = mail
        self.configuration = Configuration(mail, relay_settings)
        self.timeout_s = timeout_s
        self.remote_server = remote_server
        self.sessions = []
        self.max_messages = None # by one session, as the relay has told; None = no limit is known
        self.composed = {} # by session: (Outgoing, Envelope) of its next message

    # -------------------------------------------------------------------------
    def sending(self, session, outgoing, within_s, following=None, final_within_s=0):
        """
            Compose a message and hand it over by one of the sessions, which is
            opened if it is not open

            Args:
                session: the number of the session, from 0
                outgoing: the Outgoing or Direct
                within_s: the time that it may take in all (seconds)
                following: function that gives the Outgoing that is the next one
                           for that session, or None; see is_ahead(). None = no
                           next one
                final_within_s: the time within which the relay has to answer the
                                content, if that is more than within_s (seconds)

            Yields:
                a Wait while the relay has to answer; None to go on at once

            Returns:
                dict {recipient: None if accepted, else the DeliveryError that
                is about that recipient}; without the recipients that are to be
                handed over again

            Raises:
                ChannelFailure, Throttled: there is no session, the message was
                                           not handed over
                DeliveryError: the message can not be composed
        """

        if self.configuration.is_native():
            message = self._redirected(outgoing.message.only_to(outgoing.recipients))
            compose(self.mail, message,
                    outgoing.message_id_header, str(self.configuration.sender_of(message)))
            return dict.fromkeys(outgoing.recipients)

        envelope = self._envelope(session, outgoing)
        if self.remote_server:
            return as_redirected(outgoing, envelope, send_by(self.remote_server, envelope))

        ours = self._session(session)
        try:
            outcome = yield from ours.transmitting(
                envelope, within_s,
                following and partial(self._next_envelope, session, following), final_within_s)
        finally:
            if ours.max_messages < (self.max_messages or Session.MAX_MESSAGES):
                self.limit_sessions(ours.max_messages)
        return as_redirected(outgoing, envelope, outcome)

    # -------------------------------------------------------------------------
    def _redirected(self, message):
        """ A Message, for another recipient if the site has set one """

        address = self.mail.options.redirect_to
        return redirected(message, address) if address else message

    # -------------------------------------------------------------------------
    def _next_envelope(self, session, following):
        """ The Envelope of a session's next message; as for sending() """

        outgoing = following()
        if outgoing is None:
            return None
        try:
            envelope = self._envelope(session, outgoing)
        except Exception:
            # It fails when it has its turn, and the message before it does not
            return None
        self.composed[session] = outgoing, envelope
        return envelope

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
        if self.mail.options.redirect_to:
            message = self._redirected(message)
            recipients = message.recipients
        return envelope_of(self.mail, self.configuration, message, recipients,
                           outgoing.message_id_header)

    # -------------------------------------------------------------------------
    # Sessions
    #
    def opening(self, session, within_s, banner_within_s=inf):
        """
            Open a session

            Args:
                session: its number, from 0
                within_s: the time for that (seconds)
                banner_within_s: the time until the relay has greeted, if less (seconds)

            Yields:
                as sending()

            Raises:
                ChannelFailure, Throttled: the session can't be opened
        """

        yield from self._session(session).opening(within_s, banner_within_s)

    # -------------------------------------------------------------------------
    def is_in_doubt(self, session):
        """ Whether the relay may have the message that a session (its number) hands over """

        return session < len(self.sessions) and self.sessions[session].is_in_doubt()

    # -------------------------------------------------------------------------
    def is_ready(self, session):
        """ Whether a session (its number) is open, and takes one more message """

        if self.is_serial:
            return session == 0
        return session < len(self.sessions) and self.sessions[session].is_ready()

    # -------------------------------------------------------------------------
    def looks_ahead(self, session):
        """ Whether a session (its number) asks for its next message ahead """

        return session < len(self.sessions) and self.sessions[session].looks_ahead()

    # -------------------------------------------------------------------------
    def is_ahead(self, session):
        """ Whether the relay has got the envelope of a session's next message already """

        return session < len(self.sessions) and self.sessions[session].is_ahead()

    # -------------------------------------------------------------------------
    @property
    def is_serial(self):
        """ Whether there is nothing to wait for, so that one message follows the other """

        return bool(self.remote_server) or self.configuration.is_native()

    # -------------------------------------------------------------------------
    def _session(self, number):
        """ One of the sessions; a new one is not open yet """

        while len(self.sessions) <= number:
            self.sessions.append(Session(self.configuration.server(), self.timeout_s,
                                         max_messages = self.max_messages or Session.MAX_MESSAGES))
        return self.sessions[number]

    # -------------------------------------------------------------------------
    def leave(self, session):
        """ Close a session (its number): the relay takes fewer of them """

        if session < len(self.sessions):
            self.sessions[session].close()

    # -------------------------------------------------------------------------
    def limit_sessions(self, max_messages):
        """ The relay takes so many messages by one session; None = no limit is known """

        self.max_messages = max_messages
        for session in self.sessions:
            session.max_messages = max_messages or Session.MAX_MESSAGES

    # -------------------------------------------------------------------------
    def close(self):
        """ Close the sessions, all at the same time """

        for session in self.sessions:
            session.leave()
        while self.sessions:
            self.sessions.pop().close()
        self.composed.clear()

    # -------------------------------------------------------------------------
    def findings(self):
        """
            What the sessions have found out about the relay's certificate

            Returns:
                list of tuples (relay as host:port, Finding)
        """

        return [(session.server.address, session.finding)
                for session in self.sessions if session.finding]

    # -------------------------------------------------------------------------
    def relay_name(self):
        """ Tell this relay from another (str), see Configuration """

        return self.configuration.relay_name()

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

    outcome, content, options = dict.fromkeys(envelope.recipients), envelope.content, {}
    if needs_utf8(envelope.sender, envelope.recipients):
        options = {"mail_options": ["SMTPUTF8", "BODY=8BITMIME"]}
        content = content.encode("utf-8") if isinstance(content, str) else content
    for recipient, reply in remote_server.sendmail(envelope.sender, envelope.recipients,
                                                   content, **options).items():
        outcome[recipient] = PermanentFailure("%s %s" % reply)
    return outcome

# END =========================================================================
