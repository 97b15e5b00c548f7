# -*- coding: utf-8 -*-

"""
    The daily limit of mails (Eden's settings.mail.limit)

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from datetime import datetime, timedelta

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
    def free_on(self, count, now):
        """
            Since when so many more mails may be sent, or from when on

            Args:
                count: how many, at most as many as in a day
                now: the time (datetime)

            Returns:
                the time (datetime), which may have passed
        """

        created_on, number = self.table.created_on, self.mails_per_day - count
        row = self.db(created_on > now - 2 * PERIOD).select(
                    created_on, orderby=~created_on, limitby=(number, number + 1)).first()
        return row.created_on + PERIOD if row else datetime.min

    # -------------------------------------------------------------------------
    def next_on(self, now):
        """ When the next mail may be sent (datetime) """

        return max(now, self.free_on(1, now))

    # -------------------------------------------------------------------------
    def last_on(self, waiting, now):
        """ About when the last of so many mails that wait may be sent (datetime) """

        days, others = divmod(max(waiting, 1) - 1, self.mails_per_day)
        return max(now, self.free_on(others + 1, now)) + days * PERIOD

    # -------------------------------------------------------------------------
    def spend(self, count, now):
        """ Count mails that are handed over """

        for _ in range(count):
            self.table.insert(created_on=now)

# END =========================================================================
