# -*- coding: utf-8 -*-

"""
    Who may see our tables in Eden, and who is asked about new users

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import functools
import logging

from gluon import current

from ...queue.schema import COMPANIONS

__all__ = ("guard", "stand_in_for_approvers")

log = logging.getLogger("web2py.mails3")

# -----------------------------------------------------------------------------
def guard(auth):
    """
        Have Eden show our tables to an admin only, in all interfaces where a
        user may name a table, like sync/sync.xml; in its simple policies they
        were everybody's else

        Args:
            auth: the AuthS3 of this request
    """

    has_permission, accessible_query = auth.s3_has_permission, auth.s3_accessible_query

    def is_withheld(table):
        name = getattr(table, "_dalname", table)
        return name in COMPANIONS and not auth.override and not auth.s3_has_role("ADMIN")

    @functools.wraps(has_permission)
    def s3_has_permission(method, table, *args, **kwargs):
        return not is_withheld(table) and has_permission(method, table, *args, **kwargs)

    @functools.wraps(accessible_query)
    def s3_accessible_query(method, table, *args, **kwargs):
        if is_withheld(table):
            return current.db[getattr(table, "_tablename", table)].id == 0
        return accessible_query(method, table, *args, **kwargs)

    auth.s3_has_permission = s3_has_permission
    auth.s3_accessible_query = s3_accessible_query

# -----------------------------------------------------------------------------
def stand_in_for_approvers(auth):
    """
        Have the admins approve, or be notified, where the group of approvers
        is empty: else Eden lets the visitor in without approval, fails over
        whom to notify, and undoes the registration, again and again

        Args:
            auth: the AuthS3 of this request
    """

    s3_approver = auth.s3_approver

    @functools.wraps(s3_approver)
    def approver_of(user):
        approver, organisation_id = s3_approver(user)
        if not approver:
            log.warning("There is nobody to approve a new user, or to be notified of "
                        "one: see settings.mail.approver. The admins are asked.")
            db = current.db
            person, group, member = db.auth_user, db.auth_group, db.auth_membership
            approver = db((group.uuid == "ADMIN") &
                          (member.group_id == group.id) & (member.deleted == False) &
                          (person.id == member.user_id) & (person.deleted == False)
                          ).select(person.email, person.language, distinct=True).as_list()
        return approver, organisation_id

    auth.s3_approver = approver_of

# END =========================================================================
