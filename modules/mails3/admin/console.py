# -*- coding: utf-8 -*-

"""
    The admin's verbs on the command line, within the app's own web2py

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import json
import logging
import signal
import sys
import time

from contextlib import contextmanager
from datetime import datetime, timedelta

from ..message.address import BadInput
from ..clock import utcnow
from ..queue.report import STATES
from ..mail import brief
from ..states import DEFERRED, NEW, one_line
from .metrics import exposition
from .operator import Operator, OperatorError
from .config_check import check_configuration, refuses_recipient, works
from .status import BROKEN, FLOWING, WAITING, Status, next_step, stamp

__all__ = ("Console",)

log = logging.getLogger("web2py.mails3")

# =============================================================================
class Console:
    """ Does what was asked for, and says what came of it """

    def __init__(self, mail, by, out=sys.stdout):
        """
            Args:
                mail: the MailS3
                by: who that is, for the log
                out: where to write to
        """

        self.mail = mail
        self.db = mail.db
        self.out = out
        self.postmaster = Operator(mail, by)

    # -------------------------------------------------------------------------
    def do(self, arguments):
        """
            Do a verb

            Args:
                arguments: as read from the command line

            Returns:
                the exit status
        """

        if getattr(arguments, "quiet", False):
            only_errors_on_terminal()
        try:
            done = getattr(self, arguments.verb)(arguments)
            self.db.commit()
        except BrokenPipeError:
            raise
        except (OperatorError, BadInput) as why:
            return self._give_up(str(why))
        except Exception as error:
            log.debug("The verb %s failed.", arguments.verb, exc_info=True)
            return self._give_up("This can't be done (%s)." % brief(error))
        return done or 0

    # -------------------------------------------------------------------------
    def _give_up(self, why):
        """ Say why a verb was not done; returns the exit status """

        try:
            self.db.rollback()
        except Exception:
            # The connection is lost, and with it what was not committed
            pass
        print("mails3: %s" % one_line(why), file=sys.stderr)
        return BROKEN

    # -------------------------------------------------------------------------
    # Looking
    #
    def status(self, arguments):
        """ Is mail going out? """

        # A database that can't be written is no reason to tell nothing
        self.mail.watch()

        status = Status(self.mail, utcnow())
        if arguments.prometheus:
            self.out.write(exposition(status))
            return FLOWING
        if arguments.json:
            self._json(status.as_dict())
            return status.level
        if arguments.quiet and status.level == FLOWING:
            return FLOWING

        shown = status.as_dict()
        for problem in status.problems:
            self._say("%s, since %s." % (problem.title, stamp(problem.since))
                      if problem.since else "%s." % problem.title)
            self._say("  %s" % problem.detail)
        if not status.problems:
            self._say("%s. %s" % status.no_problem)
        elif shown["oldest"]:
            self._say("  %s" % status.outlook)

        self._say("")
        for state, number in shown["counts"].items():
            self._say("%9d %s" % (number, state))
        if shown["oldest"]:
            self._say("The oldest that is not sent waits since %s." % stamp(shown["oldest"]))
        self._say("")
        for name, value in status.configuration():
            self._say("%-16s %s" % (name, value))
        workers = shown["workers"]
        self._say("%-16s %s" % ("Workers", "no scheduler" if workers is None else workers))
        self._say("%-16s %s" % ("Last drain", stamp(shown["drained_on"])))
        self._say("%-16s %s" % ("Last retry pass", stamp(shown["retried_on"])))
        sizes = shown["sizes"]
        self._say("%-16s %d messages, %d deliveries, %s" %
                  ("Kept", sizes["messages"], sizes["deliveries"], size(sizes["bytes"])))
        for warning in shown["warnings"]:
            self._say("Warning: %s" % warning)
        return status.level

    # -------------------------------------------------------------------------
    def list(self, arguments):
        """ The newest mails, of one state or all """

        entries, older, _ = self.postmaster.report.page(arguments.state,
                                                        one_line(arguments.search or ""),
                                                        before = arguments.before,
                                                        limit = arguments.limit)
        if arguments.json:
            self._json([shown(entry) for entry in entries])
            return FLOWING
        for entry in entries:
            self._say("%8d  %-8s  %s  %s%s" %
                      (entry["number"], entry["state"], stamp(entry["queued_on"]),
                       entry["recipient"],
                       "  (%s)" % entry["reply"] if entry["reply"] else ""))
        if older:
            self._say("There are older ones: --before %s" % entries[-1]["number"])
        return FLOWING

    # -------------------------------------------------------------------------
    def show(self, arguments):
        """ The story of one mail """

        report = self.postmaster.report
        entry = report.entry(arguments.number)
        if entry is None:
            raise OperatorError("There is no such mail.")
        attempts = report.attempts(entry)
        others, expanded = report.others(entry), report.expanded(entry)
        following = next_step(entry, Status(self.mail, utcnow()))
        if arguments.json:
            self._json(dict(shown(entry), **report.head(entry),
                            next = following,
                            tries = attempts,
                            others = [shown(other) for other in others],
                            expanded = [shown(other) for other in expanded]))
            return FLOWING

        self._say("%s  to %s" % (entry["number"], entry["recipient"]))
        for name, value in (("Subject", entry["subject"]),
                            ("State", entry["state"]),
                            ("Queued", stamp(entry["queued_on"])),
                            ("Attempts", entry["attempts"]),
                            ("Message-ID", entry["message_id_header"]),
                            ("Last reply", entry["reply"])):
            if value is not None:
                self._say("  %-11s %s" % (name, value))
        for attempt in attempts:
            self._say("  %s: %s" % (stamp(attempt["tried_on"]), said(attempt)))
        self._say("  %s" % following)
        for how, other in [("expanded", other) for other in expanded] + \
                          [("also", other) for other in others]:
            self._say("  %s to %s: %s (%s)" % (how, other["recipient"], other["state"],
                                               other["number"]))
        return FLOWING

    # -------------------------------------------------------------------------
    # Verbs for deliveries
    #
    def requeue(self, arguments):
        return self._each(self.postmaster.requeue, arguments)

    def cancel(self, arguments):
        return self._each(self.postmaster.cancel, arguments)

    def hold(self, arguments):
        return self._each(self.postmaster.hold, arguments)

    def release(self, arguments):
        return self._each(self.postmaster.release, arguments)

    def retry(self, arguments):
        """ Some mails now; or, without numbers, a retry pass """

        if arguments.numbers:
            return self._each(self.postmaster.retry, arguments)
        return self._run(arguments, DEFERRED)

    # -------------------------------------------------------------------------
    def _each(self, verb, arguments):
        """ Do a verb to some mails """

        done, refused = verb(arguments.numbers)
        # What is told is done, even if nobody reads all of it
        self.db.commit()
        if arguments.json:
            self._json({"done": done, "refused": refused})
        else:
            for number in done:
                self._say("%s: done" % number)
            for number, why in refused.items():
                self._say("%s: %s" % (number, why))
        return WAITING if refused else FLOWING

    # -------------------------------------------------------------------------
    # Verbs for the queue
    #
    def pause(self, arguments):

        until = None if arguments.minutes is None \
            else utcnow() + timedelta(minutes=arguments.minutes)
        self.postmaster.pause(arguments.reason or "", until)
        self._tell(arguments, "Sending is paused%s." %
                   (" until %s" % stamp(until) if until else ""), paused_until=until)

    # -------------------------------------------------------------------------
    def resume(self, arguments):

        self._tell(arguments, self.postmaster.resume())

    # -------------------------------------------------------------------------
    def drain(self, arguments):
        """ Send what is new """

        return self._run(arguments, NEW)

    # -------------------------------------------------------------------------
    def flush(self, arguments):
        """ Send what is new, and all that is deferred """

        self.postmaster.retry_all()
        self.db.commit()
        return self._run(arguments, NEW)

    # -------------------------------------------------------------------------
    def _run(self, arguments, queue):
        """ Runs until nothing moves any more, at most so long as was asked for """

        mail, report = self.mail, self.postmaster.report
        end = time.monotonic() + arguments.seconds if arguments.seconds else None
        # Cron in place of a worker: somebody is at work
        mail.relays()[0].note_manual_run(utcnow())
        self.db.commit()

        total = report.waiting(queue)
        settled, moved = 0, True
        with Progress(total, self.out) as progress:
            while moved and not progress.stopped:
                run = mail.run()
                if end:
                    run.deadline = min(run.deadline, end)
                commit = run.commit
                run.commit = lambda: (commit(),
                                      progress.show(lambda: total - report.waiting(queue)))
                with progress.stopping(run.stop):
                    moved = run.drain() if queue == NEW else run.retry()
                settled += moved
                # One retry pass is one; the limit of time is one as well
                moved = moved and queue == NEW and not (end and time.monotonic() >= end)
        mail.send_channels()
        mail.watch()

        status = Status(mail, utcnow())
        waiting = report.waiting(queue)
        if arguments.json:
            self._json({"settled": settled, "waiting": waiting,
                        "stopped": progress.stopped})
        elif self.out.isatty() or settled and not arguments.quiet:
            # cron mails whatever is printed. What is wrong is in the log, once:
            # that is on stderr, if it is nowhere else
            self._say("%d done, %d waiting." % (settled, waiting))
            for problem in status.problems:
                self._say("%s: %s" % (problem.title, problem.detail))
        return WAITING if progress.stopped else FLOWING if not waiting else \
            max(WAITING, status.level)

    # -------------------------------------------------------------------------
    def check(self, arguments):
        """ Try the configuration without sending """

        steps = check_configuration(self.mail, arguments.address)
        warnings = Status(self.mail, utcnow()).warnings()
        good, refused = works(steps), refuses_recipient(steps)
        if arguments.json:
            self._json({"good": good, "recipient_refused": refused, "steps": steps,
                        "warnings": warnings})
        else:
            for step in steps:
                self._say("%-4s %-14s %s" % ("ok" if step["good"] else "FAIL",
                                             step["phase"], said(dict(step, phase=None))))
            for warning in warnings:
                self._say("Warning: %s" % warning)
            if len(steps) > 1 or not good:
                # Else there was no mail server to try
                self._say("The configuration works." if good
                          else "The configuration does not work.")
            if refused:
                self._say("The mail server refuses this one recipient.")
        return BROKEN if not good else WAITING if refused else FLOWING

    # -------------------------------------------------------------------------
    def test(self, arguments):
        """ Send a test mail, and see what becomes of it """

        number = self.postmaster.test(arguments.address)
        self.db.commit()
        if not arguments.json:
            self._say("Mail %s is queued." % number)

        report = self.postmaster.report
        end = time.monotonic() + arguments.seconds
        soon = time.monotonic() + 5
        while True:
            # Else a transaction would show what was
            self.db.commit()
            entry = report.entry(number)
            if entry is None:
                raise OperatorError("Mail %s has been removed." % number)
            if entry["status"] != STATES["new"][0] or entry["attempts"] or \
               time.monotonic() >= end:
                break
            if time.monotonic() >= soon and Status(self.mail, utcnow()).problems:
                # Nothing moves before that is over
                break
            time.sleep(0.5)
        if arguments.json:
            self._json(shown(entry))
        else:
            self._say("%s. %s" % (entry["state"].capitalize(),
                                  next_step(entry, Status(self.mail, utcnow()))))
            if entry["reply"]:
                self._say(entry["reply"])
        return {"sent": FLOWING, "new": WAITING, "deferred": WAITING}.get(entry["state"],
                                                                          BROKEN)

    # -------------------------------------------------------------------------
    # Housekeeping
    #
    def purge(self, arguments):
        """ Remove what has been kept for long enough """

        housekeeping = self.mail.housekeeping()
        old = housekeeping.old()
        if arguments.dry_run:
            self._tell(arguments, "%d would be removed." % old, old=old)
            return FLOWING
        with Progress(old, self.out) as progress, \
             progress.stopping(housekeeping.stop):
            removed = housekeeping.purge(tell = lambda number:
                                         progress.show(lambda: number))
        if arguments.json or self.out.isatty() or removed and not arguments.quiet:
            self._tell(arguments, "%d removed." % removed, removed=removed)
        return WAITING if progress.stopped else FLOWING

    # -------------------------------------------------------------------------
    def migrate(self, arguments):
        """ Bring the tables and the tasks up to date """

        if not self.mail.self_repair():
            raise OperatorError("The tables or tasks can't be made: see above.")
        self._tell(arguments, "The tables and tasks are up to date.")

    # -------------------------------------------------------------------------
    # Its words
    #
    def _say(self, line):
        """ A line for people: what others have said must not steer the terminal """

        print(printable(line), file=self.out)

    # -------------------------------------------------------------------------
    def _tell(self, arguments, line, **data):
        """ A line for people, or what is in it for scripts; it is so from here on """

        self.db.commit()
        if arguments.json:
            self._json(dict(data, told=line))
        else:
            self._say(line)

    # -------------------------------------------------------------------------
    def _json(self, data):
        """ The same for scripts """

        json.dump(data, self.out, indent=1, default=iso)
        self.out.write("\n")

# =============================================================================
class Progress:
    """ A bar on a terminal, and a clean stop on Ctrl-C """

    WIDTH = 40

    def __init__(self, total, out):

        self.total = total
        # The bar must not get into what a script reads
        self.visible = total > 0 and sys.stderr.isatty() and out.isatty()
        self.shown = 0
        self.stopped = False

    def __enter__(self):

        return self

    def __exit__(self, *error):

        if self.visible and self.shown:
            print(file=sys.stderr)

    # -------------------------------------------------------------------------
    def show(self, done):
        """
            Show how far it is, some times a second

            Args:
                done: function that tells how many are done
        """

        if not self.visible or time.monotonic() < self.shown + 0.2:
            return
        self.shown = time.monotonic()
        share = min(max(done() / self.total, 0), 1)
        bar = "#" * int(share * self.WIDTH)
        print("\r[%-*s] %3d %% of %d " % (self.WIDTH, bar, share * 100, self.total),
              end="", file=sys.stderr, flush=True)

    # -------------------------------------------------------------------------
    @contextmanager
    def stopping(self, stop):
        """
            Stop cleanly when told to, by Ctrl-C or by systemd; the second
            Ctrl-C ends it as ever

            Args:
                stop: function that has the run end
        """

        def handle(number, frame):
            self.stopped = True
            stop()
            signal.signal(number, signal.default_int_handler)
            print("\nStopping after the one in hand ...", file=sys.stderr)

        before = {number: signal.signal(number, handle)
                  for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

# -----------------------------------------------------------------------------
def only_errors_on_terminal():
    """ For cron, which mails whatever gets to stderr; files keep the whole log """

    handlers = [handler for name in (None, "web2py", log.name)
                for handler in logging.getLogger(name).handlers]
    # The last is Python's own, for where none is configured
    for handler in handlers + [logging.lastResort]:
        if getattr(handler, "stream", None) in (sys.stdout, sys.stderr):
            handler.setLevel(logging.ERROR)

# -----------------------------------------------------------------------------
def printable(text):
    """ A text without control characters, each character where it was """

    return "".join(char if char.isprintable() else " " for char in text)

# -----------------------------------------------------------------------------
def shown(entry):
    """ What is for people of an entry """

    return {key: value for key, value in entry.items()
            if key not in ("delivery", "mail", "status", "begun_on", "leased_until")}

# -----------------------------------------------------------------------------
def said(step):
    """ What was said in one step of the dialogue """

    return " ".join(str(part) for part in (step["phase"], step["code"], step["reply"])
                    if part not in (None, ""))

# -----------------------------------------------------------------------------
def size(number):
    """ A number of bytes, for people """

    for unit in ("bytes", "kB", "MB"):
        if number < 1000:
            return "%.*f %s" % (unit == "MB", number, unit)
        number /= 1000
    return "%.1f GB" % number

# -----------------------------------------------------------------------------
def iso(value):
    """ A time, for scripts: UTC, as all times here """

    if isinstance(value, datetime):
        return "%sZ" % value.replace(microsecond=0).isoformat()
    return str(value)

# END =========================================================================
