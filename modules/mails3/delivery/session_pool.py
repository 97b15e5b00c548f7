# -*- coding: utf-8 -*-

"""
    The sessions of a run: how many there are; they take the NextMessages

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging

from functools import partial
from itertools import count

from ..replies import ChannelFailure, Throttled
from .next_messages import NextMessages

__all__ = ("SessionPool",)

log = logging.getLogger("web2py.mails3")

# One more session is worth it for so many messages: to connect, with TLS and
# login, takes as many round trips as a few messages
MESSAGES_PER_SESSION = 10

# The relay shows whether it takes more sessions: so many are opened at first, and
# then as many as are open, until it takes no more
FIRST_SESSIONS = 3

# No message waits for a session that is slow with another one (seconds)
SLOW_S = 1

# =============================================================================
class SessionPool:
    """
        Gives the messages of a run to its free sessions, and opens sessions as
        far as the messages are worth them. A session that is late with its
        message counts no longer: another one is opened in its place.
    """

    def __init__(self, relay, transport, permit, lease, message_time_s, now, clock):
        """
            Args:
                relay: the Relay
                transport: the Transport
                permit: the Permit
                lease: the Lease, which knows how much is waiting
                message_time_s: what one message may take in all (seconds)
                now, clock: tell the time (datetime), (seconds)
        """

        self.relay = relay
        self.transport = transport
        self.permit = permit
        self.allowance = permit.allowance
        self.lease = lease
        self.message_time_s = message_time_s
        self.now = now
        self.clock = clock

        # How many sessions may be at work, beside those that are late: by the setting,
        # and as far as the relay takes them
        self.allowed_sessions = 1 if transport.is_serial else relay.options.sessions
        self.max_sessions = self.allowed_sessions
        self.sessions = 1      # their numbers are below that
        self.opened = {}       # session that has had no message yet: seconds to open it
        self.messages = NextMessages(transport, permit)

    # -------------------------------------------------------------------------
    def next(self, supply, sendings, is_over):
        """
            Choose the messages to begin, and begin to open sessions

            Args:
                supply: the Supply
                sendings: the Sendings, which know the sessions at work
                is_over: function that tells whether the time of the run is over

            Returns:
                dict {session: Outgoing}, may be empty

            Raises:
                ChannelFailure: no session can be opened
        """

        self._note_opened(sendings)
        self.messages.take_back(sendings)
        free, at_work = self._free(sendings), sendings.at_work()
        if is_over():
            # If no session is open, the run is to know whether the relay works
            if free or at_work:
                sendings.close(sendings.opening())
            return {}
        if self.permit.is_tripped and at_work:
            # A probe is one message
            return {}
        self._leave_surplus(free, len(at_work))
        if self.allowance.wait_s() or not self.max_sessions:
            self.messages.give_back(supply)
            return {}
        chosen = self.messages.choose(supply, free, self.max_sessions - len(at_work))
        self._open_sessions(supply, sendings, free, len(chosen))
        self.messages.prepare(supply, [*chosen, *at_work], self.lease.more > 0)
        return chosen

    # -------------------------------------------------------------------------
    def start(self, begun, sendings, until):
        """
            Begin to hand messages over

            Args:
                begun: dict {session: Outgoing}
                sendings: the Sendings
                until: the end of the run (by the clock): no reply to a content
                       is waited for any longer
        """

        for session, outgoing in begun.items():
            sending = self.transport.sending(
                session, outgoing, self.message_time_s - self.opened.pop(session, 0),
                partial(self.messages.follow, session), until - self.clock())
            sendings.start(session, sending, outgoing, self.permit.odd_messages.accepted)

    # -------------------------------------------------------------------------
    # Its steps
    #
    def _free(self, sendings):
        """ The sessions that are open and not at work (list) """

        # One that has just been opened has its message also if the relay closes it
        return [session for session in range(self.sessions) if session not in sendings and
                (session in self.opened or self.transport.is_ready(session))]

    # -------------------------------------------------------------------------
    def _leave_surplus(self, free, at_work):
        """
            Close sessions that are more than the relay takes

            Args:
                free: the sessions that are open, and not at work (list); those
                      that are closed are removed from it
                at_work: how many are at work
        """

        share = self.allowance.sessions(self.lease.name)
        if share is None:
            # Its share may have been none before
            self.max_sessions = max(self.max_sessions, 1)
            return
        self.max_sessions = min(self.allowed_sessions, share)
        while free and len(free) + at_work > self.max_sessions:
            session = free.pop()
            self.opened.pop(session, None)
            self.transport.leave(session)

    # -------------------------------------------------------------------------
    def _open_sessions(self, supply, sendings, free, chosen):
        """
            Begin to open sessions, as far as the messages are worth them

            Args:
                supply, sendings: as for next()
                free: the sessions that are open, and were not at work (list)
                chosen: how many messages are chosen for them
        """

        at_work, opening = len(sendings.at_work()), len(sendings.opening())
        late = len(sendings) - at_work - opening
        quick = len(free) + len(sendings.at_work(SLOW_S))
        messages = chosen + len(self.messages.prepared) + len(supply) + self.lease.more
        if quick and not messages:
            sendings.close(sendings.opening())
            return
        # No session is quick: one more. A relay that is down gets one attempt to connect.
        wanted = 1 + messages // MESSAGES_PER_SESSION - quick if quick else 1
        usable = at_work + len(free)
        # A relay that is late with all messages is not given more and more of them
        most = min(self.max_sessions, 2 * self.max_sessions - late) - usable
        number = min(wanted, most, max(FIRST_SESSIONS - usable, usable)) - opening
        if number > 0 and (quick or self._has_first(supply)):
            for _ in range(number):
                self._open(sendings, free)

    # -------------------------------------------------------------------------
    def _has_first(self, supply):
        """ Whether there is a message, and this worker may have a session for it """

        if not self.messages.has_first(supply):
            return False
        # The claim has read what all workers know of the relay
        self._leave_surplus([], 0)
        return self.max_sessions > 0

    # -------------------------------------------------------------------------
    def _open(self, sendings, free):
        """ Begin to open one more session, beside those that are free """

        session = next(number for number in count()
                       if number not in sendings and number not in free)
        self.sessions = max(self.sessions, session + 1)
        sendings.open(session, self.transport.opening(session, self.message_time_s,
                                                      self._patience_s()),
                      self.permit.odd_messages.accepted)

    # -------------------------------------------------------------------------
    def _patience_s(self):
        """ How long a relay is waited for that is silent (seconds) """

        return self.relay.patience_s(self.message_time_s, self.now())[1]

    # -------------------------------------------------------------------------
    def _note_opened(self, sendings):
        """ Note which sessions are open now; raises ChannelFailure if none can be """

        # Those first that are open
        for each in sorted(sendings.taken_sessions(), key = lambda each: bool(each.failure)):
            if each.failure is None:
                self.opened[each.session] = each.seconds
                continue
            usable = len(sendings.at_work(self._patience_s())) + len(self._free(sendings))
            if isinstance(each.failure, Throttled):
                self.permit.pace_learning.note_opening(each, usable)
                self.max_sessions = max(usable, 1)
                continue
            if not isinstance(each.failure, ChannelFailure) or not usable and \
               not each.is_about_one_session([], self.permit.odd_messages.accepted):
                raise each.failure
            log.info("The mail server takes no more sessions (%s).", each.failure)
            self.max_sessions = max(usable + len(sendings.opening()), 1)

# END =========================================================================
