# -*- coding: utf-8 -*-

"""
    What happens next: every "should we?"

    Pure decisions: no clock, no database, no connection, no hidden
    randomness. What a reply of the relay means is in replies.py.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from datetime import timedelta

from .replies import BODY, ConfigurationFailure, PermanentFailure, RelayUnavailable, \
                     TransientFailure

__all__ = ("REFUSALS_IN_A_ROW", "as_message_failure", "is_in_doubt", "next_attempt",
           "probe_interval_s")

# After this number of refusals in a row, of several messages and without a
# single acceptance, the relay refuses the site, in words that replies.SITE does not have
REFUSALS_IN_A_ROW = 10

# The waits between the probes of a relay (seconds): 5, 10, 20, 30, 30 ... for five
# minutes, then up to 300
SHORTEST_PROBE_S, SOON_S, LONGEST_PROBE_S = 5, 30, 300
PROBES_SOON = 12

# -----------------------------------------------------------------------------
def as_message_failure(failure, accepted):
    """
        Turn a ChannelFailure into the failure of one message, when it has
        turned out to be about that message alone

        Args:
            failure: the ChannelFailure
            accepted: the relay has accepted another message at the same time;
                      False: the failure may have come back for all mail

        Returns:
            PermanentFailure for a 5xx that does not end by itself, if others
            were accepted; else TransientFailure
    """

    is_final = accepted and isinstance(failure, ConfigurationFailure) and \
        failure.code is not None and failure.code // 100 == 5
    return (PermanentFailure if is_final else TransientFailure)(failure.reason)

# -----------------------------------------------------------------------------
def is_in_doubt(error):
    """
        Whether the relay may have the message: it has got all of the content
        and has not answered

        Args:
            error: the DeliveryError
    """

    return isinstance(error, RelayUnavailable) and error.phase == BODY and error.code is None

# -----------------------------------------------------------------------------
def next_attempt(delivery, now, chance, shortest_s=300, longest_s=14400, lifetime_s=432000):
    """
        When to try a refused delivery again
        - the wait doubles each time: soon at first, then rarely
        - the wait is spread by up to a tenth, so that deliveries that failed
          together do not come back together
        - RFC 5321 section 4.5.4.1: give up after 4-5 days; they count from
          the first refusal, because a tripped breaker is not the message's
          fault

        Args:
            delivery: the Delivery
            now: the time of the failure (datetime)
            chance: a random number from 0 to 1
            shortest_s, longest_s: the bounds of the wait (seconds)
            lifetime_s: how long it may wait in all (seconds)

        Returns:
            the earliest time (datetime), or None to give up
    """

    if delivery.retries is not None and delivery.retries <= 0:
        return None

    waited_s = (now - (delivery.deferred_on or now)).total_seconds()
    if waited_s >= lifetime_s:
        return None

    wait_s = min(max(waited_s, shortest_s), longest_s)
    return now + timedelta(seconds = wait_s * (1 + chance / 10))

# -----------------------------------------------------------------------------
def probe_interval_s(probes, refuses_all=False):
    """
        How long to wait before the next probe of a relay, while its breaker
        is tripped
        - a relay is often restarted: mail leaves soon after its return in the
          first minutes, which are the first PROBES_SOON probes
        - a relay that refuses all mail is there: a probe costs little

        Args:
            probes: how often it has been probed since the breaker tripped
            refuses_all: it answers, and refuses each mail

        Returns:
            the wait (seconds)
    """

    if refuses_all:
        return SOON_S
    if probes < PROBES_SOON:
        return min(SHORTEST_PROBE_S * 2 ** probes, SOON_S)
    return min(SOON_S * 2 ** min(probes - PROBES_SOON + 1, 16), LONGEST_PROBE_S)

# END =========================================================================
