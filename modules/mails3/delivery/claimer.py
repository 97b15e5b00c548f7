# -*- coding: utf-8 -*-

"""
    What a run claims next: from which queue, and how much

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from ..states import DEFERRED, NEW
from .allowance import Allowance
from .session_pool import MESSAGES_PER_SESSION

__all__ = ("Claimer",)

# How many deliveries are claimed at a time at most; more for many sessions
MAX_CLAIM = 100

# The same where one recipient gets each message in place of its own: once
MAX_REDIRECTED = 10000

# Where there is a limit, this part of the turns is that of the retry pass, by chance:
# a run may have one turn only, before the limit is reached
RETRY_PART = 1 / 4

# How long the messages of one claim are to last (seconds)
CLAIM_TIME_S = 0.5

# =============================================================================
class Claimer:
    """ Claims for one run; commits are the caller's """

    def __init__(self, relay, lease, permit, queues, passes, sessions, now, clock, chance):
        """
            Args:
                relay: the Relay
                lease: the Lease
                permit: the Permit
                queues: NEW, DEFERRED or both; the second one has its turn whenever
                        the first one is empty. Where there is a limit, a part of
                        the turns of NEW is for DEFERRED, or it would wait for all
                        new mail.
                passes: how many retry passes the run may begin
                sessions: how many the run may have at most
                now, clock: tell the time (datetime), (seconds)
                chance: a random number from 0 to 1
        """

        self.relay = relay
        self.claims = relay.claims
        self.limiter = relay.limiter
        self.lease = lease
        self.permit = permit
        self.queues = queues
        self.passes_left = passes
        self.retries_left = 0 # deliveries, in the retry pass that is under way
        self.size = ClaimSize(sessions, max(MAX_CLAIM, MESSAGES_PER_SESSION * sessions), clock)
        self.now = now
        self.chance = chance
        self.began_on = now()

    # -------------------------------------------------------------------------
    def claim(self):
        """
            Claim deliveries of one queue; a single one if it is to probe

            Returns:
                list of Delivery, None if there is nothing to claim or to send
        """

        # Another worker may have claimed what was waiting
        self.lease.more = 0
        if self.relay.is_to_stop(self.now(), self.began_on):
            return None
        for queue in self._order():
            if self.claims.has_free(queue, self.now()) and \
               (queue == NEW or self._may_retry()) and self.permit.may_send() and \
               (queue == NEW or self._begins_retry_pass()):
                return self._claim_from(queue)
        return None

    # -------------------------------------------------------------------------
    def _order(self):
        """ The queues in the order in which they have their turn now """

        if NEW in self.queues and self.permit.allowance.is_active() and \
           self.chance() < RETRY_PART:
            return DEFERRED, NEW
        return self.queues

    # -------------------------------------------------------------------------
    def _may_retry(self):
        """ Whether a retry pass is under way, or may begin now """

        if self.retries_left or not self.passes_left:
            return self.retries_left > 0
        row, now = self.relay.row.read(), self.now()
        # A pass that may send nothing would use up the next one's time
        return self.limiter.may_begin_retry_pass(row, now) and \
            bool(Allowance.at(self.relay, row, now).left())

    # -------------------------------------------------------------------------
    def _begins_retry_pass(self):
        """ Begin a retry pass, unless one is under way; False if another worker is faster """

        if not self.retries_left and self.limiter.begin_retry_pass(self.now()):
            self.passes_left -= 1
            self.retries_left = self.limiter.max_retries_per_pass
        return self.retries_left > 0

    # -------------------------------------------------------------------------
    def _claim_from(self, queue):
        """ Claim deliveries of a queue: as claim() """

        left = self.permit.allowance.left()
        if not left:
            return None
        limit = min(MAX_REDIRECTED if self.relay.options.redirect_to else self.size.largest,
                    left.recipients)
        if self.permit.is_tripped:
            limit = 1
        elif queue != NEW:
            limit = min(limit, self.retries_left)
        deliveries = self.lease.claim(queue, limit, self.size.next(), left.messages,
                                      self.permit.allowance.throttled_since)
        if queue != NEW:
            self.retries_left -= len(deliveries or ())
        return deliveries

# =============================================================================
class ClaimSize:
    """
        How many messages to claim at a time: about as many as are sent in
        CLAIM_TIME_S, so that urgent mail overtakes, and a lost worker holds up
        few messages
    """

    def __init__(self, smallest, largest, clock):
        """
            Args:
                smallest, largest: the bounds (messages)
                clock: tells the time (seconds)
        """

        self.smallest = smallest
        self.largest = largest
        self.clock = clock
        self.size = smallest
        self.claimed_at = None # by the clock; None = not yet

    # -------------------------------------------------------------------------
    def next(self):
        """ The size of the claim that is made now (messages) """

        now = self.clock()
        if self.claimed_at is not None:
            lasted_s = now - self.claimed_at
            if lasted_s < CLAIM_TIME_S / 2:
                self.size = min(2 * self.size, self.largest)
            elif lasted_s > CLAIM_TIME_S:
                self.size = max(self.size // 2, self.smallest)
        self.claimed_at = now
        return self.size

# END =========================================================================
