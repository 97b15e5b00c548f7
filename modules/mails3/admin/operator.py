# -*- coding: utf-8 -*-

"""
    The operator: an admin who steers the queue. Each verb leaves a line in the log.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging
import time

from uuid import uuid4

from ..clock import utcnow
from ..delivery.breaker import TRIPPED, is_paused
from ..delivery.capture import Capture
from ..delivery.worker import Worker
from ..queue.contents import Contents
from ..queue.database import savepoint
from ..queue.transitions import NotPossible, OperatorTransitions
from ..queue.workers import WEB, WorkerRow
from ..states import DEFERRED, NEW, one_line, stored_text
from .alerts import Alerts

__all__ = ("Operator", "OperatorError")

log = logging.getLogger("web2py.mails3")

# How long a run that an admin waits for begins further messages (seconds)
SEND_TIME_S = 20

# The longest name of an admin in the database (characters)
MAX_NAME_CHARS = 128

# =============================================================================
class OperatorError(ValueError):
    """ What an admin has asked for can't be done; says why """

# =============================================================================
class Operator:
    """
        The verbs of an admin; commits are the caller's
        - the verbs for deliveries take the numbers of deliveries. They return
          the list of the numbers for which the verb was done, and a dict
          {number: why not} of the others.
    """

    def __init__(self, mail, by, now=utcnow):
        """
            Args:
                mail: the MailS3
                by: who the admin is, for the log
                now: tells the time
        """

        self.mail = mail
        self.db = mail.db
        self.by = stored_text(by)[:MAX_NAME_CHARS]
        self.now = now
        self.report = mail.report()
        self.transitions = OperatorTransitions(self.report.tables)

    # -------------------------------------------------------------------------
    # Verbs for deliveries, see OperatorTransitions
    #
    def hold(self, numbers):
        """ Set unsent deliveries aside, until they are released """

        return self._each(numbers, "held", self.transitions.hold, self.by)

    # -------------------------------------------------------------------------
    def cancel(self, numbers):
        """ Give up deliveries that are unsent or held """

        return self._each(numbers, "cancelled", self.transitions.cancel, self.by)

    # -------------------------------------------------------------------------
    def release(self, numbers):
        """ Send held and captured deliveries, with the next drain """

        return self._each_unsent(numbers, "released", unless_captured, self,
                                 self.transitions.release)

    # -------------------------------------------------------------------------
    def retry(self, numbers):
        """ Try deferred deliveries with the next drain; their attempts still count """

        return self._each_unsent(numbers, "to be retried", self.transitions.retry)

    # -------------------------------------------------------------------------
    def requeue(self, numbers):
        """ Begin again with deliveries that are not sent, as if they were new """

        return self._each_unsent(numbers, "requeued", unless_captured, self,
                                 self.transitions.requeue, self.mail.options.max_retries)

    # -------------------------------------------------------------------------
    def retry_all(self):
        """
            Try all deferred deliveries with the next drain, past the limits of
            the retry pass; for the command line

            Returns:
                how many deliveries
        """

        count = self.transitions.retry_all(self.report.channel, self.now())
        self._log("All deferred mail (%s) is to be retried" % count)
        return count

    # -------------------------------------------------------------------------
    def _each_unsent(self, *args):
        """ As _each(), for a verb after which deliveries wait to be sent """

        done, refused = self._each(*args)
        if done:
            self._wake()
        return done, refused

    # -------------------------------------------------------------------------
    def _each(self, numbers, done, verb, *args):
        """
            Do a verb to some deliveries

            Args:
                numbers: their numbers
                done: the verb's participle, for the log
                verb: function of OperatorTransitions
                args: its arguments, between the number and the time
        """

        moved, refused = [], {}
        for number in numbers:
            try:
                with savepoint(self.db, "mails3_verb"):
                    recipient = verb(number, *args, self.now())
            except NotPossible as why:
                refused[number] = str(why)
            else:
                moved.append(number)
                self._log("Mail to %s (number %s) is %s" %
                          (recipient or self.report.entry(number)["recipient"], number, done))
        return moved, refused

    # -------------------------------------------------------------------------
    # Verbs for sending
    #
    def pause(self, reason="", until=None):
        """
            Let no run send. A message that is being handed over still goes
            out, a message that is only claimed does not.

            Args:
                reason: why (str)
                until: when the pause ends by itself (UTC); None = with resume()

            Raises:
                OperatorError: that time has passed
        """

        if until is not None and until <= self.now():
            raise OperatorError("The end of the pause has passed already.")
        for channel in self.mail.channels:
            channel.breaker.pause(self.by, reason, self.now(), until)
        self.mail.channel().claims.release_idle()
        self._log("Sending is paused%s%s" %
                  (" until %s UTC" % until.replace(microsecond=0) if until else "",
                   ": %s" % stored_text(reason) if reason else ""))

    # -------------------------------------------------------------------------
    def resume(self):
        """
            End the pause; probe a relay at once for which sending is suspended,
            also after a refused login

            Returns:
                what was done (a sentence)
        """

        breakers = [relay.breaker for channel in self.mail.channels for relay in channel.relays]
        rows = [breaker.read() for breaker in breakers]
        done = "Sending is resumed" if any(is_paused(row, self.now()) for row in rows) \
            else "The mail server is asked again" \
            if any(row.status == TRIPPED for row in rows) \
            else "Nothing was paused, nothing is suspended"

        for breaker in breakers:
            breaker.resume(self.now())
        self._wake()
        self._log(done)
        return "%s." % done

    # -------------------------------------------------------------------------
    def send(self, time_s=SEND_TIME_S):
        """
            Send new and due deferred deliveries now, in this process, where no
            worker is alive; commits

            Args:
                time_s: how long new messages may be begun (seconds)

            Returns:
                tuple (count of deliveries handed over or settled, count that wait)
        """

        self._log("Waiting mail is sent")
        self.db.commit()
        count, end = 0, time.monotonic() + time_s
        for run in (Worker.drain, Worker.retry):
            row = WorkerRow(self.mail.db, self.mail.site, WEB)
            for worker in self.mail.channel().workers(everything=True, row=row):
                worker.deadline = min(worker.deadline, end)
                count += run(worker)
        Alerts(self.mail).run()
        return count, sum(self.report.waiting(queue) for queue in (NEW, DEFERRED))

    # -------------------------------------------------------------------------
    # Other verbs
    #
    def test(self, address):
        """
            Queue a test mail, with the first priority

            Args:
                address: of the recipient; of several, the number is that of
                         the first

            Returns:
                its number

            Raises:
                OperatorError: that is no address, or it can't be queued
        """

        text = "This is a test mail of %s, asked for by %s." % (self.mail.site, self.by)
        key = "test-%s" % uuid4().hex
        if not self.mail.send(address, "Test mail of %s" % self.mail.site, text,
                              priority=0, idempotency_key=key):
            raise OperatorError(str(self.mail.error))
        message_id = Contents(self.report.tables).find(key)
        if message_id is None:
            raise OperatorError("It was not queued, but handled at once: the log says why.")
        table = self.report.delivery
        row = self.db(table.message_id == message_id).select(table.outbox_id, orderby=table.id,
                                                             limitby=(0, 1)).first()
        self._log("A test mail to %s is queued" % one_line(address))
        return row.outbox_id

    # -------------------------------------------------------------------------
    def looked(self, entry):
        """ Log that an admin has looked at the content of a mail (entry: of the Report) """

        self._log("The content of number %s to %s was looked at" %
                  (entry["number"], entry["recipient"]))

    # -------------------------------------------------------------------------
    def _wake(self):
        """ Wake a worker; a failure costs delay only """

        try:
            self.mail.wakeup.wake()
        except Exception as error:
            log.warning("The workers can't be woken (%s).", type(error).__name__)

    # -------------------------------------------------------------------------
    def _log(self, what):
        """ Log what the admin has done """

        log.warning("%s, by %s.", what, self.by)

# -----------------------------------------------------------------------------
def unless_captured(number, operator, verb, *args):
    """
        Do a verb after which a delivery is sent; not if it would be captured again

        Args:
            number: its number
            operator: the Operator
            verb: function of OperatorTransitions
            args: its arguments after the number

        Returns:
            as the verb

        Raises:
            NotPossible: it would be captured again, or as the verb
    """

    entry = operator.report.entry(number)
    reason = entry and entry["state"] == "captured" and \
        Capture(operator.mail.options).reason(entry["address"])
    if reason:
        raise NotPossible("It would be captured again (%s)." % reason)
    return verb(number, *args)

# END =========================================================================
