# -*- coding: utf-8 -*-

"""
    What an admin sees of the queue: deliveries with their story; reads only

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import json

from ..message.domain import with_ascii_domain
from ..states import state_of
from .contents import Contents
from .statistics import Statistics

__all__ = ("Report",)

# The columns of an entry; without the bodies
OUTBOX_COLUMNS = ("id", "address", "status", "retries", "created_on", "modified_on")
DELIVERY_COLUMNS = ("id", "message_id", "queue", "due_on", "attempts", "deferred_on", "lease",
                    "leased_until", "begun_on", "tried_on", "captured_on", "reply")
MESSAGE_COLUMNS = ("id", "message_id_header", "queued_on", "expires_on", "head",
                   "stored_bytes", "secret")

# The parts of a message's head that tell who it is from and to
ADDRESSED = ("sender", "from_address", "to", "cc", "bcc", "reply_to")

# =============================================================================
class Report(Statistics):
    """
        The deliveries, one by one, by their number: the id of their row in
        msg_outbox. A host may change select() and expanded().
    """

    def __init__(self, tables, channel):
        """
            Args:
                tables: the Tables
                channel: its name
        """

        super().__init__(tables, channel)
        self.contents = Contents(tables)
        self.attempt = tables.attempt
        self.columns = [self.outbox[name] for name in
                        OUTBOX_COLUMNS + ("deleted",) * tables.keeps_deleted] + \
                       [self.delivery[name] for name in DELIVERY_COLUMNS] + \
                       [self.message[name] for name in MESSAGE_COLUMNS]

    # -------------------------------------------------------------------------
    # A page of them
    #
    def page(self, state=None, search=None, before=None, after=None, limit=50):
        """
            A page of deliveries, the newest first
            - by numbers and not by offsets: the last page of 100,000 rows costs
              as much as the first one

            Args:
                state: one of STATES; None = all
                search: a part of the address, or a number
                before: only deliveries with a smaller number
                after: only deliveries with a greater number
                limit: how many at most

            Returns:
                tuple (list of entries, whether there are older ones,
                whether there are newer ones)
        """

        outbox = self.outbox
        query = self.mails
        if state:
            query &= self.is_in(state)
        if search:
            # The domain may be stored in another form than a person writes it
            found = outbox.address.contains(list({search, with_ascii_domain(search)}), all=False)
            if search.isascii() and search.isdigit():
                found |= (outbox.id == int(search[:9]))
            query &= found

        if after is not None:
            entries = self.select(query & (outbox.id > after), outbox.id, limit + 1)
            newer = len(entries) > limit
            return entries[:limit][::-1], True, newer

        newer = before is not None
        if newer:
            query &= (outbox.id < before)
        entries = self.select(query, ~outbox.id, limit + 1)
        return entries[:limit], len(entries) > limit, newer

    # -------------------------------------------------------------------------
    def select(self, query, order, limit):
        """
            Read entries, without contents

            Args:
                query: the Query, for msg_outbox and its companions
                order: what to sort by
                limit: how many at most

            Returns:
                list of entries (dict)
        """

        rows = self.db(query).select(
                    *self.columns,
                    left = (self.delivery.on(self.delivery.outbox_id == self.outbox.id),
                            self.message.on(self.message.id == self.delivery.message_id)),
                    orderby = order,
                    limitby = (0, limit),
                    )
        return [self._entry(row) for row in rows]

    # -------------------------------------------------------------------------
    @staticmethod
    def _entry(row):
        """ An entry of a row (dict) """

        entry, own, mail = row.msg_outbox, row.mails3_delivery, row.mails3_message
        head = read_head(mail.head)
        return {"number": entry.id,
                "address": entry.address,
                # A host may know a person without an address
                "recipient": entry.address or "nobody",
                "state": "deleted" if entry.get("deleted") else
                         state_of(entry.status, own.queue, bool(own.captured_on)),
                "subject": head.get("subject"),
                "queued_on": mail.queued_on or entry.created_on,
                "expires_on": mail.expires_on,
                "attempts": own.attempts or 0,
                "retries": entry.retries,
                "due_on": own.due_on,
                "tried_on": own.tried_on,
                "captured_on": own.captured_on,
                "settled_on": entry.modified_on,
                "reply": own.reply,
                "message_id_header": mail.message_id_header,
                "size": mail.stored_bytes,
                "secret": bool(mail.secret),
                # Not shown
                "delivery": own.id,
                "message_id": own.message_id,
                "status": entry.status,
                "begun_on": own.begun_on,
                "leased_until": own.leased_until if own.lease else None,
                }

    # -------------------------------------------------------------------------
    # One of them
    #
    def entry(self, number):
        """ The entry of a delivery, or None """

        found = self.select(self.outbox.id == number, self.outbox.id, 1)
        return found[0] if found else None

    # -------------------------------------------------------------------------
    def attempts(self, entry):
        """ The attempts that failed, the first one first (list of dict) """

        table = self.attempt
        return self.db(table.delivery_id == entry["delivery"]).select(
                    table.tried_on, table.phase, table.code, table.reply,
                    orderby = table.id).as_list()

    # -------------------------------------------------------------------------
    def recent(self, limit=5):
        """ The last attempts that failed: list of (attempt, entry) """

        table = self.attempt
        rows = self.db((table.delivery_id == self.delivery.id) &
                       (self.delivery.channel == self.channel) &
                       (self.outbox.id == self.delivery.outbox_id) & self.mails).select(
                            table.id, table.tried_on, table.phase, table.code,
                            table.reply, self.delivery.outbox_id,
                            orderby = ~table.id,
                            limitby = (0, limit))
        return [(row.mails3_attempt, self.entry(row.mails3_delivery.outbox_id))
                for row in rows]

    # -------------------------------------------------------------------------
    def others(self, entry, limit=200):
        """ The entries of the other recipients of the same message """

        if entry["message_id"] is None:
            return []
        return self.select((self.delivery.message_id == entry["message_id"]) &
                           (self.outbox.id != entry["number"]) & self.mails,
                           self.outbox.id, limit)

    # -------------------------------------------------------------------------
    def expanded(self, entry, limit=200):
        """ The entries of the members of a group that an entry stands for """

        return []

    # -------------------------------------------------------------------------
    def head(self, entry):
        """ The addresses in the header of a delivery's message (dict) """

        row = self.db(self.message.id == entry["message_id"]).select(self.message.head).first()
        head = read_head(row and row.head)
        return {key: head.get(key) for key in ADDRESSED}

    # -------------------------------------------------------------------------
    def has_content(self, message_id):
        """ Whether the content of a message is kept """

        return self.contents.is_kept(message_id)

    # -------------------------------------------------------------------------
    def content(self, entry):
        """
            The content of a delivery's message

            Args:
                entry: as from entry()

            Returns:
                the Message; None if it is not kept

            Raises:
                ValueError: it is not readable
        """

        if not self.contents.is_kept(entry["message_id"]):
            return None
        return self.contents.load(entry["message_id"])[0]

# -----------------------------------------------------------------------------
def read_head(text):
    """ The head of a stored message (dict), empty if it is damaged """

    try:
        head = json.loads(text or "{}")
    except ValueError:
        head = None
    return head if isinstance(head, dict) else {}

# END =========================================================================
