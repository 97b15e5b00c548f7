# -*- coding: utf-8 -*-

"""
    What a run is to send: claims deliveries when they are needed, reads their
    messages, and settles those that are not to be sent after all

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from collections import deque
from datetime import timedelta
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from ..message.stored import Message, NewerVersion
from ..replies import PermanentFailure
from ..states import envelope_of, times_in_doubt
from .capture import Capture

__all__ = ("Outgoing", "Supply", "by_script")

# To how many recipients a message is handed over at a time: each relay has to
# take so many (RFC 5321 section 4.5.3.1.8)
MAX_RECIPIENTS = 100

# How much is read at a time (bytes as stored); a larger message is read alone
READ_BYTES = 1000000

# A single handover without an answer proves nothing
MAX_IN_DOUBT = 1

IN_DOUBT = "In doubt: its worker was lost while sending it"
IN_DOUBT_TWICE = "It was handed over twice, and nobody knows whether it has arrived"
OTHER_ADDRESS = PermanentFailure("The address has been changed: the mail is not for that one")

# -----------------------------------------------------------------------------
def by_script(recipients, address_of=attrgetter("address")):
    """
        Divide the recipients of a message by whether their addresses are ASCII:
        the relay may not take the others, and a message that was handed over with
        SMTPUTF8 does not reach those whose own mail server does not offer it

        Args:
            recipients: list, of Deliveries by default
            address_of: function that tells the address of one

        Returns:
            list of lists, none empty
    """

    parts = [[each for each in recipients if address_of(each).isascii() == is_ascii]
             for is_ascii in (True, False)]
    return list(filter(None, parts))

# =============================================================================
class Outgoing(NamedTuple):
    """ A message that is ready to be sent, with the deliveries that it is for """

    deliveries: list
    message: Message
    message_id_header: str

    # -------------------------------------------------------------------------
    @property
    def recipients(self):
        """ The addresses of the deliveries """

        return [delivery.address for delivery in self.deliveries]

    # -------------------------------------------------------------------------
    def only(self, ids):
        """ The same message, for some of the deliveries (set of their ids) """

        return self._replace(deliveries = [delivery for delivery in self.deliveries
                                           if delivery.id in ids])

# =============================================================================
class Supply:
    """ Gives the messages of a run, one by one, in the order to send them """

    def __init__(self, claim, channel, results, settings, now):
        """
            Args:
                claim: function that claims deliveries, and commits; returns a
                       list of Delivery, None if there is nothing to claim
                channel: the Channel
                results: the Results
                settings: see settings.py
                now: tells the time
        """

        self.claim = claim
        self.contents = channel.contents
        self.transitions = channel.transitions
        self.results = results
        self.settings = settings
        self.capture = Capture(settings)
        self.channel_name = channel.name
        self.now = now

        self.groups = deque() # lists of deliveries, of one message each: not read
        self.part = deque()   # the same, read
        self.rows = {}        # as from Contents.read(), of that part
        self.settled = 0      # deliveries that were settled without being sent

    # -------------------------------------------------------------------------
    def take(self):
        """ The next Outgoing; claims if need be; None if there is nothing to send """

        while self.prepare():
            outgoing = self.take_claimed()
            if outgoing:
                return outgoing
        return None

    # -------------------------------------------------------------------------
    def take_claimed(self):
        """ The next Outgoing of those that are claimed already, or None """

        while len(self):
            if not self.part:
                self._read_part()
            outgoing = self._outgoing(self.part.popleft())
            if outgoing:
                return outgoing
        return None

    # -------------------------------------------------------------------------
    def give_up(self, outgoings):
        """ Outgoings that this run does not send now: they go back into the queue """

        for outgoing in outgoings:
            self.results.add(outgoing.deliveries, {})

    # -------------------------------------------------------------------------
    def give_back(self):
        """ Nothing may be sent now: what is claimed goes back into the queue """

        for deliveries in (*self.part, *self.groups):
            self.results.add(deliveries, {})
        self.part.clear()
        self.groups.clear()

    # -------------------------------------------------------------------------
    def prepare(self):
        """ Claim if nothing is claimed; returns whether there is something """

        while not len(self):
            deliveries = self.claim()
            if deliveries is None:
                return False
            # Or none, if all of them were deleted or held
            for _, group in groupby(deliveries, key=envelope_of):
                self.groups.extend(self._parts(list(group)))
        return True

    # -------------------------------------------------------------------------
    def _parts(self, group):
        """ The deliveries of one message, divided as it is handed over (list of lists) """

        if self.capture.redirect_to:
            # One recipient gets it in place of them all
            return [group]
        return [part[start:start + MAX_RECIPIENTS] for part in by_script(group)
                for start in range(0, len(part), MAX_RECIPIENTS)]

    # -------------------------------------------------------------------------
    def __len__(self):
        """ How many messages are claimed, and not taken """

        return len(self.groups) + len(self.part)

    # -------------------------------------------------------------------------
    def _read_part(self):
        """ Read as many messages as may be in memory at a time """

        size = 0
        while self.groups:
            more = self.groups[0][0].stored_bytes
            size += READ_BYTES if more is None else more
            if self.part and size > READ_BYTES:
                break
            self.part.append(self.groups.popleft())
        self.rows = self.contents.read([group[0].message_id for group in self.part])

    # -------------------------------------------------------------------------
    def _outgoing(self, deliveries):
        """
            Make a message ready to be sent

            Args:
                deliveries: list of Delivery, claimed, of one message

            Returns:
                the Outgoing; None if all its deliveries are settled
        """

        wanted = [delivery for delivery in deliveries if self.may_try(delivery)]
        outgoing = self._read(wanted) if wanted else None
        self.settled += len(deliveries) - (len(outgoing.deliveries) if outgoing else 0)
        return outgoing

    # -------------------------------------------------------------------------
    def _read(self, deliveries):
        """ Read the message of deliveries; as for _outgoing() """

        try:
            message, message_id_header = self.contents.load(deliveries[0].message_id,
                                                            self.rows)
        except NewerVersion as error:
            # Another worker can read it; after an upgrade this one as well
            due_on = self.now() + timedelta(seconds=self.settings.shortest_wait)
            for delivery in deliveries:
                self.transitions.postpone(delivery, error, due_on, self.now())
            return None
        except ValueError as error:
            # Only this message is not readable, and the relay has not refused it
            for delivery in deliveries:
                self.transitions.hold(delivery, error, self.now())
            return None

        others = [delivery for delivery in deliveries if not message.is_for(delivery.address)]
        if others:
            # A user who may edit the host's outbox must not get other people's mail
            self.results.add(others, dict.fromkeys([delivery.address for delivery in others],
                                                   OTHER_ADDRESS))
        deliveries = [delivery for delivery in deliveries if delivery not in others]
        return Outgoing(deliveries, message, message_id_header) if deliveries else None

    # -------------------------------------------------------------------------
    def may_try(self, delivery):
        """ Whether a delivery is to be tried; else it is settled """

        now, in_doubt = self.now(), times_in_doubt(delivery)
        captured = self.capture.reason(delivery.address, self.channel_name)
        if delivery.expires_on and delivery.expires_on <= now:
            self.transitions.fail(delivery, "Expired", now, is_attempt=False)
        elif captured:
            self.transitions.capture(delivery, captured, now)
        elif in_doubt and self.settings.in_doubt == "hold":
            self.transitions.hold(delivery, IN_DOUBT, now)
        elif in_doubt > MAX_IN_DOUBT:
            self.transitions.hold(delivery, IN_DOUBT_TWICE, now)
        else:
            return True
        return False

# END =========================================================================
