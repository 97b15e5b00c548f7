# -*- coding: utf-8 -*-

"""
    A seat: the place of one worker process. A new process takes the seat when it
    has run the app's models; only then the old one ends. So mail goes on while a
    large app is being loaded, and while a changed app does not run.

    The supervisor and the process talk through a socket. The process has no
    other way to learn that its supervisor was killed before it could ask.

    It imports the standard library only: see supervisor.py.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import select
import signal
import socket
import subprocess
import sys
import time

from .source_files import SourceFiles

__all__ = ("MIN_PAUSE_S", "Seat", "SupervisorLink")

# What a process says: it has run the models; it wants to be replaced; there is
# something to send in other channels than mail
READY, REPLACE_ME, OTHERS_WAIT = b"r", b"p", b"o"

# How far apart two starts in a seat are, longer each time; after so long without a
# start, the pauses begin anew (seconds)
MIN_PAUSE_S, MAX_PAUSE_S = 1, 30
CALM_S = 60

# =============================================================================
class SupervisorLink:
    """ The supervisor, as the worker process sees it """

    def __init__(self, number):
        """
            Args:
                number: the file descriptor of the socket; None = there is no
                        supervisor
        """

        self.socket = None
        if number is not None:
            self.socket = socket.socket(fileno=number)
            self.socket.set_inheritable(False)
            # A supervisor that does not listen now must not keep the process waiting
            self.socket.setblocking(False)

    # -------------------------------------------------------------------------
    def is_gone(self):
        """ Whether the supervisor has ended """

        return self.socket is not None and bool(select.select([self.socket], [], [], 0)[0])

    # -------------------------------------------------------------------------
    def say_ready(self):
        """ The process works from now on """

        self._say(READY)

    # -------------------------------------------------------------------------
    def ask_for_replacement(self):
        """ Have another process take the place of this one """

        self._say(REPLACE_ME)

    # -------------------------------------------------------------------------
    def ask_for_others(self):
        """ Have a process send what goes by other channels, unless there is one """

        self._say(OTHERS_WAIT)

    # -------------------------------------------------------------------------
    def _say(self, what):
        """ Say something; is_gone() tells if nobody hears it """

        if self.socket is not None:
            try:
                self.socket.send(what)
            except OSError:
                pass

# =============================================================================
class Child:
    """ A worker process, as the supervisor sees it """

    def __init__(self, command):
        """
            Start it

            Args:
                command: its command line (list); the descriptor of its socket
                         is added

            Raises:
                OSError: it can't be started
        """

        self.socket, theirs = socket.socketpair()
        try:
            # Ctrl-C in a terminal is for the supervisor, which tells its processes
            self.process = subprocess.Popen([*command, "--socket", str(theirs.fileno())],
                                            pass_fds=(theirs.fileno(),), start_new_session=True)
        except OSError:
            self.socket.close()
            raise
        finally:
            theirs.close()
        self.socket.setblocking(False)
        self.said = set()

    # -------------------------------------------------------------------------
    def is_running(self):
        """ Whether it has not ended """

        if self.process.poll() is None:
            return True
        self.socket.close()
        return False

    # -------------------------------------------------------------------------
    def has_said(self, what):
        """ Whether it has said something: READY, REPLACE_ME or OTHERS_WAIT """

        try:
            self.said.update(bytes([byte]) for byte in self.socket.recv(100))
        except OSError:
            # It has said nothing since, or has ended
            pass
        return what in self.said

    # -------------------------------------------------------------------------
    def send_signal(self, number):
        """ Send it a signal, if it runs """

        if self.is_running():
            self.process.send_signal(number)

# =============================================================================
class Seat:
    """ The place of one worker process """

    def __init__(self, app, command, is_temporary=False, clock=time.monotonic):
        """
            Args:
                app: path of the app
                command: the command line of the process (list)
                is_temporary: nobody takes the place of a process that ends
                clock: tells the time (seconds)
        """

        self.app = app
        self.command = command
        self.is_temporary = is_temporary
        self.clock = clock
        self.worker = None       # the Child that works
        self.successor = None    # the Child that runs the models, to take its place
        self.leaving = []        # Children that end after the mail in hand
        self.is_wanted = True    # a successor
        self.is_failing = False  # the last process has ended by itself
        self.files = None        # the SourceFiles, from before the last start
        self.started_at = None   # when the last process was (by the clock)
        self.start_at = 0        # not before that
        self.pause_s = MIN_PAUSE_S

    # -------------------------------------------------------------------------
    def fill(self, may_start=True):
        """ Look at the processes, and start one if it is wanted, its time has come, and it may """

        self.leaving = [child for child in self.leaving if child.is_running()]
        if self.worker and not self.worker.is_running():
            self.worker = None
            self._note_end()
        if self.hears(REPLACE_ME):
            self.is_wanted = True
        if self.successor and self.successor.has_said(READY):
            self._hand_over()
        if self.successor and not self.successor.is_running():
            self.successor = None
            self._note_end()
        if may_start and self.is_wanted and not self.successor and \
           self.clock() >= self.start_at:
            self._start()

    # -------------------------------------------------------------------------
    def hears(self, what):
        """ Whether its worker has said something, once (REPLACE_ME or OTHERS_WAIT) """

        if not self.worker or not self.worker.has_said(what):
            return False
        self.worker.said.discard(what)
        return True

    # -------------------------------------------------------------------------
    def _note_end(self):
        """ A process has ended by itself """

        self.is_wanted = self.is_failing = not self.is_temporary or self.worker is not None

    # -------------------------------------------------------------------------
    def _hand_over(self):
        """ The successor takes the seat """

        if self.worker:
            self.worker.send_signal(signal.SIGTERM)
            self.leaving.append(self.worker)
        self.worker, self.successor, self.is_failing = self.successor, None, False

    # -------------------------------------------------------------------------
    def _start(self):
        """ Start a successor """

        now = self.clock()
        is_soon = self.started_at is not None and now < self.started_at + CALM_S
        self.pause_s = min(2 * self.pause_s, MAX_PAUSE_S) if is_soon else MIN_PAUSE_S
        self.started_at, self.start_at = now, now + self.pause_s
        self.files = SourceFiles(self.app, has_all_modules=True)
        try:
            self.successor = Child(self.command)
            self.is_wanted = False
        except OSError as error:
            print("mails3: A process can't be started (%s)." % error, file=sys.stderr, flush=True)

    # -------------------------------------------------------------------------
    def is_loading(self):
        """ Whether a process is running the models; one that hangs does not count """

        return self.successor is not None and self.clock() < self.started_at + MAX_PAUSE_S

    # -------------------------------------------------------------------------
    def look_at_files(self):
        """ If the app does not run, and has changed: perhaps it runs again """

        if self.is_failing and not self.successor and self.files.have_changed():
            self.hurry()

    # -------------------------------------------------------------------------
    def is_busy(self):
        """ Whether a process runs """

        return any(child.is_running() for child in self._children())

    # -------------------------------------------------------------------------
    def occupy(self):
        """ Have a process, unless there is one """

        if not self.worker and not self.successor:
            self.is_wanted = True

    # -------------------------------------------------------------------------
    def replace(self):
        """ Have a successor take the seat of a process, now """

        if self.is_busy() or not self.is_temporary:
            self.is_wanted = True
            self.hurry()

    # -------------------------------------------------------------------------
    def hurry(self):
        """ Start the process that is wanted without a pause """

        self.start_at, self.pause_s = 0, MIN_PAUSE_S

    # -------------------------------------------------------------------------
    def end(self, number):
        """ Send a signal to all processes of the seat """

        for child in self._children():
            child.send_signal(number)

    # -------------------------------------------------------------------------
    def _children(self):
        """ All processes (list) """

        return [*filter(None, (self.worker, self.successor)), *self.leaving]

# END =========================================================================
