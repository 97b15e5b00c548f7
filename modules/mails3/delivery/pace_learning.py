# -*- coding: utf-8 -*-

"""
    What a run learns of the relay's pace, from what becomes of its messages

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import re

from datetime import timedelta
from functools import partial
from math import ceil

from ..queue.statistics import sent_since
from ..replies import RCPT, Throttled, TransientFailure
from ..throttling import CONNECTIONS
from .limits import seconds
from .pace import Pace

__all__ = ("PaceLearning",)

# What the relay has taken counts for the pace from so long before its first refusal
RECENT = timedelta(seconds=60)

# After so many messages in a row that were refused in the same words, the words mean
# "slower"
IN_A_ROW = 3

# A message may be throttled so often while others are accepted before it is to blame
MAX_REPEATED = 2

# As much of the words of a refusal is compared (characters)
MAX_WORDS_CHARS = 200

# The database may keep whole seconds only
PRECISION_S = 1

# After this time without a session that was full, a session tries so much more
# (seconds); it costs a refusal if the relay's limit is a fixed one
MORE_MESSAGES_S, MORE_MESSAGES_FACTOR = 3600, 1.25

# -----------------------------------------------------------------------------
def words_of(error):
    """ The words of a refusal (DeliveryError), without what differs between messages (str) """

    text = re.sub(r"<?[^\s<>]+@[^\s<>]+>?|\d+", "", error.text)
    return ("%s %s" % (error.code, " ".join(text.split())))[:MAX_WORDS_CHARS]

# =============================================================================
class PaceLearning:
    """ Changes the Pace of an Allowance; commits are the caller's """

    def __init__(self, channel, allowance, now):
        """
            Args:
                channel: the Channel
                allowance: the Allowance
                now: tells the time (datetime)
        """

        self.channel = channel
        self.allowance = allowance
        self.workers = allowance.workers
        self.now = now
        self.accepted_since = None # the first message that was accepted was handed over
        self.refused = {} # words: messages that were refused since one was accepted (set)

    # -------------------------------------------------------------------------
    @property
    def pace(self):
        """ The Pace, as far as it is known """

        return self.allowance.limits.pace

    # -------------------------------------------------------------------------
    def weigh(self, finished, usable):
        """
            Learn from the outcome of a message

            Args:
                finished: the Finished; where the relay has wanted less mail again and
                          again, and has taken other mail meanwhile, the message is
                          to blame: its error is replaced by a TransientFailure
                usable: how many other sessions this run has
        """

        self._recognise(finished.outgoing.deliveries[0].message_id, finished.outcome)
        now, outcome = self.now(), finished.outcome
        began = now - timedelta(seconds=finished.seconds)
        throttled = self._throttled(finished.outgoing.deliveries, outcome)
        if None in outcome.values():
            self.accepted_since = self.accepted_since or began
            if self.pace.is_learned():
                self._change(Pace.note_accepted, count=1, began=seconds(began), now=seconds(now))
            if self.pace.messages_per_session and \
               seconds(now) > self.pace.session_full_at + MORE_MESSAGES_S:
                self._change(try_fuller_sessions, now=seconds(now))
        elif not throttled and self.pace.backoff_s:
            self._change(Pace.note_inconclusive)
        if throttled:
            self._note_throttled(throttled, finished.outgoing.deliveries[0].id, usable, began, now)

    # -------------------------------------------------------------------------
    def _recognise(self, message_id, outcome):
        """
            Recognise a refusal that means "slower" in words that are in no table:
            several messages in a row were refused in the same words, after others
            were accepted

            Args:
                message_id: of the message
                outcome: of the message (dict): such a refusal is replaced by a
                         Throttled. At RCPT it may be about the recipient all the
                         same (greylisting): there only the pace drops.
        """

        if None in outcome.values():
            self.refused = {}
        for address, error in outcome.items():
            if not isinstance(error, TransientFailure) or not error.code:
                continue
            words = words_of(error)
            if self.accepted_since and words != self.pace.words:
                self.refused.setdefault(words, set()).add(message_id)
                if len(self.refused[words]) >= IN_A_ROW:
                    self._change(note_words, words=words)
            if words == self.pace.words and error.phase != RCPT:
                outcome[address] = Throttled(error.reason)

    # -------------------------------------------------------------------------
    def _throttled(self, deliveries, outcome):
        """
            Find out whether the relay wants less mail

            Args:
                deliveries: of the message
                outcome: of the message (dict), changed as weigh() says

            Returns:
                the Throttled, or None
        """

        throttled = None
        for delivery in deliveries:
            error = outcome.get(delivery.address)
            if isinstance(error, TransientFailure) and words_of(error) == self.pace.words:
                throttled = throttled or Throttled(error.reason)
            if not isinstance(error, Throttled):
                continue
            throttled = error
            if delivery.throttled_on and \
               self.pace.accepted_at > seconds(delivery.throttled_on) + PRECISION_S:
                # The recipients of a message share an error
                outcome[delivery.address] = error = Throttled(error.reason, error.limit)
                error.is_repeated = True
                if delivery.throttle_count >= MAX_REPEATED:
                    outcome[delivery.address] = TransientFailure(error.reason)
        return throttled

    # -------------------------------------------------------------------------
    def note_opening(self, finished, usable):
        """ The relay takes no further session (arguments as for weigh()) """

        now = self.now()
        self._note_throttled(finished.failure, None, usable,
                             now - timedelta(seconds=finished.seconds), now)

    # -------------------------------------------------------------------------
    def note_session_full(self, messages):
        """ The relay takes so many messages by one session """

        self._change(note_session_full, messages=messages, now=seconds(self.now()))

    # -------------------------------------------------------------------------
    def _note_throttled(self, error, delivery_id, usable, began, now):
        """
            The relay wants less mail

            Args:
                error: the Throttled
                delivery_id: of the message; None = a session was to be opened
                usable: how many other sessions this run has
                began: when the message was handed over, or the session opened
                now: the time
        """

        times = {"began": seconds(began), "now": seconds(now)}
        if error.limit == CONNECTIONS:
            _, workers = self.workers.place_of("")
            self._change(Pace.note_too_many_sessions, usable=usable, workers=workers, **times)
        else:
            # Also if a new session is full
            recent = None if self.pace.rate else self._recent(now, delivery_id)
            self._change(Pace.note_refused, recent=recent, **times)

    # -------------------------------------------------------------------------
    def _recent(self, now, delivery_id):
        """ How many messages the relay has taken lately: see Pace.note_refused() """

        if delivery_id is None:
            return None
        since, count = sent_since(self.channel.tables, self.channel.name, now - RECENT,
                                  delivery_id)
        # More precise, if this run was the first
        since = max(filter(None, (since, self.accepted_since)), default=None)
        return (seconds(since), count) if count else None

    # -------------------------------------------------------------------------
    def _change(self, method, **arguments):
        """ Change the Pace by one of its methods or a function, to be written """

        self.allowance.change_pace(partial(method, **arguments))

# -----------------------------------------------------------------------------
def note_words(pace, words):
    """ A refusal in these words is taken for "slower" """

    pace.words = words

# -----------------------------------------------------------------------------
def note_session_full(pace, messages, now):
    """ The relay takes so many messages per session """

    pace.messages_per_session, pace.session_full_at = max(messages, 1), now

# -----------------------------------------------------------------------------
def try_fuller_sessions(pace, now):
    """ The relay may take more messages per session than was learned """

    pace.messages_per_session = ceil(MORE_MESSAGES_FACTOR * pace.messages_per_session)
    pace.session_full_at = now

# END =========================================================================
