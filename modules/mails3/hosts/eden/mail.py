# -*- coding: utf-8 -*-

"""
    EdenMail: the MailS3 of an Eden

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from gluon import current

from ...clock import utcnow
from ...mail import MailS3
from ...queue.transitions import OperatorTransitions
from ...states import EMAIL
from .channel import EdenChannel
from .handback import HandBack
from .report import EdenReport
from .settings import configure
from .transports import EdenTransport

__all__ = ("EdenMail",)

# The other channels of Eden (S3Msg.process_outbox)
CHANNELS = ("SMS", "TWITTER")

# Indexes on Eden's tables: Eden looks up these columns for each message and
# each wake, and has no index on them
INDEXES = (("msg_outbox", "mails3_outbox_message", ("message_id",)),
           ("msg_email", "mails3_email_message", ("message_id",)),
           ("pr_contact", "mails3_contact_entity", ("pe_id",)),
           )

# =============================================================================
class EdenMail(MailS3):
    """ The mailer of an Eden """

    channel_names = (EMAIL,) + CHANNELS
    indexes = INDEXES

    def __init__(self, *args, **kwargs):

        super().__init__(*args, **kwargs)
        self.own_senders = ()     # the configured sender, in the forms that Eden hands over
        self.mails_per_day = None # None = no limit
        self.is_direct = False    # send() sends, for a method of Eden that we call to send
        self.eden_mail = None     # Eden's own Mail

    # -------------------------------------------------------------------------
    # Settings
    #
    def configure(self, settings):
        """
            Read Eden's settings

            Args:
                settings: the deployment settings
        """

        self.own_senders = configure(self.settings, settings)
        self.mails_per_day = settings.get_mail_limit()

    # -------------------------------------------------------------------------
    def sender_of(self, sender):
        """
            As MailS3.sender_of(): Eden hands over the configured sender with
            each message
        """

        return None if sender in self.own_senders else sender

    # -------------------------------------------------------------------------
    def channel(self, name=EMAIL):
        """ As MailS3.channel() """

        return EdenChannel(self, name)

    # -------------------------------------------------------------------------
    def is_admin(self):
        """ Whether the visitor may see the queue and steer it """

        return current.auth.s3_has_role("ADMIN")

    # -------------------------------------------------------------------------
    # Queueing
    #
    def send(self, *args, **kwargs):
        """ As MailS3.send(); sends directly if is_direct is set """

        if self.is_direct:
            return self.send_direct_email(*args, **kwargs)
        return super().send(*args, **kwargs)

    # -------------------------------------------------------------------------
    @property
    def is_counted(self):
        """ As MailS3.is_counted: a worker that sends by a method of Eden has counted """

        return self.is_direct

    # -------------------------------------------------------------------------
    def start_message(self, eden_message_id, channel):
        """
            Make a worker send a message that Eden has queued in this
            transaction; without a worker, the web server's process sends it
            after the request, and a script tries it at once

            Args:
                eden_message_id: the message_id in msg_outbox
                channel: its contact_method (str)
        """

        if eden_message_id and channel in self.channel_names and \
           not self.wakeup.wake(channel):
            to_try = self.channel(channel)
            to_try.try_now(lambda: to_try.intake.message(eden_message_id, utcnow()))

    # -------------------------------------------------------------------------
    # Sending
    #
    def process_task(self, contact_method=EMAIL, user_id=None):
        """
            Eden's own task msg_process_outbox: the drain of a channel

            Args:
                contact_method: the channel (str)
                user_id: the user who has queued this task; has no effect

            Returns:
                how many deliveries were handed over or settled, None for 0
        """

        return self.channel(contact_method).drain() or None

    # -------------------------------------------------------------------------
    def process_outbox(self, contact_method=EMAIL):
        """
            Try all unsent deliveries of a channel now, as S3Msg.process_outbox()
            does
            - a visitor of msg/process_email_outbox starts only the drain and
              the retry pass, within their limits

            Args:
                contact_method: the channel (str)
        """

        channel = self.channel(contact_method)
        if current.request.env.request_method:
            channel.drain()
            channel.retry()
            return

        options = {}
        if contact_method == EMAIL:
            options["transport"] = lambda relay: EdenTransport(self, self.options.reply_timeout,
                                                               relay.settings)
        OperatorTransitions(channel.tables).retry_all(contact_method, channel.shared_clock()())
        self.db.commit()
        for worker in channel.workers(everything=True, insist=True, **options):
            worker.drain()

    # -------------------------------------------------------------------------
    # Administration
    #
    def report(self):
        """ As MailS3.report() """

        return EdenReport(self.channel().tables, EMAIL)

    # -------------------------------------------------------------------------
    def retire(self):
        """ As MailS3.retire(); unsent mail becomes Eden's own if Eden can send it """

        super().retire()
        return HandBack(self).run()

# END =========================================================================
