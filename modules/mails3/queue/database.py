# -*- coding: utf-8 -*-

"""
    What differs between the database engines, all of it: transactions,
    locks, clocks, limits, catalogues

    Longer than 300 lines, so that no other file asks for an engine's name.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import re

from contextlib import contextmanager
from datetime import timedelta

from pydal._globals import THREAD_LOCAL

from ..clock import utcnow
from ..message.address import BadInput

__all__ = ("TransactionLost", "after_request", "check_size", "commits_each_statement",
           "create_statement", "data_version", "database_clock", "execute", "has_own_writers",
           "has_written", "index_names", "insert_rows", "is_conflict", "is_duplicate",
           "is_in_memory", "listen", "lock_rows_only", "notify", "own_connection", "reading",
           "recover", "savepoint", "seconds_ago", "select_for_update", "skip_locked",
           "sql_literal", "sql_time")

SQLITE, POSTGRESQL, MYSQL = "sqlite", "postgres", "mysql"

# What the database server says the time is (UTC, without a zone). A database
# in a file has no clock of its own.
TIME_QUERIES = {POSTGRESQL: "SELECT clock_timestamp() AT TIME ZONE 'UTC'",
                MYSQL: "SELECT UTC_TIMESTAMP(6)",
                }

# A time before now (UTC, without a zone)
SECONDS_AGO = {SQLITE: "datetime('now', '-%d seconds')",
               POSTGRESQL: "clock_timestamp() AT TIME ZONE 'UTC' - interval '%d seconds'",
               MYSQL: "UTC_TIMESTAMP(6) - INTERVAL %d SECOND",
               }

INDEX_QUERIES = {SQLITE: "SELECT name FROM sqlite_master WHERE type = 'index'",
                 POSTGRESQL: "SELECT indexname FROM pg_indexes "
                             "WHERE schemaname = ANY (current_schemas(false))",
                 MYSQL: "SELECT DISTINCT index_name FROM information_schema.statistics "
                        "WHERE table_schema = DATABASE()",
                 }

# PostgreSQL: deadlock, lock not available, serialization failure
CONFLICT_CODES = ("40P01", "55P03", "40001")
# MySQL: lock wait time-out, deadlock
CONFLICT_NUMBERS = (1205, 1213)

# Any server takes statements of less than that
MAX_STATEMENT_BYTES = 500000
# What a server counts beside the values of a statement
OVERHEAD_BYTES = 10000

# =============================================================================
class TransactionLost(Exception):
    """ The caller's transaction is undone, with everything that was written in it """

# -----------------------------------------------------------------------------
def engine_of(db):
    """ The name of a DAL's engine: SQLITE, POSTGRESQL or MYSQL """

    return db._adapter.dbengine

# -----------------------------------------------------------------------------
# Statements
#
def execute(db, statement, *values):
    """
        Run a statement as it is: pydal takes longer to write a statement than
        the database takes to run it

        Args:
            db: the DAL
            statement: SQL (str), with ? for each value
            values: the values

        Returns:
            the driver's cursor
    """

    adapter = db._adapter
    # Connects if there is no connection yet
    adapter.get_connection()
    cursor = adapter.cursor
    if not values:
        cursor.execute(statement)
    elif engine_of(db) == SQLITE:
        cursor.execute(statement, values)
    else:
        cursor.execute(statement.replace("?", "%s"), values)
    return cursor

# -----------------------------------------------------------------------------
def insert_rows(db, table, columns, rows, *values):
    """
        Insert rows by one statement

        Args:
            db: the DAL
            table: the Table
            columns: their names (SQL)
            rows: list of the rows, each as SQL text, with ? for a value
            values: the values

        Returns:
            list of the new ids (int), in the order of the rows

        Raises:
            BadInput: the statement is too large for the database server
    """

    check_size(db, sum(map(len, rows)) + sum(len(value) for value in values
                                             if isinstance(value, str)))
    statement = "INSERT INTO %s (%s) VALUES (%s)" % (table._rname, columns,
                                                     "), (".join(rows))
    if engine_of(db) == POSTGRESQL:
        cursor = execute(db, statement + " RETURNING id", *values)
        return [row[0] for row in cursor.fetchall()]

    # The ids of one statement are consecutive: SQLite has one writer, and
    # InnoDB takes all ids of a statement at once
    first, step = execute(db, statement, *values).lastrowid, 1
    if engine_of(db) == SQLITE:
        first -= len(rows) - 1
    elif len(rows) > 1:
        # A cluster counts in larger steps
        step = db.executesql("SELECT @@auto_increment_increment")[0][0]
    return list(range(first, first + step * len(rows), step))

