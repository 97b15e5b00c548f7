"""
    The tables: how they are made, and how an upgrade changes them
"""

from concurrent.futures import ThreadPoolExecutor

import pytest

from gluon.dal import DAL
from pydal.contrib.reserved_sql_keywords import ADAPTERS

from support.web2py import FOLDER

from mails3.queue.migration import create, has_columns
from mails3.queue.schema import TABLES, define

# =============================================================================
class TestUpgrade:
    """ A newer version has columns that an older one did not have """

    @pytest.fixture
    def connect(self, uri):
        """ Connect to a database with the tables of an older version (function) """

        connections = []

        def connect():
            db = DAL(uri, folder=FOLDER, migrate_enabled=False)
            define(db)
            connections.append(db)
            return db

        db = connect()
        create(db, TABLES)
        for table, column in (("mails3_message", "expires_on"), ("mails3_message", "individual"),
                              ("mails3_delivery", "in_doubt_count"),
                              ("mails3_delivery", "put_back_on"), ("mails3_delivery", "reply")):
            db.executesql("ALTER TABLE %s DROP COLUMN %s" % (table, column))
        db.commit()
        yield connect
        for db in connections:
            db.close()

    # -------------------------------------------------------------------------
    def test_missing_columns_are_added(self, connect):
        """ Several missing columns of one table are added, for other connections as well """

        create(connect(), TABLES)

        db = connect()
        assert all(has_columns(db, *db[name]) for name in TABLES)

    # -------------------------------------------------------------------------
    def test_servers_may_start_at_the_same_time(self, connect, uri):
        """ Of two servers that start at the same time, one adds a column and the other finds it """

        def start(_):
            db = DAL(uri, folder=FOLDER, migrate_enabled=False)
            try:
                define(db)
                create(db, TABLES)
                return all(has_columns(db, *db[name]) for name in TABLES)
            finally:
                db.close()

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(start, range(4)))

# =============================================================================
class TestReservedWords:
    """ web2py's scaffolding app refuses all words that any database reserves """

    @pytest.mark.parametrize("reserved", ["all", "common", *sorted(ADAPTERS)])
    def test_no_column_is_a_reserved_word(self, reserved):
        """ No column is a reserved word of any database that pydal knows """

        db = DAL(None, check_reserved=[reserved])
        define(db)

        assert set(TABLES) <= set(db.tables)

# END =========================================================================
