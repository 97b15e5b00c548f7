# -*- coding: utf-8 -*-

"""
    Whether mail is going out, and if not, why; what happens next to a delivery

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Optional

from ..queue.workers import Workers
from ..states import SENT
from ..delivery.activity import is_hanging
from ..delivery.breaker import CONFIGURATION, TRIPPED, fingerprints_of, is_paused
from .configuration import configuration_in_use, configuration_warnings
from .worker_list import worker_list

__all__ = ("FLOWING", "WAITING", "BROKEN", "Problem", "Status", "next_step", "stamp")

# The exit status of "status", for monitors
FLOWING = 0
WAITING = 1 # for something that may end by itself
BROKEN = 2  # until somebody repairs it

# What as_dict() tells of the channel
CHANNEL_FIELDS = ("status", "reason", "cause", "tripped_on", "accepted_on", "probe_on",
                  "login_refused", "paused_on", "paused_until", "paused_by",
                  "pause_reason")

# What happens to a delivery that has reached its end, or that a person has held
NEXT_STEPS = {
    "expanded": "It is no mail itself: each of the people it stands for gets a mail.",
    "sent": "The mail server has accepted it. If it does not arrive, look in the "
            "log of the mail server, and in the recipient's spam folder.",
    "held": "It is held until somebody releases it.",
    "rejected": "It is not tried again: it was refused for good. Requeue it when the "
                "reason is gone.",
    }

# =============================================================================
@dataclass(frozen = True)
class Problem:
    """ Why mail is not going out """

    kind: str                 # "paused", "suspended" or "worker"
    level: int                # WAITING or BROKEN
    title: str
    detail: str
    since: Optional[datetime] = None # UTC

# =============================================================================
class Status:
    """
        What is known of the mail of a site, at one moment

        problems: list of Problem; empty = no problem is known
        level: FLOWING, WAITING or BROKEN
        workers: how many workers are alive, ours and those of the scheduler;
                 None = there is no scheduler
        channel_row: the row of mails3_channel of the EMAIL channel, with the
                     state of its breaker and the pause
        channel: that Channel
        report: the Report
        now: the moment (datetime, UTC)
    """

    def __init__(self, mail, now):
        """
            Args:
                mail: the MailS3
                now: the time (datetime, UTC)
        """

        self.mail = mail
        self.now = now
        self.report = mail.report()
        self.channel = mail.channel()
        self.channel_row = self.channel.breaker.read()
        self.workers = Workers(mail.db, mail.site).count_own()
        if mail.tasks:
            self.workers += mail.tasks.count_workers()
        elif not self.workers:
            self.workers = None
        self.problems = [problem for problem in
                         (self._no_worker(), self._paused(), self._suspended()) if problem]

    # -------------------------------------------------------------------------
    @property
    def level(self):
        """ FLOWING, WAITING or BROKEN: that of the worst problem """

        return max((problem.level for problem in self.problems), default=FLOWING)

    # -------------------------------------------------------------------------
    @property
    def is_proven(self):
        """ Whether a mail has gone out; after a repair, whether one has since then """

        row, outbox, delivery = self.channel_row, self.report.outbox, self.report.delivery
        if fingerprints_of(row):
            # The configuration was changed after a problem, and nothing has gone
            # out with the new one yet
            return False
        return bool(row.purged_sent) or \
            not self.mail.db((delivery.tried_on != None) &
                             (delivery.channel == self.report.channel) &
                             (outbox.id == delivery.outbox_id) &
                             (outbox.status == SENT)).isempty()

    # -------------------------------------------------------------------------
    @property
    def no_problem(self):
        """ What to say if there is no problem: tuple (title, detail) """

        if self.is_proven:
            return "Mail is going out", ""
        if fingerprints_of(self.channel_row):
            return ("The configuration has changed",
                    "No mail has gone out with it yet. Send a test mail to see whether "
                    "it works.")
        return ("No mail has gone out yet",
                "Nothing is known to be wrong. Send a test mail to see whether it works.")

    # -------------------------------------------------------------------------
    @property
    def is_attended(self):
        """ Whether a worker is alive, or cron or a person does its work """

        since = self.now - timedelta(seconds=self.mail.options.neglect_timeout)
        return self.workers != 0 or self.channel.activity.has_manual_runs(since)

    # -------------------------------------------------------------------------
    @property
    def outlook(self):
        """ What happens to waiting mail while there is a problem (a sentence) """

        if self.is_attended:
            return "Nothing is lost: it leaves by itself when %s." % \
                   ("the pause is over" if self.problems[-1].kind == "paused" else
                    "the problem is over")
        return "Nothing is lost, but it stays until a worker runs%s, or somebody sends it " \
               "by hand." % (", a request queues another mail"
                             if self.mail.options.fallback else "")

    # -------------------------------------------------------------------------
    # The problems: each step returns a Problem, or None
    #
    def _no_worker(self):
        """
            No worker sends the mail
            - this does not depend on mail.settings.server: a request of a local
              visitor may have "logging" there, and other requests a mail server
        """

        options = self.mail.options
        since = self.now - timedelta(seconds=options.neglect_timeout)
        if not self.is_attended:
            what = "The web server sends a new mail once, after its request; mail that " \
                   "does not go out then waits for the next new mail, and so does " \
                   "deferred mail" if options.fallback else \
                   "Mail is queued, but nothing sends it"
            return Problem("worker", BROKEN, "No worker is alive",
                           "%s. Start one: python3 applications/%s/modules/mails3 work" %
                           (what, self.mail.site))
        if is_hanging(self.channel, since, self.now):
            return Problem("worker", BROKEN, "The worker seems to hang",
                           "It is alive, but new mail has been waiting since before "
                           "%s. Restart it." % stamp(since), self.channel_row.drained_on)
        return None

    # -------------------------------------------------------------------------
    def _paused(self):
        """ An admin has paused all sending """

        row = self.channel_row
        if not is_paused(row, self.now):
            return None
        reason = "%s. " % row.pause_reason.rstrip(".") if row.pause_reason else ""
        until = "until %s" % stamp(row.paused_until) if row.paused_until \
                else "until somebody resumes it"
        return Problem("paused", WAITING, "Sending is paused",
                       "%sBy %s, %s." % (reason, row.paused_by, until), row.paused_on)

    # -------------------------------------------------------------------------
    def _suspended(self):
        """ Sending is suspended, because of the mail server or the configuration """

        row = self.channel_row
        if row.status != TRIPPED:
            return None
        if row.login_refused:
            return Problem("suspended", BROKEN, "The mail server refuses the login",
                           "%s. It is not tried again before the configuration "
                           "changes, or somebody resumes sending." % row.reason,
                           row.tripped_on)
        probe = "Asked again at %s, or when there is mail after that." % \
                stamp(row.probe_on) if row.probe_on else ""
        if not self.is_attended:
            # Without a worker, only a request that queues a mail has mail sent
            probe = "Asked again when a mail is queued, or somebody sends the waiting mail."
        if row.cause == CONFIGURATION:
            return Problem("suspended", BROKEN, "The mail configuration is wrong",
                           "%s. %s" % (row.reason, probe), row.tripped_on)
        return Problem("suspended", WAITING, "The mail server does not take mail",
                       "%s. %s" % (row.reason, probe), row.tripped_on)

    # -------------------------------------------------------------------------
    def worker_list(self):
        """ The workers, see worker_list.py """

        return worker_list(self.mail)

    # -------------------------------------------------------------------------
    def configuration(self):
        """ The configuration in use, without secrets: list of tuples (name, value) """

        return configuration_in_use(self.mail)

    # -------------------------------------------------------------------------
    def warnings(self):
        """ What will or may go wrong, beside the problems (list of sentences) """

        return configuration_warnings(self.mail)

    # -------------------------------------------------------------------------
    def as_dict(self):
        """ All of the status, for --json (dict) """

        row = self.channel_row
        status = ("flowing", "waiting", "broken")[self.level]
        return {"status": status if self.problems or self.is_proven else "untried",
                "problems": [{"kind": problem.kind,
                              "title": problem.title,
                              "detail": problem.detail,
                              "since": problem.since,
                              } for problem in self.problems],
                "channel": {name: row[name] for name in CHANNEL_FIELDS},
                "counts": self.report.counts(),
                "oldest": self.report.oldest(),
                "drained_on": row.drained_on,
                "retried_on": row.retried_on,
                "workers": self.workers,
                "worker_list": self.worker_list(),
                "sizes": self.report.sizes(),
                "configuration": dict(self.configuration()),
                "warnings": self.warnings(),
                }

# -----------------------------------------------------------------------------
def next_step(entry, status):
    """
        What happens next to a delivery, and when

        Args:
            entry: as from the Report
            status: the Status

        Returns:
            one or two sentences
    """

    state = entry["state"]
    if state in NEXT_STEPS:
        return NEXT_STEPS[state]
    if state == "deleted":
        return "It was sent, and then deleted in the outbox of the app." \
               if entry["status"] == SENT and entry["message_id"] else \
               "It is not sent: somebody has deleted it in the outbox of the app."
    if state == "failed":
        return "It is not tried again. Requeue it to try it again." if entry["reply"] else \
               "It is not tried again."

    if entry["leased_until"] and entry["leased_until"] > status.now and entry["begun_on"]:
        return "It is being sent just now."
    if status.problems:
        waits = " ".join("%s %s%s. %s" % ("And:" if index else "It waits:",
                                          problem.title[0].lower(), problem.title[1:],
                                          problem.detail)
                         for index, problem in enumerate(status.problems))
        return waits if status.is_attended else "%s %s" % (waits, status.outlook)
    if state == "deferred":
        return "It is tried again at %s, by the next retry pass after that." % \
               stamp(entry["due_on"])
    return "It is sent with the next drain, within seconds." if status.workers else \
           "It is sent with the next drain."

# -----------------------------------------------------------------------------
def stamp(when):
    """ A time as text (when: datetime, UTC; None = never) """

    return "%s UTC" % when.strftime("%Y-%m-%d %H:%M") if when else "never"

# END =========================================================================
