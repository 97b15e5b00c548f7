# -*- coding: utf-8 -*-

"""
    Our tasks in the host's scheduler: the periodic tasks and the wake tasks

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from datetime import time as daytime, timedelta
from uuid import uuid4

from gluon import current

from ..states import EMAIL
from ..queue.database import execute, sql_time
from .drain_task import DrainTask
from .scheduler_workers import SchedulerWorkers
from .task_rows import TaskRows
from .worker_loop import WorkerLoop

__all__ = ("Tasks", "app_scheduler_of")

# States in which the scheduler runs a task no more (gluon/scheduler.py)
ENDED = ("FAILED", "TIMEOUT", "STOPPED", "EXPIRED", "COMPLETED")

# When the purge runs, each day: few visitors write to the database at that time
# (clock of the server)
PURGE_TIME = daytime(3, 20)
PURGE_PERIOD_S = 86400

# How much later than expected a task may be before it counts as stuck
TOLERANCE_S = 60

# =============================================================================
class Tasks(SchedulerWorkers):
    """ The tasks of MailS3 in the scheduler of one application """

    # Their names, which are also the names of their functions
    DRAIN = "mails3_drain"
    RETRY = "mails3_retry"
    CHANNELS = "mails3_channels" # drain and retry pass of the other channels
    PURGE = "mails3_purge"

    # The uuid of a wake task begins with this
    WAKE = "mails3_wake"

    def __init__(self, scheduler, mail):
        """
            Args:
                scheduler: the host's Scheduler
                mail: the MailS3 of the app
        """

        self.scheduler = scheduler
        self.mail = mail
        self.rows = TaskRows(scheduler, mail)
        self.drain_task = DrainTask(mail)

    # -------------------------------------------------------------------------
    def register(self, functions):
        """
            Tell the scheduler which functions to run

            Args:
                functions: dict {name of the task: function}
        """

        # A scheduler without a dict reads the functions from the models
        if self.scheduler.tasks:
            self.scheduler.tasks.update(functions)

    # -------------------------------------------------------------------------
    def take_wakes(self):
        """ Make a worker take wakes by itself, without the scheduler's ticker """

        functions = sorted({self._function(name) for name in self.mail.channel_names})
        WorkerLoop(self.scheduler, self.rows.application(),
                   [self.rows.wake_uuids(self._wake_name(function)) for function in functions]
                   ).install()

    # -------------------------------------------------------------------------
    # The periodic tasks
    #
    def ensure_rows(self, db):
        """
            Insert the rows of our periodic tasks, or repair them: the scheduler
            does not restart a task that failed or whose worker was lost

            Args:
                db: a connection of our own to the scheduler's database, with
                    its tables defined
        """

        options = self.mail.options
        now = self.scheduler.now()
        tonight = now.combine(now + timedelta(days=1), PURGE_TIME)

        self._ensure_row(db, self.DRAIN, options.drain_interval, now)
        self._ensure_row(db, self.RETRY, options.retry_interval, now)
        self._ensure_row(db, self.PURGE, PURGE_PERIOD_S, tonight)
        if len(self.mail.channel_names) > 1:
            self._ensure_row(db, self.CHANNELS, options.drain_interval, now)

    # -------------------------------------------------------------------------
    def _ensure_row(self, db, function, period_s, first_run):
        """ Insert or repair the row of one periodic task """

        table = db.scheduler_task
        wanted = self.rows.values(function, self.rows.uuid(function), period=period_s, repeats=0)

        row = db(table.uuid == wanted["uuid"]).select(limitby=(0, 1)).first()
        if row is None:
            self._insert_once(db, dict(wanted,
                                       start_time = first_run,
                                       next_run_time = first_run,
                                       ))
            return

        if self._is_stuck(row, period_s):
            wanted.update(status = "QUEUED",
                          next_run_time = self.scheduler.now(),
                          assigned_worker_name = "",
                          )
        changes = {key: value for key, value in wanted.items() if row[key] != value}
        if changes:
            db(table.id == row.id).update(**changes)

    # -------------------------------------------------------------------------
    @staticmethod
    def _insert_once(db, values):
        """ Insert a row, unless another process inserts it at the same time """

        table = db.scheduler_task
        try:
            table.insert(**values)
            db.commit()
        except Exception:
            db.rollback()
            if db(table.uuid == values["uuid"]).isempty():
                raise

    # -------------------------------------------------------------------------
    def _is_stuck(self, row, period_s):
        """ Whether the scheduler will not run a periodic task in time """

        now = self.scheduler.now()
        if row.status == "RUNNING":
            lost = now - timedelta(seconds = self.mail.options.task_timeout + TOLERANCE_S)
            return (row.last_run_time or lost) <= lost
        if row.status == "QUEUED":
            return row.next_run_time > now + timedelta(seconds = 2 * period_s + TOLERANCE_S)
        return row.status in ENDED

    # -------------------------------------------------------------------------
    def remove_rows(self):
        """ Remove all our rows: MailS3 leaves the app; to be committed """

        db = self.scheduler.db
        for function in (self.DRAIN, self.CHANNELS):
            db(self.rows.wakes(self._wake_name(function))).delete()
        uuids = [self.rows.uuid(function) for function in
                 (self.DRAIN, self.RETRY, self.PURGE, self.CHANNELS)]
        db(db.scheduler_task.uuid.belongs(uuids)).delete()

    # -------------------------------------------------------------------------
    # The wake tasks
    #
    def wake(self, channel=EMAIL):
        """
            Make a worker run the drain of a channel soon; part of the caller's
            transaction
            - inserts a row of its own: no other transaction has to wait for
              this row, and a worker sees this row at the same moment as the mail
            - inserts no row if one is waiting already: one per burst

            Args:
                channel: the channel (str)
        """

        db = self.scheduler.db
        now = self.scheduler.now()
        function = self._function(channel)
        first, last = self.rows.wake_uuids(self._wake_name(function))
        if not execute(db, "SELECT 1 FROM scheduler_task WHERE uuid > ? AND uuid < ? AND "
                           "application_name = ? AND status = 'QUEUED' AND "
                           "next_run_time <= ? LIMIT 1",
                       first, last, self.rows.application(), sql_time(now)).fetchone():
            uuid = first + uuid4().hex
            row = self.rows.values(function, uuid, repeats=1)
            # A worker takes one task every two seconds, the longest due first: also
            # if the worker has been away for days
            long_ago = now - timedelta(days=365)
            db.scheduler_task.insert(start_time=long_ago, next_run_time=long_ago, **row)

    # -------------------------------------------------------------------------
    def remove_wakes(self, channel=EMAIL):
        """
            Remove the wake tasks that are done or queued: the drain that runs
            now does their work; to be committed

            Args:
                channel: the channel (str)
        """

        db = self.scheduler.db
        # An assigned row stays: its worker fails if the row is missing
        db(self.rows.wakes(self._wake_name(self._function(channel))) &
           db.scheduler_task.status.belongs(ENDED + ("QUEUED",))).delete()

    # -------------------------------------------------------------------------
    def _wake_name(self, function):
        """ The name by which the wake tasks of a function are found """

        return self.WAKE if function == self.DRAIN else "%s_%s" % (self.WAKE, function)

    # -------------------------------------------------------------------------
    def _function(self, channel):
        """ The name of the task that drains a channel """

        return self.DRAIN if channel == EMAIL else self.CHANNELS

# -----------------------------------------------------------------------------
def app_scheduler_of(db):
    """
        The app's own Scheduler

        Args:
            db: the DAL of the app

        Returns:
            the Scheduler, None if the app has none
    """

    scheduler = getattr(current, "_scheduler", None)
    # In a shell, current may still have the Scheduler of another app
    if scheduler and scheduler.db._adapter.folder == db._adapter.folder:
        return scheduler
    return None

# END =========================================================================
