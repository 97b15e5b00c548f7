# -*- coding: utf-8 -*-

"""
    What limits the mail of a channel, as an admin sees it: how much of each limit
    is used, what was learned about the relay's pace, when the mail that waits
    will be gone. Pure: no clock, no database

    A limit that is reached is no problem: mail waits for it, and goes by itself.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from datetime import timedelta

from ..delivery.limits import seconds, time_of
from .times import clock_time

__all__ = ("LimitsReport",)

# A period of a rate, and a unit of the pace with the smallest number that people
# like to have in front of it
PERIODS = {1: "this second", 60: "this minute", 3600: "this hour", 86400: "in 24 hours"}
UNITS = (("a second", 1, 10), ("a minute", 60, 1), ("an hour", 3600, 0))

# A wait that is not worth a word
SHORT = timedelta(seconds=1)

# =============================================================================
class LimitsReport:
    """
        The limits of one channel, at one moment

        is_reached: no message may go at this moment
        next_on: when the next one may go (datetime); None = at once, or none waits
        last_on: about when the last one may go (datetime); None = at once, or none
                 waits, or nobody knows
        server: what the pace was learned about (str, None)
    """

    def __init__(self, allowance, now, waiting, messages):
        """
            Args:
                allowance: the Allowance of the channel
                now: the time (datetime)
                waiting: how many new deliveries wait
                messages: function that tells how many messages that are, about
        """

        self.limits = allowance.limits
        self.pace = self.limits.pace
        self.host_limits = allowance.host.limits
        self.is_active = allowance.is_active()
        self.now, self.now_s = now, seconds(now)
        self.waiting = waiting
        # The name of the relay has a part that tells logins apart
        self.server = (self.limits.relay or "").partition(" ")[0] or None

        self.is_reached = not allowance.left()
        is_concerned = bool(waiting and self.is_active)
        self.next_on = self._if_noticeable(is_concerned and allowance.blocked_until)
        self.last_on = self._if_noticeable(is_concerned and self._last_on(messages()))

    # -------------------------------------------------------------------------
    def _if_noticeable(self, when):
        """ A time, if it is not so near that nobody notices a wait; else None """

        return when if when and when > self.now + SHORT else None

    # -------------------------------------------------------------------------
    def _last_on(self, messages):
        """ About when the last of so many new messages may go (datetime, None) """

        limits, now_s, pace = self.limits, self.now_s, self.pace
        if pace.backoff_s and not pace.rate:
            return None
        counted = self.waiting if limits.counts_recipients else messages
        last_at = [limits.next_at(now_s), *(rate.last_at(counted, now_s) for rate in limits.rates)]
        if pace.rate:
            last_at.append(max(pace.next_at, now_s) + (messages - 1) / pace.rate)
        return max([time_of(max(last_at)), *(limit.last_on(messages, self.now)
                                             for limit in self.host_limits)])

    # -------------------------------------------------------------------------
    @property
    def asked_again_on(self):
        """
            After the relay has asked for less mail: when a message finds out
            whether it takes mail again (datetime); None = it takes mail
        """

        return time_of(max(self.pace.next_at, self.now_s)) if self.pace.backoff_s else None

    # -------------------------------------------------------------------------
    # For people
    #
    @property
    def reason(self):
        """ Why mail waits for a limit, and until when (str); empty if none waits for one """

        if not (self.next_on or self.last_on):
            return ""
        parts = [", ".join(self._uses())] if self._uses() else []
        if self.pace.backoff_s:
            parts.append("%s wants less mail now" % self._server())
        elif self.pace.rate:
            parts.append(self._learned(rate_words(self.pace.rate)))
        if self.next_on:
            parts.append("the next at %s UTC" % clock_time(self.next_on, self.now, "%H:%M:%S"))
        if self.last_on and self.waiting > 1:
            parts.append("the last of %d at about %s UTC" %
                         (self.waiting, clock_time(self.last_on, self.now)))
        return "; ".join(parts)

    # -------------------------------------------------------------------------
    @property
    def sentence(self):
        """ The reason as a sentence (str), or empty """

        reason = self.reason
        return reason and "%s%s." % (reason[0].upper(), reason[1:])

    # -------------------------------------------------------------------------
    def facts(self):
        """ What limits the mail (list of tuples (name, text)) """

        pace, learned = self.pace, []
        if pace.backoff_s:
            learned.append("%s wants less mail now, and is asked again at %s UTC" % (
                self._server(), clock_time(self.asked_again_on, self.now, "%H:%M:%S")))
        numbers = [rate_words(pace.rate)] if pace.rate else []
        numbers += ["%d %s%s %s" % (number, what, "s" if number > 1 else "", where)
                    for number, what, where in
                    ((pace.max_sessions, "session", "at a time"),
                     (pace.messages_per_session, "message", "by one session")) if number]
        if numbers:
            learned.append(self._learned(", ".join(numbers)))
        if pace.words:
            learned.append('this refusal is taken for "slower": %s' % pace.words)
        return [(name, text) for name, text in (("Limits", ", ".join(self._uses())),
                                                ("Learned pace", "; ".join(learned))) if text]

    # -------------------------------------------------------------------------
    def _uses(self):
        """ How much of each limit is used (list of str) """

        return ["%d of %d %s" % (rate.used(self.now_s), rate.most,
                                 PERIODS.get(rate.period_s, "in %d seconds" % rate.period_s))
                for rate in self.limits.rates] + \
               ["%d of %s" % (limit.used(self.now), limit) for limit in self.host_limits]

    # -------------------------------------------------------------------------
    def _server(self):
        """ The relay that something was learned about (str) """

        if self.server and ":" not in self.server:
            # What takes the texts of a channel like SMS
            return "the gateway for %s" % self.server
        return "the mail server %s" % self.server if self.server else "the mail server"

    # -------------------------------------------------------------------------
    def _learned(self, what):
        """ What was learned about the relay (str) """

        return "%s takes %s, as learned from its refusals" % (self._server(), what)

    # -------------------------------------------------------------------------
    # For scripts
    #
    def as_dict(self):
        """ All of it, for --json (dict) """

        now_s, pace = self.now_s, self.pace
        return {"is_reached": self.is_reached,
                "waiting": self.waiting,
                "reason": self.reason or None,
                "next_on": self.next_on,
                "last_on": self.last_on,
                "rates": [{"most": rate.most,
                           "period_s": rate.period_s,
                           "used": rate.used(now_s),
                           "left": rate.left(now_s),
                           } for rate in self.limits.rates],
                "rate_counts": "recipients" if self.limits.counts_recipients else "messages",
                "host_limits": [{"limit": str(limit),
                                 "used": limit.used(self.now),
                                 "left": limit.left(self.now),
                                 } for limit in self.host_limits],
                "pace": {"server": self.server,
                         "messages_per_second": pace.rate,
                         "refused_on": time_of(pace.refused_at) if pace.refused_at else None,
                         "backoff_since": time_of(pace.backoff_at) if pace.backoff_s else None,
                         "asked_again_on": self.asked_again_on,
                         "sessions": pace.max_sessions,
                         "messages_per_session": pace.messages_per_session,
                         "words": pace.words,
                         },
                }

# -----------------------------------------------------------------------------
def rate_words(rate):
    """ A number of messages per second, as people say it """

    for unit, length_s, smallest in UNITS:
        number = rate * length_s
        if number >= smallest:
            break
    return "about %s messages %s" % (round(number) if number >= 10 else "%.2g" % number, unit)

# END =========================================================================
