# -*- coding: utf-8 -*-

"""
    Which deliveries a run may send: a worker's dated right to them, its lease

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from datetime import timedelta
from math import inf

from ..states import NEW, SCHEDULED, UNSENT, URGENT, Delivery
from .database import execute, skip_locked

__all__ = ("Claims", "OWN_LEASE")

# Condition: the lease of a delivery is still ours. The delivery is found by
# its id, not by the index of the leases: MySQL would lock the gap before the
# lease as well, and hold up all visitors who queue mail.
OWN_LEASE = "COALESCE(lease, '') = ?"

# The longest wait beside that of a deferred delivery: the daily limit puts a
# delivery off to the next day (seconds)
LONGEST_DELAY_S = 90000

# What a delivery without a lease is like
RELEASED = {"lease": None, "leased_until": None}

# =============================================================================
class Claims:
    """ The claims of one channel; times are UTC and passed in, commits are the caller's """

    def __init__(self, tables, transitions, channel, longest_wait_s=14400):
        """
            Args:
                tables: the Tables
                transitions: the Transitions
                channel: its name
                longest_wait_s: of a deferred delivery (seconds)
        """

        self.tables = tables
        self.db = tables.db
        self.delivery = tables.delivery
        self.transitions = transitions
        self.channel = channel
        self.route = None # query for the deliveries of one relay; None = all, see Relay
        # No delivery is put off for longer: jitter included
        self.horizon = timedelta(seconds = 2 * longest_wait_s + LONGEST_DELAY_S)

    # -------------------------------------------------------------------------
    def has_free(self, queue, now):
        """ Whether a delivery waits that no worker has claimed: one query, no write """

        return not self.db(self.waiting(queue, now) & self._is_free(now)).isempty()

    # -------------------------------------------------------------------------
    def has_urgent(self, now):
        """ Whether somebody waits for a new delivery that no worker has claimed; no write """

        return not self.db(self.waiting(NEW, now) & self._is_free(now) &
                           (self.delivery.priority <= URGENT)).isempty()

    # -------------------------------------------------------------------------
    def waiting_among(self, ids):
        """ Those of some deliveries (list of their ids) that are new and wait to be sent """

        return self._select(self.waiting(NEW, None) & self.delivery.id.belongs(ids), len(ids))

    # -------------------------------------------------------------------------
    def claim(self, queue, limit, now, until, lease, messages=inf, throttled_since=None):
        """
            Claim deliveries that no worker has claimed, or whose lease is over;
            to be committed before one of them is sent

            Args:
                queue: NEW or DEFERRED
                limit: how many at most
                now: the time
                until: the end of the lease
                lease: the worker's own (str)
                messages: of how many messages at most, of which the last one is not
                          cut; an individual mail counts as one
                throttled_since: the relay wants less mail since then: those that were
                           not tried since go first; None = it takes mail

            Returns:
                list of Delivery, see claim_these(); None if no delivery waits
        """

        free = self.waiting(queue, now) & self._is_free(now)
        ids = self._untried(free, throttled_since) if throttled_since else \
            self._select(free, min(limit, messages))
        if not ids:
            return None
        if messages < limit and len(ids) == messages:
            ids += self._select(free & self._same_message(ids[-1]) &
                                ~self.delivery.id.belongs(ids), limit - messages)
        return self.claim_these(ids, now, until, lease)

    # -------------------------------------------------------------------------
    def _untried(self, free, throttled_since):
        """
            The delivery that finds out whether the relay takes mail again: one that
            was not throttled since then, else the one that was first

            Args:
                free: query for the deliveries
                throttled_since: since when the relay wants less mail

            Returns:
                list of its id; empty = none waits
        """

        on = self.delivery.throttled_on
        return self._select(free & ((on == None) | (on < throttled_since)), 1) or \
            self._select(free, 1, on)

    # -------------------------------------------------------------------------
    def _select(self, query, limit, *order):
        """ The ids of deliveries, in the order to send them (list); skips locked ones """

        table = self.delivery
        order = [*order, table.priority, table.due_on, table.id]
        select = self.db(query)._select(table.id, orderby=order, limitby=(0, limit))
        return [row[0] for row in self.db.executesql(skip_locked(self.db, select, table))]

    # -------------------------------------------------------------------------
    def _same_message(self, delivery_id):
        """ Query for the deliveries that are sent together with a delivery """

        table, message = self.delivery, self.tables.message
        own = self.db(table.id == delivery_id)._select(table.message_id)
        return table.message_id.belongs(self.db(message.id.belongs(own) &
                                                (message.individual == False)
                                                )._select(message.id))

    # -------------------------------------------------------------------------
    def claim_these(self, ids, now, until, lease):
        """
            Claim certain deliveries, if no worker has claimed them

            Args:
                ids: of the deliveries
                now: the time
                until: the end of the lease
                lease: the worker's own (str)

            Returns:
                list of Delivery, in the order to send them; the deliveries of
                one message follow each other. A delivery that was deleted,
                held or settled since leaves the queue, and is not among them.
        """

        self.db(self.delivery.id.belongs(ids) &
                self._is_free(now)).update(lease=lease, leased_until=until)
        deliveries, withdrawn = [], []
        for row in self._claimed(ids, lease):
            if row.msg_outbox.id is None or row.msg_outbox.status != UNSENT:
                withdrawn.append(row.mails3_delivery.id)
            else:
                deliveries.append(delivery_of(row))
        if withdrawn:
            self.transitions.withdraw(withdrawn)
        return deliveries

    # -------------------------------------------------------------------------
    def _claimed(self, ids, lease):
        """ Read what is needed to send the deliveries that were claimed (Rows) """

        table, outbox, message = self.delivery, self.tables.outbox, self.tables.message
        return self.db(table.id.belongs(ids) & (table.lease == lease)).select(
                    table.id, table.outbox_id, table.message_id, table.attempts,
                    table.deferred_on, table.begun_on, table.in_doubt_count,
                    table.put_back_on, table.throttled_on, table.throttle_count, table.lease,
                    outbox.id, outbox.address, outbox.status, outbox.retries,
                    message.expires_on, message.individual, message.secret,
                    message.stored_bytes,
                    left = (outbox.on((outbox.id == table.outbox_id) &
                                      self.tables.not_deleted),
                            message.on(message.id == table.message_id)),
                    orderby = table.priority | table.message_id | table.due_on | table.id,
                    )

    # -------------------------------------------------------------------------
    def renew(self, lease, until, begun_until):
        """
            Keep what a lease has claimed: its worker is alive

            Args:
                lease: the worker's own (str)
                until: the new end of the lease
                begun_until: the same for deliveries that are being handed over
        """

        table = self.delivery
        claimed = (table.lease == lease)
        self.db(claimed & (table.begun_on == None)).update(leased_until=until)
        self.db(claimed & (table.begun_on != None)).update(leased_until=begun_until)

    # -------------------------------------------------------------------------
    def release(self, lease, ids=None):
        """
            Give back what is still claimed

            Args:
                lease: the worker's own (str)
                ids: of the deliveries that were claimed; None = all that have
                     the lease, which is not for a visitor's transaction (OWN_LEASE)
        """

        if ids is None:
            self.db(self.delivery.lease == lease).update(**RELEASED)
        elif ids:
            execute(self.db, "UPDATE %s SET lease = NULL, leased_until = NULL "
                             "WHERE %s AND id IN (%s)" %
                    (self.delivery._rname, OWN_LEASE, ", ".join(map(str, ids))), lease)

    # -------------------------------------------------------------------------
    def release_idle(self):
        """ Give back what workers have claimed and not begun """

        self.db((self.delivery.lease != None) &
                (self.delivery.begun_on == None)).update(**RELEASED)

    # -------------------------------------------------------------------------
    def release_all(self):
        """ Give up all claims of all workers """

        self.db(self.delivery.lease != None).update(**RELEASED)

    # -------------------------------------------------------------------------
    # Queries
    #
    def waiting(self, queue, now):
        """
            Query for the deliveries that may be sent now

            Args:
                queue: NEW or DEFERRED
                now: the time; has no effect for NEW
        """

        table = self.delivery
        waiting = (table.channel == self.channel) & (table.queue == queue)
        if self.route is not None:
            waiting &= self.route
        if queue == NEW:
            return waiting
        # Due beyond the horizon: the clock has been put back since
        return waiting & ((table.due_on <= now) | (table.due_on > now + self.horizon))

    # -------------------------------------------------------------------------
    def _is_free(self, now):
        """ Query for the deliveries that no worker has claimed, or whose lease is over """

        table = self.delivery
        # Leased for days: the clock has been put back since
        return (table.lease == None) | (table.leased_until < now) | \
               (table.leased_until > now + timedelta(days=1))

    # -------------------------------------------------------------------------
    def is_neglected(self, since):
        """ Whether a new delivery, or a scheduled one that is due, waits since before a time """

        table, outbox = self.delivery, self.tables.outbox
        # A deleted row leaves the queue with the next run
        query = (table.channel == self.channel) & table.queue.belongs((NEW, SCHEDULED))
        if self.route is not None:
            query &= self.route
        return not self.db(query & (table.due_on < since) & (outbox.id == table.outbox_id) &
                           self.tables.not_deleted).isempty()

# -----------------------------------------------------------------------------
def delivery_of(row):
    """ The Delivery of a row that was claimed """

    own, message = row.mails3_delivery, row.mails3_message
    return Delivery(id = own.id,
                    outbox_id = own.outbox_id,
                    message_id = own.message_id,
                    is_individual = message.individual,
                    stored_bytes = message.stored_bytes,
                    address = row.msg_outbox.address,
                    attempts = own.attempts,
                    retries = row.msg_outbox.retries,
                    deferred_on = own.deferred_on,
                    expires_on = message.expires_on,
                    begun_on = own.begun_on,
                    in_doubt_count = own.in_doubt_count or 0,
                    put_back_on = own.put_back_on,
                    throttled_on = own.throttled_on,
                    throttle_count = own.throttle_count or 0,
                    lease = own.lease,
                    is_secret = bool(message.secret),
                    )

# END =========================================================================
