"""
    A clock whose sleeps take no time
"""

import time

# =============================================================================
class SleeplessClock:
    """
        Tells the time, which each sleep puts forward at once

        clock = SleeplessClock()
        office.mail.channel().worker(clock=clock, sleep=clock.sleep)
    """

    def __init__(self):

        self.slept_s = 0

    def __call__(self):
        """ The time (seconds), like time.monotonic() """

        return time.monotonic() + self.slept_s

    def sleep(self, seconds):
        """ Have so much time passed """

        self.slept_s += seconds

    # -------------------------------------------------------------------------
    def passes(self, seconds):
        """ A condition for FakeRelay.hold(): so much time passes before the answer """

        def pass_time():
            self.sleep(seconds)
            return True

        return pass_time

# END =========================================================================