# -----------------------------------------------------------------------------
def hint_ids(db, ids):
    """
        A condition that names ids a second time, beside a subquery
        - MySQL scans the whole table for the ids of a subquery alone; with
          both conditions, PostgreSQL uses a nested loop

        Args:
            db: the DAL
            ids: list of ids (int)

        Returns:
            SQL that ends with AND, or an empty text
    """

    if engine_of(db) != MYSQL:
        return ""
    return "id IN (%s) AND " % ", ".join(str(int(each)) for each in ids)

# -----------------------------------------------------------------------------
def check_size(db, size):
    """
        Refuse a statement that is too large for the server: MySQL would close
        the connection, and undo the caller's transaction with it

        Args:
            db: the DAL
            size: of the statement (bytes)

        Raises:
            BadInput: names the server's limit
    """

    if size < MAX_STATEMENT_BYTES or engine_of(db) != MYSQL:
        return
    limit = int(db.executesql("SELECT @@max_allowed_packet")[0][0])
    if size + OVERHEAD_BYTES > limit:
        raise BadInput("Message too large: %s bytes as stored, the database server takes "
                       "no more than %s (max_allowed_packet)" % (size, limit))

# -----------------------------------------------------------------------------
def sql_time(time):
    """ A time (datetime) as pydal writes it into a statement """

    return time.strftime("%Y-%m-%d %H:%M:%S")

# -----------------------------------------------------------------------------
def sql_literal(value):
    """ A constant of ours (int, str, datetime or None) as SQL """

    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    return "'%s'" % (value if isinstance(value, str) else sql_time(value))

# -----------------------------------------------------------------------------
# Errors
#
def is_conflict(error):
    """
        Whether a database error says that another connection holds what was
        wanted: a deadlock, or the wait for a lock was too long
        - PostgreSQL tells by a code, MySQL by a number, SQLite by a word
    """

    return getattr(error, "pgcode", None) in CONFLICT_CODES or \
        bool(error.args) and (error.args[0] in CONFLICT_NUMBERS or
                              "locked" in str(error.args[0]))

# -----------------------------------------------------------------------------
def is_duplicate(error):
    """
        Whether a database error is about a key that exists already
        - all drivers use this name (PEP 249). A query would not help: MySQL
          shows the transaction what was there when it began.
    """

    return any(kind.__name__ == "IntegrityError" for kind in type(error).__mro__)

# -----------------------------------------------------------------------------
# Transactions
#
@contextmanager
def savepoint(db, name):
    """
        Undo what is done inside the block if it fails, and nothing else: the
        caller's transaction stays usable, and is not committed
        - in autocommit mode the block is a transaction of its own, and is
          committed

        Args:
            db: the DAL
            name: of the savepoint

        Raises:
            TransactionLost: the database has undone the whole transaction by
                             itself: SQLite does if the disk is full, MySQL
                             if two transactions wait for each other
    """

    # IMMEDIATE: a connection that has read before it writes does not wait for
    # another writer, SQLite tells it at once that the database is locked
    begin = "BEGIN IMMEDIATE" if engine_of(db) == SQLITE else "BEGIN"
    release = "RELEASE SAVEPOINT %s" % name
    if commits_each_statement(db):
        execute(db, begin)
        undo, end = ("ROLLBACK",), "COMMIT"
    else:
        if engine_of(db) == SQLITE and not has_written(db):
            # The release of an outermost savepoint commits (sqlite.org/lang_savepoint.html)
            execute(db, begin)
        try:
            execute(db, "SAVEPOINT %s" % name)
        except Exception as error:
            # PostgreSQL: a statement has failed before, the transaction will be undone
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
        Read in the caller's transaction: it stays usable if a query fails,
        and no other connection has to wait

        Args:
            db: the DAL
    """

    if engine_of(db) == SQLITE:
        # A query that fails does no harm on SQLite, and a savepoint would lock
        yield
    else:
        with savepoint(db, "mails3_read"):
            yield

# -----------------------------------------------------------------------------
def commits_each_statement(db):
    """
        Whether the connection is in autocommit mode, and in no transaction: a
        statement is committed at once
        - a transaction that the caller has begun by a statement is the caller's
    """

    adapter = db._adapter
    # Connects if there is no connection yet
    connection = adapter.get_connection()
    if engine_of(db) == SQLITE:
        return connection.isolation_level is None and not connection.in_transaction
    if engine_of(db) == POSTGRESQL:
        return bool(connection.autocommit) and not connection.get_transaction_status()
    # pymysql and MySQLdb have a method, mysql.connector has an attribute
    autocommit = getattr(connection, "get_autocommit", None) or \
        (lambda: connection.autocommit)
    # pymysql: SERVER_STATUS_IN_TRANS; mysql.connector: in_transaction
    has_begun = getattr(connection, "server_status", 0) & 1 or \
        getattr(connection, "in_transaction", False)
    return bool(autocommit()) and not has_begun

# -----------------------------------------------------------------------------
def has_written(db):
    """ Whether this thread holds SQLite's only write lock """

    return engine_of(db) == SQLITE and db._adapter.get_connection().in_transaction

