# -*- coding: utf-8 -*-

"""
    What has become of the messages that were handed over: kept until it is
    written and committed

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging

from datetime import timedelta

from ..policy import is_in_doubt, next_attempt
from ..replies import ChannelFailure, InternalFailure, PermanentFailure, Throttled
from ..queue.secrets import drop_if_sent
from ..states import stored_text, times_in_doubt
from .outgoing import IN_DOUBT_TWICE

__all__ = ("Results",)

log = logging.getLogger("web2py.mails3")

# =============================================================================
class Results:
    """ Outcomes of one run; may be written again if a write or a commit fails """

    def __init__(self, channel, permit, settings, now, chance):
        """
            Args:
                channel: the Channel
                permit: the Permit
                settings: see settings.py
                now: tells the time
                chance: a random number from 0 to 1, for the jitter
        """

        self.tables = channel.tables
        self.transitions = channel.transitions
        self.permit = permit
        self.settings = settings
        self.now = now
        self.chance = chance

        self.finished = [] # tuples (deliveries, outcome, whether the relay works)

    # -------------------------------------------------------------------------
    def add(self, deliveries, outcome, works=False):
        """
            Keep an outcome

            Args:
                deliveries: list of Delivery, of one message
                outcome: dict {address: None if accepted, else the DeliveryError};
                         a delivery that is missing was not attempted
                works: the relay has shown that it works
        """

        self.finished.append((deliveries, outcome, works))

    # -------------------------------------------------------------------------
    def write(self):
        """ Write all outcomes, to be committed; then call write_channel() """

        sent = []
        for deliveries, outcome, _ in self.finished:
            for delivery in deliveries:
                error = outcome.get(delivery.address)
                if delivery.address not in outcome:
                    self.transitions.put_back(delivery)
                elif error is None:
                    sent.append(delivery)
                elif isinstance(error, ChannelFailure):
                    self._put_back_last(delivery, error)
                elif isinstance(error, Throttled):
                    self.transitions.throttle(delivery, error.is_repeated, self.now())
                else:
                    self._refuse(delivery, error)
        self.permit.put_refused_last({deliveries[0].message_id
                                      for deliveries, *_ in self.finished})
        if sent:
            redirect_to = self.settings.redirect_to
            self.transitions.mark_sent(sent, self.now(), stored_text(
                "Redirected to %s" % redirect_to) if redirect_to else None)
            self._drop_secrets(sent)

    # -------------------------------------------------------------------------
    def write_channel(self):
        """
            Write what the outcomes tell of the relay, into the row of the channel;
            then call note_written()
        """

        if any(works for *_, works in self.finished):
            self.permit.note_working()
        self.permit.note_refusals()
        self.permit.certificates.write()

    # -------------------------------------------------------------------------
    def note_written(self):
        """ The outcomes are committed """

        self.finished.clear()
        self.permit.note_written()

    # -------------------------------------------------------------------------
    def _put_back_last(self, delivery, failure):
        """ The relay failed when it took a delivery: the next messages show the cause """

        transitions, now = self.transitions, self.now()
        if not is_in_doubt(failure):
            transitions.put_back_last(delivery, now)
        elif self.settings.in_doubt == "hold":
            transitions.hold(delivery, "In doubt: %s" % failure, now)
        elif times_in_doubt(delivery):
            transitions.hold(delivery, IN_DOUBT_TWICE, now)
        else:
            # Later, for the relay may still be processing it
            due_on = now + timedelta(seconds=self.settings.shortest_wait)
            transitions.defer_in_doubt(delivery, failure, due_on, now)

    # -------------------------------------------------------------------------
    def _refuse(self, delivery, error):
        """ A delivery was refused """

        now = self.now()
        if self._settle(delivery, error, now):
            log.warning("Mail to %s (number %s): %s", delivery.address, delivery.outbox_id, error)
            self.transitions.note_attempt(delivery, error, now)

    # -------------------------------------------------------------------------
    def _settle(self, delivery, error, now):
        """ Write what becomes of a refused delivery; returns whether it was still ours """

        transitions, settings = self.transitions, self.settings
        if isinstance(error, PermanentFailure):
            return transitions.reject(delivery, error, now)
        due_on = next_attempt(delivery, now, self.chance(),
                              shortest_s = settings.shortest_wait,
                              longest_s = settings.longest_wait,
                              lifetime_s = settings.lifetime,
                              )
        if due_on is not None:
            return transitions.defer(delivery, error, due_on, now)
        if isinstance(error, InternalFailure):
            return transitions.hold(delivery, error, now)
        return transitions.fail(delivery, error, now)

    # -------------------------------------------------------------------------
    def _drop_secrets(self, sent):
        """ Drop the content of messages with a secret, once all recipients have them """

        if self.settings.drop_secrets:
            for message_id in {delivery.message_id for delivery in sent if delivery.is_secret}:
                drop_if_sent(self.tables, message_id)

# END =========================================================================
