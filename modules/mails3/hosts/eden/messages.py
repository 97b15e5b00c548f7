# -*- coding: utf-8 -*-

"""
    Eden's messages: their text and their documents, read into a Message

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from dataclasses import replace

from gluon import current
from gluon.tools import Mail

from ...message.address import BadInput
from ...message.stored import Message
from ...states import EMAIL

__all__ = ("read_message",)

# The table with the text of a message, by contact_method (s3db/msg.py)
TEXT_TABLES = {EMAIL: "msg_email", "SMS": "msg_sms", "TWITTER": "msg_twitter"}

# -----------------------------------------------------------------------------
def read_message(db, mail, eden_message_id, channel):
    """
        Read a message of Eden

        Args:
            db: the DAL
            mail: the EdenMail
            eden_message_id: the message_id in msg_outbox
            channel: the contact_method (str)

        Returns:
            the Message, without recipients: each recipient gets a mail that
            does not show the others

        Raises:
            BadInput: the message can't be sent
    """

    name = TEXT_TABLES.get(channel)
    table = name and current.s3db.table(name)
    row = None
    if table and eden_message_id:
        row = db(table.message_id == eden_message_id).select(limitby=(0, 1)).first()
    if not row:
        raise BadInput("There is no message")

    if channel != EMAIL:
        # The transport chooses the gateway by these options
        return Message([], [],
                       body = row.body or "",
                       options = {"eden_message_id": eden_message_id,
                                  "organisation_id": row.get("organisation_id"),
                                  })

    # Message.read() wants a recipient
    message = Message.read({"to": "recipient@example.invalid",
                            "subject": row.subject,
                            "message": row.body or "",
                            "sender": mail.sender_of(row.from_address),
                            "attachments": read_documents(db, eden_message_id),
                            },
                           mail.options.max_size)
    return replace(message, to=[], recipients=[])

# -----------------------------------------------------------------------------
def read_documents(db, eden_message_id):
    """
        Read the documents of a message, with the names of their files

        Args:
            db: the DAL
            eden_message_id: the message_id in msg_outbox

        Returns:
            list of Mail.Attachments

        Raises:
            BadInput: a document can't be read
    """

    s3db = current.s3db
    link, document = s3db.msg_attachment, s3db.doc_document
    rows = db((link.message_id == eden_message_id) &
              (link.deleted == False) &
              (document.id == link.document_id) &
              (document.deleted == False)).select(document.file, orderby=link.id)
    attachments = []
    for row in rows:
        if not row.file:
            # This document is a link to a web page
            continue
        try:
            name, stream = document.file.retrieve(row.file)
            with stream:
                attachments.append(Mail.Attachment(stream, filename=name))
        except Exception as error:
            raise BadInput("A document of the message can not be read (%s)" %
                           type(error).__name__) from None
    return attachments

# END =========================================================================
