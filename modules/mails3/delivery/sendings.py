# -*- coding: utf-8 -*-

"""
    The messages that are being handed over at this moment, each by a session
    of its own: each goes on as soon as the relay has answered it

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from os.path import basename
from traceback import extract_tb
from typing import NamedTuple

from ..replies import ChannelFailure, DeliveryError, InternalFailure, RelayUnavailable
from ..smtp.waits import Selector
from .outgoing import Outgoing

__all__ = ("Finished", "Sendings")

# When one message is finished, the run waits for others for about as long as a
# commit takes, so that they share the commit; the bounds of this wait (seconds)
MIN_GATHER_S, MAX_GATHER_S = 0.004, 0.05

# =============================================================================
class Finished(NamedTuple):
    """ A message that was handed over, or could not be """

    session: int
    outgoing: Outgoing
    since: int    # how many the relay had accepted when this one began
    outcome: dict # {address: None if accepted, else the DeliveryError}
    failure: ChannelFailure = None # no session could be opened for it

    # -------------------------------------------------------------------------
    def is_about_one_session(self, at_work, accepted):
        """
            Whether the failure is only that the relay takes no new session now:
            others are at work, or a message was accepted meanwhile

            Args:
                at_work: how many other sessions are at work
                accepted: how many times the relay has accepted messages in this run
        """

        return isinstance(self.failure, RelayUnavailable) and \
            (at_work > 0 or accepted > self.since)

# =============================================================================
class Sendings:
    """
        Runs generators as Transport.sending() makes them: each yields a Wait
        (smtp/waits.py) when the relay has to answer, None to go on at once, and
        returns the outcome
    """

    def __init__(self, clock):
        """
            Args:
                clock: tells the time (seconds)
        """

        self.clock = clock
        self.under_way = {} # session: (generator, Outgoing, since)
        self.waits = {}     # session: Wait, of those that have to wait
        self.finished = []  # not taken yet
        self.commit_s = 0   # how long the last commit has taken

    # -------------------------------------------------------------------------
    def __len__(self):
        """ How many messages are being handed over """

        return len(self.under_way)

    # -------------------------------------------------------------------------
    def __contains__(self, session):
        """ Whether a session is at work """

        return session in self.under_way

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

        self.under_way[session] = generator, outgoing, since

    # -------------------------------------------------------------------------
    def wait(self):
        """
            Go on until at least one message is finished

            Returns:
                list of Finished; empty if nothing is under way
        """

        until = None
        while self.under_way:
            sessions = self._ready(until)
            if self.finished and (not sessions or until is not None and
                                  self.clock() >= until):
                break
            for session in sessions:
                self._resume(session)
            if self.finished and until is None:
                until = self.clock() + min(max(self.commit_s, MIN_GATHER_S),
                                           MAX_GATHER_S)
        return self.taken()

    # -------------------------------------------------------------------------
    def taken(self):
        """ The messages that are finished, once (list of Finished) """

        finished, self.finished = self.finished, []
        return finished

    # -------------------------------------------------------------------------
    def close(self):
        """ Give up the messages that are under way: their connections are closed """

        for generator, *_ in self.under_way.values():
            generator.close()
        self.under_way.clear()

    # -------------------------------------------------------------------------
    def _resume(self, session):
        """ Let a session go on """

        generator, outgoing, since = self.under_way[session]
        self.waits.pop(session, None)
        try:
            wait = next(generator)
            if wait is not None:
                self.waits[session] = wait
            return
        except StopIteration as end:
            outcome, failure = end.value, None
        except ChannelFailure as error:
            # No session could be opened: the relay was not asked about the message
            outcome, failure = {}, error
        except Exception as error:
            outcome, failure = outcome_of(outgoing, error), None
        del self.under_way[session]
        # Kept here: an interrupt must not lose it
        self.finished.append(Finished(session, outgoing, since, outcome, failure))

    # -------------------------------------------------------------------------
    def _ready(self, until):
        """
            The sessions that can go on

            Args:
                until: wait no longer than that (by the clock); None = until
                       one session can go on

            Returns:
                list of their numbers
        """

        at_once = [session for session in self.under_way if session not in self.waits]
        if at_once or not self.waits:
            return at_once
        first = min(wait.until for wait in self.waits.values())
        timeout_s = (first if until is None else min(first, until)) - self.clock()
        with Selector() as selector:
            for session, wait in self.waits.items():
                selector.register(wait.sock, wait.events, session)
            ready = [key.data for key, _ in selector.select(max(timeout_s, 0))]
        now = self.clock()
        return ready + [session for session, wait in self.waits.items()
                        if wait.until <= now and session not in ready]

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
