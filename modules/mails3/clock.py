# -*- coding: utf-8 -*-

"""
    The time: of this machine, and the one that all machines of a site share

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from datetime import datetime, timedelta, timezone

__all__ = ("shared_clock", "utcnow")

# What the database server says the time is (UTC, without a zone). A database
# in a file has no clock of its own.
DATABASE_TIME = {"postgres": "SELECT clock_timestamp() AT TIME ZONE 'UTC'",
                 "mysql": "SELECT UTC_TIMESTAMP(6)",
                 }

# -----------------------------------------------------------------------------
def utcnow():
    """ The time by this machine, as the database keeps it: UTC without a zone """

    return datetime.now(timezone.utc).replace(tzinfo=None)

# -----------------------------------------------------------------------------
def shared_clock(db):
    """
        The clock that decides about leases: if each machine went by its own,
        one that is ahead by more than a lease would take over what another
        one is just sending
        - the database is asked once, not each time

        Args:
            db: the DAL

        Returns:
            tuple (now, ahead): function that tells the time; by how much this
            machine's clock is ahead of it (timedelta)
    """

    query = DATABASE_TIME.get(db._adapter.dbengine)
    ahead = timedelta(0)
    if query:
        ahead = utcnow() - db.executesql(query)[0][0]
    return lambda: utcnow() - ahead, ahead

# END =========================================================================
