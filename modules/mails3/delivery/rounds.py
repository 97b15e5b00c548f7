# -*- coding: utf-8 -*-

"""
    Which messages are begun next, and in how many sessions

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

__all__ = ("Rounds",)

# One more session is worth it for so many messages: to connect, with TLS and
# login, takes as many round trips as a few messages
MESSAGES_PER_SESSION = 10

# =============================================================================
class Rounds:
    """ Chooses the messages of a run for its free sessions """

    def __init__(self, channel, transport, permit, settings, message_time_s, clock):
        """
            Args:
                channel: the Channel
                transport: the Transport
                permit: the Permit
                settings: see settings.py
                message_time_s: what one message may take in all (seconds)
                clock: tells the time (seconds)
        """

        self.limiter = channel.limiter
        self.transport = transport
        self.permit = permit
        self.settings = settings
        self.message_time_s = message_time_s
        self.clock = clock

        self.sessions = 1   # how many are open
        self.following = {} # session: the Outgoing that is its next
        self.opening_s = 0  # how long it has taken to open the sessions (seconds)

    # -------------------------------------------------------------------------
    def next(self, supply, sendings, write_results, is_over):
        """
            Choose the messages to begin

            Args:
                supply: the Supply
                sendings: the Sendings, which know the sessions at work
                write_results: function that writes the finished results
                is_over: function that tells whether the time of the run is over

            Returns:
                dict {session: Outgoing}, may be empty

            Raises:
                ChannelFailure: no session can be opened, or a limit is reached
        """

        is_first = not len(sendings)
        # A probe is one message
        if is_over() or self.permit.is_tripped and not is_first:
            return {}
        round = self._first(supply, write_results) if is_first \
            else self._free(supply, sendings)
        for session in round:
            # No message is read that can't be begun
            following = None if is_over() else supply.take_claimed()
            if following:
                self.following[session] = following
        return round

    # -------------------------------------------------------------------------
    def _free(self, supply, sendings):
        """ Messages for the sessions that are open and free """

        round = {}
        for session in range(self.sessions):
            if session not in sendings and self.transport.is_ready(session):
                outgoing = self.following.pop(session, None) or supply.take()
                if outgoing is None:
                    break
                round[session] = outgoing
        return round

    # -------------------------------------------------------------------------
    def _first(self, supply, write_results):
        """ Messages while no session is at work: sessions are opened for them """

        outgoing = list(self.following.values()) or list(filter(None, [supply.take()]))
        self.following.clear()
        if not outgoing:
            return {}
        wanted = self._wanted(len(outgoing) + len(supply))
        while len(outgoing) < wanted:
            another = supply.take_claimed()
            if another is None:
                break
            outgoing.append(another)
        self.limiter.check(self.permit.now())
        self._open(min(wanted, len(outgoing)), write_results)
        supply.put_back(outgoing[self.sessions:])
        return dict(enumerate(outgoing[:self.sessions]))

    # -------------------------------------------------------------------------
    def _wanted(self, messages):
        """ How many sessions a count of messages is worth """

        if self.limiter.counts_messages:
            return 1
        # Sessions that are open already cost nothing
        return max(min(self.settings.sessions, 1 + messages // MESSAGES_PER_SESSION),
                   self.transport.ready(self.sessions))

    # -------------------------------------------------------------------------
    def _open(self, wanted, write_results):
        """ Open the sessions that are wanted; raises ChannelFailure if none can be opened """

        self.permit.use()
        self.sessions = self.transport.ready(wanted)
        if not self.sessions:
            # Finished results do not wait for a connection
            write_results()
            start = self.clock()
            self.sessions = self.transport.open(wanted, self.message_time_s)
            self.opening_s = self.clock() - start

    # -------------------------------------------------------------------------
    def sending(self, session, outgoing):
        """ Hand a message over in a session: the generator of Transport.sending() """

        return self.transport.sending(session, outgoing, self.message_time_s - self.opening_s,
                                      self.following.get(session))

# END =========================================================================
