# -*- coding: utf-8 -*-

"""
    The tables: msg_outbox where the host has none, and companions of our own

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import re

from contextlib import contextmanager

from pydal._globals import THREAD_LOCAL

from ..message.address import BadInput
from ..states import EMAIL, UNSENT

__all__ = ("COMPANIONS", "TABLES", "define", "create", "create_indexes", "TransactionLost",
           "check_size", "commits_each_statement", "connection_of_our_own", "execute",
           "has_written", "is_conflict", "lock_rows_only", "reading", "recover", "savepoint",
           "skips_locked", "text")

COMPANIONS = ("mails3_message", "mails3_attachment", "mails3_delivery",
              "mails3_attempt", "mails3_channel", "mails3_incident")
TABLES = ("msg_outbox",) + COMPANIONS

# What the runs look things up by
INDEXES = (("mails3_delivery", "mails3_delivery_new",
            ("channel", "queue", "priority", "due_on", "id")),
           ("mails3_delivery", "mails3_delivery_due", ("channel", "queue", "due_on")),
           ("mails3_delivery", "mails3_delivery_lease", ("lease",)),
           ("mails3_delivery", "mails3_delivery_mail", ("message_id",)),
           ("mails3_attachment", "mails3_attachment_mail", ("message_id",)),
           ("mails3_attempt", "mails3_attempt_delivery", ("delivery_id",)),
           )

# Statements of less than that are taken by any server (bytes)
ANY_PACKET = 500000

# =============================================================================
class TransactionLost(Exception):
    """ The caller's transaction is gone, with all that was written in it """

# =============================================================================
def define(db, names=TABLES):
    """
        Define the tables for pydal, as far as db does not have them yet;
        makes nothing in the database (see create)
        - links are plain integers: Eden's tables are not referenced, so that
          nothing of ours can keep a row of Eden's from being deleted

        Args:
            db: the DAL
            names: of the tables to define
    """

    Field = db.Field # the host's, without importing web2py

    # Eden's columns, as far as a queue without persons needs them
    tables = {"msg_outbox": (
                Field("message_id", "integer"),
                Field("address", length=512),
                Field("contact_method", length=32, default=EMAIL),
                Field("status", "integer", notnull=True, default=UNSENT),
                Field("retries", "integer"),
                Field("created_on", "datetime"),
                Field("modified_on", "datetime"),
                ),
              # One send() call
              "mails3_message": (
                Field("message_id_header", length=255), # the header, for all attempts
                Field("idempotency_key", length=64, unique=True), # its digest
                Field("queued_on", "datetime"),
                Field("expires_on", "datetime"),
                Field("individual", "boolean", default=False), # each gets their own
                Field("head", "text"),           # Message.dump()
                Field("body", "text"),           # None: dropped
                Field("stored_bytes", "integer"), # attachments included
                Field("secret", "boolean", default=False), # dropped once sent
                ),
              "mails3_attachment": (
                Field("message_id", "integer"),
                Field("part_no", "integer"),
                Field("payload", "blob"),
                ),
              # What msg_outbox has no room for, one for one
              "mails3_delivery": (
                Field("outbox_id", "integer", unique=True),
                Field("message_id", "integer"),
                Field("expanded_from", "integer"), # outbox_id of a group's row
                Field("channel", length=32, default=EMAIL),
                Field("queue", "integer"),        # None: no run sends it
                Field("priority", "integer", default=5), # 0 first, 9 last
                Field("due_on", "datetime"),
                Field("attempts", "integer", default=0),
                Field("deferred_on", "datetime"), # first refused
                Field("lease", length=36),       # who sends it now
                Field("leased_until", "datetime"),
                Field("begun_on", "datetime"),   # in doubt from here, if lost
                Field("in_doubt_count", "integer", default=0), # workers lost over it
                Field("put_back_on", "datetime"), # the relay went away over it
                Field("tried_on", "datetime"),
                Field("reply", length=512),      # the relay's last words
                ),
              # One that was refused; what the relay said when it accepted is
              # the delivery's reply
              "mails3_attempt": (
                Field("delivery_id", "integer"),
                Field("tried_on", "datetime"),
                Field("phase", length=32),       # where in the dialogue
                Field("code", "integer"),        # None: it was no reply
                Field("reply", length=512),
                ),
              # One row for each site, that is app
              "mails3_channel": (
                Field("site", length=128, unique=True),
                Field("status", length=8),
                Field("reason", length=512),
                Field("cause", length=16),       # whose trouble it is
                Field("tripped_on", "datetime"),
                Field("accepted_on", "datetime"),  # last took mail after a trouble
                Field("probe_on", "datetime"),
                Field("probes", "integer", default=0),
                Field("refusals", "integer", default=0), # in a row, none accepted
                Field("login_refused", "boolean", default=False),
                Field("refused_login", length=64), # its fingerprint
                Field("fingerprints", length=512), # configurations that met the trouble
                Field("salt", length=36),
                Field("drained_on", "datetime"), # a run was last at work
                Field("retried_on", "datetime"),
                Field("manual_run_on", "datetime"), # a run was started by cron or hand
                Field("paused_on", "datetime"),  # None: it is not
                Field("paused_until", "datetime"), # the end, None: open
                Field("paused_by", length=128),
                Field("pause_reason", length=512),
                Field("purged_sent", "integer", default=0), # so that what was
                Field("purged_attempts", "integer", default=0), # counted stays so
                ),
              # What the admin is told of once, one row for each site and kind
              "mails3_incident": (
                Field("name", length=160, unique=True), # site/kind
                Field("is_active", "boolean", default=False),
                Field("since", "datetime"),      # it is so
                Field("reason", length=512),
                Field("told", "boolean", default=False), # is_active, as last told
                Field("tell_on", "datetime"),    # not before
                ),
              }

    # Fields that the app adds to all its tables are not for ours
    common_fields, db._common_fields = db._common_fields, []
    try:
        for name in names:
            if name not in db.tables:
                db.define_table(name, *tables[name], migrate=False)
    finally:
        db._common_fields = common_fields

