# -*- coding: utf-8 -*-

"""
    Who may see the admin's page, and which forms may change something: those of
    the same session, by a CSRF token

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from hmac import compare_digest
from uuid import uuid4

from gluon import HTTP, current

__all__ = ("admins_only", "visitor", "form_key", "posted")

# -----------------------------------------------------------------------------
def admins_only(action):
    """ Decorate an action of the controller: only admins may call it """

    mail = current.mail

    def refused():
        raise HTTP(403, "This app has no users, so there is no admin to show its mail "
                        "to. Use the command line.")

    if mail.auth is None:
        return refused
    return mail.auth.requires(lambda: mail.is_admin())(action)

# -----------------------------------------------------------------------------
def visitor():
    """ Who is logged in, for the log (str) """

    user = current.mail.auth.user
    return user.get("email") or user.get("username") or "user %s" % user.id

# -----------------------------------------------------------------------------
# Forms
#
def form_key():
    """ The CSRF token of this session (str) """

    session = current.session
    if not session.mails3_key:
        session.mails3_key = uuid4().hex
    return session.mails3_key

# -----------------------------------------------------------------------------
def posted():
    """
        The fields of a form of this session

        Returns:
            gluon.storage.Storage

        Raises:
            HTTP: the request is no POST (405), or has no valid form key (403)
    """

    request = current.request
    if request.env.request_method != "POST":
        raise HTTP(405, "Use the form for this.", Allow="POST")
    if not compare_digest(str(request.post_vars._formkey).encode("utf-8"),
                          form_key().encode("ascii")):
        raise HTTP(403, "This form is not valid any more. Go back, load the page again, "
                        "and try again.")
    return request.post_vars

# END =========================================================================
