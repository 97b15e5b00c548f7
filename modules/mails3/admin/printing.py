# -*- coding: utf-8 -*-

"""
    How the command line prints a status, an entry, a size, a time: as lines for
    people, and as JSON for scripts

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import json
import logging
import sys

from datetime import datetime

from .times import stamp

__all__ = ("Output", "check_lines", "entry_line", "for_json", "no_status_on_terminal",
           "only_errors_on_terminal", "run_lines", "status_lines", "story_lines")

log = logging.getLogger("web2py.mails3")

# Fields of an entry of the Report that are of no use to people and scripts
INTERNAL = ("delivery", "message_id", "status", "begun_on", "leased_until")

# =============================================================================
class Output:
    """ Where a command writes its result """

    def __init__(self, stream):
        """
            Args:
                stream: a text file, like sys.stdout
        """

        self.stream = stream

    # -------------------------------------------------------------------------
    def is_terminal(self):
        """ Whether a person reads it """

        return self.stream.isatty()

    # -------------------------------------------------------------------------
    def lines(self, *lines):
        """ Write lines for people; text from others must not steer the terminal """

        for line in lines:
            print(printable(line), file=self.stream)

    # -------------------------------------------------------------------------
    def mail(self, source):
        """ Write a mail as it is (bytes), for a file; to a terminal as lines """

        if self.is_terminal():
            self.lines(*source.decode("utf-8", "replace").splitlines())
            return
        self.stream.buffer.write(source)
        self.stream.flush()

    # -------------------------------------------------------------------------
    def json(self, data):
        """ Write data for scripts """

        json.dump(data, self.stream, indent=1, default=iso)
        self.stream.write("\n")

# -----------------------------------------------------------------------------
def only_errors_on_terminal():
    """ Log no more than errors to stderr: cron mails it to somebody. Files get all. """

    for handler in terminal_handlers():
        handler.setLevel(logging.ERROR)

# -----------------------------------------------------------------------------
def no_status_on_terminal():
    """
        Do not log to stderr what a verb prints as the status: a person would read
        an error before the answer, and take it for one of the verb. Files get all.
    """

    for handler in terminal_handlers():
        handler.addFilter(lambda record: not getattr(record, "is_in_status", False))

# -----------------------------------------------------------------------------
def terminal_handlers():
    """ The handlers of the log that write to the terminal (list) """

    handlers = [handler for name in (None, "web2py", log.name)
                for handler in logging.getLogger(name).handlers]
    # Python uses lastResort if no handler is configured
    return [handler for handler in handlers + [logging.lastResort]
            if getattr(handler, "stream", None) in (sys.stdout, sys.stderr)]

# -----------------------------------------------------------------------------
# For people: each function returns or yields lines of text
#
def status_lines(status):
    """ The whole status of a site (status: the Status) """

    facts = status.as_dict()
    if status.capture.notice:
        yield status.capture.notice
    for problem in status.problems:
        yield "%s, since %s." % (problem.title, stamp(problem.since)) \
            if problem.since else "%s." % problem.title
        yield "  %s" % problem.detail
    if not status.problems:
        yield ("%s. %s" % status.no_problem).rstrip()
        if status.limits.reason:
            yield "  %s" % status.limits.sentence
    elif facts["oldest"]:
        yield "  %s" % status.outlook

    yield ""
    for state, count in facts["counts"].items():
        if state == "captured" and not (count or status.capture.is_active):
            continue
        yield "%9d %s" % (count, state)
    if facts["oldest"]:
        yield "The oldest mail that is not sent waits since %s." % stamp(facts["oldest"])
    if facts["next_scheduled_on"]:
        yield "The first scheduled mail is sent at %s." % stamp(facts["next_scheduled_on"])

    yield ""
    workers, sizes = facts["workers"], facts["sizes"]
    for name, value in status.configuration() + status.limit_facts() + [
            ("Workers", "no scheduler" if workers is None else workers),
            ("Last drain", stamp(facts["drained_on"])),
            ("Last retry pass", stamp(facts["retried_on"])),
            ("Kept", "%d messages, %d deliveries, %s" %
             (sizes["messages"], sizes["deliveries"], size(sizes["bytes"])))]:
        yield "%-16s %s" % (name, value)
    for worker in facts["worker_list"]:
        yield worker_line(worker)
    for warning in facts["warnings"]:
        yield "Warning: %s" % warning

# -----------------------------------------------------------------------------
def worker_line(worker):
    """ One worker (dict, as from worker_list()) """

    return "  %-9s  %s, process %s, since %s: %s" % (
        worker["kind"], worker["machine"], worker["process_id"], stamp(worker["since"]),
        worker["doing"] if worker["is_alive"] else
        "lost, the last sign of life at %s" % stamp(worker["alive_on"]))

# -----------------------------------------------------------------------------
def run_lines(settled, waiting, status):
    """
        The result of a run

        Args:
            settled: how many deliveries have a result
            waiting: how many wait
            status: the Status after the run
    """

    yield "%d done, %d waiting." % (settled, waiting)
    for problem in status.problems:
        yield "%s: %s" % (problem.title, problem.detail)
    if not status.problems and status.limits.reason:
        yield "Mail waits for a limit: %s." % status.limits.reason

# -----------------------------------------------------------------------------
def entry_line(entry):
    """ One delivery in a list (entry: as from the Report) """

    note = "It is sent at %s." % stamp(entry["due_on"]) if entry["state"] == "scheduled" \
        else entry["reply"]
    return "%8d  %-9s  %s  %s%s" % (entry["number"], entry["state"],
                                    stamp(entry["queued_on"]), entry["recipient"],
                                    "  (%s)" % note if note else "")

# -----------------------------------------------------------------------------
def story_lines(entry, attempts, next_step, expanded, others):
    """
        The story of one delivery

        Args:
            entry: as from the Report
            attempts: its attempts that failed, as from the Report
            next_step: what happens next (str)
            expanded: entries that the row was expanded to
            others: entries of the other recipients of the same message
    """

    yield "%s  to %s" % (entry["number"], entry["recipient"])
    for name, value in (("Subject", entry["subject"]),
                        ("State", entry["state"]),
                        ("Queued", stamp(entry["queued_on"])),
                        ("Attempts", entry["attempts"]),
                        ("Message-ID", entry["message_id_header"]),
                        ("Last reply", entry["reply"])):
        if value is not None:
            yield "  %-11s %s" % (name, value)
    for attempt in attempts:
        yield "  %s: %s" % (stamp(attempt["tried_on"]), said(attempt))
    yield "  %s" % next_step
    for relation, entries in (("expanded", expanded), ("also", others)):
        for other in entries:
            yield "  %s to %s: %s (%s)" % (relation, other["recipient"], other["state"],
                                           other["number"])

# -----------------------------------------------------------------------------
def check_lines(status, steps, is_working, is_recipient_refused):
    """
        The result of a check of the configuration

        Args:
            status: the Status
            steps: as from check_configuration()
            is_working: the configuration works
            is_recipient_refused: the mail server refuses the one recipient
    """

    if status.capture.notice:
        yield status.capture.notice
    for step in steps:
        yield "%-4s %-14s %s" % ("ok" if step["good"] else "FAIL",
                                 " ".join(filter(None, (step["relay"], step["phase"]))),
                                 said(dict(step, phase=None)))
    for warning in status.warnings():
        yield "Warning: %s" % warning
    if len(steps) > 1 or not is_working:
        # A single good step means that there was no mail server to try
        yield "The configuration works." if is_working else "The configuration does not work."
    if is_recipient_refused:
        yield "The mail server refuses this one recipient."

# -----------------------------------------------------------------------------
def said(step):
    """ What the server said in one step of the dialogue, on one line """

    return " ".join(str(part) for part in (step["phase"], step["code"], step["reply"])
                    if part not in (None, ""))

# -----------------------------------------------------------------------------
def size(byte_count):
    """ A number of bytes, with its unit """

    for unit in ("bytes", "kB", "MB"):
        if byte_count < 1000:
            return "%.*f %s" % (unit == "MB", byte_count, unit)
        byte_count /= 1000
    return "%.1f GB" % byte_count

# -----------------------------------------------------------------------------
def printable(text):
    """ A text without control characters: a blank is in the place of each """

    return "".join(char if char.isprintable() else " " for char in text)

# -----------------------------------------------------------------------------
# For scripts
#
def for_json(entry):
    """ An entry of the Report without its internal fields (dict) """

    return {key: value for key, value in entry.items() if key not in INTERNAL}

# -----------------------------------------------------------------------------
def iso(value):
    """ A time as text, UTC as all times here; for json.dump(default = iso) """

    if isinstance(value, datetime):
        return "%sZ" % value.replace(microsecond=0).isoformat()
    return str(value)

# END =========================================================================
