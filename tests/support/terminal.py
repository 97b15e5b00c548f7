"""
    A terminal in which a test runs a program, as a person does
"""

import os
import pty
import select
import subprocess
import sys
import threading

# The terminal becomes that of the program, which Ctrl-C and its end concern
TAKE_TERMINAL = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); " \
                "os.execv(sys.argv[1], sys.argv[1:])"

CTRL_C = b"\x03"

# How often it looks whether its window is closed (seconds)
LOOK_EVERY_S = 0.05

# =============================================================================
class Terminal:
    """
        A terminal

        with Terminal() as terminal:
            process = terminal.run(command)
            terminal.type(CTRL_C)
            ... # terminal.shown
    """

    def __init__(self):

        self.ours, self.theirs = pty.openpty()
        self.process = None
        self.shown = ""
        self.is_open = True
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def __enter__(self):

        return self

    def __exit__(self, *error):

        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.close()

    # -------------------------------------------------------------------------
    def run(self, command, **options):
        """ Run a program (list); options are those of Popen; the process (Popen) """

        self.process = subprocess.Popen([sys.executable, "-c", TAKE_TERMINAL, *command],
                                        stdin=self.theirs, stdout=self.theirs,
                                        stderr=self.theirs, start_new_session=True, **options)
        os.close(self.theirs)
        self.theirs = None
        return self.process

    # -------------------------------------------------------------------------
    def _read(self):
        """ Show what the program prints, until the window is closed """

        while self.is_open:
            if select.select([self.ours], [], [], LOOK_EVERY_S)[0]:
                try:
                    self.shown += os.read(self.ours, 1000).decode(errors="replace")
                except OSError:
                    # Nobody has the other end any more
                    break
        # Here: while a thread reads, a file is not really closed
        os.close(self.ours)

    # -------------------------------------------------------------------------
    def type(self, keys):
        """ Type keys (bytes) """

        os.write(self.ours, keys)

    # -------------------------------------------------------------------------
    def close(self):
        """ Close the window """

        self.is_open = False
        self.reader.join()
        if self.theirs is not None:
            os.close(self.theirs)
            self.theirs = None

# END =========================================================================
