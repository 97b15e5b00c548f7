# -*- coding: utf-8 -*-

"""
    The two runs, drain() for new and retry() for refused mail, and their
    commits: claim and commit, send, settle and commit

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging
import random
import time

from datetime import datetime, timedelta, timezone
from itertools import groupby

from .message import DEFERRED, NEW
from .policy import DeliveryError, Never, NotNow, Trouble, next_try
from .relay import HELD

__all__ = ("Courier", "utcnow")

log = logging.getLogger("web2py.mails3")

# How many deliveries are claimed at a time: not more recipients than any
# relay has to take in one message (RFC 5321 section 4.5.3.1.8)
BATCH = 100

# -----------------------------------------------------------------------------
def utcnow():
    """ The time, as the database keeps it: UTC without a zone """

    return datetime.now(timezone.utc).replace(tzinfo=None)

# =============================================================================
class Courier:
    """ Sends what is in the outbox, as long as a run may take """

    def __init__(self, outbox, relay, transport, settings, commit,
                 message_time=None,
                 now=utcnow, clock=time.monotonic, chance=random.random):
        """
            Args:
                outbox: the Outbox
                relay: the Relay
                transport: hands a message over; has
                           - send(submission, message_id, recipients, within),
                             which returns {recipient: None or DeliveryError}
                             or raises a DeliveryError
                           - fingerprint(salt) of the configuration
                           - close()
                settings: see settings.py
                commit: commits what the outbox and the relay have written
                message_time: what one message may take in all (seconds)
                now, clock: tell the time (datetime), (seconds)
                chance: a random number from 0 to 1
        """

        self.outbox = outbox
        self.relay = relay
        self.transport = transport
        self.settings = settings
        self.commit = commit
        self.now = now
        self.clock = clock
        self.chance = chance

        # To connect, log in and hand over
        self.message_time = message_time or 4 * settings.reply_timeout
        # A lease outlasts that, though the database cuts times to seconds
        self.lease_time = timedelta(seconds = self.message_time + 60)
        # No message is begun that the scheduler might not let us finish
        self.deadline = clock() + settings.task_timeout - self.message_time

        self.held = False

    # -------------------------------------------------------------------------
    def drain(self):
        """
            Send what is new

            Returns:
                how many deliveries were settled
        """

        return self._run(NEW)

    # -------------------------------------------------------------------------
    def retry(self):
        """
            Send what was refused and is due; at its own limited rate,
            whoever calls this and however often

            Returns:
                how many deliveries were settled
        """

        now, settings = self.now(), self.settings
        if not self.outbox.waiting(DEFERRED, 1, now):
            return 0
        may_run = self.relay.begin_retry_pass(settings.retry_interval, now)
        self.commit()
        return self._run(DEFERRED, settings.retry_limit) if may_run else 0

    # -------------------------------------------------------------------------
    def send_own(self, ids):
        """
            Try a message at once that was queued in this very transaction,
            which is not committed

            Args:
                ids: of its deliveries
        """

        now = self.now()
        if not self._may_send(now):
            return
        lease = self.outbox.claim(ids, now, now + self.lease_time)
        try:
            self._send_claimed(lease)
        except Trouble as trouble:
            self._hold(trouble)
        finally:
            self.outbox.release(lease)
            self.transport.close()

    # -------------------------------------------------------------------------
    def _run(self, lane, limit=None):
        """
            Send the mail of a lane

            Args:
                lane: NEW or DEFERRED
                limit: how many deliveries at most

            Returns:
                how many deliveries were settled
        """

        settled = 0
        try:
            while self.clock() < self.deadline and settled != limit:
                size = BATCH if limit is None else min(BATCH, limit - settled)
                lease = self._claim(lane, size)
                if lease is None:
                    break
                try:
                    settled += self._send_claimed(lease)
                except Trouble as trouble:
                    self._hold(trouble)
                    break
                finally:
                    self.outbox.release(lease)
                    self.commit()
        finally:
            self.transport.close()
        return settled

    # -------------------------------------------------------------------------
    def _claim(self, lane, size):
        """ Claim what waits in a lane; a single delivery if it is to probe """

        now = self.now()
        waiting = self.outbox.waiting(lane, size, now)
        if not waiting:
            return None

        may_send = self._may_send(now)
        if may_send:
            lease = self.outbox.claim(waiting[:1] if self.held else waiting,
                                      now, now + self.lease_time)
        self.commit()
        return lease if may_send else None

    # -------------------------------------------------------------------------
    def _may_send(self, now):
        """ Whether the lane is open, or may be probed now """

        state = self.relay.read()
        self.held = state.status == HELD
        if not self.held:
            return True
        if state.fingerprint != self.transport.fingerprint(state.salt):
            self._open("the configuration has changed")
            return True
        return self.relay.probe(state, now)

    # -------------------------------------------------------------------------
    def _send_claimed(self, lease):
        """ Send what has been claimed, message by message """

        settled = 0
        for _, group in groupby(self.outbox.claimed(lease),
                                key = lambda delivery: delivery.message):
            if self.clock() >= self.deadline:
                break
            settled += self.deliver(list(group))
            self._open("the mail server takes mail")
        return settled

    # -------------------------------------------------------------------------
    def deliver(self, deliveries):
        """
            Send one message to some of its recipients, and settle them

            Args:
                deliveries: list of Delivery, claimed, of the same message

            Returns:
                how many deliveries were settled

            Raises:
                Trouble: the relay or the configuration is to blame; the
                         deliveries are back where they were
        """

        deliveries = [delivery for delivery in deliveries
                      if self._may_begin(delivery)]
        self.commit()
        if not deliveries:
            return 0

        try:
            submission, message_id = self.outbox.content(deliveries[0].message)
            refused = self.transport.send(submission, message_id,
                                          [delivery.address for delivery in deliveries],
                                          self.message_time)
        except Trouble:
            for delivery in deliveries:
                self.outbox.returned(delivery)
            self.commit()
            raise
        except DeliveryError as error:
            refused = dict.fromkeys((delivery.address for delivery in deliveries),
                                    error)
        except ValueError as error:
            # Only this message can't be read: set it aside with the reason
            refused = dict.fromkeys((delivery.address for delivery in deliveries),
                                    Never(error))
        for delivery in deliveries:
            self._settle(delivery, refused[delivery.address])
        self.commit()
        return len(deliveries)

    # -------------------------------------------------------------------------
    def _may_begin(self, delivery):
        """ Begin a delivery, unless its time is over or it is in doubt """

        now = self.now()
        if delivery.expires_on and delivery.expires_on <= now:
            self.outbox.failed(delivery, "Expired", now, attempted=False)
        elif delivery.begun_on and self.settings.in_doubt == "keep":
            self.outbox.kept(delivery, "In doubt: its worker was lost while "
                                       "sending it", now)
        else:
            return self.outbox.begin(delivery, now, now + self.lease_time)
        return False

    # -------------------------------------------------------------------------
    def _settle(self, delivery, error):
        """ Write what has become of a delivery """

        outbox, settings, now = self.outbox, self.settings, self.now()
        if error is None:
            outbox.sent(delivery, now)
            return

        log.warning("Mail to %s (delivery %s): %s",
                    delivery.address, delivery.id, error)
        if not isinstance(error, NotNow):
            outbox.invalid(delivery, error, now)
            return

        due = next_try(delivery, now, self.chance(),
                       shortest = settings.shortest_wait,
                       longest = settings.longest_wait,
                       lifetime = settings.lifetime,
                       )
        if due is None:
            outbox.failed(delivery, error, now)
        else:
            outbox.deferred(delivery, error, due, now)

    # -------------------------------------------------------------------------
    def _hold(self, trouble):
        """ Hold the lane; one log entry per incident """

        state = self.relay.read()
        fingerprint = self.transport.fingerprint(state.salt)
        if self.relay.hold(trouble, fingerprint, self.now()):
            log.error("Mail is held: %s. It is sent by itself when that is "
                      "repaired.", trouble)
        self.commit()

    # -------------------------------------------------------------------------
    def _open(self, why):
        """ Open the lane if it is held """

        if self.held and self.relay.open():
            log.warning("Mail is sent again: %s.", why)
        self.held = False

# END =========================================================================
