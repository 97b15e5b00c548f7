# -*- coding: utf-8 -*-

"""
    The messages that are being handed over at this moment, each by a session
    of its own, and the sessions that are being opened: each goes on as soon as
    the relay has answered it

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from dataclasses import dataclass
from os.path import basename
from traceback import extract_tb
from typing import Generator, NamedTuple, Optional

from ..replies import ChannelFailure, DeliveryError, InternalFailure, RelayUnavailable, \
                      Throttled
from ..smtp.waits import Selector, Wait
from .outgoing import Outgoing

__all__ = ("Finished", "Sendings")

# When one message is finished, the run waits for others for about as long as a
# commit takes, so that they share the commit; the bounds of this wait (seconds)
MIN_GATHER_S, MAX_GATHER_S = 0.004, 0.05

# =============================================================================
class Finished(NamedTuple):
    """ A message that was handed over, or could not be; or a session that was to be opened """

    session: int
    outgoing: Optional[Outgoing] # None = the session was to be opened
    since: int    # how many the relay had accepted when this one began
    outcome: dict # {address: None if accepted, else the DeliveryError}
    failure: Optional[Exception] = None # ChannelFailure, Throttled: no session for it
    seconds: float = 0 # how long it took

    # -------------------------------------------------------------------------
    def is_about_one_session(self, at_work, accepted):
        """
            Whether the failure is only that the relay takes no new session now:
            others are at work, or a message was accepted meanwhile

            Args:
                at_work: the other sessions that are at work (list)
                accepted: how many times the relay has accepted messages in this run
        """

        return isinstance(self.failure, (RelayUnavailable, Throttled)) and \
            (bool(at_work) or accepted > self.since)

# =============================================================================
@dataclass
class UnderWay:
    """ A generator that Sendings runs, with what Finished has to say of it """

    generator: Generator
    outgoing: Optional[Outgoing]
    since: int
    began: Optional[float] = None # by the clock; None = not yet
    wait: Optional[Wait] = None   # None = it can go on at once

    # -------------------------------------------------------------------------
    def has_taken(self, seconds, now):
        """ Whether it has taken so long (now: by the clock) """

        return self.began is not None and now - self.began >= seconds

# =============================================================================
class Sendings:
    """
        Runs generators as Transport.sending() and Transport.opening() make
        them: each yields a Wait (smtp/waits.py) when the relay has to answer,
        None to go on at once; that of sending() returns the outcome
    """

    def __init__(self, clock, late_s):
        """
            Args:
                clock: tells the time (seconds)
                late_s: a message that takes longer is late (seconds)
        """

        self.clock = clock
        self.late_s = late_s
        self.max_s = float("inf") # how long anything may take (seconds)
        # Less for sessions for which this function is false: see hurry()
        self.max_before_s, self.is_in_doubt = float("inf"), lambda session: True
        self.is_ending = False    # no message is begun any more
        self.under_way = {} # session: UnderWay
        self.finished = []  # messages, not taken yet
        self.opened = []    # sessions, not taken yet
        self.commit_s = 0   # how long the last commit has taken

    # -------------------------------------------------------------------------
    def __len__(self):
        """ How many messages are being handed over, and sessions opened """

        return len(self.under_way)

    # -------------------------------------------------------------------------
    def __contains__(self, session):
        """ Whether a session is at work, or is being opened """

        return session in self.under_way

    # -------------------------------------------------------------------------
    def at_work(self, max_s=None):
        """
            The sessions that are handing a message over, and are not late (list)

            Args:
                max_s: which of them take no longer than that (seconds); None = all
        """

        max_s, now = self.late_s if max_s is None else min(max_s, self.late_s), self.clock()
        return [session for session, each in self.under_way.items()
                if each.outgoing and not each.has_taken(max_s, now)]

    # -------------------------------------------------------------------------
    def opening(self):
        """ The sessions that are being opened (list) """

        return [session for session, each in self.under_way.items() if not each.outgoing]

    # -------------------------------------------------------------------------
    def start(self, session, generator, outgoing, since):
        """
            Begin to hand a message over

            Args:
                session: the number of the session
                generator: as from Transport.sending()
                outgoing: the Outgoing
                since: for Finished
        """

        self.under_way[session] = UnderWay(generator, outgoing, since)

    # -------------------------------------------------------------------------
    def open(self, session, generator, since):
        """ Begin to open a session (generator: as from Transport.opening()); else as start() """

        self.start(session, generator, None, since)

    # -------------------------------------------------------------------------
    def wait(self, until):
        """
            Go on until a message is finished or a session is opened

            Args:
                until: return then at the latest (by the clock)

            Returns:
                list of Finished, of messages; may be empty
        """

        if self.is_ending:
            self.close(self.opening())
        is_gathering = False
        while self.under_way:
            sessions = self._ready(until)
            if not sessions or self.clock() >= until:
                break
            for session in sessions:
                self._resume(session)
            if not is_gathering and (self.finished or self.opened):
                is_gathering = True
                until = min(until, self.clock() + min(max(self.commit_s, MIN_GATHER_S),
                                                      MAX_GATHER_S))
        return self.taken()

    # -------------------------------------------------------------------------
    def taken(self):
        """ The messages that are finished, once (list of Finished) """

        finished, self.finished = self.finished, []
        return finished

    # -------------------------------------------------------------------------
    def taken_sessions(self):
        """ The sessions that are opened, or could not be, once (list of Finished) """

        opened, self.opened = self.opened, []
        return opened

    # -------------------------------------------------------------------------
    def hurry(self, max_s, max_before_s=None, is_in_doubt=None):
        """
            No message is begun any more: open no session, and give up the
            messages that take longer; may be called by a signal handler

            Args:
                max_s: how long a message may take (seconds)
                max_before_s: the same for a message that is not in doubt yet; None =
                              as the others
                is_in_doubt: function that tells whether the message of a session
                             (its number) would be in doubt
        """

        self.max_s, self.is_ending = max_s, True
        if is_in_doubt:
            self.max_before_s, self.is_in_doubt = max_before_s, is_in_doubt

    # -------------------------------------------------------------------------
    def _limit_s(self, session):
        """ How long what a session does may take (seconds) """

        return self.max_s if self.is_in_doubt(session) else min(self.max_s, self.max_before_s)

    # -------------------------------------------------------------------------
    def close(self, sessions=None):
        """
            Give up what is under way: the connections are closed

            Args:
                sessions: the numbers of the sessions; None = all
        """

        for session in list(self.under_way) if sessions is None else sessions:
            self.under_way.pop(session).generator.close()

    # -------------------------------------------------------------------------
    def _resume(self, session):
        """ Let a session go on """

        each = self.under_way[session]
        now, is_waiting, each.wait = self.clock(), each.wait is not None, None
        if each.began is None:
            each.began = now
        outcome, failure = {}, None
        try:
            if is_waiting and each.has_taken(self._limit_s(session), now):
                each.wait = each.generator.throw(TimeoutError("timed out"))
            else:
                each.wait = next(each.generator)
            return
        except StopIteration as end:
            outcome = end.value
        except Exception as error:
            # ChannelFailure, Throttled: the relay was not asked about the message
            if each.outgoing and not isinstance(error, (ChannelFailure, Throttled)):
                outcome = outcome_of(each.outgoing, error)
            else:
                failure = error
        del self.under_way[session]
        # Kept here: an interrupt must not lose it
        (self.finished if each.outgoing else self.opened).append(
            Finished(session, each.outgoing, each.since, outcome, failure,
                     self.clock() - each.began))

    # -------------------------------------------------------------------------
    def _ready(self, until):
        """
            The sessions that can go on

            Args:
                until: wait no longer than that (by the clock)

            Returns:
                list of their numbers
        """

        at_once = [session for session, each in self.under_way.items() if each.wait is None]
        if at_once:
            return at_once
        ends = {session: min(each.wait.until, each.began + self._limit_s(session))
                for session, each in self.under_way.items()}
        timeout_s = min(until, *ends.values()) - self.clock()
        with Selector() as selector:
            for session, each in self.under_way.items():
                selector.register(each.wait.sock, each.wait.events, session)
            ready = [key.data for key, _ in selector.select(max(timeout_s, 0))]
        now = self.clock()
        return ready + [session for session, end in ends.items()
                        if end <= now and session not in ready]

# -----------------------------------------------------------------------------
def outcome_of(outgoing, error):
    """ The outcome of a message over which a generator has raised an exception """

    if not isinstance(error, DeliveryError):
        error = internal_failure(error)
    return dict.fromkeys(outgoing.recipients, error)

# -----------------------------------------------------------------------------
def internal_failure(error):
    """ An exception of this code with its place; its text may quote the message """

    place = extract_tb(error.__traceback__)[-1]
    return InternalFailure("It can not be sent now (%s, %s:%s)" %
                           (type(error).__name__, basename(place.filename), place.lineno))

# END =========================================================================
