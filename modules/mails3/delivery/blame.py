# -*- coding: utf-8 -*-

"""
    Whose fault a trouble is: the relay's, the configuration's, or that of the
    one message over which it came up; no database, no connection

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from ..policy import MAIL, RCPT, REFUSALS_IN_A_ROW, ChannelFailure, RelayUnavailable, \
                     as_message_failure, concerns_the_recipient, concerns_the_site, \
                     is_in_doubt

__all__ = ("Blame",)

# =============================================================================
class Blame:
    """
        What a run has seen of the relay. What the relay answers about one
        message concerns that message, until another one meets the same before
        any is accepted.
    """

    def __init__(self):

        # The message that has met a trouble since the relay last accepted one
        self.suspect = None
        self.trouble = None
        # Refusals since then, over all workers; by message in this run
        self.refusals = 0
        self.refused = {}
        # When the relay last accepted a message after a trouble
        self.accepted_on = None
        self.is_held = False # others have met a trouble, and none was accepted since
        self.is_refuted = False # it has accepted one beside a trouble: to be noted

    # -------------------------------------------------------------------------
    def read(self, state):
        """
            Take over what all workers have seen

            Args:
                state: as from Relay.read()
        """

        self.refusals = state.refusals or 0
        self.accepted_on = state.accepted_on
        self.is_held = state.tripped_on is not None

    # -------------------------------------------------------------------------
    @property
    def unexplained(self):
        """
            The trouble of a message after which no other could be tried, if it
            is about the site in the relay's own words; else None
        """

        return self.trouble if concerns_the_site(self.trouble) else None

    # -------------------------------------------------------------------------
    def weigh(self, round):
        """
            Weigh the outcomes of messages that were handed over side by side

            Args:
                round: list of (deliveries, outcome), each of one message; a
                       Trouble in an outcome becomes a refusal of the message
                       where that is to blame

            Returns:
                tuple (works, tripped): whether the relay has shown that it
                works; list of the Troubles for which the breaker has to trip
        """

        accepted = any(None in outcome.values() for _, outcome in round)
        if accepted:
            self.suspect = self.trouble = None
            self.refusals, self.refused = 0, {}
            self.is_held = False
        works, tripped = accepted, []
        for deliveries, outcome in round:
            answers = [error for error in outcome.values() if error and error.phase]
            if answers and not accepted:
                self._count(deliveries[0].message,
                            sum(not concerns_the_recipient(error) for error in answers))
                works = works or not all(isinstance(error, ChannelFailure) for error in answers)
            tripped += self._blame(deliveries, outcome, accepted)
            if self.refusals >= REFUSALS_IN_A_ROW and answers and not tripped:
                # If the relay's own words say what it is, those are for the admin
                tripped.append(answers[-1] if isinstance(answers[-1], ChannelFailure) else
                               RelayUnavailable("%s mails in a row were refused and none was "
                                                "accepted, the last one with: %s" %
                                                (self.refusals, answers[-1])))
        return works and (accepted or self.refusals < REFUSALS_IN_A_ROW), tripped

    # -------------------------------------------------------------------------
    def _count(self, message, number):
        """
            Count refusals in a row whose words do not tell; those of one message
            alone, which may be to a list of dead addresses, are not enough
        """

        before = self.refused.get(message, 0)
        self.refused[message] = min(before + number, REFUSALS_IN_A_ROW - 1)
        self.refusals += self.refused[message] - before

    # -------------------------------------------------------------------------
    def _blame(self, deliveries, outcome, accepted):
        """
            Blame the message, or the relay, for the troubles of one message

            Args:
                deliveries: of the message
                outcome: as for weigh()
                accepted: the relay has accepted another message meanwhile

            Returns:
                list of the Troubles for which the breaker has to trip
        """

        troubled = [delivery for delivery in deliveries
                    if isinstance(outcome.get(delivery.address), ChannelFailure)]
        if not troubled:
            return []
        message, trouble = deliveries[0].message, outcome[troubled[0].address]
        about_site = concerns_the_site(trouble)
        own = [delivery for delivery in troubled
               if self._is_its_own(delivery, outcome[delivery.address], accepted)]
        if accepted:
            self.is_refuted = self.is_refuted or len(own) < len(troubled)
        else:
            suspect, self.suspect = self.suspect, message
            self.trouble = None if own and about_site else trouble
            # The envelope's sender is the site's own; or another message has met
            # the same; or the words are clear, and there is no other message
            if about_site and trouble.phase == MAIL or suspect not in (None, message) or \
               about_site and suspect == message and not own:
                return [trouble]
        for delivery in own:
            outcome[delivery.address] = as_message_failure(outcome[delivery.address], accepted)
        return []

    # -------------------------------------------------------------------------
    def _is_its_own(self, delivery, trouble, accepted):
        """
            Whether a trouble counts as an attempt of the delivery: it has met
            one before; if it is about the site in the relay's own words, only
            when others have been accepted since. While others have met the same
            and none was accepted, however long, it does not, unless content was
            handed over, which may cost something each time.
        """

        if delivery.put_back_on is None or is_in_doubt(trouble):
            return False
        about_site = concerns_the_site(trouble)
        if self.is_held and (about_site or trouble.phase in (MAIL, RCPT)):
            return False
        return accepted or not about_site or \
            self.accepted_on is not None and delivery.put_back_on <= self.accepted_on

# END =========================================================================
