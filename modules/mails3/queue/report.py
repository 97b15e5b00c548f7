# -*- coding: utf-8 -*-

"""
    The report: what an admin sees of the outbox. Reads, changes nothing.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import json

from datetime import timedelta

from ..states import DEFERRED, DRAFT, FAILED, INVALID, NEW, SENT, UNSENT

__all__ = ("Report", "STATES", "state_of")

# The states of a delivery, as an admin knows them: (msg_outbox.status, queue)
STATES = {"new": (UNSENT, NEW),
          "deferred": (UNSENT, DEFERRED),
          "held": (DRAFT, None),
          "sent": (SENT, None),
          "rejected": (INVALID, None),
          "failed": (FAILED, None),
          }
NAMES = {status: name for name, (status, queue) in STATES.items() if queue is None}

# -----------------------------------------------------------------------------
def state_of(status, queue):
    """ The state of a delivery, by its status and its queue """

    if status == UNSENT:
        return "deferred" if queue == DEFERRED else "new"
    return NAMES.get(status, "unknown")

# =============================================================================
class Report:
    """ The deliveries, by their number: that of their row in msg_outbox """

    def __init__(self, outbox):
        """
            Args:
                outbox: the Outbox
        """

        self.db = db = outbox.db
        self.channel = outbox.channel
        self.contents = outbox
        self.outbox = db.msg_outbox
        self.delivery = db.mails3_delivery
        self.mail = db.mails3_message
        self.attempt = db.mails3_attempt

        # Query for the rows that are mails; those that nobody has deleted
        self.all_mails = (self.outbox.contact_method == self.channel)
        self.mails = self.all_mails & outbox.undeleted

        # Without the bodies
        self.columns = [self.outbox[name] for name in
                        ("id", "address", "status", "retries", "created_on",
                         "modified_on") + ("deleted",) * outbox.is_marked] + \
                       [self.delivery[name] for name in
                        ("id", "message_id", "queue", "due_on", "attempts",
                         "deferred_on", "lease", "leased_until", "begun_on",
                         "tried_on", "reply")] + \
                       [self.mail[name] for name in
                        ("id", "message_id_header", "queued_on", "expires_on", "head",
                         "stored_bytes", "secret")]

    # -------------------------------------------------------------------------
    # All of them
    #
    def counts(self):
        """
            How many deliveries there are in each state

            Returns:
                dict {state: number}
        """

        outbox, table = self.outbox, self.delivery
        number = outbox.id.count()
        rows = self.db(self.mails).select(outbox.status, number, groupby=outbox.status)
        counts = dict.fromkeys(STATES, 0)
        for row in rows:
            state = state_of(row.msg_outbox.status, None)
            if state in counts:
                counts[state] = row[number]

        counts["deferred"] = self.db(self._in("deferred") & self.mails &
                                     (table.outbox_id == outbox.id)).count()
        counts["new"] -= counts["deferred"]
        return counts

    # -------------------------------------------------------------------------
    def ever_sent(self):
        """ How many mails the mail server has accepted, of those that are kept """

        return self.db((self.outbox.status == SENT) & self.all_mails).count()

    # -------------------------------------------------------------------------
    def waiting(self, queue):
        """ How many deliveries wait in a queue """

        return self.db((self.delivery.channel == self.channel) &
                       (self.delivery.queue == queue) &
                       (self.outbox.id == self.delivery.outbox_id) &
                       self.contents.undeleted).count()

    # -------------------------------------------------------------------------
    def oldest(self):
        """ Since when the oldest unsent delivery waits; None if none does """

        oldest = self.outbox.created_on.min()
        row = self.db((self.outbox.status == UNSENT) & self.mails).select(oldest).first()
        return row[oldest]

    # -------------------------------------------------------------------------
    def hours(self, now):
        """
            What became of the deliveries of the last day, hour by hour

            Args:
                now: the time

            Returns:
                list of 24 tuples (beginning of the hour, sent, not sent)
        """

        this_hour = now.replace(minute=0, second=0, microsecond=0)
        starts = [this_hour - timedelta(hours=back) for back in range(23, -1, -1)]

        outbox, table = self.outbox, self.delivery
        # Not ambiguous within a day
        hour, number = table.tried_on.hour(), table.id.count()
        rows = self.db((table.tried_on >= starts[0]) &
                       (table.channel == self.channel) &
                       (outbox.id == table.outbox_id) & self.mails &
                       (outbox.status.belongs((SENT, INVALID, FAILED)))
                       ).select(hour, outbox.status, number,
                                groupby = hour | outbox.status)
        totals = {}
        for row in rows:
            key = (int(row[hour]), row.msg_outbox.status == SENT)
            totals[key] = totals.get(key, 0) + row[number]
        return [(start, totals.get((start.hour, True), 0),
                 totals.get((start.hour, False), 0)) for start in starts]

    # -------------------------------------------------------------------------
    def sizes(self):
        """ How much is kept: numbers of rows, and bytes of messages """

        total = self.mail.stored_bytes.sum()
        return {"deliveries": self.db(self.delivery).count(),
                "messages": self.db(self.mail).count(),
                "attempts": self.db(self.attempt).count(),
                "bytes": int(self.db(self.mail).select(total).first()[total] or 0),
                }

    # -------------------------------------------------------------------------
    # Some of them
    #
    def page(self, state=None, search=None, before=None, after=None, limit=50):
        """
            A page of deliveries, the newest first
            - goes by numbers and not by offsets: the last page of 100,000
              rows costs what the first one does

            Args:
                state: one of STATES; None = all
                search: a part of the address, or a number
                before: those with a smaller number
                after: those with a greater number
                limit: how many at most

            Returns:
                tuple (list of entries, whether there are older ones,
                whether there are newer ones)
        """

        outbox = self.outbox
        query = self.mails
        if state:
            query &= self._in(state)
        if search:
            found = outbox.address.contains(search)
            if search.isascii() and search.isdigit():
                found |= (outbox.id == int(search[:9]))
            query &= found

        if after is not None:
            entries = self._select(query & (outbox.id > after), outbox.id, limit + 1)
            newer = len(entries) > limit
            return entries[:limit][::-1], True, newer

        newer = before is not None
        if newer:
            query &= (outbox.id < before)
        entries = self._select(query, ~outbox.id, limit + 1)
        return entries[:limit], len(entries) > limit, newer

    # -------------------------------------------------------------------------
    def _in(self, state):
        """ Query for the deliveries in a state """

        status, queue = STATES[state]
        query = (self.outbox.status == status)
        if state == "deferred":
            query &= (self.delivery.channel == self.channel) & \
                     (self.delivery.queue == DEFERRED)
        elif state == "new":
            # Also what Eden has just queued, and no run has seen yet
            query &= (self.delivery.queue == None) | (self.delivery.queue != DEFERRED)
        return query

    # -------------------------------------------------------------------------
    def _select(self, query, order, limit):
        """ Entries of the report (list of dict), without contents """

        rows = self.db(query).select(
                    *self.columns,
                    left = (self.delivery.on(self.delivery.outbox_id == self.outbox.id),
                            self.mail.on(self.mail.id == self.delivery.message_id)),
                    orderby = order,
                    limitby = (0, limit),
                    )
        return [self._entry(row) for row in rows]

    # -------------------------------------------------------------------------
    @staticmethod
    def _entry(row):
        """ An entry, as shown and as printed """

        entry, own, mail = row.msg_outbox, row.mails3_delivery, row.mails3_message
        head = read_head(mail.head)
        return {"number": entry.id,
                "address": entry.address,
                # For people: a host may know someone without an address
                "recipient": entry.address or "nobody",
                "state": "deleted" if entry.get("deleted") else
                         state_of(entry.status, own.queue),
                "subject": head.get("subject"),
                "queued_on": mail.queued_on or entry.created_on,
                "expires_on": mail.expires_on,
                "attempts": own.attempts or 0,
                "retries": entry.retries,
                "due_on": own.due_on,
                "tried_on": own.tried_on,
                "settled_on": entry.modified_on,
                "reply": own.reply,
                "message_id_header": mail.message_id_header,
                "size": mail.stored_bytes,
                "secret": bool(mail.secret),
                # Not for people
                "delivery": own.id,
                "mail": own.message_id,
                "status": entry.status,
                "begun_on": own.begun_on,
                "leased_until": own.leased_until if own.lease else None,
                }

    # -------------------------------------------------------------------------
    # One of them
    #
    def entry(self, number):
        """ The entry of a delivery, None if there is none """

        found = self._select(self.outbox.id == number, self.outbox.id, 1)
        return found[0] if found else None

    # -------------------------------------------------------------------------
    def attempts(self, entry):
        """ The attempts that were in vain, the first one first (list of dict) """

        table = self.attempt
        return self.db(table.delivery_id == entry["delivery"]).select(
                    table.tried_on, table.phase, table.code, table.reply,
                    orderby = table.id).as_list()

    # -------------------------------------------------------------------------
    def recent(self, limit=5):
        """ The last attempts that were in vain: list of (attempt, entry) """

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

        if entry["mail"] is None:
            return []
        return self._select((self.delivery.message_id == entry["mail"]) &
                            (self.outbox.id != entry["number"]) & self.mails,
                            self.outbox.id, limit)

    # -------------------------------------------------------------------------
    def expanded(self, entry, limit=200):
        """
            The entries of those to whom a row for many was expanded; for a
            host that has such rows
        """

        return []

    # -------------------------------------------------------------------------
    def head(self, entry):
        """ Who it is from and to, as in its header (dict) """

        row = self.db(self.mail.id == entry["mail"]).select(self.mail.head).first()
        head = read_head(row and row.head)
        return {key: head.get(key) for key in
                ("sender", "from_address", "to", "cc", "bcc", "reply_to")}

    # -------------------------------------------------------------------------
    def has_content(self, message_id):
        """ Whether the content of a message is still there """

        return not self.db((self.mail.id == message_id) &
                           (self.mail.body != None)).isempty()

    # -------------------------------------------------------------------------
    def content(self, entry):
        """
            The content of a delivery's message

            Returns:
                the Message; None if it is not with us (any more)

            Raises:
                ValueError: it can't be read
        """

        if not self.has_content(entry["mail"]):
            return None
        return self.contents.content(entry["mail"])[0]

# -----------------------------------------------------------------------------
def read_head(text):
    """ The head of a message, as far as it can be read (dict) """

    try:
        head = json.loads(text or "{}")
    except ValueError:
        head = None
    return head if isinstance(head, dict) else {}

# END =========================================================================
