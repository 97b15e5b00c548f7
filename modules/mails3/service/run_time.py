# -*- coding: utf-8 -*-

"""
    How long a run of a worker process lasts: the process has other duties, and
    perhaps other channels

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import math

__all__ = ("RunTime",)

# How long a run lasts; and if another channel has something to send (seconds)
MAX_RUN_S, SHARED_RUN_S = 60, 3

# How long its end may take (seconds): if the relay is slow with a message, the run
# goes on with others
MAX_END_S = 10

# =============================================================================
class RunTime:
    """ Limits the run that is under way """

    def __init__(self, clock):
        """
            Args:
                clock: tells the time (seconds)
        """

        self.clock = clock
        self.run = None       # the Worker; None = there is no run
        self.until = math.inf # by the clock

    # -------------------------------------------------------------------------
    def begin(self, run):
        """ A run (the Worker) is about to begin """

        run.deadline, self.until = math.inf, self.clock() + MAX_RUN_S
        self.run = run

    # -------------------------------------------------------------------------
    def end(self):
        """ The run has ended """

        self.run = None

    # -------------------------------------------------------------------------
    def stop(self):
        """ End the run after the mail in hand; may be called by a signal handler """

        run = self.run
        if run:
            run.stop()

    # -------------------------------------------------------------------------
    def check(self, is_another_waiting):
        """
            Let the run end if its time is over

            Args:
                is_another_waiting: function that tells whether another channel
                                    has something to send
        """

        run, now = self.run, self.clock()
        if now >= run.deadline + MAX_END_S:
            run.deadline, self.until = math.inf, now + MAX_RUN_S
        elif not run.is_over() and (now >= self.until or
                                    now >= self.until - MAX_RUN_S + SHARED_RUN_S and
                                    is_another_waiting()):
            run.deadline = now

# END =========================================================================
