# -*- coding: utf-8 -*-

"""
    The alarm: one per incident, and one when it is over, however many mails
    wait meanwhile, and however many processes notice

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import json
import logging
import shlex
import subprocess
import urllib.request

from datetime import timedelta

from ..clock import utcnow
from ..states import words
from ..queue.schema import savepoint
from .status import Status

__all__ = ("Alerts",)

log = logging.getLogger("web2py.mails3")

# What is told of. A pause is no incident: who made it knows.
INCIDENTS = {"worker": "Mail is looked after again",
             "suspended": "Mail is not held any more",
             }

# The longest that a hook may take, and the wait after one that failed (seconds)
PATIENCE = 10
SHORTEST, LONGEST = 300, 3600

# =============================================================================
class Alerts:
    """ Watches over the mail of a site; commits are the caller's """

    def __init__(self, mail, now=utcnow):
        """
            Args:
                mail: the MailS3
                now: tells the time
        """

        self.mail = mail
        self.db = mail.db
        self.table = mail.db.mails3_incident
        self.now = now

    # -------------------------------------------------------------------------
    def watch(self):
        """ Notice what has begun or is over; once, whoever asks """

        now = self.now()
        status = Status(self.mail, now)
        problems = {problem.kind: problem for problem in status.problems}
        for kind in INCIDENTS:
            problem = problems.get(kind)
            self._notice(kind, problem, now)

    # -------------------------------------------------------------------------
    def _notice(self, kind, problem, now):
        """ Keep whether an incident is under way """

        table, name = self.table, self._name(kind)
        row = self._row(name)
        reason = words("%s. %s" % (problem.title, problem.detail)) if problem else None
        if row.is_active == bool(problem):
            if problem and row.reason != reason:
                self.db(table.name == name).update(reason=reason)
                if kind == "worker" and not (row.reason or "").startswith(problem.title):
                    # The cause is another one now
                    log.error("%s", reason)
            return

        delay = timedelta(seconds=self.mail.options.alert_delay)
        changes = {"is_active": bool(problem), "since": now, "tell_on": now + delay}
        if problem:
            changes["reason"] = reason
        if self.db((table.name == name) &
                   (table.is_active == row.is_active)).update(**changes) and kind == "worker":
            # The runs tell of the relay's incidents themselves
            if problem:
                log.error("%s", reason)
            else:
                log.warning("%s.", INCIDENTS[kind])

    # -------------------------------------------------------------------------
    def is_active(self, kind):
        """ Whether an incident is known to be under way """

        row = self.db(self.table.name == self._name(kind)).select().first()
        return bool(row and row.is_active)

    # -------------------------------------------------------------------------
    def tell(self, commit):
        """
            Tell the hooks, in the settings alert_url and alert_command, what
            has lasted for long enough; not to be done while a visitor waits

            Args:
                commit: commits, before a hook is called
        """

        options, table, now = self.mail.options, self.table, self.now()
        if not (options.alert_url or options.alert_command):
            return
        for kind in INCIDENTS:
            row = self._row(self._name(kind))
            if row.is_active == row.told or row.tell_on and row.tell_on > now:
                continue
            # One of several workers
            claimed = self.db((table.id == row.id) &
                              (table.told == row.told)).update(told=row.is_active)
            commit()
            if claimed and not self._call_hooks(kind, row):
                # Again after as long as it has lasted, for what is broken may
                # be the network
                wait = min(max((now - row.since).total_seconds(), SHORTEST), LONGEST)
                self.db(table.id == row.id).update(
                                        told = row.told,
                                        tell_on = now + timedelta(seconds=wait))
                commit()

    # -------------------------------------------------------------------------
    def _call_hooks(self, kind, row):
        """ Tell of an incident; False if that failed """

        told = row.reason if row.is_active else "%s." % INCIDENTS[kind]
        notice = json.dumps({"site": self.mail.site,
                             "incident": kind,
                             "event": "began" if row.is_active else "ended",
                             "since": "%sZ" % row.since.isoformat(),
                             # Under the name by which chat servers know it
                             "text": "%s: %s" % (self.mail.site, told),
                             }).encode("utf-8")
        options = self.mail.options
        return all([call(hook, notice) for call, hook in
                    ((post, options.alert_url), (run, options.alert_command)) if hook])

    # -------------------------------------------------------------------------
    def _row(self, name):
        """ The row of an incident, made if need be """

        for _ in range(2):
            row = self.db(self.table.name == name).select(limitby=(0, 1)).first()
            if row:
                return row
            try:
                with savepoint(self.db, "mails3_incident"):
                    self.table.insert(name=name, is_active=False, told=False)
            except Exception:
                # Another process was faster, or it can't be made
                pass
        raise LookupError("mails3_incident")

    # -------------------------------------------------------------------------
    def _name(self, kind):
        """ The name of an incident's row """

        return "%s/%s" % (self.mail.site, kind)

# -----------------------------------------------------------------------------
def post(url, notice):
    """ POST a notice to a URL; False if that failed; never raises """

    try:
        request = urllib.request.Request(url, notice, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE):
            return True
    except Exception as error:
        # Its text may have the URL in it, and that a token
        log.warning("The alert could not be posted to alert_url (%s).",
                    type(error).__name__)
        return False

# -----------------------------------------------------------------------------
def run(command, notice):
    """ Run a command with a notice as its input; False if that failed """

    try:
        subprocess.run(shlex.split(command), input=notice, timeout=PATIENCE,
                       stdout=subprocess.DEVNULL, check=True)
        return True
    except Exception as error:
        log.warning("The alert_command failed (%s).", type(error).__name__)
        return False

# END =========================================================================
