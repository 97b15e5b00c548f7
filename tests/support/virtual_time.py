"""
    Time for a simulation: several threads, of which only one runs at any moment;
    time passes only while all of them sleep, and then at once
"""

import heapq
import math
import selectors
import threading

from datetime import timedelta
from itertools import count

from mails3.smtp.waits import Wait

# How soon after a change those go on that wait for one (seconds): a worker process
# looks so often whether the database has changed
NOTICE_S = 0.1

# =============================================================================
class VirtualTime:
    """
        A clock that tells the virtual time, and the threads that live by it

        clock = VirtualTime(utcnow())
        clock.run([work, visit])
    """

    def __init__(self, epoch):
        """
            Args:
                epoch: the time at the second 0 (datetime)
        """

        self.epoch = epoch
        self.seconds = 0.0
        self.sleepers = [] # heap of tuples (wake_at, order, Sleeper)
        self.waiting = []  # the Sleepers that wait for a change
        self.order = count()
        self.ended = threading.Event()
        self.failure = None # the first exception of a thread

    # -------------------------------------------------------------------------
    def __call__(self):
        """ The time (seconds), like time.monotonic() """

        return self.seconds

    # -------------------------------------------------------------------------
    def now(self):
        """ The time (datetime) """

        return self.epoch + timedelta(seconds=self.seconds)

    # -------------------------------------------------------------------------
    def sleep(self, seconds):
        """ Let other threads run until so much time has passed """

        self._wait_for_turn(Sleeper(), seconds)

    # -------------------------------------------------------------------------
    def wait_for_change(self, seconds):
        """ As sleep(), but only until NOTICE_S after note_change() by another thread """

        sleeper = Sleeper()
        self.waiting.append(sleeper)
        self._wait_for_turn(sleeper, seconds)
        if sleeper in self.waiting:
            self.waiting.remove(sleeper)

    # -------------------------------------------------------------------------
    def note_change(self):
        """ Something has changed: those that wait for a change go on soon """

        for sleeper in self.waiting:
            if sleeper.wake_at > self.seconds + NOTICE_S:
                self._push(sleeper, NOTICE_S)
        self.waiting.clear()

    # -------------------------------------------------------------------------
    def until(self, wake_at):
        """ A generator that waits as those of a Transport do, until a time (seconds) """

        alarm = Alarm(self, wake_at)
        while self.seconds < wake_at:
            yield Wait(alarm, selectors.EVENT_READ, math.inf)

    # -------------------------------------------------------------------------
    # Threads
    #
    def run(self, functions):
        """
            Run functions, each in a thread of its own, until all of them return

            Raises:
                the first exception of one of them, when all have come to their end
        """

        for function in functions:
            sleeper = Sleeper()
            self._push(sleeper, 0)
            threading.Thread(target=self._live, args=(function, sleeper), daemon=True).start()
        self._wake_next()
        self.ended.wait()
        if self.failure:
            raise self.failure

    # -------------------------------------------------------------------------
    def _live(self, function, sleeper):
        """ What one thread does """

        sleeper.turn.acquire()
        try:
            function()
        except BaseException as error:
            self.failure = self.failure or error
        finally:
            self._wake_next()

    # -------------------------------------------------------------------------
    def _wait_for_turn(self, sleeper, seconds):
        """ Let the others run until it is time for this thread """

        self._push(sleeper, max(seconds, 0))
        if self._wake_next() is not sleeper:
            sleeper.turn.acquire()

    # -------------------------------------------------------------------------
    def _push(self, sleeper, seconds):
        """ Have a sleeper wake after so many seconds """

        sleeper.wake_at = self.seconds + seconds
        heapq.heappush(self.sleepers, (sleeper.wake_at, next(self.order), sleeper))

    # -------------------------------------------------------------------------
    def _wake_next(self):
        """ Time passes until the first one wakes: the Sleeper, None if there is none """

        while self.sleepers:
            wake_at, _, sleeper = heapq.heappop(self.sleepers)
            # It may have been told to wake earlier
            if wake_at == sleeper.wake_at:
                sleeper.wake_at = None
                self.seconds = wake_at
                sleeper.turn.release()
                return sleeper
        self.ended.set()
        return None

# =============================================================================
class Sleeper:
    """ A thread that waits for its turn """

    def __init__(self):

        self.turn = threading.Semaphore(0)
        self.wake_at = None

# =============================================================================
class Alarm:
    """ Stands for a socket on which something arrives at a certain time """

    def __init__(self, clock, ready_at):

        self.clock = clock
        self.ready_at = ready_at

# =============================================================================
class VirtualSelector:
    """ In place of a selector, for Alarms: it waits by their clock """

    def __init__(self):

        self.keys = []

    def __enter__(self):

        return self

    def __exit__(self, *_):

        self.keys.clear()

    # -------------------------------------------------------------------------
    def register(self, alarm, events, data=None):
        """ As of selectors """

        self.keys.append(selectors.SelectorKey(alarm, -1, events, data))

    # -------------------------------------------------------------------------
    def select(self, timeout_s):
        """ As of selectors """

        clock = self.keys[0].fileobj.clock
        first = min(key.fileobj.ready_at for key in self.keys)
        clock.sleep(min(timeout_s, first - clock()))
        return [(key, key.events) for key in self.keys if key.fileobj.ready_at <= clock()]

# END =========================================================================
