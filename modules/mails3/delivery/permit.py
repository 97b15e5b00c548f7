# -*- coding: utf-8 -*-

"""
    Whether a run may send: what the run knows of the breaker, and what it
    writes about it

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging

from ..policy import REFUSALS_IN_A_ROW
from ..replies import Throttled
from .allowance import Allowance
from .pace_learning import PaceLearning
from .odd_messages import OddMessages
from .breaker import TRIPPED, fingerprints_of
from .known_certificate import KnownCertificates

__all__ = ("Permit",)

log = logging.getLogger("web2py.mails3")

# =============================================================================
class Permit:
    """ One run's view of the breaker; commits are the caller's """

    def __init__(self, relay, transport, now, insist=False):
        """
            Args:
                relay: the Relay
                transport: the Transport, which knows the configuration
                now: tells the time
                insist: probe before a probe is due
        """

        self.relay = relay
        self.breaker = relay.breaker
        self.transitions = relay.channel.transitions
        self.transport = transport
        self.now = now
        self.insist = insist

        self.odd_messages = OddMessages()
        self.allowance = Allowance(relay, now)
        self.pace_learning = PaceLearning(relay.channel, self.allowance, now)
        self.certificates = KnownCertificates(relay.row, transport, now)
        self.is_tripped = False
        self.is_on_trial = False # by a new configuration, after one that has failed
        self.has_probe = False   # this run may probe, and has not done so
        self.noted_refusals = 0  # in a row, as the breaker knows
        self.max_messages = None # by one session, as the transport knows

    # -------------------------------------------------------------------------
    def may_send(self):
        """ Whether mail may flow, or the relay may be probed now """

        now, row = self.now(), self.breaker.read()
        if self.relay.is_paused(row, now):
            return False
        self.certificates.read(row)
        self.allowance.read(row, self.transport.relay_name())
        self._limit_sessions(self.allowance.limits.pace.messages_per_session)
        self.is_tripped = row.status == TRIPPED
        self.is_on_trial = not self.is_tripped and bool(row.fingerprints)
        self.odd_messages.read(row)
        self.noted_refusals = self.odd_messages.refusals
        if not self.is_tripped:
            return True
        if row.login_refused and \
           row.refused_login == self.transport.login_fingerprint(row.salt):
            # Never log in again with refused credentials, not from another machine either
            return False
        if self.transport.fingerprint(row.salt) not in fingerprints_of(row):
            self._try_configuration(now)
            return True
        self.has_probe = self.has_probe or self.insist or self.breaker.probe(row, now)
        return self.has_probe

    # -------------------------------------------------------------------------
    def _limit_sessions(self, max_messages):
        """ The relay takes so many messages by one session, as is known; None = any number """

        if max_messages != self.max_messages:
            self.max_messages = max_messages
            self.transport.limit_sessions(max_messages)

    # -------------------------------------------------------------------------
    def read_limits(self):
        """ While a limit is reached: another worker may have found out that mail may go again """

        self.allowance.read(self.breaker.read(), self.transport.relay_name())
        self.allowance.left()

    # -------------------------------------------------------------------------
    def _try_configuration(self, now):
        """ The configuration has changed since the breaker tripped """

        if self.breaker.close(now, has_accepted=False):
            log.warning("Sending is resumed%s: the configuration has changed.", self._by())
        # Nothing is known of the new one, also not that it works
        self.is_tripped, self.is_on_trial = False, True
        self.odd_messages.forget()
        self.noted_refusals = 0

    # -------------------------------------------------------------------------
    def weigh(self, finished, at_work):
        """
            Find out what has caused the failures of messages

            Args:
                finished: list of Finished, see OddMessages.weigh()
                at_work: the other sessions that are at work (list)

            Returns:
                tuple (works, failures), as OddMessages.weigh()
        """

        for each in finished:
            if isinstance(each.failure, Throttled):
                self.pace_learning.note_opening(each, len(at_work))
            else:
                self.pace_learning.weigh(each, len(at_work))
        if self.transport.max_messages != self.max_messages:
            # A session was full
            self.max_messages = self.transport.max_messages
            self.pace_learning.note_session_full(self.max_messages)
        works, causes = self.odd_messages.weigh(finished)
        failures = [each.failure for each in finished
                    if each.failure and not isinstance(each.failure, Throttled) and
                    not each.is_about_one_session(at_work, self.odd_messages.accepted)]
        return works, failures + causes

    # -------------------------------------------------------------------------
    def use(self):
        """ A message is being handed over: a probe is made """

        self.has_probe = False

    # -------------------------------------------------------------------------
    def note_working(self):
        """ The relay has shown that it works """

        # Counts when it is committed, and is written again if the commit fails:
        # is_tripped changes when the breaker is read again
        if (self.is_tripped or self.is_on_trial) and \
           self.breaker.close(self.now()) and self.is_tripped:
            log.warning("Sending is resumed%s: the mail server takes mail.", self._by())

    # -------------------------------------------------------------------------
    def put_refused_last(self, message_ids):
        """
            After many refusals in a row, the next probe is to take another message

            Args:
                message_ids: of the messages that were handed over
        """

        if self._has_news() and self.odd_messages.refusals >= REFUSALS_IN_A_ROW:
            self.transitions.put_messages_last(message_ids, self.now())

    # -------------------------------------------------------------------------
    def note_refusals(self):
        """ Keep how many mails in a row were refused, for all workers """

        if self._has_news():
            self.breaker.note_refusals(self.odd_messages.refusals, self.now())

    # -------------------------------------------------------------------------
    def _has_news(self):
        """ Whether something is to be noted about refusals """

        return self.odd_messages.refusals != self.noted_refusals or self.odd_messages.is_refuted

    # -------------------------------------------------------------------------
    def note_written(self):
        """ What was noted is committed """

        self.noted_refusals, self.odd_messages.is_refuted = self.odd_messages.refusals, False
        self.certificates.note_written()

    # -------------------------------------------------------------------------
    def trip(self, failure):
        """
            Trip the breaker if the relay or the configuration has failed; one log
            entry for each incident

            Args:
                failure: why no further message was begun; None = there is no reason
        """

        failure = failure or self.odd_messages.unexplained
        if not failure:
            return
        row = self.breaker.read()
        if self.breaker.trip(failure, self.transport.fingerprint(row.salt),
                             self.transport.login_fingerprint(row.salt), self.now()):
            # Whether mail then leaves by itself depends on the workers: see Status
            log.error("Sending is suspended%s: %s. Nothing is lost, mail %s.", self._by(), failure,
                      "goes by another mail server" if self.relay.has_replacement(self.now())
                      else "stays queued")

    # -------------------------------------------------------------------------
    def _by(self):
        """ By which relay, in words for the log; empty if there is one """

        return " by the mail server %s" % (self.relay.name or "first") if self.relay.others else ""

# END =========================================================================
