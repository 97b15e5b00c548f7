# -*- coding: utf-8 -*-

"""
    Which recipients a relay is for, by the patterns of the setting only_for

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from functools import reduce
from operator import or_

__all__ = ("route",)

# Escapes in a pattern for LIKE
LIKE_ESCAPE = "!"

# -----------------------------------------------------------------------------
def route(tables, only_for, taken):
    """
        Query for the deliveries of a relay

        Args:
            tables: the Tables
            only_for: the patterns of its recipients; empty = all
            taken: the patterns of the recipients that other relays take

        Returns:
            the Query; None = all deliveries
    """

    if not only_for and not taken:
        return None
    query = (tables.outbox.id == tables.delivery.outbox_id)
    if only_for:
        query &= matches(tables.outbox, only_for)
    if taken:
        query &= ~matches(tables.outbox, taken)
    return query

# -----------------------------------------------------------------------------
def matches(outbox, patterns):
    """ Query for the rows of msg_outbox whose address matches one of some patterns """

    return reduce(or_, (outbox.address.ilike(like_pattern(pattern), escape=LIKE_ESCAPE)
                        for pattern in patterns))

# -----------------------------------------------------------------------------
def like_pattern(pattern):
    """ A pattern of the settings as LIKE has it """

    for character in (LIKE_ESCAPE, "%", "_"):
        pattern = pattern.replace(character, LIKE_ESCAPE + character)
    return pattern.replace("*", "%")

# END =========================================================================