# -----------------------------------------------------------------------------
def has_own_writers(db):
    """ Whether two connections can write at the same time: SQLite has one writer """

    return engine_of(db) != SQLITE

# -----------------------------------------------------------------------------
def lock_rows_only(db):
    """
        Let a run lock the rows that it changes, and not the gaps between them:
        MySQL would lock gaps into which visitors insert their mail, and undo
        the transaction of one of them (error 1213)
        - commits: on PostgreSQL, the first rollback would undo a SET of the
          app's after_connection
    """

    db.commit()
    if engine_of(db) == MYSQL:
        db.executesql("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")

# -----------------------------------------------------------------------------
def skip_locked(db, select, table):
    """
        Let a query skip the rows that another worker is claiming, and not wait
        for them: PostgreSQL 9.5, MySQL 8.0, MariaDB 10.6; SQLite locks no rows

        Args:
            db: the DAL
            select: the query (SQL)
            table: whose rows they are; MariaDB locks those of all tables of the query

        Returns:
            the query (SQL), unchanged where the server is too old
    """

    engine, can_skip = engine_of(db), False
    if engine == POSTGRESQL:
        can_skip = db._adapter.connection.server_version >= 90500
    elif engine == MYSQL:
        version = db.executesql("SELECT VERSION()")[0][0]
        release = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
        can_skip = release >= ((10, 6) if "MariaDB" in version else (8, 0))
    # A query may find rows by those of msg_outbox, which a visitor may want to change
    of_table = " OF %s" % table._rname if engine == POSTGRESQL else ""
    return "%s FOR UPDATE%s SKIP LOCKED;" % (select.rstrip("; "), of_table) if can_skip else select

# -----------------------------------------------------------------------------
def select_for_update(db, query, *fields):
    """
        Read a row, and lock it until the caller commits

        Args:
            db: the DAL
            query: the Query
            fields: the Fields

        Returns:
            the Row, or None
    """

    # SQLite has one writer: the caller's savepoint has made this connection that
    lock = {} if engine_of(db) == SQLITE else {"for_update": True}
    return db(query).select(*fields, **lock).first()

# -----------------------------------------------------------------------------
# Connections
#
def is_in_memory(db):
    """ Whether a database exists in its one connection only (SQLite) """

    return engine_of(db) == SQLITE and "memory" in db._adapter.uri[:15]

# -----------------------------------------------------------------------------
@contextmanager
def own_connection(db, lock_wait_s=1):
    """
        Give this thread a second connection to the same database for a while:
        what is committed on it leaves the request's transaction alone
        - the adapter of the app's DAL makes it, with the arguments and the
          after_connection of the app, so that it sees the app's tables
        - one attempt: a new DAL would make five, with pauses, while a visitor
          waits

        Args:
            db: the app's DAL; what is done with it inside the block is done on
                the second connection, and committed at the end of the block
            lock_wait_s: how long it waits for another writer on SQLite (seconds)
    """

    if is_in_memory(db):
        yield db
        return

    adapter = db._adapter
    names = (adapter._connection_uname_, adapter._cursors_uname_)
    # A thread has no name of a DAL that another thread has made; DAL.close()
    # requires the names of one that it has made, connected or not
    names_here = vars(THREAD_LOCAL)
    kept = {name: names_here[name] for name in names if name in names_here}
    try:
        adapter.set_connection(adapter.connector(), run_hooks=True)
        # On PostgreSQL, a rollback would undo a SET of after_connection
        db.commit()
        if engine_of(db) == SQLITE:
            db.executesql("PRAGMA busy_timeout = %d" % (1000 * lock_wait_s))
        yield db
        db.commit()
    finally:
        other = names_here.get(names[0])
        for name in names:
            names_here.pop(name, None)
        names_here.update(kept)
        if other is not None and other is not kept.get(names[0]):
            try:
                # Which undoes what is not committed
                other.close()
            except Exception:
                # The database has closed the connection before
                pass

