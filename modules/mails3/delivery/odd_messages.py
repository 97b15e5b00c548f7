# -*- coding: utf-8 -*-

"""
    Odd messages, over which the relay fails: is such a failure about the one
    message, or about the relay or the configuration? No database, no connection

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import re

from ..policy import REFUSALS_IN_A_ROW, as_message_failure, is_in_doubt
from ..replies import MAIL, RCPT, ChannelFailure, PermanentFailure, RelayUnavailable, \
                      Throttled, concerns_the_site

__all__ = ("OddMessages",)

# Refusals that are about one mailbox. Exim's "Unrouteable address" and
# OpenSMTPD's "Invalid recipient" are not among them: when these servers are
# configured wrongly, they say the same to all recipients.
#
RECIPIENT = re.compile(r"5\.1\.[1236](?!\d)" # RFC 3463 3.2: bad destination
                       r"|5\.2\.[012](?![\d.])" # RFC 3463 3.3: disabled, full
                       r"|5\.1\.10(?!\d)" # RFC 7505 4.2: takes no mail
                       r"|(unknown|no such) (local )?(user|recipient|mailbox)"
                       r"|(user|recipient|mailbox) (is )?(unknown|not found|does(n't| not) exist)",
                       re.IGNORECASE)

# =============================================================================
class OddMessages:
    """
        What a run has seen of the relay. A failure that the relay reports about
        one message concerns that message, until another message meets a
        failure before the relay accepts one.
    """

    def __init__(self):

        self.accepted = 0 # how many times the relay has accepted messages in this run
        self.forget()

    # -------------------------------------------------------------------------
    def forget(self):
        """ Forget all failures: the configuration is another one now """

        # The message that has met a failure since the relay last accepted one
        self.suspect_id = None
        self.failure = None
        # Refusals since then, by all workers; by message in this run
        self.refusals = 0
        self.refused = {}
        # When the relay accepted a message after the breaker had tripped
        self.accepted_on = None
        self.is_tripped = False # other messages have met a failure, none was accepted since
        self.is_refuted = False # a message was accepted beside a failure: to be noted

    # -------------------------------------------------------------------------
    def read(self, row):
        """ Take over what all workers have seen (row: as from Breaker.read()) """

        self.refusals = row.refusals or 0
        self.accepted_on = row.accepted_on
        self.is_tripped = row.tripped_on is not None

    # -------------------------------------------------------------------------
    @property
    def unexplained(self):
        """
            The failure of a message after which there was no other message to
            try, if the relay's words are about the site; else None
        """

        return self.failure if concerns_the_site(self.failure) else None

    # -------------------------------------------------------------------------
    def weigh(self, finished):
        """
            Weigh the outcomes of messages

            Args:
                finished: list of Finished; where the message is the cause, a
                          ChannelFailure in its outcome is replaced by a
                          refusal of the message

            Returns:
                tuple (works, failures): whether the relay has shown that it
                works; list of the ChannelFailures for which the breaker has to trip
        """

        has_accepted = any(None in each.outcome.values() for each in finished)
        if has_accepted:
            # A failure before that is to be known as refuted
            self.is_refuted = self.is_refuted or self.suspect_id is not None
            self.suspect_id = self.failure = None
            self.refusals, self.refused = 0, {}
            self.is_tripped = False
            self.accepted += 1
        works, failures = has_accepted, []
        for each in finished:
            # Another message was accepted while this one was handed over
            is_refuted = self.accepted > each.since
            answers = [error for error in each.outcome.values()
                       if error and error.phase and not isinstance(error, Throttled)]
            if answers and not is_refuted:
                self._count(each.outgoing.deliveries[0].message_id, answers)
                works = works or not all(isinstance(error, ChannelFailure) for error in answers)
            failures += self._causes_of(each.outgoing.deliveries, each.outcome, is_refuted)
            if answers and not failures and self.refusals >= REFUSALS_IN_A_ROW:
                failures.append(self._all_refused(answers[-1]))
        return works and (has_accepted or self.refusals < REFUSALS_IN_A_ROW), failures

    # -------------------------------------------------------------------------
    def _count(self, message_id, answers):
        """
            Count refusals in a row whose words do not tell the cause; those of
            one message alone, which may be to a list of dead addresses, are
            not enough
        """

        before = self.refused.get(message_id, 0)
        count = sum(not concerns_the_recipient(error) for error in answers)
        self.refused[message_id] = min(before + count, REFUSALS_IN_A_ROW - 1)
        self.refusals += self.refused[message_id] - before

    # -------------------------------------------------------------------------
    def _all_refused(self, last):
        """ The ChannelFailure after too many refusals in a row (last: the last of them) """

        if isinstance(last, ChannelFailure):
            # The relay's own words say more
            return last
        return RelayUnavailable("%s mails in a row were refused and none was accepted, "
                                "the last one with: %s" % (self.refusals, last))

    # -------------------------------------------------------------------------
    def _causes_of(self, deliveries, outcome, is_refuted):
        """
            Find the cause of the ChannelFailures of one message

            Args:
                deliveries: of the message
                outcome: of the message (dict), see weigh()
                is_refuted: the relay has accepted another message meanwhile

            Returns:
                list of the ChannelFailures for which the breaker has to trip
        """

        failed = [delivery for delivery in deliveries
                  if isinstance(outcome.get(delivery.address), ChannelFailure)]
        if not failed:
            return []
        own = [delivery for delivery in failed
               if self._is_its_own(delivery, outcome[delivery.address], is_refuted)]
        failure = outcome[failed[0].address]
        if is_refuted:
            self.is_refuted = self.is_refuted or len(own) < len(failed)
        elif self._concerns_all(deliveries[0].message_id, failure, own):
            return [failure]
        for delivery in own:
            outcome[delivery.address] = as_message_failure(outcome[delivery.address],
                                                           is_refuted)
        return []

    # -------------------------------------------------------------------------
    def _concerns_all(self, message_id, failure, own):
        """
            Whether a failure concerns all messages: another message has met one
            as well; or the relay's words are about the site, and it is about
            the sender, or there is no other message to try

            Args:
                message_id: of the message
                failure: the ChannelFailure
                own: the deliveries of the message that have caused theirs
        """

        concerns_site = concerns_the_site(failure)
        suspect_id, self.suspect_id = self.suspect_id, message_id
        self.failure = None if own and concerns_site else failure
        # The envelope's sender is the site's own
        return concerns_site and failure.phase == MAIL or \
            suspect_id not in (None, message_id) or \
            concerns_site and suspect_id == message_id and not own

    # -------------------------------------------------------------------------
    def _is_its_own(self, delivery, failure, is_refuted):
        """
            Whether a delivery has caused its failure, which then counts as an
            attempt: it has met one before; and if the relay's words are about
            the site, others were accepted since. While the breaker is tripped,
            no delivery has caused its failure, unless content was handed over,
            which may cost something each time.
        """

        if delivery.put_back_on is None or is_in_doubt(failure):
            return False
        concerns_site = concerns_the_site(failure)
        if self.is_tripped and (concerns_site or failure.phase in (MAIL, RCPT)):
            return False
        return is_refuted or not concerns_site or \
            self.accepted_on is not None and delivery.put_back_on <= self.accepted_on

# -----------------------------------------------------------------------------
def concerns_the_recipient(error):
    """
        Whether the relay's own words say that the recipient does not exist:
        such a refusal tells nothing about the site

        Args:
            error: the DeliveryError
    """

    return isinstance(error, PermanentFailure) and error.phase == RCPT and \
        RECIPIENT.search(error.text) is not None

# END =========================================================================
