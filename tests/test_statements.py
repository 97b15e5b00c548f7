"""
    What a mail costs the database: statements, counted; and the indexes that
    they need
"""

import pytest

from conftest import statements

from mails3.states import SENT
from mails3.queue.schema import INDEXES, create, create_indexes, index_names

# =============================================================================
class TestStatements:
    """ A fixed number, whatever there is to do and whatever lies around """

    def test_a_mail_to_a_thousand_costs_what_a_mail_to_one_does(self, office):
        """ Three rows are written by three statements, in a savepoint """

        def send(number):
            users = ["user%s@example.org" % n for n in range(number)]
            return lambda: office.mail.send(users, "News", "There is news.")

        one, thousand = statements(office, send(1)), statements(office, send(1000))

        assert len(one) == 5
        # MySQL is asked for the distance of two ids, for each table
        assert len(thousand) <= 5 + 2 * (office.db._adapter.dbengine == "mysql")

        office.db.commit()
        outbox, delivery = office.db.msg_outbox, office.db.mails3_delivery
        rows = office.db(delivery.outbox_id == outbox.id).select(outbox.address,
                                                                 orderby=delivery.id)
        assert [row.address for row in rows] == \
            ["user0@example.org"] + ["user%s@example.org" % n for n in range(1000)]

    def test_messages_that_are_sent_share_their_statements(self, office):
        """ A round: read, begin, settle twice, whatever the number of sessions """

        office.configure(sessions=11)
        office.queue(*["user%s@example.org" % n for n in range(200)])

        drained = statements(office, office.drain)

        assert office.db(office.db.msg_outbox.status == SENT).count() == 200
        # Less than one for two messages
        assert len(drained) < 100

    def test_without_anything_to_do_a_drain_is_one_query(self, office):
        """ It is indexed, and nothing is written """

        office.queue("anne@example.org")
        office.drain()

        query, = statements(office, office.drain)

        assert query.startswith("SELECT")

# =============================================================================
class TestIndexes:
    """ What the runs look up is indexed, on old installations as well """

    def test_missing_ones_are_made(self, office):
        """ And those that are there are left alone """

        db = office.db
        name = INDEXES[0][1]
        db.executesql("DROP INDEX %s%s" % (name, " ON mails3_delivery"
                                           if db._adapter.dbengine == "mysql" else ""))
        db.commit()
        assert name not in index_names(db)

        for _ in range(2):
            create(db, {owner for owner, *_ in INDEXES})

        assert {index for _, index, _ in INDEXES} <= index_names(db)

    def test_on_the_hosts_tables_too(self, office):
        """ Under a name of ours, by which they are known """

        index = ("msg_outbox", "mails3_outbox_message", ("message_id",))
        for _ in range(2):
            create_indexes(office.db, [index])

        assert "mails3_outbox_message" in index_names(office.db)

    @pytest.mark.parametrize("uri", ["sqlite"], indirect=True)
    def test_what_can_not_be_made_is_told(self, office):
        """ Who has called knows what to do """

        with pytest.raises(Exception):
            create_indexes(office.db, [("msg_outbox", "mails3_nothing", ("nothing",))])

    def test_a_table_that_is_not_there_yet_has_time(self, office):
        """ A new Eden makes its own when they are first asked for """

        create_indexes(office.db, [("nowhere", "mails3_nowhere", ("id",))])

        assert "mails3_nowhere" not in index_names(office.db)

# END =========================================================================
