# -*- coding: utf-8 -*-

"""
    What an admin sees of Eden's outbox: its rows have recipients that are no
    addresses, and some of them stand for many people

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from gluon import current

from ...queue.report import Report
from ...states import SENT

__all__ = ("EdenReport",)

PERSON = "pr_person"

# What people call an entity (pr_pentity.instance_type)
KINDS = {"pr_group": "group",
         "pr_forum": "forum",
         "org_organisation": "organisation",
         "hrm_training_event": "training event",
         "deploy_alert": "alert",
         }

# Where the name of an entity is
NAMES = ("name", "subject")

# =============================================================================
class EdenReport(Report):
    """ The deliveries, with what Eden knows of them """

    def __init__(self, outbox):

        super().__init__(outbox)
        self.entity = entity = current.s3db.pr_pentity

        # A group's row is expanded when it is sent, in Eden's words: no mail.
        # Until then it stands for the mails to come.
        groups = self.db(entity.instance_type != PERSON)._select(entity.pe_id)
        is_mail = (self.outbox.status != SENT) | (self.outbox.address != "") | \
            ~self.outbox.pe_id.belongs(groups)
        self.all_mails &= is_mail
        self.mails &= is_mail

    # -------------------------------------------------------------------------
    def _select(self, query, order, limit):
        """ As Report._select(); whoever has no address has a name """

        entries = super()._select(query, order, limit)
        unfinished = {entry["number"]: entry for entry in entries
                      if entry["mail"] is None or not entry["address"]}
        if unfinished:
            self._complete(unfinished)
        return entries

    # -------------------------------------------------------------------------
    def _complete(self, entries):
        """
            Complete the entries of what Eden has queued, and no run has seen yet
            or a run has expanded

            Args:
                entries: dict {number: entry}
        """

        outbox, entity = self.outbox, self.entity
        email = current.s3db.table("msg_email")
        left = [entity.on(entity.pe_id == outbox.pe_id)]
        fields = [outbox.id, outbox.pe_id, entity.instance_type]
        if email:
            left.append(email.on(email.message_id == outbox.message_id))
            fields.append(email.subject)
        rows = self.db(outbox.id.belongs(list(entries))).select(*fields, left=left)

        names = names_of([(row.pr_pentity.instance_type, row.msg_outbox.pe_id)
                          for row in rows])
        for row in rows:
            entry, kind = entries[row.msg_outbox.id], row.pr_pentity.instance_type
            if not entry["address"] and row.msg_outbox.pe_id in names:
                entry["recipient"] = names[row.msg_outbox.pe_id]
            if email and entry["mail"] is None:
                entry["subject"] = row.msg_email.subject
            if kind not in (None, PERSON) and entry["state"] == "sent":
                entry["state"] = "expanded"

    # -------------------------------------------------------------------------
    def expanded(self, entry, limit=200):
        """ The entries of the members to whom a row of a group was expanded """

        if entry["state"] != "expanded":
            return []
        outbox, delivery = self.outbox, self.delivery
        row = self.db(outbox.id == entry["number"]).select(outbox.message_id).first()
        members = (outbox.message_id == row.message_id) & \
                  (outbox.contact_method == self.channel) & \
                  (outbox.system_generated == True)
        if entry["delivery"]:
            members &= (delivery.expanded_from == entry["number"])
        # Else Eden did it, or it was long ago: those of the whole message
        return self._select(members & self.mails, outbox.id, limit)

# -----------------------------------------------------------------------------
def names_of(entities):
    """
        The names of entities

        Args:
            entities: list of tuples (instance_type, pe_id)

        Returns:
            dict {pe_id: text}
    """

    kinds, names = {}, {}
    for kind, pe_id in entities:
        if kind:
            kinds.setdefault(kind, set()).add(pe_id)
    for kind, pe_ids in kinds.items():
        table = current.s3db.table(kind)
        shown = "%s" if kind == PERSON else "%%s (%s)" % KINDS.get(kind, kind)
        for pe_id in pe_ids:
            names[pe_id] = shown % "no name"
        if table:
            fields = [table[name] for name in ("first_name", "last_name") + NAMES
                      if name in table.fields]
            for row in current.db(table.pe_id.belongs(pe_ids)).select(table.pe_id, *fields):
                name = " ".join(str(row[field.name]) for field in fields if row[field.name])
                names[row.pe_id] = shown % (name or "no name")
    return names

# END =========================================================================
