# -*- coding: utf-8 -*-

"""
    How much a channel may send in which time; the relay has not failed if a
    limit is reached

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from datetime import timedelta

__all__ = ("Limiter",)

# One purge a day, also if it began a little later the day before; a machine may
# be off at night
PURGE_INTERVAL, PURGE_OVERDUE = timedelta(hours=20), timedelta(hours=44)

# A retry pass that began so far in the future began by a wrong clock (seconds)
MAX_CLOCK_ERROR_S = 60

# =============================================================================
class Limiter:
    """
        The limits of a channel, enforced in the database for all its workers
        - a host with limits of its own makes a subclass: see check() and spend()
    """

    # Whether check() has to be asked for each message: then they are handed
    # over one after the other
    counts_messages = False

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

    # -------------------------------------------------------------------------
    def check(self, now):
        """
            Whether one more message may be handed over

            Args:
                now: the time

            Raises:
                ChannelFailure: the limit is reached
        """

    # -------------------------------------------------------------------------
    def spend(self, now):
        """ A message is being handed over """

# END =========================================================================