# -----------------------------------------------------------------------------
def create(db, names):
    """
        Bring the tables into being, or up to date, on sites with
        migrate=False as well
        - asks the database itself: pydal's migration goes by files, which
          another server of the same site does not have

        Args:
            db: a connection of our own (see there), for it is committed
            names: of the tables, defined in db

        Raises:
            Exception: the database driver's, if it can't be done
    """

    for name in names:
        table = db[name]
        if answers(db, *table):
            continue
        if answers(db, table.id):
            for field in table:
                if not answers(db, field):
                    add_column(db, field)
        else:
            try:
                db.executesql(definition_of(db, table))
            except Exception:
                db.rollback()
                if not answers(db, table.id):
                    raise
                # Another process was faster
        db.commit()
    create_indexes(db, [index for index in INDEXES if index[0] in names])

# -----------------------------------------------------------------------------
def definition_of(db, table):
    """
        The statement that makes a table
        - as on the other engines, texts on MySQL are the same only if they
          are spelled the same: of two sites Shelter and shelter in one
          database, each has its breaker
    """

    statement = db._adapter.create_table(table, migrate=False)
    if db._adapter.dbengine == "mysql":
        # utf8_bin, or utf8mb3_bin, by version
        collation = db.executesql("SELECT MIN(collation_name) "
                                  "FROM information_schema.collations "
                                  "WHERE collation_name IN ('utf8_bin', 'utf8mb3_bin')")[0][0]
        statement = "%s COLLATE %s;" % (statement.rstrip("; \n"), collation)
    return statement

# -----------------------------------------------------------------------------
def create_indexes(db, indexes):
    """
        Make those indexes that are missing, on tables that are there; also
        on the host's, which it may have filled for years

        Args:
            db: a connection of our own, for it is committed
            indexes: tuples (table, name of the index, columns)

        Raises:
            Exception: the database driver's, if it can't be done
    """

    known = index_names(db)
    for owner, index, columns in indexes:
        if index not in known and is_there(db, owner):
            try:
                db.executesql("CREATE INDEX %s ON %s (%s)" %
                              (index, owner, ", ".join(columns)))
            except Exception:
                db.rollback()
                if index not in index_names(db):
                    raise
                # Another process was faster
            db.commit()

# -----------------------------------------------------------------------------
def is_there(db, name):
    """ Whether the database has a table; the host may make its own later """

    try:
        db.executesql("SELECT 1 FROM %s WHERE 1 = 0" % name)
    except Exception:
        db.rollback()
        return False
    return True

# -----------------------------------------------------------------------------
def index_names(db):
    """ The names of all indexes in the database """

    query = {"sqlite": "SELECT name FROM sqlite_master WHERE type = 'index'",
             "postgres": "SELECT indexname FROM pg_indexes "
                         "WHERE schemaname = ANY (current_schemas(false))",
             "mysql": "SELECT DISTINCT index_name FROM information_schema.statistics "
                      "WHERE table_schema = DATABASE()",
             }[db._adapter.dbengine]
    return {row[0] for row in db.executesql(query)}

