# -*- coding: utf-8 -*-

"""
    The purge: deliveries that have come to their end are removed after a set time

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import time

from datetime import timedelta
from typing import NamedTuple, Optional

from ..states import DRAFT, EMAIL, FAILED, INVALID, SENT
from .transitions import Transitions

__all__ = ("BATCH", "Purge")

# How many deliveries are removed in one transaction, and the pause after it:
# others want to write as well
BATCH, PAUSE_S = 500, 0.05

# =============================================================================
class Old(NamedTuple):
    """ A delivery to be removed """

    outbox_id: Optional[int]
    delivery_id: int
    message_id: Optional[int]
    is_hosts: bool # the row in msg_outbox is the host's own

# =============================================================================
class Purge:
    """
        Removes old deliveries that are sent, rejected, failed or captured; never
        one that is unsent or held
        - of a row that the host itself has queued, only the companions are
          removed: the row is the host's
    """

    def __init__(self, tables, settings, commit, now, channel_row=None,
                 clock=time.monotonic, sleep=time.sleep):
        """
            Args:
                tables: the Tables
                settings: see settings.py
                commit: commits a batch
                now: the time
                channel_row: the ChannelRow, which counts what was removed
                clock: tells the time (seconds)
                sleep: waits (seconds)
        """

        self.tables = tables
        self.db = tables.db
        self.transitions = Transitions(tables)
        # The terminal statuses, and how long each is kept (days); 0 = without end.
        # Of those with the status DRAFT, only captured ones, see _is_old().
        self.days = [(status, days) for status, days in
                     ((SENT, settings.keep_sent),
                      (INVALID, settings.keep_rejected),
                      (FAILED, settings.keep_failed),
                      (DRAFT, settings.keep_captured)) if days]
        self.commit = commit
        self.now = now
        self.channel_row = channel_row
        self.clock = clock
        self.sleep = sleep

        self.is_stopped = False

    # -------------------------------------------------------------------------
    def purge(self, deadline=None, tell=None):
        """
            Remove what has been kept for long enough, in batches

            Args:
                deadline: stop after that (seconds, as the clock tells them), and
                          after one batch at least
                tell: function that is called with the count removed so far

            Returns:
                how many deliveries were removed
        """

        removed = 0
        for count in self.batches():
            removed += count
            if tell:
                tell(removed)
            if self.is_stopped or deadline is not None and self.clock() >= deadline:
                break
            self.sleep(PAUSE_S)
        return removed

    # -------------------------------------------------------------------------
    def batches(self):
        """
            Remove what has been kept for long enough; commits

            Yields:
                how many deliveries were removed, after each batch
        """

        yield from self._deleted()
        for status, days in self.days:
            before, last = self.now - timedelta(days=days), 0
            batch = self._read(status, before, last)
            while batch:
                last = batch[-1].outbox_id
                count = self._remove(batch, status, before)
                self.commit()
                yield count
                batch = self._read(status, before, last)

    # -------------------------------------------------------------------------
    def stop(self):
        """ End after this batch """

        self.is_stopped = True

    # -------------------------------------------------------------------------
    def old(self):
        """ How many deliveries have been kept for long enough """

        count = self.tables.delivery.id.count()
        orphans = self._orphans(count).first()[count]
        return orphans + sum(self.db(self._is_old(status, self.now - timedelta(days=days)) &
                                     (self.tables.outbox.id == self.tables.delivery.outbox_id)
                                     ).count()
                             for status, days in self.days)

    # -------------------------------------------------------------------------
    # Rows that somebody has deleted in the outbox
    #
    def _orphans(self, *fields, **options):
        """ Read deliveries that no longer have a row in msg_outbox (Rows) """

        outbox, table = self.tables.outbox, self.tables.delivery
        return self.db((outbox.id == None) & (table.lease == None)).select(
                        *fields, left=outbox.on(outbox.id == table.outbox_id), **options)

    # -------------------------------------------------------------------------
    def _deleted(self):
        """
            Remove the companions of rows that somebody has deleted. Where the
            host keeps such rows, they fail, and are kept like others that failed.

            Yields:
                as batches()
        """

        table = self.tables.delivery
        while self.transitions.cancel_deleted(table.lease == None):
            self.commit()
            yield 0
        rows = True
        while rows:
            rows = self._orphans(table.id, table.message_id, limitby=(0, BATCH))
            if rows:
                self._remove_companions([Old(None, row.id, row.message_id, False)
                                         for row in rows])
                self.commit()
                yield len(rows)

    # -------------------------------------------------------------------------
    # Old rows
    #
    def _is_old(self, status, before):
        """ Query for the rows that have been in a terminal status since before a time """

        outbox, table = self.tables.outbox, self.tables.delivery
        query = (outbox.status == status) & (outbox.modified_on < before) & \
                (outbox.contact_method == EMAIL)
        if status == DRAFT:
            captured = self.db(table.captured_on != None)._select(table.outbox_id)
            query &= outbox.id.belongs(captured)
        return query

    # -------------------------------------------------------------------------
    def _read(self, status, before, last):
        """ A batch of old deliveries (list of Old), after the row with the id last """

        outbox, table = self.tables.outbox, self.tables.delivery
        rows = self.db(self._is_old(status, before) & (outbox.id > last) &
                       (table.outbox_id == outbox.id)
                       ).select(outbox.id, outbox.message_id, table.id, table.message_id,
                                orderby = outbox.id,
                                limitby = (0, BATCH))
        # Rows of a send() of ours have no message of Eden's
        return [Old(row.msg_outbox.id, row.mails3_delivery.id, row.mails3_delivery.message_id,
                    row.msg_outbox.message_id is not None) for row in rows]

    # -------------------------------------------------------------------------
    def _remove(self, batch, status, before):
        """ Remove a batch; returns how many deliveries """

        # Only rows that are old still: an admin may be requeueing one of them.
        # A row that the host keeps though it is deleted stays as well.
        outbox = self.tables.outbox
        is_in_batch = outbox.id.belongs([old.outbox_id for old in batch])
        is_ours = (outbox.message_id == None) & self.tables.not_deleted
        self.db(is_in_batch & is_ours & self._is_old(status, before)).delete()
        kept = {row.id for row in self.db(is_in_batch & (is_ours | (outbox.status != status))
                                          ).select(outbox.id)}
        gone = [old for old in batch if old.outbox_id not in kept]
        # The row of a group is no mail
        self._remove_companions(gone, sum(old.message_id is not None for old in gone)
                                if status == SENT else 0)
        return len(gone)

    # -------------------------------------------------------------------------
    def _remove_companions(self, gone, sent=0):
        """
            Remove the rows of our own tables

            Args:
                gone: list of Old
                sent: how many of them were mails that were sent
        """

        db, tables = self.db, self.tables
        delivery_ids = [old.delivery_id for old in gone]
        attempts = db(tables.attempt.delivery_id.belongs(delivery_ids)).delete()
        db(tables.delivery.id.belongs(delivery_ids)).delete()
        self._remove_messages({old.message_id: old.is_hosts for old in gone
                               if old.message_id})
        if self.channel_row:
            # A counter of the metrics never goes back
            table = self.channel_row.table
            self.channel_row.update(
                        purged_sent = table.purged_sent.coalesce_zero() + sent,
                        purged_attempts = table.purged_attempts.coalesce_zero() + attempts)

    # -------------------------------------------------------------------------
    def _remove_messages(self, messages):
        """ Remove messages without deliveries (dict {message id: is the host's}) """

        db, tables = self.db, self.tables
        others = db(tables.delivery.message_id.belongs(list(messages))).select(
                        tables.delivery.message_id, distinct=True)
        for row in others:
            # Another recipient's delivery is kept
            del messages[row.message_id]
        message_ids = list(messages)
        db(tables.attachment.message_id.belongs(message_ids)).delete()
        # A caller's idempotency key holds without end, so its row stays
        has_key = (tables.message.idempotency_key != None) & tables.message.id.belongs(
                        [message_id for message_id in message_ids
                         if not messages[message_id]])
        db(has_key).update(head=None, body=None, stored_bytes=0)
        db(tables.message.id.belongs(message_ids) & ~has_key).delete()

# END =========================================================================
