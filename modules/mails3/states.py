# -*- coding: utf-8 -*-

"""
    Words of the outbox: what a status means, what a delivery is

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Optional

__all__ = ("EMAIL", "UNSENT", "SENT", "DRAFT", "INVALID", "FAILED",
           "NEW", "DEFERRED", "FIRST", "URGENT", "NORMAL", "LAST", "BEHIND",
           "Delivery", "one_line", "times_in_doubt", "words",
           )

# msg_outbox.status: Eden's codes and Eden's meaning (s3db/msg.py)
# - no Enum: rows, labels and sessions speak plain integers
UNSENT  = 1 # new, deferred or held: still to be sent
SENT    = 2 # the relay has accepted it; final
DRAFT   = 3 # held back by a person, until released
INVALID = 4 # the relay will never take it; final
FAILED  = 5 # given up after its last attempt; final

# msg_outbox.contact_method, mails3_delivery.channel: by which way it is sent
EMAIL = "EMAIL"

# mails3_delivery.queue: which run sends it; None = no run does
NEW      = 1 # never attempted: the drain
DEFERRED = 2 # attempted and refused for now: the retry pass

# mails3_delivery.priority
FIRST, NORMAL, LAST = 0, 5, 9
URGENT = 2 # somebody waits for it: a code, or a link to verify an address
BEHIND = LAST + 1 # what the relay has gone away over

# =============================================================================
@dataclass(frozen = True)
class Delivery:
    """ One message to one recipient, as claimed from the outbox """

    id: int
    outbox: int                   # its row in msg_outbox
    message: Optional[int]        # its row in mails3_message
    individual: bool              # each recipient is handed a mail of their own
    size: Optional[int]           # as stored, attachments included (bytes)
    address: str                  # of the recipient, without a name
    attempts: int                 # made so far
    retries: Optional[int]        # left, counted down like in Eden; None = no limit
    deferred_on: Optional[datetime] # first refused (UTC, as all times here)
    expires_on: Optional[datetime]  # not to be sent after that
    begun_on: Optional[datetime]  # in doubt: a worker was lost while sending it
    in_doubt_count: int                   # how many were, before
    put_back_on: Optional[datetime] # the relay went away when it took this
    lease: str                    # our claim: a result counts while it holds
    secret: bool = False          # its content is to be dropped once it is sent

# -----------------------------------------------------------------------------
def times_in_doubt(delivery):
    """ How often a delivery was handed over without anybody knowing the outcome """

    return delivery.in_doubt_count + (delivery.begun_on is not None)

# -----------------------------------------------------------------------------
def one_line(text):
    """
        A text on one line, without control characters: a relay's words end up
        in the database, which may refuse NUL, and on a terminal, which obeys ESC

        Args:
            text: str

        Returns:
            str
    """

    return " ".join("".join(char if char.isprintable() else " " for char in text).split())

# -----------------------------------------------------------------------------
def words(reason):
    """ A reason for the database: one line, no codec can refuse it """

    text = one_line(str(reason))
    return text.encode("ascii", "backslashreplace").decode("ascii")[:512]

# END =========================================================================
