# -*- coding: utf-8 -*-

"""
    For the tests of an app: which mail it sends, without a worker and a mail server

        from mails3.testing import outbox

        with outbox(mail) as mails:
            register("anne@example.org")
        assert mails[0].subject == "Welcome"

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from collections.abc import Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage

from .message.composition import compose
from .message.stored import NULL_PATH
from .queue.contents import Contents
from .queue.database import own_connection
from .queue.schema import Tables
from .smtp.envelope import needs_utf8

__all__ = ("Outbox", "OutboxMail", "outbox")

# The sender where the app has none configured; no mail is sent to the server
NO_SENDER = "sender@example.invalid"
NO_SERVER = "mail.example.invalid"

# -----------------------------------------------------------------------------
@contextmanager
def outbox(mail):
    """
        Collect the mail that is queued within the block
        - in this process, nothing is sent within the block: not by a worker's run,
          not by the web server's process after a request, and not directly. Mail is
          queued as part of the transaction, and is held: no worker of
          another process sends it, also if the test commits.
        - of a site that another process serves, what its requests have committed is
          collected as well; that site needs the setting fallback = no, and no worker

        Args:
            mail: the app's mailer: mail of the models, or current.mail

        Yields:
            the Outbox: a sequence of OutboxMail, which may be looked at within the
            block and after it. What is rolled back within the block is not in it.
    """

    # All mailers of the app in this process have this class: each request has its own
    app_class = type(mail)
    before = app_class.outbox
    app_class.outbox = mails = Outbox(mail)
    try:
        yield mails
    finally:
        app_class.outbox = before
        mails.close()

# =============================================================================
@dataclass(frozen = True)
class OutboxMail:
    """ A mail as its recipients would get it """

    recipients: list      # addresses of the envelope: to, cc and bcc
    bcc: list             # as given in the call; bcc is in no header
    message: EmailMessage # the composed mail, of the standard library's email package
    is_direct: bool       # send_direct_email(), or it could not be queued

    # -------------------------------------------------------------------------
    @property
    def subject(self):
        """ The subject (str), decoded """

        return self.message["Subject"]

    # -------------------------------------------------------------------------
    @property
    def sender(self):
        """ The address in From: (str), with its name """

        return self.message["From"]

    # -------------------------------------------------------------------------
    @property
    def to(self):
        """ The addresses in To:, with their names (list of str) """

        return self._addresses("To")

    # -------------------------------------------------------------------------
    @property
    def cc(self):
        """ The same in Cc: """

        return self._addresses("Cc")

    # -------------------------------------------------------------------------
    @property
    def reply_to(self):
        """ The same in Reply-To: """

        return self._addresses("Reply-To")

    # -------------------------------------------------------------------------
    @property
    def headers(self):
        """ All headers (dict {name: text}), decoded """

        return {name: str(value) for name, value in self.message.items()}

    # -------------------------------------------------------------------------
    @property
    def text(self):
        """ The plain text (str), or None """

        return self._body("plain")

    # -------------------------------------------------------------------------
    @property
    def html(self):
        """ The html (str), or None """

        return self._body("html")

    # -------------------------------------------------------------------------
    @property
    def attachments(self):
        """ The attachments: list of tuples (name, content type, bytes) """

        return [(part.get_filename(), part.get_content_type(), part.get_payload(decode=True))
                for part in self.message.walk()
                if not part.is_multipart() and (part.get_filename() or part["Content-Id"])]

    # -------------------------------------------------------------------------
    def _addresses(self, name):
        """ The addresses in a header (list of str) """

        header = self.message[name]
        return [str(address) for address in header.addresses] if header else []

    # -------------------------------------------------------------------------
    def _body(self, subtype):
        """ The first part of that kind that is no attachment (str), or None """

        for part in self.message.walk():
            if part.get_content_type() == "text/%s" % subtype and not part.get_filename():
                return part.get_content().replace("\r\n", "\n").rstrip("\n")
        return None

# =============================================================================
class Outbox(Sequence):
    """ What was queued since it was made, the oldest first; then what was sent directly """

    def __init__(self, mail):
        """
            Args:
                mail: the MailS3
        """

        self.mail = mail
        self.tables = Tables(mail.db)
        self.direct = []  # OutboxMails that were not queued
        self.kept = None  # list of all OutboxMails, after close()
        self.first_id = max(self._ids(0), default=0) + 1

    # -------------------------------------------------------------------------
    def __len__(self):

        return len(self.mails)

    # -------------------------------------------------------------------------
    def __getitem__(self, index):

        return self.mails[index]

    # -------------------------------------------------------------------------
    @property
    def mails(self):
        """ All mails until now (list of OutboxMail) """

        return self._read() + self.direct if self.kept is None else self.kept

    # -------------------------------------------------------------------------
    def add(self, direct):
        """ Add what would be sent without the queue (a Direct) """

        self.direct.append(self._mail(direct.message, direct.message_id_header,
                                      direct.recipients, True))

    # -------------------------------------------------------------------------
    def close(self):
        """ Nothing is added any more """

        self.kept = self.mails

    # -------------------------------------------------------------------------
    def _ids(self, first_id):
        """ The ids of the messages that this transaction sees, from an id on (list) """

        table = self.tables.message
        return [row.id for row in self.mail.db((table.id >= first_id) & (table.body != None)
                                               ).select(table.id, orderby=table.id)]

    # -------------------------------------------------------------------------
    def _read(self):
        """
            What is queued (list of OutboxMail): in this transaction, and committed
            by others, which MySQL does not show to a transaction that has begun
        """

        found = self._messages(self._ids(self.first_id))
        with own_connection(self.mail.db):
            others = [each for each in self._ids(self.first_id) if each not in found]
            found.update(self._messages(others))
        return [found[message_id] for message_id in sorted(found)]

    # -------------------------------------------------------------------------
    def _messages(self, message_ids):
        """ Read messages: dict {id: OutboxMail} """

        tables, contents, found = self.tables, Contents(self.tables), {}
        for message_id in message_ids:
            message, message_id_header = contents.load(message_id)
            rows = self.mail.db((tables.delivery.message_id == message_id) &
                                (tables.outbox.id == tables.delivery.outbox_id)
                                ).select(tables.outbox.address, orderby=tables.outbox.id)
            found[message_id] = self._mail(message, message_id_header,
                                           [row.address for row in rows], False)
        return found

    # -------------------------------------------------------------------------
    def _mail(self, message, message_id_header, recipients, is_direct):
        """ The OutboxMail of a Message """

        if not message.to:
            message = message.only_to(recipients)
        sender = message.sender if message.sender != NULL_PATH else None
        sender = str(sender or self.mail.configured("sender") or NO_SENDER)
        # The server may be one for which Mail.send does not compose, like "logging"
        composer = copy(self.mail)
        composer.settings = type(self.mail.settings)(dict(self.mail.settings, server=NO_SERVER))
        content = compose(composer, message, message_id_header, sender,
                          needs_utf8(sender, recipients))
        if isinstance(content, str):
            content = content.encode("utf-8")
        return OutboxMail(recipients, list(message.bcc),
                          message_from_bytes(content, policy=policy.default), is_direct)

# END =========================================================================
