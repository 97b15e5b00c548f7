# -*- coding: utf-8 -*-

"""
    What cron or a person sends on the command line: a run with a bar on a
    terminal and a clean stop on Ctrl-C, and a test mail to wait for

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import signal
import sys
import time

from contextlib import contextmanager

from ..clock import utcnow
from ..queue.workers import COMMAND, WorkerRow
from ..states import NEW, UNSENT
from .alerts import Alerts
from .operator import OperatorError
from .status import Status

__all__ = ("Progress", "manual_run", "wait_for")

# How long a test mail is waited for although there is a problem, and how often
# it is looked at
PATIENCE_S = 5
LOOK_EVERY_S = 0.5

# -----------------------------------------------------------------------------
def manual_run(mail, report, queue, output, seconds=None):
    """
        Send what is in a queue, in place of a worker; commits
        - new mail until none is left, deferred mail in one retry pass

        Args:
            mail: the MailS3
            report: its Report
            queue: NEW or DEFERRED
            output: the Output of the command
            seconds: begin no mail after that time; None = no limit

        Returns:
            tuple (settled, stopped): how many deliveries have a result; whether
            the user has stopped the run
    """

    end = time.monotonic() + seconds if seconds else None
    # A site on which cron does this regularly needs no worker
    mail.channel().activity.note_manual_run(utcnow())
    mail.db.commit()

    total = report.waiting(queue)
    settled, is_moving = 0, True
    with Progress(total, output) as progress:
        while is_moving and not progress.stopped:
            moved = 0
            for run in mail.channel().workers(everything=True,
                                              row=WorkerRow(mail.db, mail.site, COMMAND)):
                if end:
                    run.deadline = min(run.deadline, end)
                show_after_commit(run, progress, lambda: total - report.waiting(queue))
                with progress.stopping(run.stop):
                    moved += run.drain() if queue == NEW else run.retry()
            settled += moved
            is_moving = moved and queue == NEW and not (end and time.monotonic() >= end)
    mail.send_channels()
    Alerts(mail).run()
    return settled, progress.stopped

# -----------------------------------------------------------------------------
def show_after_commit(run, progress, done):
    """
        Move the bar each time that a run commits

        Args:
            run: the Worker
            progress: the Progress
            done: function that returns how many deliveries have a result
    """

    commit = run.commits.commit

    def commit_and_show():
        commit()
        progress.show(done)

    run.commits.commit = commit_and_show

# -----------------------------------------------------------------------------
def wait_for(mail, report, number, seconds):
    """
        Wait for the first attempt of a mail; commits

        Args:
            mail: the MailS3
            report: its Report
            number: number of the mail
            seconds: how long to wait

        Returns:
            its entry as it is then

        Raises:
            OperatorError: the mail has been removed meanwhile
    """

    start = time.monotonic()
    while True:
        # A new transaction: the old one may not see what others have committed
        mail.db.commit()
        entry = report.entry(number)
        if entry is None:
            raise OperatorError("Mail %s has been removed." % number)
        waited_s = time.monotonic() - start
        if entry["status"] != UNSENT or entry["attempts"] or waited_s >= seconds:
            return entry
        if waited_s >= PATIENCE_S and Status(mail, utcnow()).problems:
            # The mail will not move before the problem is over
            return entry
        time.sleep(LOOK_EVERY_S)

# =============================================================================
class Progress:
    """ A bar on a terminal, and a clean stop on Ctrl-C """

    WIDTH = 40 # characters
    INTERVAL_S = 0.2

    def __init__(self, total, output):
        """
            Args:
                total: how many things there are to do
                output: the Output of the command
        """

        self.total = total
        # A script that reads one of the two streams must not get the bar
        self.is_visible = total > 0 and sys.stderr.isatty() and output.is_terminal()
        self.shown_on = 0 # by time.monotonic(); 0 = not yet
        self.stopped = False

    def __enter__(self):

        return self

    def __exit__(self, *error):

        if self.is_visible and self.shown_on:
            print(file=sys.stderr)

    # -------------------------------------------------------------------------
    def show(self, done):
        """
            Show how much is done, a few times a second

            Args:
                done: function that returns how many things are done; it is
                      called only if the bar is drawn
        """

        if not self.is_visible or time.monotonic() < self.shown_on + self.INTERVAL_S:
            return
        self.shown_on = time.monotonic()
        share = min(max(done() / self.total, 0), 1)
        bar = "#" * int(share * self.WIDTH)
        print("\r[%-*s] %3d %% of %d " % (self.WIDTH, bar, share * 100, self.total),
              end="", file=sys.stderr, flush=True)

    # -------------------------------------------------------------------------
    @contextmanager
    def stopping(self, stop):
        """
            Stop cleanly on Ctrl-C or systemd's SIGTERM; a second Ctrl-C ends the
            program at once, as in any program

            Args:
                stop: function that makes the run end after the current mail
        """

        def handle(number, frame):
            self.stopped = True
            stop()
            signal.signal(number, signal.default_int_handler)
            print("\nStopping after the current mail ...", file=sys.stderr)

        before = {number: signal.signal(number, handle)
                  for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

# END =========================================================================
