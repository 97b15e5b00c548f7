# -*- coding: utf-8 -*-

"""
    The runs of a channel: drain, retry pass, purge, and a message that is tried
    at once

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging
import math
import time

from ..clock import utcnow
from ..queue.database import TransactionLost, database_clock, has_own_writers, \
                             lock_rows_only, own_connection, recover, savepoint
from ..queue.purge import Purge
from ..queue.workers import COMMAND, WorkerRow
from ..states import brief
from .outcomes import Outcomes
from .relay import Relay
from .worker import Worker

__all__ = ("Runs",)

log = logging.getLogger("web2py.mails3")

# The clocks of this machine and of the database may differ by so much (seconds)
MAX_SKEW_S = 30

# A visitor's process waits so long for another writer on SQLite (seconds)
LOCK_WAIT_S = 5

# =============================================================================
class Runs:
    """ The part of a Channel that sends """

    def drain(self):
        """
            Send the new deliveries; commits

            Returns:
                how many were handed over or settled
        """

        if self.is_idle() and not self.schedule.has_due(utcnow()):
            return 0
        if self.mail.tasks:
            # First: mail that is queued after that may need a wake of its own
            self._remove_wakes(self.mail.tasks)
        return sum(worker.drain() for worker in self.workers())

    # -------------------------------------------------------------------------
    def _remove_wakes(self, tasks):
        """ Remove the wakes that this run answers; commits """

        db = tasks.scheduler.db
        try:
            tasks.remove_wakes(self.name)
            db.commit()
        except Exception as error:
            # The scheduler may hold them; they cost a run without mail
            db.rollback()
            log.info("Wakes can't be removed now (%s).", brief(error))

    # -------------------------------------------------------------------------
    def retry(self):
        """
            Send the deferred deliveries that are due; commits

            Returns:
                how many were handed over or settled
        """

        return sum(worker.retry() for worker in self.workers(everything=True))

    # -------------------------------------------------------------------------
    def purge(self):
        """ A Purge, with the connection to itself; commits """

        lock_rows_only(self.db)
        return Purge(self.tables, self.options, self.db.commit, utcnow(), self.row)

    # -------------------------------------------------------------------------
    def workers(self, transport=Relay.transport, **options):
        """
            The Workers for a run: one for each relay

            Args:
                transport: function that makes the transport for a Relay
                options: as for worker()

            Yields:
                Worker, when the run of the one before has ended
        """

        # In a test, nothing is sent
        relays, end = self.relays if self.mail.outbox is None else [], math.inf
        while relays:
            count = 0
            for relay in relays:
                worker = self.worker(relay, transport(relay), **options)
                worker.deadline = end = min(worker.deadline, end)
                yield worker
                # Nothing is in hand now: a function that takes long delays no mail
                Outcomes(self).tell()
                if worker.is_over():
                    return
                count += worker.count
            # A relay may have got more to do while another one had its turn
            relays = self.relays if count and len(relays) > 1 else []

    # -------------------------------------------------------------------------
    def worker(self, relay=None, transport=None, everything=False, **options):
        """
            A Worker for a run by one relay, with the connection to itself; commits

            Args:
                relay: the Relay; None = the first one
                transport: in place of that of the relay
                everything: as for take_in(), which is done before
                options: see Worker
        """

        relay = relay or self.relay
        if "now" not in options:
            options["now"] = self.shared_clock()
        lock_rows_only(self.db)
        if relay.settings:
            # The site may have set it just now
            relay.row.ensure()
        self.take_in(everything)
        while self.schedule.start_due(options["now"]()):
            self.db.commit()
        self.db.commit()
        return Worker(relay, transport or relay.transport(), relay.options,
                      commit = self.db.commit,
                      recover = lambda: recover(self.db),
                      **options)

    # -------------------------------------------------------------------------
    def try_now(self, queued, is_callers=True):
        """
            Try a message at once, where no worker was woken; logs a failure

            Args:
                queued: function that returns the ids of its deliveries
                is_callers: it was queued in the caller's transaction, which is
                            not committed yet; else it is committed

            Raises:
                TransactionLost: the caller's transaction is undone
        """

        if not self.options.fallback:
            return
        try:
            if is_callers:
                # No worker sees the message before the commit, so none sends it
                with savepoint(self.db, "mails3_try"):
                    self.apart()._try_now(queued(), lambda: None)
            else:
                with own_connection(self.db, LOCK_WAIT_S):
                    self._try_now(queued(), self.db.commit, now=self.shared_clock())
        except TransactionLost:
            raise
        except Exception as error:
            log.error("Mail can't be tried now (%s), it stays queued.", brief(error))

    # -------------------------------------------------------------------------
    def _try_now(self, ids, commit, **options):
        """ Try deliveries at once """

        end = time.monotonic() + self.options.fallback_timeout
        for relay in self.relays:
            # A visitor may be waiting: the time is for all relays together
            left_s = end - time.monotonic()
            if left_s > 0:
                Worker(relay, relay.transport(), relay.options, commit,
                       message_time_s = left_s,
                       row = WorkerRow(self.db, self.mail.site, COMMAND),
                       **options).send_own(ids)

    # -------------------------------------------------------------------------
    def apart(self):
        """
            The same channel, with its row apart from the caller's transaction:
            others must not wait for the end of that. On SQLite, the caller is
            the only writer.
        """

        return type(self)(self.mail, self.name, is_apart=has_own_writers(self.db))

    # -------------------------------------------------------------------------
    def shared_clock(self):
        """ The clock of the database, see database_clock(); logs a wrong one """

        now, ahead = database_clock(self.db)
        skew_s = round(ahead.total_seconds())
        if abs(skew_s) > MAX_SKEW_S:
            self.mail.log_sometimes("The clock of this machine is %s seconds %s that of the "
                                    "database. Mail is not sent twice for that, but times are "
                                    "wrong: set both clocks by NTP." %
                                    (abs(skew_s), "ahead of" if skew_s > 0 else "behind"))
        return now

# END =========================================================================
