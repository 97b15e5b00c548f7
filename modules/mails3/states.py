# -*- coding: utf-8 -*-

"""
    The states of a delivery, and the delivery itself

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Optional

__all__ = ("EMAIL", "UNSENT", "SENT", "DRAFT", "INVALID", "FAILED", "FINAL", "NEW", "DEFERRED",
           "SCHEDULED", "STATES", "state_of", "FIRST", "URGENT", "NORMAL", "LAST", "BEHIND",
           "Delivery", "brief", "envelope_of", "one_line", "stored_text", "times_in_doubt",
           )

# msg_outbox.status: Eden's codes and Eden's meaning (s3db/msg.py)
# - no Enum: rows, labels and sessions speak plain integers

# New, scheduled or deferred: the run of its queue will send it. Moved on by the relay's
# answer (2, 4, or deferred again), by the end of its retries or of its time (5),
# or by an operator (3, 5); in doubt, it is sent again or held (3), see the setting.
# Without any run it stays as it is; the status page and the alerts say so.
UNSENT  = 1

# The relay has accepted it; final. Nothing moves it on: it is removed after
# keep_sent days.
SENT    = 2

# Held: an operator has set it aside, it is in doubt and must not be sent again, or
# our own code fails on it. Moved on by an operator only: released or requeued (1),
# or cancelled (5). It stays for ever if no operator does that. Captured mail is in it
# as well, by a setting of a site that is not to mail real people: so it never leaves
# by itself, not even when that setting is removed, nor by stock Eden. It is removed
# after keep_captured days.
DRAFT   = 3

# Rejected: the relay will never take it, or it can not become a mail; final. An
# operator may requeue it (1); it is removed after keep_rejected days.
INVALID = 4

# Given up after its last attempt or its time, expired or cancelled; final. An
# operator may requeue it (1); it is removed after keep_failed days.
FAILED  = 5

# msg_outbox.contact_method, mails3_delivery.channel: the way it is sent
EMAIL = "EMAIL"

# mails3_delivery.queue: the run that sends it; None = it is not to be sent

# Never attempted. The next drain takes it: at once if a worker is awake, else
# within drain_interval seconds. The relay's answer moves it on.
NEW      = 1

# Attempted and refused for now. A retry pass takes it when its due_on has come.
# Moved on by the relay's answer, at the latest by the end of lifetime.
DEFERRED = 2

# Never attempted, and not to be attempted before its due_on (not_before). The first
# run after that makes it NEW; no run looks for it until then.
SCHEDULED = 3

# The states as people see them, on page, command line and in JSON:
# (msg_outbox.status, mails3_delivery.queue)
STATES = {"new":      (UNSENT, NEW),
          "scheduled": (UNSENT, SCHEDULED),
          "deferred": (UNSENT, DEFERRED),
          "held":     (DRAFT, None),
          "captured": (DRAFT, None), # with mails3_delivery.captured_on
          "sent":     (SENT, None),
          "rejected": (INVALID, None),
          "failed":   (FAILED, None),
          }
NAMES = {status: name for name, (status, queue) in STATES.items()
         if queue is None and name != "captured"}
# msg_outbox.status of a delivery that no worker moves on
FINAL = (SENT, INVALID, FAILED)
QUEUES = {queue: name for name, (status, queue) in STATES.items() if queue is not None}

# mails3_delivery.priority
FIRST, NORMAL, LAST = 0, 5, 9
URGENT = 2 # somebody waits for it: a code, or a link to verify an address
BEHIND = LAST + 1 # the relay went away when it took this: others go first

# The length of the columns for the relay's words and for reasons
MAX_STORED_CHARS = 512

# An error in the log (characters)
MAX_BRIEF_CHARS = 160

# =============================================================================
@dataclass(frozen = True)
class Delivery:
    """ One message to one recipient, as claimed from the outbox """

    id: int
    outbox_id: int                # its row in msg_outbox
    message_id: Optional[int]     # its row in mails3_message
    is_individual: bool           # each recipient is sent a mail of their own
    stored_bytes: Optional[int]   # as stored, with its attachments (bytes)
    address: str                  # of the recipient, without a name
    attempts: int                 # made so far
    retries: Optional[int]        # left, counted down like in Eden; None = no limit
    deferred_on: Optional[datetime] # first refused (UTC, as all times here)
    expires_on: Optional[datetime]  # not to be sent after that
    begun_on: Optional[datetime]  # in doubt: a worker was lost while sending it
    in_doubt_count: int           # how often it was in doubt before
    put_back_on: Optional[datetime] # the relay went away when it took this
    lease: str                    # our claim: a result counts while it is valid
    is_secret: bool = False       # its content is dropped once it is sent
    throttled_on: Optional[datetime] = None # the relay wanted less mail when it took this
    throttle_count: int = 0       # how often, with other mail accepted in between

# -----------------------------------------------------------------------------
def state_of(status, queue, is_captured=False):
    """
        The state of a delivery, as people see it

        Args:
            status: msg_outbox.status
            queue: mails3_delivery.queue, None if it is in no queue
            is_captured: it was kept in place of being sent

        Returns:
            a key of STATES; "unknown" for a status that Eden does not have
    """

    if status == UNSENT:
        # A row of the host's that no run has seen yet is in no queue
        return QUEUES.get(queue, "new")
    return "captured" if is_captured and status == DRAFT else NAMES.get(status, "unknown")

# -----------------------------------------------------------------------------
def envelope_of(delivery):
    """ What deliveries that are handed over together have in common """

    return delivery.message_id, delivery.is_individual and delivery.id

# -----------------------------------------------------------------------------
def times_in_doubt(delivery):
    """ How often a delivery was handed over and its outcome is not known """

    return delivery.in_doubt_count + (delivery.begun_on is not None)

# -----------------------------------------------------------------------------
def one_line(text):
    """
        Put a text on one line, without control characters: the relay's words
        are written to the database, which may refuse NUL, and to a terminal,
        which obeys ESC

        Args:
            text: str

        Returns:
            str
    """

    return " ".join("".join(char if char.isprintable() else " " for char in text).split())

# -----------------------------------------------------------------------------
def brief(error):
    """
        An error for the log: a database driver may quote the statement, and so
        the mail, from the second line on

        Args:
            error: the exception

        Returns:
            str
    """

    return ("%s: %s" % (type(error).__name__, error)).splitlines()[0][:MAX_BRIEF_CHARS]

# -----------------------------------------------------------------------------
def stored_text(reason):
    """
        A text that every database takes: one line, ASCII, as long as the
        columns for it

        Args:
            reason: a text, or an error

        Returns:
            str
    """

    text = one_line(str(reason))
    return text.encode("ascii", "backslashreplace").decode("ascii")[:MAX_STORED_CHARS]

# END =========================================================================
