# -*- coding: utf-8 -*-

"""
    New mail wakes a worker; is there one? How a worker hears of it: queue/listener.py

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging
import time

from contextlib import ExitStack, contextmanager
from datetime import timedelta

from ..clock import utcnow
from ..queue.database import TransactionLost, notify, savepoint
from ..queue.workers import Workers
from ..states import EMAIL, brief

__all__ = ("Wakeup",)

log = logging.getLogger("web2py.mails3")

# How long it is remembered whether a worker is at work (seconds)
LOOK_AGAIN_S = 10

# =============================================================================
class Wakeup:
    """ Wakes the workers of a site, one per request """

    def __init__(self, mail, is_known_missing):
        """
            Args:
                mail: the MailS3
                is_known_missing: function that tells whether an admin has been
                                  told that no worker is at work
        """

        self.mail = mail
        self.is_known_missing = is_known_missing
        # None = not looked for yet
        self.has_own_worker = None # that of the verb "work"
        self.is_worker_seen = None # another one
        self.looked_at = time.monotonic()

    # -------------------------------------------------------------------------
    def wake(self, channel=EMAIL):
        """
            Wake the workers, in the caller's transaction

            Args:
                channel: its name

            Returns:
                whether the mail will be sent: a worker is at work, or this
                process sends after the request (see the setting fallback)

            Raises:
                TransactionLost: the caller's transaction is undone
        """

        if self.mail.outbox is not None:
            # In a test, nothing is sent
            return True
        if self._wake_workers(channel):
            return True
        request = self.mail.web_request
        return bool(request and self.mail.options.fallback and request.send_later(channel))

    # -------------------------------------------------------------------------
    def _wake_workers(self, channel):
        """ Wake the workers; returns whether one is at work """

        mail, tasks = self.mail, self.mail.tasks
        if time.monotonic() > self.looked_at + LOOK_AGAIN_S:
            # In a script that runs for long, workers come and go
            self.has_own_worker = self.is_worker_seen = None
            self.looked_at = time.monotonic()
        try:
            with savepoints(mail.db, *([tasks.scheduler.db] if tasks else [])):
                notify(mail.db)
                if self.has_own_worker is None:
                    self.has_own_worker = Workers(mail.db, mail.site).count_own() > 0
                if self.has_own_worker or tasks is None:
                    return self.has_own_worker
                tasks.wake(channel)
                if self.is_worker_seen is None:
                    self.is_worker_seen = self._is_worker_at_work()
        except TransactionLost:
            raise
        except Exception as error:
            # Costs delay only: the periodic drain needs no wake
            log.error("The workers can't be woken (%s).", brief(error))
        return bool(self.is_worker_seen)

    # -------------------------------------------------------------------------
    def _is_worker_at_work(self):
        """ Whether a worker is alive, and sends """

        if self.is_known_missing():
            return False
        mail, channel = self.mail, self.mail.channel()
        now = utcnow()
        since = now - timedelta(seconds=mail.options.neglect_timeout)
        if not mail.tasks.count_workers() and not channel.activity.has_manual_runs(since):
            mail.log_sometimes("No worker is alive: %s. Start one: "
                               "python3 applications/%s/modules/mails3 work" %
                               (self._consequence(), mail.site))
            return False
        if channel.activity.is_neglected(since, now):
            mail.log_sometimes("A scheduler worker is alive, but mail has been waiting since "
                               "before %s UTC: the worker seems to hang. Restart it." %
                               since.replace(microsecond=0))
            return False
        return True

    # -------------------------------------------------------------------------
    def _consequence(self):
        """ What it means that no worker is at work (str) """

        if not self.mail.options.fallback:
            return "mail is queued but nothing sends it"
        if self.mail.web_request:
            return "the web server sends a new mail after its request, and what waits " \
                   "only together with a new mail"
        return "a new mail is tried once, while its request or script waits"

# -----------------------------------------------------------------------------
@contextmanager
def savepoints(*databases):
    """ A savepoint in each of some DALs, which may be the same one """

    with ExitStack() as stack:
        for db in dict.fromkeys(databases):
            stack.enter_context(savepoint(db, "mails3_wake"))
        yield

# END =========================================================================
