# -*- coding: utf-8 -*-

"""
    Messages in the database: stored, found, read

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import hashlib
import json
import zlib

from base64 import b64decode, b64encode

from ..message.stored import Message
from .database import check_size, execute, insert_rows, is_duplicate, sql_time

__all__ = ("Contents", "QueuedAlready", "packed", "unpacked")

# A body of that size is stored compressed (characters), and begins so: JSON
# can't begin with that letter
PACKED_FROM_CHARS = 100000
PACKED = "zlib:"

# =============================================================================
class QueuedAlready(Exception):
    """ Another request has just queued a message with the same idempotency key """

# =============================================================================
class Contents:
    """ The rows of mails3_message and mails3_attachment; commits are the caller's """

    def __init__(self, tables):
        """
            Args:
                tables: the Tables
        """

        self.tables = tables
        self.db = tables.db
        self.message = tables.message
        self.attachment = tables.attachment

    # -------------------------------------------------------------------------
    def store(self, message, message_id_header, now, expires_on=None,
              idempotency_key=None, secret=False):
        """
            Store a message, without deliveries

            Args:
                message: the Message
                message_id_header: its Message-ID
                now: the time
                expires_on: not to be sent after that (datetime, None = no limit)
                idempotency_key: the same key is stored only once
                secret: its content may be dropped once it is sent

            Returns:
                its id

            Raises:
                QueuedAlready: another request has just stored a message with that key
                BadInput: it is too large for the database server
        """

        head, body, attachments = message.dump()
        body = packed(body)
        # Before anything is stored; pydal writes attachments as base64
        check_size(self.db, max(map(len, attachments), default=0) * 4 // 3)
        try:
            message_id, = insert_rows(
                            self.db, self.message,
                            "message_id_header, idempotency_key, queued_on, expires_on, "
                            "individual, secret, head, body, stored_bytes",
                            ["?, ?, ?, ?, ?, ?, ?, ?, ?"],
                            message_id_header,
                            idempotency_key and digest(idempotency_key),
                            sql_time(now),
                            expires_on and sql_time(expires_on),
                            sql_flag(not message.to), sql_flag(secret), head, body,
                            sum(map(len, (head, body, *attachments))))
        except Exception as error:
            if idempotency_key and is_duplicate(error):
                raise QueuedAlready(idempotency_key) from error
            raise
        for part_no, payload in enumerate(attachments):
            self.attachment.insert(message_id=message_id, part_no=part_no, payload=payload)
        return message_id

    # -------------------------------------------------------------------------
    def find(self, idempotency_key):
        """ The id of the message that was stored with a key, or None """

        query = (self.message.idempotency_key == digest(idempotency_key))
        row = self.db(query).select(self.message.id, limitby=(0, 1)).first()
        return row and row.id

    # -------------------------------------------------------------------------
    def read(self, message_ids):
        """
            Read the rows of several messages by one query

            Args:
                message_ids: list of their ids; a damaged delivery has None

            Returns:
                dict {id: (message_id_header, head, body)}; see load()
        """

        ids = ", ".join(str(int(message_id or 0)) for message_id in message_ids)
        rows = execute(self.db, "SELECT id, message_id_header, head, body FROM %s "
                                "WHERE id IN (%s)" % (self.message._rname, ids)).fetchall()
        return {row[0]: row[1:] for row in rows}

    # -------------------------------------------------------------------------
    def load(self, message_id, rows=None):
        """
            Make a Message of a stored one, with its attachments

            Args:
                message_id: its id
                rows: as from read(); None = read it now

            Returns:
                tuple (Message, message_id_header)

            Raises:
                NewerVersion: a newer MailS3 has stored it
                ValueError: it is missing, or not readable
        """

        if rows is None:
            rows = self.read([message_id])
        message_id_header, head, body = rows.get(message_id, (None, None, None))
        if head is None or body is None:
            raise ValueError("The message is missing")
        message = Message.load(head, unpacked(body), lambda: self._attachments(message_id))
        return message, message_id_header

    # -------------------------------------------------------------------------
    def _attachments(self, message_id):
        """ The attachments of a message, in their order (list of bytes) """

        table = self.attachment
        rows = self.db(table.message_id == message_id).select(table.payload,
                                                              orderby = table.part_no)
        # pydal gives a blob as text where the blob is UTF-8
        return [row.payload if isinstance(row.payload, bytes)
                else row.payload.encode("utf-8") for row in rows]

    # -------------------------------------------------------------------------
    def is_kept(self, message_id):
        """ Whether the content of a message has not been dropped """

        return not self.db((self.message.id == message_id) &
                           (self.message.body != None)).isempty()

# -----------------------------------------------------------------------------
def packed(body):
    """
        A body as it is stored: a large one is compressed. JSON takes six bytes
        for a letter that is not ASCII, and a server takes 4 or 16 MB at a
        time. The result is ASCII, so that no codec can spoil it.

        Args:
            body: JSON (str)

        Returns:
            the same, or PACKED followed by base64
    """

    if len(body) < PACKED_FROM_CHARS:
        return body
    utf8 = json.dumps(json.loads(body), ensure_ascii=False).encode("utf-8", "surrogatepass")
    # Level 1 is seven times as fast as the default, and saves nearly as much
    return PACKED + b64encode(zlib.compress(utf8, 1)).decode("ascii")

# -----------------------------------------------------------------------------
def unpacked(body):
    """ The JSON of a body as stored; raises ValueError if it is damaged """

    if not body.startswith(PACKED):
        return body
    try:
        utf8 = zlib.decompress(b64decode(body[len(PACKED):]))
        return utf8.decode("utf-8", "surrogatepass")
    except zlib.error as error:
        raise ValueError("Not readable: %s" % error) from None

# -----------------------------------------------------------------------------
def digest(idempotency_key):
    """
        A key as it is stored: databases differ in which texts they take for
        equal (case, trailing spaces), but not in hexadecimal numbers
    """

    return hashlib.sha256(idempotency_key.encode("utf-8")).hexdigest()

# -----------------------------------------------------------------------------
def sql_flag(value):
    """ A truth as pydal writes it """

    return "T" if value else "F"

# END =========================================================================
