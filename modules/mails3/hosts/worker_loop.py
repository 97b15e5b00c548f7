# -*- coding: utf-8 -*-

"""
    What MailS3 adds to the loop of web2py's scheduler worker: a free worker takes
    a wake by itself

    The scheduler has one of its workers, the ticker, assign the tasks that are
    due, every five heartbeats. A wake that had to wait for the ticker would cost
    8 seconds on average. Here, the worker that takes a wake is free and alive
    at that moment: nobody has to guess which worker is.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging
import os
import threading
import time

from datetime import timedelta

from gluon.languages import read_possible_languages

from ..queue.database import execute, sql_time
from ..states import brief
from .fork_guard import ForkGuard

__all__ = ("LOOK_EVERY_S", "WorkerLoop")

log = logging.getLogger("web2py.mails3")

# How often a free worker looks for a wake (seconds): one query by an index
LOOK_EVERY_S = 0.2

# The shortest time between the starts of two wakes, of all workers (seconds). A
# drain looks for more mail while web2py keeps its worker (DrainTask), so that
# another worker would find nothing; and the app's own tasks need a worker as well.
WAKE_EVERY_S = 3

# After so many heartbeats without an assignment, wakes have kept the ticker
# from its work
MAX_HEARTBEATS = 6

# =============================================================================
class WorkerLoop:
    """ The part of MailS3 in the loop of a worker (Scheduler.loop) """

    def __init__(self, scheduler, application, wakes, clock=time.monotonic, sleep=time.sleep):
        """
            Args:
                scheduler: the host's Scheduler
                application: the application_name of our tasks
                wakes: list of the ranges of uuids of wakes, one for each task,
                       as from TaskRows.wake_uuids()
                clock: tells the time (seconds)
                sleep: waits (seconds)
        """

        self.scheduler = scheduler
        self.application = application
        self.wakes = wakes
        self.clock = clock
        self.wait = sleep

        self.is_after_wake = False # the task before was a wake
        self.assigned_at_s = clock() # when the ticker has assigned tasks
        self.guard = ForkGuard()

    # -------------------------------------------------------------------------
    def install(self):
        """ Take the place of methods of the scheduler """

        self.scheduler.sleep = self.sleep
        self.scheduler.pop_task = self.pop_task
        self.scheduler.send_heartbeat = self.send_heartbeat

    # -------------------------------------------------------------------------
    # In place of methods of the scheduler
    #
    def sleep(self):
        """
            Wait until the loop is to look for tasks again: for half a heartbeat,
            or until a wake may be taken
            - the heartbeat thread asks the loop to assign tasks, and withdraws
              this request with the next heartbeat. If both ran at the same pace,
              the loop would look at the wrong moment again and again, and no
              task would run for a minute.
        """

        scheduler = self.scheduler
        pause_s = scheduler.w_stats.sleep
        if threading.current_thread() is scheduler:
            with self.guard.lifted():
                self.wait(pause_s)
            return
        if scheduler.w_stats.status == "DISABLED":
            self.wait(pause_s)
            return
        if not scheduler.max_empty_runs:
            # A worker with a limit counts its looks, and then ends
            pause_s /= 2

        end_s = self.clock() + pause_s
        while self.clock() < end_s and scheduler.have_heartbeat:
            self.wait(min(LOOK_EVERY_S, max(0, end_s - self.clock())))
            if self._attempt(self._find):
                return

    # -------------------------------------------------------------------------
    def send_heartbeat(self, counter):
        """
            Send a heartbeat, and sleep; no task starts in between

            Args:
                counter: how many heartbeats this worker has sent
        """

        with self.guard:
            type(self.scheduler).send_heartbeat(self.scheduler, counter)

    # -------------------------------------------------------------------------
    def pop_task(self):
        """
            Get the next task for this worker: a wake first, but after a wake
            first what the ticker has assigned

            Returns:
                the Task, or None
        """

        self.guard.watch()
        self._attempt(self._read_languages)
        stock = type(self.scheduler).pop_task
        self._attempt(self._assign_if_late)
        task = stock(self.scheduler) if self.is_after_wake else None
        if not task:
            # Both commit at once: a worker that is killed here has not taken it
            self._attempt(self._take)
            task = stock(self.scheduler)
        self.is_after_wake = bool(task) and any(first < task.uuid < last
                                                for first, last in self.wakes)
        return task

    # -------------------------------------------------------------------------
    def _read_languages(self):
        """
            Read the app's language files, if they have changed, so that the
            processes of its tasks have them
            - the worker's models have read them by the full path of the app, a
              task names the app by a relative path, and would read them again:
              in Eden, this took a second of each task
        """

        languages = os.path.join("applications", self.application.split("/")[0], "languages")
        if os.path.isdir(languages):
            read_possible_languages(languages)

    # -------------------------------------------------------------------------
    def _attempt(self, step):
        """ What a step returns, None if it fails: web2py's own loop goes on """

        try:
            return step()
        except Exception as error:
            log.info("A step of MailS3 in the scheduler worker has failed (%s).", brief(error))
            try:
                self.scheduler.db.rollback()
            except Exception:
                # The connection is lost, which the scheduler will find out by itself
                pass
            return None

    # -------------------------------------------------------------------------
    # Wakes
    #
    def _find(self):
        """ Find a wake that this worker may take, and end the transaction; its id or None """

        db = self.scheduler.db
        # MySQL shows a transaction what was there when it began
        db.commit()
        found = next(filter(None, map(self._find_in, self.wakes)), None)
        db.commit()
        return found

    # -------------------------------------------------------------------------
    def _take(self):
        """ Assign a wake to this worker, in the transaction of Scheduler.pop_task() """

        wake_id = next(filter(None, map(self._find_in, self.wakes)), None)
        if wake_id:
            # Another worker may have been faster
            execute(self.scheduler.db,
                    "UPDATE scheduler_task SET status = 'ASSIGNED', assigned_worker_name = ? "
                    "WHERE id = ? AND status = 'QUEUED'",
                    self.scheduler.worker_name, wake_id)

    # -------------------------------------------------------------------------
    def _find_in(self, uuids):
        """
            Find a wake of a task

            Args:
                uuids: the range of their uuids: the only index that there is

            Returns:
                the id of the row; None if this worker may take no wake now,
                as another wake of this task was started just now
        """

        scheduler = self.scheduler
        db, now = scheduler.db, scheduler.now()
        wakes = "SELECT id FROM scheduler_task " \
                "WHERE uuid > ? AND uuid < ? AND application_name = ? AND "
        groups = list(scheduler.group_names)
        row = execute(db, wakes + "status = 'QUEUED' AND next_run_time <= ? AND "
                                  "group_name IN (%s) LIMIT 1" % ", ".join("?" * len(groups)),
                      *uuids, self.application, sql_time(now), *groups).fetchone()
        if row is None:
            return None
        just_now = now - timedelta(seconds=WAKE_EVERY_S)
        # Later than now: the worker's clock is ahead
        if execute(db, wakes + "last_run_time > ? AND last_run_time <= ? LIMIT 1",
                   *uuids, self.application, sql_time(just_now), sql_time(now)).fetchone():
            return None
        return row[0]

    # -------------------------------------------------------------------------
    # The ticker
    #
    def _assign_if_late(self):
        """
            Assign tasks, as the ticker does, if wakes have kept this worker from it
            - the heartbeat thread asks for it at certain moments only, and only
              if it finds the worker free: without this, the app's own tasks
              would not run on a site that sends all the time
        """

        scheduler, now_s = self.scheduler, self.clock()
        late_s = MAX_HEARTBEATS * scheduler.heartbeat
        if scheduler.do_assign_tasks:
            self.assigned_at_s = now_s
        elif self.is_after_wake and scheduler.is_a_ticker and now_s - self.assigned_at_s > late_s:
            self.assigned_at_s = now_s
            db = scheduler.db
            # The tasks are for workers that were free at their last heartbeat
            db(db.scheduler_worker.worker_name == scheduler.worker_name).update(
                    worker_stats = dict(scheduler.w_stats))
            db.commit()
            scheduler.wrapped_assign_tasks()

# END =========================================================================
