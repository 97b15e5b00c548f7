"""
    A worker process of our own, and a database that fails: at any statement, for a
    moment or for hours
"""

import os
import sqlite3

from contextlib import contextmanager

import pytest

from support.campaign import SERVERS
from support.databases import make_database
from support.employment import Employer
from support.folders import temporary_folder
from support.meanwhile import end_of_connection
from support.office import Office
from support.statements import watched

from mails3.queue.database import recover
from mails3.states import SENT, UNSENT

ANNE = "anne@example.org"

# -----------------------------------------------------------------------------
@pytest.fixture
def employer(office, tmp_path):
    """ A worker process that sends to the relay """

    employer = Employer(office, tmp_path)
    yield employer
    employer.close()

@pytest.fixture
def vandal(office):
    """ A connection of somebody else """

    db = office.connection()
    db.executesql("SELECT 1")
    db.commit()
    yield db
    db.close()

# -----------------------------------------------------------------------------
@contextmanager
def failing(office, vandal, number):
    """
        Have the database fail at one statement of the worker: its connection is
        ended before, or SQLite is locked by another one

        Args:
            office: the Office
            vandal: connection of another one
            number: which statement, from 0

        Yields:
            list; not empty if there was such a statement
    """

    seen, hit = [], []
    cut = None if is_sqlite(office) else end_of_connection(office.db)

    def before(statement):
        if len(seen) == number:
            hit.append(statement)
            if cut:
                vandal.executesql(cut)
                vandal.commit()
            else:
                lock(vandal)
        elif hit and not cut:
            vandal.rollback()
        seen.append(statement)

    with watched(office.db, before):
        yield hit
    vandal.rollback()

def is_sqlite(office):

    return office.db._adapter.dbengine == "sqlite"

def lock(vandal):
    """ Lock the whole database, if the worker itself is not writing """

    try:
        vandal.executesql("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        pass

def make_hasty(*databases):
    """ SQLite's connections do not wait for a lock """

    for db in databases:
        db.executesql("PRAGMA busy_timeout = 0")

def unsent(db):
    """ How many mails are not sent, as another connection sees them """

    db.rollback()
    count = db(db.msg_outbox.status == UNSENT).count()
    db.rollback()
    return count

def server_of(kind, folder):
    """ A database server of the test's own """

    try:
        return SERVERS[kind](folder)
    except FileNotFoundError as error:
        if os.environ.get("MAILS3_REQUIRE_DATABASES") == "1":
            raise
        pytest.skip(str(error))

# =============================================================================
class TestOneFailure:
    """ A database that fails once, at any statement, costs no mail, and repeats none """

    def test_a_mail_is_sent_once_whichever_statement_fails(self, office, employer, vandal):
        """ Each mail arrives once, whichever statement or commit of the worker fails """

        if is_sqlite(office):
            make_hasty(office.db, vandal)
        witness, number, hit = office.connection(), -1, True
        while hit:
            number += 1
            office.queue(ANNE)
            # All duties are due
            employer.clock.sleep(301)

            with failing(office, vandal, number) as hit:
                employer.run_until(lambda: not unsent(witness))

            arrived = [mail.message["Message-ID"] for mail in office.relay.mails]
            assert len(arrived) == len(set(arrived)) == number + 1, (number, hit)
            # The last statement may have failed
            recover(office.db)
            if is_sqlite(office):
                make_hasty(office.db)

        assert number > 30
        table = office.db.mails3_delivery
        assert office.db((table.lease != None) | (table.begun_on != None) |
                         (table.in_doubt_count > 0)).isempty()
        witness.close()

# =============================================================================
class TestAway:
    """ A database that is away for long """

    @pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
    def test_a_lost_connection_is_opened_again(self, office, employer, vandal, caplog):
        """ A process whose connections are ended while it waits sends what comes then """

        process = employer.process
        cuts = [end_of_connection(office.db)]
        if process.listener.connection:
            cuts.append("SELECT pg_terminate_backend(%d)" %
                        process.listener.connection.get_backend_pid())
        for cut in cuts:
            vandal.executesql(cut)
            vandal.commit()
        assert office.mailer(vandal).send(ANNE, "News", "There is news.")
        vandal.commit()

        employer.run_until(lambda: not unsent(vandal))

        assert len(office.relay.mails) == 1
        assert caplog.text.count("The worker can't go on now") == 1

    @pytest.mark.parametrize("uri", ["sqlite"], indirect=True)
    def test_a_process_whose_database_is_away_looks_after_itself(self, office, employer, vandal,
                                                                 tmp_path, caplog):
        """
            While the database is away, a changed configuration is noticed, the supervisor is
            heard, and the log has few lines
        """

        make_hasty(office.db, vandal)
        lock(vandal)
        asked = []

        def goes_on():
            if employer.clock.slept_s > 60 and not asked:
                (tmp_path / "models").mkdir(exist_ok=True)
                (tmp_path / "models" / "db.py").write_text("changed")
                asked.append(employer.is_asked_for_successor())
            return employer.clock.slept_s > 150

        employer.run_until(goes_on)
        vandal.rollback()

        assert asked == [False] and employer.is_asked_for_successor()
        assert 2 <= caplog.text.count("The worker can't go on now") <= 4
        assert employer.repairs <= 3

    @pytest.mark.parametrize("uri", ["sqlite"], indirect=True)
    def test_a_locked_database_is_waited_for(self, office, employer, vandal, caplog):
        """ A process for which the database was locked sends when it is free, and says so once """

        anne = office.queue(ANNE)
        make_hasty(office.db, vandal)
        lock(vandal)

        def goes_on():
            if employer.clock.slept_s > 100:
                vandal.rollback()
            return office.relay.mails

        employer.run_until(goes_on)

        assert office.status(anne) == SENT
        assert caplog.text.count("The worker goes on") == 1

    @pytest.mark.parametrize("kind", sorted(SERVERS))
    def test_a_database_that_is_stopped_for_some_time(self, relay, tmp_path, kind):
        """ A process whose database server is stopped, and started later, sends what comes then """

        # Not one of pytest's folders: those are for nobody else, not even the server
        with temporary_folder() as folder, server_of(kind, folder) as server:
            office = Office(make_database(server.uri), relay)
            employer = Employer(office, tmp_path)
            failures = []

            def goes_on():
                if not server.process and employer.clock.slept_s > 30:
                    server.start()
                    recover(office.db)
                    office.queue(ANNE)
                elif not failures:
                    server.stop()
                    failures.append(True)
                return relay.mails

            employer.run_until(goes_on)

            assert len(relay.mails) == 1
            employer.close()
            office.close()

    def test_missing_tables_are_made(self, office, employer):
        """ A process that starts before the tables are there has them made """

        office.db.executesql("DROP TABLE mails3_worker")
        office.db.commit()

        employer.run_until(lambda: employer.repairs)

        assert employer.clock.slept_s < 100

# END =========================================================================
