"""
    How a worker that waits learns of new mail
"""

import os
import threading

import pytest

from support.clock import SleeplessClock
from support.databases import SERVERS, make_database, on_server
from support.employment import Employer
from support.folders import temporary_folder
from support.meanwhile import end_of_connection
from support.office import Office
from support.pgbouncer import PgBouncer

from mails3.queue.database import recover
from mails3.queue.listener import Listener

ANNE = "anne@example.org"

# Longer than anything takes here: whoever waits for so long has heard nothing (seconds)
LONG_S = 3600

# =============================================================================
class Ear:
    """ The Listener of a waiting worker, in a thread, with a connection of its own """

    def __init__(self, office):

        self.office = office
        self.heard = None # what wait() has returned; None = it has not returned
        self.clock = SleeplessClock()
        self.opened, self.is_told = threading.Event(), threading.Event()

    # -------------------------------------------------------------------------
    def listen(self, timeout_s=LONG_S):
        """ Begin to wait, until something is heard """

        self.thread = threading.Thread(target=self._run, args=(timeout_s,), daemon=True)
        self.thread.start()
        assert self.opened.wait(30)

    # -------------------------------------------------------------------------
    def _run(self, timeout_s):

        db = self.office.connection()
        # New connections have begun a transaction
        db.commit()
        self.listener = listener_of(self.office.mailer(db))
        self.listener.open()
        self.opened.set()
        self.heard = self.listener.wait(timeout_s)
        self.is_told.set()

    # -------------------------------------------------------------------------
    def hears(self):
        """ Whether it hears something """

        return self.is_told.wait(30) and bool(self.heard)

# -----------------------------------------------------------------------------
def listener_of(mail, **options):
    """ A Listener that asks as a worker does """

    def look():
        is_idle = mail.channel().is_idle()
        mail.db.commit()
        return not is_idle

    return Listener(mail.db, look, **options)

def pool_of(folder, uri):
    """ A PgBouncer before a database """

    try:
        return PgBouncer(folder, uri)
    except FileNotFoundError as error:
        if os.environ.get("MAILS3_REQUIRE_DATABASES") == "1":
            raise
        pytest.skip(str(error))

@pytest.fixture
def ear(office):
    """ Somebody who waits for mail """

    ear = Ear(office)
    yield ear
    ear.listener.close()

# =============================================================================
class TestHearing:
    """ A waiting worker hears what is committed """

    def test_a_commit_of_another_is_heard(self, office, ear):
        """ Mail that another connection commits ends the wait """

        ear.listen()

        office.queue(ANNE)

        assert ear.hears()

    def test_a_mail_of_another_process_is_heard_after_its_commit(self, office, ear):
        """ Mail that is not committed, or undone, is not heard """

        ear.listen()

        assert office.mail.send(ANNE, "News", "There is news.")
        office.db.rollback()
        assert not ear.is_told.wait(0.5)

        office.queue(ANNE)
        assert ear.hears()

    def test_what_was_committed_before_the_wait_is_heard(self, office):
        """ Mail that is committed between the opening and the wait is not missed """

        db = office.connection()
        listener = listener_of(office.mailer(db))
        listener.open()

        office.queue(ANNE)

        assert listener.wait(LONG_S)
        listener.close()
        db.close()

    def test_a_silent_database_ends_the_wait_in_time(self, office):
        """ A wait without news ends after its time, and says that there is none """

        clock = SleeplessClock()
        listener = listener_of(office.mail, clock=clock, sleep=clock.sleep)
        listener.open()

        assert not listener.wait(0.2)
        listener.close()

    def test_what_was_heard_is_not_heard_again(self, office):
        """ The mail that ended one wait does not end the next one, once it is sent """

        db = office.connection()
        mail = office.mailer(db)
        clock = SleeplessClock()
        listener = listener_of(mail, clock=clock, sleep=clock.sleep)
        listener.open()
        office.queue(ANNE)
        assert listener.wait(LONG_S)
        mail.drain()

        assert not listener.wait(0.2)
        listener.close()
        db.close()

    @pytest.mark.parametrize("uri", ["sqlite"], indirect=True)
    def test_no_lock_is_held_while_waiting(self, office, ear):
        """ On SQLite, others may write, and lock the whole database, while a worker waits """

        ear.listen()
        db = office.connection()

        for _ in range(20):
            db.executesql("BEGIN EXCLUSIVE")
            db.commit()
        db.close()

        assert not ear.is_told.is_set()
        office.queue(ANNE)
        assert ear.hears()

# =============================================================================
class TestLost:
    """ A lost connection is noticed """

    @pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
    def test_a_lost_connection_is_an_error(self, office):
        """ A wait whose connection is ended raises; then the listener can be opened again """

        db = office.connection()
        mail = office.mailer(db)
        listener = listener_of(mail)
        listener.open()
        cut = end_of_connection(db)
        if listener.connection:
            # It has another one to listen
            cut = "SELECT pg_terminate_backend(%d)" % listener.connection.get_backend_pid()
        office.db.executesql(cut)
        office.db.commit()

        with pytest.raises(Exception):
            listener.wait(LONG_S)

        recover(db)
        listener.open()
        office.queue(ANNE)
        assert listener.wait(LONG_S)
        listener.close()
        db.close()

# =============================================================================
class TestPgBouncer:
    """ PgBouncer in transaction mode does not pass on what PostgreSQL tells """

    @pytest.fixture
    def pooled(self, databases, relay):
        """ An office whose connections go through PgBouncer """

        databases("postgres") # skips where there is no server
        uri = make_database(SERVERS["postgres"])
        try:
            # Not one of pytest's folders: those are for nobody else
            with temporary_folder() as folder, pool_of(folder, uri) as pool:
                office = Office(pool.uri, relay)
                office.db.commit()
                yield office
                office.close()
        finally:
            on_server(SERVERS["postgres"], "DROP DATABASE %s WITH (FORCE)" %
                      uri.rpartition("/")[2])

    def test_the_database_is_asked(self, pooled):
        """ A worker behind PgBouncer finds new mail by asking """

        ear = Ear(pooled)
        ear.listen()
        assert ear.listener.connection is None

        pooled.queue(ANNE)

        assert ear.hears()

    def test_a_worker_process_sends(self, pooled, tmp_path):
        """ A worker process behind PgBouncer finds new mail, and sends it """

        employer = Employer(pooled, tmp_path)
        queued = []

        def goes_on():
            if not queued:
                queued.append(pooled.queue(ANNE))
            return pooled.relay.mails

        employer.run_until(goes_on)

        assert len(pooled.relay.mails) == 1
        employer.close()

    def test_a_waiting_worker_keeps_no_connection(self, pooled):
        """ More workers wait than PgBouncer has connections, and mail is queued and sent """

        ears = [Ear(pooled) for _ in range(4)]
        for ear in ears:
            ear.listen()

        pooled.queue(ANNE)

        assert all(ear.hears() for ear in ears)
        pooled.drain()
        assert len(pooled.relay.mails) == 1

# END =========================================================================
