"""
    The number of statements that a mail costs, and the indexes for them
"""

import pytest

from support.office import users
from support.statements import statements
from support.transports import InstantTransport

from mails3.clock import utcnow
from mails3.states import SENT
from mails3.queue.database import index_names
from mails3.queue.migration import create, create_indexes
from mails3.queue.schema import INDEXES

# =============================================================================
class TestStatements:
    """ The number of statements does not depend on how much mail there is """

    def test_a_mail_to_a_thousand_costs_as_many_statements_as_one(self, office):
        """
            Queueing a mail to a thousand takes the statements of a mail to one: three, in a
            savepoint, and one more to find a worker, in another one
        """

        def send(number):
            users = ["user%s@example.org" % n for n in range(number)]
            return lambda: office.mail.send(users, "News", "There is news.")

        one, thousand = statements(office, send(1)), statements(office, send(1000))

        # PostgreSQL is told that there is mail
        wake = 3 + (office.db._adapter.dbengine == "postgres")
        assert len(one) == 5 + wake
        # MySQL is asked for the distance of two ids, for each table
        assert len(thousand) <= 5 + wake + 2 * (office.db._adapter.dbengine == "mysql")

        office.db.commit()
        outbox, delivery = office.db.msg_outbox, office.db.mails3_delivery
        rows = office.db(delivery.outbox_id == outbox.id).select(outbox.address,
                                                                 orderby=delivery.id)
        assert [row.address for row in rows] == \
            ["user0@example.org"] + ["user%s@example.org" % n for n in range(1000)]

    def test_messages_that_finish_together_share_their_statements(self, office):
        """ Messages of several sessions that finish together take one set of statements """

        office.configure(sessions=20)
        ids = office.queue(*users(200))
        now = utcnow()
        run = office.mail.channel().worker(transport = InstantTransport(office.mail),
                                           now = lambda: now, clock = lambda: 0)

        drained = statements(office, run.drain)

        assert {office.status(number) for number in ids} == {SENT}
        # One by one, each message would take more than three
        assert len(drained) < 100

    def test_an_idle_drain_is_two_queries(self, office):
        """
            An idle drain makes two queries with an index and writes nothing, however much mail
            is scheduled for later
        """

        office.queue("anne@example.org")
        office.drain()
        office.queue(*users(20), not_before=3600)

        queries = statements(office, office.drain)

        assert len(queries) == 2
        assert all(query.startswith("SELECT") for query in queries)

# =============================================================================
class TestIndexes:
    """ The queries of the runs have indexes, on old installations as well """

    def test_missing_indexes_are_made(self, office):
        """ Missing indexes are made, and existing ones are left alone """

        db = office.db
        name = INDEXES[0][1]
        db.executesql("DROP INDEX %s%s" % (name, " ON mails3_delivery"
                                           if db._adapter.dbengine == "mysql" else ""))
        db.commit()
        assert name not in index_names(db)

        for _ in range(2):
            create(db, {owner for owner, *_ in INDEXES})

        assert {index for _, index, _ in INDEXES} <= index_names(db)

    def test_the_hosts_tables_get_indexes(self, office):
        """ The host's tables get indexes under names of ours """

        index = ("msg_outbox", "mails3_outbox_message", ("message_id",))
        for _ in range(2):
            create_indexes(office.db, [index])

        assert "mails3_outbox_message" in index_names(office.db)

    @pytest.mark.parametrize("uri", ["sqlite"], indirect=True)
    def test_a_failed_index_is_reported(self, office):
        """ An index that can't be made is reported to the caller """

        with pytest.raises(Exception):
            create_indexes(office.db, [("msg_outbox", "mails3_nothing", ("nothing",))])

    def test_a_missing_table_needs_no_index_yet(self, office):
        """
            A table that does not exist yet is no error, because a new Eden makes its tables
            later
        """

        create_indexes(office.db, [("nowhere", "mails3_nowhere", ("id",))])

        assert "mails3_nowhere" not in index_names(office.db)

# END =========================================================================
