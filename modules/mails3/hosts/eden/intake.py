# -*- coding: utf-8 -*-

"""
    What Eden itself has put into msg_outbox: to whom does it go, and what
    is it? Picked up, it is a delivery like any other.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging

from dataclasses import replace

from gluon import current
from gluon.tools import Mail
from pydal.objects import Expression

from ...message.address import BadInput, address_of
from ...states import DEFERRED, DRAFT, EMAIL, INVALID, NEW, SENT, UNSENT
from ...queue.schema import is_conflict
from ...message.stored import Message

__all__ = ("Intake",)

log = logging.getLogger("web2py.mails3")

# How many rows are read and committed at a time
BATCH = 100

# What is new is looked for among the latest rows: not the very last ones, for
# a request may have taken its id before others and be committed after them
LATEST = 1000

# Where the text of a message is, by contact_method (s3db/msg.py)
TEXTS = {EMAIL: "msg_email", "SMS": "msg_sms", "TWITTER": "msg_twitter"}

# Who is meant by an entity: table of its members, and how that refers to it
# (S3Msg.process_outbox)
MEMBERS = {"pr_group": ("pr_group_membership", "group_id"),
           "pr_forum": ("pr_forum_membership", "forum_id"),
           "org_organisation": ("hrm_human_resource", "organisation_id"),
           "hrm_training_event": ("hrm_training", "training_event_id"),
           }

# =============================================================================
class Intake:
    """ Takes the rows of one channel out of Eden's outbox """

    def __init__(self, mail, outbox):
        """
            Args:
                mail: the EdenMail
                outbox: the Outbox of the channel
        """

        self.mail = mail
        self.outbox = outbox
        self.db = outbox.db
        self.table = outbox.outbox
        self.delivery = outbox.delivery
        self.max_retries = mail.options.max_retries

    # -------------------------------------------------------------------------
    def is_idle(self, now):
        """ Whether there is nothing new, here or in the queue: one query, no write """

        options = {"limitby": (0, 1), "orderby_on_limitby": False}
        here = self._unsent(self._latest())._select(self.table.id, left=self._joins()[:1],
                                                    **options)
        there = self.db(self.outbox.waiting(NEW, now))._select(self.delivery.id, **options)
        return not self.db.executesql("SELECT 1 FROM (%s) AS here UNION ALL "
                                      "SELECT 1 FROM (%s) AS there" %
                                      (here.rstrip("; "), there.rstrip("; ")))

    # -------------------------------------------------------------------------
    def run(self, now, everything=False):
        """
            Pick up what is new; commits

            Args:
                now: the time
                everything: also what is old: left over from before MailS3
                            was installed, or released by a person
        """

        query = (self.table.id > 0) if everything else self._latest()
        while True:
            rows = self._rows(query, BATCH)
            if not rows:
                return
            try:
                self._pick_up(rows, now)
                self.db.commit()
            except Exception:
                self.db.rollback()
                if not self._one_by_one(rows, now):
                    return

    # -------------------------------------------------------------------------
    def message(self, eden_message_id, now):
        """
            Pick up a message that was queued in this very transaction, which
            is not committed

            Args:
                eden_message_id: as in msg_outbox
                now: the time

            Returns:
                list of the ids of its new deliveries
        """

        query = (self.table.message_id == eden_message_id)
        while True:
            rows = self._rows(query, BATCH)
            if not rows:
                break
            self._pick_up(rows, now)

        rows = self.db(query & (self.delivery.outbox_id == self.table.id) &
                       (self.delivery.queue == NEW)).select(self.delivery.id)
        return [row.id for row in rows]

    # -------------------------------------------------------------------------
    def _latest(self):
        """ Query for the latest rows """

        # Not one that waits to be picked up, as the members of a group do
        number = self.delivery.outbox_id
        last = self.db(self.delivery.message_id != None)._select(number, orderby = ~number,
                                                                 limitby = (0, 1))
        floor = Expression(self.db, "SELECT COALESCE((%s), 0) - %s;" %
                           (last.rstrip(";"), LATEST))
        return self.table.id > floor

    # -------------------------------------------------------------------------
    def _rows(self, query, limit):
        """ Read rows that are unsent, and in no queue """

        table, delivery = self.table, self.delivery
        return self._unsent(query).select(
                            table.id, table.message_id, table.pe_id, table.address,
                            table.retries, current.s3db.pr_pentity.instance_type,
                            delivery.id, delivery.message_id,
                            left = self._joins(),
                            orderby = table.id,
                            limitby = (0, limit),
                            )

    # -------------------------------------------------------------------------
    def _unsent(self, query):
        """ The rows that are unsent, and in no queue; of those a query is for """

        table = self.table
        return self.db(query &
                       (table.status == UNSENT) &
                       (table.deleted == False) &
                       (table.contact_method == self.outbox.channel) &
                       (self.delivery.queue == None))

    # -------------------------------------------------------------------------
    def _joins(self):
        """ What belongs to a row: its delivery if there is one, its recipient """

        table, delivery, entity = self.table, self.delivery, current.s3db.pr_pentity
        return [delivery.on(delivery.outbox_id == table.id),
                entity.on(entity.pe_id == table.pe_id)]

    # -------------------------------------------------------------------------
    def _one_by_one(self, rows, now):
        """
            Pick rows up each on its own, as one of them can't be, or is
            being picked up by another worker

            Returns:
                whether any was
        """

        moved = 0
        for row in rows:
            try:
                self._pick_up([row], now)
                self.db.commit()
                moved += 1
            except Exception as error:
                self.db.rollback()
                if is_conflict(error):
                    # Somebody else holds it: for the next run
                    continue
                try:
                    # Nobody has refused it: set aside, until a person releases it.
                    # Fails, too, if another worker has got it.
                    self._refuse(row, "It can not be read (%s)" %
                                 type(error).__name__, now, status=DRAFT)
                    self.db.commit()
                    moved += 1
                except Exception:
                    self.db.rollback()
        return moved

    # -------------------------------------------------------------------------
    def _pick_up(self, rows, now):
        """ Pick rows up, in one transaction """

        contacts = self._contacts([row.msg_outbox.pe_id for row in rows
                                   if row.pr_pentity.instance_type == "pr_person"])
        messages = {}
        for row in rows:
            entry, kind = row.msg_outbox, row.pr_pentity.instance_type
            if row.mails3_delivery.message_id:
                # Has been picked up before, and released by a person
                self.db(self.delivery.id == row.mails3_delivery.id).update(queue=NEW)
                continue
            # Eden: if set used instead of picking up from pe_id
            address = entry.address or contacts.get(entry.pe_id)
            try:
                if not address and kind != "pr_person":
                    self._expand(row, kind)
                    continue
                if not address:
                    raise BadInput("The person has no contact of that kind")
                if self.outbox.channel == EMAIL:
                    address = address_of(address)
                if entry.message_id not in messages:
                    messages[entry.message_id] = self._message(entry.message_id, now)
            except BadInput as error:
                self._refuse(row, error, now)
            else:
                self._accept(row, messages[entry.message_id], address, now)

    # -------------------------------------------------------------------------
    def _contacts(self, pe_ids):
        """ The first contact of each person, by priority: dict {pe_id: value} """

        contacts = {}
        if pe_ids:
            table = current.s3db.pr_contact
            rows = self.db(table.pe_id.belongs(set(pe_ids)) &
                           (table.contact_method == self.outbox.channel) &
                           (table.deleted == False)).select(
                                table.pe_id, table.value,
                                orderby = table.priority | table.id,
                                )
            for row in rows:
                if row.value:
                    contacts.setdefault(row.pe_id, row.value)
        return contacts

    # -------------------------------------------------------------------------
    def _expand(self, row, kind):
        """ Queue a message for each member of a group, as stock Eden does """

        if not kind:
            raise BadInput("Neither a person nor an address")

        entry, s3db = row.msg_outbox, current.s3db
        entity, person = s3db.table(kind), s3db.pr_person
        if kind == "deploy_alert":
            recipient = s3db.table("deploy_alert_recipient")
            member = s3db.table("hrm_human_resource")
            link = recipient and member and \
                (recipient.alert_id == entity.id) & (recipient.deleted == False) & \
                (member.id == recipient.human_resource_id)
        else:
            name, key = MEMBERS.get(kind, (None, None))
            member = name and s3db.table(name)
            link = member and (member[key] == entity.id)
        if not entity or not member:
            raise BadInput("A %s has no members to send it to" % kind)

        # Whoever gets this done is the one to do it
        if not self.db((self.table.id == entry.id) & self.outbox.undeleted &
                       (self.table.status == UNSENT)).update(status=SENT):
            return
        people = self.db((entity.pe_id == entry.pe_id) & link &
                         (member.deleted == False) &
                         (person.id == member.person_id) &
                         (person.deleted == False)).select(person.pe_id, distinct=True)
        pe_ids = [person.pe_id for person in people if person.pe_id]
        for pe_id in pe_ids:
            number = self.table.insert(message_id = entry.message_id,
                                       pe_id = pe_id,
                                       contact_method = self.outbox.channel,
                                       system_generated = True,
                                       )
            self.delivery.insert(outbox_id = int(number),
                                 channel = self.outbox.channel,
                                 expanded_from = entry.id,
                                 )
        self._write(row, queue=None, reply="Expanded to %s recipient%s" %
                    (len(pe_ids), "" if len(pe_ids) == 1 else "s"))

    # -------------------------------------------------------------------------
    def _message(self, eden_message_id, now):
        """
            Store a message of Eden's, once for all its recipients

            Returns:
                its id in mails3_message

            Raises:
                BadInput: it can not become a mail
        """

        key = "eden-message-%s" % eden_message_id
        stored = self.outbox.find(key)
        if stored:
            return stored

        name = TEXTS.get(self.outbox.channel)
        table = name and current.s3db.table(name)
        row = None
        if table and eden_message_id:
            row = self.db(table.message_id == eden_message_id).select(limitby=(0, 1)).first()
        if not row:
            raise BadInput("There is no message")

        text = row.body or ""
        if self.outbox.channel == EMAIL:
            submission = Message.read({"to": "recipient@example.invalid",
                                       "subject": row.subject,
                                       "message": text,
                                       "sender": self.mail.sender_of(row.from_address),
                                       "attachments": self._attachments(eden_message_id),
                                       },
                                      self.mail.options.max_size)
        else:
            # What the gateway is chosen by
            submission = Message([], [], body=text,
                                 options = {"message_id": eden_message_id,
                                            "organisation_id": row.get("organisation_id"),
                                            })
        # To each recipient alone, and none of them knows of the others
        submission = replace(submission, to=[], recipients=[])
        return self.outbox.store(submission, self.mail.message_id_header(submission), now,
                                 idempotency_key=key)

    # -------------------------------------------------------------------------
    def _attachments(self, eden_message_id):
        """ The documents of a message, with their real names """

        s3db = current.s3db
        link, document = s3db.msg_attachment, s3db.doc_document
        rows = self.db((link.message_id == eden_message_id) &
                       (link.deleted == False) &
                       (document.id == link.document_id) &
                       (document.deleted == False)).select(document.file, orderby=link.id)
        attachments = []
        for row in rows:
            if not row.file:
                # A link to a page elsewhere
                continue
            try:
                name, stream = document.file.retrieve(row.file)
                with stream:
                    attachments.append(Mail.Attachment(stream, filename=name))
            except Exception as error:
                raise BadInput("A document of it can not be read (%s)" %
                               type(error).__name__) from None
        return attachments

    # -------------------------------------------------------------------------
    def _accept(self, row, message_id, address, now):
        """ A row becomes a delivery: new, or deferred if it was tried before """

        entry = row.msg_outbox
        tried = None not in (entry.retries, self.max_retries) and \
            entry.retries < self.max_retries
        if entry.address != address:
            self.db(self.table.id == entry.id).update(address=address)
        self._write(row, message_id=message_id, queue=DEFERRED if tried else NEW, due_on=now)

    # -------------------------------------------------------------------------
    def _refuse(self, row, reason, now, status=INVALID):
        """ A row can't become a delivery: final by default, with the reason """

        log.warning("Row %s of msg_outbox can't be sent: %s", row.msg_outbox.id, reason)
        self.db(self.table.id == row.msg_outbox.id).update(status=status)
        self._write(row, queue=None, tried_on=now, reply=str(reason)[:512])

    # -------------------------------------------------------------------------
    def _write(self, row, **values):
        """ Make the delivery of a row, or make it anew """

        if row.mails3_delivery.id:
            self.db(self.delivery.id == row.mails3_delivery.id).update(**values)
        else:
            self.delivery.insert(outbox_id = row.msg_outbox.id,
                                 channel = self.outbox.channel,
                                 **values)

# END =========================================================================