# -----------------------------------------------------------------------------
def recover(db):
    """ Get a usable connection again after the database has failed; never raises """

    try:
        db.rollback()
        db.executesql("SELECT 1")
    except Exception:
        try:
            db._adapter.close(None)
            db._adapter.get_connection(use_pool=False)
            lock_rows_only(db)
        except Exception:
            # The database is still away: the next statement will fail
            db._adapter.set_connection(None)

# -----------------------------------------------------------------------------
def database_clock(db):
    """
        The clock that decides about leases, the same for all machines: with
        its own clock, a machine that is ahead by more than a lease would send
        what another one is sending
        - the database is asked once, and not each time

        Args:
            db: the DAL

        Returns:
            tuple (now, ahead): function that tells the time; by how much this
            machine's clock is ahead of the database's (timedelta)
    """

    query = TIME_QUERIES.get(engine_of(db))
    ahead = timedelta(0)
    if query:
        ahead = utcnow() - db.executesql(query)[0][0]
    return lambda: utcnow() - ahead, ahead

# =============================================================================
class RequestEnd:
    """
        Stands behind the DALs of a thread, which web2py closes one after the
        other at the end of a request: it is closed last
    """

    _uri = None # it is no database: DAL.get_instances() leaves it out

    def __init__(self, call):
        """
            Args:
                call: see after_request()
        """

        self._adapter = self
        self.call = call

    # -------------------------------------------------------------------------
    def close(self, action):
        """ The transactions of the thread are committed, or undone """

        self.call()

# -----------------------------------------------------------------------------
def after_request(call):
    """
        Have a function called once in this thread, when web2py has ended the
        transactions of the request, well or not; the response follows

        Args:
            call: the function; it must not raise

        Returns:
            whether it will be called
    """

    # BaseAdapter.close_all_instances() goes through it, and empties it
    instances = getattr(THREAD_LOCAL, "_pydal_db_instances_", None)
    if not instances:
        return False
    instances["mails3"] = instances.pop("mails3", []) + [RequestEnd(call)]
    return True

# -----------------------------------------------------------------------------
# What is new
#
def notify(db):
    """
        Tell the workers that listen() as soon as the caller's transaction is
        committed (PostgreSQL); other engines can't
    """

    if engine_of(db) == POSTGRESQL:
        execute(db, "NOTIFY mails3")

# -----------------------------------------------------------------------------
def listen(db):
    """
        Listen to notify() on a connection of its own (PostgreSQL)

        Args:
            db: the DAL

        Returns:
            the connection of psycopg2, in autocommit mode; None with another
            driver or engine
    """

    if engine_of(db) != POSTGRESQL:
        return None
    connection = db._adapter.connector()
    if not hasattr(connection, "notifies"):
        connection.close()
        return None
    try:
        connection.autocommit = True
        connection.cursor().execute("LISTEN mails3")
    except Exception:
        connection.close()
        raise
    return connection

# -----------------------------------------------------------------------------
def data_version(db):
    """
        A number that changes when another connection has committed (SQLite);
        None on other engines
    """

    if engine_of(db) != SQLITE:
        return None
    return execute(db, "PRAGMA data_version").fetchone()[0]

# -----------------------------------------------------------------------------
def seconds_ago(db, seconds):
    """ A time by the clock of the database, so many seconds (int) ago: SQL """

    return SECONDS_AGO[engine_of(db)] % seconds

# -----------------------------------------------------------------------------
# Catalogues
#
def create_statement(db, table):
    """
        The statement that makes a table
        - MySQL gets a collation that compares texts as the other engines do:
          the sites Shelter and shelter in one database each have their breaker

        Args:
            db: the DAL
            table: the Table, defined in db
    """

    statement = db._adapter.create_table(table, migrate=False)
    if engine_of(db) == MYSQL:
        # utf8_bin or utf8mb3_bin, by version
        collation = db.executesql("SELECT MIN(collation_name) "
                                  "FROM information_schema.collations "
                                  "WHERE collation_name IN ('utf8_bin', 'utf8mb3_bin')")[0][0]
        statement = "%s COLLATE %s;" % (statement.rstrip("; \n"), collation)
    return statement

# -----------------------------------------------------------------------------
def index_names(db):
    """ The names of all indexes in the database (set of str) """

    return {row[0] for row in db.executesql(INDEX_QUERIES[engine_of(db)])}

# END =========================================================================
