# -*- coding: utf-8 -*-

"""
    From state to state: one verb for each transition, for workers, operators
    and a host's intake alike; commits are the caller's

    verb             by        from               to
    start            worker    scheduled          new: its time has come
    begin            worker    new, deferred      the same, in doubt if its worker is lost
    mark_sent        worker    begun              sent
    defer            worker    begun              deferred, an attempt counted
    reject           worker    begun              rejected, an attempt counted
    fail             worker    begun, claimed     failed
    hold             worker    begun, claimed     held
    capture          worker    claimed            captured
    postpone         worker    claimed            deferred, no attempt counted
    defer_in_doubt   worker    begun              deferred, no attempt counted
    put_back         worker    begun              as before it was begun
    put_back_last    worker    begun              the same, behind all others
    throttle         worker    begun              as before, the time is noted
    withdraw         worker    claimed            out of its queue; failed if deleted
    accept           intake    unsent of a host   new, or deferred if it was tried before
    refuse           intake    unsent of a host   rejected, or held
    begin_expansion  intake    unsent of a host   sent: each member gets a mail
    requeue_released intake    released in a host new
    hold             operator  unsent             held
    release          operator  held, captured     new; scheduled before its time
    retry            operator  deferred           new, attempts as they are
    requeue          operator  all but sent       new, attempts from the start;
                                                  scheduled before its time
    cancel           operator  unsent, held, captured  failed

    Longer than 300 lines, so that all transitions stand in one place.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from ..states import BEHIND, DEFERRED, DRAFT, FAILED, FINAL, INVALID, NEW, NORMAL, SCHEDULED, \
                     SENT, UNSENT, stored_text, times_in_doubt
from .claims import OWN_LEASE, RELEASED
from .contents import Contents
from .database import execute, hint_ids, select_for_update, sql_time

__all__ = ("IntakeTransitions", "NotPossible", "OperatorTransitions", "Transitions")

DELETED = "Deleted in the outbox of the app"

# How many deleted rows are looked at in one go
DELETED_LIMIT = 1000

# What an operator is told if a verb does not apply, by msg_outbox.status
WHY_NOT = {UNSENT: "It is waiting to be sent already.",
           SENT: "It has been sent.",
           DRAFT: "It is held: release it.",
           INVALID: "It has been rejected: requeue it to try it again all the same.",
           FAILED: "It has failed: requeue it to try it again.",
           }

# =============================================================================
class NotPossible(ValueError):
    """ A verb does not apply to a delivery; says why """

# =============================================================================
class Withdrawals:
    """ Deliveries that are not to be sent any more leave their queue """

    def __init__(self, tables):
        """
            Args:
                tables: the Tables
        """

        self.tables = tables
        self.db = tables.db
        self.outbox = tables.outbox
        self.delivery = tables.delivery

    # -------------------------------------------------------------------------
    def withdraw(self, delivery_ids):
        """ Claimed deliveries that are no longer unsent leave their queue """

        query = self.delivery.id.belongs(delivery_ids)
        self.db(query).update(queue=None, lease=None)
        self.cancel_deleted(query)

    # -------------------------------------------------------------------------
    def cancel_deleted(self, query):
        """
            Give up deliveries whose row somebody has deleted in the outbox of
            the host, which keeps the row; no worker has claimed them

            Args:
                query: for the deliveries

            Returns:
                how many; not all of them if there are more than DELETED_LIMIT
        """

        if not self.tables.keeps_deleted:
            return 0
        table, outbox = self.delivery, self.outbox
        rows = self.db(query & (outbox.id == table.outbox_id) &
                       (outbox.deleted == True) &
                       outbox.status.belongs((UNSENT, DRAFT))).select(
                            table.id, outbox.id, limitby=(0, DELETED_LIMIT))
        if rows:
            outbox_ids = [row.msg_outbox.id for row in rows]
            delivery_ids = [row.mails3_delivery.id for row in rows]
            self.db(outbox.id.belongs(outbox_ids)).update(status=FAILED)
            for outbox_id in outbox_ids:
                note_outcome(self.tables, outbox_id, FAILED)
            self.db(table.id.belongs(delivery_ids)).update(queue=None, begun_on=None,
                                                           reply=DELETED)
        return len(rows)

# =============================================================================
class Transitions(Withdrawals):
    """ The verbs of a worker """

    def start(self, delivery_ids):
        """ The time of scheduled deliveries (list of their ids) has come: they are new """

        self.db(self.delivery.id.belongs(delivery_ids) &
                (self.delivery.queue == SCHEDULED)).update(queue=NEW)

    # -------------------------------------------------------------------------
    # Each verb for one Delivery counts only while the lease of that delivery is
    # still ours, and returns whether it was.
    #
    def begin(self, deliveries, now, until):
        """
            The deliveries are being handed over: if their worker is lost from
            now on, they are in doubt

            Args:
                deliveries: list of Delivery, of one lease
                now: the time
                until: the end of their lease

            Returns:
                list of those whose lease is still ours, and that are still unsent
        """

        by_count = {}
        for delivery in deliveries:
            by_count.setdefault(times_in_doubt(delivery), []).append(delivery)
        begun = []
        for in_doubt_count, group in by_count.items():
            begun.extend(self._begin(group, in_doubt_count, now, until))
        return begun

    # -------------------------------------------------------------------------
    def _begin(self, group, in_doubt_count, now, until):
        """ Begin deliveries with the same in_doubt_count, by one statement """

        # Still ours, and not held in the host's own table since
        condition = "%s AND id IN (%s) AND outbox_id IN " \
                    "(SELECT id FROM %s WHERE status = ? AND id IN (%s) AND %s)" % (
                        OWN_LEASE, joined(delivery.id for delivery in group),
                        self.outbox._rname,
                        joined(delivery.outbox_id for delivery in group),
                        self.db._adapter.expand(self.tables.not_deleted))
        values = (group[0].lease, UNSENT)
        changed = self._update(self.delivery,
                               "begun_on = ?, tried_on = ?, leased_until = ?, "
                               "in_doubt_count = ?", condition,
                               sql_time(now), sql_time(now), sql_time(until),
                               in_doubt_count, *values).rowcount
        if changed == len(group):
            return group
        # Some are not ours; or MySQL has counted only rows that are different now
        rows = execute(self.db, "SELECT id FROM %s WHERE %s" %
                                (self.delivery._rname, condition), *values).fetchall()
        ours = {row[0] for row in rows}
        return [delivery for delivery in group if delivery.id in ours]

    # -------------------------------------------------------------------------
    def mark_sent(self, deliveries, now, remark=None):
        """
            The relay has accepted the deliveries; those whose lease is no longer
            ours do not change

            Args:
                deliveries: list of Delivery, of one lease
                now: the time
                remark: what is to be said of them; None = nothing
        """

        lease = deliveries[0].lease
        ours = "%s AND id IN (%s)" % (OWN_LEASE, joined(delivery.id for delivery in deliveries))
        outbox_ids = [delivery.outbox_id for delivery in deliveries]
        if self.tables.keeps_outcomes:
            execute(self.db, "INSERT INTO %s (outbox_id) SELECT outbox_id FROM %s WHERE %s" %
                    (self.tables.outcome._rname, self.delivery._rname, ours), lease)
        self._update(self.outbox, "status = ?, modified_on = ?",
                     "%sid IN (SELECT outbox_id FROM %s WHERE %s)" %
                     (hint_ids(self.db, outbox_ids), self.delivery._rname, ours),
                     SENT, sql_time(now), lease)
        self._update(self.delivery, "queue = NULL, lease = NULL, leased_until = NULL, "
                                    "begun_on = NULL, attempts = attempts + 1, reply = ?",
                     ours, remark, lease)

    # -------------------------------------------------------------------------
    def defer(self, delivery, reason, due_on, now):
        """ The relay has refused it for now: the retry pass tries it again when due """

        return self._settle(delivery, UNSENT, now,
                            retries = delivery.retries and delivery.retries - 1,
                            queue = DEFERRED,
                            attempts = delivery.attempts + 1,
                            deferred_on = delivery.deferred_on or now,
                            due_on = due_on,
                            reply = stored_text(reason),
                            )

    # -------------------------------------------------------------------------
    def reject(self, delivery, reason, now):
        """ The relay will never take it """

        return self._settle(delivery, INVALID, now, attempts = delivery.attempts + 1,
                            reply = stored_text(reason))

    # -------------------------------------------------------------------------
    def fail(self, delivery, reason, now, is_attempt=True):
        """ Give it up """

        return self._settle(delivery, FAILED, now,
                            attempts = delivery.attempts + bool(is_attempt),
                            reply = stored_text(reason),
                            )

    # -------------------------------------------------------------------------
    def hold(self, delivery, reason, now):
        """ Set it aside until a person releases it """

        return self._settle(delivery, DRAFT, now, captured_on=None, reply=stored_text(reason))

    # -------------------------------------------------------------------------
    def capture(self, delivery, reason, now):
        """ Keep it in place of sending it: it never leaves unless a person releases it """

        return self._settle(delivery, DRAFT, now, captured_on=now, reply=stored_text(reason))

    # -------------------------------------------------------------------------
    def postpone(self, delivery, reason, due_on, now):
        """ It was not attempted, and is not to be attempted before a time """

        return self._settle(delivery, UNSENT, now,
                            queue = DEFERRED,
                            due_on = due_on,
                            reply = stored_text(reason),
                            )

    # -------------------------------------------------------------------------
    def defer_in_doubt(self, delivery, reason, due_on, now):
        """ The relay may have it, and has not said so: it is tried once more when due """

        return self._settle(delivery, UNSENT, now,
                            queue = DEFERRED,
                            in_doubt_count = times_in_doubt(delivery) + 1,
                            put_back_on = now,
                            priority = BEHIND,
                            due_on = due_on,
                            reply = stored_text(reason),
                            )

    # -------------------------------------------------------------------------
    def put_back(self, delivery):
        """ It was begun and not attempted, by no fault of its own: as before """

        return self._change(delivery, begun_on=delivery.begun_on,
                            in_doubt_count=delivery.in_doubt_count, **RELEASED)

    # -------------------------------------------------------------------------
    def put_back_last(self, delivery, now):
        """ The relay failed when it took it: not attempted, and behind all others """

        return self._change(delivery, begun_on=delivery.begun_on,
                            in_doubt_count=delivery.in_doubt_count,
                            put_back_on=now, priority=BEHIND, due_on=now, **RELEASED)

    # -------------------------------------------------------------------------
    def throttle(self, delivery, is_repeated, now):
        """
            The relay wanted less mail when it took it: not attempted, as before

            Args:
                delivery: the Delivery
                is_repeated: the relay has taken other mail since the last time
                now: the time
        """

        return self._change(delivery, begun_on=delivery.begun_on,
                            in_doubt_count=delivery.in_doubt_count,
                            throttled_on = now,
                            throttle_count = delivery.throttle_count + is_repeated,
                            **RELEASED)

    # -------------------------------------------------------------------------
    def put_messages_last(self, message_ids, now):
        """
            Let the deliveries of some messages wait behind all others, so that
            another message is tried next

            Args:
                message_ids: of the messages
                now: the time
        """

        table = self.delivery
        waiting = table.message_id.belongs(message_ids) & (table.queue != None)
        self.db(waiting).update(priority=BEHIND)
        self.db(waiting & (table.queue == NEW)).update(due_on=now)

    # -------------------------------------------------------------------------
    def note_attempt(self, delivery, error, now):
        """ Keep an attempt that failed, for the admin (error: the DeliveryError) """

        self.tables.attempt.insert(delivery_id = delivery.id,
                                   tried_on = now,
                                   phase = error.phase,
                                   code = error.code,
                                   reply = stored_text(error.text),
                                   )

    # -------------------------------------------------------------------------
    def _settle(self, delivery, status, now, retries=None, queue=None, **values):
        """
            Write what has become of a delivery

            Args:
                delivery: the Delivery
                status: for msg_outbox
                now: the time
                retries: how many are left, if that has changed
                queue: where it waits from now on; None = no longer
                values: for mails3_delivery

            Returns:
                whether the lease was still ours
        """

        if not self._change(delivery, queue=queue, begun_on=None, **RELEASED, **values):
            return False
        entry = {"status": status, "modified_on": now}
        if retries is not None:
            entry["retries"] = retries
        self.db(self.outbox.id == delivery.outbox_id).update(**entry)
        note_outcome(self.tables, delivery.outbox_id, status)
        return True

    # -------------------------------------------------------------------------
    def _change(self, delivery, **values):
        """ Change mails3_delivery if the lease is still ours; returns whether it was """

        table = self.delivery
        # As OWN_LEASE
        return bool(self.db((table.id == delivery.id) &
                            (table.lease.coalesce("") == delivery.lease)).update(**values))

    # -------------------------------------------------------------------------
    def _update(self, table, changes, condition, *values):
        """ Run an UPDATE for many rows at once; returns the cursor """

        return execute(self.db, "UPDATE %s SET %s WHERE %s" %
                                (table._rname, changes, condition), *values)

# =============================================================================
class IntakeTransitions:
    """
        The verbs for rows that the host itself has put into msg_outbox
        - row: a Row with msg_outbox (id, address) and mails3_delivery (id,
          None if the row has no delivery yet)
    """

    def __init__(self, tables, channel):
        """
            Args:
                tables: the Tables
                channel: its name
        """

        self.tables = tables
        self.db = tables.db
        self.channel = channel

    # -------------------------------------------------------------------------
    def requeue_released(self, row):
        """ A row that was taken in before was released by a person: new """

        table = self.tables.delivery
        self.db(table.id == row.mails3_delivery.id).update(queue=NEW)

    # -------------------------------------------------------------------------
    def accept(self, row, message_id, address, is_tried, now):
        """
            A row becomes a delivery

            Args:
                row: the row
                message_id: of its message
                address: of its recipient
                is_tried: the host has tried it before: deferred, else new
                now: the time
        """

        if row.msg_outbox.address != address:
            self._update_entry(row, address=address)
        self._write(row,
                    message_id = message_id,
                    queue = DEFERRED if is_tried else NEW,
                    due_on = now,
                    )

    # -------------------------------------------------------------------------
    def refuse(self, row, reason, now, status=INVALID):
        """ A row can't become a delivery: rejected, or held with the status DRAFT """

        self._update_entry(row, status=status)
        note_outcome(self.tables, row.msg_outbox.id, status)
        self._write(row, queue=None, tried_on=now, reply=stored_text(reason))

    # -------------------------------------------------------------------------
    def begin_expansion(self, row):
        """ The UPDATE decides which worker expands a group; returns whether it is this one """

        outbox = self.tables.outbox
        return bool(self.db((outbox.id == row.msg_outbox.id) & self.tables.not_deleted &
                            (outbox.status == UNSENT)).update(status=SENT))

    # -------------------------------------------------------------------------
    def add_member(self, row, outbox_id):
        """ A member of the group has a row of msg_outbox of their own """

        self.tables.delivery.insert(outbox_id = outbox_id,
                                    channel = self.channel,
                                    expanded_from = row.msg_outbox.id,
                                    )

    # -------------------------------------------------------------------------
    def end_expansion(self, row, count):
        """ All members of the group (count) have their rows """

        self._write(row, queue=None, reply="Expanded to %s recipient%s" %
                    (count, "" if count == 1 else "s"))

    # -------------------------------------------------------------------------
    def _update_entry(self, row, **values):
        """ Change the row in msg_outbox """

        self.db(self.tables.outbox.id == row.msg_outbox.id).update(**values)

    # -------------------------------------------------------------------------
    def _write(self, row, **values):
        """ Insert the delivery of a row, or update it """

        table = self.tables.delivery
        if row.mails3_delivery.id:
            self.db(table.id == row.mails3_delivery.id).update(**values)
        else:
            table.insert(outbox_id = row.msg_outbox.id, channel = self.channel, **values)

