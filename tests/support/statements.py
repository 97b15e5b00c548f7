"""
    The statements that the database is sent
"""

from contextlib import contextmanager

COMMIT = "COMMIT"

# -----------------------------------------------------------------------------
@contextmanager
def watched(db, before):
    """
        Watch what is sent to a database

        Args:
            db: the DAL
            before: function that is called before each statement, with its
                    text, and before each commit, with COMMIT
    """

    # Connected, as far as it was not
    db.executesql("SELECT 1")

    class Cursor:
        """ A cursor that tells """

        def __init__(self, cursor):
            self.cursor = cursor

        def __getattr__(self, name):
            return getattr(self.cursor, name)

        def execute(self, statement, *args):
            before(statement)
            return self.cursor.execute(statement, *args)

    class Watched(type(db._adapter)):
        """ The adapter, with such a cursor """

        @property
        def cursor(self):
            return Cursor(super().cursor)

        def commit(self):
            before(COMMIT)
            return super().commit()

    adapter = db._adapter
    kind, adapter.__class__ = type(adapter), Watched
    try:
        yield
    finally:
        adapter.__class__ = kind

# -----------------------------------------------------------------------------
def statements(office, action):
    """ What an action sends to the database, without the limits of transactions """

    seen = []
    with watched(office.db, seen.append):
        action()
    return [text for text in seen if not text.startswith(("BEGIN", "SET ", COMMIT))]

# END =========================================================================
