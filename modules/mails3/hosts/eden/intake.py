# -*- coding: utf-8 -*-

"""
    Intake: rows that Eden has inserted into msg_outbox become deliveries like
    those of MailS3.send()

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging

from gluon import current

from ...message.address import BadInput, address_of
from ...queue.database import is_conflict
from ...queue.transitions import IntakeTransitions
from ...states import DRAFT, EMAIL, INVALID, NEW
from .messages import read_message
from .outbox_rows import OutboxRows
from .recipients import PERSON, contacts_of, members_query

__all__ = ("Intake",)

log = logging.getLogger("web2py.mails3")

# =============================================================================
class Intake:
    """ Takes rows of one channel into its queues """

    def __init__(self, channel):
        """
            Args:
                channel: the Channel
        """

        self.channel = channel
        self.mail = channel.mail
        self.db = channel.db
        self.table = channel.tables.outbox
        self.delivery = channel.tables.delivery
        self.transitions = IntakeTransitions(channel.tables, channel.name)
        self.rows = OutboxRows(channel)

    # -------------------------------------------------------------------------
    def run(self, now, everything=False):
        """
            Take in the rows that are in no queue yet; commits

            Args:
                now: the time (datetime, UTC)
                everything: also old rows: rows from before the installation of
                            MailS3, and rows that a person has released
        """

        query = (self.table.id > 0) if everything else self.rows.latest()
        while True:
            rows = self.rows.read(query)
            if not rows:
                return
            try:
                self._take(rows, now)
                self.db.commit()
            except Exception:
                self.db.rollback()
                if not self._take_one_by_one(rows, now):
                    return

    # -------------------------------------------------------------------------
    def message(self, eden_message_id, now):
        """
            Take in the rows of a message that the current transaction has
            queued; does not commit

            Args:
                eden_message_id: the message_id in msg_outbox
                now: the time (datetime, UTC)

            Returns:
                list of the ids of its new deliveries
        """

        query = (self.table.message_id == eden_message_id)
        while True:
            rows = self.rows.read(query)
            if not rows:
                break
            self._take(rows, now)

        rows = self.db(query & (self.delivery.outbox_id == self.table.id) &
                       (self.delivery.queue == NEW)).select(self.delivery.id)
        return [row.id for row in rows]

    # -------------------------------------------------------------------------
    # Taking rows in
    #
    def _take_one_by_one(self, rows, now):
        """
            Take in each row in a transaction of its own: one of them can't be
            read, or another worker takes it in at the same time

            Returns:
                how many rows are settled
        """

        settled = 0
        for row in rows:
            try:
                self._take([row], now)
                self.db.commit()
                settled += 1
            except Exception as error:
                self.db.rollback()
                # A conflict: another worker has locked the row, the next run
                # sees it again
                if not is_conflict(error) and self._set_aside(row, error, now):
                    settled += 1
        return settled

    # -------------------------------------------------------------------------
    def _set_aside(self, row, error, now):
        """ Hold a row that our code can't read until a person releases it; commits """

        try:
            # Fails as well if another worker has taken in the row
            self._refuse(row, "The row can not be read (%s)" % type(error).__name__,
                         now, status=DRAFT)
            self.db.commit()
        except Exception:
            self.db.rollback()
            return False
        return True

    # -------------------------------------------------------------------------
    def _take(self, rows, now):
        """ Take in rows, in one transaction """

        persons = [row.msg_outbox.pe_id for row in rows
                   if row.pr_pentity.instance_type == PERSON]
        contacts = contacts_of(self.db, persons, self.channel.name)
        message_ids = {} # in mails3_message, by eden_message_id
        for row in rows:
            if row.mails3_delivery.message_id:
                # Was taken in before, and released by a person
                self.transitions.requeue_released(row)
            else:
                self._take_row(row, contacts, message_ids, now)

    # -------------------------------------------------------------------------
    def _take_row(self, row, contacts, message_ids, now):
        """
            Take in one row

            Args:
                row: the row, as from OutboxRows.read()
                contacts: dict {pe_id: address}
                message_ids: dict {eden_message_id: message_id}, is completed
                now: the time
        """

        entry, instance_type = row.msg_outbox, row.pr_pentity.instance_type
        # Like Eden: an address in the row goes before the person's contact
        address = entry.address or contacts.get(entry.pe_id)
        try:
            if not address and instance_type != PERSON:
                self._expand(row, instance_type)
                return
            if not address:
                raise BadInput("The person has no contact of that kind")
            if self.channel.name == EMAIL:
                address = address_of(address)
            if entry.message_id not in message_ids:
                message_ids[entry.message_id] = self._store(entry.message_id, now)
        except BadInput as error:
            self._refuse(row, error, now)
        else:
            self._accept(row, message_ids[entry.message_id], address, now)

    # -------------------------------------------------------------------------
    def _store(self, eden_message_id, now):
        """
            Store a message of Eden, once for all its recipients

            Returns:
                its id in mails3_message

            Raises:
                BadInput: the message can't be sent
        """

        key = "eden-message-%s" % eden_message_id
        message_id = self.channel.contents.find(key)
        if message_id:
            return message_id

        message = read_message(self.db, self.mail, eden_message_id, self.channel.name)
        id_header = message.id_header(self.mail.configured("sender"))
        return self.channel.contents.store(message, id_header, now, idempotency_key=key)

    # -------------------------------------------------------------------------
    # Results, see IntakeTransitions
    #
    def _accept(self, row, message_id, address, now):
        """ A row becomes a delivery: new, or deferred if Eden has tried it before """

        entry, max_retries = row.msg_outbox, self.mail.options.max_retries
        is_tried = None not in (entry.retries, max_retries) and entry.retries < max_retries
        self.transitions.accept(row, message_id, address, is_tried, now)

    # -------------------------------------------------------------------------
    def _expand(self, row, instance_type):
        """ Queue a row for each member of a group, like stock Eden """

        entry = row.msg_outbox
        members = members_query(entry.pe_id, instance_type)
        if not self.transitions.begin_expansion(row):
            return
        persons = self.db(members).select(current.s3db.pr_person.pe_id, distinct=True)
        pe_ids = [person.pe_id for person in persons if person.pe_id]
        for pe_id in pe_ids:
            outbox_id = self.table.insert(message_id = entry.message_id,
                                          pe_id = pe_id,
                                          contact_method = self.channel.name,
                                          system_generated = True,
                                          )
            self.transitions.add_member(row, int(outbox_id))
        self.transitions.end_expansion(row, len(pe_ids))

    # -------------------------------------------------------------------------
    def _refuse(self, row, reason, now, status=INVALID):
        """ A row can't become a delivery: final by default, with the reason """

        log.warning("Row %s of msg_outbox can't be sent: %s", row.msg_outbox.id, reason)
        self.transitions.refuse(row, reason, now, status)

# END =========================================================================
