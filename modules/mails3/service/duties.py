# -*- coding: utf-8 -*-

"""
    What a worker process does beside sending: signs of life, a look for incidents,
    repair of the tables, the purge, a look at the files of the app

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import sys
import time

from ..admin.alerts import Alerts
from ..admin.status import Status
from ..clock import utcnow
from ..delivery.breaker import CONFIGURATION, TRIPPED
from ..delivery.outcomes import Outcomes
from ..queue.workers import Workers

__all__ = ("ALIVE_EVERY_S", "Duties", "Timetable")

# How often the worker gives a sign of life, looks at the files of the app, looks
# for incidents, repairs the tables (seconds)
ALIVE_EVERY_S = 3
FILES_EVERY_S = 2
WATCH_EVERY_S = 60
REPAIR_EVERY_S = 300

# How long after a run it looks whether an incident is over: many short runs do not
# ask for that each time; how often the line on a terminal changes (seconds)
INCIDENT_EVERY_S = 5
SHOW_EVERY_S = 1

# How old a process becomes: then another one takes its place, which has run the
# models again, and has fresh memory (seconds). While the configuration is wrong,
# it is soon: the models may read it from elsewhere than from files.
MAX_AGE_S, MAX_AGE_SUSPENDED_S = 3600, 60

# The hour of the purge, by the clock of this machine: few visitors write to the
# database then. How long it goes on before mail is looked for again (seconds).
PURGE_HOUR = 3
PURGE_SLICE_S = 0.5

# The line on a terminal covers the one before
LINE_WIDTH = 78

# =============================================================================
class Timetable:
    """ When each duty was last done """

    def __init__(self, clock):
        """
            Args:
                clock: tells the time (seconds)
        """

        self.clock = clock
        self.done_at = {}

    # -------------------------------------------------------------------------
    def is_due(self, duty, every_s):
        """ Whether a duty (its name) is to be done again; it is noted as done now """

        now = self.clock()
        if duty in self.done_at and now < self.done_at[duty] + every_s:
            return False
        self.done_at[duty] = now
        return True

# =============================================================================
class Duties:
    """ The duties of one worker process """

    def __init__(self, mail, row, waiting, files, supervisor, times, is_first, hour=None):
        """
            Args:
                mail: the MailS3
                row: the WorkerRow
                waiting: what it does, for an admin, while it does not send (str)
                files: the SourceFiles
                supervisor: the SupervisorLink
                times: the Timetable
                is_first: if the output is a terminal, it shows there how much
                          mail there is
                hour: tells the hour of the day
        """

        self.mail = mail
        self.db = mail.db
        self.channel = mail.channel()
        self.row = row
        self.waiting = waiting
        self.files = files
        self.supervisor = supervisor
        self.times = times
        self.is_shown = is_first and sys.stdout.isatty()
        self.hour = hour or (lambda: time.localtime().tm_hour)

        self.workers = Workers(mail.db, mail.site)
        self.max_age_s = MAX_AGE_S
        self.started_at = times.clock()
        self.has_run = False    # since it has looked for incidents
        self.is_to_show = False # something has changed that the line on the terminal tells
        self.is_leaving = False # it has asked for a successor
        self.purge = None       # the generator of Purge.batches(), while it goes on

    # -------------------------------------------------------------------------
    def begin(self):
        """ The process begins to work: the models have just repaired the tables """

        self.times.is_due("repair", 0)
        self.supervisor.say_ready()

    # -------------------------------------------------------------------------
    def show_alive(self, now):
        """ Give a sign of life (now: the time); commits """

        self.row.note_alive(now, self.waiting)
        self.db.commit()

    # -------------------------------------------------------------------------
    def note_run(self):
        """ A run has come to its end """

        self.has_run = self.is_to_show = True

    # -------------------------------------------------------------------------
    def do(self, now):
        """ Do what is due, beside the signs of life (now: the time); commits """

        if self.times.is_due("watch", WATCH_EVERY_S):
            self._watch(now)
        elif self.has_run and self.times.is_due("incidents", INCIDENT_EVERY_S):
            self._look_for_incidents()
        if self.purge is not None:
            self._purge()
        if self.is_shown and self.is_to_show and self.times.is_due("show", SHOW_EVERY_S):
            self._show()
        Outcomes(self.channel).tell()
        self.repair(REPAIR_EVERY_S)
        self.db.commit()

    # -------------------------------------------------------------------------
    def repair(self, every_s):
        """ Make the tables that are missing, every so many seconds; never raises """

        if self.times.is_due("repair", every_s):
            self.mail.self_repair()

    # -------------------------------------------------------------------------
    def _watch(self, now):
        """ What is to be looked at from time to time; commits """

        self._look_for_incidents()
        self.workers.remove_lost(now)
        rows = [relay.row.read() for relay in self.channel.relays]
        is_misconfigured = any(row.status == TRIPPED and row.cause == CONFIGURATION
                               for row in rows)
        self.max_age_s = MAX_AGE_SUSPENDED_S if is_misconfigured else MAX_AGE_S
        if self.purge is None and \
           self.channel.relay.limiter.begin_purge(self.channel.row.read(), now,
                                                  self.hour() == PURGE_HOUR):
            self.purge = self.channel.purge().batches()
        self.is_to_show = True
        self.db.commit()

    # -------------------------------------------------------------------------
    def _look_for_incidents(self):
        """ Note and tell incidents; commits """

        self.has_run = False
        Alerts(self.mail).run()

    # -------------------------------------------------------------------------
    def _purge(self):
        """ Go on with the purge for a moment; commits """

        end = self.times.clock() + PURGE_SLICE_S
        for _ in self.purge:
            if self.times.clock() >= end:
                return
        # It has come to its end, or has failed: the next night is not far
        self.purge = None

    # -------------------------------------------------------------------------
    def _show(self):
        """ Show on the terminal how much mail there is, and whether it goes out """

        self.is_to_show = False
        counts = ["%d %s" % (count, state)
                  for state, count in self.mail.report().counts().items() if count]
        titles = [problem.title for problem in Status(self.mail, utcnow()).problems]
        line = "%s  %s" % (time.strftime("%H:%M:%S"),
                           ". ".join([", ".join(counts) or "no mail", *titles]))
        try:
            print("\r%s" % line.ljust(LINE_WIDTH), end="", flush=True)
        except OSError:
            # The terminal was closed
            self.is_shown = False

    # -------------------------------------------------------------------------
    # The process itself
    #
    def is_orphan(self):
        """ Whether the supervisor has ended """

        return self.supervisor.is_gone()

    # -------------------------------------------------------------------------
    def look_for_changes(self):
        """ Ask for a successor if the files of the app have changed, or the process is old """

        if self.is_leaving:
            return
        is_old = self.times.clock() > self.started_at + self.max_age_s
        if is_old or self.times.is_due("files", FILES_EVERY_S) and self.files.have_changed():
            self.ask_for_replacement()

    # -------------------------------------------------------------------------
    def ask_for_replacement(self):
        """ Have another process take the place of this one; may be called by a signal handler """

        self.is_leaving = True
        self.supervisor.ask_for_replacement()

# END =========================================================================
