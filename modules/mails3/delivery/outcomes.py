# -*- coding: utf-8 -*-

"""
    Outcomes: the app is told of each delivery that has come to its end

    The transition to the end and the row that says so are committed together. A
    worker removes the row and calls the app's functions in one transaction: what
    they write in this database happens once, however often workers are killed.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging
import time

from os.path import basename
from traceback import extract_tb

from ..queue.database import TransactionLost, savepoint
from ..queue.lookup import delivery_of
from ..states import FINAL

__all__ = ("Outcomes",)

log = logging.getLogger("web2py.mails3")

# How long functions of the app are called without a pause (seconds): a worker has
# mail to send, and signs of life to give
MAX_TIME_S = 2

# How many rows are read at a time
READ_ROWS = 100

# =============================================================================
class Outcomes:
    """ What the app of a channel is to be told """

    def __init__(self, channel, clock=time.monotonic):
        """
            Args:
                channel: the Channel
                clock: tells the time (seconds)
        """

        self.mail = channel.mail
        self.db = channel.db
        self.table = channel.tables.outcome
        self.functions = channel.mail.outcome_functions
        self.clock = clock

    # -------------------------------------------------------------------------
    def tell(self):
        """ Call the functions of the app for what is to be told; commits, never raises """

        if not self.functions:
            return
        end = self.clock() + MAX_TIME_S
        try:
            for row in self._rows():
                self._tell(row)
                if self.clock() >= end:
                    return
        except Exception as error:
            self.db.rollback()
            log.warning("The app can't be told of its mail now (%s).", type(error).__name__)

    # -------------------------------------------------------------------------
    def _rows(self):
        """ The rows, the oldest first, until none is left """

        table = self.table
        while True:
            rows = self.db(table).select(table.id, table.outbox_id, orderby=table.id,
                                         limitby=(0, READ_ROWS))
            self.db.commit()
            if not rows:
                return
            yield from rows

    # -------------------------------------------------------------------------
    def _tell(self, row):
        """ Tell of one delivery, in a transaction of its own """

        query = (self.table.id == row.id)
        try:
            # Another worker may have been faster
            if self.db(query).delete():
                self._call(row.outbox_id)
            self.db.commit()
        except Exception as error:
            # A function has ended the transaction, or spoilt it: not again
            self._log(error)
            self.db.rollback()
            self.db(query).delete()
            self.db.commit()

    # -------------------------------------------------------------------------
    def _call(self, outbox_id):
        """ Call the functions for one delivery, if it is still at its end """

        entry = self.mail.report().entry(outbox_id)
        if entry is None or entry["status"] not in FINAL:
            return
        delivery = delivery_of(entry)
        for function in self.functions:
            try:
                with savepoint(self.db, "mails3_outcome"):
                    function(delivery)
            except TransactionLost:
                raise
            except Exception as error:
                # What it has written is undone, and nothing else
                self._log(error)

    # -------------------------------------------------------------------------
    @staticmethod
    def _log(error):
        """ Log what a function has raised; its text may have anything in it """

        place = extract_tb(error.__traceback__)[-1]
        log.error("A function of on_outcome() has failed (%s, %s:%s). The mail is not "
                  "affected.", type(error).__name__, basename(place.filename), place.lineno)

# END =========================================================================
