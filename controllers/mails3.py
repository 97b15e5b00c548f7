# -*- coding: utf-8 -*-

"""
    MailS3: the admin's page
    - what is looked at is GET, what changes something is POST with a form key
"""

import datetime

from hmac import compare_digest

from mails3.clock import utcnow
from mails3.queue.report import STATES
from mails3.admin.metrics import CONTENT_TYPE, exposition
from mails3.admin.page import admins_only, attempted, content_of, entry_asked_for, harmless, \
                              number_of, over, parts_of, posted, rendered, text_of, \
                              values_of, visitor
from mails3.admin.operator import Operator, OperatorError
from mails3.admin.config_check import check_configuration, refuses_recipient, works
from mails3.admin.status import Status, next_step

# -----------------------------------------------------------------------------
@admins_only
def index():
    """ Whether mail is going out, and if not, why """

    status = Status(mail, utcnow())
    return rendered("overview", status=status)

# -----------------------------------------------------------------------------
@admins_only
def mails():
    """ The mails in a state, or all """

    state = request.args(0) if request.args(0) in STATES else None
    query = request.get_vars
    search = text_of(query, "q", 100)

    report = mail.report()
    entries, older, newer = report.page(state, search,
                                        before = number_of(text_of(query, "before")),
                                        after = number_of(text_of(query, "after")))
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
    """ The story of one mail; not its content """

    entry = entry_asked_for()
    report = mail.report()
    status = Status(mail, utcnow())
    return rendered("story",
                    entry = entry,
                    head = report.head(entry),
                    attempts = report.attempts(entry),
                    others = report.others(entry),
                    expanded = report.expanded(entry),
                    following = next_step(entry, status),
                    has_content = report.has_content(entry["mail"]),
                    now = status.now,
                    )

# -----------------------------------------------------------------------------
@admins_only
def content():
    """ What is in a mail, as text; whoever looks at it, the log knows """

    entry = entry_asked_for()
    submission = content_of(entry)
    Operator(mail, visitor()).looked(entry)
    body = submission.body
    text, html = body if isinstance(body, list) else (body, None)
    if text and not html and text.lstrip().startswith("<html"):
        # As Mail.send takes it
        text, html = None, text
    return rendered("content",
                    entry = entry,
                    text = text,
                    html = html and XML(harmless(html)),
                    attachments = parts_of(submission),
                    )

# -----------------------------------------------------------------------------
@admins_only
def attachment():
    """ One attachment, for download and nothing else """

    entry = entry_asked_for()
    parts = parts_of(content_of(entry))
    number = number_of(request.args(1))
    if number is None or number >= len(parts):
        raise HTTP(404, "There is no such attachment.")
    Operator(mail, visitor()).looked(entry)
    response.headers["Content-Type"] = "application/octet-stream"
    response.headers["Content-Disposition"] = 'attachment; filename="attachment-%d"' % (number + 1)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return parts[number][2]

# -----------------------------------------------------------------------------
@admins_only
def act():
    """ Do a verb to one mail or a selection """

    fields, postmaster = posted(), Operator(mail, visitor())
    verbs = {name: getattr(postmaster, name)
             for name in ("retry", "requeue", "cancel", "hold", "release")}
    name = text_of(fields, "verb")
    if name not in verbs:
        raise HTTP(400, "Unknown verb.")
    numbers = [number_of(number) for number in values_of(fields, "number")]

    def do():
        done, refused = verbs[name]([number for number in numbers if number])
        if not (done or refused):
            return T("Nothing was selected.")
        told = "%s: %d %s" % (T(name), len(done), T("done"))
        told += "".join("; %s: %s" % item for item in sorted(refused.items())[:5])
        return told + (" ..." if len(refused) > 5 else "")

    return over(fields, attempted(do))

# -----------------------------------------------------------------------------
@admins_only
def sending():
    """ Pause all sending, resume it, or send what waits """

    fields, postmaster = posted(), Operator(mail, visitor())

    def pause():
        given = text_of(fields, "minutes")
        minutes = number_of(given)
        if given and not minutes:
            raise OperatorError("Nothing is paused: %r is no number of minutes." % given[:20])
        until = utcnow() + datetime.timedelta(minutes=minutes) if minutes else None
        postmaster.pause(text_of(fields, "reason"), until)
        return T("Sending is paused.")

    def resume():
        told = T(postmaster.resume())
        # A worker has been told; without one, nobody else would do it
        return told if Status(mail, utcnow()).is_attended else "%s %s" % (told, send())

    def send():
        settled, waiting = postmaster.send()
        problems = [problem for problem in Status(mail, utcnow()).problems
                    if problem.kind != "worker"]
        told = "%d %s, %d %s." % (settled, T("done"), waiting, T("waiting"))
        return " ".join([told] + ["%s: %s" % (T(problem.title), problem.detail)
                                  for problem in problems])

    verbs = {"pause": pause, "resume": resume, "send": send}
    name = text_of(fields, "verb")
    if name not in verbs:
        raise HTTP(400, "Unknown verb.")
    return over(fields, attempted(verbs[name]))

# -----------------------------------------------------------------------------
@admins_only
def check():
    """ Try the configuration without sending """

    fields = posted()
    try:
        steps = check_configuration(mail, text_of(fields, "address") or None)
    except ValueError as why:
        return over(fields, "%s: %s" % (T("The recipient to ask for"), why))
    return rendered("check",
                    steps = steps,
                    good = works(steps),
                    refused = refuses_recipient(steps),
                    warnings = Status(mail, utcnow()).warnings(),
                    )

# -----------------------------------------------------------------------------
@admins_only
def test():
    """ Queue a test mail, and show what becomes of it """

    fields, numbers = posted(), []

    def do():
        numbers.append(Operator(mail, visitor()).test(text_of(fields, "address")))
        return T("The test mail is queued. Load this page again to see what becomes of it.")

    told = attempted(do)
    if not numbers:
        return over(fields, told)
    session.mails3_told = str(told)
    redirect(URL("show", args=numbers))

# -----------------------------------------------------------------------------
def metrics():
    """ For a monitoring system that has the token, and for admins """

    session.forget(response)
    token = mail.options.metrics_token
    scheme, _, given = (request.env.http_authorization or "").partition(" ")
    known = token and scheme.lower() == "bearer" and \
        compare_digest(given.strip().encode("utf-8"), token.encode("utf-8"))
    if not known and not mail.is_admin():
        raise HTTP(403, "The token is wrong, or there is none (setting metrics_token).")
    response.headers["Content-Type"] = CONTENT_TYPE
    return exposition(Status(mail, utcnow()))

# END =========================================================================
