# -*- coding: utf-8 -*-

"""
    One session with the relay: open it, reuse it, transmit messages by it,
    close it

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import time

from functools import partial
from math import inf

from .client import Client, hold
from .deadlines import Deadlines
from .dialogue import Dialogue
from .next_dialogue import NextDialogue
from .outcome import is_about_session, is_dropped, refused_parameters
from .waits import in_thread, run
from ..replies import MAIL, PermanentFailure, breaks_off, classify

__all__ = ("Session",)

# A connection that is late ends by itself, and says at which step; only the DNS
# takes longer (seconds)
EXTRA_TIME_S = 1

# =============================================================================
class Session:
    """ A session with the relay, opened when it is needed, kept for reuse """

    # Relays close a session used too often or too long (Postfix: smtp_connection_reuse_*_limit)
    MAX_MESSAGES = 100
    MAX_AGE_S = 240

    def __init__(self, server, timeout_s, clock=time.monotonic, observe=None,
                 max_messages=MAX_MESSAGES):
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
                max_messages: by one connection; becomes less when the relay says so
        """

        self.server = server
        self.timeout_s = timeout_s
        self.clock = clock
        self.observe = observe
        self.max_messages = max_messages

        self.client = None     # the Client, while the session is open
        self.refused = set()   # extensions that the relay offers, and does not take
        self.left = None       # the Client before, which has been given QUIT
        self.finding = None    # the last Finding about the relay's certificate (verification.py)
        self.opened_at = 0     # by the clock
        self.messages = 0      # how many have been begun
        self.accepted = 0      # how many of these the relay has accepted
        self.ahead = NextDialogue()

    # -------------------------------------------------------------------------
    def transmitting(self, envelope, within_s, following=None, final_within_s=0):
        """
            Hand one message over; a generator, so that other sessions go on
            while this one waits

            Args:
                envelope: the Envelope
                within_s: the time that the message may take in all (seconds)
                following: function that gives the Envelope that is the next one
                           for this session, or None: it is asked when the
                           content is about to be sent, and if the relay allows,
                           sender and recipients of the next one are sent along;
                           else when the message is finished, and only the sender
                           is given (see is_ahead()); None = no next one
                final_within_s: the time within which the relay has to answer the
                                content, if that is more than within_s (seconds)

            Yields:
                a Wait (see waits.py); it may be resumed earlier or later than that says

            Returns:
                as Dialogue.hand_over()

            Raises:
                ChannelFailure, Throttled: there is no session, or the relay can't
                                           take our sender; nothing was handed over
        """

        start = self.clock()
        deadlines = Deadlines(start + within_s, start + final_within_s)
        yield from self._opening(deadlines)
        if self.is_ahead() and not self.ahead.fits(envelope):
            # The relay expects the content of another message, or no content
            self.leave()
            yield from self._opening(deadlines)
        is_reused = self.messages > 0
        try:
            outcome = yield from self._converse(envelope, following)
            if is_reused and any(map(is_about_session, outcome.values())):
                self.max_messages = max(self.accepted, 1)
            if is_reused and is_dropped(outcome):
                # The relay has had enough of this session, not of this site
                self.leave()
                yield from self._opening(deadlines)
                outcome = yield from self._converse(envelope, following)
            if not (yield from self._is_usable(outcome)):
                self.leave()
            elif following and not self.is_ahead() and not self.ahead.begin(
                    self.client, partial(self._next_envelope, following)):
                self.leave()
        except BaseException:
            # Nobody knows what the relay expects next; also if the generator is given up
            self.leave()
            raise
        return outcome

    # -------------------------------------------------------------------------
    def _converse(self, envelope, following):
        """ Hold the dialogue about one message; see transmitting() """

        self.messages += 1
        client, clock = self.client, self.clock
        half_time = (clock() + client.deadlines.reply) / 2
        try:
            dialogue = self.ahead.take() or Dialogue(envelope, client.extensions)
        except PermanentFailure as failure:
            return dict.fromkeys(envelope.recipients, failure)
        ahead = following and partial(self.ahead.open, client,
                                      partial(self._next_envelope, following))
        outcome = yield from hold(client, dialogue, lambda: clock() >= half_time, ahead)
        self.accepted += None in outcome.values()
        refused = refused_parameters(outcome) if dialogue.asks_dsn else ()
        if refused:
            # The relay offers DSN, and may have refused a parameter of it
            self.refused.add("dsn")
            outcome = {each: outcome[each] for each in outcome if each not in refused}
            if not self.is_ahead() and (yield from self._is_usable(outcome)):
                # Else the next transaction tries them without
                again = envelope._replace(recipients=refused)
                outcome.update((yield from self._converse(again, following)))
        return outcome

    # -------------------------------------------------------------------------
    def _next_envelope(self, following):
        """ The Envelope of the next message by this session, or None """

        return following() if self.messages < self.max_messages else None

    # -------------------------------------------------------------------------
    def _is_usable(self, outcome):
        """
            Whether the session can be used for another message; a generator
            - a message that nobody was accepted for is reset first

            Args:
                outcome: of the message before, as transmitting() returns it
        """

        if any(breaks_off(error) or is_about_session(error) for error in outcome.values()):
            # The relay takes no more, or after a protocol failure nobody knows its state
            return False
        if None in outcome.values() or self.is_ahead():
            return True
        if self.client.must_send_content:
            return False
        reply, = yield from self.client.exchange([(MAIL, b"RSET\r\n")])
        return classify(reply) is None

    # -------------------------------------------------------------------------
    def open(self, within_s):
        """ Open the session, if it is not open, and block until that is done; see opening() """

        run(self.opening(within_s), self.clock)

    # -------------------------------------------------------------------------
    def opening(self, within_s, banner_within_s=inf):
        """
            Open the session, if it is not open; a generator
            - another thread does all that blocks, DNS included

            Args:
                within_s, banner_within_s: the time for that, and for the banner (seconds)

            Yields:
                a Wait, until that is done

            Raises:
                ChannelFailure, Throttled: the session can't be opened
        """

        now = self.clock()
        yield from self._opening(Deadlines(now + within_s, banner = now + banner_within_s))

    # -------------------------------------------------------------------------
    def _opening(self, deadlines):
        """ As opening(), with the Deadlines of the message for which the session is used """

        if self.is_ready():
            self.client.deadlines = deadlines
            return
        self.leave()

        before, self.left = self.left, None
        client = Client(self.server, deadlines, self.timeout_s, self.clock, self.observe)
        client.refused = self.refused
        began = self.clock()
        try:
            yield from in_thread(partial(client.connect, before),
                                 deadlines.reply + EXTRA_TIME_S, client.close, self.clock)
        except TimeoutError:
            raise client.give_up(began) from None
        except Exception:
            self.client = client
            self.leave()
            raise
        except BaseException:
            client.give_up(began)
            raise
        self.client, self.opened_at, self.messages, self.accepted = client, self.clock(), 0, 0
        self.finding = client.finding or self.finding

    # -------------------------------------------------------------------------
    def looks_ahead(self):
        """ Whether the session asks for its next message before the one before is settled """

        return self.client is not None

    # -------------------------------------------------------------------------
    def is_ready(self):
        """ Whether the session is open, and may be used for one more message """

        return self.client is not None and self.messages < self.max_messages and \
            self.clock() - self.opened_at < self.MAX_AGE_S and \
            (self.ahead.is_begun() or self.client.is_quiet())

    # -------------------------------------------------------------------------
    def is_in_doubt(self):
        """ Whether the relay may have a message that it has not answered """

        return self.client is not None and self.client.has_given_content

    # -------------------------------------------------------------------------
    def is_ahead(self):
        """ Whether the relay has got the envelope of the next message already, or its sender """

        return self.ahead.dialogue is not None

    # -------------------------------------------------------------------------
    def leave(self):
        """
            Use this connection no longer: give QUIT, if the relay can understand it
            now; the next opening() or close() takes the answer. Never raises.
            - several sessions close at the same time if all are left first
        """

        client, self.client = self.client, None
        self.ahead.take()
        if client:
            client.quit()
            if client.has_quit:
                self.left = client
            else:
                client.close()

    # -------------------------------------------------------------------------
    def close(self):
        """ Close the session, with QUIT if the relay can understand it; never raises """

        self.leave()
        client, self.left = self.left, None
        if client:
            client.close()

# END =========================================================================
