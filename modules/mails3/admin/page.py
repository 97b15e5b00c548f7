# -*- coding: utf-8 -*-

"""
    What the admin's page needs beside its templates: who asks, forms that
    nobody else can send, times and sizes in words, a chart, mail made harmless

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging
import os
import re

from email import message_from_bytes
from hmac import compare_digest
from html import escape
from html.parser import HTMLParser
from urllib.parse import parse_qsl
from uuid import uuid4

from gluon import HTTP, URL, XML, current, redirect

from ..message.address import BadInput
from ..mail import brief
from ..states import one_line
from .operator import OperatorError

__all__ = ("admins_only", "visitor", "form_key", "posted", "values_of", "text_of",
           "attempted", "over", "rendered", "number_of", "entry_asked_for", "content_of",
           "parts_of", "harmless")

log = logging.getLogger("web2py.mails3")

# Where a form may lead back to: the pages of ours
PAGES = re.compile(r"(index|mails|show)(?:/(\w+))?(?:\?(.*))?")

# What people call the states whose names they would not understand
TITLES = {}

# What steers a terminal or turns the direction of a text: a page of ours has
# none, whatever is in the database
CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f"
                      "\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")

# Of html in a mail: no image, or its sender would know who looks at it
TAGS = ("b", "blockquote", "br", "code", "div", "em", "h1", "h2", "h3", "h4", "hr",
        "i", "li", "ol", "p", "pre", "span", "strong", "table", "tbody", "td", "th",
        "thead", "tr", "u", "ul")
EMPTY_TAGS = ("br", "hr")
UNREAD = ("script", "style", "title", "head")

# For apps without a layout of their own
PLAIN = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Outbound mail</title></head>
<body style="font: 1rem/1.5 sans-serif; max-width: 64rem; margin: 1rem auto; padding: 0 1rem">
%s
</body>
</html>"""

# -----------------------------------------------------------------------------
def admins_only(action):
    """ An action of the controller, for admins and nobody else """

    mail = current.mail

    def refused():
        raise HTTP(403, "This app has no users, so there is no admin to show its mail "
                        "to. Use the command line.")

    if mail.auth is None:
        return refused
    return mail.auth.requires(lambda: mail.is_admin())(action)

# -----------------------------------------------------------------------------
def visitor():
    """ Who that is, for the log """

    user = current.mail.auth.user
    return user.get("email") or user.get("username") or "user %s" % user.id

# -----------------------------------------------------------------------------
def form_key():
    """ What makes a form one of this session's """

    session = current.session
    if not session.mails3_key:
        session.mails3_key = uuid4().hex
    return session.mails3_key

# -----------------------------------------------------------------------------
def posted():
    """
        The fields of a form of ours

        Raises:
            HTTP: it was not posted, or from somewhere else
    """

    request = current.request
    if request.env.request_method != "POST":
        raise HTTP(405, "This is done by its form.", Allow="POST")
    if not compare_digest(str(request.post_vars._formkey).encode("utf-8"),
                          form_key().encode("ascii")):
        raise HTTP(403, "This form is not valid any more. Go back, load the page anew, "
                        "and try again.")
    return request.post_vars

# -----------------------------------------------------------------------------
def values_of(fields, name):
    """
        The values that a form or an address has for a name

        Args:
            fields: as web2py has read them: a list where there are several, an
                    object where a file was sent
            name: the name

        Returns:
            list of str, without control characters
    """

    values = fields.get(name)
    return [one_line(value) for value in
            (values if isinstance(values, list) else [values]) if isinstance(value, str)]

# -----------------------------------------------------------------------------
def text_of(fields, name, longest=300):
    """ The value that a form or an address has for a name; the first, "" without """

    return "".join(values_of(fields, name)[:1])[:longest]

# -----------------------------------------------------------------------------
def attempted(verb):
    """
        Do what an admin has asked for; what fails is told, and in the log

        Args:
            verb: function that does it, and returns what is to be said

        Returns:
            what is to be said
    """

    db = current.mail.db
    try:
        told = verb()
        db.commit()
    except (OperatorError, BadInput) as why:
        db.rollback()
        return str(why)
    except Exception as error:
        db.rollback()
        log.exception("What an admin asked for could not be done.")
        return "This could not be done (%s)." % brief(error)
    return told

# -----------------------------------------------------------------------------
def over(fields, told):
    """
        Say what was done, on the page on which it was asked for

        Args:
            fields: of the form
            told: what is to be said
    """

    current.session.mails3_told = str(told)
    page = PAGES.fullmatch(text_of(fields, "back")) or PAGES.fullmatch("index")
    function, argument, query = page.groups()
    redirect(URL("mails3", function,
                 args = [argument] if argument else [],
                 vars = dict(parse_qsl(query or ""))))

