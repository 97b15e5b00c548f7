# -*- coding: utf-8 -*-

"""
    How many deliveries there are, in which states, since when; reads only

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from datetime import timedelta

from ..states import DEFERRED, FAILED, INVALID, NEW, SCHEDULED, SENT, STATES, UNSENT, state_of

__all__ = ("Statistics", "sent_since")

# How far back the hours go
HOURS = 24

# How far the ids of deliveries that are sent within a minute are apart, about
NEAR = 20000

# =============================================================================
class Statistics:
    """ The deliveries of a channel, in numbers """

    def __init__(self, tables, channel):
        """
            Args:
                tables: the Tables
                channel: its name
        """

        self.tables = tables
        self.db = tables.db
        self.channel = channel
        self.outbox = tables.outbox
        self.delivery = tables.delivery
        self.message = tables.message

        # Queries for the rows that are mails, and for those that nobody has
        # deleted; a host may narrow both
        self.all_mails = (self.outbox.contact_method == channel)
        self.mails = self.all_mails & tables.not_deleted

    # -------------------------------------------------------------------------
    def counts(self):
        """
            How many deliveries there are in each state

            Returns:
                dict {state: count}
        """

        outbox = self.outbox
        count = outbox.id.count()
        rows = self.db(self.mails).select(outbox.status, count, groupby=outbox.status)
        counts = dict.fromkeys(STATES, 0)
        for row in rows:
            state = state_of(row.msg_outbox.status, None)
            if state in counts:
                counts[state] = row[count]

        for state in ("scheduled", "deferred"):
            counts[state] = self.db(self.is_in(state) & self.mails &
                                    (self.delivery.outbox_id == outbox.id)).count()
            counts["new"] -= counts[state]
        if counts["held"]:
            counts["captured"] = self.db(self.is_in("captured") & self.mails &
                                         (self.delivery.outbox_id == outbox.id)).count()
            counts["held"] -= counts["captured"]
        return counts

    # -------------------------------------------------------------------------
    def is_in(self, state):
        """ Query for the deliveries in a state; but for final states with mails3_delivery """

        status, queue = STATES[state]
        query = (self.outbox.status == status)
        if state == "new":
            # A row that Eden has just queued has no delivery yet
            query &= (self.delivery.queue == None) | \
                     ~self.delivery.queue.belongs((DEFERRED, SCHEDULED))
        elif state in ("held", "captured"):
            is_held = (self.delivery.captured_on == None)
            query &= is_held if state == "held" else ~is_held
        elif queue is not None:
            query &= (self.delivery.channel == self.channel) & (self.delivery.queue == queue)
        return query

    # -------------------------------------------------------------------------
    def ever_sent(self):
        """ How many mails the relay has accepted, of those that are kept """

        return self.db((self.outbox.status == SENT) & self.all_mails).count()

    # -------------------------------------------------------------------------
    def waiting(self, queue):
        """ How many deliveries wait in a queue (NEW, DEFERRED) """

        return self.db((self.delivery.channel == self.channel) &
                       (self.delivery.queue == queue) &
                       (self.outbox.id == self.delivery.outbox_id) &
                       self.tables.not_deleted).count()

    # -------------------------------------------------------------------------
    def shared(self):
        """ How many new deliveries go out together with another one of the same message """

        table, message = self.delivery, self.message
        deliveries, messages = table.id.count(), table.message_id.count(distinct=True)
        row = self.db((table.channel == self.channel) & (table.queue == NEW) &
                      (message.id == table.message_id) & (message.individual == False)
                      ).select(deliveries, messages).first()
        return row[deliveries] - row[messages]

    # -------------------------------------------------------------------------
    def oldest(self):
        """
            Since when the oldest unsent delivery waits that is not scheduled
            (datetime); None if none waits
        """

        table, oldest = self.delivery, self.outbox.created_on.min()
        scheduled = self.db((table.channel == self.channel) &
                            (table.queue == SCHEDULED))._select(table.outbox_id)
        row = self.db((self.outbox.status == UNSENT) & self.mails &
                      ~self.outbox.id.belongs(scheduled)).select(oldest).first()
        return row[oldest]

    # -------------------------------------------------------------------------
    def next_scheduled_on(self):
        """ When the first scheduled delivery is due (datetime); None if none is scheduled """

        table, first = self.delivery, self.delivery.due_on.min()
        row = self.db((table.channel == self.channel) & (table.queue == SCHEDULED) &
                      (self.outbox.id == table.outbox_id) &
                      self.tables.not_deleted).select(first).first()
        return row[first]

    # -------------------------------------------------------------------------
    def hours(self, now):
        """
            What became of the deliveries of the last day, hour by hour

            Args:
                now: the time

            Returns:
                list of 24 tuples (start of the hour, count sent, count not sent)
        """

        this_hour = now.replace(minute=0, second=0, microsecond=0)
        starts = [this_hour - timedelta(hours=back) for back in range(HOURS - 1, -1, -1)]

        outbox, table = self.outbox, self.delivery
        # The hour of the day is not ambiguous within a day
        hour, count = table.tried_on.hour(), table.id.count()
        rows = self.db((table.tried_on >= starts[0]) &
                       (table.channel == self.channel) &
                       (outbox.id == table.outbox_id) & self.mails &
                       (outbox.status.belongs((SENT, INVALID, FAILED)))
                       ).select(hour, outbox.status, count,
                                groupby = hour | outbox.status)
        totals = {}
        for row in rows:
            key = (int(row[hour]), row.msg_outbox.status == SENT)
            totals[key] = totals.get(key, 0) + row[count]
        return [(start, totals.get((start.hour, True), 0),
                 totals.get((start.hour, False), 0)) for start in starts]

    # -------------------------------------------------------------------------
    def sizes(self):
        """ How much is kept (dict): counts of rows, and bytes of messages """

        total = self.message.stored_bytes.sum()
        return {"deliveries": self.db(self.delivery).count(),
                "messages": self.db(self.message).count(),
                "attempts": self.db(self.tables.attempt).count(),
                "bytes": int(self.db(self.message).select(total).first()[total] or 0),
                }

# -----------------------------------------------------------------------------
def sent_since(tables, channel, since, near_id):
    """
        How much has been sent lately

        Args:
            tables: the Tables
            channel: its name
            since: the time
            near_id: the id of a delivery that is sent now: others are near

        Returns:
            tuple (when the first delivery was sent, how many were)
    """

    table, outbox = tables.delivery, tables.outbox
    first, count = table.tried_on.min(), table.id.count()
    # By the primary key: no index has tried_on
    row = tables.db((table.id > near_id - NEAR) & (table.id < near_id + NEAR) &
                    (table.channel == channel) & (table.tried_on >= since) &
                    (outbox.id == table.outbox_id) & (outbox.status == SENT)
                    ).select(first, count).first()
    return row[first], row[count]

# END =========================================================================
