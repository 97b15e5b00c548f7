# -*- coding: utf-8 -*-

"""
    The channels of Eden: what Eden itself has put into msg_outbox is sent by
    the same workers

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from functools import cached_property

from gluon import current

from ...clock import utcnow
from ...delivery.channel import Channel
from ...states import EMAIL, NEW
from .daily_limit import DailyLimit
from .intake import Intake
from .transports import ChannelTransport

__all__ = ("EdenChannel", "has_messages")

# =============================================================================
class EdenChannel(Channel):
    """ As Channel, with an intake for Eden's rows """

    def __init__(self, mail, *args, **kwargs):

        if "msg_outbox" not in mail.db.tables:
            # Eden defines a table at its first use
            current.s3db.table("msg_outbox")
        super().__init__(mail, *args, **kwargs)
        self.intake = Intake(self)

    # -------------------------------------------------------------------------
    def transport(self, relay_settings=None):
        """ As Channel.transport() """

        return super().transport(relay_settings) if self.name == EMAIL \
            else ChannelTransport(self.mail, self.name)

    # -------------------------------------------------------------------------
    @cached_property
    def host_limits(self):
        """ As Channel.host_limits; mail has a daily limit """

        mails_per_day = self.mail.mails_per_day
        if self.name == EMAIL and mails_per_day:
            return [DailyLimit(self.db, mails_per_day)]
        return []

    # -------------------------------------------------------------------------
    @cached_property
    def new_mail_query(self):
        """ As Channel.new_mail_query """

        return self.intake.rows.new_mail_query() if has_messages() else super().new_mail_query

    # -------------------------------------------------------------------------
    def has_new(self, now):
        """ As Channel.has_new() """

        return not self.is_idle() and (self.claims.has_free(NEW, now) or
                                       has_messages() and self.intake.rows.has_latest())

    # -------------------------------------------------------------------------
    def take_in(self, everything=False):
        """ As Channel.take_in() """

        if has_messages():
            self.intake.run(utcnow(), everything)
        else:
            super().take_in(everything)

# -----------------------------------------------------------------------------
def has_messages():
    """ Whether the template has Eden's messaging: else Eden itself queues nothing """

    return current.deployment_settings.has_module("msg")

# END =========================================================================
