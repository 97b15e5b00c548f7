# -*- coding: utf-8 -*-

"""
    MailS3, the Mail of the app: send() queues, the runs send

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import copy
import inspect
import logging
import socket
import time

from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from threading import current_thread
from uuid import uuid4

from gluon import current
from gluon.languages import lazyT
from gluon.tools import Mail

from .message.address import BadInput, address_of
from .admin.alerts import Alerts
from .clock import shared_clock, utcnow
from .delivery.worker import Worker
from .queue.purge import Purge
from .queue.report import Report
from .states import EMAIL, FIRST, LAST, NEW, NORMAL, URGENT
from .queue.outbox import Outbox, QueuedAlready
from .policy import DeliveryError, PermanentFailure, TransientFailure
from .delivery.breaker import Breaker
from .queue.schema import TransactionLost, commits_each_statement, connection_of_our_own, \
                          has_written, is_conflict, lock_rows_only, recover, savepoint
from .settings import complain_once, read_settings
from .message.stored import Message
from .delivery.transport import Transport, is_native

__all__ = ("MailS3",)

log = logging.getLogger("web2py.mails3")

# Arguments that one dialect of Mail.send has and another has not
DIALECTS = ("encoding", "dkim", "list_unsubscribe", "remote_server")

# Arguments that are for the queue
QUEUEING = ("priority", "expires", "idempotency_key", "secret")

# By how much this machine's clock may differ from the database's, untold (seconds)
MAX_SKEW_S = 30

# Settings of a Mail object that a mail does not depend on
ASIDE = ("timeout", "debug", "lock_keys", "lock_values")

# All that a visitor may learn of a failure
UNABLE = "The mail could not be sent"

# =============================================================================
class MailS3(Mail):
    """
        Queues mail within the caller's transaction, in place of sending it
        while the visitor waits

        mail.send()               queues
        mail.send_direct_email()  sends now; what Mail.send should have been
        mail.drain()              sends what is new    } tasks of the
        mail.retry()              sends what was refused and is due } scheduler
        mail.purge()              removes what is old               }
    """

    # By what ways it sends
    channels = (EMAIL,)
    # On tables of the host: what is looked up there for each mail
    indexes = ()

    def __init__(self, db, settings=None, given=None, tasks=None, site="site",
                 auth=None):
        """
            Args:
                db: the DAL of the app, with the tables of schema.py
                settings: the settings of the Mail object that this one takes
                          the place of; they stay one object, so that what
                          the app changes later is heeded
                given: function that returns the MailS3 settings as the site
                       has given them (dict); called when first needed
                tasks: the Tasks in the scheduler; None = there is none
                site: the name of the app
                auth: the Auth of the app, which knows its admins; None = there
                      are none
        """

        super().__init__()
        if settings is not None:
            self.settings = settings

        self.db = db
        self.tasks = tasks
        self.site = site
        self.auth = auth
        self.thread = current_thread() # what is done in it, web2py commits
        self.settings_file = None # where those of MailS3 are from, to name it
        self.secret = False # what it sends, if send() is not told
        self._configuration = None # the settings as the models have made them
        self._given = given
        self._options = None
        self._worker_seen = None

    # -------------------------------------------------------------------------
    @property
    def options(self):
        """ The MailS3 settings (see settings.py) """

        if self._options is None:
            given = self._given() if self._given else {}
            self._options = read_settings(given, complain_once, self.settings_file)
        return self._options

    # -------------------------------------------------------------------------
    def note_configuration(self):
        """
            The settings are those of the models now: what a request changes in
            them after that goes with its own mail, and concerns no other
        """

        self._configuration = dict(self.settings)

    # -------------------------------------------------------------------------
    def configured(self, name):
        """ One of the settings as the models have made it, whatever the request did """

        settings = self.settings if self._configuration is None else self._configuration
        return settings.get(name)

    # -------------------------------------------------------------------------
    # Queueing
    #
    def send(self, to=None, subject="[no subject]", message="[no message]",
             *args, **kwargs):
        """
            Queue a mail within the caller's transaction; never raises
            - without a worker, it is tried at once (see the setting fallback)
            - if the database can't take it, it is sent directly; likewise if it
              has something with it that must not be stored, if the server is
              "logging", "gae" or "aws" in this request, or if this request has
              changed the server or the login in mail.settings

            Args:
                to, subject, message and all others: as for Mail.send, of
                        web2py 2.x as well as 3.x (gluon/tools.py)
                priority: 0 (first) to 9 (last), default 5, for a secret 2
                expires: not to be sent after that: datetime (UTC, if it has
                         no zone), timedelta, or seconds from now
                idempotency_key: the same key is queued only once, ever
                                 (up to 128 characters)
                secret: it carries one, like a reset link: its content is
                        dropped once it is sent (see the setting drop_secrets)

            Returns:
                True if the mail is queued; False if it can't be a mail,
                with the reason in self.error, and nothing queued
        """

        try:
            submission, queueing, remote_server, may_wait = \
                self._read(to, subject, message, args, kwargs)
        except Exception as error:
            return self._refused(error)

        if not may_wait:
            return self._send_now(submission, remote_server)

        key = queueing["idempotency_key"]
        try:
            with self._transaction() as is_callers:
                with savepoint(self.db, "mails3_queue"):
                    outbox = self._outbox()
                    if key and outbox.find(key):
                        return self._done(True)
                    ids = outbox.add(submission, self.message_id_header(submission),
                                     utcnow(),
                                     retries = self.options.max_retries,
                                     **queueing)
                is_heard = self._wake()
            if not is_heard:
                self._try_now(lambda: ids, is_callers=is_callers)
        except TransactionLost as error:
            # What the mail is about does not exist any more, nor may the mail
            log.error("Mail can't be queued, the transaction is lost (%s).",
                      brief(error))
            return self._done(False, UNABLE)
        except QueuedAlready:
            return self._done(True)
        except BadInput as error:
            return self._refused(error)
        except Exception as error:
            if key and is_conflict(error):
                # Whoever has the key may have queued it: sent at once, it
                # might go twice; the caller may ask again
                log.error("Mail can't be queued, somebody else is at it (%s).", brief(error))
                return self._done(False, UNABLE)
            log.error("Mail can't be queued (%s), so it is sent at once.",
                      brief(error))
            return self._send_now(submission)
        return self._done(True)

    # -------------------------------------------------------------------------
    def _read(self, to, subject, message, args, kwargs):
        """
            Read a call

            Returns:
                tuple (submission, queueing, remote_server, may_wait):
                the Message; the arguments that are for the queue (dict);
                a live connection of the caller's, or None; whether a worker,
                which has nothing but what is stored, can send it

            Raises:
                BadInput: it can't be a mail
        """

        arguments = self._arguments(to, subject, message, args, kwargs)
        queueing = self._queueing(arguments)
        remote_server = arguments.pop("remote_server", None)
        may_wait = self._add_changes(arguments) and remote_server is None and \
            not is_native(self.settings) and not carries_secret(arguments)
        submission = Message.read(arguments, self.options.max_size)
        return submission, queueing, remote_server, may_wait

    # -------------------------------------------------------------------------
    def _add_changes(self, arguments):
        """
            Have what this request has changed in the settings go with its mail

            Args:
                arguments: of the call, by name; those of Mail.send's that are
                           settings as well are added, if the call has none

            Returns:
                False if something was changed that does not go with a mail,
                like the server or the login
        """

        is_all = True
        for name, value in self.settings.items():
            if name in ASIDE or value == self.configured(name):
                continue
            if name in inspect.signature(Mail.send).parameters and \
               (value or name in ("sign", "encrypt") and value is not None):
                if arguments.get(name) is None:
                    arguments[name] = value
            else:
                log.info("mail.settings.%s differs from that of the models: the mail is "
                         "sent at once.", name)
                is_all = False
        return is_all

    # -------------------------------------------------------------------------
    def _arguments(self, to, subject, message, args, kwargs):
        """
            Name the arguments of a call

            Returns:
                dict, with lazy translations made text

            Raises:
                BadInput: there is one too many
        """

        names, known = parameters_of(Mail.send)
        arguments = dict(zip(names, args))
        if len(args) > len(names) or any(key in arguments for key in kwargs):
            raise BadInput("Too many arguments")
        unknown = known and set(kwargs) - known
        if unknown:
            raise BadInput("Unknown argument: %s" % ", ".join(sorted(unknown)))

        arguments.update(kwargs, to=to, subject=subject, message=message)
        return {key: value if key == "dkim" else plain(value)
                for key, value in arguments.items()}

    # -------------------------------------------------------------------------
    def _queueing(self, arguments):
        """ Take those arguments out that are for the queue, and check them """

        priority = arguments.pop("priority", None)
        expires = arguments.pop("expires", None)
        key = arguments.pop("idempotency_key", None)
        secret = arguments.pop("secret", None)

        secret = self.secret if secret is None else bool(secret)
        if priority is None:
            priority = URGENT if secret else NORMAL
        if not isinstance(priority, int) or not FIRST <= priority <= LAST:
            raise BadInput("priority is not a number from 0 to 9")

        if isinstance(expires, (int, float)) and not isinstance(expires, bool):
            expires = timedelta(seconds=expires)
        if isinstance(expires, timedelta):
            expires = utcnow() + expires
        if isinstance(expires, datetime):
            if expires.tzinfo:
                expires = expires.astimezone(timezone.utc).replace(tzinfo=None)
        elif expires is not None:
            raise BadInput("expires is no time")

        if key is not None and not (isinstance(key, str) and key.isascii() and
                                    key.isprintable() and 0 < len(key) <= 128):
            raise BadInput("idempotency_key is no text of up to 128 characters")

        return {"priority": priority,
                "expires_on": expires,
                "idempotency_key": key,
                "secret": secret,
                }

    # -------------------------------------------------------------------------
    def message_id_header(self, submission):
        """
            Give a mail its Message-ID, for all its attempts (RFC 5322 3.6.4)

            Args:
                submission: the Message

            Returns:
                the header's text; that of the mail's own headers, if it has one
        """

        for name, value in submission.headers.items():
            if name.lower() == "message-id":
                return value[:255]
        sender = submission.sender or self.configured("sender")
        try:
            domain = address_of(sender).rpartition("@")[2]
        except BadInput:
            domain = socket.gethostname()
        return "<%s@%s>" % (uuid4().hex, domain[:200])

    # -------------------------------------------------------------------------
    @contextmanager
    def _transaction(self):
        """
            The transaction to queue in: the caller's, if somebody commits it
            - web2py commits the connections of the thread that has run the
              models, when the request, the task or the script ends. In a
              thread that the app has started, nobody may: the mail is
              committed on a connection of its own, and whatever that thread
              has open is left alone.
            - On SQLite a thread that has begun to write locks out all others,
              us included: it has to commit, and the mail is part of that

            Returns:
                whether it is the caller's: else all is committed at the end
        """

        if current_thread() is self.thread or has_written(self.db):
            yield not commits_each_statement(self.db)
            return
        with ExitStack() as stack:
            databases = [self.db]
            if self.tasks and self.tasks.scheduler.db is not self.db:
                databases.append(self.tasks.scheduler.db)
            for db in databases:
                # No visitor waits
                stack.enter_context(connection_of_our_own(db, lock_wait_s=5))
            yield False

    # -------------------------------------------------------------------------
    def _start(self, queued, channel=EMAIL):
        """
            Have a worker send what was queued; or, without one, try it now

            Args:
                queued: function that returns the ids of its deliveries
                channel: the way they go
        """

        if not self._wake(channel):
            self._try_now(queued, channel)

    # -------------------------------------------------------------------------
    def _try_now(self, queued, channel=EMAIL, is_callers=True):
        """
            Try what was queued, as there is no worker

            Args:
                queued: function that returns the ids of its deliveries
                channel: the way they go
                is_callers: it was queued in the caller's transaction; else it
                            is committed
        """

        if not self.options.fallback:
            return
        options = {"message_time": self.options.fallback_timeout}
        try:
            if is_callers:
                # Nobody else can see it yet, so nobody else sends it
                with savepoint(self.db, "mails3_try"):
                    self._courier(channel,
                                  relay = self._relay_apart(channel),
                                  commit = lambda: None,
                                  **options).send_own(queued())
            else:
                with connection_of_our_own(self.db, lock_wait_s=5):
                    self._courier(channel,
                                  commit = self.db.commit,
                                  now = self._shared_clock(),
                                  **options).send_own(queued())
        except TransactionLost:
            raise
        except Exception as error:
            log.error("Mail can't be tried now (%s), it stays queued.", brief(error))

    # -------------------------------------------------------------------------
    def _wake(self, channel=EMAIL):
        """ Wake the workers; False if none is there to hear it """

        tasks = self.tasks
        if tasks is None:
            return False
        try:
            with savepoint(tasks.scheduler.db, "mails3_wake"):
                tasks.wake(channel)
                if self._worker_seen is None:
                    self._worker_seen = self._worker_alive()
        except TransactionLost:
            raise
        except Exception as error:
            # It costs delay: the periodic drain needs no kick; if there is one
            log.error("The drain can't be kicked (%s).", brief(error))
        return bool(self._worker_seen)

    # -------------------------------------------------------------------------
    def _relay_apart(self, channel):
        """
            The relay's state, apart from the caller's transaction: others
            must not wait for its end. SQLite has one writer, who is us.
        """

        apart = self.db._adapter.dbengine != "sqlite"
        return Breaker(self.db, self.channel_name(channel), apart=apart)

    # -------------------------------------------------------------------------
    def _worker_alive(self):
        """ Whether a worker is alive, and does its work """

        if Alerts(self).is_active("worker"):
            # Somebody has told of it
            return False
        since = utcnow() - timedelta(seconds=self.options.neglect_timeout)
        if not self.tasks.workers() and not self._relay().is_attended(since):
            self._tell("No scheduler worker is alive: %s. Start one: web2py.py -K %s" %
                       ("each new mail is tried at once while its visitor waits"
                        if self.options.fallback else "mail is queued but nothing sends it",
                        self.site))
            return False
        if self._outbox().neglected(since) and self._relay().is_idle(since):
            self._tell("A scheduler worker is alive, but mail has been waiting "
                       "since before %s UTC: the worker seems to hang. Restart "
                       "it." % since.replace(microsecond=0))
            return False
        return True

    # -------------------------------------------------------------------------
    @staticmethod
    def _tell(text):
        """ Log something that is so for a while, once an hour and process """

        if hasattr(current, "cache"):
            current.cache.ram("mails3-told-%s" % text[:20], lambda: log.error(text), 3600)
        else:
            # A thread of the app's own has none
            log.error(text)

    # -------------------------------------------------------------------------
    # Sending
    #
    def send_direct_email(self, to=None, subject="[no subject]",
                          message="[no message]", *args, **kwargs):
        """
            Send a mail now, past the queue; for those who can wait for SMTP

            Args:
                as for send(); those for the queue have no effect

            Returns:
                True if every recipient was accepted; else False, with the
                reason in self.error, and those who were refused in
                self.result: {address: (code, text)}. Never raises.
        """

        try:
            submission, _, remote_server, _ = self._read(to, subject, message, args, kwargs)
        except Exception as error:
            return self._refused(error)

        return self._send_direct(submission, remote_server)

    # -------------------------------------------------------------------------
    def _send_direct(self, submission, remote_server=None):
        """ Send a Message now; as send_direct_email() """

        timeout = self.settings.timeout or 5
        transport = Transport(self, timeout, remote_server)
        try:
            refused = transport.send(submission, self.message_id_header(submission),
                                     submission.recipients, 6 * timeout)
        except Exception as error:
            if not isinstance(error, DeliveryError):
                error = PermanentFailure(brief(error))
            return self._done(False, error)
        finally:
            transport.close()

        for address in submission.recipients:
            refused.setdefault(address, TransientFailure("Time ran short"))
        result = {address: error.reply
                  for address, error in refused.items() if error}
        error = next(filter(None, refused.values()), None)
        return self._done(error is None, error, result)

    # -------------------------------------------------------------------------
    def _send_now(self, submission, remote_server=None):
        """ Send what can't be queued; the caller may show the error to a visitor """

        if self._send_direct(submission, remote_server):
            return True
        log.error("Mail could not be sent: %s", self.error)
        return self._done(False, UNABLE)

    # -------------------------------------------------------------------------
    def drain(self):
        """
            Send what is new; commits. A task of the scheduler.

            Returns:
                how many deliveries were settled, None if there were none
        """

        settled = self._drain(EMAIL) or None
        if settled:
            self.watch()
        return settled

    # -------------------------------------------------------------------------
    def retry(self):
        """
            Send what was refused and is due; commits. A task of the scheduler.

            Returns:
                how many deliveries were settled, None if there were none
        """

        settled = self._retry(EMAIL) or None
        self.watch()
        return settled

    # -------------------------------------------------------------------------
    def purge(self):
        """
            Remove what has been kept for long enough; commits. A task of the
            scheduler, at night.

            Returns:
                how many deliveries were removed, None if there were none
        """

        end = time.monotonic() + self.options.task_timeout / 2
        return self.housekeeping().purge(end) or None

    # -------------------------------------------------------------------------
    def send_channels(self):
        """
            Send what goes by other channels than mail: what is new, then
            what was refused and is due; commits. A task of the scheduler.

            Returns:
                how many deliveries were settled, None if there were none
        """

        return sum(self._drain(channel) + self._retry(channel)
                   for channel in self.channels[1:]) or None

    # -------------------------------------------------------------------------
    def housekeeping(self):
        """ The Housekeeping, with a connection to itself """

        lock_rows_only(self.db)
        self._outbox()
        return Purge(self.db, self.options, self.db.commit, utcnow(), self.site)

    # -------------------------------------------------------------------------
    def watch(self):
        """ Raise the alarm if need be; commits. No mail depends on it. """

        try:
            alarm = Alerts(self)
            alarm.watch()
            self.db.commit()
            alarm.tell(self.db.commit)
        except Exception as error:
            self.db.rollback()
            log.error("The alarm does not work (%s).", brief(error))

    # -------------------------------------------------------------------------
    def _drain(self, channel):
        """ Send what is new by a channel; how many deliveries were settled """

        if self._is_idle(channel):
            return 0
        run = self._run(channel)
        if self.tasks:
            # Answered by this run, as it looks for mail after this
            self._forget_wakes(channel)
        return run.drain()

    # -------------------------------------------------------------------------
    def _is_idle(self, channel):
        """ Whether there is nothing new to send: one query, no write """

        return self._outbox(channel).is_empty(NEW, utcnow())

    # -------------------------------------------------------------------------
    def _retry(self, channel):
        """ Send what was refused; how many deliveries were settled """

        return self._run(channel, everything=True).retry()

    # -------------------------------------------------------------------------
    def _pick_up(self, channel, everything=False):
        """
            Take what others have put into the outbox; commits

            Args:
                channel: the way it goes
                everything: also what was left over or released, for which
                            all that is unsent has to be looked at
        """

        if everything:
            self._outbox(channel).queue_released()
            self.db.commit()

    # -------------------------------------------------------------------------
    def _forget_wakes(self, channel):
        """ Tidy up behind the kicks; commits """

        db = self.tasks.scheduler.db
        try:
            self.tasks.forget_wakes(channel)
            db.commit()
        except Exception as error:
            # The scheduler may be at them: all they cost is an idle run
            db.rollback()
            log.info("Kicks can't be removed now (%s).", brief(error))

    # -------------------------------------------------------------------------
    def _run(self, channel=EMAIL, everything=False, **options):
        """
            A Worker for a run, with a connection to itself; commits

            Args:
                channel: the way of sending
                everything: as for _pick_up(), which is done before
                options: for the Worker
        """

        lock_rows_only(self.db)
        self._pick_up(channel, everything)
        return self._courier(channel,
                             commit = self.db.commit,
                             recover = lambda: recover(self.db),
                             now = self._shared_clock(),
                             **options)

    # -------------------------------------------------------------------------
    def _shared_clock(self):
        """ The clock that all machines of the site share; see there """

        now, ahead = shared_clock(self.db)
        seconds = round(ahead.total_seconds())
        if abs(seconds) > MAX_SKEW_S:
            self._tell("The clock of this machine is %s seconds %s that of the database. "
                       "Mail is not sent twice for that, but times are wrong: have both "
                       "set by NTP." % (abs(seconds), "ahead of" if seconds > 0 else "behind"))
        return now

    # -------------------------------------------------------------------------
    def _courier(self, channel, relay=None, transport=None, **options):
        """ A Worker for this database and this configuration """

        return Worker(self._outbox(channel),
                      relay or self._relay(channel),
                      transport or self._transport(channel),
                      self.options,
                      **options)

    # -------------------------------------------------------------------------
    def _outbox(self, channel=EMAIL):
        """ The Outbox of a channel """

        return Outbox(self.db, self.options.longest_wait, channel)

    # -------------------------------------------------------------------------
    def _relay(self, channel=EMAIL):
        """ The Relay of a channel """

        return Breaker(self.db, self.channel_name(channel))

    # -------------------------------------------------------------------------
    def _transport(self, channel):
        """ Who hands over what goes by a channel """

        return Transport(self, self.options.reply_timeout)

    # -------------------------------------------------------------------------
    def channel_name(self, channel):
        """ The name of a channel's queues in mails3_channel """

        return self.site if channel == EMAIL else "%s %s" % (self.site, channel)

    # -------------------------------------------------------------------------
    # What the admin sees and steers by
    #
    def is_admin(self):
        """
            Whether the visitor may see the queue and steer it; where an app
            has no users, nobody may
        """

        return bool(self.auth and self.auth.user and
                    self.auth.has_membership(role=self.options.admin_group))

    # -------------------------------------------------------------------------
    def report(self):
        """ The Report of all mail """

        return Report(self._outbox())

    # -------------------------------------------------------------------------
    def relays(self):
        """ The Relays of all ways of sending, that of mail first """

        return [self._relay(channel) for channel in self.channels]

    # -------------------------------------------------------------------------
    def run(self):
        """ A Worker, for who watches it; mail.drain() and retry() make their own """

        return self._run(everything=True)

    # -------------------------------------------------------------------------
    def for_secrets(self):
        """
            The same for mail that carries secrets, as Auth's does: as good as
            send(secret = True), for a caller that does not know of it
        """

        mail = copy.copy(self)
        mail.secret = True
        return mail

    # -------------------------------------------------------------------------
    def retire(self):
        """
            Leave the app: our tasks out of the scheduler, all claims given
            up; to be committed

            Returns:
                list of sentences about what is unsent (str)
        """

        if self.tasks:
            self.tasks.remove()
        self._outbox().release_all()
        counts = self.report().counts()
        unsent = counts["new"] + counts["deferred"]
        return ["%s mails are unsent. They stay in msg_outbox (status 1), and are "
                "sent when MailS3 is installed again." % unsent] if unsent else []

    # -------------------------------------------------------------------------
    def _refused(self, error):
        """ Refuse a call: the error says why, the admin's log as well """

        if not isinstance(error, BadInput):
            error = BadInput("The mail can not be read: %s" % type(error).__name__)
        log.warning("A mail was refused: %s", error)
        return self._done(False, str(error))

    # -------------------------------------------------------------------------
    def _done(self, success, error=None, result=None):
        """ Leave the outcome where Mail.send leaves it """

        self.error = error
        self.result = result or {}
        return success

