# -*- coding: utf-8 -*-

"""
    The limits that the host sets beside ours, as one run sees them

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from math import inf

__all__ = ("HostLimits",)

# =============================================================================
class HostLimits:
    """
        Keeps the host's answer until the SharedLimits have changed: each worker
        that counts a message for the host changes them as well
    """

    def __init__(self, limits, now):
        """
            Args:
                limits: the limits, see Channel.host_limits
                now: tells the time (datetime)
        """

        self.limits = limits
        self.now = now
        self.known_left = None # messages; None = to be asked
        self.as_of = None      # the Known of the SharedLimits at that time

    # -------------------------------------------------------------------------
    def __bool__(self):
        """ Whether there is any limit """

        return bool(self.limits)

    # -------------------------------------------------------------------------
    def left(self, known):
        """
            How many messages may be handed over, with those that are not counted yet

            Args:
                known: the Known of the SharedLimits
        """

        if not self.limits:
            return inf
        if self.known_left is None or self.as_of is not known:
            now = self.now()
            self.known_left = min(limit.left(now) for limit in self.limits)
            self.as_of = known
        return self.known_left

    # -------------------------------------------------------------------------
    def next_on(self, known, taken):
        """
            When the next message may go (datetime); what is left is asked again then

            Args:
                known: as for left()
                taken: how many messages are not counted yet
        """

        now = self.now()
        if self.left(known) > taken:
            return now
        self.known_left = None
        return max(limit.next_on(now) for limit in self.limits)

    # -------------------------------------------------------------------------
    def spend(self, count):
        """ Count messages, to be committed """

        now = self.now()
        for limit in self.limits if count else ():
            limit.spend(count, now)

    # -------------------------------------------------------------------------
    def note_spent(self, count, known):
        """ So many were counted, and it is committed (known: what is known now) """

        if self.known_left is not None:
            self.known_left, self.as_of = self.known_left - count, known

# END =========================================================================
