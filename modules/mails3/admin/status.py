# -*- coding: utf-8 -*-

"""
    Is mail going out? Why not? Why did this one not arrive?

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import re

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Optional

from ..message.address import BadInput, address_of
from ..states import NEW, SENT
from ..policy import ConfigurationFailure
from ..delivery.breaker import CONFIGURATION, TRIPPED, fingerprints_of, is_paused
from ..smtp.session import Server
from ..delivery.transport import is_native

__all__ = ("FLOWING", "WAITING", "BROKEN", "Problem", "Status", "next_step")

# The exit status of "status", for monitors
FLOWING = 0
WAITING = 1 # on something that may come by itself
BROKEN = 2  # until somebody repairs it

# RFC 2606: nobody's domains, left over from an example; web2py's own is you@gmail.com
EXAMPLE = re.compile(r"(?:^|\.)(?:example(?:\.com|\.net|\.org)?|invalid|test|localhost)$",
                     re.IGNORECASE)

LOOPBACK = re.compile(r"localhost|127\.[\d.]+|::1", re.IGNORECASE)

# =============================================================================
@dataclass(frozen = True)
class Problem:
    """ Why mail is not going out """

    kind: str                 # paused, held or worker
    level: int                # WAITING or BROKEN
    title: str
    detail: str
    since: Optional[datetime] = None

# =============================================================================
class Status:
    """ What there is to know about the mail of a site, at one moment """

    def __init__(self, mail, now):
        """
            Args:
                mail: the MailS3
                now: the time
        """

        self.mail = mail
        self.now = now
        self.report = mail.report()
        self.breaker = mail.relays()[0]
        self.relay = self.breaker.read()
        self.workers = mail.tasks.workers() if mail.tasks else None
        self.problems = [problem for problem in
                         (self._no_worker(), self._pause(), self._hold()) if problem]

    # -------------------------------------------------------------------------
    @property
    def level(self):
        """ FLOWING, WAITING or BROKEN """

        return max((problem.level for problem in self.problems), default=FLOWING)

    # -------------------------------------------------------------------------
    @property
    def is_proven(self):
        """ Whether a mail has gone out, and since the last repair as well """

        row, outbox, delivery = self.relay, self.report.outbox, self.report.delivery
        if fingerprints_of(row):
            # A new configuration, after a trouble that it has to show to be over
            return False
        return bool(row.purged_sent) or \
            not self.mail.db((delivery.tried_on != None) &
                             (delivery.channel == self.report.channel) &
                             (outbox.id == delivery.outbox_id) &
                             (outbox.status == SENT)).isempty()

    # -------------------------------------------------------------------------
    @property
    def no_problem(self):
        """ What there is to say when there is no problem: (title, detail) """

        if self.is_proven:
            return "Mail is going out", ""
        if fingerprints_of(self.relay):
            return ("The configuration has changed",
                    "No mail has gone out with it yet. Send a test mail to see whether "
                    "it works.")
        return ("No mail has gone out yet",
                "Nothing is known to be wrong. Send a test mail to see whether it works.")

    # -------------------------------------------------------------------------
    @property
    def is_attended(self):
        """ Whether somebody sends what waits: a worker, or cron in its place """

        since = self.now - timedelta(seconds=self.mail.options.neglect_timeout)
        return self.workers != 0 or self.breaker.is_attended(since)

    # -------------------------------------------------------------------------
    @property
    def outlook(self):
        """ What becomes of the mail that waits while there is a problem """

        if self.is_attended:
            return "Nothing is lost: it leaves by itself when %s." % \
                   ("the pause is over" if self.problems[-1].kind == "paused" else
                    "the trouble is over")
        return "Nothing is lost, but it stays until a worker runs, or somebody sends it " \
               "by hand."

    # -------------------------------------------------------------------------
    def _pause(self):
        """ Somebody has paused all sending """

        row = self.relay
        if not is_paused(row, self.now):
            return None
        until = "until %s" % stamp(row.paused_until) if row.paused_until \
                else "until somebody resumes it"
        return Problem("paused", WAITING, "Sending is paused",
                       "%sBy %s, %s." % ("%s. " % row.pause_reason.rstrip(".")
                                         if row.pause_reason else "",
                                         row.paused_by, until),
                       row.paused_on)

    # -------------------------------------------------------------------------
    def _hold(self):
        """ The mail server or the configuration is to blame """

        row = self.relay
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
            # Only a mail that is new is tried, in the request that queues it
            probe = "Asked again when a mail is queued, or somebody sends what waits."
        if row.cause == CONFIGURATION:
            return Problem("suspended", BROKEN, "The mail configuration is wrong",
                           "%s. %s" % (row.reason, probe), row.tripped_on)
        return Problem("suspended", WAITING, "The mail server does not take mail",
                       "%s. %s" % (row.reason, probe), row.tripped_on)

    # -------------------------------------------------------------------------
    def _no_worker(self):
        """ Nobody sends """

        if is_native(self.mail.settings) and self.report.contents.is_empty(NEW, self.now):
            # What is sent from here does not wait for one
            return None
        options = self.mail.options
        neglect = timedelta(seconds=options.neglect_timeout)
        since = self.now - neglect
        if not self.is_attended:
            what = "A new mail is tried once, while its visitor waits; nothing sends " \
                   "what waits already" if options.fallback else \
                   "Mail is queued, but nothing sends it"
            return Problem("worker", BROKEN, "No scheduler worker is alive",
                           "%s. Start a worker: web2py.py -K %s" % (what, self.mail.site))
        if self.report.contents.neglected(since) and self.breaker.is_idle(since):
            return Problem("worker", BROKEN, "The scheduler worker seems to hang",
                           "It is alive, but new mail has been waiting since before "
                           "%s. Restart it." % stamp(since), self.relay.drained_on)
        return None

    # -------------------------------------------------------------------------
    def configuration(self):
        """ The configuration as in use, without secrets (list of pairs) """

        settings = self.mail.settings
        shown = [("Sender", settings.sender or "none")]
        if is_native(settings):
            return [("Mail server", "%s (for what is sent from here; a worker may have "
                     "another)" % settings.server)] + shown
        try:
            server = self._server()
        except ConfigurationFailure as error:
            return [("Mail server", str(error))] + shown

        secured = "from the first byte (SSL)" if server.ssl else \
                  "STARTTLS" if server.starttls else "none"
        if secured != "none":
            secured += ", certificate %s" % ("verified" if server.verify
                                             else "not verified")
        return [("Mail server", "%s:%s" % (server.host, server.port)),
                ("Encryption", secured),
                ("Login", "yes" if server.user is not None else "none"),
                ] + shown

    # -------------------------------------------------------------------------
    def warnings(self):
        """ What will or may go wrong with this configuration (list of str) """

        warnings = []
        mail, settings = self.mail, self.mail.settings
        try:
            domain = address_of(settings.sender).rpartition("@")[2]
        except BadInput:
            warnings.append("No sender is configured: all mail is held.")
        else:
            if EXAMPLE.search(domain) or "you@gmail.com" in settings.sender:
                warnings.append("The sender is an example (%s): mail servers refuse "
                                "such mail, or nobody gets the answers." % settings.sender)

        if is_native(settings):
            # Where the models say: "logging" if request.is_local else ...
            done = "only logged" if settings.server.startswith("logging") else \
                "handed over at once"
            warnings.append("What is sent from here is %s, and not queued: mail.settings."
                            "server is %r in this request." % (done, settings.server))
        try:
            server = None if is_native(settings) else self._server()
        except ConfigurationFailure as error:
            warnings.append("%s: all mail is held." % error)
            server = None
        if server:
            warnings.extend(self._warnings_about(server))

        if mail.options.fallback and any(problem.kind == "worker"
                                         for problem in self.problems):
            warnings.append("Without a worker, each mail is tried at once while its "
                            "visitor waits, up to %s seconds." %
                            mail.options.fallback_timeout)
        return warnings

    # -------------------------------------------------------------------------
    @staticmethod
    def _warnings_about(server):
        """ What may be overheard """

        if LOOPBACK.fullmatch(server.host):
            return
        if not (server.ssl or server.starttls):
            yield "Mail%s goes to %s without encryption (TLS)." % \
                  (" and the login" if server.user is not None else "", server.host)
        elif not server.verify:
            yield "The certificate of %s is not verified: %s (verify_tls = yes)." % \
                  (server.host, "whoever pretends to be it gets the login"
                   if server.user is not None else
                   "whoever pretends to be it gets the mail")

    # -------------------------------------------------------------------------
    def _server(self):
        """ The Server as configured """

        options = self.mail.options
        return Server.read(self.mail.settings, verify=options.verify_tls,
                           cafile=options.cafile or None)

    # -------------------------------------------------------------------------
    def as_dict(self):
        """ All of it, for --json (dict) """

        row = self.relay
        status = ("flowing", "waiting", "broken")[self.level]
        return {"status": status if self.problems or self.is_proven else "untried",
                "problems": [{"kind": problem.kind,
                              "title": problem.title,
                              "detail": problem.detail,
                              "since": problem.since,
                              } for problem in self.problems],
                "relay": {name: row[name] for name in
                          ("status", "reason", "cause", "tripped_on", "accepted_on",
                           "probe_on", "login_refused", "paused_on", "paused_until",
                           "paused_by", "pause_reason")},
                "counts": self.report.counts(),
                "oldest": self.report.oldest(),
                "drained_on": row.drained_on,
                "retried_on": row.retried_on,
                "workers": self.workers,
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

    state, reply = entry["state"], entry["reply"]
    if state == "deleted":
        return "It was sent, and then deleted in the outbox of the app." \
               if entry["status"] == SENT and entry["mail"] else \
               "It is not sent: somebody has deleted it in the outbox of the app."
    if state == "expanded":
        return "It is no mail itself: each of the people it stands for gets a mail."
    if state == "sent":
        return "The mail server has accepted it. If it does not arrive, look in the " \
               "log of the mail server, and in the recipient's spam folder."
    if state == "held":
        return "It is kept back until somebody releases it."
    if state == "rejected":
        return "It is not tried again: it was refused for good. Requeue it when the " \
               "reason is gone."
    if state == "failed":
        return "It is not tried again. Requeue it if it shall be." if reply else \
               "It is not tried again."

    if entry["leased_until"] and entry["leased_until"] > status.now and entry["begun_on"]:
        return "It is being sent just now."
    if status.problems:
        waits = " ".join("%s %s%s. %s" % ("And:" if number else "It waits:",
                                          problem.title[0].lower(), problem.title[1:],
                                          problem.detail)
                         for number, problem in enumerate(status.problems))
        return waits if status.is_attended else "%s %s" % (waits, status.outlook)
    if state == "deferred":
        return "It is tried again at %s, by the next retry pass after that." % \
               stamp(entry["due_on"])
    return "It is sent with the next drain, within seconds." if status.workers else \
           "It is sent with the next drain."

# -----------------------------------------------------------------------------
def stamp(when):
    """ A time, for people """

    return "%s UTC" % when.strftime("%Y-%m-%d %H:%M") if when else "never"

# END =========================================================================
