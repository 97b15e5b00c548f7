# -*- coding: utf-8 -*-

"""
    How fast the relay takes mail, as learned from its refusals. Pure: no clock,
    no database

    The relay does not say how much it takes in which time. So the pace is what it
    has taken on average, from one refusal to the next, the back-off included:

    - a refusal begins a back-off, in which single messages find out when the relay
      takes mail again: each wait is three times as long as the one before
    - when it takes one, the average is known: messages go evenly, at a little less
      than that. Of two sites that share a relay, the one that sends more is refused
      more often, and so loses more of its pace.
    - the pace rises slowly, and faster the longer nothing is refused (as TCP
      does, RFC 5681 and 9438), until it is too fast again

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from dataclasses import asdict, dataclass, fields
from math import inf, sqrt
from typing import Optional

__all__ = ("Pace",)

# The waits for a relay that says "slower" (seconds): the first one while nothing is
# known of the relay; later, as long as a part of a message takes at its pace
FIRST_BACKOFF_S = 0.25
FIRST_BACKOFF_MESSAGES, SHORTEST_BACKOFF_S = 1, 0.1
# The longest wait, also as a part of the whole back-off; each is so much longer
LONGEST_BACKOFF_S, BACKOFF_PART, MAX_BACKOFF_S = 30, 0.25, 300
BACKOFF_FACTOR = 3

# The part of the average at which messages go after a refusal; if it has become
# less than a part of the pace, others need more of the relay
RATE_PART, SHARED_RATE_PART, SHARED_BELOW = 0.94, 0.9, 0.7
# From so few messages the average is not precise: the back-off is a large part of it
FEW_COUNTED = 10

# How long a message that finds out may take: its worker may be lost (seconds)
PROBE_S = 10
# As many messages may go ahead of an even pace as are due in this time (seconds)
AHEAD_S = 0.07

# The pace rises in steps: after so many messages, or after fewer and some time
# (seconds); after a few steps without a refusal, very few are enough
MESSAGES_PER_STEP, FEW_MESSAGES, FEW_MESSAGES_LATER, STEP_S = 25, 10, 3, 60
STEPS_UNTIL_LATER = 3
# The first step: a part of the pace, and messages per second at least. The second one
# is four times, the third one nine times as high, and so on.
STEP, SMALLEST_STEP = 0.007, 0.05 / 60

# Faster is no limit; slower than the longest wait no pace is (messages per second)
MAX_RATE, MIN_RATE = 1000, 1 / MAX_BACKOFF_S

# After so long without a message that might have gone, the average counts anew (seconds)
IDLE_S = 5
FAR_S = 2 * MAX_BACKOFF_S # no wait is longer than that

# After this time without a refusal, one more session is tried (seconds)
MORE_SESSIONS_S = 60

# =============================================================================
@dataclass
class Pace:
    """ What is known of the relay; times are seconds, passed in """

    rate: Optional[float] = None  # messages per second; None = as fast as it takes them
    next_at: float = 0            # no message before that
    is_lent: bool = False         # but one, which may go before its turn
    backoff_s: float = 0          # the last wait in a back-off; 0 = not in a back-off
    backoff_at: float = 0         # the back-off began
    refused_at: float = 0         # the last refusal that has changed the pace
    accepted_at: float = 0        # the last message that was accepted was handed over
    is_about_rate: bool = False   # the back-off; False = only about the number of sessions
    is_guess: bool = False        # there was nothing to count: the pace doubles with each message
    counted_at: Optional[float] = None # the average: how many were accepted since when
    counted: int = 0
    doubt: float = 0              # how much higher the average may be than what was measured
    steps: int = 0
    step_count: int = 0
    step_at: float = 0
    max_sessions: Optional[int] = None # the relay takes at a time, of all workers
    sessions_at: float = 0             # when that was learned
    messages_per_session: Optional[int] = None # the relay takes
    session_full_at: float = 0         # when that was learned
    words: Optional[str] = None   # a refusal that is taken for "slower", see pace_learning.py

    # -------------------------------------------------------------------------
    @classmethod
    def load(cls, values):
        """ Make a Pace (values: as from dump(), also those of another version) """

        names = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in names})

    # -------------------------------------------------------------------------
    def dump(self):
        """ What is known, without what is as for a relay that nothing is known of (dict) """

        initial = asdict(Pace())
        return {name: value for name, value in asdict(self).items() if value != initial[name]}

    # -------------------------------------------------------------------------
    def is_learned(self):
        """ Whether the relay limits anything """

        return bool(self.rate or self.backoff_s or self.max_sessions or self.messages_per_session)

    # -------------------------------------------------------------------------
    def left(self, now):
        """ How many messages may go at a time """

        if self.is_lent:
            return 1
        # Far in the future: the clock has been put back since
        if now < self.next_at < now + FAR_S:
            return 0
        if self.backoff_s:
            return 1
        if self.rate is None:
            return inf
        return 1 + int(min(max(now - self.next_at, 0), AHEAD_S) * self.rate)

    # -------------------------------------------------------------------------
    def may_lend(self, now):
        """ Whether one urgent message may go before its turn: the next one waits for longer """

        return not self.backoff_s and bool(self.rate) and now >= self.next_at - 1 / self.rate

    # -------------------------------------------------------------------------
    def lend(self, now):
        """ Let one message go before its turn, if it may """

        self.is_lent = self.may_lend(now)

    # -------------------------------------------------------------------------
    def spend(self, count, now):
        """ Messages are handed over """

        self.is_lent = False
        if self.backoff_s:
            self.next_at = now + PROBE_S
        elif self.rate:
            if now > self.next_at + 2 / self.rate + IDLE_S:
                self._count_from(now)
            self.next_at = max(self.next_at, now - AHEAD_S) + count / self.rate

    # -------------------------------------------------------------------------
    def note_accepted(self, count, began, now):
        """
            The relay has taken messages

            Args:
                count: how many
                began: when they were handed over
                now: the time
        """

        if not self.is_learned():
            return
        self.accepted_at = max(self.accepted_at, began)
        if began <= self.refused_at:
            self.note_inconclusive()
        elif self.backoff_s:
            self._end_backoff(began, now)
        self.counted += count
        self._rise(count, now)

    # -------------------------------------------------------------------------
    def note_refused(self, began, now, recent=None, is_about_rate=True):
        """
            The relay wants less mail

            Args:
                began: when the message was handed over
                now: the time
                recent: tuple (since, count): messages that it has taken lately, if known
                is_about_rate: False = the relay takes no session: its pace may be the same
        """

        if began <= self.refused_at:
            # Handed over before the pace was changed
            self.note_inconclusive()
            return
        if self.backoff_s:
            longest_s = max(LONGEST_BACKOFF_S, BACKOFF_PART * (now - self.backoff_at))
            self.backoff_s = min(BACKOFF_FACTOR * self.backoff_s, longest_s, MAX_BACKOFF_S)
        else:
            self.backoff_s = FIRST_BACKOFF_S if self.rate is None else \
                min(max(FIRST_BACKOFF_MESSAGES / self.rate, SHORTEST_BACKOFF_S), LONGEST_BACKOFF_S)
            self.backoff_at, self.is_about_rate = now, False
        if is_about_rate:
            self.is_about_rate, self.is_guess = True, False
        if self.rate is None and recent:
            self.counted_at, self.counted = recent
        self.refused_at = now
        self.next_at = now + self.backoff_s

    # -------------------------------------------------------------------------
    def note_inconclusive(self):
        """ A message in a back-off has found nothing out: another one may follow """

        if self.backoff_s:
            self.next_at = min(self.next_at, self.refused_at + self.backoff_s)

    # -------------------------------------------------------------------------
    def note_too_many_sessions(self, usable, workers, began, now):
        """
            The relay takes no more sessions

            Args:
                usable: how many other sessions the worker has
                workers: how many there are: the other ones may have a session each
                began, now: as for note_refused()
        """

        self.note_inconclusive()
        if began <= self.sessions_at:
            return
        most = min(usable * workers or workers - 1, (self.max_sessions or inf) - 1)
        if most or usable:
            self.max_sessions, self.sessions_at = max(most, 1), now
        else:
            # Others use the relay as well
            self.note_refused(began, now, is_about_rate=False)

    # -------------------------------------------------------------------------
    def _end_backoff(self, began, now):
        """ The relay takes mail again, with a message that was handed over at a time """

        if not self.is_about_rate:
            self.backoff_s, self.next_at = 0, began
            return
        if self.counted_at is not None and self.counted and began > self.counted_at:
            self._measure(began)
        elif self.rate is None:
            self.rate, self.is_guess = 1 / self.backoff_s, True
        self.backoff_s = 0
        self.next_at = began + 1 / self.rate
        self._count_from(began)
        self.steps, self.step_count, self.step_at = 0, 0, now

    # -------------------------------------------------------------------------
    def _measure(self, time):
        """ The pace from what the relay has taken until a time """

        average = self.counted / (time - self.counted_at)
        # Until the last refusal, it was too many
        bound = self.counted / max(self.refused_at - self.counted_at, 1e-3)
        self.doubt = max(bound / average - 1, 0)
        if self.counted < FEW_COUNTED:
            average = sqrt(average * bound)
        less = RATE_PART
        if self.rate:
            # The pace has risen to what was too much; or others need more of the relay
            if average > SHARED_BELOW * self.rate:
                average = sqrt(average * self.rate)
            else:
                less = SHARED_RATE_PART
        self.rate = max(less * average, MIN_RATE)

    # -------------------------------------------------------------------------
    def _count_from(self, time):
        """ The average counts from a time on """

        self.counted_at, self.counted = time, 0

    # -------------------------------------------------------------------------
    def _is_step_due(self, now):
        """ Whether so much was accepted that the pace rises """

        few = FEW_MESSAGES if self.steps < STEPS_UNTIL_LATER else FEW_MESSAGES_LATER
        return self.step_count >= MESSAGES_PER_STEP or \
            self.step_count >= few and now - self.step_at >= STEP_S

    # -------------------------------------------------------------------------
    def _rise(self, count, now):
        """ Messages were accepted: the pace rises """

        if self.max_sessions and now - max(self.sessions_at, self.refused_at) > MORE_SESSIONS_S:
            self.max_sessions, self.sessions_at = self.max_sessions + 1, now
        if self.rate is None or self.backoff_s:
            return
        self.step_count += count
        if self.is_guess:
            self.rate = min(self.rate * 2 ** count, MAX_RATE)
        elif self._is_step_due(now):
            self.steps += 1
            self.rate += max(self.steps ** 2 * max(STEP * self.rate, SMALLEST_STEP),
                             self.doubt / 2 * self.rate)
            self.doubt /= 2
            self.step_count, self.step_at = 0, now
        if self.rate >= MAX_RATE:
            self.rate, self.next_at, self.is_guess, self.counted_at = None, 0, False, None
            self.words = None

# END =========================================================================
