# -*- coding: utf-8 -*-

"""
    The supervisor: starts worker processes, starts them again when they end, and
    has a new one take the place of one that is old or whose files have changed

    It does not run the app's models: it stays small, and goes on while the app
    does not run. It imports the standard library only.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import os
import signal
import sys
import time

from .seat import MIN_PAUSE_S, OTHERS_WAIT, Seat

__all__ = ("Supervisor",)

# How often the supervisor looks at its processes, and at the files of the app (seconds)
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
        self.seats = [Seat(app, self._command(number)) for number in range(count)]
        self.others = None       # the Seat for other channels than mail, or None
        self.signals = []        # numbers of those that have come
        self.is_stopping = False
        self.is_killing = False
        self.look_at = time.monotonic() + FILES_EVERY_S # at the files
        self.had_terminal = has_terminal()

    # -------------------------------------------------------------------------
    def _command(self, number, *options):
        """ The command line of a process """

        return [sys.executable, str(self.program), "work", "--process", str(number), *options]

    # -------------------------------------------------------------------------
    def run(self):
        """
            Run until SIGTERM or SIGINT, or until MailS3 is removed from the app

            Returns:
                the exit status: 0; 1 if processes had to be killed
        """

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # Only noted: it may come while a process is being started
            signal.signal(number, lambda number, _: self.signals.append(number))
        count = len(self.seats)
        tell("Sending the mail of %s, by %s." %
             (os.path.basename(self.app), "1 process" if count == 1 else "%d processes" % count))
        while True:
            self._obey()
            if self.is_stopping and not any(seat.is_busy() for seat in self.seats):
                return int(self.is_killing)
            if not self.is_stopping:
                for seat in self.seats:
                    # pydal's migration is not safe for several processes at a time
                    seat.fill(not any(each.is_loading() for each in self.seats))
                self._look_for_others()
                self._look_at_files()
            time.sleep(LOOK_EVERY_S)

    # -------------------------------------------------------------------------
    def _look_for_others(self):
        """
            Have one process for what goes by other channels, while there is any: a
            gateway for texts that does not answer holds up no mail
        """

        are_waiting = [seat.hears(OTHERS_WAIT) for seat in self.seats]
        if any(are_waiting) and self.others is None:
            self.others = Seat(self.app, self._command(len(self.seats), "--others"),
                               is_temporary=True)
            self.seats.append(self.others)
        elif any(are_waiting):
            self.others.occupy()

    # -------------------------------------------------------------------------
    # Signals
    #
    def _obey(self):
        """ Do what the signals want that have come """

        while self.signals:
            if self.signals.pop(0) != signal.SIGHUP:
                self._stop()
            elif self.had_terminal and not has_terminal():
                # It was closed
                self._stop()
            else:
                for seat in self.seats:
                    seat.replace()

    # -------------------------------------------------------------------------
    def _stop(self):
        """ End all processes, each after the mail in hand; the second time kill them """

        self.is_killing = self.is_stopping
        self.is_stopping = True
        for seat in self.seats:
            seat.end(signal.SIGKILL if self.is_killing else signal.SIGTERM)
        if self.had_terminal and not self.is_killing:
            tell("Ending after the mail in hand. Once more: at once.")

    # -------------------------------------------------------------------------
    # Files
    #
    def _look_at_files(self):
        """ Notice that MailS3 is removed, or that an app that does not run has changed """

        if time.monotonic() < self.look_at:
            return
        self.look_at = time.monotonic() + FILES_EVERY_S
        if not self._is_installed():
            tell("MailS3 has been removed from the app.")
            self._stop()
        for seat in self.seats:
            seat.look_at_files()

    # -------------------------------------------------------------------------
    def _is_installed(self):
        """ Whether the app still has MailS3; not for a moment only, as during an upgrade """

        for _ in range(2):
            if os.path.exists(os.path.join(self.program, "__main__.py")):
                return True
            time.sleep(MIN_PAUSE_S)
        return False

# -----------------------------------------------------------------------------
def has_terminal():
    """ Whether a person has started this in a terminal, and has not closed it """

    return any(stream and not stream.closed and stream.isatty()
               for stream in (sys.stdin, sys.stdout, sys.stderr))

# -----------------------------------------------------------------------------
def tell(text):
    """ Say something to the person, or the log, that the output goes to """

    print("mails3: %s" % text, flush=True)

# END =========================================================================
