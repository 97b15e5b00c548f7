# -*- coding: utf-8 -*-

"""
    The content of a message (RFC 5322: headers, body; attachments), in any form
    that Mail.send takes: read and checked

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import re

from email.message import Message as MimePart
from email.utils import formatdate

from .address import read_addresses
from .header import ADDRESS_HEADERS, FOLDED
from .text import BadInput, check_unicode, read_line

__all__ = ("has_header", "read_attachments", "read_body", "read_headers", "texts_of")

# RFC 5322 section 2.2: printable ASCII except colon
HEADER_NAME = re.compile(r"[!-9;-~]{1,200}")

# The longest name of an attachment that file systems take
MAX_FILENAME_CHARS = 255

# -----------------------------------------------------------------------------
def read_headers(value, defaults=None):
    """
        Read the additional headers
        - a missing Date is added, so that all attempts have the same one

        Args:
            value: dict {name: text or number}, or None
            defaults: headers that are added, unless the call has its own (dict
                      {name: text}); None = none

        Returns:
            dict {name: text}

        Raises:
            BadInput: a name or a text is malformed
    """

    if value and not isinstance(value, dict):
        raise BadInput("headers is not a dict")
    headers = {}
    for name, text in (value or {}).items():
        if not isinstance(name, str) or not HEADER_NAME.fullmatch(name):
            raise BadInput("Malformed header name")
        if isinstance(text, (int, float)):
            text = str(text)
        headers[name] = read_line("header %s" % name, text)
        if name.lower() in ADDRESS_HEADERS:
            headers[name] = read_address_header(name, headers[name])
    for name, text in (defaults or {}).items():
        if not has_header(headers, name):
            headers[name] = text
    if not has_header(headers, "Date"):
        headers["Date"] = formatdate()
    return headers

# -----------------------------------------------------------------------------
def has_header(headers, name):
    """ Whether there is a header with a name, in whatever case (headers: dict) """

    return name.lower() in map(str.lower, headers)

# -----------------------------------------------------------------------------
def read_address_header(name, text):
    """ Read a header with addresses; an ASCII text without any is kept as it is """

    try:
        return ", ".join(map(str, read_addresses("header %s" % name, text)))
    except BadInput:
        if text.isascii():
            return text
        raise

# -----------------------------------------------------------------------------
def read_body(value, encoding):
    """
        Read the body

        Args:
            value: a text, a file, a pair of them (text and html), or None
            encoding: of files that are read as bytes

        Returns:
            str, list [text, html] where one may be None, or None

        Raises:
            BadInput: it is something else, or can not be read
    """

    if not isinstance(value, (list, tuple)):
        return read_text(value, encoding)
    if len(value) != 2:
        raise BadInput("message is not a pair of text and html")
    text, html = [read_text(part, encoding) for part in value]
    if text is None and not html:
        # Mail.send fails if there is an empty html and nothing else
        return None
    return [text, html]

# -----------------------------------------------------------------------------
def read_text(value, encoding):
    """ Read one text of the body; a file is read here, and only once """

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
        raise BadInput("message is not a text")
    return check_unicode("message", str(value))

# -----------------------------------------------------------------------------
def texts_of(body):
    """ The texts in a body from read_body() (list of str) """

    return [text for text in (body if isinstance(body, list) else [body])
            if text is not None]

# -----------------------------------------------------------------------------
def read_attachments(value):
    """
        Read the attachments

        Args:
            value: one or many Mail.Attachment (or other MIME parts), or None

        Returns:
            list of bytes, one MIME part each

        Raises:
            BadInput: it is something else, or can not be encoded
    """

    if isinstance(value, MimePart):
        value = [value]
    elif not value:
        return []
    elif not isinstance(value, (list, tuple)):
        raise BadInput("attachments is not a list")

    parts = []
    for part in value:
        if not isinstance(part, MimePart):
            raise BadInput("An attachment is not a Mail.Attachment")
        try:
            if len(part.get_filename() or "") > MAX_FILENAME_CHARS:
                raise BadInput("Too long a name of an attachment")
            parts.append(part.as_bytes(policy=FOLDED))
        except BadInput:
            raise
        except (UnicodeError, ValueError, TypeError, LookupError, AttributeError):
            raise BadInput("An attachment can not be encoded") from None
    return parts

# END =========================================================================
