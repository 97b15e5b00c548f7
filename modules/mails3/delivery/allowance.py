# -*- coding: utf-8 -*-

"""
    How much a run may hand over now: the rates that the site sets, the pace that
    was learned about the relay, and limits of the host. All workers of a site
    share what is counted, in the row of the channel.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from datetime import timedelta
from functools import partial
from typing import NamedTuple, Optional

from ..replies import Throttled, TransientFailure
from ..throttling import CONNECTIONS
from .limits import Limits, seconds, time_of
from .pace import Pace

__all__ = ("Allowance",)

# What the relay has taken counts for the pace from so long before its first refusal
RECENT_S = 60

# How long the place among the workers is remembered
SHARE_FOR = timedelta(seconds=3)

# The database may keep whole seconds only
PRECISION_S = 1

# How often a change is written again that another worker was faster with
MAX_TRIES = 20

# =============================================================================
class Known(NamedTuple):
    """ The columns pace and pace_no of the row """

    text: Optional[str]
    number: Optional[int]

# =============================================================================
class Allowance:
    """ One run's view of the Limits; commits are the caller's """

    def __init__(self, channel, now):
        """
            Args:
                channel: the Channel
                now: tells the time (datetime)
        """

        self.channel = channel
        self.row = channel.row
        self.host_limits = channel.host_limits
        self.now = now

        self.relay = None          # its name
        self.known = Known(None, None) # as last read or committed
        self.written = None        # the Known that is written and not committed yet
        self.changes = []          # functions that change the Pace, not written yet
        self.taken = []            # Outgoings for which nothing is written yet
        self.blocked_until = None  # a limit is reached until then (datetime)
        self.share_on, self.place = None, (0, 1) # among the workers: see sessions()
        self.accepted_since = None # the first message that was accepted was handed over
        self.limits = self._replayed()[0] # with what is not written yet

    # -------------------------------------------------------------------------
    def read(self, row, relay=None):
        """
            Take over what all workers know

            Args:
                row: as from ChannelRow.read()
                relay: the relay's name (str), None = the one that is known
        """

        self.relay, self.known = relay, Known(row.pace, row.pace_no)
        self.limits = self._replayed()[0]

    # -------------------------------------------------------------------------
    def _replayed(self):
        """
            What is known, with what is not written yet

            Returns:
                tuple (Limits, list of those of the taken Outgoings that do not fit)
        """

        channel = self.channel
        limits = Limits(channel.rates, channel.options.rate_counts == "recipients",
                        self.known.text, self.relay)
        for change in self.changes:
            change(limits.pace)
        now, beyond = seconds(self.now()), []
        for outgoing in self.taken:
            count = len(outgoing.deliveries)
            if limits.fit(count, now) < count:
                beyond.append(outgoing)
            else:
                limits.spend(count, now)
        return limits, beyond

    # -------------------------------------------------------------------------
    def is_active(self):
        """ Whether there is any limit """

        return bool(self.host_limits) or self.limits.is_active()

    # -------------------------------------------------------------------------
    @property
    def messages_per_session(self):
        """ How many messages the relay takes by one session; None = not known """

        return self.limits.pace.messages_per_session

    # -------------------------------------------------------------------------
    # What may go
    #
    def left(self):
        """ How many deliveries may be handed over now; if 0: see wait_s() """

        now = self.now()
        self.blocked_until = None
        left = min([self.limits.left(seconds(now)),
                    *(limit.left(now) - len(self.taken) for limit in self.host_limits)])
        if left <= 0:
            self._block(now)
        return max(left, 0)

    # -------------------------------------------------------------------------
    def wait_s(self):
        """ How long until something may go again (seconds); 0 = now """

        if self.blocked_until is None:
            return 0
        return max((self.blocked_until - self.now()).total_seconds(), 0)

    # -------------------------------------------------------------------------
    def take(self, outgoing):
        """
            A message is about to be handed over

            Args:
                outgoing: the Outgoing

            Returns:
                the Outgoing, for as many of its deliveries as may go now; None
                = none of them
        """

        if not self.is_active():
            return outgoing
        now, deliveries = self.now(), outgoing.deliveries
        count = self.limits.fit(len(deliveries), seconds(now))
        if not count or any(limit.left(now) <= len(self.taken) for limit in self.host_limits):
            self._block(now)
            return None
        self.limits.spend(count, seconds(now))
        outgoing = outgoing.only({delivery.id for delivery in deliveries[:count]})
        self.taken.append(outgoing)
        return outgoing

    # -------------------------------------------------------------------------
    def sessions(self, worker):
        """
            How many sessions a worker may have; if 0: see wait_s()

            Args:
                worker: its name

            Returns:
                its share of what the relay takes; None = no limit is known
        """

        total, now = self.limits.pace.max_sessions, self.now()
        if total is None:
            return None
        if self.share_on is None or abs(now - self.share_on) > SHARE_FOR:
            self.share_on, self.place = now, self.channel.workers().place_of(worker)
        number, count = self.place
        share = total // count + (number < total % count)
        if not share:
            self.blocked_until = now + SHARE_FOR
        return share

    # -------------------------------------------------------------------------
    def _block(self, now):
        """ A limit is reached """

        self.blocked_until = max([time_of(self.limits.next_at(seconds(now))),
                                  *(limit.next_on(now) for limit in self.host_limits)])

    # -------------------------------------------------------------------------
    # What the relay says
    #
    def weigh(self, finished, usable):
        """
            Learn from the outcome of a message

            Args:
                finished: the Finished; where the relay wants less mail for a second
                          time, and has taken other mail meanwhile, the message is
                          to blame: its error is replaced by a TransientFailure
                usable: how many other sessions this run has
        """

        now = self.now()
        began, outcome = now - timedelta(seconds=finished.seconds), finished.outcome
        throttled, is_blamed = None, False
        for delivery in finished.outgoing.deliveries:
            error = outcome.get(delivery.address)
            if not isinstance(error, Throttled):
                continue
            if delivery.throttled_on and \
               self.limits.pace.accepted_at > seconds(delivery.throttled_on) + PRECISION_S:
                outcome[delivery.address] = TransientFailure(error.reason)
                is_blamed = True
            else:
                throttled = error
        if None in outcome.values() and self.accepted_since is None:
            self.accepted_since = began
        if None in outcome.values() and self.limits.pace.is_learned():
            self._change(partial(Pace.note_accepted, count=1, began=seconds(began),
                                 now=seconds(now)))
        if is_blamed:
            self._change(partial(Pace.note_nothing, now=seconds(now)))
        if throttled:
            self._note_throttled(throttled, finished.outgoing.deliveries[0].id, usable, began, now)

    # -------------------------------------------------------------------------
    def note_opening(self, finished, usable):
        """ The relay takes no further session (arguments as for weigh()) """

        now = self.now()
        self._note_throttled(finished.failure, None, usable,
                             now - timedelta(seconds=finished.seconds), now)

    # -------------------------------------------------------------------------
    def note_session_full(self, messages):
        """ The relay takes so many messages by one session """

        if messages != self.messages_per_session:
            self._change(partial(Pace.note_session_full, messages=messages))

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
            self._change(partial(Pace.note_too_many_sessions,
                                 usable = usable * self.channel.workers().place_of("")[1],
                                 **times))
        else:
            # Also if a new session is full
            recent = None if self.limits.pace.rate else self._recent(now, delivery_id)
            self._change(partial(Pace.note_refused, recent=recent, **times))

    # -------------------------------------------------------------------------
    def _recent(self, now, delivery_id):
        """ How many messages the relay has taken lately: see Pace.note_refused() """

        if delivery_id is None:
            return None
        since, count = self.channel.claims.sent_since(now - timedelta(seconds=RECENT_S),
                                                      delivery_id)
        # More precise, if this run was the first
        since = max(filter(None, (since, self.accepted_since)), default=None)
        return (seconds(since), count) if count else None

    # -------------------------------------------------------------------------
    def _change(self, change):
        """ Change the Pace, to be written """

        self.changes.append(change)
        change(self.limits.pace)
        if self.blocked_until is not None:
            self._block(self.now())

    # -------------------------------------------------------------------------
    # The database
    #
    def write(self):
        """
            Write what was counted and learned, to be committed; then call note_written()

            Returns:
                list of the Outgoings that were taken and may not go after all:
                another worker was faster, and the limit is reached
        """

        beyond = []
        if not self.changes and not self.taken:
            return beyond
        for _ in range(MAX_TRIES):
            if self._write():
                break
            row = self.row.read()
            self.known = Known(row.pace, row.pace_no)
            self.limits, beyond = self._replayed()
        else:
            raise TimeoutError("The limits are changed too often")
        for limit in self.host_limits:
            limit.spend(len(self.taken) - len(beyond), self.now())
        return beyond

    # -------------------------------------------------------------------------
    def _write(self):
        """ Write the Limits; returns whether no other worker has changed them since """

        number = self.known.number
        self.written = Known(self.limits.dump(seconds(self.now())), (number or 0) + 1)
        return self.row.update(self.row.table.pace_no == number,
                               pace = self.written.text,
                               pace_no = self.written.number,
                               )

    # -------------------------------------------------------------------------
    def note_written(self):
        """ What was written is committed """

        if self.changes or self.taken:
            self.known = self.written
            self.changes.clear()
            self.taken.clear()

# END =========================================================================
