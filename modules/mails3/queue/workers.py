# -*- coding: utf-8 -*-

"""
    The workers of a site, and their signs of life

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import os
import socket

from datetime import timedelta
from uuid import uuid4

from .database import execute, seconds_ago

__all__ = ("ALIVE_S", "COMMAND", "OTHER_CHANNELS", "OWN", "SCHEDULER", "WEB", "WorkerRow",
           "Workers")

# mails3_worker.kind
OWN = "worker"          # the verb "work"
SCHEDULER = "scheduler" # a task of web2py's scheduler
COMMAND = "command"     # cron, or a person on the command line
WEB = "web"             # the web server's process
OTHER_CHANNELS = "other channels" # as OWN, for the channels of a host beside mail

# A worker without a sign of life for so long is lost (seconds)
ALIVE_S = 10

# How long the row of a lost worker is kept, for an admin to see (seconds)
KEPT_S = 3600

# =============================================================================
class WorkerRow:
    """ The row of one worker in mails3_worker; commits are the caller's """

    def __init__(self, db, site, kind, is_kept=False):
        """
            Args:
                db: the DAL, with the tables defined
                site: the name of the site
                kind: OWN, SCHEDULER, COMMAND, WEB or OTHER_CHANNELS
                is_kept: the row stays at the end of a run, for the next run
        """

        self.db = db
        self.table = db.mails3_worker
        self.name = uuid4().hex
        self.site = site
        self.kind = kind
        self.is_kept = is_kept
        self.doing = None # as last written

    # -------------------------------------------------------------------------
    def note_alive(self, now, doing):
        """
            Give a sign of life

            Args:
                now: the time
                doing: what the worker does, for an admin (str)
        """

        table, self.doing = self.table, doing
        if not self.db(table.name == self.name).update(alive_on=now, doing=doing):
            # MySQL may count no row if nothing in it is different
            if self.db(table.name == self.name).isempty():
                table.insert(name = self.name,
                             site = self.site,
                             kind = self.kind,
                             machine = socket.gethostname()[:128],
                             process_id = os.getpid(),
                             since = now,
                             alive_on = now,
                             doing = doing,
                             )

    # -------------------------------------------------------------------------
    def remove(self):
        """ The worker ends """

        self.db(self.table.name == self.name).delete()

# =============================================================================
class Workers:
    """ All workers of a site that send at this moment, or wait for mail """

    def __init__(self, db, site):
        """
            Args:
                db: the DAL, with the tables defined
                site: the name of the site
        """

        self.db = db
        self.table = db.mails3_worker
        self.site = site

    # -------------------------------------------------------------------------
    def count_own(self):
        """
            How many workers of our own (the verb "work") are alive, by the clock
            of the database: this machine's may be another one
        """

        return execute(self.db, "SELECT COUNT(*) FROM %s WHERE site = ? AND kind = ? "
                                "AND alive_on > %s" %
                                (self.table._rname, seconds_ago(self.db, ALIVE_S)),
                       self.site, OWN).fetchone()[0]

    # -------------------------------------------------------------------------
    def place_of(self, name):
        """
            The place of a worker among all workers of mail that are alive

            Args:
                name: of the worker; "" = of none

            Returns:
                tuple (how many have a smaller name, how many there are, at least 1)
        """

        alive = execute(self.db, "SELECT name FROM %s WHERE site = ? AND kind <> ? "
                                 "AND alive_on > %s" %
                        (self.table._rname, seconds_ago(self.db, ALIVE_S)),
                        self.site, OTHER_CHANNELS).fetchall()
        names = {each for each, in alive} | ({name} if name else set())
        return sum(each < name for each in names), max(len(names), 1)

    # -------------------------------------------------------------------------
    def rows(self):
        """ The workers, the oldest first (Rows) """

        return self.db(self.table.site == self.site).select(
                    orderby = self.table.since | self.table.id)

    # -------------------------------------------------------------------------
    def remove_lost(self, now):
        """ Forget the workers that were lost long ago """

        table = self.table
        self.db((table.site == self.site) &
                (table.alive_on < now - timedelta(seconds=KEPT_S))).delete()

# END =========================================================================
