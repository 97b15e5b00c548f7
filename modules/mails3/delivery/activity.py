# -*- coding: utf-8 -*-

"""
    When a channel's runs were last at work: started by a worker, by cron or by
    a person

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from ..queue.channel_row import CLOSED
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
    def note_run(self, relay, now):
        """ A run is at work; a run that probes the relay does not count """

        relay.row.update(relay.row.table.status == CLOSED, drained_on=now)

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

        for relay in self.channel.relays:
            last_on = self._last_on(relay, now)
            if last_on and last_on < since and relay.read_route(now) and \
               relay.claims.is_neglected(since):
                return True
        return False

    # -------------------------------------------------------------------------
    def _last_on(self, relay, now):
        """
            When a run was last at work, or none was possible

            Args:
                relay: the Relay
                now: the time

            Returns:
                that time, which may be one to come; None = no mail may flow
        """

        row, pause = relay.row.read(), self.row.read()
        if row.status != CLOSED or pause.paused_on and pause.paused_until is None:
            return None
        # While a limit is reached, no run begins
        limits = relay.allowance(now).limits
        times = [row.drained_on, pause.paused_until, time_of(limits.free_at(seconds(now))),
                 *(limit.free_on(1, now) for limit in self.channel.host_limits)]
        return max(time for time in times if time)

    # -------------------------------------------------------------------------
    def has_manual_runs(self, since):
        """ Whether cron or a person has started a run since a time """

        row = self.row.read()
        return row.manual_run_on is not None and row.manual_run_on >= since

# END =========================================================================
