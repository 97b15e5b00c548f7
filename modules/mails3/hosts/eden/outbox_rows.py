# -*- coding: utf-8 -*-

"""
    The rows of msg_outbox that Eden has inserted and that are in no queue yet

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from gluon import current
from pydal.objects import Expression

from ...states import NEW, UNSENT

__all__ = ("OutboxRows",)

# How many rows are read at a time
ROWS_PER_BATCH = 100

# How many of the latest rows are searched for new ones. More than the very
# last ones: a request may get its id before others, and commit after them.
LATEST_ROWS = 1000

# =============================================================================
class OutboxRows:
    """ Finds the unsent rows of one channel that are in no queue """

    def __init__(self, channel):
        """
            Args:
                channel: the Channel
        """

        self.channel = channel
        self.db = channel.db
        self.table = channel.tables.outbox
        self.delivery = channel.tables.delivery

    # -------------------------------------------------------------------------
    def read(self, query):
        """
            Read a batch of rows

            Args:
                query: Query for rows of msg_outbox

            Returns:
                Rows with msg_outbox, mails3_delivery and pr_pentity, by id
        """

        table, delivery = self.table, self.delivery
        return self._unsent(query).select(
                            table.id, table.message_id, table.pe_id, table.address,
                            table.retries, current.s3db.pr_pentity.instance_type,
                            delivery.id, delivery.message_id,
                            left = self._joins(),
                            orderby = table.id,
                            limitby = (0, ROWS_PER_BATCH),
                            )

    # -------------------------------------------------------------------------
    def new_mail_query(self):
        """
            The query that finds a row if the latest rows or the queue have a new
            message (SQL)
        """

        options = {"limitby": (0, 1), "orderby_on_limitby": False}
        edens = self._unsent(self.latest())._select(self.table.id, left=self._joins()[:1],
                                                    **options)
        ours = self.db(self.channel.claims.waiting(NEW, None))._select(self.delivery.id, **options)
        return "SELECT 1 FROM (%s) AS edens UNION ALL SELECT 1 FROM (%s) AS ours" % \
               (edens.rstrip("; "), ours.rstrip("; "))

    # -------------------------------------------------------------------------
    def has_latest(self):
        """ Whether some of the latest rows are in no queue: one query, no write """

        return bool(self._unsent(self.latest()).select(self.table.id, left=self._joins()[:1],
                                                       limitby=(0, 1)))

    # -------------------------------------------------------------------------
    def latest(self):
        """ Query for the latest rows, counted from the last row with a message """

        # The rows of a group's members have a delivery, but no message yet
        outbox_id = self.delivery.outbox_id
        last = self.db(self.delivery.message_id != None)._select(outbox_id,
                                                                 orderby = ~outbox_id,
                                                                 limitby = (0, 1))
        floor = Expression(self.db, "SELECT COALESCE((%s), 0) - %s;" %
                           (last.rstrip(";"), LATEST_ROWS))
        return self.table.id > floor

    # -------------------------------------------------------------------------
    def _unsent(self, query):
        """ The rows in a query that are unsent, and in no queue (Set) """

        table = self.table
        return self.db(query &
                       (table.status == UNSENT) &
                       (table.deleted == False) &
                       (table.contact_method == self.channel.name) &
                       (self.delivery.queue == None))

    # -------------------------------------------------------------------------
    def _joins(self):
        """ Joins of a row: with its delivery, with its recipient """

        table, delivery, entity = self.table, self.delivery, current.s3db.pr_pentity
        return [delivery.on(delivery.outbox_id == table.id),
                entity.on(entity.pe_id == table.pe_id)]

# END =========================================================================
