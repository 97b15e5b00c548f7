# -*- coding: utf-8 -*-

"""
    MailS3: the admin's page
    - GET shows something, POST with a form key changes something
"""

import datetime

from hmac import compare_digest

from mails3.clock import utcnow
from mails3.admin.mail_html import harmless
from mails3.admin.mail_source import header_fields, looked_at, source_of
from mails3.admin.metrics import CONTENT_TYPE, exposition
from mails3.admin.page import attempted, content_of, integer_of, parts_of, redirect_back, \
                              rendered, requested_entry, text_of, values_of
from mails3.admin.page_access import admins_only, posted, visitor
from mails3.admin.operator import Operator, OperatorError
from mails3.admin.config_check import check_configuration, first_failure, refuses_recipient, \
                                     works
from mails3.admin.next_step import next_step
from mails3.admin.status import Status
from mails3.states import STATES

# -----------------------------------------------------------------------------
@admins_only
def index():
    """ Whether mail is going out, and if not, why """

    return rendered("overview", status=Status(mail, utcnow()))

# -----------------------------------------------------------------------------
@admins_only
def mails():
    """ The mails in one state, or all """

    state = request.args(0) if request.args(0) in STATES else None
    query = request.get_vars
    search = text_of(query, "q", 100)

    report = mail.report()
    entries, older, newer = report.page(state, search,
                                        before = integer_of(text_of(query, "before")),
                                        after = integer_of(text_of(query, "after")))
    return rendered("mails",
                    state = state,
                    search = search,
                    entries = entries,
                    older = older,
                    newer = newer,
                    counts = report.counts(),
                    now = utcnow(),
                    )

# -----------------------------------------------------------------------------
@admins_only
def show():
    """ The story of one mail, without its content """

    entry = requested_entry()
    report = mail.report()
    status = Status(mail, utcnow())
    return rendered("story",
                    entry = entry,
                    head = report.head(entry),
                    attempts = report.attempts(entry),
                    others = report.others(entry),
                    expanded = report.expanded(entry),
                    following = next_step(entry, status),
                    has_content = report.has_content(entry["message_id"]),
                    now = status.now,
                    )

# -----------------------------------------------------------------------------
@admins_only
def content():
    """ The content of a mail; the log keeps who has looked at it """

    entry = requested_entry()
    message = content_of(entry)
    Operator(mail, visitor()).looked(entry)
    source, failure = None, None
    try:
        source = source_of(mail, entry, message)
    except OperatorError as error:
        failure = error
    body = message.body
    text, html = body if isinstance(body, list) else (body, None)
    if text and not html and text.lstrip().startswith("<html"):
        # Mail.send takes such a text as HTML
        text, html = None, text
    return rendered("content",
                    entry = entry,
                    text = text,
                    html = html and XML(harmless(html)),
                    attachments = parts_of(message),
                    source = source,
                    failure = failure,
                    fields = header_fields(source or b""),
                    )

# -----------------------------------------------------------------------------
@admins_only
def eml():
    """ The mail itself, for download, as mail programs open it """

    entry = requested_entry()
    try:
        source = looked_at(Operator(mail, visitor()), entry)
    except OperatorError as error:
        raise HTTP(404, str(error))
    response.headers["Content-Type"] = "message/rfc822"
    response.headers["Content-Disposition"] = 'attachment; filename="%d.eml"' % entry["number"]
    response.headers["X-Content-Type-Options"] = "nosniff"
    return source

# -----------------------------------------------------------------------------
@admins_only
def attachment():
    """ One attachment, for download: a browser must not show it as a page of this site """

    entry = requested_entry()
    parts = parts_of(content_of(entry))
    index = integer_of(request.args(1))
    if index is None or index >= len(parts):
        raise HTTP(404, "There is no such attachment.")
    Operator(mail, visitor()).looked(entry)
    response.headers["Content-Type"] = "application/octet-stream"
    response.headers["Content-Disposition"] = 'attachment; filename="attachment-%d"' % (index + 1)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return parts[index][2]

