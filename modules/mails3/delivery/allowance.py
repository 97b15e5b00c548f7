# -*- coding: utf-8 -*-

"""
    How much a run may hand over now: the rates that the site sets, the pace that
    was learned about the relay, and limits of the host. All workers of a site
    share what is counted: see SharedLimits.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from datetime import timedelta
from functools import partial
from math import floor

from ..queue.workers import Workers
from .host_limits import HostLimits
from .limits import seconds, time_of
from .pace import Pace
from .shared_limits import SharedLimits

__all__ = ("Allowance",)

# How long the place among the workers is remembered
SHARE_FOR = timedelta(seconds=3)

# No wait for a limit is shorter: the run would not notice it
SHORTEST_WAIT = timedelta(milliseconds=1)

# =============================================================================
class Allowance:
    """ One run's view of the Limits; commits are the caller's """

    def __init__(self, relay, now):
        """
            Args:
                relay: the Relay
                now: tells the time (datetime)
        """

        channel = relay.channel
        self.shared = SharedLimits(relay)
        self.workers = Workers(channel.db, channel.mail.site)
        self.host = HostLimits(channel.host_limits, now)
        self.now = now

        self.changes = []          # functions that change the Pace, not written yet
        self.taken = []            # Outgoings for which nothing is written yet
        self.over_limit = []       # those that exceed a limit: others have used it up
        self.is_written = False    # something is written, and not committed yet
        self.blocked_until = None  # a limit is reached until then (datetime)
        self.share_on, self.place = None, (0, 1) # among the workers: see sessions()
        self.limits = self.shared.limits() # with what is not written yet

    # -------------------------------------------------------------------------
    @classmethod
    def at(cls, relay, row, now):
        """ What may be handed over at a time (row: as from ChannelRow.read()) """

        allowance = cls(relay, lambda: now)
        allowance.read(row)
        return allowance

    # -------------------------------------------------------------------------
    def read(self, row, relay=None):
        """ As SharedLimits.read() """

        self.shared.read(row, relay)
        self._renew()

    # -------------------------------------------------------------------------
    def _renew(self):
        """ The limits anew: the state of the database, and our changes that are not written """

        self.limits = self.shared.limits()
        self._apply(self.taken, self.limits)

    # -------------------------------------------------------------------------
    def _apply(self, taken, limits):
        """
            Change Limits by what is not written yet

            Args:
                taken: Outgoings for which nothing is written yet (list)
                limits: the Limits

            Returns:
                list of those Outgoings that do not fit
        """

        for change in self.changes:
            change(limits.pace)
        now, over_limit = seconds(self.now()), []
        left = self.host.left(self.shared.known) if taken else 0
        for outgoing in taken:
            count = len(outgoing.deliveries)
            if left <= 0 or limits.fit(count, now) < count:
                over_limit.append(outgoing)
            else:
                limits.spend(count, now)
                left -= 1
        return over_limit

    # -------------------------------------------------------------------------
    def is_active(self):
        """ Whether there is any limit """

        return bool(self.host) or self.limits.is_active()

    # -------------------------------------------------------------------------
    # What may go
    #
    def left(self):
        """ How much may be handed over now (Left); if nothing: see wait_s() """

        now = self.now()
        self.blocked_until = None
        left = self.limits.left(seconds(now))
        by_host = self.host.left(self.shared.known) - len(self.taken)
        left = left._replace(messages = min(left.messages, by_host))
        if not left:
            self._block(now)
        return left

    # -------------------------------------------------------------------------
    def wait_s(self):
        """ How long until something may go again (seconds); None = no limit was reached """

        if self.blocked_until is None:
            return None
        return max((self.blocked_until - self.now()).total_seconds(), 0)

    # -------------------------------------------------------------------------
    def lend(self):
        """ An urgent message waits: if only the pace holds it up, it may go before its turn """

        now = seconds(self.now())
        if self.limits.pace.may_lend(now) and self.limits.rates_left(now):
            self.change_pace(partial(Pace.lend, now=now))

    # -------------------------------------------------------------------------
    @property
    def throttled_since(self):
        """ When the relay has begun to want less mail (datetime); None = it takes mail """

        pace = self.limits.pace
        # The database may keep whole seconds only
        return time_of(floor(pace.backoff_at)) if pace.backoff_s else None

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
        left, deliveries = self.left(), outgoing.deliveries
        if not left:
            return None
        count = min(len(deliveries), left.recipients)
        self.limits.spend(count, seconds(self.now()))
        outgoing = outgoing.only({delivery.id for delivery in deliveries[:count]})
        self.taken.append(outgoing)
        return outgoing

    # -------------------------------------------------------------------------
    def give_up(self, outgoings):
        """ Outgoings that were taken are not handed over after all """

        self.taken = [each for each in self.taken if not is_among(each, outgoings)]
        self._renew()

    # -------------------------------------------------------------------------
    def sessions(self, worker):
        """
            How many sessions a worker may have

            Args:
                worker: its name

            Returns:
                its share of what the relay takes; None = no limit is known
        """

        total, now = self.limits.pace.max_sessions, self.now()
        if total is None:
            return None
        if self.share_on is None or abs(now - self.share_on) > SHARE_FOR:
            self.share_on, self.place = now, self.workers.place_of(worker)
        number, count = self.place
        return total // count + (number < total % count)

    # -------------------------------------------------------------------------
    def _block(self, now):
        """ A limit is reached """

        self.blocked_until = max(now + SHORTEST_WAIT,
                                 time_of(self.limits.next_at(seconds(now))),
                                 self.host.next_on(self.shared.known, len(self.taken)))

    # -------------------------------------------------------------------------
    def change_pace(self, change):
        """ Change the Pace by a function, to be written """

        self.changes.append(change)
        change(self.limits.pace)
        # A back-off may have begun, or ended
        now, self.blocked_until = self.now(), None
        if not self.limits.left(seconds(now)):
            self._block(now)

    # -------------------------------------------------------------------------
    # The database
    #
    def write(self, chosen):
        """
            Write what was counted and learned, to be committed; then call note_written()

            Args:
                chosen: dict {session: Outgoing}: what was taken and is begun now

            Returns:
                chosen, without the Outgoings that may not go after all: another
                worker was faster, and the limit is reached
        """

        self.is_written = False
        taken = self.taken if chosen else []
        if not self.changes and not taken:
            return chosen
        self.over_limit = self.shared.change(partial(self._apply, taken), self.now)
        self.is_written = True
        self.host.spend(len(taken) - len(self.over_limit))
        return {session: outgoing for session, outgoing in chosen.items()
                if not is_among(outgoing, self.over_limit)}

    # -------------------------------------------------------------------------
    def note_written(self, chosen):
        """
            What was written is committed

            Args:
                chosen: as for write()

            Returns:
                list of the Outgoings that were taken and may not go after all
        """

        if not self.is_written:
            return []
        self.shared.note_written()
        self.is_written = False
        self.changes.clear()
        taken = self.taken if chosen else []
        self.host.note_spent(len(taken) - len(self.over_limit), self.shared.known)
        taken.clear()
        self._renew()
        over_limit, self.over_limit = self.over_limit, []
        return over_limit

    # -------------------------------------------------------------------------
    def count(self, recipients):
        """ Count a message to so many recipients that was sent without the queue """

        now = seconds(self.now())
        self.shared.change(lambda limits: limits.count(recipients, now), self.now)
        self.host.spend(1)

# -----------------------------------------------------------------------------
def is_among(outgoing, outgoings):
    """ Whether an Outgoing is one of others: that one, and not an equal one """

    return any(outgoing is each for each in outgoings)

# END =========================================================================
