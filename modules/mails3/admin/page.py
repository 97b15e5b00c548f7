# -*- coding: utf-8 -*-

"""
    The admin's page, beside its templates: fields, verbs, rendering in the look
    of the host; who may see it is in page_access.py

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging
import os
import re

from email import message_from_bytes
from urllib.parse import parse_qsl

from gluon import HTTP, URL, XML, current, redirect

from ..message.address import BadInput
from ..delivery.capture import Capture
from ..states import brief, one_line
from .chart import chart_svg
from .mail_source import kept_message
from .operator import OperatorError
from .page_access import form_key

__all__ = ("values_of", "text_of", "integer_of", "attempted", "redirect_back",
           "requested_entry", "content_of", "parts_of",
           "rendered")

log = logging.getLogger("web2py.mails3")

# The pages that a form may lead back to
PAGES = re.compile(r"(index|mails|show)(?:/(\w+))?(?:\?(.*))?")

# Control characters, and characters that change the direction of a text: a sender or
# a mail server may have put them into the database, so each page is without them
CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f"
                      "\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")

# The layout for apps that have none
PLAIN_LAYOUT = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Outbound mail</title></head>
<body style="font: 1rem/1.5 sans-serif; max-width: 64rem; margin: 1rem auto; padding: 0 1rem">
%s
</body>
</html>"""

# -----------------------------------------------------------------------------
# Fields of forms and URLs
#
def values_of(fields, name):
    """
        The values of a field of a form or a URL

        Args:
            fields: as parsed by web2py: the value of a field is a str, a list if
                    the field is repeated, another object if it is a file
            name: the name of the field

        Returns:
            list of str, without control characters
    """

    values = fields.get(name)
    return [one_line(value) for value in
            (values if isinstance(values, list) else [values]) if isinstance(value, str)]

# -----------------------------------------------------------------------------
def text_of(fields, name, max_length=300):
    """ The first value of a field, cut to so many characters; "" if it has none """

    return "".join(values_of(fields, name)[:1])[:max_length]

# -----------------------------------------------------------------------------
def integer_of(text):
    """ A number in a URL or a form (int); None if it is not a number """

    text = str(text or "")
    return int(text) if text.isdigit() and text.isascii() and len(text) < 10 else None

# -----------------------------------------------------------------------------
def attempted(verb):
    """
        Do a verb and commit, or roll back and say what has failed

        Args:
            verb: function that does it, and returns a message for the admin

        Returns:
            the message
    """

    db = current.mail.db
    try:
        message = verb()
        db.commit()
    except (OperatorError, BadInput) as error:
        db.rollback()
        return str(error)
    except Exception as error:
        db.rollback()
        log.exception("A verb on the admin's page failed.")
        return "This could not be done (%s)." % brief(error)
    return message

# -----------------------------------------------------------------------------
def redirect_back(fields, message):
    """
        Redirect to the page that the form is on, and show a message there

        Args:
            fields: of the form; "back" names the page
            message: the message
    """

    current.session.mails3_message = str(message)
    page = PAGES.fullmatch(text_of(fields, "back")) or PAGES.fullmatch("index")
    function, argument, query = page.groups()
    redirect(URL("mails3", function,
                 args = [argument] if argument else [],
                 vars = dict(parse_qsl(query or ""))))

# -----------------------------------------------------------------------------
# The mail that the URL names
#
def requested_entry():
    """ The entry whose number is in the URL; raises HTTP 404 if it does not exist """

    number = integer_of(current.request.args(0))
    entry = number is not None and current.mail.report().entry(number)
    if not entry:
        raise HTTP(404, "There is no such mail.")
    return entry

# -----------------------------------------------------------------------------
def content_of(entry):
    """ The Message of an entry; raises HTTP 404 if its content does not exist """

    try:
        return kept_message(current.mail.report(), entry)
    except OperatorError as error:
        raise HTTP(404, str(error))

# -----------------------------------------------------------------------------
def parts_of(message):
    """
        The attachments of a message

        Args:
            message: the Message

        Returns:
            list of tuples (file name, MIME type, content as bytes)
    """

    parts = []
    for number, content in enumerate(message.attachments, 1):
        part = message_from_bytes(content)
        payload = part.get_payload(decode=True)
        parts.append((part.get_filename() or "attachment-%d" % number,
                      part.get_content_type(),
                      content if payload is None else payload))
    return parts

# -----------------------------------------------------------------------------
# Rendering
#
def rendered(view, **data):
    """
        Render a page in the look of its host

        Args:
            view: name of its template in views/mails3
            data: variables of the template

        Returns:
            the result of an action: dict for views/mails3/page.html, or the
            whole page (str) if the app has no layout
    """

    request, response = current.request, current.response
    session = current.session
    message, session.mails3_message = session.mails3_message, None
    data.update(message = message,
                key = form_key(),
                capture = Capture(current.mail.options),
                age = age,
                chart = lambda hours: XML(chart_svg(hours)),
                )
    content = CONTROLS.sub(" ", response.render("mails3/%s.html" % view, data))
    if not os.path.exists(os.path.join(request.folder, "views", "layout.html")):
        return PLAIN_LAYOUT % content
    response.view = "mails3/page.html"
    return {"content": XML(content)}

# -----------------------------------------------------------------------------
def age(seconds):
    """ A time span in words: in the largest unit of which it has one or more """

    seconds = max(int(seconds), 0)
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = seconds // length
            return "%d %s%s" % (count, unit, "s" if count > 1 else "")
    return "%d second%s" % (seconds, "" if seconds == 1 else "s")

# END =========================================================================
