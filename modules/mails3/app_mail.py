# -*- coding: utf-8 -*-

"""
    What a Mail of MailS3 knows of its app: settings, channels, admins

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import copy

from threading import current_thread

from .admin.alerts import Alerts
from .delivery.channel import Channel
from .delivery.wakeup import Wakeup
from .queue.report import Report
from .settings import read_settings
from .settings_file import complain_once
from .states import EMAIL

__all__ = ("AppMail",)

# =============================================================================
class AppMail:
    """
        The part of MailS3 that does not send. What a host may change, by a
        subclass of MailS3: channel_names, indexes, channel(), report(),
        sender_of(), is_admin(), is_counted,
        retire().
    """

    # The channels of the host, that of mail first
    channel_names = (EMAIL,)
    # Indexes on tables of the host, for what is looked up there for each mail
    indexes = ()
    # Whether the limits count what is sent directly now without being told
    is_counted = False
    # The Outbox of a test in this process, for all requests in it; None = no test
    outbox = None

    def __init__(self, db, given=None, tasks=None, site="site", auth=None):
        """
            Args:
                db: the DAL of the app, with the tables of schema.py
                given: function that returns the MailS3 settings as the site
                       has given them (dict); called when first needed
                tasks: the Tasks in the scheduler, or None
                site: the name of the app
                auth: the Auth of the app, which knows its admins, or None
        """

        self.db = db
        self.tasks = tasks
        self.site = site
        self.auth = auth
        self.thread = current_thread() # web2py commits the transactions of this thread
        self.settings_file = None # path of the MailS3 settings, for error messages
        self.secret = False       # whether its mail is secret, if send() is not told
        self.is_automatic = False # whether its mail is written by no person
        self.wakeup = Wakeup(self, lambda: Alerts(self).is_active("worker"))
        self.web_request = None   # the WebRequest, if a visitor waits for an answer
        self.outcome_functions = [] # of the app, see Handle.on_outcome()
        self._configuration = None # the settings as the models have made them
        self._given = given
        self._options = None

    # -------------------------------------------------------------------------
    # Settings
    #
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
            them from now on goes with its own messages only
        """

        self._configuration = dict(self.settings)

    # -------------------------------------------------------------------------
    def configured(self, name):
        """ One of the settings as the models have made it """

        settings = self.settings if self._configuration is None else self._configuration
        return settings.get(name)

    # -------------------------------------------------------------------------
    # What a host may change
    #
    def channel(self, name=EMAIL):
        """ The Channel with a name """

        return Channel(self, name)

    # -------------------------------------------------------------------------
    def report(self):
        """ The Report of all mail """

        return Report(self.channel().tables, EMAIL)

    # -------------------------------------------------------------------------
    def sender_of(self, sender):
        """
            The sender that a call hands over; a host whose callers hand over
            the configured sender returns None for it: the configured one is
            read when the mail is sent, so that a repair takes effect on mail
            that is already queued

            Args:
                sender: the argument of send(), or None

            Returns:
                the sender; None for the configured one
        """

        return sender

    # -------------------------------------------------------------------------
    # For admins
    #
    @property
    def channels(self):
        """ All Channels, that of mail first """

        return [self.channel(name) for name in self.channel_names]

    # -------------------------------------------------------------------------
    def is_admin(self):
        """
            Whether the visitor may see the queue and steer it; in an app
            without users, nobody may
        """

        return bool(self.auth and self.auth.user and
                    self.auth.has_membership(role=self.options.admin_group))

    # -------------------------------------------------------------------------
    def for_auth(self, secret=True):
        """
            A MailS3 like this one, for the mail of Auth: codes and links, which
            answer what a visitor has done; and notices to the admins

            Args:
                secret: the default for that argument of send()
        """

        mail = copy.copy(self)
        mail.secret, mail.is_automatic = secret, True
        return mail

    # -------------------------------------------------------------------------
    def as_configured(self):
        """
            A MailS3 like this one, without what the request has changed in
            mail.settings: it sends what others have queued as well
        """

        mail = copy.copy(self)
        if self._configuration is not None:
            mail.settings = type(self.settings)(self._configuration)
        return mail

    # -------------------------------------------------------------------------
    def retire(self):
        """
            Leave the app: remove our tasks from the scheduler, give up all
            claims; to be committed

            Returns:
                list of sentences about unsent mail (str)
        """

        if self.tasks:
            self.tasks.remove_rows()
        self.channel().claims.release_all()
        counts = self.report().counts()
        unsent = counts["new"] + counts["scheduled"] + counts["deferred"]
        mails = "1 mail is" if unsent == 1 else "%s mails are" % unsent
        return ["%s unsent. Unsent mail stays in msg_outbox (status 1), and is sent when "
                "MailS3 is installed again." % mails] if unsent else []

# END =========================================================================
