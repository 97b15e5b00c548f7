# -*- coding: utf-8 -*-

"""
    How a worker that waits learns of new mail

    PostgreSQL    tells it (LISTEN, NOTIFY)
    SQLite        has a number that changes with each commit of others
    MariaDB       is asked ten times a second, by one indexed query; PostgreSQL
                  as well where it is silent: PgBouncer in transaction mode
                  drops LISTEN

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging
import select
import time

from ..states import brief
from .database import data_version, listen, notify

__all__ = ("Listener",)

log = logging.getLogger("web2py.mails3")

# How often the database is asked where it does not tell by itself (seconds)
POLL_S = 0.1

# How long the database may take to tell a worker what this worker has said itself
# (seconds)
HEARING_TIMEOUT_S = 1

# =============================================================================
class Listener:
    """ Listens on the connection of this thread, or on one of its own """

    def __init__(self, db, look, clock=time.monotonic, sleep=time.sleep):
        """
            Args:
                db: the DAL
                look: function that asks the database whether there is new mail;
                      called ten times a second where the database does not tell
                clock: tells the time (seconds)
                sleep: waits (seconds)
        """

        self.db = db
        self.look = look
        self.clock = clock
        self.sleep = sleep
        self.connection = None # hears what PostgreSQL tells
        self.version = None    # that of SQLite when wait() last returned

    # -------------------------------------------------------------------------
    def open(self):
        """ Begin to listen; what is new since then is not missed; commits """

        self.close()
        self.version = data_version(self.db)
        try:
            self.connection = listen(self.db)
        except Exception as error:
            # A proxy or a relative of PostgreSQL may refuse it: then it is asked. A
            # database that is away is noticed by the next query.
            log.info("The database does not take LISTEN (%s).", brief(error))
        if self.connection and not self._can_hear():
            log.info("The database does not pass on NOTIFY, so that it is asked each %s s.",
                     POLL_S)
            self.close()

    # -------------------------------------------------------------------------
    def _can_hear(self):
        """ Whether a notification of our own arrives; commits """

        notify(self.db)
        self.db.commit()
        return self._hear(HEARING_TIMEOUT_S)

    # -------------------------------------------------------------------------
    def wait(self, timeout_s):
        """
            Wait for new mail

            Args:
                timeout_s: how long at most (seconds)

            Returns:
                whether there may be new mail

            Raises:
                Exception: the database is away
        """

        end = self.clock() + timeout_s
        if self.connection:
            return self._hear(timeout_s)
        while self.clock() < end:
            self.sleep(min(POLL_S, max(end - self.clock(), 0)))
            if self._has_changed():
                return True
        return False

    # -------------------------------------------------------------------------
    def _hear(self, timeout_s):
        """ Wait for a notification; returns whether there was one; raises as wait() """

        connection, end = self.connection, self.clock() + timeout_s
        while not connection.notifies:
            rest_s = max(end - self.clock(), 0)
            if not select.select([connection], [], [], rest_s)[0]:
                return False
            # That was a notification, another message, or the end of the connection:
            # the next call raises then
            connection.poll()
        del connection.notifies[:]
        return True

    # -------------------------------------------------------------------------
    def _has_changed(self):
        """ Ask the database whether there may be new mail """

        version, self.version = self.version, data_version(self.db)
        if self.version is None:
            return self.look()
        return self.version != version

    # -------------------------------------------------------------------------
    def close(self):
        """ Do not listen any more; never raises """

        connection, self.connection = self.connection, None
        if connection:
            try:
                connection.close()
            except Exception as error:
                log.debug("The connection is closed already (%s).", brief(error))

# END =========================================================================
