# -*- coding: utf-8 -*-

"""
    Our tasks in the host's scheduler: their rows, the kick, the workers

    Rows are inserted directly: queue_task() refuses tasks that were added
    after the scheduler was made, and any application_name on web2py 3.x.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import threading
import time

from datetime import time as daytime, timedelta
from uuid import uuid4

from ..states import EMAIL
from ..queue.schema import execute, text

__all__ = ("Tasks",)

# Where a task of ours must not stay (gluon/scheduler.py)
ENDED = ("FAILED", "TIMEOUT", "STOPPED", "EXPIRED", "COMPLETED")

# When few want to write to the database, by the clock of the server
NIGHT = daytime(3, 20)

# =============================================================================
class Tasks:
    """ The drain and the retry pass as tasks of one application """

    DRAIN = "mails3_drain"
    RETRY = "mails3_retry"
    CHANNELS = "mails3_channels" # what goes by another way than mail
    PURGE = "mails3_purge"
    WAKE = "mails3_wake"

    def __init__(self, scheduler, mail):
        """
            Args:
                scheduler: the host's Scheduler
                mail: the MailS3 of the app
        """

        self.scheduler = scheduler
        self.mail = mail

    # -------------------------------------------------------------------------
    def register(self, functions):
        """
            Make the functions known to the workers

            Args:
                functions: dict {name: function}
        """

        # Without a dict, the scheduler finds them in the model environment
        if self.scheduler.tasks:
            self.scheduler.tasks.update(functions)

    # -------------------------------------------------------------------------
    def poll_faster(self):
        """
            Have a worker look for tasks twice in a heartbeat
            - its heartbeat asks the loop to assign tasks, and withdraws that
              with the next beat: at one and the same pace, the loop looks at
              the wrong moment once in a while, then often several times in a
              row, and no task is run for a minute
        """

        scheduler = self.scheduler
        if scheduler.max_empty_runs:
            # It counts its looks, to end after so many
            return

        def sleep():
            looks = 1 if threading.current_thread() is scheduler else 2
            time.sleep(scheduler.w_stats.sleep / looks)

        scheduler.sleep = sleep

    # -------------------------------------------------------------------------
    def establish(self, db):
        """
            Make our rows, and repair them: the scheduler itself leaves a
            task that failed, or whose worker was lost, as it is

            Args:
                db: a connection of our own to the scheduler's database,
                    with its tables defined
        """

        options = self.mail.options
        self._establish(db, self.DRAIN, options.drain_interval)
        self._establish(db, self.RETRY, options.retry_interval)
        now = self.scheduler.now()
        self._establish(db, self.PURGE, 86400,
                        now.combine(now + timedelta(days=1), NIGHT))
        if len(self.mail.channels) > 1:
            self._establish(db, self.CHANNELS, options.drain_interval)

    # -------------------------------------------------------------------------
    def _establish(self, db, function, period, first=None):
        """ Make or repair the row of one periodic task, first due now """

        now = self.scheduler.now()
        table = db.scheduler_task
        wanted = self._row(function, self._uuid(function), period=period, repeats=0)

        row = db(table.uuid == wanted["uuid"]).select(limitby=(0, 1)).first()
        if row is None:
            try:
                table.insert(start_time = first or now,
                             next_run_time = first or now,
                             **wanted)
                db.commit()
            except Exception:
                db.rollback()
                if db(table.uuid == wanted["uuid"]).isempty():
                    raise
                # Another process was faster
            return

        lost = now - timedelta(seconds = self.mail.options.task_timeout + 60)
        late = now + timedelta(seconds = 2 * period + 60)
        if row.status in ENDED or \
           row.status == "RUNNING" and (row.last_run_time or lost) <= lost or \
           row.status == "QUEUED" and row.next_run_time > late:
            wanted.update(status="QUEUED", next_run_time=now, assigned_worker_name="")

        changes = {key: value for key, value in wanted.items() if row[key] != value}
        if changes:
            db(table.id == row.id).update(**changes)

    # -------------------------------------------------------------------------
    def wake(self, channel=EMAIL):
        """
            Have the drain of a channel run soon; part of the caller's transaction
            - a row of its own, which no other transaction has to wait for,
              and which a worker sees at the very moment when it sees the mail
            - none if one is waiting already: once per burst
        """

        db = self.scheduler.db
        now = self.scheduler.now()
        function = self._function(channel)
        first, last = self._wake_uuids(function)
        if not execute(db, "SELECT 1 FROM scheduler_task WHERE uuid > ? AND uuid < ? AND "
                           "application_name = ? AND status = 'QUEUED' AND "
                           "next_run_time <= ? LIMIT 1",
                       first, last, self._application(), text(now)).fetchone():
            uuid = first + uuid4().hex
            row = self._row(function, uuid, repeats=1)
            # A worker takes what is due for longest first, one in two seconds
            before = now - timedelta(days=1)
            db.scheduler_task.insert(start_time=before, next_run_time=before, **row)

    # -------------------------------------------------------------------------
    def forget_wakes(self, channel=EMAIL):
        """ Remove the kicks that are done, or that the running drain answers """

        db = self.scheduler.db
        # Not those assigned to a worker: it would stumble over the gap
        db(self._wakes(db, self._function(channel)) &
           db.scheduler_task.status.belongs(ENDED + ("QUEUED",))).delete()

    # -------------------------------------------------------------------------
    def workers(self):
        """
            The workers that are alive and would run our tasks

            Returns:
                how many
        """

        db = self.scheduler.db
        table = db.scheduler_worker
        silence = timedelta(seconds=self.mail.options.worker_timeout)
        since = self.scheduler.now() - silence
        rows = db((table.last_heartbeat > since) &
                  table.status.belongs(("ACTIVE", "PICK", "STOP_TASK"))
                  ).select(table.group_names)
        return sum(self._group() in (row.group_names or ()) for row in rows)

    # -------------------------------------------------------------------------
    def remove(self):
        """ Remove our rows, for good """

        db = self.scheduler.db
        for function in (self.DRAIN, self.CHANNELS):
            db(self._wakes(db, function)).delete()
        db(db.scheduler_task.uuid.belongs((self._uuid(self.DRAIN),
                                           self._uuid(self.RETRY),
                                           self._uuid(self.PURGE),
                                           self._uuid(self.CHANNELS)))).delete()

    # -------------------------------------------------------------------------
    def _uuid(self, name):
        """ The fixed uuid by which a row is found """

        return "%s-%s" % (name.replace("_", "-"), self.mail.site)

    # -------------------------------------------------------------------------
    def _function(self, channel):
        """ The task that drains a channel """

        return self.DRAIN if channel == EMAIL else self.CHANNELS

    # -------------------------------------------------------------------------
    def _wake_uuids(self, function):
        """
            Between which the uuids of the kicks of a task lie: a range, for
            uuid is what is indexed; the first is how they all begin
        """

        name = self.WAKE if function == self.DRAIN else "%s_%s" % (self.WAKE, function)
        return self._uuid(name) + "-", self._uuid(name) + "-g"

    # -------------------------------------------------------------------------
    def _wakes(self, db, function):
        """ Query for the kicks of a task """

        table = db.scheduler_task
        first, last = self._wake_uuids(function)
        return (table.uuid > first) & (table.uuid < last) & \
               (table.application_name == self._application())

    # -------------------------------------------------------------------------
    def _application(self):
        """ Where a worker runs our tasks """

        # Its request is anonymous: it needs a public controller
        return "%s/default" % self.mail.site

    # -------------------------------------------------------------------------
    def _group(self):
        """ The group whose workers run our tasks """

        return self.scheduler.group_names[0]

    # -------------------------------------------------------------------------
    def _row(self, function, uuid, **values):
        """ The values of a row that do not depend on the time """

        return dict(values,
                    uuid = uuid,
                    application_name = self._application(),
                    task_name = function,
                    function_name = function,
                    group_name = self._group(),
                    timeout = self.mail.options.task_timeout,
                    # For ever: a task that failed once must not stay so
                    retry_failed = -1,
                    )

# END =========================================================================
