# -*- coding: utf-8 -*-

"""
    The tables and indexes in the database: made, and brought up to date, on
    sites with migrate=False as well
    - asks the database itself: pydal's migration goes by files, which another
      server of the same site does not have

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from .database import create_statement, index_names
from .schema import INDEXES

__all__ = ("create", "create_indexes")

# -----------------------------------------------------------------------------
def create(db, names):
    """
        Make tables with their indexes, or add the columns that are missing

        Args:
            db: a connection of our own, for it is committed
            names: of the tables, defined in db

        Raises:
            Exception: the database driver's, if that is not possible
    """

    for name in names:
        table = db[name]
        if has_columns(db, *table):
            continue
        if has_columns(db, table.id):
            for field in table:
                if not has_columns(db, field):
                    add_column(db, field)
        else:
            change(db, create_statement(db, table), lambda: has_columns(db, table.id))
    create_indexes(db, [index for index in INDEXES if index[0] in names])

# -----------------------------------------------------------------------------
def create_indexes(db, indexes):
    """
        Make the indexes that are missing, on tables that exist; also on the
        host's tables, which may be full

        Args:
            db: a connection of our own, for it is committed
            indexes: tuples (table, name of the index, columns)

        Raises:
            Exception: the database driver's, if that is not possible
    """

    known = index_names(db)
    for table, index, columns in indexes:
        # The host may make its own table later
        if index not in known and exists(db, table):
            change(db, "CREATE INDEX %s ON %s (%s)" % (index, table, ", ".join(columns)),
                   lambda index=index: index in index_names(db))

# -----------------------------------------------------------------------------
def add_column(db, field):
    """ Add a column to a table; commits: the next look may roll back """

    kind = db._adapter.types[field.type] % {"length": field.length}
    change(db, "ALTER TABLE %s ADD %s %s" % (field._table._rname, field._rname, kind),
           lambda: has_columns(db, field))

# -----------------------------------------------------------------------------
def change(db, statement, is_done):
    """
        Change the database, and commit

        Args:
            db: the DAL
            statement: SQL
            is_done: function that tells whether the change is there, for
                     another process may have made it at the same time
    """

    try:
        db.executesql(statement)
    except Exception:
        db.rollback()
        if not is_done():
            raise
    db.commit()

# -----------------------------------------------------------------------------
def exists(db, name):
    """ Whether the database has a table """

    try:
        db.executesql("SELECT 1 FROM %s WHERE 1 = 0" % name)
    except Exception:
        db.rollback()
        return False
    return True

# -----------------------------------------------------------------------------
def has_columns(db, *fields):
    """ Whether the database has the table and all the columns of the fields """

    try:
        db(fields[0]._table.id < 0).select(*fields, limitby=(0, 1))
    except Exception:
        db.rollback()
        return False
    return True

# END =========================================================================
