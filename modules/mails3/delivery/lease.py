# -*- coding: utf-8 -*-

"""
    The lease of a run: what it has claimed, and for how long

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from datetime import timedelta
from uuid import uuid4

__all__ = ("Lease",)

# A lease outlasts a message that takes all its time, and the time to write its
# result (seconds)
EXTRA_TIME_S = 2

# How often a run notes that it is alive
HEARTBEAT = timedelta(seconds=15)

# =============================================================================
class Lease:
    """ Claims deliveries for one run; commits are the caller's """

    def __init__(self, channel, message_time_s, now):
        """
            Args:
                channel: the Channel
                message_time_s: what one message may take in all (seconds)
                now: tells the time
        """

        self.claims = channel.claims
        self.transitions = channel.transitions
        self.activity = channel.activity
        self.now = now
        self.id = uuid4().hex
        self.time = timedelta(seconds = 2 * message_time_s + EXTRA_TIME_S)
        self.renewed_on = now()
        self.alive_on = None
        self.may_claim = None # how many deliveries in all; None = any number

    # -------------------------------------------------------------------------
    def claim(self, queue, limit):
        """
            Claim deliveries

            Args:
                queue: NEW or DEFERRED
                limit: how many at most

            Returns:
                as Claims.claim(); None if this run may claim no more
        """

        if self.may_claim is not None:
            limit = min(limit, self.may_claim)
        if limit <= 0:
            return None
        now = self.now()
        self.note_alive(now)
        deliveries = self.claims.claim(queue, limit, now, now + self.time, self.id)
        if self.may_claim is not None:
            self.may_claim -= len(deliveries or ())
        return deliveries

    # -------------------------------------------------------------------------
    def claim_these(self, ids):
        """ As Claims.claim_these() """

        now = self.now()
        return self.claims.claim_these(ids, now, now + self.time, self.id)

    # -------------------------------------------------------------------------
    def begin(self, deliveries, now):
        """ As Transitions.begin(); gives back those that are no longer to be sent """

        self.note_alive(now)
        begun = self.transitions.begin(deliveries, now, now + self.time)
        if len(begun) < len(deliveries):
            ids = {delivery.id for delivery in begun}
            self.release([delivery.id for delivery in deliveries if delivery.id not in ids])
        return begun

    # -------------------------------------------------------------------------
    def is_old(self):
        """ Whether the lease is to be renewed: half of its time is over """

        return abs(self.now() - self.renewed_on) > self.time / 2

    # -------------------------------------------------------------------------
    def renew(self, now):
        """ Renew the lease """

        self.claims.renew(self.id, now + self.time)
        self.renewed_on = now

    # -------------------------------------------------------------------------
    def release(self, ids=None):
        """ As Claims.release() """

        self.claims.release(self.id, ids)

    # -------------------------------------------------------------------------
    def note_alive(self, now):
        """ Note that this run is at work: with large mails a run may last for long """

        if self.alive_on is None or abs(now - self.alive_on) >= HEARTBEAT:
            self.activity.note_run(now)
            self.alive_on = now

# END =========================================================================
