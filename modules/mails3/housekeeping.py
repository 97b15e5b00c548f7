# -*- coding: utf-8 -*-

"""
    Housekeeping: what has come to its end is removed after a while

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import time

from datetime import timedelta

from .message import EMAIL, FAILED, INVALID, SENT

__all__ = ("Housekeeping",)

# How many deliveries are removed in one transaction, and the pause after it
# (seconds): others want to write as well
BATCH, PAUSE = 500, 0.05

# =============================================================================
class Housekeeping:
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
        removed = 0
        for status, days in ((SENT, settings.keep_sent),
                             (INVALID, settings.keep_invalid),
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
        return sum(self.db(self._query(status, self.now - timedelta(days=days)) &
                           (outbox.id == self.db.mails3_delivery.outbox_id)).count()
                   for status, days in ((SENT, settings.keep_sent),
                                        (INVALID, settings.keep_invalid),
                                        (FAILED, settings.keep_failed)) if days)

    # -------------------------------------------------------------------------
    def _query(self, status, before):
        """ Query for what has been settled before a time """

        outbox = self.db.msg_outbox
        return (outbox.status == status) & (outbox.modified_on < before) & \
               (outbox.contact_method == EMAIL)

    # -------------------------------------------------------------------------
    def _old(self, status, before, last):
        """ A batch of them: list of (outbox id, delivery id, message id) """

        outbox, table = self.db.msg_outbox, self.db.mails3_delivery
        rows = self.db(self._query(status, before) & (outbox.id > last) &
                       (table.outbox_id == outbox.id)
                       ).select(outbox.id, table.id, table.mail_id,
                                orderby = outbox.id,
                                limitby = (0, BATCH))
        return [(row.msg_outbox.id, row.mails3_delivery.id, row.mails3_delivery.mail_id)
                for row in rows]

    # -------------------------------------------------------------------------
    def _remove(self, batch, status, before):
        """ Remove a batch; returns how many deliveries """

        db = self.db
        outbox, table, mail = db.msg_outbox, db.mails3_delivery, db.mails3_message

        # Only what is so still: an admin may just be requeueing it
        own = [number for number, _, mail_id in batch if mail_id]
        db(outbox.id.belongs(own) & self._query(status, before)).delete()
        kept = {row.id for row in db(outbox.id.belongs(own)).select(outbox.id)}
        gone = [entry for entry in batch if entry[0] not in kept]

        deliveries = [delivery for _, delivery, _ in gone]
        attempts = db(db.mails3_attempt.delivery_id.belongs(deliveries)).delete()
        db(table.id.belongs(deliveries)).delete()

        messages = {mail_id for _, _, mail_id in gone if mail_id}
        needed = {row.mail_id for row in
                  db(table.mail_id.belongs(messages)).select(table.mail_id, distinct=True)}
        messages = list(messages - needed)
        db(db.mails3_attachment.mail_id.belongs(messages)).delete()
        db(mail.id.belongs(messages) & (mail.idempotency_key == None)).delete()
        # A key is good for ever; nothing else of that message is
        db(mail.id.belongs(messages)).update(head=None, body=None, size=0)

        self._count(len(gone) if status == SENT else 0, attempts)
        return len(gone)

    # -------------------------------------------------------------------------
    def _count(self, sent, attempts):
        """ What a counter has counted stays counted """

        table = self.db.mails3_relay
        self.db((table.site == self.site)).update(
                            purged_sent = table.purged_sent + sent,
                            purged_attempts = table.purged_attempts + attempts)

# END =========================================================================