# -----------------------------------------------------------------------------
def add_column(db, field):
    """ Add a column to a table; commits, for to ask for the next may roll back """

    try:
        db.executesql("ALTER TABLE %s ADD %s" % (field._table._rname,
                                                 column_of(db, field)))
    except Exception:
        db.rollback()
        if not answers(db, field):
            raise
        # Another process was faster
    db.commit()

# -----------------------------------------------------------------------------
def answers(db, *fields):
    """ Whether the database knows the table and all the fields """

    try:
        db(fields[0]._table.id < 0).select(*fields, limitby=(0, 1))
    except Exception:
        db.rollback()
        return False
    return True

# -----------------------------------------------------------------------------
def column_of(db, field):
    """ The definition of a column, for SQL """

    return "%s %s" % (field._rname,
                      db._adapter.types[field.type] % {"length": field.length})

# -----------------------------------------------------------------------------
def skips_locked(db):
    """
        Whether the database knows FOR UPDATE SKIP LOCKED
        - PostgreSQL 9.5, MySQL 8.0, MariaDB 10.6; SQLite locks no rows
    """

    engine = db._adapter.dbengine
    if engine == "postgres":
        return db._adapter.connection.server_version >= 90500
    if engine == "mysql":
        version = db.executesql("SELECT VERSION()")[0][0]
        number = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
        return number >= ((10, 6) if "MariaDB" in version else (8, 0))
    return False

# -----------------------------------------------------------------------------
@contextmanager
def connection_of_our_own(db, lock_wait_s=1):
    """
        Give this thread another connection to the same database for a while:
        what is committed on it leaves the transaction of the request alone
        - it is made by the adapter of the app's DAL, with the arguments and
          the after_connection that the app has given it, so that the tables
          are those which the app sees
        - one attempt: a new DAL would make five, and sleep after each of them
          while a visitor waits

        Args:
            db: the app's DAL; what is done with it inside the block is done on
                the other connection, and committed at the end of the block
            lock_wait_s: how long it waits for another writer on SQLite; better
                         not long, where one can come back later
    """

    adapter = db._adapter
    if adapter.dbengine == "sqlite" and "memory" in adapter.uri[:15]:
        # Such a database is its connection
        yield db
        return

    names = (adapter._connection_uname_, adapter._cursors_uname_)
    kept = [getattr(THREAD_LOCAL, name, None) for name in names]
    try:
        adapter.set_connection(adapter.connector(), run_hooks=True)
        # On PostgreSQL, a rollback would undo a SET of after_connection
        db.commit()
        if adapter.dbengine == "sqlite":
            db.executesql("PRAGMA busy_timeout = %d" % (1000 * lock_wait_s))
        yield db
        db.commit()
    finally:
        other = getattr(THREAD_LOCAL, names[0], None)
        for name, value in zip(names, kept):
            setattr(THREAD_LOCAL, name, value)
        if other is not None and other is not kept[0]:
            try:
                # Which undoes what is not committed
                other.close()
            except Exception:
                # The database has closed it before
                pass

# -----------------------------------------------------------------------------
def lock_rows_only(db):
    """
        Have a run lock the rows that it changes, and nothing between them:
        MySQL would else lock gaps, into which visitors queue their mail, and
        undo the transaction of one of them (error 1213)
        - commits; on PostgreSQL, the first rollback would else undo a SET of
          the app's after_connection
    """

    db.commit()
    if db._adapter.dbengine == "mysql":
        db.executesql("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")

# -----------------------------------------------------------------------------
def is_conflict(error):
    """
        Whether a database error says that somebody else holds what was wanted:
        a deadlock, or a lock that was waited for in vain
        - by PostgreSQL's error code, MySQL's number, SQLite's words
    """

    return getattr(error, "pgcode", None) in ("40P01", "55P03", "40001") or \
        bool(error.args) and (error.args[0] in (1205, 1213) or "locked" in str(error.args[0]))

# -----------------------------------------------------------------------------
def recover(db):
    """ Get a usable connection again, after the database failed; never raises """

    try:
        db.rollback()
        db.executesql("SELECT 1")
    except Exception:
        try:
            db._adapter.close(None)
            db._adapter.get_connection(use_pool=False)
            lock_rows_only(db)
        except Exception:
            # It is still away: whoever needs it will notice
            db._adapter.set_connection(None)

