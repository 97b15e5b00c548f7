# -*- coding: utf-8 -*-

"""
    The worker's runs: drain() for new deliveries, retry() for deferred ones,
    work() for both

    Each step is committed before the next: claim, begin (from here on a lost
    worker leaves a delivery in doubt), hand over without a transaction, write
    the result. Steps that are due at the same time share one commit.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import math
import random
import time

from functools import partial

from ..clock import utcnow
from ..replies import ChannelFailure
from ..queue.workers import SCHEDULER, WorkerRow
from ..states import DEFERRED, NEW
from .claimer import Claimer
from .commits import Commits
from .lease import Lease
from .outgoing import Supply
from .permit import Permit
from .results import Results
from .sendings import Sendings
from .session_pool import SessionPool

__all__ = ("Worker",)

# How often a run that waits for the relay looks after its leases and new mail (seconds)
CONTROL_EVERY_S = 1

# How long a run waits for a limit that is reached (seconds)
MAX_WAIT_S = 15

# How many replies one message may wait for in all: to connect, log in and hand over
REPLIES_PER_MESSAGE = 4

# =============================================================================
class Worker:
    """ Sends deliveries by one relay: one run, no longer than a run may take """

    def __init__(self, relay, transport, settings, commit, recover=None,
                 message_time_s=None, max_wait_s=MAX_WAIT_S, insist=False, row=None,
                 control=lambda: None, now=utcnow, clock=time.monotonic, sleep=time.sleep,
                 chance=random.random):
        """
            Args:
                relay: the Relay
                transport: the Transport
                settings: see settings.py
                commit: commits what was written
                recover: see Commits
                message_time_s: what one message may take in all (seconds)
                max_wait_s: the longest wait for a limit that is reached (seconds)
                insist: see Permit
                row: the WorkerRow; None = a new one
                control: function that is called all the time during the run, at
                         least each second; it may change the deadline
                now, clock, sleep: tell the time (datetime), (seconds); wait (seconds)
                chance: a random number from 0 to 1
        """

        self.relay, self.transport, self.settings = relay, transport, settings
        self.channel = channel = relay.channel
        self.now, self.clock, self.chance, self.control = now, clock, chance, control

        self.message_time_s = REPLIES_PER_MESSAGE * settings.reply_timeout \
            if message_time_s is None else message_time_s
        self.deadline = clock() + settings.task_timeout - self.message_time_s - \
            settings.reply_timeout / 2

        self.commits = Commits(commit, recover, self.message_time_s, clock, sleep)
        self.lease = Lease(relay, row or WorkerRow(channel.db, channel.mail.site, SCHEDULER),
                           now, self.message_time_s if transport.is_serial else 0)
        self.permit = Permit(relay, transport, now, insist)
        self.results = Results(channel, self.permit, settings, now, chance)
        self.allowance = self.permit.allowance
        self.pool = SessionPool(relay, transport, self.permit, self.lease, self.message_time_s,
                                now, clock)
        self.sendings = Sendings(clock, settings.reply_timeout)
        self.max_wait_s, self.count = max_wait_s, 0
        self.failure = None # why no further message is begun

    # -------------------------------------------------------------------------
    def drain(self):
        """
            Send the new deliveries

            Returns:
                how many deliveries were handed over or settled
        """

        return self._run(NEW)

    # -------------------------------------------------------------------------
    def retry(self):
        """ Send the deferred deliveries that are due, at their own rate; returns as drain() """

        # A scheduler's only worker drains the new mail after that
        self.sendings.max_s, self.max_wait_s = self.message_time_s, 0
        return self._run(DEFERRED)

    # -------------------------------------------------------------------------
    def work(self):
        """ Send new deliveries, and deferred ones that are due after them; returns as drain() """

        return self._run(NEW, DEFERRED, passes=math.inf)

    # -------------------------------------------------------------------------
    def send_own(self, ids):
        """
            Try a message that was queued in the caller's transaction

            Args:
                ids: of its deliveries
        """

        ids = self.relay.waiting_among(ids, self.now())
        if not ids or not self.permit.may_send():
            return
        self.deadline, self.max_wait_s = self.clock() + self.message_time_s, 0
        claimed = iter([self.lease.claim_these(ids)])
        self.commits.commit()
        try:
            self._send(lambda: next(claimed, None))
            self.permit.trip(self.failure)
        finally:
            self.transport.close()
            self.lease.release(ids)

    # -------------------------------------------------------------------------
    def stop(self):
        """ End the run after the messages in hand; what is claimed goes back """

        self.deadline = self.clock()
        self.sendings.hurry(self.message_time_s)

    # -------------------------------------------------------------------------
    def is_over(self):
        """ Whether no further message is begun """

        return self.clock() >= self.deadline

    # -------------------------------------------------------------------------
    # A run
    #
    def _run(self, *queues, passes=1):
        """ Send the deliveries of some queues; arguments as for Claimer, returns as drain() """

        claimer = Claimer(self.relay, self.lease, self.permit, queues, passes,
                          self.settings.sessions, self.now, self.clock, self.chance)
        try:
            self.count = self._send(partial(self._claim, claimer))
            self.commits.patiently(partial(self.permit.trip, self.failure))
        finally:
            try:
                self.commits.surely(self.lease.end)
            finally:
                self.transport.close()
        return self.count

    # -------------------------------------------------------------------------
    def _send(self, claim):
        """
            Send until nothing is left, the time is over, or the channel fails
            (claim: as for Supply)
        """

        supply = Supply(claim, self.channel, self.results, self.settings, self.now)
        handed_over = 0
        try:
            while self._begin_next(supply) or len(self.sendings) or self._waits():
                finished = self.sendings.wait(self.clock() + CONTROL_EVERY_S)
                self._weigh(finished)
                handed_over += sum(len(each.outgoing.deliveries) for each in finished)
                self.control()
        finally:
            # After an interrupt, some messages are finished, and some under way
            self._weigh(self.sendings.taken())
            self.sendings.close()
            self._begin({}, None)
        if self.failure and not isinstance(self.failure, ChannelFailure):
            raise self.failure
        return handed_over + supply.settled

    # -------------------------------------------------------------------------
    def _waits(self):
        """ Wait a moment if a limit was reached; returns whether the run goes on """

        wait_s = self.allowance.wait_s()
        if wait_s is None or wait_s > self.max_wait_s or self.failure or self.is_over() or \
           self.relay.others_have(lambda claims: claims.has_free(NEW, self.now()), self.now()):
            return False
        self.commits.sleep(min(wait_s, CONTROL_EVERY_S))
        self.permit.read_limits()
        if wait_s > CONTROL_EVERY_S and self.relay.claims.has_urgent(self.now()):
            self.allowance.lend()
        return True

    # -------------------------------------------------------------------------
    def _begin_next(self, supply):
        """
            Write the results, and give each free session its next message;
            returns whether there was one, though it may be held since its claim
        """

        chosen = {}
        try:
            if self.failure:
                self.sendings.hurry(*self.relay.patience_s(self.message_time_s, self.now()),
                                    self.transport.is_in_doubt)
            else:
                chosen = self.pool.next(supply, self.sendings, self.is_over)
            self._begin(chosen, supply)
        except Exception as failure:
            # The messages that are being handed over come to their end first
            self.failure = self.failure or failure
        return bool(chosen) and not self.failure

    # -------------------------------------------------------------------------
    def _weigh(self, finished):
        """ Keep the outcomes of messages, and find out what has caused a failure """

        works, failures = self.permit.weigh(finished, self.sendings.at_work())
        for each in finished:
            self.results.add(each.outgoing.deliveries, each.outcome, works)
        self.failure = self.failure or next(iter(failures), None)

    # -------------------------------------------------------------------------
    # Claim
    #
    def _claim(self, claimer):
        """ As Claimer.claim(); commits """

        if self.is_over():
            return None
        # First: the results may close the breaker
        self._begin({}, None)
        return self.commits.patiently(claimer.claim)

    # -------------------------------------------------------------------------
    # Begin
    #
    def _begin(self, chosen, supply):
        """
            Write the results, commit, and begin to hand messages over

            Args:
                chosen: dict {session: Outgoing}, as from SessionPool.next()
                supply: the Supply; None if chosen is empty
        """

        start = self.clock()
        begun = self.commits.surely(partial(self._write, chosen, supply))
        self.results.note_written()
        # They go back with the next results
        over_limit = self.allowance.note_written(chosen)
        if over_limit:
            supply.give_up(over_limit)
        self.sendings.commit_s = self.clock() - start
        self.pool.start(begun, self.sendings, self.deadline + self.message_time_s)

    # -------------------------------------------------------------------------
    def _write(self, chosen, supply):
        """
            Write the results, and that messages are in doubt from here on

            Args:
                as for _begin()

            Returns:
                chosen, with the deliveries that are still ours and to be sent
        """

        self.results.write()
        now = self.now()
        if self.commits.recover:
            # Not in the caller's transaction: it would lock the rows of others
            self.lease.keep(now)
        begun = self.lease.begin([delivery for outgoing in chosen.values()
                                  for delivery in outgoing.deliveries], now) if chosen else []
        # A delivery may have expired while it waited for its turn
        ids = {delivery.id for delivery in begun if supply.may_try(delivery)}
        # Last, so that no worker holds the row of the channel and waits for another row
        self.results.write_channel()
        allowed = self.allowance.write(chosen)
        begun = {session: outgoing.only(ids) for session, outgoing in allowed.items()}
        return {session: outgoing for session, outgoing in begun.items() if outgoing.deliveries}

# END =========================================================================
