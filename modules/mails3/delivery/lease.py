# -*- coding: utf-8 -*-

"""
    The lease of a run: what it has claimed, and for how long
    - a lease is short, and renewed while its worker is alive: what a lost worker
      has claimed goes out soon
    - what is being handed over has a longer lease: if the database is away for a
      moment, no other worker may hand the same message over

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from datetime import timedelta
from itertools import groupby
from math import inf

from ..queue.workers import ALIVE_S
from ..states import envelope_of

__all__ = ("Lease",)

# How long a lease lasts after its renewal: for what is claimed, for what is being
# handed over
CLAIMED = timedelta(seconds=ALIVE_S)
BEGUN = timedelta(seconds=45)

# A lease outlasts a message that takes all its time, and the time to write its
# result (seconds)
EXTRA_TIME_S = 2

# How often a lease is renewed, with a sign of life of its worker
RENEWAL = timedelta(seconds=3)

# How often a run notes in the row of its channel that it is at work
ACTIVITY = timedelta(seconds=15)

# =============================================================================
class Lease:
    """ Claims deliveries for one run; commits are the caller's """

    def __init__(self, relay, worker_row, now, blocked_s=0):
        """
            Args:
                relay: the Relay
                worker_row: the WorkerRow, whose name is the lease
                now: tells the time
                blocked_s: for how long a transport may keep the run from
                           renewing its lease (seconds)
        """

        self.relay = relay
        self.channel = relay.channel
        self.claims = relay.claims
        self.transitions = relay.channel.transitions
        self.activity = relay.channel.activity
        self.worker_row = worker_row
        self.now = now
        self.begun = max(BEGUN, timedelta(seconds = 2 * blocked_s + EXTRA_TIME_S))
        self.renewed_on = now()
        self.active_on = None
        self.more = 0 # how many deliveries have waited beside those of the last claim

    # -------------------------------------------------------------------------
    @property
    def name(self):
        """ What the claimed deliveries have in their column lease """

        return self.worker_row.name

    # -------------------------------------------------------------------------
    def claim(self, queue, limit, messages, messages_left=inf, throttled_since=None):
        """
            Claim deliveries

            Args:
                queue: NEW or DEFERRED
                limit: how many at most
                messages: of how many messages at most; an individual mail counts
                          as one
                messages_left: how many may go now
                throttled_since: as for Claims.claim()

            Returns:
                as Claims.claim()
        """

        now = self.now()
        deliveries = self.claims.claim(queue, limit, now, now + CLAIMED, self.name,
                                       messages_left, throttled_since)
        # Whole messages: a limit in the query would cut one that has several recipients
        groups = [list(group) for _, group in groupby(deliveries or (), key=envelope_of)]
        surplus = [delivery for group in groups[messages:] for delivery in group]
        self.release([delivery.id for delivery in surplus])
        # Last, see Worker
        self.note_activity(now)
        self.more = len(surplus)
        return deliveries and deliveries[:len(deliveries) - len(surplus)]

    # -------------------------------------------------------------------------
    def claim_these(self, ids):
        """ As Claims.claim_these() """

        now = self.now()
        return self.claims.claim_these(ids, now, now + CLAIMED, self.name)

    # -------------------------------------------------------------------------
    def begin(self, deliveries, now):
        """ As Transitions.begin(); gives back those that are no longer to be sent """

        begun = self.transitions.begin(deliveries, now, now + self.begun)
        if len(begun) < len(deliveries):
            ids = {delivery.id for delivery in begun}
            self.release([delivery.id for delivery in deliveries if delivery.id not in ids])
        self.note_activity(now)
        return begun

    # -------------------------------------------------------------------------
    def keep(self, now):
        """ Renew the lease if it is time, with a sign of life of the worker """

        if abs(now - self.renewed_on) < RENEWAL:
            return
        self.claims.renew(self.name, now + CLAIMED, now + self.begun)
        self.worker_row.note_alive(now, "sending (%s)" % self.channel.name)
        self.renewed_on = now

    # -------------------------------------------------------------------------
    def release(self, ids=None):
        """ As Claims.release() """

        self.claims.release(self.name, ids)

    # -------------------------------------------------------------------------
    def end(self):
        """ The run ends: give back what is still claimed """

        self.release()
        if not self.worker_row.is_kept:
            self.worker_row.remove()

    # -------------------------------------------------------------------------
    def note_activity(self, now):
        """ Note that this run is at work: with large mails a run may last for long """

        if self.active_on is None or abs(now - self.active_on) >= ACTIVITY:
            self.activity.note_run(self.relay, now)
            self.active_on = now

# END =========================================================================
