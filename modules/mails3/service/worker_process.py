# -*- coding: utf-8 -*-

"""
    A worker process: sends new mail at once, and deferred mail when it is due

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging
import math
import signal
import time

from ..queue.database import recover
from ..queue.listener import Listener
from ..queue.workers import OTHER_CHANNELS, OWN, WorkerRow
from ..states import brief
from .duties import ALIVE_EVERY_S, Duties, Timetable
from .run_time import RunTime

__all__ = ("WorkerProcess", "work")

log = logging.getLogger("web2py.mails3")

# How long it waits for new mail before it looks for what becomes due (seconds)
WAIT_S = 1

# How often a run is looked at that is under way (seconds)
CONTROL_EVERY_S = 1

# How often a run also takes what was left over or released in the host's own table,
# for which all unsent rows are looked at (seconds)
THOROUGH_EVERY_S = 300

# How often the clock of the database is read; how often it is asked whether other
# channels have something to send; how long their process stays without that (seconds)
CLOCK_EVERY_S = 60
OTHERS_EVERY_S = 1
OTHERS_IDLE_S = 3600

# The pauses before it tries again after the database has failed; how often it says
# so, and looks whether a table is missing (seconds)
MIN_PAUSE_S, MAX_PAUSE_S = 0.5, 2
COMPLAIN_EVERY_S = REPAIR_SOON_S = 60

# -----------------------------------------------------------------------------
def work(mail, files, supervisor, is_first, is_for_others):
    """
        Be a worker process until SIGTERM; at SIGHUP have another one take its place

        Args:
            mail: the MailS3
            files: the SourceFiles, from before the models were run
            supervisor: the SupervisorLink
            is_first: it is the first one of its supervisor, see Duties
            is_for_others: it sends what goes by other channels than mail

        Returns:
            the exit status
    """

    process = WorkerProcess(mail, files, supervisor, is_first, is_for_others)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: process.stop())
    signal.signal(signal.SIGHUP, lambda *_: process.duties.ask_for_replacement())
    process.run()
    return 0

# =============================================================================
class WorkerProcess:
    """
        Works until stop()
        - it sends mail; for other channels, it asks the supervisor for another
          process, which is one of this class as well. A gateway for texts keeps
          its process waiting.
    """

    def __init__(self, mail, files, supervisor, is_first=False, is_for_others=False,
                 clock=time.monotonic, sleep=time.sleep):
        """
            Args:
                as for work()
                clock: tells the time (seconds)
                sleep: waits (seconds)
        """

        self.mail = mail
        self.db = mail.db
        self.supervisor = supervisor
        self.clock = clock
        self.sleep = sleep

        self.row = WorkerRow(self.db, mail.site, OTHER_CHANNELS if is_for_others else OWN,
                             is_kept=True)
        first, *others = mail.channels
        self.channels, self.others = (others, []) if is_for_others else ([first], others)
        self.idle_until = math.inf # it ends then (by the clock)
        self.listener = Listener(self.db, self._has_new_mail, clock, sleep)
        self.times = Timetable(clock)
        waiting = "waiting for mail"
        if is_for_others:
            waiting = "waiting (%s)" % ", ".join(channel.name for channel in others)
            self.idle_until = clock() + OTHERS_IDLE_S
        self.duties = Duties(mail, self.row, waiting, files, supervisor, self.times, is_first)

        self.now = None         # tells the time by the clock of the database
        self.run_time = RunTime(clock)
        self.tried = set()      # names of the channels that have had a run
        self.look_at = 0        # not for new mail before that (by the clock)
        self.is_stopped = False

    # -------------------------------------------------------------------------
    def run(self):
        """ Work until stop() is called, or the supervisor is gone """

        self.duties.begin()
        pause_s = MIN_PAUSE_S
        while not self.is_stopped:
            try:
                self._listen()
                while not self.is_stopped:
                    self.turn()
                    if pause_s > MIN_PAUSE_S:
                        log.warning("The worker goes on.")
                        pause_s = MIN_PAUSE_S
                    if not self.is_stopped:
                        self.listener.wait(WAIT_S)
            except Exception as error:
                self._recover(error, pause_s)
                pause_s = min(2 * pause_s, MAX_PAUSE_S)
        self._end()

    # -------------------------------------------------------------------------
    def stop(self):
        """ End after the mail in hand; may be called by a signal handler """

        self.is_stopped = True
        self.run_time.stop()

    # -------------------------------------------------------------------------
    def turn(self):
        """ Do all that is to be done now; commits """

        if self.times.is_due("clock", CLOCK_EVERY_S):
            self.now = self.channels[0].shared_clock()
            self.db.commit()
        if self.times.is_due("alive", ALIVE_EVERY_S):
            self.duties.show_alive(self.now())
        is_thorough = self.times.is_due("thorough", THOROUGH_EVERY_S)
        for channel in self.channels:
            self._send(channel, is_thorough)
        for other in self.others if is_thorough else ():
            other.take_in(everything=True)
        if self.times.is_due("others", OTHERS_EVERY_S):
            self._ask_for_others()
        if self.clock() >= self.idle_until:
            self.stop()
        self.duties.do(self.now())
        self._look_after_itself()

    # -------------------------------------------------------------------------
    # Its steps
    #
    def _listen(self):
        """ Begin to listen, with the clock of the database; commits """

        self.now = self.channels[0].shared_clock()
        self.duties.show_alive(self.now())
        self.listener.open()

    # -------------------------------------------------------------------------
    def _has_new_mail(self):
        """
            Whether there is new mail to be sent now: asked ten times a second
            where the database does not tell; no transaction is open after that
        """

        if self.clock() < self.look_at:
            return False
        channel = self.channels[0]
        is_idle = channel.is_idle()
        self.db.commit()
        if is_idle or self._has_work(channel):
            return not is_idle
        # It is suspended, or claimed by another worker: turn() looks again
        self.look_at = self.clock() + WAIT_S
        return False

    # -------------------------------------------------------------------------
    def _has_work(self, channel):
        """ Whether a run of a channel would find something to send; commits """

        has_work = channel.has_work(self.now(), is_patient = channel.name in self.tried)
        self.db.commit()
        return has_work

    # -------------------------------------------------------------------------
    def _send(self, channel, is_thorough):
        """
            Send what a channel has to send; commits

            Args:
                channel: the Channel
                is_thorough: see THOROUGH_EVERY_S
        """

        if self.is_stopped or not (is_thorough or self._has_work(channel)):
            return
        self.now = channel.shared_clock()
        self.tried.add(channel.name)
        count = 0
        for run in channel.workers(everything=is_thorough, row=self.row, now=self.now,
                                   clock=self.clock, sleep=self.sleep,
                                   control=lambda: self._control(channel)):
            self.run_time.begin(run)
            try:
                # A signal may have come before that
                count += 0 if self.is_stopped else run.work()
            finally:
                self.run_time.end()
        if count and self.idle_until < math.inf:
            self.idle_until = self.clock() + OTHERS_IDLE_S
        self.duties.note_run()
        if self.row.doing != self.duties.waiting:
            self.duties.show_alive(self.now())

    # -------------------------------------------------------------------------
    def _ask_for_others(self):
        """ Have another process send what other channels have to send; commits """

        for channel in self.others:
            if self._has_work(channel):
                self.supervisor.ask_for_others()
            self.tried.add(channel.name)

    # -------------------------------------------------------------------------
    def _control(self, channel):
        """ The run of a channel is under way: look whether it is to end """

        if not self.times.is_due("control", CONTROL_EVERY_S):
            return
        self._look_after_itself()
        try:
            if self.times.is_due("others", OTHERS_EVERY_S):
                self._ask_for_others()
            if not self.is_stopped:
                self.run_time.check(lambda: any(self._has_work(other) for other in self.channels
                                                if other is not channel))
        except Exception as error:
            # The run finds out by itself that the database is away
            log.debug("The worker can't look at other channels (%s).", brief(error))
            recover(self.db)

    # -------------------------------------------------------------------------
    def _look_after_itself(self):
        """ End if the supervisor has ended; ask it for a successor if there is a reason """

        if self.duties.is_orphan():
            self.stop()
        else:
            self.duties.look_for_changes()

    # -------------------------------------------------------------------------
    def _recover(self, error, pause_s):
        """ The database has failed: wait, and get a new connection; never raises """

        if pause_s == MIN_PAUSE_S or self.times.is_due("complaint", COMPLAIN_EVERY_S):
            log.warning("The worker can't go on now (%s), it tries again.", brief(error))
        self.sleep(pause_s)
        recover(self.db)
        self.duties.repair(REPAIR_SOON_S)
        self._look_after_itself()

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
