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
from .policy import BODY, DATA, DeliveryError, Never, NotNow, RelayTrouble, Reply, \
                    Trouble, next_try
from .relay import HELD, is_paused
from .submission import NewerVersion

__all__ = ("Courier", "utcnow")

log = logging.getLogger("web2py.mails3")

# How many deliveries are claimed at a time: not more recipients than any
# relay has to take in one message (RFC 5321 section 4.5.3.1.8)
BATCH = 100

DIVERTED = Never("The address has been changed: the mail is not for that one")

# -----------------------------------------------------------------------------
def utcnow():
    """ The time, as the database keeps it: UTC without a zone """

    return datetime.now(timezone.utc).replace(tzinfo=None)

# =============================================================================
class Courier:
    """ Sends what is in the outbox, as long as a run may take """

    def __init__(self, outbox, relay, transport, settings, commit,
                 recover=None, message_time=None, insist=False, quota=None,
                 now=utcnow, clock=time.monotonic, sleep=time.sleep,
                 chance=random.random):
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
                recover: gets a usable connection to the database again,
                         after it failed; None = it is not ours to do
                message_time: what one message may take in all (seconds)
                insist: probe a relay that is held before it is time
                quota: how many messages may be handed over; None = any.
                       Has
                       - check(now), which raises Trouble if it is used up
                       - spend(now), for each message that is handed over
                now, clock: tell the time (datetime), (seconds)
                sleep: waits (seconds)
                chance: a random number from 0 to 1
        """

        self.outbox = outbox
        self.relay = relay
        self.transport = transport
        self.settings = settings
        self.commit = commit
        self.recover = recover
        self.insist = insist
        self.quota = quota
        self.now = now
        self.clock = clock
        self.sleep = sleep
        self.chance = chance

        # To connect, log in and hand over
        self.message_time = 4 * settings.reply_timeout if message_time is None \
            else message_time
        # A lease outlasts that, and what it takes to write the result
        self.lease_time = timedelta(seconds = 2 * self.message_time + 2)
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
        if self.outbox.is_empty(DEFERRED, now):
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
        lease = self.outbox.claim_these(ids, now, now + self.lease_time)
        try:
            self._send_claimed(lease)
        except Trouble as trouble:
            self._hold(trouble)
        finally:
            self.outbox.release(lease)
            self.transport.close()

    # -------------------------------------------------------------------------
    def stop(self):
        """ End the run after the message in hand; what is claimed goes back """

        self.deadline = self.clock()

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
                lease = self._patiently(lambda: self._claim(lane, size))
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
        if self.outbox.is_empty(lane, now):
            return None

        lease = None
        if self._may_send(now):
            self.relay.drained(now)
            lease = self.outbox.claim(lane, 1 if self.held else size,
                                      now, now + self.lease_time)
        self.commit()
        return lease

    # -------------------------------------------------------------------------
    def _may_send(self, now):
        """ Whether the lane is open, or may be probed now """

        state = self.relay.read()
        if is_paused(state, now):
            return False
        self.held = state.status == HELD
        if not self.held:
            return True
        if state.fingerprint != self.transport.fingerprint(state.salt):
            self._open("the configuration has changed")
            return True
        return (self.insist and not state.login_refused) or \
            self.relay.probe(state, now)

    # -------------------------------------------------------------------------
    def _send_claimed(self, lease):
        """ Send what has been claimed, message by message """

        settled, renewed = 0, self.now()
        for _, group in groupby(self.outbox.claimed(lease),
                                key = one_mail):
            if self.clock() >= self.deadline:
                break
            now = self.now()
            if abs(now - renewed) > self.lease_time / 2:
                self.outbox.renew(lease, now + self.lease_time)
                renewed = now
            settled += self._deliver(list(group))
        return settled

    # -------------------------------------------------------------------------
    def _deliver(self, deliveries):
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

        number = len(deliveries)
        deliveries = [delivery for delivery in deliveries
                      if self._may_try(delivery)]
        if not deliveries:
            self.commit()
            return number

        try:
            submission, message_id = self.outbox.content(deliveries[0].message)
        except NewerVersion as error:
            # Another worker can read it, after an upgrade this one as well
            now = self.now()
            due = now + timedelta(seconds=self.settings.shortest_wait)
            for delivery in deliveries:
                self.outbox.postponed(delivery, error, due, now)
            self.commit()
            return number
        except ValueError as error:
            # Only this message can't be read: set it aside with the reason
            unreadable = Never(error)
            self._surely(lambda: self._settle_all(deliveries, unreadable))
            return number

        diverted = [delivery for delivery in deliveries
                    if not submission.is_for(delivery.address)]
        if diverted:
            # Who may edit the host's outbox, may not therefore read all mail
            self._surely(lambda: self._settle_all(diverted, DIVERTED))
            deliveries = [delivery for delivery in deliveries
                          if delivery not in diverted]
            if not deliveries:
                return number

        if self.quota:
            self.quota.check(self.now())

        # A relay that is away leaves nothing in doubt
        self.commit()
        start = self.clock()
        self.transport.open(self.message_time)
        time_left = self.message_time - (self.clock() - start)

        # In doubt from here on; and no transaction is open while we send
        deliveries = self._patiently(lambda: self._begin(deliveries))
        if not deliveries:
            return number

        try:
            result = self.transport.send(submission, message_id,
                                         [delivery.address for delivery in deliveries],
                                         time_left)
        except Trouble as error:
            trouble = error
            if not self._message_is_to_blame(deliveries, trouble):
                self._surely(lambda: self._give_back(deliveries, trouble))
                raise
            result = NotNow(trouble)
        except DeliveryError as error:
            result = error
        except Exception as error:
            # Whatever that is, it concerns this message alone
            result = Never("It can not be sent (%s)" % type(error).__name__)

        if relay_answered(result):
            self._open("the mail server takes mail")
        self._surely(lambda: self._settle_all(deliveries, result))
        return number

    # -------------------------------------------------------------------------
    def _begin(self, deliveries):
        """ Note that deliveries are being handed over: those that are still ours """

        now = self.now()
        begun = [delivery for delivery in deliveries
                 if self.outbox.begin(delivery, now, now + self.lease_time)]
        if self.quota and begun:
            self.quota.spend(now)
        self.commit()
        return begun

    # -------------------------------------------------------------------------
    def _may_try(self, delivery):
        """ Whether a delivery is to be tried; else it is settled """

        now = self.now()
        if delivery.expires_on and delivery.expires_on <= now:
            self.outbox.failed(delivery, "Expired", now, attempted=False)
        elif delivery.begun_on and self.settings.in_doubt == "keep":
            self.outbox.kept(delivery, "In doubt: its worker was lost while "
                                       "sending it", now)
        elif delivery.begun_on and delivery.doubts:
            # Once may have been chance
            self.outbox.kept(delivery, "Two workers were lost while sending it", now)
        else:
            return True
        return False

    # -------------------------------------------------------------------------
    def _message_is_to_blame(self, deliveries, trouble):
        """
            Whether a relay went away because of this very message: it has
            done so before, and has taken others since
        """

        if not went_away_over_it(trouble):
            return False
        opened_on = self.relay.read().opened_on
        troubled = [delivery.troubled_on for delivery in deliveries]
        return opened_on is not None and None not in troubled and \
            max(troubled) <= opened_on

    # -------------------------------------------------------------------------
    def _give_back(self, deliveries, trouble):
        """ Put deliveries back where they were, for they are not to blame """

        for delivery in deliveries:
            if may_have_it(trouble) and self.settings.in_doubt == "keep":
                self.outbox.kept(delivery, "In doubt: %s" % trouble, self.now())
            elif went_away_over_it(trouble):
                self.outbox.suspected(delivery, self.now())
            else:
                self.outbox.returned(delivery)

    # -------------------------------------------------------------------------
    def _patiently(self, action):
        """
            Do what is lost with nothing if it fails, like a claim; again if
            the database was busy (locked, deadlock, serialisation failure)
        """

        for patience in (0.1, 0.5, 2):
            try:
                return action()
            except Exception:
                if self.recover is None:
                    raise
            self.sleep(patience)
            self.recover()
        return action()

    # -------------------------------------------------------------------------
    def _surely(self, write):
        """
            Write and commit what has become of a delivery; if the database
            goes away meanwhile, until it is back, as long as the lease holds

            Args:
                write: function that writes it
        """

        end = self.clock() + self.message_time
        while True:
            try:
                write()
                self.commit()
                return
            except Exception as error:
                if self.recover is None or self.clock() >= end:
                    raise
                log.warning("The database does not take a result (%s), trying "
                            "again.", type(error).__name__)
            self.sleep(1)
            self.recover()

    # -------------------------------------------------------------------------
    def _settle_all(self, deliveries, result):
        """ Write what has become of deliveries: an error, or one for each """

        for delivery in deliveries:
            if not isinstance(result, dict):
                self._settle(delivery, result)
            elif delivery.address in result:
                self._settle(delivery, result[delivery.address])
            else:
                # Time ran short before it was asked for
                self.outbox.returned(delivery)

    # -------------------------------------------------------------------------
    def _settle(self, delivery, error):
        """ Write what has become of a delivery """

        outbox, settings, now = self.outbox, self.settings, self.now()
        if error is None:
            outbox.sent(delivery, now)
            if delivery.secret and settings.drop_secrets:
                outbox.forget(delivery.message)
            return

        log.warning("Mail to %s (number %s): %s",
                    delivery.address, delivery.outbox, error)
        outbox.refused(delivery, error, now)
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

        if self.held and self.relay.open(self.now()):
            log.warning("Mail is sent again: %s.", why)
        self.held = False

# -----------------------------------------------------------------------------
def one_mail(delivery):
    """ What the deliveries that are handed over as one have in common """

    return delivery.message, delivery.individual and delivery.id

# -----------------------------------------------------------------------------
def relay_answered(result):
    """ Whether the relay itself has said what became of a message """

    return isinstance(result, dict) or isinstance(result.args[0], Reply)

# -----------------------------------------------------------------------------
def may_have_it(trouble):
    """ Whether the relay has got all of a message, and did not answer """

    return isinstance(trouble, RelayTrouble) and \
        getattr(trouble.args[0], "phase", None) == BODY

# -----------------------------------------------------------------------------
def went_away_over_it(trouble):
    """ Whether the relay went away while it was taking the message's content """

    return isinstance(trouble, RelayTrouble) and \
        getattr(trouble.args[0], "phase", None) in (DATA, BODY)

# END =========================================================================
