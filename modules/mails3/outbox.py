# -*- coding: utf-8 -*-

"""
    The outbox: msg_outbox with its companion tables, its queries, one verb
    per transition. A result counts only while the lease is still ours.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from uuid import uuid4

from .message import DEFERRED, DRAFT, FAILED, INVALID, NEW, SENT, UNSENT, Delivery
from .submission import Submission

__all__ = ("Outbox",)

# =============================================================================
class Outbox:
    """ The queue in the database; times are UTC, and passed in """

    def __init__(self, db):
        """
            Args:
                db: the DAL, with the tables of schema.py
        """

        self.db = db
        self.mail = db.mails3_message
        self.attachment = db.mails3_attachment
        self.delivery = db.mails3_delivery
        self.outbox = db.msg_outbox

    # -------------------------------------------------------------------------
    # Queueing: part of the caller's transaction
    #
    def add(self, submission, message_id, now, retries=None, priority=5,
            expires_on=None, idempotency_key=None):
        """
            Queue a message

            Args:
                submission: the Submission
                message_id: its Message-ID header
                now: the time
                retries: how often each delivery may be retried; None = no limit
                priority: 0 (first) to 9 (last)
                expires_on: not to be sent after that
                idempotency_key: the same key is queued only once

            Returns:
                list of the ids of its deliveries
        """

        head, body, attachments = submission.dump()
        mail_id = self.mail.insert(message_id = message_id,
                                   idempotency_key = idempotency_key,
                                   queued_on = now,
                                   expires_on = expires_on,
                                   head = head,
                                   body = body,
                                   )
        for number, content in enumerate(attachments):
            self.attachment.insert(mail_id=mail_id, part_no=number, payload=content)

        deliveries = []
        for address in submission.recipients:
            outbox_id = self.outbox.insert(address = address,
                                           contact_method = "EMAIL",
                                           status = UNSENT,
                                           retries = retries,
                                           created_on = now,
                                           modified_on = now,
                                           )
            deliveries.append(self.delivery.insert(outbox_id = int(outbox_id),
                                                   mail_id = int(mail_id),
                                                   lane = NEW,
                                                   priority = priority,
                                                   due_on = now,
                                                   ))
        return deliveries

    # -------------------------------------------------------------------------
    def has_key(self, idempotency_key):
        """ Whether a message with that key has been queued """

        query = (self.mail.idempotency_key == idempotency_key)
        return not self.db(query).isempty()

    # -------------------------------------------------------------------------
    # Claiming
    #
    def waiting(self, lane, limit, now):
        """
            What waits to be sent in a lane and is not claimed

            Args:
                lane: NEW or DEFERRED
                limit: how many at most
                now: the time

            Returns:
                list of ids of deliveries, in the order to send them
        """

        table = self.delivery
        query = (table.lane == lane) & self._free(now)
        if lane == NEW:
            order = table.priority | table.id
        else:
            query &= (table.due_on <= now)
            order = table.due_on | table.id
        rows = self.db(query).select(table.id, orderby=order, limitby=(0, limit))
        return [row.id for row in rows]

    # -------------------------------------------------------------------------
    def claim(self, ids, now, until):
        """
            Claim deliveries that nobody else has claimed; to be committed
            before any of them is sent

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
    def _free(self, now):
        """ Query for what nobody has claimed, or no longer """

        table = self.delivery
        return (table.lease == None) | (table.leased_until < now)

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
                    table.id, table.outbox_id, table.mail_id, table.attempts,
                    table.deferred_on, table.begun_on,
                    outbox.id, outbox.address, outbox.status, outbox.retries,
                    mail.expires_on,
                    left = (outbox.on(outbox.id == table.outbox_id),
                            mail.on(mail.id == table.mail_id)),
                    orderby = table.priority | table.mail_id | table.id,
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
                                       message = own.mail_id,
                                       address = entry.address,
                                       attempts = own.attempts,
                                       retries = entry.retries,
                                       deferred_on = own.deferred_on,
                                       expires_on = row.mails3_message.expires_on,
                                       begun_on = own.begun_on,
                                       lease = lease,
                                       ))
        if withdrawn:
            self.db(table.id.belongs(withdrawn)).update(lane=None, lease=None)
        return deliveries

    # -------------------------------------------------------------------------
    def content(self, mail_id):
        """
            Read a message

            Args:
                mail_id: its id

            Returns:
                tuple (Submission, Message-ID)

            Raises:
                ValueError: it is missing or can't be read
        """

        row = self.db(self.mail.id == mail_id).select(self.mail.message_id,
                                                      self.mail.head,
                                                      self.mail.body,
                                                      limitby = (0, 1),
                                                      ).first()
        if row is None or row.head is None or row.body is None:
            raise ValueError("The message is missing")
        submission = Submission.load(row.head, row.body,
                                     lambda: self._attachments(mail_id))
        return submission, row.message_id

    # -------------------------------------------------------------------------
    def _attachments(self, mail_id):
        """ The attachments of a message, in their order (list of bytes) """

        table = self.attachment
        rows = self.db(table.mail_id == mail_id).select(table.payload,
                                                        orderby = table.part_no)
        # pydal gives a blob as text where it is UTF-8
        return [row.payload if isinstance(row.payload, bytes)
                else row.payload.encode("utf-8") for row in rows]

    # -------------------------------------------------------------------------
    # One verb per transition; each tells whether the lease was still ours
    #
    def begin(self, delivery, now, until):
        """ The message is being handed over: from here on it is in doubt """

        return self._settle(delivery, begun_on=now, tried_on=now, leased_until=until)

    # -------------------------------------------------------------------------
    def sent(self, delivery, now):
        """ The relay has accepted it """

        return self._settle(delivery, SENT, now,
                            attempts = delivery.attempts + 1,
                            reply = None,
                            )

    # -------------------------------------------------------------------------
    def deferred(self, delivery, reason, due, now):
        """ Refused for now: the retry pass tries it again when due """

        return self._settle(delivery, UNSENT, now,
                            retries = delivery.retries and delivery.retries - 1,
                            lane = DEFERRED,
                            attempts = delivery.attempts + 1,
                            deferred_on = delivery.deferred_on or now,
                            due_on = due,
                            reply = words(reason),
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
                            )

    # -------------------------------------------------------------------------
    def release(self, lease):
        """ Give back what is still claimed and has not been begun """

        self.db(self.delivery.lease == lease).update(lease = None,
                                                     leased_until = None,
                                                     )

    # -------------------------------------------------------------------------
    def release_all(self):
        """ Give up all claims, whoever made them """

        self.db(self.delivery.lease != None).update(lease = None,
                                                    leased_until = None,
                                                    )

    # -------------------------------------------------------------------------
    def _settle(self, delivery, status=None, now=None, retries=None, lane=None,
                **values):
        """
            Write what has become of a delivery, if the lease is still ours

            Args:
                delivery: the Delivery
                status: for msg_outbox; None = it is still under way
                now: the time
                retries: those left, if they have changed
                lane: where it waits from now on
                values: for mails3_delivery

            Returns:
                True if it counted
        """

        if status is not None:
            values.update(lane=lane, lease=None, leased_until=None, begun_on=None)

        table = self.delivery
        ours = (table.id == delivery.id) & (table.lease == delivery.lease)
        if not self.db(ours).update(**values):
            return False

        if status is not None:
            entry = {"status": status, "modified_on": now}
            if retries is not None:
                entry["retries"] = retries
            self.db(self.outbox.id == delivery.outbox).update(**entry)
        return True

    # -------------------------------------------------------------------------
    # Looking
    #
    def counts(self):
        """
            How many deliveries there are of each kind

            Returns:
                dict {"new": n, "deferred": n, "sent": n, ...}
        """

        outbox, table = self.outbox, self.delivery
        number = outbox.id.count()
        rows = self.db(outbox.contact_method == "EMAIL").select(
                    outbox.status, table.lane, number,
                    left = table.on(table.outbox_id == outbox.id),
                    groupby = outbox.status | table.lane,
                    )
        counts = dict.fromkeys(("new", "deferred", "sent", "draft", "invalid",
                                "failed"), 0)
        names = {SENT: "sent", DRAFT: "draft", INVALID: "invalid", FAILED: "failed"}
        for row in rows:
            name = names.get(row.msg_outbox.status)
            if row.msg_outbox.status == UNSENT:
                name = "deferred" if row.mails3_delivery.lane == DEFERRED else "new"
            if name:
                counts[name] += row[number]
        return counts

    # -------------------------------------------------------------------------
    def neglected(self, since):
        """ Whether new mail has been waiting since before that time """

        table = self.delivery
        query = (table.lane == NEW) & (table.due_on < since)
        return not self.db(query).isempty()

# -----------------------------------------------------------------------------
def words(reason):
    """ A reason for the database: one line, no codec can refuse it """

    text = " ".join(str(reason).split())
    return text.encode("ascii", "backslashreplace").decode("ascii")[:512]

# END =========================================================================
