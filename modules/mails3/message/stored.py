# -*- coding: utf-8 -*-

"""
    A message, as one call of send() hands it over, and its stored form

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import json
import socket

from dataclasses import dataclass, field, replace
from email import message_from_bytes
from uuid import uuid4

from .address import NULL_PATH, address_of, read_addresses, read_sender
from .content import read_attachments, read_body, read_headers, texts_of
from .text import BadInput, read_line
from .unsubscribe import read_list_unsubscribe, unsubscribe_headers

__all__ = ("NewerVersion", "Message")

# The version of the stored form; a reader refuses a newer one
VERSION = 1

# The column for the Message-ID, and the part of it for the domain (characters)
MAX_ID_CHARS = 255
MAX_ID_DOMAIN_CHARS = 200

# =============================================================================
class NewerVersion(ValueError):
    """ The stored form is one that only a newer MailS3 can read """

# =============================================================================
@dataclass
class Message:
    """ One message, as a call has handed it over """

    # Texts for the header; empty: each recipient gets a mail of their own
    to: list
    recipients: list           # addresses of the envelope: to, cc and bcc, each once
    subject: str = ""
    body: object = None        # str, [text, html] or None, as for Mail.send
    cc: list = field(default_factory = list)
    bcc: list = field(default_factory = list)
    reply_to: list = field(default_factory = list)
    sender: object = None      # None: the one that is configured when it is sent; NULL_PATH
    from_address: object = None
    headers: dict = field(default_factory = dict)
    attachments: list = field(default_factory = list) # MIME parts (bytes)
    raw: bool = False
    options: dict = field(default_factory = dict) # all other arguments of Mail.send

    # -------------------------------------------------------------------------
    @classmethod
    def read(cls, arguments, max_bytes=None, defaults=None):
        """
            Read the arguments of a Mail.send call, in any form that it takes

            Args:
                arguments: the arguments by name (dict); neither the dict nor
                           the lists in it are changed
                max_bytes: the limit for all of it (bytes); None = no limit
                defaults: headers for which the call may have its own (dict)

            Returns:
                a Message

            Raises:
                BadInput: with a text that says what is wrong
        """

        others = dict(arguments)

        def take(name):
            return others.pop(name, None)

        encoding = take("encoding") or "utf-8"
        unsubscribe = take("unsubscribe")
        if unsubscribe:
            defaults = {**(defaults or {}), **unsubscribe_headers(unsubscribe)}
        to = read_addresses("to", take("to"))
        if not to:
            raise BadInput("No recipient")
        cc = read_addresses("cc", take("cc"))
        bcc = read_addresses("bcc", take("bcc"))
        subject = take("subject")
        message = cls(to = header_texts(to),
                      cc = header_texts(cc),
                      bcc = header_texts(bcc),
                      recipients = list(dict.fromkeys(box.address for box in to + cc + bcc)),
                      reply_to = header_texts(read_addresses("reply_to", take("reply_to"))),
                      sender = read_sender("sender", take("sender")),
                      from_address = read_sender("from_address", take("from_address")),
                      subject = read_line("subject", "" if subject is None else subject),
                      headers = read_headers(take("headers"), defaults),
                      raw = bool(take("raw")),
                      attachments = read_attachments(take("attachments")),
                      body = read_body(take("message"), encoding),
                      )
        if not message.attachments and message.body is None:
            raise BadInput("No message")

        if others.get("list_unsubscribe"):
            # The only other argument that becomes a header
            others["list_unsubscribe"] = read_list_unsubscribe(others["list_unsubscribe"])
        message.options = {name: value for name, value in others.items()
                           if value is not None}
        message.check_size(max_bytes)
        return message

    # -------------------------------------------------------------------------
    def check_size(self, max_bytes):
        """
            Refuse a message that is too large

            Args:
                max_bytes: the limit (bytes); None = no limit

            Raises:
                BadInput: it is larger
        """

        texts = [self.subject, *self.to, *self.cc, *self.reply_to, *self.headers,
                 *self.headers.values(), *texts_of(self.body),
                 *map(str, self.options.values())]
        size_bytes = sum(map(len, self.attachments)) + \
            sum(len(text) if text.isascii() else len(text.encode("utf-8")) for text in texts)
        if max_bytes is not None and size_bytes > max_bytes:
            raise BadInput("Message too large: %s bytes, the limit is %s" %
                           (size_bytes, max_bytes))

    # -------------------------------------------------------------------------
    def arguments(self):
        """
            The arguments for Mail.send

            Returns:
                dict; Mail.send may change it and the lists in it
        """

        arguments = {"to": list(self.to),
                     "subject": self.subject,
                     "message": self.body,
                     "headers": dict(self.headers),
                     }
        for key in ("cc", "bcc", "reply_to"):
            value = getattr(self, key)
            if value:
                arguments[key] = list(value)
        for key in ("sender", "from_address", "raw"):
            value = getattr(self, key)
            if value:
                arguments[key] = value
        if self.attachments:
            arguments["attachments"] = [message_from_bytes(part)
                                        for part in self.attachments]
        arguments.update(self.options)
        return arguments

    # -------------------------------------------------------------------------
    def id_header(self, configured_sender):
        """
            A Message-ID for all attempts (RFC 5322 section 3.6.4)

            Args:
                configured_sender: the sender if the message has none of its own

            Returns:
                the header's text; the message's own Message-ID, if it has one
        """

        for name, value in self.headers.items():
            if name.lower() == "message-id":
                return value[:MAX_ID_CHARS]
        sender = self.sender if self.sender != NULL_PATH else None
        try:
            domain = address_of(sender or configured_sender).rpartition("@")[2]
        except BadInput:
            domain = socket.gethostname()
        return "<%s@%s>" % (uuid4().hex, domain[:MAX_ID_DOMAIN_CHARS])

    # -------------------------------------------------------------------------
    def is_for(self, address):
        """ Whether an address is one of its recipients; true if it names none """

        return not self.recipients or address in self.recipients

    # -------------------------------------------------------------------------
    def only_to(self, recipients):
        """
            The same message for some of its recipients

            Args:
                recipients: their addresses (list)

            Returns:
                a new Message
        """

        wanted = set(recipients)
        lists = {key: [text for text in getattr(self, key) if address_of(text) in wanted]
                 for key in ("to", "cc", "bcc")}
        # Mail.send needs at least one
        lists["to"] = lists["to"] or list(recipients)
        return replace(self, recipients=list(recipients), **lists)

    # -------------------------------------------------------------------------
    def dump(self):
        """
            The stored form
            - the body is apart from the head: lists need not read it, and it
              can be dropped when the mail is sent
            - pure ASCII: no codec of a database can refuse or change it

            Returns:
                tuple (head, body, attachments): JSON, JSON, list of bytes

            Raises:
                TypeError: an argument can not be stored
        """

        head = {"version": VERSION,
                "attachments": len(self.attachments),
                }
        for key in ("to", "recipients", "subject", "cc", "bcc", "reply_to",
                    "sender", "from_address", "headers", "raw", "options"):
            head[key] = getattr(self, key)
        return json.dumps(head), json.dumps(self.body), self.attachments

    # -------------------------------------------------------------------------
    @classmethod
    def load(cls, head, body, attachments):
        """
            Read the stored form

            Args:
                head, body: JSON from dump()
                attachments: function that returns the attachments (list of
                             bytes); called only if there are any

            Returns:
                the Message

            Raises:
                NewerVersion: a newer MailS3 has stored it
                ValueError: it is not readable
        """

        try:
            return cls._load(json.loads(head), body, attachments)
        except NewerVersion:
            raise
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError("Not readable: %s" % type(error).__name__) from None

    # -------------------------------------------------------------------------
    @classmethod
    def _load(cls, head, body, attachments):
        """ Read the stored form; any exception means that it is not readable """

        version = head.pop("version")
        if version > VERSION:
            raise NewerVersion("Stored by a newer version of MailS3 (%s)" % version)
        count = head.pop("attachments")
        parts = attachments() if count else []
        if len(parts) != count:
            raise KeyError("attachments")

        message = cls(body=json.loads(body), attachments=parts, **head)
        addresses = (message.to, message.recipients, message.cc, message.bcc, message.reply_to)
        if not (isinstance(message.headers, dict) and
                isinstance(message.options, dict) and
                isinstance(message.sender, (str, type(None))) and
                all(isinstance(text, str) for texts in addresses for text in texts)):
            raise TypeError("stored form")
        return message

# -----------------------------------------------------------------------------
def header_texts(mailboxes):
    """ Mailboxes as texts for a header (list of str) """

    return list(map(str, mailboxes))

# END =========================================================================