# -----------------------------------------------------------------------------
@admins_only
def act():
    """ Do a verb to one mail or to several """

    fields, operator = posted(), Operator(mail, visitor())
    verbs = {name: getattr(operator, name)
             for name in ("retry", "requeue", "cancel", "hold", "release")}
    name = text_of(fields, "verb")
    if name not in verbs:
        raise HTTP(400, "Unknown verb.")
    numbers = [integer_of(number) for number in values_of(fields, "number")]

    def do():
        done, refused = verbs[name]([number for number in numbers if number])
        if not (done or refused):
            return T("Nothing was selected.")
        told = "%s: %d %s" % (T(name), len(done), T("done"))
        told += "".join("; %s: %s" % item for item in sorted(refused.items())[:5])
        return told + (" ..." if len(refused) > 5 else "")

    return redirect_back(fields, attempted(do))

# -----------------------------------------------------------------------------
@admins_only
def sending():
    """ Pause all sending, resume it, or send the waiting mail """

    fields, operator = posted(), Operator(mail, visitor())

    def pause():
        given = text_of(fields, "minutes")
        minutes = integer_of(given)
        if given and not minutes:
            raise OperatorError("Nothing is paused: %r is not a number of minutes." %
                                given[:20])
        until = utcnow() + datetime.timedelta(minutes=minutes) if minutes else None
        operator.pause(text_of(fields, "reason"), until)
        return T("Sending is paused.")

    def resume():
        told = T(operator.resume())
        # The workers know it now; if there are none, this request sends the mail
        return told if Status(mail, utcnow()).is_attended else "%s %s" % (told, send())

    def send():
        settled, waiting = operator.send()
        status = Status(mail, utcnow())
        told = ["%d %s, %d %s." % (settled, T("done"), waiting, T("waiting"))]
        told += ["%s: %s" % (T(problem.title), problem.detail)
                 for problem in status.problems if problem.kind != "worker"]
        if status.limits.reason:
            told.append("%s: %s." % (T("Mail waits for a limit"), status.limits.reason))
        return " ".join(told)

    verbs = {"pause": pause, "resume": resume, "send": send}
    name = text_of(fields, "verb")
    if name not in verbs:
        raise HTTP(400, "Unknown verb.")
    return redirect_back(fields, attempted(verbs[name]))

# -----------------------------------------------------------------------------
@admins_only
def check():
    """ Try the configuration without sending """

    fields = posted()
    try:
        steps = check_configuration(mail, text_of(fields, "address") or None)
    except ValueError as error:
        return redirect_back(fields, "%s: %s" % (T("The recipient to ask for"), error))
    return rendered("check",
                    steps = steps,
                    failure = first_failure(steps),
                    is_working = works(steps),
                    is_recipient_refused = refuses_recipient(steps),
                    warnings = Status(mail, utcnow()).warnings(),
                    )

# -----------------------------------------------------------------------------
@admins_only
def test():
    """ Queue a test mail, and show its story """

    fields, numbers = posted(), []

    def do():
        numbers.append(Operator(mail, visitor()).test(text_of(fields, "address")))
        return T("The test mail is queued. Load this page again to see its result.")

    told = attempted(do)
    if not numbers:
        return redirect_back(fields, told)
    return redirect_back({"back": "show/%s" % numbers[0]}, told)

# -----------------------------------------------------------------------------
def metrics():
    """ For a monitoring system that has the token, and for admins """

    session.forget(response)
    token = mail.options.metrics_token
    scheme, _, given = (request.env.http_authorization or "").partition(" ")
    is_known = token and scheme.lower() == "bearer" and \
        compare_digest(given.strip().encode("utf-8"), token.encode("utf-8"))
    if not is_known and not mail.is_admin():
        raise HTTP(403, "The token is wrong, or there is none (setting metrics_token).")
    response.headers["Content-Type"] = CONTENT_TYPE
    return exposition(Status(mail, utcnow()))

# END =========================================================================
