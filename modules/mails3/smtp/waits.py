# -*- coding: utf-8 -*-

"""
    What a session waits for, so that others can go on meanwhile

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import selectors
import socket
import time

from _thread import start_new_thread
from concurrent.futures import Future
from typing import NamedTuple

__all__ = ("Selector", "Wait", "in_thread", "pause", "run")

# For a few sockets and a moment; epoll takes more system calls
Selector = getattr(selectors, "PollSelector", selectors.DefaultSelector)

# =============================================================================
class Wait(NamedTuple):
    """ What a generator waits for """

    sock: socket.socket # as selectors take it: with a method fileno()
    events: int         # selectors.EVENT_READ or selectors.EVENT_WRITE
    until: float        # resume the generator then at the latest (time by its clock)

# -----------------------------------------------------------------------------
def run(steps, clock=time.monotonic):
    """
        Run one generator to its end, and wait wherever it waits

        Args:
            steps: the generator, which yields Waits
            clock: function that tells the time (seconds), the generator's own

        Returns:
            what the generator returns

        Raises:
            what the generator raises
    """

    while True:
        try:
            wait = next(steps)
        except StopIteration as end:
            return end.value
        pause([wait], clock)

# -----------------------------------------------------------------------------
def in_thread(work, until, undo, clock=time.monotonic):
    """
        Have work that blocks done by a thread of its own; a generator
        - nobody can stop a thread: if nobody waits any more when the work is
          done, the work is undone

        Args:
            work: function that blocks, without arguments
            until: how long to wait for the work (by the clock)
            undo: function that undoes the work, without arguments
            clock: function that tells the time (seconds)

        Yields:
            a Wait, until the work is done

        Returns:
            what the function returns

        Raises:
            what the function raises; TimeoutError: the work takes too long
    """

    result = Future()
    ours, theirs = socket.socketpair()

    def do():
        # To close it wakes the other end
        with theirs:
            outcome = error = None
            try:
                outcome = work()
            except BaseException as failure:
                error = failure
            if not result.set_running_or_notify_cancel():
                undo()
            elif error:
                result.set_exception(error)
            else:
                result.set_result(outcome)

    with ours:
        try:
            # Thread.start() would wait until the thread runs
            start_new_thread(do, ())
        except RuntimeError:
            # This process may not start a thread now: then it blocks
            do()
        try:
            while not result.done():
                if clock() >= until:
                    raise TimeoutError("timed out")
                yield Wait(ours, selectors.EVENT_READ, until)
        except BaseException:
            if not result.cancel():
                undo()
            raise
    return result.result()

# -----------------------------------------------------------------------------
def pause(waits, clock=time.monotonic):
    """
        Wait until at least one of several generators can go on

        Args:
            waits: iterable of Waits, each for another socket
            clock: function that tells the time (seconds)

        Returns:
            list of the Waits whose socket is ready, or whose time is over
    """

    waits = list(waits)
    if not waits:
        return waits
    with Selector() as selector:
        for wait in waits:
            selector.register(wait.sock, wait.events)
        timeout_s = max(min(wait.until for wait in waits) - clock(), 0)
        ready = {key.fileobj for key, _ in selector.select(timeout_s)}
    now = clock()
    return [wait for wait in waits if wait.sock in ready or wait.until <= now]

# END =========================================================================
