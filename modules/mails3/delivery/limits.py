# -*- coding: utf-8 -*-

"""
    How much a channel may send in which time: the rates that the site sets, the
    pace that was learned about the relay, the retry pass. The relay has not
    failed if a limit is reached.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import json

from datetime import datetime, timedelta
from math import ceil, inf
from typing import NamedTuple

from .pace import Pace
from .rate_limit import RateLimit

__all__ = ("Left", "Limiter", "Limits", "seconds", "time_of")

EPOCH = datetime(1970, 1, 1)

# One purge a day, also if it began a little later the day before; a machine may
# be off at night
PURGE_INTERVAL, PURGE_OVERDUE = timedelta(hours=20), timedelta(hours=44)

# A retry pass that began so far in the future began by a wrong clock (seconds)
MAX_CLOCK_ERROR_S = 60

# -----------------------------------------------------------------------------
def seconds(time):
    """ A time (datetime, UTC) in seconds """

    return (time - EPOCH).total_seconds()

# -----------------------------------------------------------------------------
def time_of(time_s):
    """ A time in seconds as datetime (UTC), rounded up: to the millisecond """

    return EPOCH + timedelta(milliseconds=ceil(1000 * time_s))

# =============================================================================
class Left(NamedTuple):
    """ How much may be handed over now (int, or inf); true if anything may """

    messages: float
    recipients: float # of them all

    # -------------------------------------------------------------------------
    def __bool__(self):

        return self.messages > 0 and self.recipients > 0

# =============================================================================
class Limits:
    """ What is counted and learned, as in the column pace; times are seconds """

    def __init__(self, rates, counts_recipients, text=None, relay=None):
        """
            Args:
                rates: list of Rate (settings.py)
                counts_recipients: whether the rates count each recipient of a
                                   message; else a message counts once
                text: as from dump(); None = nothing is known
                relay: the relay's name (str): what was learned about another
                       one is forgotten; None = any
        """

        known = json.loads(text) if text else {}
        self.relay = relay or known.get("relay")
        counted = known.get("counted", {})
        self.rates = [RateLimit(rate, counted.get(str(rate.period_s), ())) for rate in rates]
        self.counts_recipients = counts_recipients
        is_same = known.get("relay") == self.relay
        self.pace = Pace.load(known.get("pace", {}) if is_same else {})

    # -------------------------------------------------------------------------
    def dump(self, now):
        """ As a text for the database """

        counted = {str(rate.period_s): rate.dump(now) for rate in self.rates}
        return json.dumps({"relay": self.relay, "counted": counted, "pace": self.pace.dump()},
                          separators = (",", ":"))

    # -------------------------------------------------------------------------
    def is_active(self):
        """ Whether the number of messages is limited """

        return bool(self.rates) or self.pace.rate is not None or self.pace.backoff_s > 0

    # -------------------------------------------------------------------------
    def left(self, now):
        """ How much may be handed over now (Left) """

        rates = self.rates_left(now)
        if self.counts_recipients:
            return Left(self.pace.left(now), rates)
        return Left(min(self.pace.left(now), rates), inf)

    # -------------------------------------------------------------------------
    def rates_left(self, now):
        """ How many more may go now by the rates that the site sets """

        return min((rate.left(now) for rate in self.rates), default=inf)

    # -------------------------------------------------------------------------
    def fit(self, recipients, now):
        """ To how many of its recipients a message may be handed over now """

        left = self.left(now)
        return min(recipients, left.recipients) if left else 0

    # -------------------------------------------------------------------------
    def free_at(self, now):
        """ The earliest time at which a message may go, which may have passed """

        return max([self.pace.next_at, *(rate.free_at(1, now) for rate in self.rates)])

    # -------------------------------------------------------------------------
    def next_at(self, now):
        """ When the next message may go """

        return max(now, self.free_at(now))

    # -------------------------------------------------------------------------
    def spend(self, recipients, now):
        """ A message is handed over """

        self.count(recipients, now)
        self.pace.spend(1, now)

    # -------------------------------------------------------------------------
    def count(self, recipients, now):
        """ A message was sent without the queue: the rates count it, the pace does not """

        for rate in self.rates:
            rate.spend(recipients if self.counts_recipients else 1, now)

# =============================================================================
class Limiter:
    """
        How often a channel has a retry pass and a purge, enforced in the database
        for all its workers; how much it may send: see Allowance
    """

    def __init__(self, row, settings):
        """
            Args:
                row: the ChannelRow
                settings: see settings.py
        """

        self.row = row
        self.retry_interval = timedelta(seconds=settings.retry_interval)
        self.max_retries_per_pass = settings.retry_limit

    # -------------------------------------------------------------------------
    def begin_retry_pass(self, now):
        """
            Ask for a retry pass: two of them are at least retry_interval apart,
            for all processes together

            Args:
                now: the time

            Returns:
                whether the pass may begin
        """

        table = self.row.table
        return self.row.update((table.retried_on == None) |
                               (table.retried_on <= now - self.retry_interval) |
                               (table.retried_on > now + timedelta(seconds=MAX_CLOCK_ERROR_S)),
                               retried_on = now,
                               )

    # -------------------------------------------------------------------------
    def may_begin_retry_pass(self, row, now):
        """ Whether begin_retry_pass() would succeed now (row: as from ChannelRow.read()) """

        begun_on = row.retried_on
        return begun_on is None or begun_on <= now - self.retry_interval or \
            begun_on > now + timedelta(seconds=MAX_CLOCK_ERROR_S)

    # -------------------------------------------------------------------------
    def begin_purge(self, row, now, is_night):
        """
            Ask for the purge of a day: by night, or when two nights have passed
            without one

            Args:
                row: as from ChannelRow.read()
                now: the time
                is_night: few visitors write to the database now

            Returns:
                whether the purge may begin, for all processes together
        """

        table, before = self.row.table, now - (PURGE_INTERVAL if is_night else PURGE_OVERDUE)
        ahead = now + timedelta(seconds=MAX_CLOCK_ERROR_S)
        if row.purged_on is not None and before < row.purged_on <= ahead:
            return False
        return self.row.update((table.purged_on == None) | (table.purged_on <= before) |
                               (table.purged_on > ahead), purged_on=now)

# END =========================================================================
