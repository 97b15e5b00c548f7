# -*- coding: utf-8 -*-

"""
    The time of this machine; for that of the database, see queue/database.py

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from datetime import datetime, timezone

__all__ = ("utcnow",)

# -----------------------------------------------------------------------------
def utcnow():
    """ The time by this machine, as the database keeps it: UTC without a zone """

    return datetime.now(timezone.utc).replace(tzinfo=None)

# END =========================================================================
