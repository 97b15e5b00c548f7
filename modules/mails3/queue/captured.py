# -*- coding: utf-8 -*-

"""
    How a message that was to be sent directly is kept, if it is captured

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from ..states import DRAFT
from .enqueue import enqueue

__all__ = ("store_captured",)

# -----------------------------------------------------------------------------
def store_captured(tables, message, message_id_header, now, reasons, **options):
    """
        Store a message that is captured at once; commits are the caller's

        Args:
            tables: the Tables
            message: the Message, with the recipients for whom it is captured
            message_id_header: its Message-ID
            now: the time
            reasons: why, by recipient (dict {address: text})
            options: as for enqueue()

        Raises:
            as enqueue()
    """

    outbox, delivery = tables.outbox, tables.delivery
    _, ids = enqueue(tables, message, message_id_header, now, **options)
    rows = tables.db(delivery.id.belongs(ids) & (outbox.id == delivery.outbox_id)).select(
                delivery.id, outbox.id, outbox.address)
    for row in rows:
        row.msg_outbox.update_record(status=DRAFT)
        row.mails3_delivery.update_record(queue=None, captured_on=now,
                                          reply=reasons[row.msg_outbox.address])

# END =========================================================================
