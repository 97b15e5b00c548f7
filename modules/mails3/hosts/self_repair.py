# -*- coding: utf-8 -*-

"""
    Self-repair: each process checks from time to time that our tables, indexes
    and scheduler rows exist, and that our tasks are not stuck

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging
import os
import time

from gluon import current

from ..admin.alerts import Alerts
from ..states import brief
from ..queue.database import own_connection
from ..queue.migration import create, create_indexes
from ..queue.schema import TABLES

__all__ = ("SCHEDULER_TABLES", "schedule_self_repair", "self_repair")

log = logging.getLogger("web2py.mails3")

SCHEDULER_TABLES = ("scheduler_task", "scheduler_run", "scheduler_worker",
                    "scheduler_task_deps")

# How often a process runs the self-repair: after a success, after a failure
CHECK_EVERY_S = 300
CHECK_AGAIN_AFTER_S = 30

# When this process was started (seconds). The web server and the worker may start
# at the same time: a new process can't tell yet whether a worker is missing.
STARTED_S = time.monotonic()

# The process that has imported this file: a task runs in a copy of its worker
PROCESS_ID = os.getpid()

# -----------------------------------------------------------------------------
def schedule_self_repair(mail, app_scheduler, table_names=TABLES):
    """
        Run the self-repair in this request, if this process has not run it
        recently; the MailS3 gets it as mail.self_repair()
        - in the process of a task, DrainTask runs it, after the mail: this
          process knows only of the self-repair that its worker has run

        Args:
            mail: the MailS3, with its tasks
            app_scheduler: the app's own Scheduler, or None
            table_names: the tables that are ours (the host may own msg_outbox)
    """

    cached = current.cache.ram
    mail.self_repair = lambda: self_repair(mail, app_scheduler, table_names)

    def repair_if_due():
        if not cached("mails3-self-repair", mail.self_repair, CHECK_EVERY_S):
            # After a failure: not with each request
            cached("mails3-self-repair", mail.self_repair, CHECK_AGAIN_AFTER_S)

    if current.request.is_scheduler and os.getpid() != PROCESS_ID:
        mail.tasks.drain_task.at_end = repair_if_due
    else:
        repair_if_due()

# -----------------------------------------------------------------------------
def self_repair(mail, app_scheduler, table_names):
    """
        Create the tables, indexes and scheduler rows that are missing, repair
        the tasks that are stuck, check whether an alert is due

        Args:
            as for schedule_self_repair()

        Returns:
            True if this succeeded; False if not: the log has the reason, and
            mail is sent directly for as long as tables are missing
    """

    tasks = mail.tasks
    try:
        with own_connection(mail.db) as db:
            create(db, table_names)
            create_indexes(db, mail.indexes)
            for channel in mail.channels:
                for relay in channel.relays:
                    relay.row.ensure()
        with own_connection(tasks.scheduler.db) as db:
            create(db, SCHEDULER_TABLES)
            tasks.ensure_rows(db)
        if app_scheduler is None and mail.db._migrate_enabled:
            note_migration(tasks.scheduler)
        if time.monotonic() - STARTED_S > mail.options.worker_timeout:
            with own_connection(mail.db):
                Alerts(mail).watch()
    except Exception as error:
        log.error("The tables or tasks of MailS3 can't be created (%s).", brief(error))
        return False
    return True

# -----------------------------------------------------------------------------
def note_migration(scheduler):
    """
        Make pydal record in its .table files that the scheduler's tables exist:
        otherwise pydal creates these tables again as soon as the app gets a
        Scheduler of its own, and fails

        Args:
            scheduler: the Scheduler that MailS3 has created
    """

    app_db = scheduler.db
    # A DAL of its own: the app's DAL has these tables defined already
    db = type(app_db)(app_db._uri,
                      folder = app_db._adapter.folder,
                      decode_credentials = app_db._decode_credentials,
                      fake_migrate_all = True,
                      attempts = 1,
                      driver_args = dict(app_db._driver_args or {}),
                      adapter_args = app_db._adapter_args,
                      after_connection = app_db._adapter._after_connection,
                      )
    try:
        scheduler.define_tables(db, migrate=app_db._migrate)
    finally:
        db.close()

# END =========================================================================
