# -*- coding: utf-8 -*-

"""
    One session with the relay: open it, reuse it, transmit messages by it,
    close it

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import time

from .client import Client
from .dialogue import Dialogue, Envelope
from .waits import run
from ..replies import MAIL, PermanentFailure, RelayUnavailable, classify

__all__ = ("Session",)

# The phase of RSET where no message was begun
RESET = "RSET"

# =============================================================================
class Session:
    """ A session with the relay, opened when it is needed, kept for reuse """

    # Relays close a session that has been used too often or too long (Postfix:
    # smtp_connection_reuse_count_limit and _time_limit)
    MAX_MESSAGES = 100
    MAX_AGE_S = 240

    def __init__(self, server, timeout_s, clock=time.monotonic, observe=None):
        """
            Args:
                server: the Server
                timeout_s: the longest wait for one reply (seconds)
                clock: function that tells the time (seconds)
                observe: function to be called with each reply, to keep what was
                         said: observe(reply, error, seconds), with the Reply,
                         the DeliveryError that it means (None = the relay
                         agreed), and the time since the command was given;
                         None = nobody observes
        """

        self.server = server
        self.timeout_s = timeout_s
        self.clock = clock
        self.observe = observe

        self.client = None     # the Client, while the session is open
        self.opened_at = 0     # by the clock
        self.messages = 0      # how many have been begun
        self.ahead = None      # the Dialogue whose first group has been given already

    # -------------------------------------------------------------------------
    def transmit(self, envelope, within_s, following=None):
        """ Hand one message over, and block until that is done; see transmitting() """

        return run(self.transmitting(envelope, within_s, following), self.clock)

    # -------------------------------------------------------------------------
    def transmitting(self, envelope, within_s, following=None):
        """
            Hand one message over; a generator, so that other sessions go on
            while this one waits
            - it blocks only where it opens a new session, or closes one

            Args:
                envelope: the Envelope
                within_s: the time that the message may take in all (seconds)
                following: the Envelope that is most likely the next one: its
                           sender and recipients are sent along with the content
                           of this one, if the relay allows; None = no next one

            Yields:
                a Wait (see waits.py), each time it would block; it may be resumed
                earlier or later than the Wait says

            Returns:
                dict {recipient: None if accepted, else the DeliveryError about
                that recipient}; without the recipients that the next
                transaction has to try

            Raises:
                ChannelFailure: the session can't be opened; nothing was handed over
                PermanentFailure: the message can't be encoded
        """

        self.open(within_s)
        if self.ahead and not (self.ahead.envelope is envelope and self.ahead.is_answered()):
            # The relay expects the content of another message, or no content
            self.close()
            self.open(within_s)
        is_reused = self.messages > 0
        try:
            outcome = yield from self._converse(envelope, following)
            if is_reused and is_dropped(outcome):
                # The relay has had enough of this session, not of this site
                rest_s = self.client.deadline - self.clock()
                self.close()
                self.open(rest_s)
                outcome = yield from self._converse(envelope, following)
            if not (yield from self._is_usable(outcome)):
                self.close()
        except BaseException:
            # Nobody knows what the relay expects next; also if the generator is given up
            self.close()
            raise
        return outcome

    # -------------------------------------------------------------------------
    def _converse(self, envelope, following):
        """ Hold the dialogue about one message; see transmitting() """

        self.messages += 1
        client, clock = self.client, self.clock
        half_time = (clock() + client.deadline) / 2
        dialogue, self.ahead = self.ahead or Dialogue(envelope, client.extensions), None
        ahead = self._opened_ahead(following)
        steps = dialogue.hand_over(lambda: clock() >= half_time, ahead)
        try:
            group = next(steps)
            while True:
                group = steps.send((yield from client.exchange(group)))
        except StopIteration as end:
            return end.value
        finally:
            if ahead and ahead.replies:
                self.ahead = ahead

    # -------------------------------------------------------------------------
    def _opened_ahead(self, envelope):
        """ The Dialogue about the next message, if it may be opened ahead; else None """

        if envelope is None or self.messages >= self.MAX_MESSAGES:
            return None
        try:
            dialogue = Dialogue(envelope, self.client.extensions)
        except PermanentFailure:
            # The message fails when it has its turn
            return None
        return dialogue if dialogue.may_be_opened_ahead() else None

    # -------------------------------------------------------------------------
    def _is_usable(self, outcome):
        """
            Whether the session can be used for another message; a generator
            - a message that nobody was accepted for is reset first

            Args:
                outcome: of the message before, as transmitting() returns it
        """

        if any(isinstance(error, RelayUnavailable) for error in outcome.values()):
            # After a protocol failure the state of the session is not known
            return False
        if None in outcome.values() or self.ahead:
            return True
        if self.client.must_send_content:
            return False
        reply, = yield from self.client.exchange([(MAIL, b"RSET\r\n")])
        return classify(reply) is None

    # -------------------------------------------------------------------------
    def try_envelope(self, sender, recipient, within_s):
        """
            Ask whether the relay would take a message, without a message:
            MAIL, RCPT, RSET; blocks

            Args:
                sender: a bare address (str)
                recipient: a bare address (str)
                within_s: the time for all of it (seconds)

            Raises:
                DeliveryError: the relay refuses, or the session can't be opened
        """

        self.open(within_s)
        # Without extensions, each group is one command
        for group in Dialogue(Envelope(sender, [recipient], ""), {}).groups:
            reply, = run(self.client.exchange(group), self.clock)
            error = classify(reply)
            if error:
                raise error
        run(self.client.exchange([(RESET, b"RSET\r\n")]), self.clock)

    # -------------------------------------------------------------------------
    def open(self, within_s):
        """
            Open the session, if it is not open; blocks

            Args:
                within_s: the time for this and for the next message (seconds)

            Raises:
                ChannelFailure: the session can't be opened
        """

        deadline = self.clock() + within_s
        if self.is_ready():
            self.client.deadline = deadline
            return
        self.close()

        self.client = Client(self.server, deadline, self.timeout_s, self.clock, self.observe)
        try:
            self.client.connect()
        except BaseException:
            self.close()
            raise
        self.opened_at, self.messages = self.clock(), 0

    # -------------------------------------------------------------------------
    def looks_ahead(self):
        """ Whether the relay lets the next envelope be sent along with a content (RFC 2920) """

        return self.client is not None and "pipelining" in self.client.extensions

    # -------------------------------------------------------------------------
    def is_ready(self):
        """ Whether the session is open, and may be used for one more message """

        return self.client is not None and self.messages < self.MAX_MESSAGES and \
            self.clock() - self.opened_at < self.MAX_AGE_S and self.client.is_quiet()

    # -------------------------------------------------------------------------
    def leave(self):
        """
            Give QUIT, if the relay can understand it now; close() takes the
            answer. To close several sessions without waiting for each, call
            leave() for all of them first. Never raises.
        """

        if self.client:
            self.client.quit()

    # -------------------------------------------------------------------------
    def close(self):
        """ Close the session, with QUIT if the relay can understand it; never raises """

        self.leave()
        client, self.client, self.ahead = self.client, None, None
        if client:
            client.close()

# -----------------------------------------------------------------------------
def is_dropped(outcome):
    """ Whether the relay broke off before any recipient was named (outcome: dict) """

    return any(isinstance(error, RelayUnavailable) and error.phase == MAIL
               for error in outcome.values())

# END =========================================================================
