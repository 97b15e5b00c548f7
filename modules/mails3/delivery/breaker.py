# -*- coding: utf-8 -*-

"""
    The relay's state, in the database, shared by all workers: is it open,
    or held and why, when may it be probed, when was the last retry pass;
    and whether an admin has paused all sending

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from contextlib import nullcontext
from datetime import timedelta
from uuid import uuid4

from ..states import words
from ..policy import ConfigurationFailure, LoginRefused, probe_interval_s
from ..queue.schema import connection_of_our_own

__all__ = ("Breaker", "CLOSED", "TRIPPED", "RELAY", "CONFIGURATION", "fingerprints_of",
           "is_paused")

CLOSED = "closed" # mail flows
TRIPPED = "tripped" # known to be broken: one probe at a time

# How many configurations are kept: so many machines of a site may differ
MOST_FINGERPRINTS = 7

# mails3_channel.cause: whose trouble holds it
RELAY = "relay"                 # it may heal by itself
CONFIGURATION = "configuration" # somebody has to repair it

# -----------------------------------------------------------------------------
def is_paused(row, now):
    """ Whether an admin has paused all sending (row: as from Relay.read) """

    return row.paused_on is not None and \
        (row.paused_until is None or row.paused_until > now)

# -----------------------------------------------------------------------------
def fingerprints_of(row):
    """
        The configurations that have met the trouble which is under way; machines
        of one site may have different ones, by their hostname or sender

        Args:
            row: as from Relay.read

        Returns:
            list of hex texts, the newest last
    """

    return (row.fingerprints or "").split()

# =============================================================================
class Breaker:
    """ The row of a site in mails3_channel; commits are the caller's """

    def __init__(self, db, site, apart=False):
        """
            Args:
                db: the DAL, with the tables of schema.py
                site: the name of the app: of two in one database, each has
                      its configuration, and so its relay
                apart: use a connection of our own for each look and each
                       change, and commit it at once: others do not wait for
                       the end of the caller's transaction
        """

        self.db = db
        self.site = site
        self.connection = connection_of_our_own if apart else nullcontext
        self.table = db.mails3_channel

    # -------------------------------------------------------------------------
    def establish(self):
        """ Make the row, if it is not there """

        if self.db(self.table.site == self.site).isempty():
            self.table.insert(site=self.site, status=CLOSED, salt=uuid4().hex)

    # -------------------------------------------------------------------------
    def read(self):
        """
            Read the state

            Returns:
                the Row (status, reason, tripped_on, probe_on, ...)
        """

        with self.connection(self.db):
            return self.db(self.table.site == self.site).select(limitby=(0, 1)).first()

    # -------------------------------------------------------------------------
    def hold(self, error, fingerprint, login, now):
        """
            Trip the breaker, or keep it tripped after a probe that failed

            Args:
                error: the Trouble
                fingerprint: of the configuration that met it
                login: fingerprint of its login, None if it has none
                now: the time

            Returns:
                True if there is something new to tell the admin: an incident
                has begun, or its cause is another one now
        """

        table, row = self.table, self.read()
        cause = CONFIGURATION if isinstance(error, ConfigurationFailure) else RELAY
        refused = isinstance(error, LoginRefused)
        known = fingerprints_of(row)
        if fingerprint not in known:
            known = (known + [fingerprint])[-MOST_FINGERPRINTS:]
        values = dict(status = TRIPPED,
                      reason = words(error),
                      cause = cause,
                      login_refused = refused,
                      refused_login = login if refused else None,
                      fingerprints = " ".join(known),
                      )
        began = self._update(table.status == CLOSED,
                             tripped_on = now,
                             probes = 0,
                             probe_on = now + timedelta(seconds=probe_interval_s(0)),
                             **values)
        if not began:
            # A login that was refused stays so, whatever else fails since
            self._update((table.status == TRIPPED) & (table.login_refused == False), **values)
        return bool(began) or (row.cause, row.login_refused) != (cause, refused) and \
            not row.login_refused

    # -------------------------------------------------------------------------
    def open(self, now, works=True):
        """
            Close the breaker

            Args:
                now: the time
                works: the relay has taken mail; False = it is to be tried, by
                       a configuration that has not met the trouble yet

            Returns:
                True if it was tripped, or on trial
        """

        table, values = self.table, {}
        tripped = (table.status == TRIPPED)
        if works:
            values.update(accepted_on=now, fingerprints=None)
            # Or closed already, for a configuration that is proven now
            tripped |= (table.fingerprints != None)
        return bool(self._update(tripped,
                                 status = CLOSED,
                                 tripped_on = None,
                                 probe_on = None,
                                 login_refused = False,
                                 refusals = 0,
                                 **values))

    # -------------------------------------------------------------------------
    def note_refusals(self, number, now):
        """
            Note how many mails in a row were refused

            Args:
                number: of the refusals; 0 = the relay has accepted a mail
                now: the time
        """

        values = {"refusals": number}
        if number == 0:
            values["accepted_on"] = now
        self._update(self.table.id > 0, **values)

    # -------------------------------------------------------------------------
    def pause(self, by, reason, now, until=None):
        """
            Send nothing, whoever starts a run

            Args:
                by: who wants that
                reason: why
                now: the time
                until: when it ends by itself; None = not before resume()
        """

        self._update(self.table.id > 0,
                     paused_on = now,
                     paused_until = until,
                     paused_by = words(by)[:128],
                     pause_reason = words(reason),
                     )

    # -------------------------------------------------------------------------
    def resume(self, now):
        """
            End the pause; and if the relay is held, probe it at once, even
            if it has refused the login: somebody has seen to that

            Args:
                now: the time

            Returns:
                True if it was paused
        """

        self._update(self.table.status == TRIPPED,
                     cause = None, # what follows is told anew
                     login_refused = False,
                     probe_on = now,
                     probes = 0,
                     )
        # Until now nobody could be at work: see is_idle
        return bool(self._update(self.table.paused_on != None,
                                 paused_on = None,
                                 paused_until = now,
                                 ))

    # -------------------------------------------------------------------------
    def probe(self, row, now):
        """
            Ask to be the one who probes the held relay

            Args:
                row: the state as read
                now: the time

            Returns:
                True if it is due and nobody else does
        """

        table = self.table
        probes = (row.probes or 0) + 1
        # A relay that refuses all mail is there: to ask it costs little
        wait = timedelta(seconds = probe_interval_s(0 if row.refusals else probes))
        # Due in more than a wait: the clock has been put back since
        return bool(self._update((table.status == TRIPPED) &
                                 (table.login_refused == False) &
                                 ((table.probe_on <= now) |
                                  (table.probe_on > now + 2 * wait)),
                                 probes = probes,
                                 probe_on = now + wait,
                                 ))

    # -------------------------------------------------------------------------
    def begin_retry_pass(self, interval, now):
        """
            Ask for a retry pass; who ever asks and how often, they are
            at least the interval apart

            Args:
                interval: the distance of two passes (seconds)
                now: the time

            Returns:
                True if it may run
        """

        table = self.table
        # A pass in the future: the clock has been put back since
        return bool(self._update((table.retried_on == None) |
                                 (table.retried_on <= now - timedelta(seconds=interval)) |
                                 (table.retried_on > now + timedelta(seconds=60)),
                                 retried_on = now,
                                 ))

    # -------------------------------------------------------------------------
    def is_idle(self, since):
        """ Whether no run has been at work since then, though it could be """

        row = self.read()
        if row.status != CLOSED or row.paused_on and row.paused_until is None:
            return False
        could_since = [on for on in (row.drained_on, row.paused_until) if on]
        return not could_since or max(could_since) < since

    # -------------------------------------------------------------------------
    def drained(self, now):
        """ A run is at work """

        self._update(self.table.status == CLOSED, drained_on=now)

    # -------------------------------------------------------------------------
    def note_manual_run(self, now):
        """ Somebody has started a run, who needs no worker: cron, or a person """

        self._update(self.table.id > 0, manual_run_on=now)

    # -------------------------------------------------------------------------
    def is_attended(self, since):
        """ Whether somebody has done so since then """

        row = self.read()
        return row.manual_run_on is not None and row.manual_run_on >= since

    # -------------------------------------------------------------------------
    def _update(self, condition, **values):
        """ Change the row if the condition still holds: 1 or 0 rows """

        with self.connection(self.db):
            return self.db((self.table.site == self.site) & condition).update(**values)

# END =========================================================================
