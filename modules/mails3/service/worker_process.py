# -*- coding: utf-8 -*-

"""
    A worker process: sends new mail at once, and deferred mail when it is due;
    watches for incidents, repairs the tables, purges old mail at night

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging
import math
import os
import signal
import sys
import time

from ..admin.alerts import Alerts
from ..queue.database import recover
from ..queue.listener import Listener
from ..queue.workers import OWN, WorkerRow, Workers
from ..states import brief
from .source_files import SourceFiles
from .supervisor import AGAIN

__all__ = ("WorkerProcess", "work")

log = logging.getLogger("web2py.mails3")

# How long it waits for new mail before it looks for what becomes due (seconds)
WAIT_S = 1

# How often it gives a sign of life, looks at the files of the app, looks for
# incidents and for what is left over, repairs the tables (seconds)
ALIVE_EVERY_S = 3
FILES_EVERY_S = 2
WATCH_EVERY_S = 60
REPAIR_EVERY_S = 300

# How old it becomes: then it is started again, with models that are read again
# and with fresh memory (seconds)
MAX_AGE_S = 3600

# The pauses before it tries again after the database has failed (seconds)
MIN_PAUSE_S, MAX_PAUSE_S = 0.5, 5

# When the purge runs, each day: few visitors write to the database at that time
# (hour, by the clock of this machine); how long it works before it looks for mail
# again (seconds)
PURGE_HOUR = 3
PURGE_SLICE_S = 0.5

# -----------------------------------------------------------------------------
def work(mail, app, is_first):
    """
        Be a worker process until SIGTERM; SIGHUP: until the mail in hand is sent

        Args:
            mail: the MailS3
            app: path of the app
            is_first: it is the first of its supervisor: if the output is a terminal,
                      it shows there how much mail there is

        Returns:
            the exit status
    """

    def show():
        counts = mail.report().counts()
        print("\r%s  %s " % (time.strftime("%H:%M:%S"),
                             ", ".join("%d %s" % (count, state)
                                       for state, count in counts.items() if count)),
              end="", flush=True)

    is_shown = is_first and sys.stdout.isatty()
    process = WorkerProcess(mail, app, *([show] if is_shown else []))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: process.stop())
    signal.signal(signal.SIGHUP, lambda *_: process.reload())
    return process.run()

# =============================================================================
class WorkerProcess:
    """ Works until stop() """

    def __init__(self, mail, app, tell=lambda: None, clock=time.monotonic, sleep=time.sleep):
        """
            Args:
                mail: the MailS3
                app: path of the app
                tell: function that is called when something was sent
                clock: tells the time (seconds)
                sleep: waits (seconds)
        """

        self.mail = mail
        self.db = mail.db
        self.tell = tell
        self.clock = clock
        self.sleep = sleep

        self.row = WorkerRow(self.db, mail.site, OWN, is_kept=True)
        self.workers = Workers(self.db, mail.site)
        self.channels = mail.channels
        self.listener = Listener(self.db, self._has_new_mail, clock, sleep)
        self.files = SourceFiles(app)
        self.parent = os.getppid()
        self.started_at = clock()
        self.times = {}          # by name of a duty: when it was last done (by the clock)
        self.now = None          # tells the time by the clock of the database
        self.run_now = None      # the Worker, while it sends
        self.tried = set()       # names of the channels that have had a run
        self.status = None       # the exit status, once it is known
        self.is_purging = False

    # -------------------------------------------------------------------------
    def run(self):
        """
            Work until stop() is called, the settings have changed, or the process
            is old

            Returns:
                the exit status: 0, or AGAIN if it is to be started again
        """

        pause_s = MIN_PAUSE_S
        while self.status is None:
            try:
                self._listen()
                while self.status is None:
                    self.turn()
                    pause_s = MIN_PAUSE_S
                    if self.status is None:
                        self.listener.wait(WAIT_S)
            except Exception as error:
                log.warning("The worker can't go on now (%s), it tries again.", brief(error))
                self.sleep(pause_s)
                pause_s = min(2 * pause_s, MAX_PAUSE_S)
                recover(self.db)
        self._end()
        return self.status

    # -------------------------------------------------------------------------
    def stop(self, status=0):
        """
            End after the mail in hand

            Args:
                status: the exit status
        """

        self.status = status
        if self.run_now:
            self.run_now.stop()

    # -------------------------------------------------------------------------
    def reload(self):
        """ Let the process end after the mail in hand, and be started again """

        self.stop(AGAIN)

    # -------------------------------------------------------------------------
    # What it does
    #
    def turn(self):
        """ Do all that is to be done now; commits """

        if self._is_time("alive", ALIVE_EVERY_S):
            self._show_alive()
        is_watching = self._is_time("watch", WATCH_EVERY_S)
        for channel in self.channels:
            self._send(channel, is_watching)
        if is_watching:
            Alerts(self.mail).run()
            self.workers.remove_lost(self.now())
            self.db.commit()
        if self._is_time("repair", REPAIR_EVERY_S):
            self.mail.self_repair()
        self._purge()
        self._look_after_itself()

    # -------------------------------------------------------------------------
    def _listen(self):
        """ Begin to listen, with the clock of the database; commits """

        self.now = self.channels[0].shared_clock()
        self._show_alive()
        self.listener.open()

    # -------------------------------------------------------------------------
    def _is_time(self, duty, every_s):
        """ Whether a duty is to be done again; it is noted as done now """

        now = self.clock()
        if now < self.times.get(duty, -math.inf) + every_s:
            return False
        self.times[duty] = now
        return True

    # -------------------------------------------------------------------------
    def _show_alive(self):
        """ Give a sign of life; commits """

        self.row.note_alive(self.now(), "waiting for mail")
        self.db.commit()

    # -------------------------------------------------------------------------
    def _has_new_mail(self):
        """ Whether new mail waits, seen afresh; ends the transaction """

        self.db.commit()
        return not self.channels[0].is_idle()

    # -------------------------------------------------------------------------
    def _has_work(self, channel):
        """ Whether a run of a channel would find something to send; ends the transaction """

        self.db.commit()
        return channel.has_work(self.now(), is_patient = channel.name in self.tried)

    # -------------------------------------------------------------------------
    def _send(self, channel, is_thorough):
        """
            Send what a channel has to send; commits

            Args:
                channel: the Channel
                is_thorough: also what was left over or released in the host's own
                             table, for which all its unsent rows are looked at
        """

        if self.status is not None or not (is_thorough or self._has_work(channel)):
            return
        self.now = channel.shared_clock()
        self.tried.add(channel.name)
        run = channel.worker(everything=is_thorough, row=self.row, now=self.now)
        run.deadline = math.inf
        self.run_now = run
        try:
            # A signal may have come before the run was known
            count = run.work() if self.status is None else 0
        finally:
            self.run_now = None
        if count:
            self._show_alive()
            self.tell()
            Alerts(self.mail).run()

    # -------------------------------------------------------------------------
    def _purge(self):
        """ Purge in short slices, at night, one worker of the site each day; commits """

        now, channel = self.now(), self.channels[0]
        if not self.is_purging:
            is_night = time.localtime().tm_hour == PURGE_HOUR
            self.is_purging = is_night and channel.limiter.begin_purge(now)
            self.db.commit()
        if self.is_purging:
            end = time.monotonic() + PURGE_SLICE_S
            self.is_purging = channel.purge().purge(end) > 0

    # -------------------------------------------------------------------------
    def _look_after_itself(self):
        """
            End if the process that has started this one is gone, or if there is a
            reason to be started again
        """

        if os.getppid() != self.parent:
            self.stop()
            return
        has_changed = self._is_time("files", FILES_EVERY_S) and self.files.have_changed()
        if has_changed or self.clock() > self.started_at + MAX_AGE_S:
            self.reload()

    # -------------------------------------------------------------------------
    def _end(self):
        """ The worker is gone; never raises """

        self.listener.close()
        try:
            self.row.remove()
            self.db.commit()
        except Exception as error:
            log.warning("The worker can't say that it ends (%s).", brief(error))

# END =========================================================================
