# -*- coding: utf-8 -*-

"""
    Messaging > Outbox: a column of that page of Eden tells what a mail of
    MailS3 is, because such a mail has neither a person nor a message of Eden

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging

from gluon import A, SPAN, URL, current
from gluon.dal import Field

from ...queue.database import reading
from ...queue.report import read_head
from ...queue.schema import Tables
from ...states import brief, one_line

__all__ = ("add_mail_column",)

log = logging.getLogger("web2py.mails3")

# The name of the column, a method of each row
COLUMN = "mails3_mail"

# A longer subject would make the column too wide (characters)
MAX_SUBJECT = 78

# -----------------------------------------------------------------------------
def add_mail_column(mail):
    """
        Add the column to the page, if this is a request for it; never raises:
        the page works without the column

        Args:
            mail: the EdenMail
    """

    request = current.request
    if (request.controller, request.function) != ("msg", "outbox"):
        return
    try:
        define_column(mail, current.s3db)
    except Exception as error:
        log.error("Messaging > Outbox has no column for our mail (%s).", brief(error))

# -----------------------------------------------------------------------------
def define_column(mail, s3db):
    """ Add the column to the table and to the list of the page """

    table = s3db.table("msg_outbox")
    list_fields = table and s3db.get_config("msg_outbox", "list_fields")
    if not list_fields:
        # The template has no messaging, or a list of its own
        return

    class Handler(RowMethod):
        represent = MailColumn(mail)

    table[COLUMN] = Field.Method(COLUMN, number_of, handler=Handler)
    place = list_fields.index("pe_id") + 1 if "pe_id" in list_fields else len(list_fields)
    label = "%s, %s" % (current.T("Recipient"), current.T("Subject"))
    s3db.configure("msg_outbox",
                   list_fields = list_fields[:place] + [(label, COLUMN)] + list_fields[place:])

# -----------------------------------------------------------------------------
def number_of(row):
    """ The id of a row in msg_outbox; Eden may have read nothing but the id """

    return row.msg_outbox.id if "msg_outbox" in row else row.id

# =============================================================================
class RowMethod:
    """ The value of the column in one row; Eden shows it by "represent" of the class """

    def __init__(self, method, row):

        self.method = method
        self.row = row

    def __call__(self):

        return self.method(self.row)

# =============================================================================
class MailColumn:
    """
        What Eden calls a representation: of the ids of rows in msg_outbox, all
        of a page at once

        show_link: Eden sets it to False for formats other than HTML
    """

    show_link = True

    def __init__(self, mail):
        """
            Args:
                mail: the EdenMail
        """

        self.mail = mail

    # -------------------------------------------------------------------------
    def __call__(self, number):
        """ The text for one row """

        return self.bulk([number])[number]

    # -------------------------------------------------------------------------
    def bulk(self, values, *args, **kwargs):
        """
            The texts for many rows
            - who may see the outbox, sees the recipient and the subject; the
              subject of a mail that carries a secret is for admins only, as is
              the story of the mail

            Args:
                values: list of ids
                args, kwargs: Eden's further options have no meaning here

            Returns:
                dict {id: text or HTML}
        """

        is_admin = self.mail.is_admin()
        texts = dict.fromkeys(values, "-")
        for row in self._rows(list(values)):
            number, stored = row.msg_outbox.id, row.mails3_message
            text = row.msg_outbox.address
            subject = read_head(stored.head).get("subject")
            if subject and (is_admin or not stored.secret):
                text = "%s: %s" % (text, subject[:MAX_SUBJECT])
            text = one_line(text)
            texts[number] = self._marked_up(text, number, is_admin) if self.show_link else text
        return texts

    # -------------------------------------------------------------------------
    @staticmethod
    def _marked_up(text, number, is_admin):
        """ The text as HTML, for an admin with a link: Sahana Eden itself escapes no text """

        if not is_admin:
            return SPAN(text)
        # The script of the page asks with an extension of its own, .aadata
        return A(text, _href=URL("mails3", "show", args=[number], extension=False))

    # -------------------------------------------------------------------------
    def _rows(self, numbers):
        """ Read the rows that MailS3 has queued; none if that fails, never raises """

        db = self.mail.db
        tables = Tables(db)
        outbox, delivery, message = tables.outbox, tables.delivery, tables.message
        query = outbox.id.belongs(numbers) & (outbox.pe_id == None) & \
            (delivery.outbox_id == outbox.id) & (message.id == delivery.message_id)
        try:
            with reading(db):
                return db(query).select(outbox.id, outbox.address, message.head, message.secret)
        except Exception as error:
            log.error("The mails in the outbox can't be read (%s).", brief(error))
            return ()

# END =========================================================================
