# -*- coding: utf-8 -*-

"""
    The notice: tells an admin on each page of the site that mail is not sent

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging

from gluon import A, CAT, URL, current

from ..admin.status import Status
from ..clock import utcnow
from ..states import brief
from ..queue.database import reading

__all__ = ("show_notice",)

log = logging.getLogger("web2py.mails3")

# -----------------------------------------------------------------------------
def show_notice(mail, place, is_admin, as_text=False):
    """
        Tell an admin who is logged in about the most urgent problem, if mail is
        not sent at this moment; costs other visitors no query

        Args:
            mail: the MailS3
            place: key in the response where the host's layout shows messages
                   (str)
            is_admin: function that tells whether the visitor is an admin; must
                      need no query
            as_text: the layout escapes markup: show text only
    """

    request, response = current.request, current.response
    if request.controller == "mails3" or request.extension != "html" or \
       request.ajax or response[place] or not is_admin():
        return

    text = problem_of(mail)
    if text and as_text:
        # web2py.js shows even a quotation mark or an ampersand as an entity
        response[place] = "%s: %s" % (text, URL("mails3", "index"))
    elif text:
        response[place] = CAT("%s. " % text, A(current.T("Outbound mail"),
                                               _href=URL("mails3", "index")))

# -----------------------------------------------------------------------------
def problem_of(mail):
    """
        The most urgent problem of the mail; never raises

        Args:
            mail: the MailS3

        Returns:
            the title of the problem (str), "" if there is no problem
    """

    try:
        with reading(mail.db):
            problems = Status(mail, utcnow()).problems
    except Exception as error:
        log.error("The state of the mail can't be read (%s).", brief(error))
        return ""
    return problems[0].title if problems else ""

# END =========================================================================
