"""
    The virtual time and the relays of the simulation (bench/pace.py)
"""

import pytest

from datetime import datetime

from support.simulated_relay import FixedWindow, SlidingWindow, StrictWindow, TokenBucket
from support.virtual_time import VirtualTime

# -----------------------------------------------------------------------------
@pytest.fixture
def clock():
    """ A VirtualTime """

    return VirtualTime(datetime(2026, 1, 1))

def taken(limit, *times):
    """ Whether a limit takes one message at each of some times (list) """

    return [limit.take(time) for time in times]

# =============================================================================
class TestVirtualTime:

    def test_threads_take_turns_in_the_order_in_which_they_wake(self, clock):
        """ The thread that wakes first runs first, and the clock then tells its time """

        seen = []

        def sleeper(name, seconds):
            for _ in range(2):
                clock.sleep(seconds)
                seen.append((name, clock()))

        clock.run([lambda: sleeper("slow", 30), lambda: sleeper("quick", 20)])

        assert seen == [("quick", 20), ("slow", 30), ("quick", 40), ("slow", 60)]

    def test_no_time_passes_while_a_thread_works(self, clock):
        """ A thread that does not sleep sees one time only, and no other thread runs """

        seen = []

        def worker():
            before = clock()
            sum(range(100000))
            seen.append(clock() - before)

        clock.run([worker, worker])

        assert seen == [0, 0]

    def test_a_change_ends_the_wait_for_it(self, clock):
        """ A thread that waits for a change goes on soon after it, else when its time is over """

        seen = []

        def waiting():
            for _ in range(2):
                clock.wait_for_change(60)
                seen.append(clock())

        def changing():
            clock.sleep(5)
            clock.note_change()

        clock.run([waiting, changing])

        assert seen == [pytest.approx(5.1), pytest.approx(65.1)]

    def test_an_exception_in_a_thread_is_raised_at_the_end(self, clock):
        """ An exception in one thread is raised by run(), after the other thread has ended """

        seen = []

        def failing():
            raise ValueError("odd")

        def working():
            clock.sleep(1)
            seen.append(clock())

        with pytest.raises(ValueError):
            clock.run([failing, working])
        assert seen == [1]

# =============================================================================
class TestLimits:

    def test_a_fixed_window_forgets_all_at_its_end(self):
        """ A fixed window takes its number again as soon as the window is over """

        limit = FixedWindow(2, 60)

        assert taken(limit, 10, 50, 69, 70, 71, 72) == [True, True, False, True, True, False]
        assert limit.free_at(72) == 130

    def test_a_sliding_window_never_takes_more_in_any_window(self):
        """ A sliding window takes one more when the oldest of its number is a window ago """

        limit = SlidingWindow(2, 60)

        assert taken(limit, 10, 50, 69, 70, 71, 110) == [True, True, False, True, False, True]
        assert limit.free_at(111) == 130

    def test_a_strict_window_counts_what_it_refuses(self):
        """ A strict window takes none from a client that goes on without a pause """

        limit = StrictWindow(2, 60)

        assert taken(limit, 0, 1, 20, 40, 60, 80, 120) == \
            [True, True, False, False, False, False, True]

    def test_a_bucket_saves_up_what_is_not_used(self):
        """ A bucket takes its number at once, then one for each part of the window """

        limit = TokenBucket(2, 60)

        assert taken(limit, 0, 1, 2, 29, 30, 59, 60) == \
            [True, True, False, False, True, False, True]
        assert taken(limit, 1000, 1000, 1000) == [True, True, False]

    def test_a_message_is_taken_when_the_limit_said(self):
        """ A message is refused just before the time that free_at() tells, and taken then """

        for kind in (FixedWindow, SlidingWindow, StrictWindow, TokenBucket):
            limit = kind(7, 3)
            taken(limit, *[0.01] * 7)
            free_at = limit.free_at(0.01)

            assert taken(limit, free_at - 0.001, free_at) == [False, True]

# END =========================================================================
