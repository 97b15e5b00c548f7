# -*- coding: utf-8 -*-

"""
    The postmaster: who answers for the mail (RFC 5321 section 4.5.1), and
    steers it. One verb per transition; each leaves a line in the log.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging
import time

from uuid import uuid4

from ..clock import utcnow
from ..delivery.worker import Worker
from ..states import DEFERRED, DRAFT, FAILED, INVALID, NEW, NORMAL, SENT, UNSENT, one_line, \
                     words
from ..delivery.breaker import TRIPPED, is_paused
from ..queue.schema import savepoint

__all__ = ("Operator", "OperatorError")

log = logging.getLogger("web2py.mails3")

# The longest that an admin waits for a run of theirs to begin one more message
SEND_TIME_S = 20

# What a status is called when a verb does not apply to it
WORDS = {UNSENT: "It is waiting to be sent already.",
         SENT: "It has been sent.",
         DRAFT: "It is on hold: release it.",
         INVALID: "It has been refused for good: requeue it, if it shall be tried "
                  "again all the same.",
         FAILED: "It has been given up: requeue it, if it shall be tried again.",
         }

# =============================================================================
class OperatorError(ValueError):
    """ What was asked for can't be done; says why """

# =============================================================================
class Operator:
    """
        An admin at work; commits are the caller's. The verbs for deliveries
        take their numbers, and return the list of those where it was done,
        and a dict {number: why not} of the others.
    """

    def __init__(self, mail, by, now=utcnow):
        """
            Args:
                mail: the MailS3
                by: who that is, for the log
                now: tells the time
        """

        self.mail = mail
        self.db = mail.db
        self.by = words(by)[:128]
        self.now = now
        self.report = mail.report()

    # -------------------------------------------------------------------------
    # Verbs for deliveries
    #
    def hold(self, numbers):
        """ Set aside what is unsent, until it is released """

        return self._each(numbers, "held", (UNSENT,), DRAFT,
                          reply = "Held by %s" % self.by)

    # -------------------------------------------------------------------------
    def release(self, numbers):
        """ Send what was on hold, with the next drain """

        return self._each(numbers, "released", (DRAFT,), UNSENT,
                          queue = NEW,
                          due_on = self.now(),
                          in_doubt_count = 0,
                          reply = None,
                          )

    # -------------------------------------------------------------------------
    def retry(self, numbers):
        """
            Try what is deferred with the next drain: now means now, not with
            some retry pass. Its attempts still count: refused once more, it
            waits as long as it would have.
        """

        return self._each(numbers, "to be retried", (UNSENT,), UNSENT,
                          queues = (DEFERRED,),
                          queue = NEW,
                          due_on = self.now(),
                          )

    # -------------------------------------------------------------------------
    def requeue(self, numbers):
        """ Begin again with what is unsent or has ended in vain: as if new """

        return self._each(numbers, "requeued", (UNSENT, DRAFT, INVALID, FAILED), UNSENT,
                          retries = self.mail.options.max_retries,
                          queue = NEW,
                          due_on = self.now(),
                          priority = NORMAL,
                          attempts = 0,
                          deferred_on = None,
                          in_doubt_count = 0,
                          put_back_on = None,
                          reply = None,
                          )

    # -------------------------------------------------------------------------
    def cancel(self, numbers):
        """ Give up what is unsent or on hold """

        return self._each(numbers, "cancelled", (UNSENT, DRAFT), FAILED,
                          reply = "Cancelled by %s" % self.by)

    # -------------------------------------------------------------------------
    def retry_all(self):
        """
            Have the next drain try all that is deferred; for the command
            line, as it is past the limits of the retry pass

            Returns:
                how many deliveries
        """

        table = self.report.delivery
        now = self.now()
        number = self.db((table.channel == self.report.channel) &
                         (table.queue == DEFERRED) &
                         (table.lease == None)).update(queue=NEW, due_on=now)
        self._log("All that is deferred (%s) is to be retried" % number)
        return number

    # -------------------------------------------------------------------------
    # Verbs for the queue
    #
    def pause(self, reason="", until=None):
        """
            Send nothing, whoever starts a run; what is being handed over at
            this moment still goes out, what is only claimed does not

            Args:
                reason: why
                until: when that ends by itself (UTC); None = with resume()
        """

        if until is not None and until <= self.now():
            raise OperatorError("The end of the pause has passed already.")
        for relay in self.mail.relays():
            relay.pause(self.by, reason, self.now(), until)
        table = self.report.delivery
        self.db((table.lease != None) &
                (table.begun_on == None)).update(lease=None, leased_until=None)
        self._log("Sending is paused%s%s" %
                  (" until %s UTC" % until.replace(microsecond=0) if until else "",
                   ": %s" % words(reason) if reason else ""))

    # -------------------------------------------------------------------------
    def resume(self):
        """
            End the pause; ask a mail server that is known to be broken again
            at once, even if it has refused the login

            Returns:
                what was done (a sentence)
        """

        states = [relay.read() for relay in self.mail.relays()]
        done = "Sending is resumed" if any(is_paused(state, self.now()) for state in states) \
            else "The mail server is asked again" \
            if any(state.status == TRIPPED for state in states) \
            else "Nothing was paused, nothing is held"

        for relay in self.mail.relays():
            relay.resume(self.now())
        self._wake()
        self._log(done)
        return "%s." % done

    # -------------------------------------------------------------------------
    def send(self, seconds=SEND_TIME_S):
        """
            Send what is new, and what is due of the deferred mail, here and now:
            where no worker is alive, nobody else does; commits

            Args:
                seconds: how long new messages may be begun

            Returns:
                tuple (deliveries settled, deliveries that still wait)
        """

        self._log("What waits is sent")
        self.db.commit()
        settled, end = 0, time.monotonic() + seconds
        for run_of in (Worker.drain, Worker.retry):
            run = self.mail.run()
            run.deadline = min(run.deadline, end)
            settled += run_of(run)
        self.mail.watch()
        return settled, sum(self.report.waiting(queue) for queue in (NEW, DEFERRED))

    # -------------------------------------------------------------------------
    def test(self, address):
        """
            Queue a test mail, first in rank

            Args:
                address: whom to; of several, the number is that of the first

            Returns:
                its number

            Raises:
                Refused: that is no address, or it can't be queued
        """

        text = "This is a test mail of %s, asked for by %s." % (self.mail.site, self.by)
        key = "test-%s" % uuid4().hex
        if not self.mail.send(address, "Test mail of %s" % self.mail.site, text,
                              priority=0, idempotency_key=key):
            raise OperatorError(str(self.mail.error))
        message_id = self.report.contents.find(key)
        if message_id is None:
            raise OperatorError("It was not queued, but handled at once: the log says why.")
        table = self.report.delivery
        row = self.db(table.message_id == message_id).select(table.outbox_id, orderby=table.id,
                                                             limitby=(0, 1)).first()
        self._log("A test mail to %s is queued" % one_line(address))
        return row.outbox_id

    # -------------------------------------------------------------------------
    def looked(self, entry):
        """ Somebody has looked at the content of a mail (entry: of the Report) """

        self._log("The content of number %s to %s was looked at" %
                  (entry["number"], entry["recipient"]))

    # -------------------------------------------------------------------------
    # Its steps
    #
    def _each(self, numbers, done, was, status, queues=(), **values):
        """
            Do the same to some deliveries

            Args:
                numbers: theirs
                done: the verb's participle
                was: the statuses to which it applies
                status: the new one
                queues: the queues to which it applies; none = all
                values: as for _move
        """

        moved, refused = [], {}
        for number in numbers:
            try:
                with savepoint(self.db, "mails3_verb"):
                    recipient = self._move(number, was, status, queues, **values)
            except OperatorError as why:
                refused[number] = str(why)
            else:
                moved.append(number)
                self._log("Mail to %s (number %s) is %s" % (recipient, number, done))
        if moved and status == UNSENT:
            self._wake()
        return moved, refused

    # -------------------------------------------------------------------------
    def _move(self, number, was, status, queues, queue=None, retries=None, **values):
        """
            Move a delivery to another state

            Args:
                number: its number
                was, status, queues: as for _each
                queue: the run that shall send it
                retries: those left, where attempts begin anew
                values: for mails3_delivery

            Returns:
                its recipient

            Raises:
                Refused: it can't be, now
        """

        now, outbox, table = self.now(), self.report.outbox, self.report.delivery

        # As it is now, and stays; in the order in which a run settles it. A
        # row of the host's that no run has seen yet has no companion.
        own = self._locked(table.outbox_id == number, table.id, table.message_id,
                           table.queue, table.lease, table.leased_until, table.begun_on)
        entry = self._locked((outbox.id == number) & self.report.contents.undeleted,
                             outbox.address, outbox.status)
        if entry is None:
            raise OperatorError("There is no such mail.")
        if entry.status not in was or own and queues and own.queue not in queues:
            raise OperatorError(WORDS.get(entry.status, "Its status is unknown."))
        if own and own.lease and own.begun_on and own.leased_until >= now:
            raise OperatorError("It is being sent just now.")
        if own and own.message_id and status == UNSENT and \
           not self.report.has_content(own.message_id):
            raise OperatorError("Its content has been dropped.")

        changes = {"status": status, "modified_on": now}
        if "attempts" in values:
            changes["retries"] = retries
        self.db(outbox.id == number).update(**changes)
        if own:
            # What could not be picked up is to be tried anew, as one of the host
            self.db(table.id == own.id).update(queue = queue if own.message_id else None,
                                               lease = None,
                                               leased_until = None,
                                               begun_on = None,
                                               **values)
        return entry.address or self.report.entry(number)["recipient"]

    # -------------------------------------------------------------------------
    def _locked(self, query, *fields):
        """ A row, locked until the caller commits; None if there is none """

        # SQLite has one writer: the savepoint has made that us
        lock = {} if self.db._adapter.dbengine == "sqlite" else {"for_update": True}
        return self.db(query).select(*fields, **lock).first()

    # -------------------------------------------------------------------------
    def _wake(self):
        """ Have the drain run soon; without, it costs delay """

        tasks = self.mail.tasks
        if tasks is None:
            return
        try:
            with savepoint(tasks.scheduler.db, "mails3_wake"):
                tasks.wake()
        except Exception as error:
            log.warning("The drain can't be kicked (%s).", type(error).__name__)

    # -------------------------------------------------------------------------
    def _log(self, what):
        """ Who did what """

        log.warning("%s, by %s.", what, self.by)

# END =========================================================================
