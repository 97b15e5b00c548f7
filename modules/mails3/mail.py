# -*- coding: utf-8 -*-

"""
    MailS3, the Mail of the app: send() queues, the tasks send

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging

from gluon import current
from gluon.tools import Mail

from .app_mail import AppMail
from .app_tasks import AppTasks
from .clock import utcnow
from .delivery.configuration import is_native
from .delivery.direct import Direct, as_refusal, send_directly
from .handle import Handle
from .message.address import BadInput
from .message.call import Call
from .queue.contents import Contents, QueuedAlready
from .queue.database import TransactionLost, is_conflict, savepoint
from .queue.enqueue import enqueue, transaction
from .queue.lookup import queued_before
from .states import brief

__all__ = ("MailS3",)

log = logging.getLogger("web2py.mails3")

# A condition that lasts is logged so often by each process (seconds)
LOG_EVERY_S = 3600

# The longest wait for one reply if a message is sent directly (seconds)
DIRECT_TIMEOUT_S = 5

# All that a visitor may learn of a failure
UNABLE = "The mail could not be sent"

# =============================================================================
class MailS3(AppMail, AppTasks, Handle, Mail):
    """
        Queues mail within the caller's transaction; workers send it

        mail.send()               queues; mail.queued is the message then
        mail.send_direct_email()  sends now, without the queue
        mail.find()               what has become of a mail    }
        mail.cancel()             gives it up                  } see Handle
        mail.requeue()            begins with it again         }
        mail.drain()              sends new mail           } tasks of the scheduler
        mail.retry()              sends deferred mail      }
        mail.send_channels()      both for other channels  }
        mail.purge()              removes old mail         }
    """

    def __init__(self, db, settings=None, **options):
        """
            Args:
                db: the DAL of the app, with the tables of schema.py
                settings: the settings of the Mail object that this one
                          replaces; they stay one object, so that a later
                          change by the app takes effect
                options: see AppMail
        """

        Mail.__init__(self)
        AppMail.__init__(self, db, **options)
        if settings is not None:
            self.settings = settings

    # -------------------------------------------------------------------------
    # Queueing
    #
    def send(self, to=None, subject="[no subject]", message="[no message]",
             *args, **kwargs):
        """
            Queue a mail within the caller's transaction; never raises
            - without a worker, the web server's process sends the mail after the
              request; a script tries it at once (see the setting fallback)
            - it is sent directly if the database can't take it, if it has a
              passphrase, a key or a connection, if the server is "logging",
              "gae" or "aws" in this request, or if this request has changed the
              server or the login in mail.settings

            Args:
                to, subject, message and all others: as for Mail.send, of
                        web2py 2.x as well as 3.x (gluon/tools.py)
                priority: 0 (first) to 9 (last), default 5, for a secret 2
                expires: not to be sent after that: datetime (UTC, if it has
                         no zone), timedelta, or seconds from now
                not_before: not to be sent before that, like expires; where it would
                         have to be sent directly, the mail is refused
                idempotency_key: the same key is queued only once, without end
                                 (up to 128 characters)
                unsubscribe: URL (https) by which one click leaves the list, or a
                             pair of it and an address (RFC 8058)
                secret: the mail carries a secret, like a reset link: its content
                        is dropped once it is sent (see the setting drop_secrets)

            Returns:
                True if the mail is queued: self.queued is a Queued then, with its
                number, Message-ID and recipients (None if it was sent directly,
                or another request is just queueing the same idempotency_key).
                False if it can't become a mail, with the reason in self.error,
                and nothing queued
        """

        try:
            call = Call.read(self, [to, subject, message, *args], kwargs, utcnow())
        except Exception as error:
            return self._refused(error)

        # In a test, also what a developer's machine would only log is queued
        if not call.is_storable or is_native(self.settings) and self.outbox is None:
            return self._send_now(call)

        try:
            queued = self._queue(call)
        except TransactionLost as error:
            # What the mail is about does not exist any more, nor may the mail
            log.error("Mail can't be queued, the transaction is lost (%s).", brief(error))
            return self._done(False, UNABLE)
        except QueuedAlready:
            return self._done(True)
        except BadInput as error:
            return self._refused(error)
        except Exception as error:
            if call.idempotency_key and is_conflict(error):
                # Another request may be queueing it: sent directly, it might go
                # twice; the caller may try again
                log.error("Mail can't be queued, another request holds its key (%s).",
                          brief(error))
                return self._done(False, UNABLE)
            log.error("Mail can't be queued (%s), so it is sent at once.", brief(error))
            return self._send_now(call)
        return self._done(True, queued=queued)

    # -------------------------------------------------------------------------
    def _queue(self, call):
        """ Queue a Call, and wake a worker; returns the Queued; raises as enqueue() """

        others = [self.tasks.scheduler.db] \
            if self.tasks and self.tasks.scheduler.db is not self.db else []
        with transaction(self.db, others, self.thread) as is_callers:
            tables = self.channel().tables
            with savepoint(self.db, "mails3_queue"):
                key = call.idempotency_key
                message_id = key and Contents(tables).find(key)
                if message_id:
                    return queued_before(tables, message_id)
                queued, ids = enqueue(tables, call.message,
                                      call.message.id_header(self.configured("sender")),
                                      utcnow(),
                                      retries = self.options.max_retries,
                                      priority = call.priority,
                                      not_before = call.not_before,
                                      expires_on = call.expires_on,
                                      idempotency_key = key,
                                      secret = call.is_secret,
                                      is_held = self.outbox is not None,
                                      )
            # A worker looks each second for what is due
            is_heard = call.not_before or self.wakeup.wake()
        if not is_heard:
            self.channel().try_now(lambda: ids, is_callers)
        return queued

    # -------------------------------------------------------------------------
    # Sending
    #
    def send_direct_email(self, to=None, subject="[no subject]",
                          message="[no message]", *args, **kwargs):
        """
            Send a mail now, without the queue; the caller waits for SMTP

            Args:
                as for send(); those for the queue have no effect

            Returns:
                True if every recipient was accepted; else False, with the
                reason in self.error, and the recipients that were refused in
                self.result: {address: (code, text)}. Never raises.
        """

        try:
            call = Call.read(self, [to, subject, message, *args], kwargs, utcnow())
        except Exception as error:
            return self._refused(error)

        return self._send_direct(call)

    # -------------------------------------------------------------------------
    def _send_direct(self, call):
        """ Send a Call now; as send_direct_email() """

        message = call.message
        direct = Direct(message, message.id_header(self.configured("sender")),
                        message.recipients, call.is_secret)
        if self.outbox is not None:
            self.outbox.add(direct)
            return self._done(True)
        try:
            outcome = send_directly(self, direct, self.settings.timeout or DIRECT_TIMEOUT_S,
                                    call.remote_server)
        except Exception as error:
            return self._done(False, as_refusal(error))

        refused = {address: (error.code, error.text)
                   for address, error in outcome.items() if error}
        error = next(filter(None, outcome.values()), None)
        return self._done(error is None, error, refused)

    # -------------------------------------------------------------------------
    def _send_now(self, call):
        """ Send what can't be queued; the caller may show the error to a visitor """

        if call.not_before and self.settings.server != "logging":
            log.error("A mail that is not to be sent before %s UTC can't be queued, so it is "
                      "not sent at all.", call.not_before)
            return self._done(False, UNABLE)
        if self._send_direct(call):
            return True
        log.error("Mail could not be sent: %s", self.error)
        return self._done(False, UNABLE)

    # -------------------------------------------------------------------------
    @staticmethod
    def log_sometimes(text):
        """ Log a condition that lasts, at most once per hour and process """

        if hasattr(current, "cache"):
            current.cache.ram("mails3-told-%s" % text[:20], lambda: log.error(text), LOG_EVERY_S)
        else:
            # A thread of the app's own has no cache
            log.error(text)

    # -------------------------------------------------------------------------
    def _refused(self, error):
        """ Refuse a call: the error and the log say why """

        if not isinstance(error, BadInput):
            error = BadInput("The mail can not be read: %s" % type(error).__name__)
        log.warning("A mail was refused: %s", error)
        return self._done(False, str(error))

    # -------------------------------------------------------------------------
    def _done(self, success, error=None, result=None, queued=None):
        """ Leave the outcome where Mail.send leaves it, and the Queued """

        self.queued = queued
        self.error = error
        self.result = result or {}
        return success

# END =========================================================================
