# -*- coding: utf-8 -*-

"""
    A plain web2py app as the host

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import os

from gluon import current
from gluon.scheduler import Scheduler
from gluon.tools import Mail

from ..mail import MailS3
from ..queue.schema import define
from ..settings_file import complain_once, read_file
from .notice import show_notice
from .scheduler import Tasks, app_scheduler_of
from .self_repair import schedule_self_repair
from .web_request import web_request_of

__all__ = ("install_mailer",)

# -----------------------------------------------------------------------------
def install_mailer(environment):
    """
        Make MailS3 the mailer of the app; call this function from a model that
        sorts after the models which define db, auth, mail and the scheduler
        - the steps that may fail come first, the app is changed after them: if
          this function raises, the app still has its own mailer

        Args:
            environment: the globals of the model (dict)
                         - db: the DAL
                         - auth: web2py's Auth, if the app has one
                         - mail: the app's Mail, if auth has another mailer

        Returns:
            the MailS3, which is now current.mail and the mailer of auth

        Raises:
            Exception: MailS3 can't work in this app
    """

    db = environment["db"]
    auth = environment.get("auth")

    define(db)
    mail = mail_of(db, auth, environment.get("mail"))
    app_scheduler = app_scheduler_of(db)
    # pydal's migration is not safe for parallel requests: self_repair() creates
    # the scheduler's tables
    mail.tasks = Tasks(app_scheduler or Scheduler(db, migrate=False), mail)
    schedule_self_repair(mail, app_scheduler)
    admin_group = mail.options.admin_group

    functions = {Tasks.DRAIN: mail.tasks.drain_task.run,
                 Tasks.RETRY: mail.retry,
                 Tasks.PURGE: mail.purge,
                 }
    mail.tasks.register(functions)
    # A scheduler without a dict of tasks reads the functions from the model
    environment.update(functions)
    mail.tasks.take_wakes()
    current.mail = mail
    if auth:
        auth.settings.mailer = mail.for_auth()
        show_notice(mail, "flash",
                    lambda: admin_group in (auth.user_groups or {}).values(),
                    as_text=True)
    return mail

# -----------------------------------------------------------------------------
def mail_of(db, auth, app_mail):
    """
        Create the MailS3 of this request, with the settings of the app's mailer

        Args:
            db: the DAL
            auth: web2py's Auth, or None
            app_mail: the app's Mail, or None

        Returns:
            the MailS3
    """

    request = current.request
    mailers = (app_mail, auth and auth.settings.mailer)
    settings = next((mailer.settings for mailer in mailers
                     if isinstance(mailer, Mail)), None)

    path = os.path.join(request.folder, "private", "mails3.ini")
    mail = MailS3(db, settings,
                  given = lambda: read_file(path, complain_once),
                  site = request.application,
                  auth = auth,
                  )
    mail.settings_file = path
    mail.note_configuration()
    mail.web_request = web_request_of(mail)
    return mail

# END =========================================================================
