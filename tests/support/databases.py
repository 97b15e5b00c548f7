"""
    Databases for the tests, on the servers that run
"""

import os
import uuid

from .web2py import FOLDER

from gluon.dal import DAL

SERVERS = {"postgres": os.environ.get("POSTGRES_URI",
                                      "postgres:psycopg2://postgres:@127.0.0.1:5432/postgres"),
           "mysql": os.environ.get("MYSQL_URI",
                                   "mysql:pymysql://root:@127.0.0.1:3306/mysql"),
           }

# How long a connection of the tests waits for another one's lock
LOCK_WAIT_S = 3

# -----------------------------------------------------------------------------
def make_database(server, command="CREATE DATABASE %s"):
    """ Make a database, return its URI """

    name = "mails3_%s" % uuid.uuid4().hex[:12]
    on_server(server, command % name)
    return "%s/%s" % (server.rpartition("/")[0], name)

# -----------------------------------------------------------------------------
def on_server(server, command):
    """ Run a command outside of any transaction """

    db = DAL(server, folder=FOLDER, attempts=1)
    try:
        db.commit()
        if db._adapter.dbengine == "postgres":
            db._adapter.connection.autocommit = True
        db.executesql(command)
    finally:
        db.close()

# -----------------------------------------------------------------------------
def make_impatient(adapter):
    """
        Have a connection give up soon where it waits for another one's lock:
        by default MySQL waits for 50 s, PostgreSQL and a test without end
    """

    if adapter.dbengine == "mysql":
        adapter.execute("SET SESSION innodb_lock_wait_timeout = %d" % LOCK_WAIT_S)
        adapter.execute("SET SESSION lock_wait_timeout = %d" % LOCK_WAIT_S)
    elif adapter.dbengine == "postgres":
        adapter.execute("SET lock_timeout = '%ds'" % LOCK_WAIT_S)

# END =========================================================================
