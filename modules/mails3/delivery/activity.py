# -*- coding: utf-8 -*-

"""
    When a channel's runs were last at work: started by a worker, by cron or by
    a person

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from ..queue.channel_row import CLOSED
from .allowance import Allowance
from .limits import seconds, time_of

__all__ = ("Activity",)

# =============================================================================
class Activity:
    """ What runs note about themselves; commits are the caller's """

    def __init__(self, channel):
        """
            Args:
                channel: the Channel
        """

        self.channel = channel
        self.row = channel.row

    # -------------------------------------------------------------------------
    def note_run(self, now):
        """ A run is at work; a run that probes the relay does not count """

        self.row.update(self.row.table.status == CLOSED, drained_on=now)

    # -------------------------------------------------------------------------
    def note_manual_run(self, now):
        """ Cron or a person has started a run, where no worker may be alive """

        self.row.update(manual_run_on=now)

    # -------------------------------------------------------------------------
    def is_neglected(self, since, now):
        """
            Whether new mail waits since before a time, and no run has been at
            work since then, though mail may flow

            Args:
                since: that time
                now: the time
        """

        return self.channel.claims.is_neglected(since) and self.is_idle(since, now)

    # -------------------------------------------------------------------------
    def is_idle(self, since, now):
        """ Whether no run has been at work since a time, though mail may flow (as above) """

        row = self.row.read()
        if row.status != CLOSED or row.paused_on and row.paused_until is None:
            return False
        # While a limit is reached, no run begins
        limits = Allowance.at(self.channel, row, now).limits
        times = [row.drained_on, row.paused_until, time_of(limits.free_at(seconds(now))),
                 *(limit.free_on(1, now) for limit in self.channel.host_limits)]
        return max(time for time in times if time) < since

    # -------------------------------------------------------------------------
    def has_manual_runs(self, since):
        """ Whether cron or a person has started a run since a time """

        row = self.row.read()
        return row.manual_run_on is not None and row.manual_run_on >= since

# END =========================================================================
