# -*- coding: utf-8 -*-

"""
    The outbox: msg_outbox with its companion tables, its queries, one verb
    per transition. A result counts only while the lease is still ours.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import hashlib
import json
import zlib

from base64 import b64decode, b64encode
from datetime import datetime, timedelta
from uuid import uuid4

from ..states import BEHIND, DEFERRED, DRAFT, EMAIL, FAILED, INVALID, NEW, NORMAL, SENT, \
                     UNSENT, Delivery, times_in_doubt, words
from .schema import check_size, execute, skips_locked, text
from ..message.stored import Message

__all__ = ("Outbox", "QueuedAlready")

# Whether a lease is still ours, of deliveries that are found by their id. Not
# by the index of the leases: MySQL would lock the gap before the lease as well,
# and a visitor who tries a mail at once would hold up all who queue one.
OURS = "COALESCE(lease, '') = ?"

# A body is stored compressed from that size on (characters), and begins so;
# JSON can't begin with that letter
PACK_FROM = 100000
PACKED = "zlib:"
DELETED = "Deleted in the outbox of the app"

# =============================================================================
class QueuedAlready(Exception):
    """ Somebody else has just queued a message with the same key """

# =============================================================================
class Outbox:
    """ The queue in the database; times are UTC, and passed in """

    def __init__(self, db, longest_wait=14400, channel=EMAIL):
        """
            Args:
                db: the DAL, with the tables of schema.py
                longest_wait: of a refused delivery (seconds)
                channel: the way of sending whose deliveries are meant
        """

        self.db = db
        self.channel = channel
        # Nothing rightly waits for longer: a refused one with its spread, or
        # one that was postponed to the next day
        self.horizon = timedelta(seconds = 2 * longest_wait + 90000)
        self.mail = db.mails3_message
        self.attachment = db.mails3_attachment
        self.attempt = db.mails3_attempt
        self.delivery = db.mails3_delivery
        self.outbox = db.msg_outbox
        # Eden keeps a row that somebody deletes, and marks it
        self.is_marked = "deleted" in self.outbox.fields
        # Query for the rows that are not deleted
        self.undeleted = (self.outbox.deleted == False) if self.is_marked \
            else (self.outbox.id > 0)

    # -------------------------------------------------------------------------
    # Queueing: part of the caller's transaction
    #
    def add(self, submission, message_id_header, now, retries=None, priority=NORMAL,
            **values):
        """
            Queue a message

            Args:
                submission: the Message
                message_id_header: its Message-ID header
                now: the time
                retries: how often each delivery may be retried; None = no limit
                priority: 0 (first) to 9 (last)
                values: as for store()

            Returns:
                list of the ids of its deliveries
        """

        message_id = self.store(submission, message_id_header, now, **values)
        entries = self._insert(self.outbox, *literals(self.outbox,
                                                      {"contact_method": EMAIL,
                                                       "status": UNSENT,
                                                       "retries": retries,
                                                       "created_on": now,
                                                       "modified_on": now,
                                                       },
                                                      [{"address": address} for address
                                                       in submission.recipients]))
        return self._insert(self.delivery,
                            "outbox_id, message_id, channel, queue, priority, due_on, "
                            "attempts, in_doubt_count",
                            ["%d, %d, '%s', %d, %d, '%s', 0, 0" %
                             (entry, message_id, EMAIL, NEW, priority, text(now))
                             for entry in entries])

    # -------------------------------------------------------------------------
    def store(self, submission, message_id_header, now, expires_on=None,
              idempotency_key=None, secret=False):
        """
            Store a message, without deliveries

            Args:
                submission: the Message
                message_id_header: its Message-ID header
                now: the time
                expires_on: not to be sent after that
                idempotency_key: the same key is queued only once
                secret: its content may be dropped once it is sent

            Returns:
                its id

            Raises:
                QueuedAlready: somebody else has just stored one with that key
                BadInput: it is too large for the database server
        """

        head, body, attachments = submission.dump()
        body = packed(body)
        # Before anything is stored; pydal writes them as base64
        check_size(self.db, max(map(len, attachments), default=0) * 4 // 3)
        try:
            message_id, = self._insert(self.mail,
                                       "message_id_header, idempotency_key, queued_on, expires_on, "
                                       "individual, secret, head, body, stored_bytes",
                                       ["?, ?, ?, ?, ?, ?, ?, ?, ?"],
                                       message_id_header,
                                       idempotency_key and digest(idempotency_key),
                                       text(now),
                                       expires_on and text(expires_on),
                                       flag(not submission.to), flag(secret), head, body,
                                       sum(map(len, (head, body, *attachments))))
        except Exception as error:
            if idempotency_key and is_duplicate(error):
                raise QueuedAlready(idempotency_key) from error
            raise
        for number, content in enumerate(attachments):
            self.attachment.insert(message_id=message_id, part_no=number, payload=content)
        return message_id

    # -------------------------------------------------------------------------
    def find(self, idempotency_key):
        """ The id of the message that has been queued with a key, or None """

        query = (self.mail.idempotency_key == digest(idempotency_key))
        row = self.db(query).select(self.mail.id, limitby=(0, 1)).first()
        return row and row.id

    # -------------------------------------------------------------------------
    # Claiming
    #
    def is_empty(self, queue, now):
        """ Whether nothing waits to be sent in a queue: one query, no write """

        return self.db(self.waiting(queue, now)).isempty()

    # -------------------------------------------------------------------------
    def claim(self, queue, limit, now, until):
        """
            Claim deliveries: what nobody has claimed, or no longer; to be
            committed before any of it is sent

            Args:
                queue: NEW or DEFERRED
                limit: how many at most
                now: the time
                until: the end of the lease

            Returns:
                the lease (str), or None if nothing waits
        """

        table = self.delivery
        query = self.waiting(queue, now) & self._free(now)
        select = self.db(query)._select(table.id,
                                        orderby = table.priority | table.due_on | table.id,
                                        limitby = (0, limit),
                                        )
        if skips_locked(self.db):
            # What another worker is just claiming need not be waited for
            select = "%s FOR UPDATE SKIP LOCKED;" % select.rstrip("; ")
        ids = [row[0] for row in self.db.executesql(select)]

        return self.claim_these(ids, now, until) if ids else None

    # -------------------------------------------------------------------------
    def claim_these(self, ids, now, until):
        """
            Claim certain deliveries, as far as nobody has claimed them

            Args:
                ids: of the deliveries
                now: the time
                until: the end of the lease

            Returns:
                the lease (str)
        """

        lease = uuid4().hex
        self.db(self.delivery.id.belongs(ids) &
                self._free(now)).update(lease=lease, leased_until=until)
        return lease

    # -------------------------------------------------------------------------
    def renew(self, lease, until):
        """ Keep what is claimed, for the run is still alive """

        self.db(self.delivery.lease == lease).update(leased_until=until)

    # -------------------------------------------------------------------------
    def queue_released(self):
        """ Take what is unsent and in no queue: somebody has released it """

        table, outbox = self.delivery, self.outbox
        unsent = self.db((outbox.status == UNSENT) & self.undeleted)._select(outbox.id)
        self.db((table.queue == None) &
                table.outbox_id.belongs(unsent)).update(queue=NEW)

    # -------------------------------------------------------------------------
    def hasten(self):
        """ What was refused need not wait any more """

        table = self.delivery
        self.db((table.channel == self.channel) &
                (table.queue == DEFERRED)).update(queue=NEW)

    # -------------------------------------------------------------------------
    def waiting(self, queue, now):
        """ Query for what waits in a queue, and need not wait any more """

        table = self.delivery
        waiting = (table.channel == self.channel) & (table.queue == queue)
        if queue == NEW:
            return waiting
        # Due beyond the horizon: the clock has been put back since
        return waiting & ((table.due_on <= now) |
                          (table.due_on > now + self.horizon))

    # -------------------------------------------------------------------------
    def _free(self, now):
        """ Query for what nobody has claimed, or no longer """

        table = self.delivery
        # Leased for days: the clock has been put back since
        return (table.lease == None) | (table.leased_until < now) | \
               (table.leased_until > now + timedelta(days=1))

    # -------------------------------------------------------------------------
    def claimed(self, lease):
        """
            What has been claimed

            Args:
                lease: as from claim()

            Returns:
                list of Delivery, in the order to send them; those of one
                message follow each other
        """

        table, outbox, mail = self.delivery, self.outbox, self.mail
        rows = self.db(table.lease == lease).select(
                    table.id, table.outbox_id, table.message_id, table.attempts,
                    table.deferred_on, table.begun_on, table.in_doubt_count,
                    table.put_back_on,
                    outbox.id, outbox.address, outbox.status, outbox.retries,
                    mail.expires_on, mail.individual, mail.secret, mail.stored_bytes,
                    left = (outbox.on((outbox.id == table.outbox_id) & self.undeleted),
                            mail.on(mail.id == table.message_id)),
                    orderby = table.priority | table.message_id | table.due_on | table.id,
                    )

        deliveries, withdrawn = [], []
        for row in rows:
            own, entry = row.mails3_delivery, row.msg_outbox
            if entry.id is None or entry.status != UNSENT:
                # Deleted, held back or settled by somebody else
                withdrawn.append(own.id)
                continue
            deliveries.append(Delivery(id = own.id,
                                       outbox = own.outbox_id,
                                       message = own.message_id,
                                       individual = row.mails3_message.individual,
                                       size = row.mails3_message.stored_bytes,
                                       address = entry.address,
                                       attempts = own.attempts,
                                       retries = entry.retries,
                                       deferred_on = own.deferred_on,
                                       expires_on = row.mails3_message.expires_on,
                                       begun_on = own.begun_on,
                                       in_doubt_count = own.in_doubt_count or 0,
                                       put_back_on = own.put_back_on,
                                       lease = lease,
                                       secret = bool(row.mails3_message.secret),
                                       ))
        if withdrawn:
            self.db(table.id.belongs(withdrawn)).update(queue=None, lease=None)
            self.cancel_deleted(table.id.belongs(withdrawn))
        return deliveries

    # -------------------------------------------------------------------------
    def contents(self, message_ids):
        """
            Read messages

            Args:
                message_ids: their ids

            Returns:
                dict {id: (Message-ID, head, body)}; see content()
        """

        rows = self._sql("SELECT id, message_id_header, head, body FROM {mail} "
                         "WHERE id IN ({ids})",
                         # What is damaged may have none
                         ids = [message_id or 0 for message_id in message_ids]).fetchall()
        return {row[0]: row[1:] for row in rows}

    # -------------------------------------------------------------------------
    def content(self, message_id, contents=None):
        """
            Make out a message, with its attachments

            Args:
                message_id: its id
                contents: as from contents(); None = read it now

            Returns:
                tuple (Message, Message-ID)

            Raises:
                NewerVersion: only a newer MailS3 can
                ValueError: it is missing or can't be read
        """

        if contents is None:
            contents = self.contents([message_id])
        message_id_header, head, body = contents.get(message_id, (None, None, None))
        if head is None or body is None:
            raise ValueError("The message is missing")
        submission = Message.load(head, unpacked(body), lambda: self._attachments(message_id))
        return submission, message_id_header

    # -------------------------------------------------------------------------
    def _attachments(self, message_id):
        """ The attachments of a message, in their order (list of bytes) """

        table = self.attachment
        rows = self.db(table.message_id == message_id).select(table.payload,
                                                              orderby = table.part_no)
        # pydal gives a blob as text where it is UTF-8
        return [row.payload if isinstance(row.payload, bytes)
                else row.payload.encode("utf-8") for row in rows]

    # -------------------------------------------------------------------------
    # One verb per transition; each tells whether the lease was still ours
    #
    def begin(self, deliveries, now, until):
        """
            They are being handed over: from here on they are in doubt

            Args:
                deliveries: list of Delivery, of one lease
                now: the time
                until: the end of their lease

            Returns:
                those whose lease is still ours, and that are still to be sent
        """

        in_doubt_count = {}
        for delivery in deliveries:
            number = delivery.in_doubt_count + (delivery.begun_on is not None)
            in_doubt_count.setdefault(number, []).append(delivery)

        begun = []
        for number, group in in_doubt_count.items():
            ids = [delivery.id for delivery in group]
            # Still ours, and not set aside in the host's own table meanwhile
            ours, whose = ("{ours} AND id IN ({ids}) AND outbox_id IN (SELECT id FROM "
                           "{outbox} WHERE status = ? AND id IN ({entries}) AND %s)" %
                           self.db._adapter.expand(self.undeleted),
                           (group[0].lease, UNSENT))
            lists = {"ids": ids, "entries": [delivery.outbox for delivery in group]}
            changed = self._sql("UPDATE {delivery} SET begun_on = ?, tried_on = ?, "
                                "leased_until = ?, in_doubt_count = ? WHERE " + ours,
                                text(now), text(now), text(until), number,
                                *whose, **lists).rowcount
            if changed != len(group):
                # Some are not (or, as MySQL counts, not changed)
                rows = self._sql("SELECT id FROM {delivery} WHERE " + ours,
                                 *whose, **lists).fetchall()
                found = {row[0] for row in rows}
                group = [delivery for delivery in group if delivery.id in found]
            begun.extend(group)
        return begun

    # -------------------------------------------------------------------------
    def sent(self, deliveries, now):
        """
            The relay has accepted them; counts where the lease is still ours

            Args:
                deliveries: list of Delivery, of one lease
                now: the time
        """

        lease, ids = deliveries[0].lease, [delivery.id for delivery in deliveries]
        # MySQL would look through the whole table for those of a subquery;
        # told them twice, PostgreSQL compares each with each
        among = "id IN ({entries}) AND " if self.db._adapter.dbengine == "mysql" else ""
        self._sql("UPDATE {outbox} SET status = ?, modified_on = ? WHERE " + among +
                  "id IN (SELECT outbox_id FROM {delivery} WHERE {ours} AND "
                  "id IN ({ids}))", SENT, text(now), lease, ids=ids,
                  entries=[delivery.outbox for delivery in deliveries])
        self._sql("UPDATE {delivery} SET queue = NULL, lease = NULL, leased_until = NULL, "
                  "begun_on = NULL, attempts = attempts + 1, reply = NULL "
                  "WHERE {ours} AND id IN ({ids})", lease, ids=ids)

    # -------------------------------------------------------------------------
    def forget(self, message):
        """ Drop the content of a message, once all its recipients have it """

        table = self.delivery
        if self.db((table.message_id == message) & (self.outbox.id == table.outbox_id) &
                   (self.outbox.status != SENT)).isempty():
            self.db(self.mail.id == message).update(body=None)
            self.db(self.attachment.message_id == message).delete()

    # -------------------------------------------------------------------------
    def deferred(self, delivery, reason, due, now):
        """ Refused for now: the retry pass tries it again when due """

        return self._settle(delivery, UNSENT, now,
                            retries = delivery.retries and delivery.retries - 1,
                            queue = DEFERRED,
                            attempts = delivery.attempts + 1,
                            deferred_on = delivery.deferred_on or now,
                            due_on = due,
                            reply = words(reason),
                            )

    # -------------------------------------------------------------------------
    def refused(self, delivery, error, now):
        """ An attempt was in vain: for the admin, whatever comes of it """

        code, text = error.reply
        self.attempt.insert(delivery_id = delivery.id,
                            tried_on = now,
                            phase = getattr(error.args[0], "phase", None),
                            code = code,
                            reply = words(text),
                            )

    # -------------------------------------------------------------------------
    def invalid(self, delivery, reason, now):
        """ The relay will never take it, or nobody can read it """

        return self._settle(delivery, INVALID, now,
                            attempts = delivery.attempts + 1,
                            reply = words(reason),
                            )

    # -------------------------------------------------------------------------
    def failed(self, delivery, reason, now, attempted=True):
        """ Given up """

        return self._settle(delivery, FAILED, now,
                            attempts = delivery.attempts + bool(attempted),
                            reply = words(reason),
                            )

    # -------------------------------------------------------------------------
    def cancel_deleted(self, query):
        """
            Give up what somebody has deleted in the outbox of the host, which
            keeps the row; no worker is at it

            Args:
                query: for the deliveries

            Returns:
                how many it were; not all, if there are very many
        """

        if not self.is_marked:
            return 0
        table, outbox = self.delivery, self.outbox
        rows = self.db(query & (outbox.id == table.outbox_id) &
                       (outbox.deleted == True) &
                       outbox.status.belongs((UNSENT, DRAFT))).select(
                                table.id, outbox.id, limitby=(0, 1000))
        if rows:
            entries = [row.msg_outbox.id for row in rows]
            deliveries = [row.mails3_delivery.id for row in rows]
            self.db(outbox.id.belongs(entries)).update(status=FAILED)
            self.db(table.id.belongs(deliveries)).update(queue=None, begun_on=None,
                                                         reply=DELETED)
        return len(rows)

    # -------------------------------------------------------------------------
    def kept(self, delivery, reason, now):
        """ Kept for the admin to decide """

        return self._settle(delivery, DRAFT, now, reply=words(reason))

    # -------------------------------------------------------------------------
    def returned(self, delivery):
        """ Begun, but by no fault of the message not attempted """

        return self._settle(delivery,
                            lease = None,
                            leased_until = None,
                            begun_on = delivery.begun_on,
                            in_doubt_count = delivery.in_doubt_count,
                            )

    # -------------------------------------------------------------------------
    def suspected(self, delivery, now):
        """ Not attempted, but behind all others: the relay went away over this one """

        return self._settle(delivery,
                            lease = None,
                            leased_until = None,
                            begun_on = delivery.begun_on,
                            in_doubt_count = delivery.in_doubt_count,
                            put_back_on = now,
                            priority = BEHIND,
                            due_on = now,
                            )

    # -------------------------------------------------------------------------
    def doubted(self, delivery, reason, due, now):
        """ The relay may have it, and has not said so: tried once more when due """

        return self._settle(delivery, UNSENT, now,
                            queue = DEFERRED,
                            in_doubt_count = times_in_doubt(delivery) + 1,
                            put_back_on = now,
                            priority = BEHIND,
                            due_on = due,
                            reply = words(reason),
                            )

    # -------------------------------------------------------------------------
    def put_behind(self, messages, now):
        """
            Have the deliveries of some messages wait behind all others, so that
            another message is tried next

            Args:
                messages: ids of the messages
                now: the time
        """

        table = self.delivery
        waiting = table.message_id.belongs(messages) & (table.queue != None)
        self.db(waiting).update(priority=BEHIND)
        self.db(waiting & (table.queue == NEW)).update(due_on=now)

    # -------------------------------------------------------------------------
    def postponed(self, delivery, reason, due, now):
        """ Not attempted, and not to be before a time """

        return self._settle(delivery, UNSENT, now,
                            queue = DEFERRED,
                            due_on = due,
                            reply = words(reason),
                            )

    # -------------------------------------------------------------------------
    def release(self, lease, ids=None):
        """
            Give back what is still claimed

            Args:
                lease: as from claim()
                ids: of all that was claimed; None = whatever has the lease,
                     which is not for a visitor's transaction, see OURS
        """

        if ids is None:
            self.db(self.delivery.lease == lease).update(lease = None,
                                                         leased_until = None,
                                                         )
        else:
            self._sql("UPDATE {delivery} SET lease = NULL, leased_until = NULL "
                      "WHERE {ours} AND id IN ({ids})", lease, ids=ids)

    # -------------------------------------------------------------------------
    def release_all(self):
        """ Give up all claims, whoever made them """

        self.db(self.delivery.lease != None).update(lease = None,
                                                    leased_until = None,
                                                    )

    # -------------------------------------------------------------------------
    def _settle(self, delivery, status=None, now=None, retries=None, queue=None,
                **values):
        """
            Write what has become of a delivery, if the lease is still ours

            Args:
                delivery: the Delivery
                status: for msg_outbox; None = it is still under way
                now: the time
                retries: those left, if they have changed
                queue: where it waits from now on
                values: for mails3_delivery

            Returns:
                True if it counted
        """

        if status is not None:
            values.update(queue=queue, lease=None, leased_until=None, begun_on=None)

        table = self.delivery
        # As OURS
        ours = (table.id == delivery.id) & (table.lease.coalesce("") == delivery.lease)
        if not self.db(ours).update(**values):
            return False

        if status is not None:
            entry = {"status": status, "modified_on": now}
            if retries is not None:
                entry["retries"] = retries
            self.db(self.outbox.id == delivery.outbox).update(**entry)
        return True

    # -------------------------------------------------------------------------
    def _insert(self, table, columns, rows, *values):
        """
            Insert rows by one statement

            Args:
                table: the Table
                columns: their names (SQL)
                rows: for each row, its values (SQL), or ? for each of them
                values: those for ?

            Returns:
                list of their ids
        """

        engine = self.db._adapter.dbengine
        check_size(self.db, sum(map(len, rows)) + sum(len(value) for value in values
                                                      if isinstance(value, str)))
        statement = "INSERT INTO %s (%s) VALUES (%s)" % (table._rname, columns,
                                                         "), (".join(rows))
        if engine == "postgres":
            cursor = execute(self.db, statement + " RETURNING id", *values)
            return [row[0] for row in cursor.fetchall()]

        # Those of one statement follow each other: on SQLite there is one
        # writer, and InnoDB takes them all at once
        number, step = execute(self.db, statement, *values).lastrowid, 1
        if engine == "sqlite":
            number -= len(rows) - 1
        elif len(rows) > 1:
            # A cluster counts in larger steps
            step = self.db.executesql("SELECT @@auto_increment_increment")[0][0]
        return list(range(number, number + step * len(rows), step))

    # -------------------------------------------------------------------------
    def _sql(self, statement, *values, **ids):
        """
            Run a statement for many rows at once

            Args:
                statement: SQL, with ? for values, {mail}, {delivery}, {outbox}
                           for the tables, {ours} for the condition that a
                           lease (?) is still ours, see there, and {name} for
                           lists of ids
                values: the values
                ids: by name, lists of ids (int)

            Returns:
                the cursor
        """

        names = {name: ", ".join(str(int(number)) for number in numbers)
                 for name, numbers in ids.items()}
        return execute(self.db, statement.format(ours = OURS,
                                                 mail = self.mail._rname,
                                                 delivery = self.delivery._rname,
                                                 outbox = self.outbox._rname,
                                                 **names), *values)

    # -------------------------------------------------------------------------
    # Looking
    #
    def neglected(self, since):
        """ Whether new mail has been waiting since before that time """

        table, outbox = self.delivery, self.outbox
        query = (table.channel == self.channel) & (table.queue == NEW) & \
                (table.due_on < since)
        # Unless it was deleted, and no run has noticed yet
        return not self.db(query & (outbox.id == table.outbox_id) & self.undeleted).isempty()

# -----------------------------------------------------------------------------
def packed(body):
    """
        A body as it is stored: what is large, compressed. In JSON, a letter
        that is not ASCII takes six bytes, and a server may take 4 or 16 MB at
        a time; it stays ASCII, so that no codec can spoil it.

        Args:
            body: JSON

        Returns:
            the same, or PACKED with base64 after it
    """

    if len(body) < PACK_FROM:
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
        A key as it is stored: databases differ in what texts they take for
        the same (case, spaces at the end), but not in hexadecimal numbers
    """

    return hashlib.sha256(idempotency_key.encode("utf-8")).hexdigest()

