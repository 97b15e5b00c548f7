# -*- coding: utf-8 -*-

"""
    A plain web2py app as the host: its mail, its settings, its scheduler

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging
import os
import time

from gluon import A, CAT, URL, current
from gluon.scheduler import Scheduler
from gluon.tools import Mail

from ..admin.alerts import Alerts
from ..clock import utcnow
from ..mail import MailS3, brief
from ..delivery.breaker import Breaker
from .scheduler import Tasks
from ..queue.schema import TABLES, connection_of_our_own, create, create_indexes, define, \
                           reading
from ..settings import complain_once, read_file
from ..admin.status import Status

__all__ = ("install_mailer", "establish", "scheduler_of", "show_notice")

log = logging.getLogger("web2py.mails3")

SCHEDULER_TABLES = ("scheduler_task", "scheduler_run", "scheduler_worker",
                    "scheduler_task_deps")

# How often a process looks after our tables and tasks (seconds)
CHECK_EVERY_S = 300

# Web server and worker may start at the same time: a process that has just
# started does not know yet whether a worker is missing
STARTED = time.monotonic()

# -----------------------------------------------------------------------------
def install_mailer(environment):
    """
        Take the place of the app's mail; to be called from a model that sorts
        after those which make db, auth, mail and the scheduler
        - first all that may fail, then the app is changed: if this raises, the
          app has what it had

        Args:
            environment: the globals of the model
                         - db: the DAL
                         - auth: web2py's Auth, if the app has one
                         - mail: the app's Mail, if it is not that of auth

        Returns:
            the MailS3, which is the mailer of auth and current.mail now

        Raises:
            Exception: MailS3 can't work in this app
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
                  given = lambda: read_file(path, complain_once),
                  site = request.application,
                  auth = auth,
                  )
    mail.settings_file = path
    mail.note_configuration()
    own = scheduler_of(db)
    # The first requests may come at the same time, for which pydal's migration
    # is not safe: self_repair() makes the tables
    mail.tasks = Tasks(own or Scheduler(db, migrate=False), mail)
    functions = {Tasks.DRAIN: mail.drain,
                 Tasks.RETRY: mail.retry,
                 Tasks.PURGE: mail.purge,
                 }
    establish(mail, own)
    group = mail.options.admin_group

    mail.tasks.register(functions)
    # A scheduler without a dict of tasks looks for them there
    environment.update(functions)
    mail.tasks.poll_faster()
    current.mail = mail
    if auth:
        auth.settings.mailer = mail.for_secrets()
        show_notice(mail, "flash", lambda: group in (auth.user_groups or {}).values(),
                    as_text=True)
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

    mail.self_repair = lambda: self_repair(mail, own_scheduler, names)
    care = current.cache.ram
    if not care("mails3-care", mail.self_repair, CHECK_EVERY_S):
        # Again before long, but not with each request
        care("mails3-care", mail.self_repair, CHECK_EVERY_S / 10)

# -----------------------------------------------------------------------------
def scheduler_of(db):
    """ The app's own Scheduler, if it has one """

    scheduler = getattr(current, "_scheduler", None)
    # In a shell, it may still be that of another app
    if scheduler and scheduler.db._adapter.folder == db._adapter.folder:
        return scheduler
    return None

# -----------------------------------------------------------------------------
def self_repair(mail, own_scheduler, names):
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
            create(db, names)
            create_indexes(db, mail.indexes)
            for channel in mail.channels:
                Breaker(db, mail.channel_name(channel)).establish()
        with connection_of_our_own(tasks.scheduler.db) as db:
            create(db, SCHEDULER_TABLES)
            tasks.establish(db)
        if own_scheduler is None and mail.db._migrate_enabled:
            tell_pydal(tasks.scheduler)
        if time.monotonic() - STARTED > mail.options.worker_timeout:
            with connection_of_our_own(mail.db):
                Alerts(mail).watch()
    except Exception as error:
        log.error("The tables or tasks of MailS3 can't be made (%s).", brief(error))
        return False
    return True

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
        with reading(mail.db):
            problems = Status(mail, utcnow()).problems
    except Exception as error:
        log.error("The state of the mail can't be read (%s).", brief(error))
        return ""
    return problems[0].title if problems else ""

# -----------------------------------------------------------------------------
def show_notice(mail, place, is_admin, as_text=False):
    """
        Tell an admin who is logged in that mail is not going out, as it is at
        this moment; costs the other visitors no query

        Args:
            mail: the MailS3
            place: where the host's layout shows it, in the response
            is_admin: function that tells whether the visitor is one, at no
                      cost of a query
            as_text: the layout shows text, and markup as what it is
    """

    request, response = current.request, current.response
    if request.controller == "mails3" or request.extension != "html" or \
       request.ajax or response[place] or not is_admin():
        return
    text = notice(mail)
    if text and as_text:
        # web2py.js even shows a quotation mark or an ampersand by its code
        response[place] = "%s: %s" % (text, URL("mails3", "index"))
    elif text:
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

    app = scheduler.db
    # Of its own: in the app's, the tables are defined
    db = type(app)(app._uri,
                   folder = app._adapter.folder,
                   decode_credentials = app._decode_credentials,
                   fake_migrate_all = True,
                   attempts = 1,
                   driver_args = dict(app._driver_args or {}),
                   adapter_args = app._adapter_args,
                   after_connection = app._adapter._after_connection,
                   )
    try:
        scheduler.define_tables(db, migrate=app._migrate)
    finally:
        db.close()

# END =========================================================================
