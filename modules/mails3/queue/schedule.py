# -*- coding: utf-8 -*-

"""
    Scheduled deliveries: not to be sent before a time
    - they are in a queue of their own, so that no run has to pass over them: what
      a drain costs does not depend on how many there are

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from ..states import SCHEDULED
from .database import skip_locked

__all__ = ("Schedule",)

# How many become new in one transaction
BATCH = 1000

# =============================================================================
class Schedule:
    """ The scheduled deliveries of one channel; times are UTC, commits are the caller's """

    def __init__(self, tables, transitions, channel):
        """
            Args:
                tables: the Tables
                transitions: the Transitions
                channel: its name
        """

        self.db = tables.db
        self.delivery = tables.delivery
        self.transitions = transitions
        self.channel = channel

    # -------------------------------------------------------------------------
    def has_due(self, now):
        """ Whether the time of one has come (now: the time): one query, no write """

        return not self.db(self._due(now)).isempty()

    # -------------------------------------------------------------------------
    def start_due(self, now):
        """
            Those whose time has come become new

            Args:
                now: the time

            Returns:
                whether there may be more of them
        """

        table = self.delivery
        select = self.db(self._due(now))._select(table.id, orderby=table.due_on,
                                                 limitby=(0, BATCH))
        ids = [row[0] for row in self.db.executesql(skip_locked(self.db, select, table))]
        if ids:
            self.transitions.start(ids)
        return len(ids) == BATCH

    # -------------------------------------------------------------------------
    def _due(self, now):
        """ Query for those whose time has come """

        table = self.delivery
        return (table.channel == self.channel) & (table.queue == SCHEDULED) & \
            (table.due_on <= now)

# END =========================================================================
