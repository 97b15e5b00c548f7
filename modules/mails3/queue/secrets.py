# -*- coding: utf-8 -*-

"""
    Secrets in mails, like reset links: their content is dropped once it is sent

    The secrets of the configuration are not stored: see smtp/server.py

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from ..states import SENT

__all__ = ("drop_if_sent",)

# -----------------------------------------------------------------------------
def drop_if_sent(tables, message_id):
    """
        Drop the texts and attachments of a message, once all its recipients have it

        Args:
            tables: the Tables
            message_id: of the message
    """

    db, outbox, delivery = tables.db, tables.outbox, tables.delivery
    if db((delivery.message_id == message_id) & (outbox.id == delivery.outbox_id) &
          (outbox.status != SENT)).isempty():
        db(tables.message.id == message_id).update(body=None)
        db(tables.attachment.message_id == message_id).delete()

# END =========================================================================
