# -*- coding: utf-8 -*-

"""
    The daily limit of mails (Eden's settings.mail.limit)

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from datetime import timedelta

from gluon import current

__all__ = ("DailyLimit",)

PERIOD = timedelta(hours = 24)

# =============================================================================
class DailyLimit:
    """
        Counts mails in Eden's own table, msg_channel_limit, as Eden does; times
        are UTC and passed in, commits are the caller's
    """

    def __init__(self, db, mails_per_day):
        """
            Args:
                db: the DAL
                mails_per_day: how many mails may be sent within 24 hours
        """

        self.db = db
        self.mails_per_day = mails_per_day
        self.table = current.s3db.msg_channel_limit

    # -------------------------------------------------------------------------
    def __str__(self):
        """ The limit in words, for an admin """

        return "%s/day (settings.mail.limit)" % self.mails_per_day

    # -------------------------------------------------------------------------
    def used(self, now):
        """ How many mails were sent in the 24 hours before a time """

        return self.db(self.table.created_on > now - PERIOD).count()

    # -------------------------------------------------------------------------
    def left(self, now):
        """ How many more mails may be sent at a time """

        return max(self.mails_per_day - self.used(now), 0)

    # -------------------------------------------------------------------------
    def next_on(self, now):
        """ When the next mail may be sent (datetime) """

        table, surplus = self.table, self.used(now) - self.mails_per_day
        if surplus < 0:
            return now
        row = self.db(table.created_on > now - PERIOD).select(
                    table.created_on, orderby=table.created_on, limitby=(surplus, surplus + 1)
                    ).first()
        return row.created_on + PERIOD if row else now

    # -------------------------------------------------------------------------
    def spend(self, count, now):
        """ Count mails that are handed over """

        for _ in range(count):
            self.table.insert(created_on=now)

# END =========================================================================
