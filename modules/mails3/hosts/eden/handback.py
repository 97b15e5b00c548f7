# -*- coding: utf-8 -*-

"""
    Handback: MailS3 leaves Eden, and unsent mail becomes Eden's own, so that
    stock Eden sends it; if stock Eden can't send, the mail stays with MailS3

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from email import message_from_bytes
from io import BytesIO

from gluon import current

from ...states import EMAIL, UNSENT
from ...message.content import texts_of
from .stock import fault_of_eden, obstacle_of_site

__all__ = ("HandBack",)

# The length of the columns msg_email.subject, doc_document.name (characters)
MAX_SUBJECT = 78
MAX_DOCUMENT_NAME = 128

# Stock Eden's process_outbox() ends with a TypeError at a row without a number of
# retries that is refused, and never comes to the rows after it: Eden's default
RETRIES = 9

# pr_contact.comments of an address that is nobody's contact
COMMENT = "MailS3: recipient of unsent mail"

# =============================================================================
class HandBack:
    """ Copies unsent mail to Eden's own tables; does not commit """

    def __init__(self, mail):
        """
            Args:
                mail: the EdenMail
        """

        self.mail = mail
        self.db = mail.db
        channel = mail.channel()
        self.tables, self.contents = channel.tables, channel.contents
        self.eden_message_ids = {} # by message_id; None: not readable

    # -------------------------------------------------------------------------
    def run(self):
        """
            Hand the unsent mail over, if Eden can send it

            Returns:
                list of sentences about the unsent mail (str)
        """

        fault = fault_of_eden(self.mail)
        obstacle = fault or obstacle_of_site(self.mail)
        if not obstacle:
            return self._hand_over()

        kept = self.db(self._unsent()).count()
        queued_by_eden = self.db(self._unsent_of_eden()).count()
        told = [obstacle] if fault or kept or queued_by_eden else []
        if kept:
            told.append("Unsent mails that stay in the tables of MailS3, and are sent when "
                        "MailS3 is installed again: %s." % kept)
        if queued_by_eden:
            told.append("Unsent mails that Eden itself has queued, and will try: %s. If Eden "
                        "gives them up, install MailS3 again and requeue them." %
                        queued_by_eden)
        return told

    # -------------------------------------------------------------------------
    def _unsent(self):
        """ Query for the unsent mail that MailS3 has queued """

        tables = self.tables
        table, delivery, stored = tables.outbox, tables.delivery, tables.message
        return self._all_unsent() & (table.pe_id == None) & \
            (delivery.outbox_id == table.id) & (stored.id == delivery.message_id)

    # -------------------------------------------------------------------------
    def _unsent_of_eden(self):
        """ Query for the unsent mail that Eden has queued """

        return self._all_unsent() & (self.tables.outbox.pe_id != None)

    # -------------------------------------------------------------------------
    def _all_unsent(self):
        """ Query for the unsent mail """

        table = self.tables.outbox
        return (table.status == UNSENT) & (table.deleted == False) & \
            (table.contact_method == EMAIL)

    # -------------------------------------------------------------------------
    def _hand_over(self):
        """
            Copy the unsent mail
            - except mail that carries a secret: each user who may read the
              outbox can read Eden's tables

            Returns:
                as run()
        """

        table, stored = self.tables.outbox, self.tables.message
        rows = self.db(self._unsent()).select(
                            table.id, table.address, table.retries,
                            stored.id, stored.secret,
                            orderby = table.id,
                            )
        handed = withheld = 0
        for row in rows:
            eden_message_id = None
            if not row.mails3_message.secret:
                eden_message_id = self._eden_message_id(row.mails3_message.id)
            if eden_message_id is None:
                withheld += 1
                continue
            entry = row.msg_outbox
            retries = RETRIES if entry.retries is None else entry.retries
            self.db(table.id == entry.id).update(message_id = eden_message_id,
                                                 pe_id = self._pe_id(entry.address),
                                                 retries = retries,
                                                 )
            handed += 1

        told = []
        if handed:
            told.append("Unsent mails handed to Eden, which sends them as text: %s." % handed)
        if withheld:
            told.append("Unsent mails with a link or password in them, which stay in the "
                        "tables of MailS3, and are sent when MailS3 is installed again: %s. In "
                        "the tables of Eden, every user who may see the outbox could read "
                        "them." % withheld)
        return told

    # -------------------------------------------------------------------------
    def _eden_message_id(self, message_id):
        """ Copy a message, once for all its recipients; None if it is not readable """

        if message_id not in self.eden_message_ids:
            try:
                message, _ = self.contents.load(message_id)
            except ValueError:
                self.eden_message_ids[message_id] = None
            else:
                self.eden_message_ids[message_id] = self._write(message)
        return self.eden_message_ids[message_id]

    # -------------------------------------------------------------------------
    def _write(self, message):
        """
            Write a message as S3Msg.send_by_pe_id() does; only the text, if the
            message has text and html

            Args:
                message: the Message

            Returns:
                the message_id in msg_outbox
        """

        s3db = current.s3db
        table = s3db.msg_email
        sender = message.sender or self.mail.settings.sender
        record = {"id": table.insert(body = next(filter(None, texts_of(message.body)), ""),
                                     subject = message.subject[:MAX_SUBJECT],
                                     from_address = sender,
                                     inbound = False,
                                     )}
        s3db.update_super(table, record)
        for content in message.attachments:
            s3db.msg_attachment.insert(message_id = record["message_id"],
                                       document_id = self._write_document(content),
                                       )
        return record["message_id"]

    # -------------------------------------------------------------------------
    @staticmethod
    def _write_document(content):
        """ Write an attachment (bytes, a MIME part) as a document; its id """

        part = message_from_bytes(content)
        name = part.get_filename() or "attachment"
        document = current.s3db.doc_document
        stream = BytesIO(part.get_payload(decode=True))
        document_id = document.insert(name = name[:MAX_DOCUMENT_NAME],
                                      file = document.file.store(stream, name),
                                      )
        current.s3db.update_super(document, {"id": document_id})
        return document_id

    # -------------------------------------------------------------------------
    def _pe_id(self, address):
        """
            The entity for which stock Eden uses an address: a person whose
            first contact this address is; else a new entity with only this
            contact
        """

        s3db = current.s3db
        contact, entity = s3db.pr_contact, s3db.pr_pentity
        query = (contact.contact_method == EMAIL) & (contact.deleted == False)
        rows = self.db(query & (contact.value == address) &
                       (entity.pe_id == contact.pe_id) &
                       (entity.instance_type == "pr_person") &
                       (entity.deleted == False)).select(contact.pe_id, orderby=contact.id)
        for row in rows:
            first = self.db(query & (contact.pe_id == row.pe_id)).select(
                        contact.value, orderby=contact.priority, limitby=(0, 1)).first()
            if first.value == address:
                return row.pe_id

        pe_id = entity.insert(instance_type="pr_person")
        contact.insert(pe_id=pe_id, contact_method=EMAIL, value=address, comments=COMMENT)
        return pe_id

# END =========================================================================
