# -*- coding: utf-8 -*-

"""
    The breaker of a channel: may mail flow to the relay? And the pause, by
    which an admin stops sending

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from datetime import timedelta

from ..policy import probe_interval_s
from ..replies import ConfigurationFailure, LoginRefused
from ..queue.channel_row import CLOSED, TRIPPED
from ..states import stored_text

__all__ = ("CLOSED", "TRIPPED", "RELAY", "CONFIGURATION", "Breaker", "fingerprints_of",
           "is_paused", "is_waiting")

# mails3_channel.cause: the scope of the failure
RELAY = "relay"                 # it may end by itself
CONFIGURATION = "configuration" # a person has to repair it

# How many configurations are kept: the machines of a site may differ
MAX_FINGERPRINTS = 7

# -----------------------------------------------------------------------------
def is_paused(row, now):
    """ Whether an admin has paused sending (row: as from Breaker.read()) """

    return row.paused_on is not None and \
        (row.paused_until is None or row.paused_until > now)

# -----------------------------------------------------------------------------
def fingerprints_of(row):
    """
        The configurations that have met the failure for which the breaker has
        tripped; the machines of a site may have different ones, by hostname
        or sender

        Args:
            row: as from Breaker.read()

        Returns:
            list of hexadecimal texts, the newest last
    """

    return (row.fingerprints or "").split()

# -----------------------------------------------------------------------------
def is_waiting(row, now):
    """
        Whether nothing may be sent before a time has come, or a person has done
        something: sending is paused, or suspended and no probe is due

        Args:
            row: as from Breaker.read()
            now: the time
    """

    return is_paused(row, now) or row.status == TRIPPED and \
        (row.login_refused or row.probe_on is not None and row.probe_on > now)

# =============================================================================
class Breaker:
    """
        closed -- trip() --> tripped -- close() --> closed

        While it is tripped, probe() lets one worker try one message, after
        waits that grow. close() follows when the relay has taken a message, or
        when the configuration has changed. The state is in the database, shared
        by all workers; commits are the caller's.
    """

    def __init__(self, row):
        """
            Args:
                row: the ChannelRow
        """

        self.row = row
        self.table = row.table

    # -------------------------------------------------------------------------
    def read(self):
        """ The state (Row of mails3_channel) """

        return self.row.read()

    # -------------------------------------------------------------------------
    def trip(self, failure, fingerprint, login, now):
        """
            Suspend sending, or keep it suspended after a probe that failed

            Args:
                failure: the ChannelFailure
                fingerprint: of the configuration that has met the failure
                login: fingerprint of its login, None if it has none
                now: the time

            Returns:
                whether the admin is to be told: an incident has begun, or its
                cause has changed
        """

        table, row = self.table, self.read()
        cause = CONFIGURATION if isinstance(failure, ConfigurationFailure) else RELAY
        is_login = isinstance(failure, LoginRefused)
        known = fingerprints_of(row)
        if fingerprint not in known:
            known = (known + [fingerprint])[-MAX_FINGERPRINTS:]
        values = dict(status = TRIPPED,
                      reason = stored_text(failure),
                      cause = cause,
                      login_refused = is_login,
                      refused_login = login if is_login else None,
                      fingerprints = " ".join(known),
                      )
        has_begun = self.row.update(table.status == CLOSED,
                                    tripped_on = now,
                                    probes = 0,
                                    probe_on = now + timedelta(seconds=probe_interval_s(0)),
                                    **values)
        if not has_begun:
            # A refused login stays refused, also if something else has failed since
            self.row.update((table.status == TRIPPED) & (table.login_refused == False),
                            **values)
        return has_begun or not row.login_refused and \
            (row.cause, row.login_refused) != (cause, is_login)

    # -------------------------------------------------------------------------
    def close(self, now, has_accepted=True):
        """
            Let mail flow again

            Args:
                now: the time
                has_accepted: the relay has taken mail; False = mail flows to
                              try a configuration that has not failed yet

            Returns:
                whether the breaker was tripped, or such a configuration on trial
        """

        table, values = self.table, {}
        is_concerned = (table.status == TRIPPED)
        if has_accepted:
            values.update(accepted_on=now, fingerprints=None)
            # Or it is closed already, for a configuration that is proven now
            is_concerned |= (table.fingerprints != None)
        return self.row.update(is_concerned,
                               status = CLOSED,
                               tripped_on = None,
                               probe_on = None,
                               login_refused = False,
                               refusals = 0,
                               **values)

    # -------------------------------------------------------------------------
    def probe(self, row, now):
        """
            Ask to be the worker that probes the relay

            Args:
                row: as from read()
                now: the time

            Returns:
                whether a probe is due, and no other worker makes it
        """

        table = self.table
        probes = (row.probes or 0) + 1
        wait = timedelta(seconds = probe_interval_s(probes, bool(row.refusals)))
        # Due in more than a wait: the clock has been put back since
        return self.row.update((table.status == TRIPPED) &
                               (table.login_refused == False) &
                               ((table.probe_on <= now) |
                                (table.probe_on > now + 2 * wait)),
                               probes = probes,
                               probe_on = now + wait,
                               )

    # -------------------------------------------------------------------------
    def note_refusals(self, count, now):
        """
            Keep how many mails in a row were refused, for all workers

            Args:
                count: of the refusals; 0 = the relay has accepted a mail
                now: the time
        """

        values = {"refusals": count}
        if count == 0:
            values["accepted_on"] = now
        self.row.update(**values)

    # -------------------------------------------------------------------------
    # The pause
    #
    def pause(self, by, reason, now, until=None):
        """
            Let no run send

            Args:
                by: who wants the pause (str)
                reason: why (str)
                now: the time
                until: when the pause ends by itself; None = with resume()
        """

        self.row.update(paused_on = now,
                        paused_until = until,
                        paused_by = stored_text(by)[:128],
                        pause_reason = stored_text(reason),
                        )

    # -------------------------------------------------------------------------
    def resume(self, now):
        """
            End the pause. If the breaker is tripped, a probe is due at once,
            also after a refused login: a person has seen to it.

            Args:
                now: the time

            Returns:
                whether sending was paused
        """

        self.row.update(self.table.status == TRIPPED,
                        cause = None, # the next failure is told anew
                        login_refused = False,
                        probe_on = now,
                        probes = 0,
                        )
        # The end of the pause, for Activity.is_neglected(): no run was possible before
        return self.row.update(self.table.paused_on != None,
                               paused_on = None,
                               paused_until = now,
                               )

# END =========================================================================
