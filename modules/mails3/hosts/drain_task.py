# -*- coding: utf-8 -*-

"""
    The scheduler's task that sends new mail

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import time

from .worker_loop import LOOK_EVERY_S

__all__ = ("DrainTask",)

# web2py looks after two seconds for the first time whether a task is done
# (Scheduler.execute), and keeps the worker for so long; less the end of a run
WORKER_KEPT_S = 1.8

# How long a task that has sent mail looks for more at least (seconds): on a host
# whose models run for seconds, more mail would wait for them again
MIN_LOOK_S = 1

# =============================================================================
class DrainTask:
    """ The task, in a process of its own """

    def __init__(self, mail, clock=time.monotonic, sleep=time.sleep):
        """
            Args:
                mail: the MailS3 of the app
                clock: tells the time (seconds)
                sleep: waits (seconds)
        """

        self.mail = mail
        self.clock = clock
        self.sleep = sleep
        # The process has been busy since it was forked: its processor time is its age
        self.kept_until_s = clock() + WORKER_KEPT_S - time.process_time()
        self.at_end = lambda: None # what may wait until the mail is sent

    # -------------------------------------------------------------------------
    def run(self):
        """
            Send new mail, and look for more for as long as web2py keeps the
            worker; commits
            - more mail needs neither a new process nor a run of the models. That
              includes a mail whose wake was removed before the mail could be seen.

            Returns:
                how many deliveries were handed over or settled, None for 0
        """

        mail = self.mail
        try:
            count = mail.drain()
            end_s = max(self.kept_until_s, self.clock() + MIN_LOOK_S if count else 0)
            while self.clock() < end_s:
                self.sleep(LOOK_EVERY_S)
                # MySQL shows a transaction what was there when it began
                mail.db.commit()
                if not mail.channel().is_idle():
                    more = mail.drain()
                    if not more:
                        # Sending is suspended, or another worker has claimed the rest
                        break
                    count = (count or 0) + more
        finally:
            self.at_end()
        return count

# END =========================================================================