# =============================================================================
class OperatorTransitions:
    """
        The verbs of an operator, for one delivery each, by its row in msg_outbox
        - each returns the recipient's address; raises NotPossible
        - the rows stay locked until the caller commits
    """

    def __init__(self, tables):
        """
            Args:
                tables: the Tables
        """

        self.tables = tables
        self.db = tables.db
        self.contents = Contents(tables)

    # -------------------------------------------------------------------------
    def hold(self, outbox_id, by, now):
        """ Set an unsent delivery aside, until it is released """

        return self._move(outbox_id, (UNSENT,), DRAFT, now, captured_on=None,
                          reply="Held by %s" % by)

    # -------------------------------------------------------------------------
    def release(self, outbox_id, now):
        """ Send a held delivery, with the next drain """

        return self._move(outbox_id, (DRAFT,), UNSENT, now,
                          queue = NEW,
                          due_on = now,
                          in_doubt_count = 0,
                          captured_on = None,
                          reply = None,
                          )

    # -------------------------------------------------------------------------
    def retry(self, outbox_id, now):
        """
            Try a deferred delivery with the next drain, and not with a retry
            pass. Its attempts still count: refused again, it waits as long as
            it would have waited.
        """

        return self._move(outbox_id, (UNSENT,), UNSENT, now,
                          from_queue = DEFERRED,
                          queue = NEW,
                          due_on = now,
                          )

    # -------------------------------------------------------------------------
    def requeue(self, outbox_id, retries, now):
        """ Begin again with a delivery that is not sent, as if it were new """

        return self._move(outbox_id, (UNSENT, DRAFT, INVALID, FAILED), UNSENT, now,
                          entry = {"retries": retries},
                          queue = NEW,
                          due_on = now,
                          priority = NORMAL,
                          attempts = 0,
                          deferred_on = None,
                          in_doubt_count = 0,
                          put_back_on = None,
                          throttled_on = None,
                          throttle_count = 0,
                          captured_on = None,
                          reply = None,
                          )

    # -------------------------------------------------------------------------
    def cancel(self, outbox_id, by, now):
        """ Give up a delivery that is unsent or held """

        return self._move(outbox_id, (UNSENT, DRAFT), FAILED, now,
                          reply = "Cancelled by %s" % by)

    # -------------------------------------------------------------------------
    def retry_all(self, channel, now):
        """ Try all deferred deliveries of a channel with the next drain; returns how many """

        table = self.tables.delivery
        return self.db((table.channel == channel) & (table.queue == DEFERRED) &
                       ((table.lease == None) | (table.leased_until < now))
                       ).update(queue=NEW, due_on=now)

    # -------------------------------------------------------------------------
    def queue_released(self):
        """ Unsent deliveries without a queue become new: a person has released them """

        table, outbox = self.tables.delivery, self.tables.outbox
        unsent = self.db((outbox.status == UNSENT) &
                         self.tables.not_deleted)._select(outbox.id)
        self.db((table.queue == None) & table.outbox_id.belongs(unsent)).update(queue=NEW)

    # -------------------------------------------------------------------------
    def _move(self, outbox_id, from_statuses, status, now, from_queue=None, queue=None,
              entry=None, **values):
        """
            Move a delivery to another state

            Args:
                outbox_id: its row in msg_outbox
                from_statuses: the statuses to which the verb applies
                status: the new status
                now: the time
                from_queue: the queue to which the verb applies; None = any
                queue: where it waits from now on
                entry: further values for msg_outbox (dict)
                values: for mails3_delivery
        """

        # Locked in the order in which a worker settles. A row of the host's that
        # no run has seen yet has no companion.
        table, outbox = self.tables.delivery, self.tables.outbox
        own = select_for_update(self.db, table.outbox_id == outbox_id, table.id,
                                table.message_id, table.queue, table.due_on,
                                table.tried_on, table.lease, table.leased_until,
                                table.begun_on)
        row = select_for_update(self.db, (outbox.id == outbox_id) & self.tables.not_deleted,
                                outbox.address, outbox.status)
        self._check(row, own, from_statuses, from_queue, now)
        if own and own.message_id and status == UNSENT and \
           not self.contents.is_kept(own.message_id):
            raise NotPossible("Its content has been dropped.")

        if queue == NEW and own and is_before_its_time(own, now):
            queue, values["due_on"] = SCHEDULED, own.due_on
        self.db(outbox.id == outbox_id).update(status=status, modified_on=now,
                                               **(entry or {}))
        note_outcome(self.tables, outbox_id, status)
        if own:
            # The intake reads a row of the host's anew if it had failed
            self.db(table.id == own.id).update(queue = queue if own.message_id else None,
                                               begun_on = None,
                                               **RELEASED, **values)
        return row.address

    # -------------------------------------------------------------------------
    @staticmethod
    def _check(row, own, from_statuses, from_queue, now):
        """ Raise NotPossible if a verb does not apply (row, own: as locked) """

        if row is None:
            raise NotPossible("There is no such mail.")
        if row.status not in from_statuses or \
           own and from_queue is not None and own.queue != from_queue:
            raise NotPossible(WHY_NOT.get(row.status, "Its status is unknown."))
        if own and own.lease and own.begun_on and own.leased_until >= now:
            raise NotPossible("It is being sent just now.")

# -----------------------------------------------------------------------------
def is_before_its_time(own, now):
    """
        Whether a delivery is, or was before it was held, one that is not to be
        sent before a time that is still to come

        Args:
            own: its Row of mails3_delivery
            now: the time
    """

    return own.queue != DEFERRED and own.tried_on is None and \
        own.due_on is not None and own.due_on > now

# -----------------------------------------------------------------------------
def note_outcome(tables, outbox_id, status):
    """ Have the app told, if it wants to be, that a delivery has come to its end """

    if tables.keeps_outcomes and status in FINAL:
        tables.outcome.insert(outbox_id=outbox_id)

# -----------------------------------------------------------------------------
def joined(ids):
    """ Ids (int) for a list in SQL """

    return ", ".join(str(int(each)) for each in ids)

# END =========================================================================
