# -*- coding: utf-8 -*-

"""
    What one send() call hands over: every form that Mail.send takes, made
    plain, checked, and stored as versioned JSON plus blobs

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import json
import re

from dataclasses import dataclass, field, replace
from email import message_from_bytes
from email.message import Message as MimePart
from email.utils import formatdate

from .address import BadInput, address_of, check_unicode, read_addresses, read_line, \
                     read_sender, read_unsubscribe
from .header import FOLDED

__all__ = ("NewerVersion", "Message")

# Version of the stored form; a reader refuses what is newer than itself
VERSION = 1

# RFC 5322 section 2.2: printable ASCII except colon
HEADER_NAME = re.compile(r"[!-9;-~]{1,200}")

# Headers with addresses in them (lower case), in which nothing but names may be encoded
ADDRESSED = ("from", "sender", "to", "cc", "bcc", "reply-to", "errors-to", "return-path",
             "disposition-notification-to", "return-receipt-to")

# Longest name of an attachment; file systems take no more (characters)
LONGEST_NAME = 255

# =============================================================================
class NewerVersion(ValueError):
    """ Stored in a form that only a newer MailS3 can read """

# =============================================================================
@dataclass
class Message:
    """ One message, as the caller handed it over """

    # As they appear in the header; none: each recipient gets a mail of their own
    to: list
    recipients: list           # of the envelope: to, cc and bcc, each once
    subject: str = ""
    body: object = None        # str, [text, html] or None, as in Mail.send
    cc: list = field(default_factory = list)
    bcc: list = field(default_factory = list)
    reply_to: list = field(default_factory = list)
    sender: object = None      # None: the configured one at the time of sending
    from_address: object = None
    headers: dict = field(default_factory = dict)
    attachments: list = field(default_factory = list) # MIME parts
    raw: bool = False
    options: dict = field(default_factory = dict) # cipher and other arguments

    # -------------------------------------------------------------------------
    @classmethod
    def read(cls, arguments, max_size=None):
        """
            Read the arguments of a Mail.send call, in any accepted form

            Args:
                arguments: the arguments by name (dict); is not changed,
                           neither are the caller's lists
                max_size: the limit for all of it (bytes)

            Returns:
                a Message

            Raises:
                BadInput: what is wrong, in words
        """

        arguments = dict(arguments)
        encoding = arguments.pop("encoding", None) or "utf-8"

        to = read_addresses("to", arguments.pop("to", None))
        if not to:
            raise BadInput("No recipient")
        cc = read_addresses("cc", arguments.pop("cc", None))
        bcc = read_addresses("bcc", arguments.pop("bcc", None))
        recipients = dict.fromkeys(mailbox.address for mailbox in to + cc + bcc)

        reply_to = read_addresses("reply_to", arguments.pop("reply_to", None))
        sender = read_sender("sender", arguments.pop("sender", None))
        from_address = read_sender("from_address",
                                   arguments.pop("from_address", None))

        subject = arguments.pop("subject", None)
        subject = read_line("subject", "" if subject is None else subject)
        headers = read_headers(arguments.pop("headers", None))
        raw = bool(arguments.pop("raw", False))

        attachments = read_attachments(arguments.pop("attachments", None))
        body = read_body(arguments.pop("message", None), encoding)
        if isinstance(body, list) and body[0] is None and not body[1]:
            # An empty html alone is none: Mail.send fails over it
            body = None
        if not attachments and body is None:
            raise BadInput("No message")

        if arguments.get("list_unsubscribe"):
            # The one further argument that becomes a header
            arguments["list_unsubscribe"] = read_unsubscribe(arguments["list_unsubscribe"])

        submission = cls(to = list(map(str, to)),
                         recipients = list(recipients),
                         subject = subject,
                         body = body,
                         cc = list(map(str, cc)),
                         bcc = list(map(str, bcc)),
                         reply_to = list(map(str, reply_to)),
                         sender = sender,
                         from_address = from_address,
                         headers = headers,
                         attachments = attachments,
                         raw = raw,
                         options = {key: value for key, value in arguments.items()
                                    if value is not None},
                         )
        size = submission.size()
        if max_size is not None and size > max_size:
            raise BadInput("Message too large: %s bytes, the limit is %s" % (size, max_size))
        return submission

    # -------------------------------------------------------------------------
    def size(self):
        """ How large it is, as the caller has handed it over (bytes) """

        texts = [self.subject, *self.to, *self.cc, *self.reply_to, *self.headers,
                 *self.headers.values(), *texts_of(self.body),
                 *map(str, self.options.values())]
        return sum(map(len, self.attachments)) + \
            sum(len(text) if text.isascii() else len(text.encode("utf-8")) for text in texts)

    # -------------------------------------------------------------------------
    def arguments(self):
        """
            The arguments for Mail.send

            Returns:
                a dict that Mail.send may change as it likes
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
    def is_for(self, address):
        """ Whether an address is one of its recipients', or it has none of its own """

        return not self.recipients or address in self.recipients

    # -------------------------------------------------------------------------
    def only_to(self, recipients):
        """
            The same message, to some of its recipients

            Args:
                recipients: bare addresses

            Returns:
                a Message
        """

        wanted = set(recipients)
        lists = {key: [text for text in getattr(self, key) if address_of(text) in wanted]
                 for key in ("to", "cc", "bcc")}
        # Mail.send insists on one
        lists["to"] = lists["to"] or list(recipients)
        return replace(self, recipients=list(recipients), **lists)

    # -------------------------------------------------------------------------
    def dump(self):
        """
            The stored form
            - the texts stand apart from the rest, so that lists need not
              read them and they can be dropped when the mail is sent
            - pure ASCII: no database codec can spoil or refuse it

            Returns:
                tuple (head, body, attachments): JSON, JSON, list of bytes

            Raises:
                TypeError: an argument that can not be stored
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
                head, body: JSON, as from dump()
                attachments: function to read the attachments (list of
                             bytes), called if there are any

            Returns:
                the Message

            Raises:
                NewerVersion: of a newer version
                ValueError: not readable
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
        """ Read the stored form; as for load() """

        version = head.pop("version")
        if version > VERSION:
            raise NewerVersion("Stored by a newer version of MailS3 (%s)" % version)
        number = head.pop("attachments")
        parts = attachments() if number else []
        if len(parts) != number:
            raise KeyError("attachments")

        submission = cls(body=json.loads(body), attachments=parts, **head)
        if not (isinstance(submission.headers, dict) and
                isinstance(submission.options, dict) and
                isinstance(submission.sender, (str, type(None))) and
                all(isinstance(text, str) for texts in
                    (submission.to, submission.recipients, submission.cc,
                     submission.bcc, submission.reply_to) for text in texts)):
            raise TypeError("stored form")
        return submission

# -----------------------------------------------------------------------------
def read_headers(value):
    """ Read the additional headers; all attempts have the same Date """

    if value and not isinstance(value, dict):
        raise BadInput("headers is no dict")
    headers = {}
    for name, text in (value or {}).items():
        if not isinstance(name, str) or not HEADER_NAME.fullmatch(name):
            raise BadInput("Malformed header name")
        if isinstance(text, (int, float)):
            text = str(text)
        headers[name] = read_line("header %s" % name, text)
        if name.lower() in ADDRESSED:
            headers[name] = read_addressed(name, headers[name])
    if not any(name.lower() == "date" for name in headers):
        headers["Date"] = formatdate()
    return headers

# -----------------------------------------------------------------------------
def read_addressed(name, text):
    """ Read a header with addresses in it; ASCII may be what only its readers know """

    try:
        return ", ".join(map(str, read_addresses("header %s" % name, text)))
    except BadInput:
        if text.isascii():
            return text
        raise

# -----------------------------------------------------------------------------
def read_body(value, encoding):
    """ Read the message: a text, a file, a pair of them, or None """

    if isinstance(value, (list, tuple)):
        if len(value) != 2:
            raise BadInput("message is no pair of text and html")
        return [read_text(part, encoding) for part in value]
    return read_text(value, encoding)

# -----------------------------------------------------------------------------
def read_text(value, encoding):
    """ Read one text; a file is read once, here """

    if value is None:
        return None
    if hasattr(value, "read"):
        try:
            value = value.read()
            if isinstance(value, bytes):
                value = value.decode(encoding)
        except (OSError, ValueError, LookupError) as error:
            raise BadInput("message not readable: %s" %
                           type(error).__name__) from None
    if not isinstance(value, str):
        raise BadInput("message is no text")
    return check_unicode("message", str(value))

# -----------------------------------------------------------------------------
def texts_of(body):
    """ The texts in a body as read """

    return [text for text in (body if isinstance(body, list) else [body])
            if text is not None]

# -----------------------------------------------------------------------------
def read_attachments(value):
    """ Read one or many Mail.Attachment (or other MIME parts), as bytes """

    if isinstance(value, MimePart):
        value = [value]
    elif not value:
        return []
    elif not isinstance(value, (list, tuple)):
        raise BadInput("attachments is no list")

    parts = []
    for part in value:
        if not isinstance(part, MimePart):
            raise BadInput("An attachment is no Mail.Attachment")
        try:
            if len(part.get_filename() or "") > LONGEST_NAME:
                raise BadInput("Too long a name of an attachment")
            parts.append(part.as_bytes(policy=FOLDED))
        except BadInput:
            raise
        except (UnicodeError, ValueError, TypeError, LookupError, AttributeError):
            raise BadInput("An attachment can not be encoded") from None
    return parts

# END =========================================================================
