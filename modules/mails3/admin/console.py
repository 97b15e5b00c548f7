# -*- coding: utf-8 -*-

"""
    The verbs of the command line, within the app's own web2py

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging
import sys

from datetime import timedelta

from ..message.address import BadInput
from ..clock import utcnow
from ..states import DEFERRED, NEW, brief, one_line
from .alerts import Alerts
from .metrics import exposition
from .next_step import next_step
from .operator import Operator, OperatorError
from .config_check import check_configuration, refuses_recipient, works
from .mail_source import looked_at
from .manual_run import Progress, manual_run, wait_for
from .printing import Output, check_lines, entry_line, for_json, no_status_on_terminal, \
                      only_errors_on_terminal, run_lines, status_lines, story_lines
from .status import BROKEN, FLOWING, WAITING, Status
from .times import stamp

__all__ = ("Console",)

log = logging.getLogger("web2py.mails3")

IN_TIME = ("new", "scheduled", "deferred", "captured") # a test mail that may still leave

# =============================================================================
class Console:
    """
        Does a verb and prints its result

        Each public method but do() is a verb. It takes the arguments as parsed
        by commands.py, and returns the exit status (None = 0).
    """

    def __init__(self, mail, by, out=sys.stdout):
        """
            Args:
                mail: the MailS3
                by: who gives the command, for the log (str)
                out: where to write the result
        """

        self.mail = mail
        self.db = mail.db
        self.output = Output(out)
        self.operator = Operator(mail, by)
        self.report = self.operator.report

    # -------------------------------------------------------------------------
    def do(self, arguments):
        """
            Do a verb; commits, or rolls back what has failed

            Args:
                arguments: as parsed by commands.py

            Returns:
                the exit status
        """

        if getattr(arguments, "quiet", False):
            only_errors_on_terminal()
        try:
            status = getattr(self, arguments.verb)(arguments)
            self.db.commit()
        except BrokenPipeError:
            raise
        except (OperatorError, BadInput) as error:
            return give_up(self.db, str(error))
        except Exception as error:
            log.debug("The verb %s failed.", arguments.verb, exc_info=True)
            return give_up(self.db, "This can't be done (%s)." % brief(error))
        return status or FLOWING

    # -------------------------------------------------------------------------
    # Looking
    #
    def status(self, arguments):
        """ Is mail going out? """

        if not arguments.prometheus: # which prints no reason
            no_status_on_terminal()
        Alerts(self.mail).run() # never raises, not even if the database is read-only

        status = Status(self.mail, utcnow())
        if arguments.prometheus:
            self.output.stream.write(exposition(status))
            return FLOWING
        if arguments.json:
            self.output.json(status.as_dict())
        elif status.level != FLOWING or not arguments.quiet:
            self.output.lines(*status_lines(status))
        return status.level

    # -------------------------------------------------------------------------
    def list(self, arguments):
        """ The newest mails, of one state or all """

        entries, has_older, _ = self.report.page(arguments.state,
                                                 one_line(arguments.search or ""),
                                                 before = arguments.before,
                                                 limit = arguments.limit)
        if arguments.json:
            self.output.json([for_json(entry) for entry in entries])
            return
        self.output.lines(*map(entry_line, entries))
        if has_older:
            self.output.lines("There are older mails: --before %s" % entries[-1]["number"])

    # -------------------------------------------------------------------------
    def show(self, arguments):
        """ The story of one mail """

        report = self.report
        entry = report.entry(arguments.number)
        if entry is None:
            raise OperatorError("There is no such mail.")
        if arguments.eml:
            return self.output.mail(looked_at(self.operator, entry))
        attempts = report.attempts(entry)
        others, expanded = report.others(entry), report.expanded(entry)
        following = next_step(entry, Status(self.mail, utcnow()))
        if arguments.json:
            self.output.json(dict(for_json(entry), **report.head(entry),
                                  next = following,
                                  tries = attempts,
                                  others = [for_json(other) for other in others],
                                  expanded = [for_json(other) for other in expanded]))
        else:
            self.output.lines(*story_lines(entry, attempts, following, expanded, others))

    # -------------------------------------------------------------------------
    # Verbs for deliveries, by their numbers
    #
    def _each(self, arguments):
        """ Do a verb of the Operator to some mails """

        done, refused = getattr(self.operator, arguments.verb)(arguments.numbers)
        # Commit before printing: the reader of the output may be gone
        self.db.commit()
        if arguments.json:
            self.output.json({"done": done, "refused": refused})
        else:
            self.output.lines(*("%s: done" % number for number in done))
            self.output.lines(*("%s: %s" % item for item in refused.items()))
        return WAITING if refused else FLOWING

    requeue = cancel = hold = release = _each

    # -------------------------------------------------------------------------
    def retry(self, arguments):
        """ Try some mails now; without numbers, make a retry pass """

        return self._each(arguments) if arguments.numbers else self._run(arguments, DEFERRED)

    # -------------------------------------------------------------------------
    # All sending
    #
    def pause(self, arguments):
        """ Send nothing until it is resumed """

        until = None if arguments.minutes is None \
            else utcnow() + timedelta(minutes=arguments.minutes)
        self.operator.pause(arguments.reason or "", until)
        self._print_done(arguments, "Sending is paused%s." %
                         (" until %s" % stamp(until) if until else ""), paused_until=until)

    # -------------------------------------------------------------------------
    def resume(self, arguments):
        """ End the pause """

        self._print_done(arguments, self.operator.resume())

    # -------------------------------------------------------------------------
    def drain(self, arguments):
        """ Send new mail """

        return self._run(arguments, NEW)

    # -------------------------------------------------------------------------
    def flush(self, arguments):
        """ Send new mail, and all deferred mail """

        self.operator.retry_all()
        self.db.commit()
        return self._run(arguments, NEW)

    # -------------------------------------------------------------------------
    def _run(self, arguments, queue):
        """ Send a queue (NEW or DEFERRED) in place of a worker """

        settled, stopped = manual_run(self.mail, self.report, queue, self.output,
                                      arguments.seconds)
        status = Status(self.mail, utcnow())
        waiting = self.report.waiting(queue)
        if arguments.json:
            self.output.json({"settled": settled, "waiting": waiting, "stopped": stopped})
        elif self.output.is_terminal() or settled and not arguments.quiet:
            # Without a terminal, be silent if nothing was done: cron mails each
            # output to somebody. The log tells of a problem once, on stderr if
            # it has no other place.
            self.output.lines(*run_lines(settled, waiting, status))
        if stopped:
            return WAITING
        return max(WAITING, status.level) if waiting else FLOWING

    # -------------------------------------------------------------------------
    # The configuration
    #
    def check(self, arguments):
        """ Try the configuration without sending """

        steps = check_configuration(self.mail, arguments.address)
        status = Status(self.mail, utcnow())
        is_working, is_refused = works(steps), refuses_recipient(steps)
        if arguments.json:
            self.output.json({"good": is_working, "recipient_refused": is_refused, "steps": steps,
                              "capture": status.capture.as_dict(), "warnings": status.warnings()})
        else:
            self.output.lines(*check_lines(status, steps, is_working, is_refused))
        return BROKEN if not is_working else WAITING if is_refused else FLOWING

    # -------------------------------------------------------------------------
    def test(self, arguments):
        """ Send a test mail, and wait for its result """

        number = self.operator.test(arguments.address)
        self.db.commit()
        if not arguments.json:
            self.output.lines("Mail %s is queued." % number)

        entry = wait_for(self.mail, self.report, number, arguments.seconds)
        if arguments.json:
            self.output.json(for_json(entry))
        else:
            following = next_step(entry, Status(self.mail, utcnow()))
            self.output.lines("%s. %s" % (entry["state"].capitalize(), following))
            if entry["reply"]:
                self.output.lines(entry["reply"])
        return FLOWING if entry["state"] == "sent" else WAITING if entry["state"] in IN_TIME \
            else BROKEN

    # -------------------------------------------------------------------------
    # The database
    #
    def purge(self, arguments):
        """ Remove old mails """

        purge = self.mail.channel().purge()
        old = purge.old()
        if arguments.dry_run:
            self._print_done(arguments, "%d would be removed." % old, old=old)
            return FLOWING
        with Progress(old, self.output) as progress, progress.stopping(purge.stop):
            removed = purge.purge(tell = lambda count: progress.show(lambda: count))
        if arguments.json or self.output.is_terminal() or removed and not arguments.quiet:
            self._print_done(arguments, "%d removed." % removed, removed=removed)
        return WAITING if progress.stopped else FLOWING

    # -------------------------------------------------------------------------
    def migrate(self, arguments):
        """ Bring the tables and the tasks up to date """

        if not self.mail.self_repair():
            raise OperatorError("The tables or tasks can't be made: see above.")
        self._print_done(arguments, "The tables and tasks are up to date.")

    # -------------------------------------------------------------------------
    def _print_done(self, arguments, line, **data):
        """ Commit, then print what was done: a line for people, or data for scripts """

        self.db.commit()
        if arguments.json:
            self.output.json(dict(data, told=line))
        else:
            self.output.lines(line)

# -----------------------------------------------------------------------------
def give_up(db, reason):
    """ Roll back and say why a verb was not done; returns the exit status """

    try:
        db.rollback()
    except Exception:
        # The connection is lost: the database has rolled back already
        pass
    print("mails3: %s" % one_line(reason), file=sys.stderr)
    return BROKEN

# END =========================================================================
