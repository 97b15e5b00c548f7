# -*- coding: utf-8 -*-

"""
    Mail that an app has queued: what send() tells of it, and how the app finds
    it again

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Optional

from .contents import Contents

__all__ = ("Queued", "QueuedDelivery", "find", "queued_before")

# How many recipients of one message are looked at
MAX_RECIPIENTS = 100000

# The states in which a delivery waits to be sent
WAITING = ("new", "scheduled", "deferred")

# =============================================================================
@dataclass(frozen = True)
class Queued:
    """ A message that send() has queued """

    number: int            # of its first delivery, as on the page and the command line
    message_id_header: str # its Message-ID
    recipients: dict       # {address: number of the delivery}, in the order of to, cc, bcc

# =============================================================================
@dataclass(frozen = True)
class QueuedDelivery:
    """ One recipient of a message, as find() tells of it; times are UTC without a zone """

    number: int                  # as on the page and the command line
    address: str                 # of the recipient
    state: str                   # a key of STATES, see states.py
    attempts: int                # made so far
    due_on: Optional[datetime]   # not attempted before that; None = not to be attempted
    tried_on: Optional[datetime] # the last attempt; None = never
    reply: Optional[str]         # the last reply of the mail server, or why it is in its state
    queued_on: datetime
    message_id_header: Optional[str] # the Message-ID of its message

# -----------------------------------------------------------------------------
def find(report, which):
    """
        Find mail that is queued, or was

        Args:
            report: the Report
            which: the number of a delivery (int); a Queued, the Message-ID or the
                   idempotency key (str) of a message, for all its deliveries

        Returns:
            list of QueuedDelivery, in the order of the recipients; empty if there
            is no such mail, or it is purged

        Raises:
            TypeError: which is something else
    """

    outbox, delivery = report.outbox, report.delivery
    if isinstance(which, int) and not isinstance(which, bool):
        query = (outbox.id == which)
    else:
        query = delivery.message_id.belongs(message_ids(report.tables, which))
    return [delivery_of(entry) for entry in
            report.select(query & report.mails, outbox.id, MAX_RECIPIENTS)]

# -----------------------------------------------------------------------------
def message_ids(tables, which):
    """ The ids of the messages that are meant (list), arguments as for find() """

    delivery, message = tables.delivery, tables.message
    if isinstance(which, Queued):
        # By its number, for a Message-ID of the app's own may be on several messages
        rows = tables.db(delivery.outbox_id == which.number).select(delivery.message_id)
        return [row.message_id for row in rows]
    if not isinstance(which, str):
        raise TypeError("A number, a Message-ID, an idempotency key or mail.queued is wanted, "
                        "not %s" % type(which).__name__)
    message_id = Contents(tables).find(which)
    if message_id:
        return [message_id]
    rows = tables.db(message.message_id_header == which).select(message.id)
    return [row.id for row in rows]

# -----------------------------------------------------------------------------
def delivery_of(entry):
    """ The QueuedDelivery for an entry of the Report """

    names = ("number", "address", "state", "attempts", "tried_on", "reply", "queued_on",
             "message_id_header")
    return QueuedDelivery(due_on = entry["due_on"] if entry["state"] in WAITING else None,
                          **{name: entry[name] for name in names})

# -----------------------------------------------------------------------------
def queued_before(tables, message_id):
    """
        The Queued of a message that is stored

        Args:
            tables: the Tables
            message_id: its id in mails3_message

        Returns:
            the Queued; None if its deliveries are purged
    """

    outbox, delivery, message = tables.outbox, tables.delivery, tables.message
    rows = tables.db((message.id == message_id) & (delivery.message_id == message.id) &
                     (outbox.id == delivery.outbox_id)).select(
                        outbox.id, outbox.address, message.message_id_header, orderby=outbox.id)
    if not rows:
        return None
    return Queued(rows[0].msg_outbox.id, rows[0].mails3_message.message_id_header,
                  {row.msg_outbox.address: row.msg_outbox.id for row in rows})

# END =========================================================================