# -----------------------------------------------------------------------------
def is_duplicate(error):
    """
        Whether a database error is about a key that is there already; the
        drivers share the name (PEP 249). To look for it would not help: MySQL
        shows the transaction what was there when it began.
    """

    return any(kind.__name__ == "IntegrityError" for kind in type(error).__mro__)

# -----------------------------------------------------------------------------
def literals(table, common, rows):
    """
        Rows of a table that is the host's, with its own defaults

        Args:
            table: the Table
            common: what all rows have in common (dict)
            rows: for each row, the other values (dict)

        Returns:
            columns and rows for Outbox._insert()
    """

    expand = table._db._adapter.expand
    known = {name: literal(value) for name, value in common.items()}
    rows = [table._fields_and_values_for_insert(dict(common, **row)).op_values()
            for row in rows]
    return ", ".join(field._rname for field, _ in rows[0]), \
           [", ".join(known.get(field.name) or expand(value, field.type)
                      for field, value in row) for row in rows]

# -----------------------------------------------------------------------------
def literal(value):
    """ A constant of ours, a number, a time or None, in SQL """

    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    return "'%s'" % (text(value) if isinstance(value, datetime) else value)

# -----------------------------------------------------------------------------
def flag(value):
    """ A truth as pydal writes it """

    return "T" if value else "F"

# END =========================================================================
