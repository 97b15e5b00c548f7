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
from math import floor
from typing import NamedTuple, Optional

from ..queue.workers import Workers
from ..settings import read_rates
from ..states import EMAIL
from .limits import Limits, seconds, time_of
from .pace import Pace

__all__ = ("Allowance",)

# How long the place among the workers is remembered
SHARE_FOR = timedelta(seconds=3)

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

        self.row = channel.row
        self.workers = Workers(channel.db, channel.mail.site)
        # How much the mail server takes, as the site has set it
        self.rates = read_rates(channel.options.rate) if channel.name == EMAIL else []
        self.counts_recipients = channel.options.rate_counts == "recipients"
        self.host_limits = channel.host_limits
        self.now = now

        self.relay = None          # its name
        self.known = Known(None, None) # as last read or committed
        self.written = None        # the Known that is written and not committed yet
        self.changes = []          # functions that change the Pace, not written yet
        self.taken = []            # Outgoings for which nothing is written yet
        self.beyond = []           # those of them for which another worker was faster
        self.is_written = False    # something is written, and not committed yet
        self.blocked_until = None  # a limit is reached until then (datetime)
        self.share_on, self.place = None, (0, 1) # among the workers: see sessions()
        self.limits = self._replayed(self.taken)[0] # with what is not written yet

    # -------------------------------------------------------------------------
    @classmethod
    def at(cls, channel, row, now):
        """ What may be handed over at a time (row: as from ChannelRow.read()) """

        allowance = cls(channel, lambda: now)
        allowance.read(row)
        return allowance

    # -------------------------------------------------------------------------
    def read(self, row, relay=None):
        """
            Take over what all workers know

            Args:
                row: as from ChannelRow.read()
                relay: the relay's name (str), None = the one that is known
        """

        self.relay, self.known = relay, Known(row.pace, row.pace_no)
        self.limits = self._replayed(self.taken)[0]

    # -------------------------------------------------------------------------
    def _replayed(self, taken):
        """
            What is known, with the changes that are not written yet

            Args:
                taken: Outgoings for which nothing is written yet (list)

            Returns:
                tuple (Limits, list of those that do not fit)
        """

        limits = Limits(self.rates, self.counts_recipients, self.known.text, self.relay)
        for change in self.changes:
            change(limits.pace)
        now, beyond = seconds(self.now()), []
        for outgoing in taken:
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
    def lend(self):
        """ An urgent message waits: if only the pace holds it up, it may go before its turn """

        now = seconds(self.now())
        if self.limits.pace.may_lend(now) and self.limits.rates_left(now):
            self.change_pace(partial(Pace.lend, now=now))

    # -------------------------------------------------------------------------
    @property
    def paused_on(self):
        """ When the relay has begun to want less mail (datetime); None = it takes mail """

        pace = self.limits.pace
        return time_of(floor(pace.paused_at)) if pace.pause_s else None

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
            self.share_on, self.place = now, self.workers.place_of(worker)
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
    def change_pace(self, change):
        """ Change the Pace by a function, to be written """

        self.changes.append(change)
        change(self.limits.pace)
        # A pause may have begun, or ended
        self.left()

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

        taken = self.taken if chosen else []
        if not self.changes and not taken:
            return chosen
        for _ in range(MAX_TRIES):
            limits, self.beyond = self._replayed(taken)
            if self._write(limits):
                break
            row = self.row.read()
            self.known = Known(row.pace, row.pace_no)
        else:
            raise TimeoutError("The limits are changed too often")
        self.is_written = True
        if taken:
            for limit in self.host_limits:
                limit.spend(len(taken) - len(self.beyond), self.now())
        return {session: outgoing for session, outgoing in chosen.items()
                if not any(outgoing is each for each in self.beyond)}

    # -------------------------------------------------------------------------
    def _write(self, limits):
        """ Write Limits; returns whether no other worker has changed them since """

        number = self.known.number
        self.written = Known(limits.dump(seconds(self.now())), (number or 0) + 1)
        return self.row.update(self.row.table.pace_no == number,
                               pace = self.written.text,
                               pace_no = self.written.number,
                               )

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
        self.known, self.is_written = self.written, False
        self.changes.clear()
        if chosen:
            self.taken.clear()
        self.limits = self._replayed(self.taken)[0]
        beyond, self.beyond = self.beyond, []
        return beyond

# END =========================================================================
