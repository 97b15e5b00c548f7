"""
    Transactions: a mail is queued in the caller's, or in our own where the
    caller commits nothing
"""

import uuid

from datetime import timedelta
from threading import Thread

import pytest

from gluon import current
from gluon.dal import DAL
from gluon.scheduler import Scheduler
from gluon.tools import Mail

from support.web2py import FOLDER
from support.clock import SleeplessClock
from support.databases import make_impatient, on_server
from support.meanwhile import meanwhile
from support.office import claim

from mails3 import MailS3
from mails3.clock import utcnow
from mails3.states import SENT, UNSENT
from mails3.hosts.scheduler import Tasks
from mails3.queue.database import index_names, own_connection
from mails3.queue.migration import create, has_columns
from mails3.queue.schema import TABLES, define
from mails3.hosts.self_repair import SCHEDULER_TABLES, self_repair

ANNE, BOB = "anne@example.org", "bob@example.org"

# -----------------------------------------------------------------------------
def in_a_thread(action):
    """ Do something as the app does it in a thread that it has started; its result """

    results = []
    thread = Thread(target=lambda: results.append(action()))
    thread.start()
    thread.join()
    return results[0]

# -----------------------------------------------------------------------------
def addresses(office):
    """ The addresses of all that others see in the outbox """

    db = office.connection()
    try:
        return sorted(row.address for row in db(db.msg_outbox).select())
    finally:
        db.close()

# =============================================================================
class TestThread:
    """ web2py commits nothing that a thread of the app has done """

    def test_a_mail_of_a_thread_is_queued_when_send_returns(self, office):
        """ A mail of a thread is visible to others when send() returns, and locks nobody out """

        assert in_a_thread(lambda: office.mail.send(ANNE, "News", "There is news."))

        assert addresses(office) == [ANNE]
        bob = office.queue(BOB)
        office.drain()
        assert office.status(bob) == SENT
        assert [mail.recipients for mail in office.relay.mails] == [[ANNE], [BOB]]

    @pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
    def test_the_rest_of_the_threads_transaction_is_not_committed(self, office):
        """ send() in a thread commits its mail and nothing else """

        def work():
            office.db.msg_outbox.insert(address="before@example.org")
            sent = office.mail.send(ANNE, "News", "There is news.")
            office.db.rollback()
            return sent

        assert in_a_thread(work)
        assert addresses(office) == [ANNE]

    @pytest.mark.parametrize("uri", ["sqlite"], indirect=True)
    @pytest.mark.parametrize("end, queued", [("commit", [ANNE, "before@example.org"]),
                                             ("rollback", [])])
    def test_on_sqlite_a_thread_commits_its_mail_itself(self, office, end, queued):
        """
            On SQLite the mail is part of a transaction that the thread has begun to write,
            because there is one writer
        """

        def work():
            office.db.msg_outbox.insert(address="before@example.org")
            sent = office.mail.send(ANNE, "News", "There is news.")
            getattr(office.db, end)()
            return sent

        assert in_a_thread(work)
        assert addresses(office) == queued

    @pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
    def test_a_thread_does_not_commit_the_request(self, office):
        """ A thread's mail neither commits the request nor is undone by its end """

        office.db.msg_outbox.insert(address="before@example.org")
        assert in_a_thread(lambda: office.mail.send(ANNE, "News", "There is news."))
        office.db.rollback()

        assert addresses(office) == [ANNE]

    def test_a_thread_that_has_read_can_queue(self, office):
        """ A thread that has read a table before can queue a mail """

        def work():
            office.db(office.db.msg_outbox).count()
            return office.mail.send(ANNE, "News", "There is news.")

        assert in_a_thread(work)
        assert addresses(office) == [ANNE]

    def test_without_a_worker_a_thread_sends_its_mail_once(self, office):
        """ A mail that was tried in a thread is settled, and no run sends it again """

        office.configure(fallback="yes")

        assert in_a_thread(lambda: office.mail.send(ANNE, "News", "There is news."))
        anne, = [row.id for row in office.db(office.db.msg_outbox).select()]
        assert office.status(anne) == SENT
        office.drain()

        assert len(office.relay.mails) == 1

    def test_a_thread_that_sends_locks_out_nobody(self, office):
        """ A visitor can queue a mail while the relay is slow with a thread's mail """

        office.configure(fallback="yes", fallback_timeout=10)
        told = []

        def visit(mail):
            office.given["fallback"] = "no"
            mail.db._adapter.execute({"sqlite": "PRAGMA busy_timeout = 500"}.get(
                                            mail.db._adapter.dbengine, "SELECT 1"))
            told.append(mail.send(BOB, "News", "There is news."))
            told.append(not [mail.recipients for mail in office.relay.mails])
            mail.db.commit()

        visitor = meanwhile(office, "DATA", visit)
        assert in_a_thread(lambda: office.mail.send(ANNE, "News", "There is news."))
        visitor.join()

        assert told == [True, True]
        assert addresses(office) == [ANNE, BOB]

    def test_a_thread_wakes_the_workers(self, office):
        """ A thread's mail wakes the workers when send() returns """

        current._scheduler = None
        office.mail.tasks = Tasks(Scheduler(office.db, migrate=False), office.mail)
        create(office.db, SCHEDULER_TABLES)
        try:
            assert in_a_thread(lambda: office.mail.send(ANNE, "News", "There is news."))
            db = office.connection()
            wakes = db.executesql("SELECT count(*) FROM scheduler_task "
                                  "WHERE uuid LIKE 'mails3-wake-shelter-%'")[0][0]
            db.close()
            assert (addresses(office), wakes) == ([ANNE], 1)
        finally:
            office.db.rollback()
            for name in reversed(SCHEDULER_TABLES):
                office.db.executesql("DROP TABLE %s" % name)
            office.db.commit()