# -----------------------------------------------------------------------------
@lru_cache()
def parameters_of(method):
    """
        What may be handed over to a Mail.send, and so to send()

        Args:
            method: this web2py's Mail.send

        Returns:
            tuple (names, known): the names of its positional parameters after
            the first three; all names that are known, None = it takes any
    """

    parameters = list(inspect.signature(method).parameters.values())[1:]
    names = [parameter.name for parameter in parameters
             if parameter.kind == parameter.POSITIONAL_OR_KEYWORD]
    known = {parameter.name for parameter in parameters}.union(DIALECTS, QUEUEING)
    takes_any = parameters[-1].kind == parameters[-1].VAR_KEYWORD
    return names[3:], None if takes_any else known

# -----------------------------------------------------------------------------
def plain(value):
    """ Lazy translations as text, in the language of the request """

    if isinstance(value, lazyT):
        return str(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    return value

# -----------------------------------------------------------------------------
def carries_secret(arguments):
    """ Whether a call has something in it that must not be stored """

    # With dkim comes its key; a keyfile may be a path, or the key itself
    return bool(arguments.get("sign_passphrase") or arguments.get("dkim") or
                "PRIVATE KEY" in str(arguments.get("x509_sign_keyfile")))

# -----------------------------------------------------------------------------
def brief(error):
    """
        An error for the log, without what it is about: a driver may quote
        the statement, and so the mail, from the second line on
    """

    return ("%s: %s" % (type(error).__name__, error)).splitlines()[0][:160]

# END =========================================================================
