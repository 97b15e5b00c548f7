# -*- coding: utf-8 -*-

"""
    The supervisor: starts worker processes, starts them again when they end, and
    passes signals on

    It does not run the app's models: it stays small, and goes on while the app
    does not run. It imports the standard library only.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import os
import signal
import subprocess
import sys
import time

from .source_files import SourceFiles

__all__ = ("AGAIN", "Supervisor")

# The exit status of a worker process that wants to be started again at once: its
# files have changed, or it is old
AGAIN = 75

# The pauses before a process that has failed is started again; a process that has
# lived for longer begins with the shortest again (seconds)
MIN_PAUSE_S, MAX_PAUSE_S = 1, 30

# How often the supervisor looks at its processes, and at the files of an app that
# does not run (seconds)
LOOK_EVERY_S = 0.2
FILES_EVERY_S = 2

# =============================================================================
class Supervisor:
    """ Keeps a number of worker processes running until it is told to stop """

    def __init__(self, app, program, count):
        """
            Args:
                app: path of the app
                program: path of the program that the processes run
                count: how many processes
        """

        self.app = app
        self.program = program
        self.seats = [Seat(self._command(number)) for number in range(count)]
        self.is_stopping = False

    # -------------------------------------------------------------------------
    def _command(self, number):
        """ The command line of a worker process (list) """

        return [sys.executable, str(self.program), "work", "--process", str(number)]

    # -------------------------------------------------------------------------
    def run(self):
        """
            Run until SIGTERM or SIGINT, or until MailS3 is removed from the app

            Returns:
                the exit status
        """

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._reload)

        files, looked_at = SourceFiles(self.app), 0
        while not self.is_stopping:
            if not os.path.exists(self.program):
                print("mails3: MailS3 has been removed from the app.", file=sys.stderr)
                self._stop()
            if time.monotonic() >= looked_at + FILES_EVERY_S:
                looked_at = time.monotonic()
                if files.have_changed():
                    # Perhaps the app runs again
                    self._be_quick()
            for seat in self.seats:
                seat.fill()
            time.sleep(LOOK_EVERY_S)
        for seat in self.seats:
            seat.empty()
        return 0

    # -------------------------------------------------------------------------
    def _stop(self, *_):
        """ End all processes, each after the mail in hand; a second signal kills them """

        number = signal.SIGKILL if self.is_stopping else signal.SIGTERM
        self.is_stopping = True
        self._signal(number)

    # -------------------------------------------------------------------------
    def _reload(self, *_):
        """ Let all processes read the settings again """

        self._be_quick()
        self._signal(signal.SIGHUP)

    # -------------------------------------------------------------------------
    def _be_quick(self):
        """ Start processes that have failed now, and not after their pause """

        for seat in self.seats:
            seat.start_at = 0

    # -------------------------------------------------------------------------
    def _signal(self, number):
        """ Send a signal to all processes """

        for seat in self.seats:
            seat.signal(number)

# =============================================================================
class Seat:
    """ The place of one worker process, and the process that has it now """

    def __init__(self, command):
        """
            Args:
                command: the command line of the process (list)
        """

        self.command = command
        self.process = None
        self.started_at = self.start_at = 0 # by time.monotonic()
        self.pause_s = MIN_PAUSE_S

    # -------------------------------------------------------------------------
    def fill(self):
        """ Start the process if it does not run, and its time has come """

        now = time.monotonic()
        if self.process and self.process.poll() is not None:
            status, self.process = self.process.returncode, None
            if status == AGAIN or now > self.started_at + MAX_PAUSE_S:
                self.pause_s = MIN_PAUSE_S
            self.start_at = now if status == AGAIN else now + self.pause_s
            if status != AGAIN:
                self.pause_s = min(2 * self.pause_s, MAX_PAUSE_S)
        if self.process is None and now >= self.start_at:
            # Ctrl-C in a terminal is for the supervisor, which passes it on
            self.process = subprocess.Popen(self.command, start_new_session=True)
            self.started_at = now

    # -------------------------------------------------------------------------
    def signal(self, number):
        """ Send a signal to the process, if it runs """

        if self.process and self.process.poll() is None:
            self.process.send_signal(number)

    # -------------------------------------------------------------------------
    def empty(self):
        """ Wait for the end of the process """

        if self.process:
            self.process.wait()

# END =========================================================================