# -----------------------------------------------------------------------------
def autocommitting(uri):
    """ The arguments of a DAL in autocommit mode (dict) """

    if uri.startswith("postgres"):
        def after_connection(adapter):
            adapter.connection.autocommit = True
            make_impatient(adapter)
        return {"after_connection": after_connection}
    if uri.startswith("mysql"):
        return {"driver_args": {"autocommit": True}}
    return {"driver_args": {"isolation_level": None}}

# =============================================================================
class TestAutocommit:
    """ With autocommit, a mail is queued as a whole """

    @pytest.fixture
    def office(self, office):

        office.reopen(**autocommitting(office.uri))
        return office

    # -------------------------------------------------------------------------
    @pytest.mark.parametrize("fallback", ["yes", "no"])
    def test_an_autocommitted_mail_is_queued_when_send_returns(self, office, fallback):
        """
            With autocommit a mail is queued when send() returns, and sent once with and without
            a worker
        """

        office.configure(fallback=fallback)

        assert office.mail.send(ANNE, "News", "There is news.")
        assert addresses(office) == [ANNE]

        office.drain()
        assert [mail.recipients for mail in office.relay.mails] == [[ANNE]]

    def test_an_autocommitted_mail_is_never_queued_in_part(self, office):
        """ With autocommit a mail that can't be queued leaves no row, and is sent directly once """

        office.db.executesql("DROP TABLE mails3_delivery")

        assert office.mail.send(ANNE, "News", "There is news.")

        assert addresses(office) == []
        assert len(office.relay.mails) == 1

    def test_an_explicit_transaction_of_the_caller_is_kept(self, office):
        """ With autocommit a mail is rolled back with the transaction that its caller has begun """

        office.db.executesql("BEGIN")
        assert office.mail.send(ANNE, "News", "There is news.")
        office.db.executesql("ROLLBACK")

        assert addresses(office) == []
        assert office.mail.send(BOB, "News", "There is news.")
        assert addresses(office) == [BOB]

