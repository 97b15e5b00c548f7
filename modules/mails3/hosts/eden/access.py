# -*- coding: utf-8 -*-

"""
    Permissions in Eden: who may read our tables, who approves new users

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import functools
import logging

from gluon import current

from ...queue.schema import COMPANIONS

__all__ = ("ask_admins_to_approve", "restrict_tables")

log = logging.getLogger("web2py.mails3")

# -----------------------------------------------------------------------------
def restrict_tables(auth):
    """
        Let only admins read our tables, in each interface where a user may name
        a table, like sync/sync.xml; Eden's simple security policies let every
        user read them

        Args:
            auth: the AuthS3 of this request
    """

    has_permission, accessible_query = auth.s3_has_permission, auth.s3_accessible_query

    def is_forbidden(table):
        name = getattr(table, "_dalname", table)
        return name in COMPANIONS and not auth.override and not auth.s3_has_role("ADMIN")

    @functools.wraps(has_permission)
    def s3_has_permission(method, table, *args, **kwargs):
        return not is_forbidden(table) and has_permission(method, table, *args, **kwargs)

    @functools.wraps(accessible_query)
    def s3_accessible_query(method, table, *args, **kwargs):
        if is_forbidden(table):
            return current.db[getattr(table, "_tablename", table)].id == 0
        return accessible_query(method, table, *args, **kwargs)

    auth.s3_has_permission = s3_has_permission
    auth.s3_accessible_query = s3_accessible_query

# -----------------------------------------------------------------------------
def ask_admins_to_approve(auth):
    """
        Let the admins approve a new user, or notify them of one, if nobody
        else is configured for that (the group of approvers is empty): stock
        Eden then logs the visitor in without approval, fails when it notifies
        the approvers, and rolls the registration back, each time

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
            approver = admins()
        return approver, organisation_id

    auth.s3_approver = approver_of

# -----------------------------------------------------------------------------
def admins():
    """
        The users with the role ADMIN

        Returns:
            list of dicts {"email", "language"}, as AuthS3.s3_approver() wants
    """

    db = current.db
    user, group, membership = db.auth_user, db.auth_group, db.auth_membership
    return db((group.uuid == "ADMIN") &
              (membership.group_id == group.id) & (membership.deleted == False) &
              (user.id == membership.user_id) & (user.deleted == False)
              ).select(user.email, user.language, distinct=True).as_list()

# END =========================================================================
