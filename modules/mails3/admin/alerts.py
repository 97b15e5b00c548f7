# -*- coding: utf-8 -*-

"""
    Alerts: one when an incident begins, and one when it is over, however many
    mails wait and however many processes notice the incident

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
from ..states import brief, stored_text
from ..queue.database import savepoint
from .status import Status

__all__ = ("Alerts",)

log = logging.getLogger("web2py.mails3")

# Marks a record of the log that tells what Status tells as well: a verb that prints
# the status keeps such a record from the terminal
IN_STATUS = {"is_in_status": True}

# Which kinds of Problem are incidents, and the text when one is over. A pause is
# not an incident: an admin wants it.
INCIDENTS = {"worker": "The waiting mail is being sent",
             "suspended": "Sending is not suspended any more",
             "certificate": "The certificate of the mail server is not warned of any more",
             }

# The worker that trips the breaker logs "suspended" itself
LOGGED_HERE = ("worker", "certificate")

# The longest time that a hook may take; the wait before a failed hook is called again
HOOK_TIMEOUT_S = 10
MIN_WAIT_S, MAX_WAIT_S = 300, 3600

# =============================================================================
class Alerts:
    """ The incidents of a site; its methods do not commit """

    def __init__(self, mail, now=utcnow):
        """
            Args:
                mail: the MailS3
                now: function that returns the time (datetime, UTC)
        """

        self.mail = mail
        self.db = mail.db
        self.table = mail.db.mails3_incident
        self.now = now

    # -------------------------------------------------------------------------
    def run(self):
        """ Note incidents and call the hooks; commits, never raises: no mail depends on it """

        try:
            self.watch()
            self.db.commit()
            self.tell(self.db.commit)
        except Exception as error:
            self.db.rollback()
            log.error("Alerts do not work (%s).", brief(error))

    # -------------------------------------------------------------------------
    def watch(self):
        """
            Note which incidents have begun or are over
            - the database decides: of several processes, one notes it
        """

        now = self.now()
        problems = Status(self.mail, now).incidents
        for kind in INCIDENTS:
            self._note(kind, [problem for problem in problems if problem.kind == kind], now)

    # -------------------------------------------------------------------------
    def _note(self, kind, problems, now):
        """
            Note the state of one kind of incident

            Args:
                kind: one of INCIDENTS
                problems: list of the Problems of this kind; empty = no problem
                now: the time (datetime, UTC)
        """

        table, name = self.table, self._name(kind)
        row = self._row(name)
        reason = stored_text(" ".join("%s. %s" % (problem.title, problem.detail)
                                      for problem in problems))
        if row.is_active == bool(problems):
            if problems and row.reason != reason:
                self.db(table.name == name).update(reason=reason)
                if kind == "certificate" or \
                   kind == "worker" and not (row.reason or "").startswith(problems[0].title):
                    # One incident has followed another: the cause is new
                    log.error("%s", reason, extra=IN_STATUS)
            return

        delay = timedelta(seconds=self.mail.options.alert_delay)
        changes = {"is_active": bool(problems), "since": now, "tell_on": now + delay}
        if problems:
            changes["reason"] = reason
        if self.db((table.name == name) &
                   (table.is_active == row.is_active)).update(**changes) and kind in LOGGED_HERE:
            if problems:
                log.error("%s", reason, extra=IN_STATUS)
            else:
                log.warning("%s.", INCIDENTS[kind], extra=IN_STATUS)

    # -------------------------------------------------------------------------
    def is_active(self, kind):
        """ Whether an incident of this kind is noted and not over (bool) """

        row = self.db(self.table.name == self._name(kind)).select().first()
        return bool(row and row.is_active)

    # -------------------------------------------------------------------------
    def tell(self, commit):
        """
            Call the hooks (settings alert_url and alert_command) about each
            change that has lasted for alert_delay
            - this may take a while: not for a request with a visitor

            Args:
                commit: function that commits; called before a hook is called
        """

        options, table, now = self.mail.options, self.table, self.now()
        if not (options.alert_url or options.alert_command):
            return
        for kind in INCIDENTS:
            row = self._row(self._name(kind))
            if row.is_active == row.told or row.tell_on and row.tell_on > now:
                continue
            # Of several workers, one calls the hooks
            is_ours = self.db((table.id == row.id) &
                              (table.told == row.told)).update(told=row.is_active)
            commit()
            if is_ours and not self._call_hooks(kind, row):
                # The network may be the problem: wait as long again as it has lasted
                wait_s = min(max((now - row.since).total_seconds(), MIN_WAIT_S), MAX_WAIT_S)
                self.db(table.id == row.id).update(
                                        told = row.told,
                                        tell_on = now + timedelta(seconds=wait_s))
                commit()

    # -------------------------------------------------------------------------
    def _call_hooks(self, kind, row):
        """ Call the hooks about an incident (row: as from _row()); False if one failed """

        text = row.reason if row.is_active else "%s." % INCIDENTS[kind]
        notice = json.dumps({"site": self.mail.site,
                             "incident": kind,
                             "event": "began" if row.is_active else "ended",
                             "since": "%sZ" % row.since.isoformat(),
                             # Chat servers show the field of this name
                             "text": "%s: %s" % (self.mail.site, text),
                             }).encode("utf-8")
        options = self.mail.options
        return all([call(hook, notice) for call, hook in
                    ((post, options.alert_url), (run, options.alert_command)) if hook])

    # -------------------------------------------------------------------------
    def _row(self, name):
        """ The row of an incident; it is inserted if it does not exist """

        for _ in range(2):
            row = self.db(self.table.name == name).select(limitby=(0, 1)).first()
            if row:
                return row
            try:
                with savepoint(self.db, "mails3_incident"):
                    self.table.insert(name=name, is_active=False, told=False)
            except Exception:
                # Another process has inserted it, or the database refuses it
                pass
        raise LookupError("mails3_incident")

    # -------------------------------------------------------------------------
    def _name(self, kind):
        """ The name of an incident's row in mails3_incident """

        return "%s/%s" % (self.mail.site, kind)

# -----------------------------------------------------------------------------
def post(url, notice):
    """ POST a notice (bytes of JSON) to a URL; returns False if that failed """

    try:
        request = urllib.request.Request(url, notice, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=HOOK_TIMEOUT_S):
            return True
    except Exception as error:
        # The text of the error may contain the URL, and the URL a token
        log.warning("The alert could not be posted to alert_url (%s).",
                    type(error).__name__)
        return False

# -----------------------------------------------------------------------------
def run(command, notice):
    """ Run a command, the notice is its input; returns False if that failed """

    try:
        subprocess.run(shlex.split(command), input=notice, timeout=HOOK_TIMEOUT_S,
                       stdout=subprocess.DEVNULL, check=True)
        return True
    except Exception as error:
        log.warning("The alert_command failed (%s).", type(error).__name__)
        return False

# END =========================================================================
