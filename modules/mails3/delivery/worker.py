# -*- coding: utf-8 -*-

"""
    The two runs, drain() for new and retry() for refused mail, and their
    commits: claim and commit, begin a round and commit, send it, settle it
    and begin the next one and commit

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging
import random
import time

from collections import namedtuple
from datetime import timedelta
from functools import partial
from itertools import groupby
from os.path import basename
from traceback import extract_tb

from .blame import Blame
from ..clock import utcnow
from ..states import DEFERRED, NEW, times_in_doubt
from ..policy import REFUSALS_IN_A_ROW, ChannelFailure, DeliveryError, InternalFailure, \
                     PermanentFailure, is_in_doubt, next_attempt
from .breaker import TRIPPED, fingerprints_of, is_paused
from ..message.stored import NewerVersion

__all__ = ("Worker",)

log = logging.getLogger("web2py.mails3")

# How many deliveries are claimed at a time, at least
BATCH = 100

# How many recipients a message is handed over to at a time: any relay has to
# take so many (RFC 5321 section 4.5.3.1.8)
MAX_RECIPIENTS = 100

IN_DOUBT_TWICE = "It was handed over twice, and nobody knows whether it has arrived"

DIVERTED = PermanentFailure("The address has been changed: the mail is not for that one")

# How much mail is read at a time (bytes; a larger one alone)
READ_BYTES = 1000000

# How often a run says that it is alive (seconds)
HEARTBEAT = timedelta(seconds=15)

# How many messages are worth one more session: it takes as many round trips
# to connect, with TLS and login, as a few messages do
MESSAGES_PER_SESSION = 10

# =============================================================================
class Outgoing(namedtuple("Outgoing", "deliveries submission message_id_header")):
    """ A message ready to be sent, with those of its deliveries that are to be """

    def message(self):
        """ The same for the transport """

        return (self.submission, self.message_id_header,
                [delivery.address for delivery in self.deliveries])

# =============================================================================
class Worker:
    """ Sends what is in the outbox, as long as a run may take """

    def __init__(self, outbox, relay, transport, settings, commit,
                 recover=None, message_time=None, insist=False, quota=None,
                 now=utcnow, clock=time.monotonic, sleep=time.sleep,
                 chance=random.random):
        """
            Args:
                outbox: the Outbox
                relay: the Relay
                transport: hands messages over; has
                           - open(number, within), which returns how many
                             can be handed over side by side
                           - ready(number), which returns the same, or 0 if
                             open() has something to do
                           - sending(number, message, within, following),
                             a generator that pauses while it waits; returns
                             {recipient: None or DeliveryError}
                             or raises a DeliveryError
                           - fingerprint(salt) of the configuration
                           - login_fingerprint(salt), None without a login
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
        # No message is begun that the scheduler might not let us finish, with
        # some time for what comes before and after
        self.deadline = clock() + settings.task_timeout - self.message_time - \
            settings.reply_timeout / 2

        self.held = False
        self.on_trial = False # a new configuration, after one that met a trouble
        self.unasked = False  # it may be probed, and has not been
        self.alive_on = None  # when this run has last said that it is at work
        self.blame = Blame()
        self.noted_refusals = 0 # of those in a row, for all workers
        self.finished = [] # (deliveries, outcome, whether the relay works): to be written

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
        may_run = self._patiently(
                    lambda: self.relay.begin_retry_pass(settings.retry_interval, now))
        return self._run(DEFERRED, settings.retry_limit) if may_run else 0

    # -------------------------------------------------------------------------
    def send_own(self, ids):
        """
            Try a message at once that has just been queued; in the caller's
            transaction, self.commit does nothing

            Args:
                ids: of its deliveries
        """

        now = self.now()
        if not self._may_send(now):
            return
        lease = self.outbox.claim_these(ids, now, now + self.lease_time)
        self.commit()
        try:
            self._send_claimed(lease)
            if self.blame.unexplained:
                self._hold(self.blame.unexplained)
        except ChannelFailure as trouble:
            self._hold(trouble)
        finally:
            self.outbox.release(lease, ids)
            self.transport.close()

    # -------------------------------------------------------------------------
    def stop(self):
        """ End the run after the message in hand; what is claimed goes back """

        self.deadline = self.clock()

    # -------------------------------------------------------------------------
    def _run(self, queue, limit=None):
        """
            Send the mail of a queue

            Args:
                queue: NEW or DEFERRED
                limit: how many deliveries at most

            Returns:
                how many deliveries were settled
        """

        settled = 0
        try:
            while self.clock() < self.deadline and settled != limit:
                size = max(BATCH, MESSAGES_PER_SESSION * self.settings.sessions)
                if limit is not None:
                    size = min(size, limit - settled)
                lease = self._patiently(lambda: self._claim(queue, size))
                if lease is None:
                    break
                try:
                    settled += self._send_claimed(lease)
                except ChannelFailure as trouble:
                    self._patiently(partial(self._hold, trouble))
                    return settled
                finally:
                    self._surely(lambda: self.outbox.release(lease))
            if self.blame.unexplained:
                # There was no other message to tell whose fault it was
                self._patiently(lambda: self._hold(self.blame.unexplained))
        finally:
            self.transport.close()
        return settled

    # -------------------------------------------------------------------------
    def _claim(self, queue, size):
        """ Claim what waits in a queue; a single delivery if it is to probe """

        now = self.now()
        if self.outbox.is_empty(queue, now):
            return None

        lease = None
        if self._may_send(now):
            self.unasked = self.held
            self._show_life(now)
            lease = self.outbox.claim(queue, 1 if self.held else size,
                                      now, now + self.lease_time)
        return lease

    # -------------------------------------------------------------------------
    def _show_life(self, now):
        """ Note that this run is at work: a run of large mails may last for long """

        if self.alive_on is None or abs(now - self.alive_on) >= HEARTBEAT:
            self.relay.drained(now)
            self.alive_on = now

    # -------------------------------------------------------------------------
    def _may_send(self, now):
        """ Whether mail may flow, or the relay may be probed now """

        state = self.relay.read()
        if is_paused(state, now):
            return False
        self.held = state.status == TRIPPED
        self.blame.read(state)
        self.noted_refusals = self.blame.refusals
        self.on_trial = not self.held and bool(state.fingerprints)
        if not self.held:
            return True
        if state.login_refused and \
           state.refused_login == self.transport.login_fingerprint(state.salt):
            # Never log in again with refused credentials, from whatever machine
            return False
        if self.transport.fingerprint(state.salt) not in fingerprints_of(state):
            self._open("the configuration has changed")
            # Of which nothing is known yet, also not that it works
            self.held, self.on_trial = False, True
            self.blame, self.noted_refusals = Blame(), 0
            return True
        return self.unasked or self.insist or self.relay.probe(state, now)

    # -------------------------------------------------------------------------
    def _send_claimed(self, lease):
        """
            Send what has been claimed, in rounds: as many messages side by
            side as there are sessions

            Returns:
                how many deliveries were settled
        """

        messages = []
        for _, group in groupby(self.outbox.claimed(lease), key=one_mail):
            deliveries = list(group)
            messages.extend(deliveries[start:start + MAX_RECIPIENTS]
                            for start in range(0, len(deliveries), MAX_RECIPIENTS))
        sessions = self._sessions(len(messages))
        settled, renewed, letters = 0, self.now(), []
        try:
            for part in parts(messages):
                if self.clock() >= self.deadline:
                    # What can not be begun any more need not be read
                    break
                contents = self.outbox.contents([message[0].message for message in part])
                letters = []
                while (part or letters) and self.clock() < self.deadline:
                    now = self.now()
                    if abs(now - renewed) > self.lease_time / 2:
                        self.outbox.renew(lease, now + self.lease_time)
                        renewed = now
                    # Those of a round, and those that follow them
                    while part and len(letters) < 2 * sessions:
                        deliveries = part.pop(0)
                        letters.extend(self._letters(deliveries, contents))
                        settled += len(deliveries)
                    letters = self._send_some(letters, sessions)
                settled -= sum(len(letter.deliveries) for letter in letters)
        finally:
            self._surely(self._settle_finished)
            self._note_written()
        return settled

    # -------------------------------------------------------------------------
    def _sessions(self, number):
        """ How many sessions so many messages are worth """

        if self.quota:
            # It has to be asked for each
            return 1
        return min(self.settings.sessions, 1 + number // MESSAGES_PER_SESSION)

    # -------------------------------------------------------------------------
    def _letters(self, deliveries, contents):
        """
            Make a message ready to be sent; else settle it

            Args:
                deliveries: list of Delivery, claimed, of the same message
                contents: as from Outbox.contents()

            Returns:
                list of the Outgoing; empty if there is nothing to send
        """

        deliveries = [delivery for delivery in deliveries if self._may_try(delivery)]
        if not deliveries:
            return []

        message_id = deliveries[0].message
        try:
            submission, message_id_header = self.outbox.content(message_id, contents)
        except NewerVersion as error:
            # Another worker can read it, after an upgrade this one as well
            now = self.now()
            due = now + timedelta(seconds=self.settings.shortest_wait)
            for delivery in deliveries:
                self.outbox.postponed(delivery, error, due, now)
        except ValueError as error:
            # Only this message can't be read, and nobody has refused it
            for delivery in deliveries:
                self.outbox.kept(delivery, error, self.now())
        else:
            diverted = [delivery for delivery in deliveries
                        if not submission.is_for(delivery.address)]
            if diverted:
                # Who may edit the host's outbox, may not therefore read all mail
                self.finished.append((diverted, all_of(diverted, DIVERTED), False))
                deliveries = [delivery for delivery in deliveries
                              if delivery not in diverted]
            if deliveries:
                return [Outgoing(deliveries, submission, message_id_header)]
        return []

    # -------------------------------------------------------------------------
    def _send_some(self, letters, sessions):
        """
            Send a round of messages, with the sessions that can be had for them

            Args:
                letters: list of Outgoing
                sessions: how many there may be

            Returns:
                the letters that are left
        """

        if not letters:
            return letters
        if self.quota:
            self.quota.check(self.now())

        self.unasked = False
        within, wanted = self.message_time, min(len(letters), sessions)
        number = self.transport.ready(wanted)
        if not number:
            # What is known is not made to wait; and a relay that is away
            # leaves nothing in doubt
            self._surely(self._settle_finished)
            self._note_written()
            start = self.clock()
            number = self.transport.open(wanted, within)
            within -= self.clock() - start
        round, letters = letters[:number], letters[number:]

        # In doubt from here on; and no transaction is open while we send
        round = self._surely(lambda: self._begin(round))
        self._note_written()
        self._send_round(round, letters, within)
        return letters

    # -------------------------------------------------------------------------
    def _begin(self, letters):
        """
            Note that messages are being handed over, and in the same commit
            what has become of those before

            Args:
                letters: list of Outgoing, one for each session

            Returns:
                dict {number of the session: Outgoing}, with those of their
                deliveries that are still ours
        """

        self._settle_finished()
        now = self.now()
        self._show_life(now)
        begun = self.outbox.begin([delivery for letter in letters
                                   for delivery in letter.deliveries],
                                  now, now + self.lease_time)
        if self.quota and begun:
            self.quota.spend(now)
        # It may have expired while others had their turn
        letters = [letter._replace(deliveries = [delivery for delivery in letter.deliveries
                                                 if delivery in begun and
                                                 self._may_try(delivery)])
                   for letter in letters]
        return {number: letter for number, letter in enumerate(letters) if letter.deliveries}

    # -------------------------------------------------------------------------
    def _send_round(self, letters, following, within):
        """
            Send messages side by side, each by a session of its own

            Args:
                letters: dict {number of the session: Outgoing}, begun
                following: list of the letters of the next round, not begun
                within: the time they may take in all (seconds)

            Raises:
                ChannelFailure: the relay or the configuration is to blame; what was
                         not handed over is where it was before
        """

        under_way = {number: self.transport.sending(
                                number, letter.message(), within,
                                following[number].message() if number < len(following)
                                else None)
                     for number, letter in letters.items()}
        round, troubles = [], []
        while under_way:
            for number, sending in list(under_way.items()):
                deliveries = letters[number].deliveries
                try:
                    next(sending)
                    continue
                except StopIteration as end:
                    outcome = end.value
                except ChannelFailure as trouble:
                    # No session could be had: nobody was asked
                    troubles.append(trouble)
                    outcome = {}
                except DeliveryError as error:
                    outcome = all_of(deliveries, error)
                except Exception as error:
                    outcome = all_of(deliveries, own_fault(error))
                del under_way[number]
                round.append((deliveries, outcome))
        works, tripped = self.blame.weigh(round)
        self.finished.extend((*each, works) for each in round)
        troubles += tripped
        if troubles:
            raise troubles[0]

    # -------------------------------------------------------------------------
    def _may_try(self, delivery):
        """ Whether a delivery is to be tried; else it is settled """

        now, in_doubt = self.now(), times_in_doubt(delivery)
        if delivery.expires_on and delivery.expires_on <= now:
            self.outbox.failed(delivery, "Expired", now, attempted=False)
        elif in_doubt and self.settings.in_doubt == "hold":
            self.outbox.kept(delivery, "In doubt: its worker was lost while "
                                       "sending it", now)
        elif in_doubt > 1:
            # Once may have been chance
            self.outbox.kept(delivery, IN_DOUBT_TWICE, now)
        else:
            return True
        return False

    # -------------------------------------------------------------------------
    def _give_back(self, delivery, trouble):
        """ Put a delivery back, behind all others: it is not known who is to blame """

        outbox, now = self.outbox, self.now()
        if not is_in_doubt(trouble):
            outbox.suspected(delivery, now)
        elif self.settings.in_doubt == "hold":
            outbox.kept(delivery, "In doubt: %s" % trouble, now)
        elif times_in_doubt(delivery):
            outbox.kept(delivery, IN_DOUBT_TWICE, now)
        else:
            # The relay may still be at it: not at once
            due = now + timedelta(seconds=self.settings.shortest_wait)
            outbox.doubted(delivery, trouble, due, now)

    # -------------------------------------------------------------------------
    def _patiently(self, write):
        """
            Write and commit what is lost with nothing if it fails, like a
            claim; again if the database was busy (locked, deadlock,
            serialisation failure)

            Args:
                write: function that writes it

            Returns:
                what that returns
        """

        for patience in (0.1, 0.5, 2, None):
            try:
                written = write()
                self.commit()
                return written
            except Exception:
                if self.recover is None or patience is None:
                    raise
            self.sleep(patience)
            self.recover()

    # -------------------------------------------------------------------------
    def _surely(self, write):
        """
            Write and commit what has become of deliveries; if the database
            goes away meanwhile, until it is back, as long as the lease holds

            Args:
                write: function that writes it

            Returns:
                what that returns
        """

        end = self.clock() + self.message_time
        while True:
            try:
                written = write()
                self.commit()
                return written
            except Exception as error:
                if self.recover is None or self.clock() >= end:
                    raise
                log.warning("The database does not take a result (%s), trying "
                            "again.", type(error).__name__)
            self.sleep(1)
            self.recover()

    # -------------------------------------------------------------------------
    def _settle_finished(self):
        """ Write what has become of the messages that were handed over """

        sent = []
        for deliveries, outcome, works in self.finished:
            if works:
                self._open("the mail server takes mail", works)
            for delivery in deliveries:
                error = outcome.get(delivery.address)
                if delivery.address not in outcome:
                    self.outbox.returned(delivery)
                elif error is None:
                    sent.append(delivery)
                elif isinstance(error, ChannelFailure):
                    self._give_back(delivery, error)
                else:
                    self._settle(delivery, error)
        self._note_refusals()
        if sent:
            self.outbox.sent(sent, self.now())
            if self.settings.drop_secrets:
                for message in {delivery.message for delivery in sent if delivery.secret}:
                    self.outbox.forget(message)

    # -------------------------------------------------------------------------
    def _note_written(self):
        """ What has become of the messages that were handed over is committed """

        self.finished.clear()
        self.noted_refusals, self.blame.is_refuted = self.blame.refusals, False

    # -------------------------------------------------------------------------
    def _note_refusals(self):
        """
            Keep how many mails in a row were refused, for all workers; and
            have the next probe take another message than those
        """

        refusals, now = self.blame.refusals, self.now()
        if refusals == self.noted_refusals and not self.blame.is_refuted:
            return
        self.relay.note_refusals(refusals, now)
        if refusals >= REFUSALS_IN_A_ROW:
            self.outbox.put_behind({deliveries[0].message
                                    for deliveries, *_ in self.finished}, now)

    # -------------------------------------------------------------------------
    def _settle(self, delivery, error):
        """ Write that a delivery was refused """

        outbox, settings, now = self.outbox, self.settings, self.now()
        log.warning("Mail to %s (number %s): %s",
                    delivery.address, delivery.outbox, error)
        outbox.refused(delivery, error, now)
        if isinstance(error, PermanentFailure):
            outbox.invalid(delivery, error, now)
            return

        due = next_attempt(delivery, now, self.chance(),
                           shortest = settings.shortest_wait,
                           longest = settings.longest_wait,
                           lifetime = settings.lifetime,
                           )
        if due is not None:
            outbox.deferred(delivery, error, due, now)
        elif isinstance(error, InternalFailure):
            outbox.kept(delivery, error, now)
        else:
            outbox.failed(delivery, error, now)

    # -------------------------------------------------------------------------
    def _hold(self, trouble):
        """ Trip the breaker; one log entry per incident """

        state = self.relay.read()
        if self.relay.hold(trouble, self.transport.fingerprint(state.salt),
                           self.transport.login_fingerprint(state.salt), self.now()):
            # Whether it then leaves by itself depends on who is at work: see Status
            log.error("Mail is held: %s. Nothing is lost, it stays queued.", trouble)

    # -------------------------------------------------------------------------
    def _open(self, why, works=False):
        """ Close the breaker if it is tripped, or if a new configuration is on trial """

        # It counts when it is committed, and is written anew if that fails: what
        # has come of it is read with the next claim
        if (self.held or self.on_trial) and self.relay.open(self.now(), works) and self.held:
            log.warning("Mail is not held any more: %s.", why)

# -----------------------------------------------------------------------------
def one_mail(delivery):
    """ What the deliveries that are handed over as one have in common """

    return delivery.message, delivery.individual and delivery.id

# -----------------------------------------------------------------------------
def parts(messages):
    """ Cut a list of messages into such that can be read at once """

    part, size = [], 0
    for message in messages:
        more = READ_BYTES if message[0].size is None else message[0].size
        if part and size + more > READ_BYTES:
            yield part
            part, size = [], 0
        part.append(message)
        size += more
    if part:
        yield part

# -----------------------------------------------------------------------------
def own_fault(error):
    """ An exception of this code, with the place: its text may quote the message """

    place = extract_tb(error.__traceback__)[-1]
    return InternalFailure("It can not be sent now (%s, %s:%s)" %
                           (type(error).__name__, basename(place.filename), place.lineno))

# -----------------------------------------------------------------------------
def all_of(deliveries, error):
    """ The same outcome for all deliveries """

    return dict.fromkeys([delivery.address for delivery in deliveries], error)

# END =========================================================================
