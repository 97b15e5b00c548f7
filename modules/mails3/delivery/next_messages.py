# -*- coding: utf-8 -*-

"""
    Which messages the sessions of a run take next

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from collections import deque

__all__ = ("NextMessages",)

# =============================================================================
class NextMessages:
    """ The messages that were read for a run and are not begun """

    def __init__(self, transport, permit):
        """
            Args:
                transport: the Transport
                permit: the Permit
        """

        self.transport = transport
        self.permit = permit
        self.allowance = permit.allowance

        self.prepared = deque() # Outgoings that any session may take next
        self.following = {}    # session: the Outgoing whose envelope its relay has already

    # -------------------------------------------------------------------------
    def choose(self, supply, free, limit):
        """
            Choose messages for sessions that are open

            Args:
                supply: the Supply
                free: the sessions that are not at work (list)
                limit: how many messages at most

            Returns:
                dict {session: Outgoing}, may be empty
        """

        # Those first whose next message is known
        free = sorted(free, key = lambda session: session not in self.following)
        chosen = {}
        for session in free[:max(limit, 0)]:
            outgoing = self._allowed(self.following.pop(session, None) or self._take(supply),
                                     supply)
            if self.permit.is_tripped:
                supply.give_up(chosen.values())
                self.allowance.give_up(chosen.values())
                chosen = {session: outgoing} if outgoing else {}
                break
            if outgoing is None:
                break
            chosen[session] = outgoing
        if chosen:
            self.permit.use()
        return chosen

    # -------------------------------------------------------------------------
    def _allowed(self, outgoing, supply):
        """
            As much of a message as the limits allow now

            Args:
                outgoing: the Outgoing, or None
                supply: the Supply

            Returns:
                the Outgoing, perhaps for fewer recipients; None = nothing now
        """

        if outgoing is None:
            return None
        allowed = self.allowance.take(outgoing)
        if allowed is None:
            self.prepared.appendleft(outgoing)
        elif len(allowed.deliveries) < len(outgoing.deliveries):
            supply.give_up([outgoing.only({delivery.id for delivery in outgoing.deliveries}
                                          - {delivery.id for delivery in allowed.deliveries})])
        return allowed

    # -------------------------------------------------------------------------
    def give_back(self, supply):
        """ A limit is reached: what is claimed goes back, for more urgent mail may come """

        supply.give_up([*self.prepared, *self.following.values()])
        self.prepared.clear()
        self.following.clear()
        supply.give_back()

    # -------------------------------------------------------------------------
    def _take(self, supply):
        """ The next Outgoing, None if there is nothing to send """

        if self.prepared:
            return self.prepared.popleft()
        outgoing = supply.take()
        if self.permit.is_tripped:
            # The claim was a probe, if it was allowed: nothing else is sent
            supply.give_up(self.following.values())
            self.following.clear()
        return outgoing

    # -------------------------------------------------------------------------
    def prepare(self, supply, sessions, has_more):
        """
            Read the next messages of sessions that ask for them while they are at work

            Args:
                supply: the Supply
                sessions: the sessions (list)
                has_more: whether more is waiting than what is claimed
        """

        wanted = sum(map(self.transport.looks_ahead, sessions))
        while len(self.prepared) < wanted:
            # Claim before a session is free, if follow() may give it what is claimed
            may_claim = has_more and not self.permit.is_tripped and not self.allowance.is_active()
            outgoing = supply.take() if may_claim else supply.take_claimed()
            if outgoing is None:
                break
            self.prepared.append(outgoing)

    # -------------------------------------------------------------------------
    def follow(self, session):
        """ The Outgoing whose envelope a session sends ahead now, or None; no database """

        # A probe is for a session that is free; with a limit, each message asks for itself
        if not self.prepared or self.permit.is_tripped or self.allowance.is_active():
            return None
        self.following[session] = self.prepared.popleft()
        return self.following[session]

    # -------------------------------------------------------------------------
    def take_back(self, sendings):
        """ Free the messages whose envelope was not sent ahead, or whose session has ended """

        for session in list(self.following):
            if not (self.transport.is_ahead(session) and
                    (session in sendings or self.transport.is_ready(session))):
                self.prepared.appendleft(self.following.pop(session))

    # -------------------------------------------------------------------------
    def has_first(self, supply):
        """ Whether there is a message, and it may be sent, so that a session is opened for it """

        outgoing = self._take(supply)
        if outgoing is None:
            return False
        self.prepared.appendleft(outgoing)
        self.permit.use()
        return True

# END =========================================================================
