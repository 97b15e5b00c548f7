# -*- coding: utf-8 -*-

"""
    Whether mail is going out, and if not, why

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from datetime import timedelta
from functools import cached_property

from ..queue.statistics import Statistics
from ..queue.workers import Workers
from ..states import EMAIL, NEW, SENT
from ..delivery.breaker import fingerprints_of
from ..delivery.capture import Capture
from .configuration import configuration_in_use, configuration_warnings
from .limits_report import LimitsReport
from .problems import BROKEN, FLOWING, WAITING, problems_of, unverified
from .relay_list import label_of, relay_list
from .worker_list import worker_list

__all__ = ("FLOWING", "WAITING", "BROKEN", "Status")

# What as_dict() tells of the channel
CHANNEL_FIELDS = ("status", "reason", "cause", "tripped_on", "accepted_on", "probe_on",
                  "probes", "login_refused", "paused_on", "paused_until", "paused_by",
                  "pause_reason")

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
        capture: the Capture
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
        self.capture = Capture(mail.options)
        self.channel = mail.channel()
        self.channel_row = self.channel.breaker.read()
        self.workers = Workers(mail.db, mail.site).count_own()
        if mail.tasks:
            self.workers += mail.tasks.count_workers()
        elif not self.workers:
            self.workers = None
        self.problems = problems_of(self)

    # -------------------------------------------------------------------------
    @property
    def level(self):
        """ FLOWING, WAITING or BROKEN: that of the worst problem """

        return max((problem.level for problem in self.problems), default=FLOWING)

    # -------------------------------------------------------------------------
    @property
    def holding(self):
        """ The problems because of which mail waits (list of Problem) """

        return [problem for problem in self.problems if problem.holds_mail]

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

        if self.capture.is_all:
            return "No mail goes out", ""
        if self.is_proven:
            return ("Mail goes out as fast as the limits allow" if self.limits.reason else
                    "Mail is going out"), ""
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

        if self.capture.is_all:
            return "It is captured, and sent to nobody."
        if not self.holding:
            return "It leaves by itself."
        if self.is_attended:
            return "Nothing is lost: it leaves by itself when %s." % \
                   ("the pause is over" if self.holding[-1].kind == "paused" else
                    "the problem is over")
        return "Nothing is lost, but it stays until a worker runs%s, or somebody sends it " \
               "by hand." % (", a request queues another mail"
                             if self.mail.options.fallback else "")

    # -------------------------------------------------------------------------
    @cached_property
    def relays(self):
        """ The relays, see relay_list.py """

        return relay_list(self.channel, self.now)

    # -------------------------------------------------------------------------
    # The limits
    #
    @cached_property
    def limits(self):
        """ The LimitsReport of the EMAIL channel """

        report = self.report
        waiting = report.counts()["new"]
        return LimitsReport(self.channel.relay.allowance(self.now), self.now,
                            waiting, lambda: max(waiting - report.shared(), 1))

    # -------------------------------------------------------------------------
    @cached_property
    def limits_by_channel(self):
        """
            The LimitsReports of all channels and relays that have limits (dict by
            the channel's name, with that of a further relay)
        """

        reports = {" ".join(filter(None, (EMAIL, state.relay.name))): report
                   for state, report in zip(self.relays, self.limits_by_relay.values())}
        reports.update((channel.name, self._limits_of(channel.relay))
                       for channel in self.mail.channels[1:])
        return {name: report for name, report in reports.items() if report.is_active}

    # -------------------------------------------------------------------------
    @cached_property
    def limits_by_relay(self):
        """ The LimitsReport of each relay (dict by its label), the first relay first """

        return {label_of(state.relay): self._limits_of(state.relay) if state.relay.settings
                else self.limits for state in self.relays}

    # -------------------------------------------------------------------------
    def _limits_of(self, relay):
        """ The LimitsReport of a further relay, or of a channel of the host """

        # Nobody knows which mail will go by a further relay
        waiting = 0 if relay.settings else \
            Statistics(relay.channel.tables, relay.channel.name).waiting(NEW)
        return LimitsReport(relay.allowance(self.now), self.now, waiting, lambda: waiting)

    # -------------------------------------------------------------------------
    def limit_facts(self):
        """ What limits the sending (list of tuples (name, text)) """

        return [(fact if name == EMAIL else "%s, %s" % (fact, name), text)
                for name, report in self.limits_by_channel.items()
                for fact, text in report.facts()]

    # -------------------------------------------------------------------------
    @property
    def drained_on(self):
        """ When a run was last at work (datetime), or None """

        return max((state.row.drained_on for state in self.relays if state.row.drained_on),
                   default=None)

    # -------------------------------------------------------------------------
    def worker_list(self):
        """ The workers, see worker_list.py """

        return worker_list(self.mail)

    # -------------------------------------------------------------------------
    def configuration(self):
        """ The configuration in use, without secrets: list of tuples (name, value) """

        return configuration_in_use(self.mail, self.relays)

    # -------------------------------------------------------------------------
    def warnings(self):
        """ What will or may go wrong, beside the problems (list of sentences) """

        return configuration_warnings(self.mail, self.relays)

    # -------------------------------------------------------------------------
    @property
    def incidents(self):
        """ The problems, and what is told once although mail goes out (list of Problem) """

        return self.problems + unverified(self)

    # -------------------------------------------------------------------------
    def as_dict(self):
        """ All of the status, for --json (dict) """

        row = self.channel_row
        status = ("flowing", "waiting", "broken")[self.level]
        return {"status": status if self.problems or self.is_proven else "untried",
                "capture": self.capture.as_dict(),
                "problems": [{"kind": problem.kind,
                              "title": problem.title,
                              "detail": problem.detail,
                              "since": problem.since,
                              } for problem in self.problems],
                "channel": {"server": self.relays[0].server,
                            **{name: row[name] for name in CHANNEL_FIELDS}},
                "relays": [state.as_dict() for state in self.relays],
                "limits": {name: report.as_dict()
                           for name, report in self.limits_by_channel.items()},
                "counts": self.report.counts(),
                "oldest": self.report.oldest(),
                "next_scheduled_on": self.report.next_scheduled_on(),
                "drained_on": self.drained_on,
                "retried_on": row.retried_on,
                "workers": self.workers,
                "worker_list": self.worker_list(),
                "sizes": self.report.sizes(),
                "configuration": dict(self.configuration()),
                "warnings": self.warnings(),
                }

# END =========================================================================
