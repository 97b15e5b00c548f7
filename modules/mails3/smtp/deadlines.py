# -*- coding: utf-8 -*-

"""
    How long to wait for the replies about one message

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from math import inf
from typing import NamedTuple

from ..replies import BODY, CONNECT

__all__ = ("Deadlines",)

# How long the relay may take to answer the content (RFC 5321 section 4.5.3.2.6)
FINAL_REPLY_S = 600

# =============================================================================
class Deadlines(NamedTuple):
    """ The latest times for the replies about one message (by the clock) """

    reply: float           # for any reply
    final_reply: float = 0 # for the reply to the content, if that may come later
    banner: float = inf    # for the connection with the relay's banner

    # -------------------------------------------------------------------------
    def answer_by(self, phase, now, timeout_s):
        """
            The latest time for a reply, if we wait from now on
            - without the reply to the content, nobody knows what became of it:
              this reply has up to FINAL_REPLY_S, and never less than another one

            Args:
                phase: the phase of the dialogue
                now: the time (by the clock)
                timeout_s: the longest wait for one reply (seconds)
        """

        if phase != BODY:
            return min(self.reply, now + timeout_s, self.banner if phase == CONNECT else inf)
        return max(self.reply, now + timeout_s, min(self.final_reply, now + FINAL_REPLY_S))

# END =========================================================================