# =============================================================================
class TestOurConnections:
    """ Connections of ours are made like those of the app """

    @pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
    def test_tables_are_made_where_the_app_looks(self, uri, relay):
        """ Tables are made in the schema that after_connection selects on each connection """

        schema = "mails3_%s" % uuid.uuid4().hex[:12]
        on_server(uri, "CREATE SCHEMA %s" % schema)
        choose = {"postgres": "SET search_path TO %s", "mysql": "USE %s"}[uri.partition(":")[0]]

        def after_connection(adapter):
            make_impatient(adapter)
            adapter.execute(choose % schema)

        app = DAL(uri, folder=FOLDER, migrate_enabled=False, after_connection=after_connection)
        elsewhere = DAL(uri, folder=FOLDER, migrate_enabled=False)
        current._scheduler = None
        try:
            for db in (app, elsewhere):
                define(db)
            host = Mail(relay.address, "shelter@example.org", tls=False)
            mail = MailS3(app, host.settings, given=lambda: {"fallback": "no"}, site="shelter")
            mail.tasks = Tasks(Scheduler(app, migrate=False), mail)

            assert self_repair(mail, None, TABLES)

            assert all(has_columns(app, *app[name]) for name in TABLES)
            assert "mails3_delivery_new" in index_names(app)
            assert not has_columns(elsewhere, elsewhere.msg_outbox.id)
            assert mail.send(ANNE, "News", "There is news.")
            assert app(app.msg_outbox.address == ANNE).count() == 1
            assert not relay.connections
        finally:
            for db in (app, elsewhere):
                db.rollback()
                db.close()
            on_server(uri, "DROP SCHEMA %s%s" % (schema, " CASCADE" if "postgres" in uri else ""))

    def test_a_rollback_of_ours_does_not_touch_the_apps_transaction(self, office):
        """ A rollback or an error on our connection does not end the request's transaction """

        office.db.executesql("SELECT 1")
        with pytest.raises(ZeroDivisionError):
            with own_connection(office.db) as db:
                db.msg_outbox.insert(address=BOB)
                raise ZeroDivisionError()
        office.db.msg_outbox.insert(address=ANNE)
        office.db.commit()

        assert addresses(office) == [ANNE]

    def test_an_app_that_has_not_connected_can_close_its_dal(self, office):
        """ DAL.close() raises nothing after a connection of ours, be the app connected or not """

        db = DAL(office.uri, folder=FOLDER, migrate_enabled=False)
        with own_connection(db):
            db.executesql("SELECT 1")
        db.close()

        office.db.executesql("SELECT 1")
        with own_connection(office.db):
            pass
        assert office.db.executesql("SELECT 1")

    @pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
    def test_a_full_server_is_asked_for_a_connection_once(self, office):
        """ A server that has no connection to spare is asked once, and the mail stays queued """

        office.configure(fallback="yes")
        office.db.executesql("SELECT 1")
        asked = []

        def refuse():
            asked.append(True)
            raise OSError("too many connections")

        office.db._adapter.connector = refuse
        assert office.mail.send(ANNE, "News", "There is news.")
        office.db.commit()

        assert len(asked) == 1
        assert addresses(office) == [ANNE]
        assert {row.status for row in office.db(office.db.msg_outbox).select()} == {UNSENT}

# -----------------------------------------------------------------------------
def read_only(adapter):
    """ Have a connection refuse whatever would write """

    adapter.execute({"sqlite": "PRAGMA query_only = ON",
                     "postgres": "SET default_transaction_read_only = on",
                     "mysql": "SET SESSION TRANSACTION READ ONLY"}[adapter.dbengine])

