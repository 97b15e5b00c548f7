# -*- coding: utf-8 -*-

"""
    A plain web2py app as the host: its mail, its settings, its scheduler

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import copy
import logging
import os

from contextlib import contextmanager

from gluon import A, CAT, URL, current
from gluon.scheduler import Scheduler
from gluon.tools import Mail

from .alarm import Alarm
from .delivery import utcnow
from .mail import MailS3, brief
from .relay import Relay
from .scheduler import Tasks
from .schema import TABLES, connection_of_our_own, create, create_indexes, define
from .settings import read_file
from .status import Status

__all__ = ("adopt", "establish", "scheduler_of", "show_notice")

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
                  auth = auth,
                  )
    mail.note_configuration()
    own = scheduler_of(db)
    # The first requests may come at the same time, for which pydal's migration
    # is not safe: look_after() makes the tables
    mail.tasks = Tasks(own or Scheduler(db, migrate=False), mail)
    functions = {Tasks.DRAIN: mail.drain,
                 Tasks.RETRY: mail.retry,
                 Tasks.PURGE: mail.purge,
                 }
    mail.tasks.register(functions)
    # A scheduler without a dict of tasks looks for them there
    environment.update(functions)
    mail.tasks.keep_pace()
    establish(mail, own)

    current.mail = mail
    if auth:
        auth.settings.mailer = mail.for_secrets()
        group = mail.options.admin_group
        show_notice(mail, "flash", lambda: group in (auth.user_groups or {}).values())
    return mail

# -----------------------------------------------------------------------------
def establish(mail, own_scheduler, names=TABLES):
    """
        Have our tables and tasks looked after, now and then

        Args:
            mail: the MailS3, with its tasks
            own_scheduler: the Scheduler of the app, if it has one
            names: of the tables that are ours
    """

    mail.look_after = lambda: look_after(mail, own_scheduler, names)
    care = current.cache.ram
    if not care("mails3-care", mail.look_after, CARE):
        # Again before long, but not with each request
        care("mails3-care", mail.look_after, CARE / 10)

# -----------------------------------------------------------------------------
def scheduler_of(db):
    """ The app's own Scheduler, if it has one """

    scheduler = getattr(current, "_scheduler", None)
    # In a shell, it may still be that of another app
    if scheduler and scheduler.db._adapter.folder == db._adapter.folder:
        return scheduler
    return None

# -----------------------------------------------------------------------------
def look_after(mail, own_scheduler, names):
    """
        Bring our tables and tasks into being, repair what has become stuck

        Args:
            as for establish()

        Returns:
            True if all is well; else the log says why, and mail is sent
            directly until it is
    """

    tasks = mail.tasks
    try:
        with connection_of_our_own(mail.db) as db:
            define(db, names)
            create(db, names)
            create_indexes(db, mail.indexes)
            for channel in mail.channels:
                Relay(db, mail.lane_of(channel)).establish()
        with connection_of_our_own(tasks.scheduler.db) as db:
            tasks.scheduler.define_tables(db, migrate=False)
            create(db, SCHEDULER_TABLES)
            tasks.establish(db)
        if own_scheduler is None and mail.db._migrate_enabled:
            tell_pydal(tasks.scheduler)
        with apart(mail) as watched:
            Alarm(watched).watch()
    except Exception as error:
        log.error("The tables or tasks of MailS3 can't be made (%s).", brief(error))
        return False
    return True

# -----------------------------------------------------------------------------
@contextmanager
def apart(mail):
    """
        The same MailS3 apart from the transaction of the request: on a
        connection of its own, which is committed

        Args:
            mail: the MailS3
    """

    with connection_of_our_own(mail.db) as db:
        # Of the host's msg_outbox no more than our columns is needed there
        define(db)
        other = copy.copy(mail)
        other.db = db
        yield other

# -----------------------------------------------------------------------------
def notice(mail):
    """
        What an admin should know, wherever on the site they are; never raises

        Args:
            mail: the MailS3

        Returns:
            the text, empty if all is well
    """

    try:
        with apart(mail) as watched:
            problems = Status(watched, utcnow()).problems
    except Exception as error:
        log.error("The state of the mail can't be read (%s).", brief(error))
        return ""
    return problems[0].title if problems else ""

# -----------------------------------------------------------------------------
def show_notice(mail, place, is_admin):
    """
        Tell an admin who is logged in that mail is not going out; costs the
        other visitors no query, and an admin one look a minute

        Args:
            mail: the MailS3
            place: where the host's layout shows it, in the response
            is_admin: function that tells whether the visitor is one, at no
                      cost of a query
    """

    request, response = current.request, current.response
    if request.controller == "mails3" or request.extension != "html" or \
       request.ajax or response[place] or not is_admin():
        return
    text = current.cache.ram("mails3-notice", lambda: notice(mail), 60)
    if text:
        response[place] = CAT("%s. " % text, A(current.T("Outbound mail"),
                                               _href=URL("mails3", "index")))

# -----------------------------------------------------------------------------
def tell_pydal(scheduler):
    """
        Have pydal note down that the scheduler's tables are there: it would
        try to make them once the app gets a Scheduler of its own

        Args:
            scheduler: the Scheduler
    """

    with connection_of_our_own(scheduler.db) as db:
        db._migrate_enabled = db._fake_migrate_all = True
        scheduler.define_tables(db, migrate=scheduler.db._migrate)

# END =========================================================================
