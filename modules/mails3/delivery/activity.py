# -*- coding: utf-8 -*-

"""
    When a channel's runs were last at work: started by a worker, by cron or by
    a person

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from ..queue.channel_row import CLOSED
from ..states import NEW
from .allowance import Allowance

__all__ = ("Activity", "is_hanging")

# =============================================================================
class Activity:
    """ What runs note about themselves; commits are the caller's """

    def __init__(self, row):
        """
            Args:
                row: the ChannelRow
        """

        self.row = row

    # -------------------------------------------------------------------------
    def note_run(self, now):
        """ A run is at work; a run that probes the relay does not count """

        self.row.update(self.row.table.status == CLOSED, drained_on=now)

    # -------------------------------------------------------------------------
    def note_manual_run(self, now):
        """ Cron or a person has started a run, where no worker may be alive """

        self.row.update(manual_run_on=now)

    # -------------------------------------------------------------------------
    def is_idle(self, since):
        """ Whether no run has been at work since a time, though mail may flow """

        row = self.row.read()
        if row.status != CLOSED or row.paused_on and row.paused_until is None:
            return False
        possible_since = [on for on in (row.drained_on, row.paused_until) if on]
        return not possible_since or max(possible_since) < since

    # -------------------------------------------------------------------------
    def has_manual_runs(self, since):
        """ Whether cron or a person has started a run since a time """

        row = self.row.read()
        return row.manual_run_on is not None and row.manual_run_on >= since

# -----------------------------------------------------------------------------
def is_hanging(channel, since, now):
    """
        Whether a channel's workers seem to hang: new mail has been waiting since
        before a time, no run has been at work since then, and no limit is the cause

        Args:
            channel: the Channel
            since: the time
            now: the time at this moment
    """

    table, outbox = channel.tables.delivery, channel.tables.outbox
    # A deleted row leaves the queue with the next run
    neglected = channel.claims.waiting(NEW, now) & (table.due_on < since) & \
        (outbox.id == table.outbox_id) & channel.tables.not_deleted
    if channel.db(neglected).isempty() or not channel.activity.is_idle(since):
        return False
    row = channel.row.read()
    # Also then: a limit that has just ended is no delay of the workers
    return all(Allowance.at(channel, row, time).left() for time in (since, now))

# END =========================================================================