# -----------------------------------------------------------------------------
def execute(db, statement, *values):
    """
        Run a statement as it is: pydal would take longer to write it than the
        database to run it

        Args:
            db: the DAL
            statement: SQL, with ? for values, or without a value
            values: the values

        Returns:
            the cursor
    """

    adapter = db._adapter
    # Connects, as far as it is not
    adapter.get_connection()
    cursor = adapter.cursor
    if not values:
        cursor.execute(statement)
    elif adapter.dbengine == "sqlite":
        cursor.execute(statement, values)
    else:
        cursor.execute(statement.replace("?", "%s"), values)
    return cursor

# -----------------------------------------------------------------------------
def check_size(db, size):
    """
        Refuse a statement that is too large for the server, before MySQL ends
        the connection over it, and with that the caller's transaction

        Args:
            db: the DAL
            size: of the statement (bytes)

        Raises:
            BadInput: with the limit in words
    """

    if size < ANY_PACKET or db._adapter.dbengine != "mysql":
        return
    limit = int(db.executesql("SELECT @@max_allowed_packet")[0][0])
    # With some room for what is not counted
    if size + 10000 > limit:
        raise BadInput("Message too large: %s bytes as stored, the database server takes "
                       "no more than %s (max_allowed_packet)" % (size, limit))

# -----------------------------------------------------------------------------
def text(time):
    """ A time as pydal writes it, for a statement """

    return time.strftime("%Y-%m-%d %H:%M:%S")

# -----------------------------------------------------------------------------
def commits_each_statement(db):
    """
        Whether the connection is in autocommit mode: what is done on it is
        not part of a transaction, and nobody commits one that we begin
        - in that mode, a transaction that the caller has begun by a statement
          is the caller's
    """

    adapter = db._adapter
    # Connects, as far as it is not
    connection = adapter.get_connection()
    if adapter.dbengine == "sqlite":
        return connection.isolation_level is None and not connection.in_transaction
    if adapter.dbengine == "postgres":
        return bool(connection.autocommit) and not connection.get_transaction_status()
    # By driver: pymysql and MySQLdb, or mysql.connector
    autocommit = getattr(connection, "get_autocommit", None) or \
        (lambda: connection.autocommit)
    # pymysql, SERVER_STATUS_IN_TRANS; mysql.connector
    begun = getattr(connection, "server_status", 0) & 1 or \
        getattr(connection, "in_transaction", False)
    return bool(autocommit()) and not begun

# -----------------------------------------------------------------------------
def has_written(db):
    """ Whether this thread has begun to write to SQLite, and so locks out all others """

    return db._adapter.dbengine == "sqlite" and db._adapter.get_connection().in_transaction

# -----------------------------------------------------------------------------
@contextmanager
def savepoint(db, name):
    """
        Undo what was done inside if it fails, and nothing else: the
        transaction of the caller stays usable, uncommitted
        - in autocommit mode it is a transaction of its own, and committed

        Args:
            db: the DAL
            name: of the savepoint

        Raises:
            TransactionLost: the database has undone all of it by itself, as
                             SQLite does when the disk is full, and MySQL
                             with one of two that wait for each other
    """

    # IMMEDIATE: who reads first and writes then is not let wait for another
    # writer, but told at once that the database is locked
    begin = "BEGIN IMMEDIATE" if db._adapter.dbengine == "sqlite" else "BEGIN"
    release = "RELEASE SAVEPOINT %s" % name
    if commits_each_statement(db):
        execute(db, begin)
        undo, end = ("ROLLBACK",), "COMMIT"
    else:
        if db._adapter.dbengine == "sqlite" and not has_written(db):
            # Else releasing it would commit (sqlite.org/lang_savepoint.html)
            execute(db, begin)
        try:
            execute(db, "SAVEPOINT %s" % name)
        except Exception as error:
            # PostgreSQL: something has failed before, and nothing will be kept
            raise TransactionLost(str(error)) from error
        undo, end = ("ROLLBACK TO SAVEPOINT %s" % name, release), release
    try:
        yield
    except Exception as error:
        try:
            for statement in undo:
                execute(db, statement)
        except Exception:
            raise TransactionLost(str(error)) from error
        raise
    execute(db, end)

# -----------------------------------------------------------------------------
@contextmanager
def reading(db):
    """
        What only reads, and may fail: the transaction of the caller stays as it
        is, and no other has to wait

        Args:
            db: the DAL
    """

    if db._adapter.dbengine == "sqlite":
        # A query that fails does no harm there, and a savepoint would lock
        yield
    else:
        with savepoint(db, "mails3_read"):
            yield

# END =========================================================================
