# -*- coding: utf-8 -*-

"""
    How much mail Eden may send

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from datetime import timedelta

from gluon import current

from ...policy import RelayUnavailable

__all__ = ("DailyLimit",)

# =============================================================================
class DailyLimit:
    """ Eden's settings.mail.limit, counted where Eden counts (msg_channel_limit) """

    def __init__(self, db, limit):
        """
            Args:
                db: the DAL
                limit: how many messages may be sent in 24 hours
        """

        self.db = db
        self.limit = limit
        self.table = current.s3db.msg_channel_limit

    # -------------------------------------------------------------------------
    def check(self, now):
        """ Whether one more may be sent; raises RelayUnavailable if not """

        since = now - timedelta(hours=24)
        if self.db(self.table.created_on > since).count() >= self.limit:
            raise RelayUnavailable("The daily limit of %s mails is reached" % self.limit)

    # -------------------------------------------------------------------------
    def spend(self, now):
        """ Note down that one is sent """

        self.table.insert(created_on=now)

# END =========================================================================
