# -*- coding: utf-8 -*-

"""
    The row of a channel in mails3_channel: what all workers of a site share
    about it

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from contextlib import nullcontext
from uuid import uuid4

from .database import is_conflict, own_connection, savepoint, select_for_update

__all__ = ("CLOSED", "TRIPPED", "ChannelRow")

# mails3_channel.status, the state of the breaker
CLOSED = "closed"   # mail may flow
TRIPPED = "tripped" # the relay or the configuration is broken: one probe at a time

# =============================================================================
class ChannelRow:
    """ Reads and changes the row; commits are the caller's """

    def __init__(self, db, name, is_apart=False):
        """
            Args:
                db: the DAL, with the tables defined
                name: of the row: the site's, for other channels than mail with
                      the channel's. Two sites in one database have each their own.
                is_apart: use a connection of our own for each read and each
                          change, and commit it at once: others do not wait for
                          the end of the caller's transaction
        """

        self.db = db
        self.name = name
        self.table = db.mails3_channel
        self.connection = own_connection if is_apart else nullcontext

    # -------------------------------------------------------------------------
    def ensure(self):
        """ Make the row if it does not exist; logs nothing if another process is faster """

        if self.db(self.table.site == self.name).isempty():
            try:
                with savepoint(self.db, "mails3_row"):
                    self.table.insert(site=self.name, status=CLOSED, salt=uuid4().hex)
            except Exception as error:
                if not is_conflict(error):
                    raise

    # -------------------------------------------------------------------------
    def read(self):
        """ The Row, see schema.py; before it is made, its defaults """

        with self.connection(self.db):
            return self.db(self.table.site == self.name).select(limitby=(0, 1)).first() or \
                Defaults(self.table)

    # -------------------------------------------------------------------------
    def read_latest(self):
        """
            As read(), and lock the row: MySQL may show a transaction what was there
            at its first query
        """

        with self.connection(self.db):
            return select_for_update(self.db, self.table.site == self.name)

    # -------------------------------------------------------------------------
    def update(self, condition=None, **values):
        """
            Change the row, if a condition still holds

            Args:
                condition: a Query; None = always
                values: the new values

            Returns:
                whether the row was changed
        """

        query = (self.table.site == self.name)
        if condition is not None:
            query &= condition
        with self.connection(self.db):
            return bool(self.db(query).update(**values))

# =============================================================================
class Defaults(dict):
    """ A row that is not made yet """

    def __init__(self, table):
        """
            Args:
                table: db.mails3_channel
        """

        super().__init__((field.name, field.default) for field in table)
        self.update(status=CLOSED, salt="")

    # -------------------------------------------------------------------------
    def __getattr__(self, name):

        return self[name]

# END =========================================================================
