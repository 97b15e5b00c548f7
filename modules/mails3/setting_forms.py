# -*- coding: utf-8 -*-

"""
    Settings whose text has a form of its own: rates, patterns, lists of words

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import re

from collections import namedtuple

__all__ = ("PERIODS_S", "READERS", "Rate", "matches", "read_dsn", "read_patterns", "read_rates")

# A rate: at most so many in any period of so long
Rate = namedtuple("Rate", "most period_s")
# What a sender may want to be told of (RFC 3461 section 4.1)
DSN = {"SUCCESS", "FAILURE", "DELAY", "NEVER"}
PERIODS_S = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}

# -----------------------------------------------------------------------------
def read_rates(text):
    """
        Read the setting rate

        Args:
            text: like "30/minute, 500/hour"

        Returns:
            list of Rate; empty = no limit

        Raises:
            ValueError: it is malformed
    """

    rates = []
    for part in filter(None, map(str.strip, text.split(","))):
        found = re.fullmatch(r"([1-9]\d*) ?/ ?(%s)" % "|".join(PERIODS_S), part.lower())
        if not found:
            raise ValueError(part)
        rates.append(Rate(int(found[1]), PERIODS_S[found[2]]))
    return rates

# -----------------------------------------------------------------------------
def read_dsn(text):
    """
        Read the setting dsn

        Args:
            text: like "failure, delay"

        Returns:
            the value for NOTIFY (RFC 3461 section 4.1), empty if none is wanted

        Raises:
            ValueError: it is malformed
    """

    words = list(dict.fromkeys(filter(None, map(str.strip, text.upper().split(",")))))
    if not set(words) <= DSN or "NEVER" in words and len(words) > 1:
        raise ValueError(text)
    return ",".join(words)

# -----------------------------------------------------------------------------
def read_patterns(text):
    """
        Read the setting only_for

        Args:
            text: like "*@example.org, *@*.example.org, anne@example.net"

        Returns:
            list of patterns in lower case, in which * stands for any text

        Raises:
            ValueError: it is malformed
    """

    patterns = [part.lower() for part in filter(None, map(str.strip, text.split(",")))]
    for pattern in patterns:
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", pattern):
            raise ValueError(pattern)
    return patterns

# -----------------------------------------------------------------------------
def matches(address, patterns):
    """
        Whether an address (str) is one of some patterns

        Args:
            address: the address; upper and lower case are the same
            patterns: list of patterns, in lower case
    """

    return any(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), address.lower())
               for pattern in patterns)

# -----------------------------------------------------------------------------
def check_redirect(text):
    """ Raise ValueError unless the setting redirect_to is one bare address, or empty """

    if not re.fullmatch(r"([^@\s,<>\"]+@[^@\s,<>\"]+)?", text):
        raise ValueError(text)

# The function for each of these settings; it raises ValueError
READERS = {"rate": read_rates, "dsn": read_dsn, "only_for": read_patterns,
           "only_to": read_patterns, "redirect_to": check_redirect}

# END =========================================================================
