# -*- coding: utf-8 -*-

"""
    When MailS3 leaves Eden: unsent mail becomes Eden's own, so that stock
    Eden sends it

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from email import message_from_bytes
from io import BytesIO

from gluon import current

from ...states import EMAIL, UNSENT
from ...message.stored import texts_of

__all__ = ("HandBack",)

# =============================================================================
class HandBack:
    """ Writes unsent mail into Eden's own tables; does not commit """

    def __init__(self, mail, outbox):
        """
            Args:
                mail: the EdenMail
                outbox: the Outbox of the channel EMAIL
        """

        self.mail = mail
        self.outbox = outbox
        self.db = outbox.db
        self.messages = {} # of Eden, by the id in mails3_message

    # -------------------------------------------------------------------------
    def run(self):
        """
            Hand back what is unsent
            - not what carries a secret: in Eden's tables, whoever may read
              the outbox could read it

            Returns:
                tuple (handed, withheld): how many deliveries
        """

        table, delivery, stored = self.outbox.outbox, self.outbox.delivery, self.outbox.mail
        rows = self.db((table.status == UNSENT) &
                       (table.deleted == False) &
                       (table.contact_method == EMAIL) &
                       (table.pe_id == None) &
                       (delivery.outbox_id == table.id) &
                       (stored.id == delivery.message_id)).select(
                            table.id, table.address, stored.id, stored.secret,
                            orderby = table.id,
                            )
        handed = withheld = 0
        for row in rows:
            eden_message_id = None
            if not row.mails3_message.secret:
                eden_message_id = self._message(row.mails3_message.id)
            if eden_message_id is None:
                withheld += 1
                continue
            entry = row.msg_outbox
            self.db(table.id == entry.id).update(message_id = eden_message_id,
                                                 pe_id = self._entity(entry.address),
                                                 )
            handed += 1
        return handed, withheld

    # -------------------------------------------------------------------------
    def _message(self, message_id):
        """ Make a message of Eden's, once for all its recipients; None if unreadable """

        if message_id not in self.messages:
            try:
                submission, _ = self.outbox.content(message_id)
            except ValueError:
                self.messages[message_id] = None
            else:
                self.messages[message_id] = self._write(submission)
        return self.messages[message_id]

    # -------------------------------------------------------------------------
    def _write(self, submission):
        """ Write a message as S3Msg.send_by_pe_id() does; the text, if it has html as well """

        s3db = current.s3db
        table = s3db.msg_email
        sender = submission.sender or self.mail.settings.sender
        record = {"id": table.insert(body = next(filter(None, texts_of(submission.body)), ""),
                                     # As long as the column is
                                     subject = submission.subject[:78],
                                     from_address = sender,
                                     inbound = False,
                                     )}
        s3db.update_super(table, record)

        for content in submission.attachments:
            part = message_from_bytes(content)
            name = part.get_filename() or "attachment"
            document = s3db.doc_document
            document_id = document.insert(
                            name = name[:128],
                            file = document.file.store(BytesIO(part.get_payload(decode=True)),
                                                       name),
                            )
            s3db.update_super(document, {"id": document_id})
            s3db.msg_attachment.insert(message_id = record["message_id"],
                                       document_id = document_id,
                                       )
        return record["message_id"]

    # -------------------------------------------------------------------------
    def _entity(self, address):
        """
            Whom stock Eden sends to if it is to send to an address: a person
            whose first contact it is, else an entity with nothing but that
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
        contact.insert(pe_id=pe_id, contact_method=EMAIL, value=address)
        return pe_id

# END =========================================================================
