# -*- coding: utf-8 -*-

"""
    A plain web2py app as the host: its mail, its settings, its scheduler

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging
import os

from gluon import current
from gluon.scheduler import Scheduler
from gluon.tools import Mail
from pydal.contrib.portalocker import LockedFile

from .mail import MailS3, brief
from .relay import Relay
from .scheduler import Tasks
from .schema import TABLES, connection_of_our_own, create, define
from .settings import read_file

__all__ = ("adopt",)

log = logging.getLogger("web2py.mails3")

SCHEDULER_TABLES = ("scheduler_task", "scheduler_run", "scheduler_worker",
                    "scheduler_task_deps")

# How often a process looks after our tables and tasks (seconds)
CARE = 300

# -----------------------------------------------------------------------------
def adopt(environment):
    """
        Take the place of the app's mail; to be called from a model that sorts
        after those which make db, auth, mail and the scheduler

        Args:
            environment: the globals of the model
                         - db: the DAL
                         - auth: web2py's Auth, if the app has one
                         - mail: the app's Mail, if it is not that of auth

        Returns:
            the MailS3, which is the mailer of auth and current.mail now
    """

    request = current.request
    db = environment["db"]
    auth = environment.get("auth")

    mailers = (environment.get("mail"), auth and auth.settings.mailer)
    settings = next((mailer.settings for mailer in mailers
                     if isinstance(mailer, Mail)), None)

    define(db)
    path = os.path.join(request.folder, "private", "mails3.ini")
    mail = MailS3(db, settings,
                  given = lambda: read_file(path, log.error),
                  site = request.application,
                  )
    mail.tasks = Tasks(own_scheduler(db), mail)
    mail.tasks.register({Tasks.DRAIN: mail.drain, Tasks.RETRY: mail.retry})
    mail.tasks.keep_pace()

    care = current.cache.ram
    if not care("mails3-care", lambda: look_after(mail), CARE):
        # Again before long, but not with each request
        care("mails3-care", lambda: look_after(mail), CARE / 10)

    current.mail = mail
    if auth:
        auth.settings.mailer = mail
    return mail

# -----------------------------------------------------------------------------
def own_scheduler(db):
    """ The app's Scheduler; or one of ours, if the app has none """

    scheduler = getattr(current, "_scheduler", None)
    # In a shell, it may still be that of another app
    if scheduler is None or \
       scheduler.db._adapter.folder != db._adapter.folder:
        # The first requests may come at the same time: one makes the tables,
        # the others wait for it, for pydal's migration is not safe there
        lock = LockedFile(os.path.join(db._adapter.folder, "mails3.lock"), "wb")
        try:
            scheduler = Scheduler(db, migrate=db._migrate)
        finally:
            lock.close()
    return scheduler

# -----------------------------------------------------------------------------
def look_after(mail):
    """
        Bring our tables and tasks into being, repair what has become stuck

        Args:
            mail: the MailS3

        Returns:
            True if all is well; else the log says why, and mail is sent
            directly until it is
    """

    tasks = mail.tasks
    try:
        with connection_of_our_own(mail.db) as db:
            define(db)
            create(db, TABLES)
            Relay(db, mail.site).establish()
        with connection_of_our_own(tasks.scheduler.db) as db:
            tasks.scheduler.define_tables(db, migrate=False)
            if not mail.db._migrate_enabled:
                create(db, SCHEDULER_TABLES)
            tasks.establish(db)
    except Exception as error:
        log.error("The tables or tasks of MailS3 can't be made (%s).", brief(error))
        return False
    return True

# END =========================================================================
