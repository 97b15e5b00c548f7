# -*- coding: utf-8 -*-

"""
    MailS3 in Eden: takes the place of its mail, its way into and out of
    msg_outbox, and its task; without a change to a file of Eden's

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import functools
import logging
import os

from gluon import current
from gluon.storage import Storage

from ...clock import utcnow
from ...mail import MailS3
from ...states import EMAIL
from ...policy import MESSAGE_PHASES, ChannelFailure, DeliveryError, TransientFailure
from ...queue.schema import COMPANIONS, define, execute
from ..scheduler import Tasks
from ...settings import SETTINGS, complain_once, read_file
from ..web2py import establish, scheduler_of, show_notice
from .access import guard, stand_in_for_approvers
from .channels import ChannelTransport, EdenTransport
from .handback import HandBack
from .report import EdenReport
from .intake import Intake
from .daily_limit import DailyLimit

__all__ = ("install_mailer",)

log = logging.getLogger("web2py.mails3")

# What Eden may send by another way than mail (S3Msg.process_outbox)
CHANNELS = ("SMS", "TWITTER")

# Eden does not even try without a sender; RFC 2606: nobody has that address
UNCONFIGURED = "no-sender-configured@site.invalid"

# What Eden looks up by the way for each message or kick, and has no index for
INDEXES = (("msg_outbox", "mails3_outbox_message", ("message_id",)),
           ("msg_email", "mails3_email_message", ("message_id",)),
           ("pr_contact", "mails3_contact_entity", ("pe_id",)),
           )

# -----------------------------------------------------------------------------
def install_mailer(environment):
    """
        Take the place of Eden's mail; to be called from a model that sorts
        after 00_settings.py and tasks.py
        - first all that may fail, then Eden is changed: if this raises, Eden
          has what it had

        Args:
            environment: the globals of the model

        Returns:
            the EdenMail, which is current.mail and the mailer of auth now

        Raises:
            Exception: MailS3 can't work in this Eden
    """

    db, auth = environment["db"], environment["auth"]
    request, settings = current.request, current.deployment_settings

    if not settings.has_module("msg"):
        load_outbox(settings.modules)
    define(db, COMPANIONS)
    mail = EdenMail(db, environment["mail"].settings,
                    given = lambda: read_given(request.folder, settings),
                    site = request.application,
                    auth = auth,
                    )
    mail.settings_file = settings_file(request.folder)
    mail.configure(settings)
    mail.note_configuration()
    scheduler = scheduler_of(db)
    mail.tasks = Tasks(scheduler, mail)
    establish(mail, scheduler, COMPANIONS)

    mail.tasks.register({Tasks.DRAIN: mail.drain,
                         Tasks.RETRY: mail.retry,
                         Tasks.PURGE: mail.purge,
                         Tasks.CHANNELS: mail.send_channels,
                         "msg_process_outbox": mail.process_task,
                         })
    mail.tasks.poll_faster()
    mail.take_over(current.msg, current.s3task, settings)
    guard(auth)
    stand_in_for_approvers(auth)
    # A module that Eden does not know is everybody's
    settings.modules["mails3"] = Storage(name_nice = "MailS3",
                                         restricted = True,
                                         access = "|1|", # ADMIN
                                         module_type = None,
                                         )

    current.mail = mail
    auth.settings.mailer = mail.for_secrets()
    show_notice(mail, "warning", mail.is_admin)
    return mail

# -----------------------------------------------------------------------------
def load_outbox(modules):
    """
        Have Eden define its outbox where the template does without messages

        Args:
            modules: settings.modules
    """

    modules["msg"] = Storage(module_type=None)
    try:
        current.s3db.table("msg_outbox")
    finally:
        del modules["msg"]

# -----------------------------------------------------------------------------
def settings_file(folder):
    """ Where the MailS3 settings of an app are """

    return os.path.join(folder, "private", "mails3.ini")

# -----------------------------------------------------------------------------
def read_given(folder, settings):
    """
        The MailS3 settings, of private/mails3.ini and of 000_config.py
        - not by current, which a thread of the app's own does not have
    """

    given = read_file(settings_file(folder), complain_once)
    names = [setting.name for setting in SETTINGS]
    given.update((name, value) for name, value in settings.mail.items() if name in names)
    given.setdefault("max_retries", settings.get_msg_max_send_retries())
    return given

# =============================================================================
class EdenMail(MailS3):
    """ The Mail of an Eden """

    channels = (EMAIL,) + CHANNELS
    indexes = INDEXES

    def __init__(self, *args, **kwargs):

        super().__init__(*args, **kwargs)
        self.own_senders = ()   # the configured one, as Eden hands it over
        self.is_direct = False  # send() sends
        self.daily_limit = None

    # -------------------------------------------------------------------------
    def configure(self, settings):
        """
            Read Eden's settings (s3cfg.py, Mail settings), which it heeds
            only if there is a sender

            Args:
                settings: the deployment settings
        """

        sender = settings.get_mail_sender()
        self.settings.sender = sender
        # Eden asks for a server before it hands anything over
        self.settings.server = settings.get_mail_server() or ":"
        self.settings.tls = settings.get_mail_server_tls()
        self.settings.login = settings.get_mail_server_login() or None
        self.daily_limit = settings.get_mail_limit()
        # What is queued waits for the sender, and does not count yet
        self.own_senders = (UNCONFIGURED, sender, current.msg.sanitize_sender(sender))

    # -------------------------------------------------------------------------
    def take_over(self, msg, s3task, settings):
        """
            Stand in for what Eden does with its outbox

            Args:
                msg: the S3Msg of this request
                s3task: the S3Task of this request
                settings: the deployment settings
        """

        # Not by setting attributes: to a Storage those are items
        sender = self.settings.sender or UNCONFIGURED
        vars(settings).update(get_mail_sender = lambda: sender,
                              get_mail_limit = lambda: None,
                              )

        send_email, send_by_pe_id = msg.send_email, msg.send_by_pe_id
        run_async = s3task.run_async

        @functools.wraps(send_email)
        def queue_email(*args, **kwargs):
            # Stock shows the visitor what went wrong, or that nothing did
            error = current.session.error
            try:
                return send_email(*args, **kwargs)
            finally:
                current.session.error = error

        @functools.wraps(send_by_pe_id)
        def queue_by_pe_id(pe_id, subject="", message="", contact_method=EMAIL,
                           document_ids=None, from_address=None, *args, **kwargs):
            # Eden's form offers none if the person has but an address
            contact_method = contact_method or EMAIL
            # As long as its column is, or PostgreSQL undoes the transaction
            eden_message_id = send_by_pe_id(pe_id, str(subject or "")[:78], message,
                                            contact_method, document_ids, from_address,
                                            *args, **kwargs)
            if eden_message_id and contact_method == EMAIL and not from_address:
                # Stock writes down the configured one, and reads it where
                # there is none
                execute(self.db, "UPDATE msg_email SET from_address = NULL "
                                 "WHERE message_id = ?", int(eden_message_id))
            self.start_message(eden_message_id, contact_method)
            return eden_message_id

        @functools.wraps(msg.send_email_by_pe_id)
        def queue_email_by_pe_id(pe_id, subject="", message="", from_address=None,
                                 system_generated=False):
            # Stock mistakes its sender for a document
            return msg.send_by_pe_id(pe_id, subject, message, EMAIL,
                                     from_address = from_address,
                                     system_generated = system_generated,
                                     )

        @functools.wraps(run_async)
        def wake_or_run(task, args=None, *others, **kwargs):
            if task == "msg_process_outbox":
                self._wake(args[0] if args else EMAIL)
                return None
            return run_async(task, args, *others, **kwargs)

        msg.send_email = queue_email
        msg.send_by_pe_id = queue_by_pe_id
        msg.send_email_by_pe_id = queue_email_by_pe_id
        msg.process_outbox = self.process_outbox
        s3task.run_async = wake_or_run

    # -------------------------------------------------------------------------
    def sender_of(self, sender):
        """
            A sender as handed over, None if it is the configured one: that
            is read when the mail is sent, so that a repair takes effect

            Args:
                sender: the header text, or None
        """

        return None if sender in self.own_senders else sender

    # -------------------------------------------------------------------------
    # Queueing
    #
    def _arguments(self, *args):

        arguments = super()._arguments(*args)
        arguments["sender"] = self.sender_of(arguments.get("sender"))
        return arguments

    # -------------------------------------------------------------------------
    def send(self, *args, **kwargs):
        """ As MailS3.send(); sends if Eden is just processing its outbox """

        if self.is_direct:
            return self.send_direct_email(*args, **kwargs)
        return super().send(*args, **kwargs)

    # -------------------------------------------------------------------------
    def start_message(self, eden_message_id, channel):
        """
            Have a worker send what Eden has queued; or, without one, try it
            now

            Args:
                eden_message_id: as in msg_outbox
                channel: its contact_method
        """

        if eden_message_id and channel in self.channels:
            pickup = Intake(self, self._outbox(channel))
            self._start(lambda: pickup.message(eden_message_id, utcnow()), channel)

    # -------------------------------------------------------------------------
    # Sending
    #
    def attempt(self, send):
        """
            Have Eden send something now

            Args:
                send: function that does it, and tells whether it did

            Returns:
                None if it was sent, else a DeliveryError

            Raises:
                ChannelFailure: nobody was asked about this message, the relay or the
                         configuration is to blame
        """

        self.error = None
        self.is_direct = True
        try:
            if send():
                return None
            error = self.error
        except DeliveryError as failure:
            error = failure
        except Exception as failure:
            error = type(failure).__name__
        finally:
            self.is_direct = False

        if isinstance(error, ChannelFailure) and error.phase not in MESSAGE_PHASES:
            raise error
        if isinstance(error, DeliveryError):
            return error
        return TransientFailure("Eden could not send it (%s)" % (error or "see its log"))

    # -------------------------------------------------------------------------
    def process_task(self, contact_method=EMAIL, user_id=None):
        """
            Eden's own task: the drain of a channel

            Args:
                contact_method: the channel
                user_id: who has asked for it; is of no importance
        """

        return self._drain(contact_method) or None

    # -------------------------------------------------------------------------
    def process_outbox(self, contact_method=EMAIL):
        """
            Try all that is unsent, now; what S3Msg.process_outbox() is for.
            A visitor of msg/process_email_outbox gets no more than the two
            runs would do by themselves.

            Args:
                contact_method: the channel
        """

        if current.request.env.request_method:
            self._drain(contact_method)
            self._retry(contact_method)
            return

        transport = None
        if contact_method == EMAIL:
            transport = EdenTransport(self, self.options.reply_timeout)
        run = self._run(contact_method, everything=True, transport=transport, insist=True)
        run.outbox.hasten()
        self.db.commit()
        run.drain()

    # -------------------------------------------------------------------------
    def _is_idle(self, channel):
        """ Whether neither we nor Eden have anything new to send """

        if not current.deployment_settings.has_module("msg"):
            return super()._is_idle(channel)
        return Intake(self, self._outbox(channel)).is_idle(utcnow())

    # -------------------------------------------------------------------------
    def _pick_up(self, channel=EMAIL, everything=False):
        """ Take what Eden has queued since; commits """

        if not current.deployment_settings.has_module("msg"):
            # Nothing in it but ours
            super()._pick_up(channel, everything)
        else:
            Intake(self, self._outbox(channel)).run(utcnow(), everything)

    # -------------------------------------------------------------------------
    def _outbox(self, channel=EMAIL):
        """ The Outbox; Eden defines its tables when they are asked for """

        if "msg_outbox" not in self.db.tables:
            current.s3db.table("msg_outbox")
        return super()._outbox(channel)

    # -------------------------------------------------------------------------
    def _transport(self, channel=EMAIL):
        """ Who hands messages over """

        if channel == EMAIL:
            return super()._transport(channel)
        return ChannelTransport(self, channel)

    # -------------------------------------------------------------------------
    def _courier(self, channel, **options):
        """ A Worker, which heeds Eden's daily limit """

        if channel == EMAIL:
            options["quota"] = self.quota()
        return super()._courier(channel, **options)

    # -------------------------------------------------------------------------
    def quota(self):
        """ How many mails may be sent: the DailyLimit, None = any number """

        return DailyLimit(self.db, self.daily_limit) if self.daily_limit else None

    # -------------------------------------------------------------------------
    def report(self):
        """ The Report of all mail """

        return EdenReport(self._outbox())

    # -------------------------------------------------------------------------
    def retire(self):
        """ As MailS3.retire(); unsent mail becomes Eden's own """

        super().retire()
        handed, withheld = HandBack(self, self._outbox()).run()
        told = []
        if handed:
            told.append("%s unsent mails were handed to Eden, which sends them "
                        "as text." % handed)
        if withheld:
            told.append("%s unsent mails with a link or password in them stay in "
                        "the tables of MailS3: in those of Eden, all who may see "
                        "the outbox could read them." % withheld)
        return told

    # -------------------------------------------------------------------------
    def is_admin(self):
        """ Whether the user may see the queue, and steer it """

        return current.auth.s3_has_role("ADMIN")

# END =========================================================================
