# -*- coding: utf-8 -*-

"""
    The recipients of Eden's messages: the contacts of persons, the members of
    groups (S3Msg.process_outbox)

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from gluon import current

from ...message.address import BadInput

__all__ = ("PERSON", "contacts_of", "members_query")

PERSON = "pr_person"

# By instance_type of an entity: the table of its members, and the field in that
# table which refers to the entity
MEMBERS = {"pr_group": ("pr_group_membership", "group_id"),
           "pr_forum": ("pr_forum_membership", "forum_id"),
           "org_organisation": ("hrm_human_resource", "organisation_id"),
           "hrm_training_event": ("hrm_training", "training_event_id"),
           }

# -----------------------------------------------------------------------------
def contacts_of(db, pe_ids, channel):
    """
        The first contact of persons, by priority

        Args:
            db: the DAL
            pe_ids: the persons (iterable)
            channel: the contact_method (str)

        Returns:
            dict {pe_id: address}; without persons who have no such contact
    """

    contacts = {}
    if pe_ids:
        table = current.s3db.pr_contact
        rows = db(table.pe_id.belongs(set(pe_ids)) &
                  (table.contact_method == channel) &
                  (table.deleted == False)).select(
                        table.pe_id, table.value,
                        orderby = table.priority | table.id,
                        )
        for row in rows:
            if row.value:
                contacts.setdefault(row.pe_id, row.value)
    return contacts

# -----------------------------------------------------------------------------
def members_query(pe_id, instance_type):
    """
        The members of a group, forum, organisation, training event or
        deployment alert

        Args:
            pe_id: the entity
            instance_type: its kind (str), None if the row has no entity

        Returns:
            Query for the rows of pr_person

        Raises:
            BadInput: an entity of that kind has no members
    """

    if not instance_type:
        raise BadInput("Neither a person nor an address")

    s3db = current.s3db
    entity, person = s3db.table(instance_type), s3db.pr_person
    if instance_type == "deploy_alert":
        recipient = s3db.table("deploy_alert_recipient")
        member = s3db.table("hrm_human_resource")
        link = recipient and member and \
            (recipient.alert_id == entity.id) & (recipient.deleted == False) & \
            (member.id == recipient.human_resource_id)
    else:
        name, key = MEMBERS.get(instance_type, (None, None))
        member = name and s3db.table(name)
        link = member and (member[key] == entity.id)
    if not entity or not member:
        raise BadInput("A %s has no members to send it to" % instance_type)

    return (entity.pe_id == pe_id) & link & \
           (member.deleted == False) & \
           (person.id == member.person_id) & \
           (person.deleted == False)

# END =========================================================================
