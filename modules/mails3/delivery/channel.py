# -*- coding: utf-8 -*-

"""
    A channel: a way of sending, with all that belongs to it

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from functools import cached_property

from ..queue.channel_row import ChannelRow
from ..queue.claims import Claims
from ..queue.contents import Contents
from ..queue.schedule import Schedule
from ..queue.schema import Tables
from ..queue.transitions import OperatorTransitions, Transitions
from ..states import DEFERRED, EMAIL, NEW
from .activity import Activity
from .breaker import Breaker
from .relay import Relay
from .runs import Runs
from .transport import Transport

__all__ = ("Channel",)

# =============================================================================
class Channel(Runs):
    """
        EMAIL; a host may have others, like SMS

        row: the ChannelRow, with the pause, and what the first relay has in it
        relays: the Relays, those that are preferred first; others than mail have one

        What a host may change, by a subclass that MailS3.channel() returns:
        - transport(), host_limits: how messages are handed over, and how many
        - new_mail_query, has_new(), take_in(): what the host itself has put into
          msg_outbox
    """

    def __init__(self, mail, name=EMAIL, is_apart=False):
        """
            Args:
                mail: the MailS3
                name: of the channel, as in msg_outbox.contact_method
                is_apart: see ChannelRow
        """

        self.mail = mail
        self.db = mail.db
        self.name = name
        self.is_apart = is_apart
        self.options = mail.options

        self.tables = Tables(self.db)
        self.tables.keeps_outcomes = bool(mail.outcome_functions) and name == EMAIL
        self.contents = Contents(self.tables)
        self.transitions = Transitions(self.tables)
        self.claims = Claims(self.tables, self.transitions, name, self.options.longest_wait)
        self.schedule = Schedule(self.tables, self.transitions, name)

        self.row = ChannelRow(self.db, self.row_name, is_apart)
        self.breaker = Breaker(self.row)
        self.activity = Activity(self)

    # -------------------------------------------------------------------------
    @property
    def row_name(self):
        """ The name of its row in mails3_channel: for mail, that of the site """

        return self.mail.site if self.name == EMAIL else "%s %s" % (self.mail.site, self.name)

    # -------------------------------------------------------------------------
    # What a host may change
    #
    def transport(self, relay_settings=None):
        """
            A Transport, or an object with its methods

            Args:
                relay_settings: those of a further relay; None = the first one
        """

        return Transport(self.mail, self.options.reply_timeout, relay_settings)

    # -------------------------------------------------------------------------
    @cached_property
    def host_limits(self):
        """ The host's own limits, in messages (list of objects like Eden's DailyLimit) """

        return []

    # -------------------------------------------------------------------------
    @cached_property
    def relays(self):
        """
            The Relays (list): first those for certain recipients only, then the
            first one, which has the settings of Mail, then the others
        """

        further = [Relay(self, settings) for settings in self.options.relays] \
            if self.name == EMAIL else []
        return [*(relay for relay in further if relay.only_for), Relay(self),
                *(relay for relay in further if not relay.only_for)]

    # -------------------------------------------------------------------------
    @property
    def relay(self):
        """ The first Relay """

        return next(relay for relay in self.relays if relay.settings is None)

    # -------------------------------------------------------------------------
    @cached_property
    def new_mail_query(self):
        """
            The query that finds a row if there is something new to send (SQL)
            - as text: a worker that waits asks it ten times a second, and pydal
              takes longer to write it than the database to answer it
        """

        return self.db(self.claims.waiting(NEW, None))._select(self.tables.delivery.id,
                                                               limitby = (0, 1),
                                                               orderby_on_limitby = False)

    # -------------------------------------------------------------------------
    def has_work(self, now, is_patient=True):
        """
            Whether a run would find something to send: a few queries, no write

            Args:
                now: the time
                is_patient: not while sending is paused or suspended; False: a
                            changed configuration may end that
        """

        has_new = self.has_new(now) or self.schedule.has_due(now)
        if not has_new and not self.claims.has_free(DEFERRED, now):
            return False
        return any(relay.has_work(now, has_new, is_patient) for relay in self.relays)

    # -------------------------------------------------------------------------
    def has_new(self, now):
        """ Whether there is something new to send that no worker has claimed; no write """

        # Mostly the first query is enough
        return not self.is_idle() and self.claims.has_free(NEW, now)

    # -------------------------------------------------------------------------
    def take_in(self, everything=False):
        """
            Take what others have put into msg_outbox; commits

            Args:
                everything: also the rows that were left over or released, for
                            which all unsent rows have to be looked at
        """

        if everything:
            OperatorTransitions(self.tables).queue_released()
            self.db.commit()

    # -------------------------------------------------------------------------
    def is_idle(self):
        """ Whether nothing new waits, claimed or not: one query, no write """

        return not self.db.executesql(self.new_mail_query)

# END =========================================================================
