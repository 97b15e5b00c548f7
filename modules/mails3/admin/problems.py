# -*- coding: utf-8 -*-

"""
    Why mail is not going out: no worker, a pause, the mail server or the
    configuration. A limit that is reached is no problem, see limits_report.py.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Optional

from ..delivery.breaker import CONFIGURATION, is_paused
from .configuration import unverified_certificate
from .relay_list import label_of
from .times import stamp, stamp_s

__all__ = ("FLOWING", "WAITING", "BROKEN", "Problem", "problems_of", "unverified")

# The exit status of "status", for monitors
FLOWING = 0
WAITING = 1 # for something that may end by itself
BROKEN = 2  # until somebody repairs it

# =============================================================================
@dataclass(frozen = True)
class Problem:
    """ Why mail is not going out, or goes out in another way than it should """

    kind: str                 # "paused", "suspended", "worker" or "certificate"
    level: int                # FLOWING, WAITING or BROKEN
    title: str
    detail: str
    since: Optional[datetime] = None # UTC
    holds_mail: bool = True   # else mail goes out all the same, by another mail server

# -----------------------------------------------------------------------------
def problems_of(status):
    """
        All problems of a site

        Args:
            status: its Status

        Returns:
            list of Problem; empty = no problem is known
    """

    return [problem for problem in (no_worker(status), paused(status),
                                    *(suspended(status, state) for state in status.relays
                                      if not status.capture.is_all))
            if problem]

# -----------------------------------------------------------------------------
# The problems: each function returns a Problem, or None
#
def no_worker(status):
    """
        No worker sends the mail
        - this does not depend on mail.settings.server: a request of a local
          visitor may have "logging" there, and other requests a mail server
    """

    options = status.mail.options
    since = status.now - timedelta(seconds=options.neglect_timeout)
    if not status.is_attended:
        what = "The web server sends a new mail once, after its request; mail that " \
               "does not go out then waits for the next new mail, and so does " \
               "deferred mail" if options.fallback else \
               "Mail is queued, but nothing sends it"
        return Problem("worker", BROKEN, "No worker is alive",
                       "%s. Start one: python3 applications/%s/modules/mails3 work" %
                       (what, status.mail.site))
    if status.channel.activity.is_neglected(since, status.now):
        return Problem("worker", BROKEN, "The worker seems to hang",
                       "It is alive, but new mail has been waiting since before "
                       "%s. Restart it." % stamp(since), status.drained_on)
    return None

# -----------------------------------------------------------------------------
def paused(status):
    """ An admin has paused all sending """

    row = status.channel_row
    if not is_paused(row, status.now):
        return None
    reason = "%s. " % row.pause_reason.rstrip(".") if row.pause_reason else ""
    until = "until %s" % stamp(row.paused_until) if row.paused_until \
            else "until somebody resumes it"
    return Problem("paused", WAITING, "Sending is paused",
                   "%sBy %s, %s." % (reason, row.paused_by, until), row.paused_on)

# -----------------------------------------------------------------------------
def unverified(status):
    """ The certificates that could not be verified; mail goes out all the same (list) """

    found = filter(None, (unverified_certificate(status.mail, state) for state in status.relays))
    return [Problem("certificate", FLOWING, title, "%s%s." % (detail[:1].upper(), detail[1:]))
            for title, detail in found]

# -----------------------------------------------------------------------------
def suspended(status, state):
    """
        Sending by a relay is suspended, because of the mail server or the configuration

        Args:
            status: the Status
            state: the RelayState
    """

    row = state.row
    if not state.is_suspended:
        return None
    name = " ".join(filter(None, (state.relay.others and label_of(state.relay), state.server)))
    reason = "%s (mail server %s)" % (row.reason, name) if name else row.reason
    if state.replacement:
        return Problem("suspended", WAITING, "A mail server does not take mail",
                       "%s. Mail goes by the mail server %s meanwhile." %
                       (reason, label_of(state.replacement)), row.tripped_on, holds_mail=False)
    if row.login_refused:
        return Problem("suspended", BROKEN, "The mail server refuses the login",
                       "%s. It is not tried again before the configuration "
                       "changes, or somebody resumes sending." % reason,
                       row.tripped_on)
    probe = "Asked again at %s, or when there is mail after that." % \
            stamp_s(row.probe_on) if row.probe_on else ""
    if not status.is_attended:
        # Without a worker, only a request that queues a mail has mail sent
        probe = "Asked again when a mail is queued, or somebody sends the waiting mail."
    if row.cause == CONFIGURATION:
        return Problem("suspended", BROKEN, "The mail configuration is wrong",
                       "%s. %s" % (reason, probe), row.tripped_on)
    return Problem("suspended", WAITING, "The mail server does not take mail",
                   "%s. %s" % (reason, probe), row.tripped_on)

# END =========================================================================
