# -*- coding: utf-8 -*-

"""
    Eden as the host: MailS3 becomes its mailer, without a change to a file of
    Eden

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from gluon import current
from gluon.storage import Storage

from ...queue.schema import COMPANIONS, define
from ..notice import show_notice
from ..scheduler import Tasks, app_scheduler_of
from ..self_repair import schedule_self_repair
from ..web_request import web_request_of
from .access import ask_admins_to_approve, restrict_tables
from .mail import EdenMail
from .outbox_page import add_mail_column
from .settings import given_settings, settings_path
from .stand_ins import StandIns, automatic

__all__ = ("install_mailer",)

# -----------------------------------------------------------------------------
def install_mailer(environment):
    """
        Make MailS3 the mailer of Eden; call this function from a model that
        sorts after 00_settings.py and tasks.py
        - the steps that may fail come first, Eden is changed after them: if
          this function raises, Eden still has its own mailer

        Args:
            environment: the globals of the model (dict)

        Returns:
            the EdenMail, which is now current.mail and the mailer of auth

        Raises:
            Exception: MailS3 can't work in this Eden
    """

    db, auth = environment["db"], environment["auth"]
    settings = current.deployment_settings

    if not settings.has_module("msg"):
        define_outbox(settings.modules)
    define(db, COMPANIONS)
    mail = mail_of(db, auth, environment["mail"], settings)
    app_scheduler = app_scheduler_of(db)
    mail.tasks = Tasks(app_scheduler, mail)
    schedule_self_repair(mail, app_scheduler, COMPANIONS)

    mail.tasks.register({Tasks.DRAIN: mail.tasks.drain_task.run,
                         Tasks.RETRY: mail.retry,
                         Tasks.PURGE: mail.purge,
                         Tasks.CHANNELS: mail.send_channels,
                         "msg_process_outbox": mail.process_task,
                         })
    mail.tasks.take_wakes()
    StandIns(mail).install(current.msg, current.s3task, settings)
    auth.s3_send_welcome_email = automatic(mail, auth.s3_send_welcome_email)
    restrict_tables(auth)
    ask_admins_to_approve(auth)
    # Eden lets everybody into a module that it does not know
    settings.modules["mails3"] = Storage(name_nice = "MailS3",
                                         restricted = True,
                                         access = "|1|", # ADMIN
                                         module_type = None,
                                         )

    current.mail = mail
    auth.settings.mailer = mail.for_auth()
    show_notice(mail, "warning", mail.is_admin)
    add_mail_column(mail)
    return mail

# -----------------------------------------------------------------------------
def define_outbox(modules):
    """
        Make Eden define msg_outbox, although the template has no module "msg"

        Args:
            modules: settings.modules
    """

    modules["msg"] = Storage(module_type=None)
    try:
        current.s3db.table("msg_outbox")
    finally:
        del modules["msg"]

# -----------------------------------------------------------------------------
def mail_of(db, auth, eden_mail, settings):
    """
        Create the EdenMail of this request, with Eden's settings

        Args:
            db: the DAL
            auth: the AuthS3
            eden_mail: Eden's Mail
            settings: the deployment settings

        Returns:
            the EdenMail
    """

    request = current.request
    # The function must not use current: a thread of the app has none
    mail = EdenMail(db, eden_mail.settings,
                    given = lambda: given_settings(request.folder, settings),
                    site = request.application,
                    auth = auth,
                    )
    mail.eden_mail = eden_mail
    mail.settings_file = settings_path(request.folder)
    mail.configure(settings)
    mail.note_configuration()
    mail.web_request = web_request_of(mail)
    return mail

# END =========================================================================
