# -*- coding: utf-8 -*-

"""
    The report of Eden's outbox: some rows have a recipient without an address,
    and some stand for many recipients

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from gluon import current

from ...queue.report import Report
from ...states import SENT
from .recipients import PERSON

__all__ = ("EdenReport",)

# What people call an entity, by its pr_pentity.instance_type
KINDS = {"pr_group": "group",
         "pr_forum": "forum",
         "org_organisation": "organisation",
         "hrm_training_event": "training event",
         "deploy_alert": "alert",
         }

# The fields that the name of an entity consists of
NAME_FIELDS = ("first_name", "last_name", "name", "subject")

# =============================================================================
class EdenReport(Report):
    """ The report, with the names of recipients who have no address """

    def __init__(self, tables, channel):
        """
            Args:
                tables: the Tables
                channel: its name
        """

        super().__init__(tables, channel)
        self.entity = entity = current.s3db.pr_pentity

        # A group's row gets the status SENT when it is expanded, and is no mail
        # then. Before, it stands for the mails to its members.
        groups = self.db(entity.instance_type != PERSON)._select(entity.pe_id)
        is_mail = (self.outbox.status != SENT) | (self.outbox.address != "") | \
            ~self.outbox.pe_id.belongs(groups)
        self.all_mails &= is_mail
        self.mails &= is_mail

    # -------------------------------------------------------------------------
    def expanded(self, entry, limit=200):
        """
            The deliveries to the members of a group

            Args:
                entry: the entry of the group's row (dict)
                limit: how many deliveries at most

            Returns:
                list of entries, empty if the row was not expanded
        """

        if entry["state"] != "expanded":
            return []
        outbox, delivery = self.outbox, self.delivery
        row = self.db(outbox.id == entry["number"]).select(outbox.message_id).first()
        members = (outbox.message_id == row.message_id) & \
                  (outbox.contact_method == self.channel) & \
                  (outbox.system_generated == True)
        if entry["delivery"]:
            members &= (delivery.expanded_from == entry["number"])
        # Without a delivery, stock Eden has expanded the row, or our record of
        # it is purged: the members of all groups of this message are returned
        return self.select(members & self.mails, outbox.id, limit)

    # -------------------------------------------------------------------------
    def select(self, query, order, limit):
        """ As Report.select(); a recipient without an address has a name """

        entries = super().select(query, order, limit)
        incomplete = {entry["number"]: entry for entry in entries
                      if entry["message_id"] is None or not entry["address"]}
        if incomplete:
            self._complete(incomplete)
        return entries

    # -------------------------------------------------------------------------
    def _complete(self, entries):
        """
            Complete the entries of rows that Eden has queued and that our
            worker has not taken in yet, or has expanded

            Args:
                entries: dict {number: entry}
        """

        rows = self._rows(list(entries))
        names = names_of([(row.pr_pentity.instance_type, row.msg_outbox.pe_id)
                          for row in rows])
        for row in rows:
            entry, instance_type = entries[row.msg_outbox.id], row.pr_pentity.instance_type
            if not entry["address"] and row.msg_outbox.pe_id in names:
                entry["recipient"] = names[row.msg_outbox.pe_id]
            if entry["message_id"] is None and "msg_email" in row:
                entry["subject"] = row.msg_email.subject
            if instance_type not in (None, PERSON) and entry["state"] == "sent":
                entry["state"] = "expanded"

    # -------------------------------------------------------------------------
    def _rows(self, outbox_ids):
        """ Read rows of msg_outbox with their entity, and Eden's subject if it has any """

        outbox, entity = self.outbox, self.entity
        email = current.s3db.table("msg_email")
        left = [entity.on(entity.pe_id == outbox.pe_id)]
        fields = [outbox.id, outbox.pe_id, entity.instance_type]
        if email:
            left.append(email.on(email.message_id == outbox.message_id))
            fields.append(email.subject)
        return self.db(outbox.id.belongs(outbox_ids)).select(*fields, left=left)

# -----------------------------------------------------------------------------
def names_of(entities):
    """
        The names of entities

        Args:
            entities: list of tuples (instance_type, pe_id)

        Returns:
            dict {pe_id: name}
    """

    by_type, names = {}, {}
    for instance_type, pe_id in entities:
        if instance_type:
            by_type.setdefault(instance_type, set()).add(pe_id)

    for instance_type, pe_ids in by_type.items():
        table = current.s3db.table(instance_type)
        label = "%s"
        if instance_type != PERSON:
            label = "%%s (%s)" % KINDS.get(instance_type, instance_type)
        names.update((pe_id, label % "no name") for pe_id in pe_ids)
        if table:
            fields = [table[name] for name in NAME_FIELDS if name in table.fields]
            for row in current.db(table.pe_id.belongs(pe_ids)).select(table.pe_id, *fields):
                name = " ".join(str(row[field.name]) for field in fields if row[field.name])
                names[row.pe_id] = label % (name or "no name")
    return names

# END =========================================================================
