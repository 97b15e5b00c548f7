# -*- coding: utf-8 -*-

"""
    A limit that the site sets: at most so many in any period of so long
    (the setting rate). Pure: no clock, no database

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from math import floor

__all__ = ("RateLimit",)

# A period is counted in so many parts. The part in which a period began counts
# as a whole: so the limit holds in each period, and costs 1/60 of the rate at most.
PARTS = 60

# A part begins earlier by so little: a time that was computed is not exact (seconds)
EARLIER_S = 2e-6

# =============================================================================
class RateLimit:
    """ What has been counted of one Rate (settings.py) """

    def __init__(self, rate, counted=()):
        """
            Args:
                rate: the Rate
                counted: as from dump()
        """

        self.most = rate.most
        self.period_s = rate.period_s
        self.part_s = rate.period_s / PARTS
        self.counted = {}  # number of the part: count
        for part, count in counted:
            self._add(part, count)

    # -------------------------------------------------------------------------
    def _add(self, part, count):
        """ Count some in a part (its number) """

        self.counted[part] = self.counted.get(part, 0) + count

    # -------------------------------------------------------------------------
    def _part_at(self, now_s):
        """ The number of the part at a time (seconds) """

        return floor((now_s + EARLIER_S) / self.part_s)

    # -------------------------------------------------------------------------
    def dump(self, now_s):
        """ What counts at a time (seconds), or later: list of (number of the part, count) """

        part = self._part_at(now_s)
        # Far in the future: the clock has been put back since
        return [(each, count) for each, count in sorted(self.counted.items())
                if part - PARTS <= each <= part + PARTS]

    # -------------------------------------------------------------------------
    def used(self, now_s):
        """ How many count at a time (seconds) """

        return sum(count for _, count in self.dump(now_s))

    # -------------------------------------------------------------------------
    def left(self, now_s):
        """ How many more may go at a time (seconds) """

        return max(self.most - self.used(now_s), 0)

    # -------------------------------------------------------------------------
    def free_at(self, count, now_s):
        """
            The earliest time at which so many more may go

            Args:
                count: how many, at most as many as the rate has
                now_s: the time (seconds)

            Returns:
                the time (seconds), which may have passed; 0 = it was never limited
        """

        latest, used = self._part_at(now_s) + PARTS, 0
        for part, counted in sorted(self.counted.items(), reverse=True):
            # Later: the clock has been put back since
            used += counted if part <= latest else 0
            if used > self.most - count:
                return (part + PARTS + 1) * self.part_s
        return 0

    # -------------------------------------------------------------------------
    def next_at(self, now_s):
        """ When the next one may go (seconds): now, or when the oldest part counts no longer """

        return max(now_s, self.free_at(1, now_s))

    # -------------------------------------------------------------------------
    def last_at(self, waiting, now_s):
        """ About when the last of so many that wait may go (seconds) """

        periods, others = divmod(max(waiting, 1) - 1, self.most)
        return max(now_s, self.free_at(others + 1, now_s)) + \
            periods * (self.period_s + self.part_s)

    # -------------------------------------------------------------------------
    def spend(self, count, now_s):
        """ Count some that go now """

        self._add(self._part_at(now_s), count)

# END =========================================================================
