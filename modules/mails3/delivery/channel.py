# -*- coding: utf-8 -*-

"""
    A channel: a way of sending, with all that belongs to it

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging

from functools import cached_property

from ..clock import utcnow
from ..queue.channel_row import ChannelRow
from ..queue.claims import Claims
from ..queue.contents import Contents
from ..queue.database import TransactionLost, database_clock, has_own_writers, \
                             lock_rows_only, own_connection, recover, savepoint
from ..queue.purge import Purge
from ..queue.schema import Tables
from ..queue.transitions import OperatorTransitions, Transitions
from ..queue.workers import COMMAND, WorkerRow
from ..states import DEFERRED, EMAIL, NEW, brief
from .activity import Activity
from .allowance import Allowance
from .breaker import Breaker, is_waiting
from .limits import Limiter
from .transport import Transport
from .worker import Worker

__all__ = ("Channel",)

log = logging.getLogger("web2py.mails3")

# The clocks of this machine and of the database may differ by so much (seconds)
MAX_SKEW_S = 30

# A visitor's process waits so long for another writer on SQLite (seconds)
LOCK_WAIT_S = 5

# =============================================================================
class Channel:
    """
        EMAIL; a host may have others, like SMS

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
        self.options = mail.options

        self.tables = Tables(self.db)
        self.contents = Contents(self.tables)
        self.transitions = Transitions(self.tables)
        self.claims = Claims(self.tables, self.transitions, name, self.options.longest_wait)

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
    def transport(self):
        """ A Transport, or an object with its methods """

        return Transport(self.mail, self.options.reply_timeout)

    # -------------------------------------------------------------------------
    @cached_property
    def host_limits(self):
        """ The host's own limits, in messages (list of objects like Eden's DailyLimit) """

        return []

    # -------------------------------------------------------------------------
    @cached_property
    def limiter(self):
        """ The Limiter """

        return Limiter(self.row, self.options)

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

        has_new = self.has_new(now)
        if not has_new and not self.claims.has_free(DEFERRED, now):
            return False
        row = self.row.read()
        if is_patient and is_waiting(row, now) or not Allowance.at(self, row, now).left():
            return False
        return has_new or self.limiter.may_begin_retry_pass(row, now)

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
    # Runs
    #
    def is_idle(self):
        """ Whether nothing new waits, claimed or not: one query, no write """

        return not self.db.executesql(self.new_mail_query)

    # -------------------------------------------------------------------------
    def drain(self):
        """
            Send the new deliveries; commits

            Returns:
                how many were handed over or settled
        """

        if self.is_idle():
            return 0
        worker = self.worker()
        if self.mail.tasks:
            # First: mail that is queued after that may need a wake of its own
            self._remove_wakes(self.mail.tasks)
        return worker.drain()

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

        return self.worker(everything=True).retry()

    # -------------------------------------------------------------------------
    def purge(self):
        """ A Purge, with the connection to itself; commits """

        lock_rows_only(self.db)
        return Purge(self.tables, self.options, self.db.commit, utcnow(), self.row)

    # -------------------------------------------------------------------------
    def worker(self, everything=False, transport=None, **options):
        """
            A Worker for a run, with the connection to itself; commits

            Args:
                everything: as for take_in(), which is done before
                transport: in place of that of the channel
                options: see Worker
        """

        if "now" not in options:
            options["now"] = self.shared_clock()
        lock_rows_only(self.db)
        self.take_in(everything)
        return Worker(self, transport or self.transport(), self.options,
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

        Worker(self, self.transport(), self.options, commit,
               message_time_s = self.options.fallback_timeout,
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
