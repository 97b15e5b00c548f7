"""
    What a relay of the tests is told to answer

    Of several things told of one step, a particular address goes before any,
    and a number of times before for ever. What is to happen some times happens
    in the order told, of what is to happen for ever the last told counts. What
    to answer, the delay, holding, slowness and closing afterwards add up.
"""

import threading

from dataclasses import dataclass
from typing import Any, Optional

# CONNECT is the banner, DATA the answer to the command, BODY that to the dot
STEPS = ("CONNECT", "HELO", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA",
         "BODY", "RSET", "NOOP", "QUIT")

# Told in place of a reply
SILENCE = "silence"
DROP = "drop"

# =============================================================================
@dataclass
class Rule:
    """ One thing the relay was told """

    step: str
    kind: str # "reply", "midway", "delay", "hold", "slow" or "close"
    value: Any
    to: Optional[str] # None = any address
    times: Optional[int] # times left; None = for ever

# =============================================================================
class Script:
    """ What to answer at each step """

    def __init__(self):

        self.changed = threading.Condition() # guards it against other threads
        self.reset()

    # -------------------------------------------------------------------------
    def answer(self, step, reply, to=None, times=None):
        """
            Tells what to answer

            Args:
                step: one of the STEPS
                reply: e.g. "550 5.1.1 No such user"; may have several lines.
                       Unless it's 4xx or 5xx, things proceed as usual. A 354
                       is answered to DATA also if no recipient was accepted;
                       no content is taken then.
                to: only for this sender (MAIL), this recipient (RCPT), or
                    when among the recipients so far (other steps)
                times: only so many times; None = for ever
        """

        self.tell(step, "reply", "\r\n".join(reply.splitlines()), to, times)

    def silence(self, step, to=None, times=None):
        """ Never answers, but stays connected """

        self.tell(step, "reply", SILENCE, to, times)

    def drop(self, step, to=None, times=None, midway=False):
        """ Closes instead of answering, or midway through receiving BODY """

        if midway:
            self.tell("DATA", "midway", True, to, times)
        else:
            self.tell(step, "reply", DROP, to, times)

    def drop_after(self, step, to=None, times=None):
        """ Closes as soon as it has answered """

        self.tell(step, "close", True, to, times)

    def delay(self, step, seconds, to=None, times=None):
        """ Answers, and accepts, only after so many seconds """

        self.tell(step, "delay", seconds, to, times)

    def hold(self, step, until, to=None, times=None):
        """ Answers, and accepts, only when a condition (function) is true """

        self.tell(step, "hold", until, to, times)

    def slow(self, step, seconds_per_byte, to=None, times=None):
        """ Lets the reply trickle out byte by byte """

        self.tell(step, "slow", seconds_per_byte, to, times)

    def limit(self, messages, reply="421 4.7.0 Too many messages"):
        """ Accepts so many per connection, refuses the next MAIL, and closes if that is by 421 """

        self.most = messages, reply

    def reset(self):
        """ Forgets all it was told """

        with self.changed:
            self.script = []
            self.most = float("inf"), None

    def tell(self, step, kind, value, to, times):
        """ Adds a rule, by rank: told() takes the first that applies """

        if step not in STEPS:
            raise ValueError("No such step: %s" % step)

        with self.changed:
            self.script.insert(len(self.script) if times else 0,
                               Rule(step, kind, value, to, times))
            self.script.sort(key = lambda rule: (rule.to is None,
                                                 rule.times is None))

    def told(self, step, addresses):
        """ What to do now at this step, as {kind: value} """

        told = {}
        with self.changed:
            for rule in self.script:
                if rule.step == step and rule.times != 0 and \
                   rule.kind not in told and \
                   (rule.to is None or rule.to in addresses):
                    told[rule.kind] = rule.value
                    if rule.times:
                        rule.times -= 1
        return told

# -----------------------------------------------------------------------------
def negative(reply):
    """ Whether a reply is 4xx or 5xx """

    return bool(reply) and reply[0] in "45"

# END =========================================================================
