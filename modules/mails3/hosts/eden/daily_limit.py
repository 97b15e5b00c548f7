# -*- coding: utf-8 -*-

"""
    The daily limit of mails (Eden's settings.mail.limit)

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from datetime import timedelta

from gluon import current

from ...delivery.limits import Limiter
from ...replies import RelayUnavailable

__all__ = ("DailyLimit",)

PERIOD = timedelta(hours = 24)

# =============================================================================
class DailyLimit(Limiter):
    """ A Limiter that counts mails in Eden's own table, msg_channel_limit """

    counts_messages = True

    def __init__(self, row, settings, mails_per_day):
        """
            Args:
                row: the ChannelRow
                settings: see settings.py
                mails_per_day: how many mails may be sent within 24 hours
        """

        super().__init__(row, settings)
        self.db = row.db
        self.mails_per_day = mails_per_day
        self.table = current.s3db.msg_channel_limit

    # -------------------------------------------------------------------------
    def check(self, now):
        """
            Check whether one more mail may be sent

            Args:
                now: the time (datetime, UTC)

            Raises:
                RelayUnavailable: the limit is reached
        """

        count = self.db(self.table.created_on > now - PERIOD).count()
        if count >= self.mails_per_day:
            raise RelayUnavailable("The daily limit of %s mails is reached" %
                                   self.mails_per_day)

    # -------------------------------------------------------------------------
    def spend(self, now):
        """
            Count one mail

            Args:
                now: the time (datetime, UTC)
        """

        self.table.insert(created_on=now)

# END =========================================================================
