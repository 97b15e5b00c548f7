"""
    The statements that the database is sent
"""

# -----------------------------------------------------------------------------
def statements(office, action):
    """ What an action sends to the database """

    # Connected, as far as it was not
    office.db.executesql("SELECT 1")
    seen = []

    class Counting:
        """ A cursor, which keeps what it is given """

        def __init__(self, cursor):
            self.cursor = cursor

        def __getattr__(self, name):
            return getattr(self.cursor, name)

        def execute(self, statement, *args):
            seen.append(statement)
            return self.cursor.execute(statement, *args)

    class Counted(type(office.db._adapter)):
        """ The adapter, with such a cursor """

        @property
        def cursor(self):
            return Counting(super().cursor)

    adapter = office.db._adapter
    kind, adapter.__class__ = type(adapter), Counted
    try:
        action()
    finally:
        adapter.__class__ = kind
    return [text for text in seen if not text.startswith(("BEGIN", "SET "))]

# END =========================================================================