# -----------------------------------------------------------------------------
def rendered(view, **data):
    """
        Render a page of ours in the look of its host

        Args:
            view: its template in views/mails3
            data: what is shown

        Returns:
            what an action returns
    """

    request, response = current.request, current.response
    told, current.session.mails3_told = current.session.mails3_told, None
    data.update(told = told,
                key = form_key(),
                titles = TITLES,
                age = age,
                chart = chart,
                )
    content = CONTROLS.sub(" ", response.render("mails3/%s.html" % view, data))
    if not os.path.exists(os.path.join(request.folder, "views", "layout.html")):
        return PLAIN % content
    response.view = "mails3/page.html"
    return {"content": XML(content)}

# -----------------------------------------------------------------------------
def number_of(text):
    """ A number in an address or a form, None if it is none """

    text = str(text or "")
    return int(text) if text.isdigit() and text.isascii() and len(text) < 10 else None

# -----------------------------------------------------------------------------
def entry_asked_for():
    """ The entry whose number is in the address; raises HTTP if there is none """

    number = number_of(current.request.args(0))
    entry = number is not None and current.mail.report().entry(number)
    if not entry:
        raise HTTP(404, "There is no such mail.")
    return entry

# -----------------------------------------------------------------------------
def content_of(entry):
    """ The content of a mail (Message); raises HTTP if it is not there """

    try:
        submission = current.mail.report().content(entry)
    except ValueError as error:
        raise HTTP(404, "It can not be read: %s" % error)
    if submission is None:
        raise HTTP(404, "Its content has been dropped.")
    return submission

# -----------------------------------------------------------------------------
def age(seconds):
    """ A time span in words, as coarse as people think of it """

    seconds = max(int(seconds), 0)
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            number = seconds // length
            return "%d %s%s" % (number, unit, "s" if number > 1 else "")
    return "%d second%s" % (seconds, "" if seconds == 1 else "s")

# -----------------------------------------------------------------------------
def chart(hours):
    """
        A chart of what became of the deliveries, hour by hour (svg)

        Args:
            hours: as from Report.hours()
    """

    width, height, base = 720, 130, 105
    most = max(max(sent + lost for _, sent, lost in hours), 1)
    step = width / len(hours)
    marks = []
    for number, (start, sent, lost) in enumerate(hours):
        left, top = number * step, base
        for name, value in (("sent", sent), ("lost", lost)):
            if value:
                # The smallest can be seen as well
                tall = max(value * (base - 18) / most, 2)
                top -= tall
                marks.append('<rect class="%s" x="%.1f" y="%.1f" width="%.1f" '
                             'height="%.1f"/>' % (name, left + 2, top, step - 4, tall))
        marks.append('<rect class="hour" x="%.1f" y="0" width="%.1f" height="%d">'
                     '<title>%s:00 UTC: %d sent, %d not</title></rect>' %
                     (left, step, base, start.strftime("%H"), sent, lost))
        if not start.hour % 3:
            marks.append('<text x="%.1f" y="%d" text-anchor="middle">%s</text>' %
                         (left + step / 2, height - 8, start.strftime("%H:00")))
    return XML('<svg viewBox="0 0 %d %d" role="img" aria-label="%d sent and %d not, in '
               'the last 24 hours"><line x1="0" x2="%d" y1="%d" y2="%d"/>%s'
               '<text x="2" y="12">%d per hour</text></svg>' %
               (width, height, sum(hour[1] for hour in hours),
                sum(hour[2] for hour in hours), width, base, base, "".join(marks), most))

# -----------------------------------------------------------------------------
def parts_of(submission):
    """
        The attachments of a message

        Args:
            submission: the Message

        Returns:
            list of (name, type, content as bytes)
    """

    parts = []
    for number, content in enumerate(submission.attachments, 1):
        part = message_from_bytes(content)
        payload = part.get_payload(decode=True)
        parts.append((part.get_filename() or "attachment-%d" % number,
                      part.get_content_type(),
                      content if payload is None else payload))
    return parts

# -----------------------------------------------------------------------------
def harmless(html):
    """ The html of a mail (str): its text and its tags, but no attribute of them """

    reader = Reader()
    reader.feed(html)
    reader.close()
    return "".join(reader.kept + ["</%s>" % tag for tag in reversed(reader.inside)])

# =============================================================================
class Reader(HTMLParser):
    """ Reads html, keeps what can do no harm """

    def __init__(self):

        super().__init__(convert_charrefs=True)
        self.kept = []
        self.inside = [] # tags that are open
        self.unread = 0

    # -------------------------------------------------------------------------
    def handle_starttag(self, tag, attrs):

        if tag in UNREAD:
            self.unread += 1
        elif tag in TAGS and not self.unread:
            self.kept.append("<%s>" % tag)
            if tag not in EMPTY_TAGS:
                self.inside.append(tag)

    # -------------------------------------------------------------------------
    def handle_endtag(self, tag):

        if tag in UNREAD:
            self.unread = max(self.unread - 1, 0)
        elif tag in self.inside:
            # What is open within ends with it; nothing of the page does
            while True:
                ended = self.inside.pop()
                self.kept.append("</%s>" % ended)
                if ended == tag:
                    break

    # -------------------------------------------------------------------------
    def handle_data(self, data):

        if not self.unread:
            self.kept.append(escape(data))

# END =========================================================================
