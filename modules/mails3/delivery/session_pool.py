# -*- coding: utf-8 -*-

"""
    The sessions of a run: how many there are, and which message each of them takes next

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

__all__ = ("SessionPool",)

# One more session is worth it for so many messages: to connect, with TLS and
# login, takes as many round trips as a few messages
MESSAGES_PER_SESSION = 10

# =============================================================================
class SessionPool:
    """ Chooses the messages of a run for its free sessions """

    def __init__(self, channel, transport, permit, lease, settings, message_time_s, clock):
        """
            Args:
                channel: the Channel
                transport: the Transport
                permit: the Permit
                lease: the Lease, which knows how much is waiting
                settings: see settings.py
                message_time_s: what one message may take in all (seconds)
                clock: tells the time (seconds)
        """

        self.limiter = channel.limiter
        self.transport = transport
        self.permit = permit
        self.lease = lease
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

        is_idle = not len(sendings)
        # A probe is one message
        if is_over() or self.permit.is_tripped and not is_idle:
            return {}
        chosen = {} if is_idle and self._wants_more(supply) else \
            self._for_open_sessions(supply, sendings)
        if is_idle and not chosen:
            chosen = self._for_new_sessions(supply, write_results)
        for session in chosen:
            # No message is read that can't be begun, or for which there is a new session
            if is_over() or self._wants_more(supply):
                break
            # Else any free session may take it
            following = supply.take_claimed() if self.transport.looks_ahead(session) else None
            if following:
                self.following[session] = following
        return chosen

    # -------------------------------------------------------------------------
    def _wants_more(self, supply):
        """ Whether the messages that are claimed are worth more sessions than are open """

        return self.sessions < self._wanted(len(self.following) + len(supply) + self.lease.more)

    # -------------------------------------------------------------------------
    def _wanted(self, messages):
        """ How many sessions a count of messages is worth """

        if self.limiter.counts_messages:
            return 1
        return min(self.settings.sessions, 1 + messages // MESSAGES_PER_SESSION)

    # -------------------------------------------------------------------------
    def _for_open_sessions(self, supply, sendings):
        """ Messages for the sessions that are open and free (dict, as next()) """

        free = [session for session in range(self.sessions) if session not in sendings]
        ready = list(filter(self.transport.is_ready, free))
        # A session that is closed keeps no message waiting
        supply.put_back([self.following.pop(session) for session in free
                         if session in self.following and session not in ready])
        chosen = {session: self.following.pop(session) for session in ready
                  if session in self.following}
        for session in ready:
            if session not in chosen:
                outgoing = supply.take()
                if self.permit.is_tripped:
                    # The claim was a probe, if it was allowed: nothing else is sent
                    supply.give_up([*chosen.values(), *self.following.values()])
                    self.following.clear()
                    chosen = {session: outgoing} if outgoing else {}
                    break
                if outgoing is None:
                    break
                chosen[session] = outgoing
        if chosen:
            self.permit.use()
            self.limiter.check(self.permit.now())
        return chosen

    # -------------------------------------------------------------------------
    def _for_new_sessions(self, supply, write_results):
        """ Messages while no session is at work: sessions are opened for them """

        supply.put_back(list(self.following.values()))
        self.following.clear()
        outgoing = list(filter(None, [supply.take()]))
        if not outgoing:
            return {}
        wanted = self._wanted(len(outgoing) + len(supply) + self.lease.more)
        while len(outgoing) < wanted:
            another = supply.take_claimed()
            if another is None:
                break
            outgoing.append(another)
        self.permit.use()
        self.limiter.check(self.permit.now())
        self._open(len(outgoing), write_results)
        supply.put_back(outgoing[self.sessions:])
        return dict(enumerate(outgoing[:self.sessions]))

    # -------------------------------------------------------------------------
    def _open(self, wanted, write_results):
        """ Have sessions; raises ChannelFailure if not one can be opened """

        # No transaction is open meanwhile, and finished results do not wait
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
