# -*- coding: utf-8 -*-

"""
    The commits of a run: if the database fails, the run writes again

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging

__all__ = ("Commits",)

log = logging.getLogger("web2py.mails3")

# The pauses before a write that has failed is tried again (seconds)
RETRY_PAUSES_S = (0.1, 0.5, 2)
RESULT_PAUSE_S = 1

# =============================================================================
class Commits:
    """ Writes and commits for one run """

    def __init__(self, commit, recover, patience_s, clock, sleep):
        """
            Args:
                commit: commits what was written
                recover: gets a usable connection to the database again, after
                         it has failed; None = the connection is the caller's,
                         and nothing is tried again
                patience_s: how long surely() goes on (seconds)
                clock: tells the time (seconds)
                sleep: waits (seconds)
        """

        self.commit = commit
        self.recover = recover
        self.patience_s = patience_s
        self.clock = clock
        self.sleep = sleep

    # -------------------------------------------------------------------------
    def patiently(self, write):
        """
            Write something that is not lost with a failure, like a claim; again
            if the database was busy (locked, deadlock, serialization failure)

            Args:
                write: function that writes

            Returns:
                what write returns
        """

        for pause_s in (*RETRY_PAUSES_S, None):
            try:
                written = write()
                self.commit()
                return written
            except Exception:
                if self.recover is None or pause_s is None:
                    raise
            self.sleep(pause_s)
            self.recover()

    # -------------------------------------------------------------------------
    def surely(self, write):
        """
            Write what has become of deliveries; if the database is away, until
            it is back, for patience_s

            Args:
                write: function that writes

            Returns:
                what write returns
        """

        end = self.clock() + self.patience_s
        while True:
            try:
                written = write()
                self.commit()
                return written
            except Exception as error:
                if self.recover is None or self.clock() >= end:
                    raise
                log.warning("The database does not take a result (%s), trying again.",
                            type(error).__name__)
            self.sleep(RESULT_PAUSE_S)
            self.recover()

# END =========================================================================
