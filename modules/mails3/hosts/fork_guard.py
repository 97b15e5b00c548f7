# -*- coding: utf-8 -*-

"""
    A scheduler worker starts the process of a task between two heartbeats, not
    during one

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import os
import threading

from contextlib import contextmanager

__all__ = ("ForkGuard",)

# So long a new process waits for the other thread (seconds)
MAX_WAIT_S = 10

# =============================================================================
class ForkGuard:
    """
        Keeps a process from forking while another of its threads talks to the
        database
        - the copy has SQLite's own locks as they were at that moment, without
          the thread that would release them: it waits without end, and its
          worker with it. Without a guard this happens to one task in 200.
    """

    def __init__(self):

        self.lock = threading.Lock() # held by the thread that talks to the database
        self.is_watching = False
        self.is_held = False # by the thread that forks

    def __enter__(self):

        self.lock.acquire()

    def __exit__(self, *error):

        self.lock.release()

    # -------------------------------------------------------------------------
    @contextmanager
    def lifted(self):
        """ Let the process fork while the other thread, which calls this, sleeps """

        self.lock.release()
        try:
            yield
        finally:
            self.lock.acquire()

    # -------------------------------------------------------------------------
    def watch(self):
        """ Watch all forks of this process from now on """

        # Windows has no fork
        if not self.is_watching and hasattr(os, "register_at_fork"):
            self.is_watching = True
            os.register_at_fork(before = self._hold,
                                after_in_parent = self._release,
                                after_in_child = self._release)

    # -------------------------------------------------------------------------
    def _hold(self):

        # The other thread may wait for another connection's lock
        self.is_held = self.lock.acquire(timeout=MAX_WAIT_S)

    # -------------------------------------------------------------------------
    def _release(self):

        if self.is_held:
            self.is_held = False
            self.lock.release()

# END =========================================================================
