# -*- coding: utf-8 -*-

"""
    Housekeeping: what has come to its end is removed after a while

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import time

from datetime import timedelta

from ..states import EMAIL, FAILED, INVALID, SENT
from .outbox import Outbox

__all__ = ("Purge",)

# How many deliveries are removed in one transaction, and the pause after it
# (seconds): others want to write as well
BATCH, PAUSE = 500, 0.05

# =============================================================================
class Purge:
    """
        Removes old deliveries that are sent, invalid or failed; never one
        that is unsent or on hold

        Of a host's own rows in msg_outbox, that is those which no send() of
        ours has made, the companions alone are removed: the row is the host's.
    """

    def __init__(self, db, settings, commit, now, site=None,
                 clock=time.monotonic, sleep=time.sleep):
        """
            Args:
                db: the DAL, with the tables of schema.py
                settings: see settings.py
                commit: commits a batch
                now: the time
                site: the name of the app, whose counters keep what was removed
                clock: tells the time (seconds)
                sleep: waits (seconds)
        """

        self.db = db
        self.outbox = Outbox(db)
        self.settings = settings
        self.commit = commit
        self.now = now
        self.site = site
        self.clock = clock
        self.sleep = sleep

        self.stopped = False

    # -------------------------------------------------------------------------
    def purge(self, deadline=None, tell=None):
        """
            Remove what has been kept for long enough, in batches

            Args:
                deadline: stop after that (seconds, as the clock tells them)
                tell: function that is called with the number removed so far

            Returns:
                how many deliveries were removed
        """

        settings = self.settings
        removed = self._remove_deleted()
        for status, days in ((SENT, settings.keep_sent),
                             (INVALID, settings.keep_rejected),
                             (FAILED, settings.keep_failed)):
            if not days:
                continue
            before, last = self.now - timedelta(days=days), 0
            while not self.stopped and (deadline is None or self.clock() < deadline):
                batch = self._old(status, before, last)
                if not batch:
                    break
                last = batch[-1][0]
                removed += self._remove(batch, status, before)
                self.commit()
                if tell:
                    tell(removed)
                self.sleep(PAUSE)
        return removed

    # -------------------------------------------------------------------------
    def stop(self):
        """ End after this batch """

        self.stopped = True

    # -------------------------------------------------------------------------
    def old(self):
        """ How many deliveries have been kept for long enough """

        settings, outbox = self.settings, self.db.msg_outbox
        number = self.db.mails3_delivery.id.count()
        orphans = self._orphans(number).first()[number]
        return orphans + \
            sum(self.db(self._query(status, self.now - timedelta(days=days)) &
                        (outbox.id == self.db.mails3_delivery.outbox_id)).count()
                for status, days in ((SENT, settings.keep_sent),
                                     (INVALID, settings.keep_rejected),
                                     (FAILED, settings.keep_failed)) if days)

    # -------------------------------------------------------------------------
    def _orphans(self, *fields, **options):
        """ Read deliveries whose row somebody has deleted in the outbox (Rows) """

        outbox, table = self.db.msg_outbox, self.db.mails3_delivery
        return self.db((outbox.id == None) & (table.lease == None)).select(
                        *fields, left=outbox.on(outbox.id == table.outbox_id), **options)

    # -------------------------------------------------------------------------
    def _remove_deleted(self):
        """
            Remove what belongs to rows that somebody has deleted; where the
            host keeps those, it is kept like all that was given up

            Returns:
                how many deliveries were removed
        """

        table, removed = self.db.mails3_delivery, 0
        while self.outbox.cancel_deleted(table.lease == None):
            self.commit()
        while not self.stopped:
            rows = self._orphans(table.id, table.message_id, limitby=(0, BATCH))
            if not rows:
                break
            self._remove_companions([(row.id, row.message_id, False) for row in rows])
            self.commit()
            removed += len(rows)
            self.sleep(PAUSE)
        return removed

    # -------------------------------------------------------------------------
    def _query(self, status, before):
        """ Query for what has been settled before a time """

        outbox = self.db.msg_outbox
        return (outbox.status == status) & (outbox.modified_on < before) & \
               (outbox.contact_method == EMAIL)

    # -------------------------------------------------------------------------
    def _old(self, status, before, last):
        """
            A batch of them

            Returns:
                list of (outbox id, delivery id, message id, whether the row
                in msg_outbox is the host's)
        """

        outbox, table = self.db.msg_outbox, self.db.mails3_delivery
        rows = self.db(self._query(status, before) & (outbox.id > last) &
                       (table.outbox_id == outbox.id)
                       ).select(outbox.id, outbox.message_id, table.id, table.message_id,
                                orderby = outbox.id,
                                limitby = (0, BATCH))
        return [(row.msg_outbox.id, row.mails3_delivery.id, row.mails3_delivery.message_id,
                 row.msg_outbox.message_id is not None) for row in rows]

    # -------------------------------------------------------------------------
    def _remove(self, batch, status, before):
        """ Remove a batch; returns how many deliveries """

        db = self.db
        outbox = db.msg_outbox

        # Only what is so still: an admin may just be requeueing it. What a host
        # keeps though it is deleted, it keeps.
        numbers = [number for number, *_ in batch]
        ours = (outbox.message_id == None) & self.outbox.undeleted
        db(outbox.id.belongs(numbers) & ours & self._query(status, before)).delete()
        kept = {row.id for row in db(outbox.id.belongs(numbers) &
                                     (ours | (outbox.status != status))
                                     ).select(outbox.id)}
        gone = [entry[1:] for entry in batch if entry[0] not in kept]
        # The row of a group is no mail
        self._remove_companions(gone, sum(message_id is not None for _, message_id, _ in gone)
                                if status == SENT else 0)
        return len(gone)

    # -------------------------------------------------------------------------
    def _remove_companions(self, gone, sent=0):
        """
            Remove deliveries with all that belongs to them

            Args:
                gone: list of (delivery id, message id, whether it is the host's)
                sent: how many of them were sent
        """

        db = self.db
        table, mail = db.mails3_delivery, db.mails3_message

        deliveries = [delivery for delivery, *_ in gone]
        attempts = db(db.mails3_attempt.delivery_id.belongs(deliveries)).delete()
        db(table.id.belongs(deliveries)).delete()

        copies = {message_id: is_host for _, message_id, is_host in gone if message_id}
        for row in db(table.message_id.belongs(list(copies))).select(table.message_id,
                                                                     distinct=True):
            # Of another recipient, who is not done with it
            del copies[row.message_id]
        messages = list(copies)
        db(db.mails3_attachment.message_id.belongs(messages)).delete()
        # A caller's key is good for ever; nothing else of that message is
        keyed = (mail.idempotency_key != None) & \
            mail.id.belongs([message_id for message_id in messages if not copies[message_id]])
        db(keyed).update(head=None, body=None, stored_bytes=0)
        db(mail.id.belongs(messages) & ~keyed).delete()

        self._count(sent, attempts)

    # -------------------------------------------------------------------------
    def _count(self, sent, attempts):
        """ What a counter has counted stays counted """

        table = self.db.mails3_channel
        self.db((table.site == self.site)).update(
                    purged_sent = table.purged_sent.coalesce_zero() + sent,
                    purged_attempts = table.purged_attempts.coalesce_zero() + attempts)

# END =========================================================================