# =============================================================================
class TestReadOnly:
    """ A database that can't be written raises no exception """

    @pytest.fixture
    def office(self, office):

        office.reopen(after_connection=read_only)
        # Or the transaction in which it was set would still write
        office.db.commit()
        return office

    # -------------------------------------------------------------------------
    @pytest.mark.parametrize("call", [lambda send: send(), in_a_thread], ids=["request", "thread"])
    @pytest.mark.parametrize("fallback", ["yes", "no"])
    def test_a_mail_for_a_read_only_database_is_sent_directly(self, office, call, fallback, caplog):
        """
            A mail is sent directly if the database is read-only, the log says why and the
            transaction goes on
        """

        office.configure(fallback=fallback)
        office.db(office.db.msg_outbox).count()

        assert call(lambda: office.mail.send(ANNE, "News", "There is news."))

        assert office.db(office.db.msg_outbox).count() == 0
        assert [mail.recipients for mail in office.relay.mails] == [[ANNE]]
        assert caplog.text.count("Mail can't be queued") == 1

    def test_a_mail_that_can_neither_be_queued_nor_sent_is_refused(self, office, caplog):
        """ send() returns False without details if a mail can be neither queued nor sent """

        office.relay.stop()

        assert office.mail.send(ANNE, "News", "There is news.") is False
        assert office.mail.error == "The mail could not be sent"
        assert "Connection refused" in caplog.text

    def test_a_run_on_a_read_only_database_sends_nothing(self, office):
        """ A run that can't claim sends nothing, because a second worker could send the same """

        other = office.connection()
        assert office.mailer(other).send(ANNE, "News", "There is news.")
        other.commit()
        other.close()

        clock = SleeplessClock()
        with pytest.raises(Exception):
            office.mail.channel().worker(clock=clock, sleep=clock.sleep).drain()
        office.db.rollback()

        assert office.relay.mails == []

# -----------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["file", "table"])
def test_an_unwritable_sqlite_has_the_mail_sent_directly(small_office, mode):
    """ A mail is sent directly if the file of SQLite is not writable or a table is missing """

    office = small_office
    if mode == "file":
        office.db.close()
        db = office.db = DAL(office.uri, folder=FOLDER, migrate_enabled=False,
                             driver_args={"uri": True})
        db._adapter.close(None)
        db._adapter.dbpath = "file:%s?mode=ro" % db._adapter.dbpath
        define(db)
        office.mail = office.mailer(db)
    else:
        office.db.executesql("DROP TABLE mails3_delivery")
        office.db.commit()

    assert office.mail.send(ANNE, "News", "There is news.")

    assert len(office.relay.mails) == 1
    office.db(office.db.msg_outbox).count()

# =============================================================================
@pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
class TestClock:
    """ The machines of a site share the clock of the database """

    @pytest.mark.parametrize("hours", [1, -1])
    def test_a_machine_with_a_wrong_clock_takes_over_no_lease(self, office, monkeypatch, caplog,
                                                              hours):
        """
            A machine with a wrong clock does not send what another one is sending, and the
            admin is told
        """

        anne = office.queue(ANNE)
        other = office.mail.channel().worker()
        claim(other)
        office.db.commit()

        monkeypatch.setattr("mails3.queue.database.utcnow",
                            lambda: utcnow() + timedelta(hours=hours))
        bob = office.queue(BOB)
        office.drain()
        office.drain()

        assert [mail.recipients for mail in office.relay.mails] == [[BOB]]
        assert office.status(bob) == SENT
        assert office.entry(anne).mails3_delivery.lease == other.lease.name
        word = "ahead of" if hours > 0 else "behind"
        assert caplog.text.count("3600 seconds %s that of the database" % word) == 1

    def test_a_wrong_clock_defers_by_the_right_time(self, office, monkeypatch):
        """ A machine that is a day ahead does not defer a mail for a day """

        office.relay.answer("RCPT", "451 4.2.1 Later", times=1)
        anne = office.queue(ANNE)
        with monkeypatch.context() as patch:
            patch.setattr("mails3.queue.database.utcnow", lambda: utcnow() + timedelta(days=1))
            office.drain()

        office.later(3600)
        office.retry()

        assert office.status(anne) == SENT

# END =========================================================================
