"""
    Failures of the database, and of clocks
"""

from datetime import timedelta
from threading import Event, Thread

import pytest

from support.clock import SleeplessClock
from support.meanwhile import end_of_connection, meanwhile, somebody_waits
from support.office import users, worker_that_commits
from support.site import eventually
from support.transports import WatchedTransport

from mails3.clock import utcnow
from mails3.queue.channel_row import CLOSED, TRIPPED, ChannelRow
from mails3.queue.database import savepoint
from mails3.states import NEW, SENT, UNSENT

ANNE, BOB = "anne@example.org", "bob@example.org"

# =============================================================================
class Away:
    """ A database that fails for some time, from when a run has claimed its deliveries """

    def __init__(self, office, seconds):

        self.office = office
        self.seconds = seconds
        self.clock = SleeplessClock()
        self.back_at = 0  # by the clock
        self.failures = 0

    # -------------------------------------------------------------------------
    def worker(self, **options):
        """ A worker that meets the failures, and whose pauses take no time """

        transport = WatchedTransport(self.office.mail, before_open=self.begin)
        return worker_that_commits(self.office, self.commit, transport,
                                   clock=self.clock, sleep=self.clock.sleep, **options)

    # -------------------------------------------------------------------------
    def begin(self):

        self.back_at = self.back_at or self.clock() + self.seconds

    # -------------------------------------------------------------------------
    def commit(self):

        if self.clock() < self.back_at:
            self.failures += 1
            self.office.db.executesql("SELECT nothing FROM nowhere")
        self.office.db.commit()

# =============================================================================
class TestDatabaseAway:
    """ A lost connection to the database loses no result, and is no fault of the relay """

    @pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
    def test_an_accepted_probe_is_sent_once(self, office):
        """
            An accepted probe is sent once and closes the breaker although the connection is
            lost before the result is written
        """

        office.relay.stop()
        anne = office.queue(ANNE)
        office.drain()
        office.relay.start()
        office.later(60)
        cut = end_of_connection(office.db)

        thread = meanwhile(office, "DATA", lambda mail: mail.db.executesql(cut))
        office.drain()
        thread.join()

        assert (office.status(anne), office.state().status) == (SENT, CLOSED)
        assert len(office.relay.mails) == 1

    @pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
    def test_a_failed_session_costs_no_result_of_another(self, office):
        """ All results of a round are written although one session has failed """

        office.configure(sessions=3)
        office.relay.drop("BODY", to="user00@example.org", times=1)
        office.queue(*users(12))
        cut = end_of_connection(office.db)

        thread = meanwhile(office, "DATA", lambda mail: mail.db.executesql(cut),
                           to="user00@example.org")
        office.relay.hold("DATA", lambda: not thread.is_alive())
        office.drain()
        thread.join()
        for _ in range(3):
            office.later(3600)
            office.drain()
            office.retry()

        arrived = [mail.recipients[0] for mail in office.relay.mails]
        assert len(arrived) == len(set(arrived)) == 12

    def test_time_in_the_database_is_not_the_relays(self, small_office):
        """ The relay's time-out begins after a slow statement of the database """

        office = small_office
        office.configure(reply_timeout=1)
        office.relay.delay("MAIL", 0.5)
        office.queue(ANNE, BOB)
        away = Away(office, seconds=3.6)

        away.worker().drain()

        assert away.failures > 2
        assert office.state().status == CLOSED
        assert len(office.relay.mails) == 2

    def test_claims_are_given_back_after_an_outage_of_the_database(self, small_office):
        """ Claims are given back when the database returns, long before their lease ends """

        office = small_office
        office.queue(ANNE, BOB)
        # The run goes on for as long as a message may take, to begin its messages, to write
        # its results, and to give its claims back
        worker = Away(office, seconds=20).worker(message_time_s=8)
        with pytest.raises(Exception):
            worker.drain()
        office.db.rollback()
        assert office.relay.mails == []

        office.drain()

        assert len(office.relay.mails) == 2

# =============================================================================
class TestDatabase:
    """ The database is the only truth """

    def test_no_transaction_is_open_while_a_mail_is_sent(self, office):
        """ Others can write while a message is sent, and meet no lock of ours """

        office.queue(ANNE)
        seen = []

        def look(mail):
            db = mail.db
            engine = db._adapter.dbengine
            if engine == "postgres":
                seen.append(db.executesql("SELECT count(*) FROM pg_stat_activity WHERE "
                                          "datname = current_database() AND "
                                          "pid <> pg_backend_pid() AND "
                                          "state LIKE 'idle in transaction%'")[0][0])
            elif engine == "mysql":
                seen.append(db.executesql("SELECT count(*) FROM information_schema.innodb_trx, "
                                          "information_schema.processlist "
                                          "WHERE id = trx_mysql_thread_id AND db = DATABASE() "
                                          "AND id <> connection_id()")[0][0])
            else:
                db.executesql("BEGIN EXCLUSIVE")
                seen.append(0)

        thread = meanwhile(office, "DATA", look)
        office.drain()
        thread.join()

        assert seen == [0]

    @pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
    def test_a_result_waits_for_the_database_to_come_back(self, office):
        """
            A result is written although the connection was lost while the relay took the
            message
        """

        anne = office.queue(ANNE)
        cut = end_of_connection(office.db)

        thread = meanwhile(office, "DATA", lambda mail: mail.db.executesql(cut))
        office.drain()
        thread.join()

        assert office.status(anne) == SENT
        office.later(3600)
        office.drain()
        assert len(office.relay.mails) == 1

    @pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
    @pytest.mark.parametrize("step", ["breaker-trip", "claims-release"])
    def test_a_run_writes_its_end_over_a_new_connection(self, office, step):
        """ A run that has lost its connection still trips the breaker and gives its claims back """

        other, cuts = office.connection(), [end_of_connection(office.db)]

        class Refused(WatchedTransport):

            def fingerprint(self, salt):
                # The run asks for it when it trips the breaker
                if step == "breaker-trip" and cuts:
                    other.executesql(cuts.pop())
                return super().fingerprint(salt)

        def commit():
            office.db.commit()
            status = ChannelRow(other, "shelter").read().status
            other.commit()
            if status == TRIPPED and cuts:
                other.executesql(cuts.pop())

        office.relay.stop()
        office.queue(ANNE)
        worker_that_commits(office, commit, Refused(office.mail)).drain()
        other.close()

        assert not cuts
        assert office.state().status == TRIPPED
        assert office.db(office.db.mails3_delivery.lease != None).isempty()

    def test_a_busy_database_does_not_end_a_run(self, office):
        """ A claim that fails in a busy database is made again """

        anne = office.queue(ANNE)
        failed = []

        def fail_to_claim_once():
            if not failed and not office.db(office.db.mails3_delivery.lease != None).isempty():
                failed.append(True)
                office.db.executesql("SELECT nothing FROM nowhere")
            office.db.commit()

        clock = SleeplessClock()
        worker_that_commits(office, fail_to_claim_once, clock=clock, sleep=clock.sleep).drain()

        assert failed
        assert office.status(anne) == SENT

    def test_a_clock_set_back_makes_nothing_wait(self, office):
        """ Leases and due times that are years ahead count as over """

        office.relay.answer("RCPT", "451 4.3.0 Later", to=BOB, times=1)
        anne, bob = office.queue(ANNE, BOB)
        office.drain()
        office.db(office.db.msg_outbox.id == anne).update(status=UNSENT)
        office.db(office.db.mails3_delivery.outbox_id == anne).update(
                                    queue=NEW, lease="of a worker that is gone",
                                    leased_until=office.mail.channel().worker().now())
        office.later(-400 * 86400)

        office.drain()
        office.retry()

        assert office.status(anne) == office.status(bob) == SENT

    def test_a_clock_that_jumps_during_a_run_loses_nothing(self, office):
        """ Each message arrives once although the clock jumps by hours during the run """

        office.relay.answer("RCPT", "451 4.2.1 Later", to=BOB, times=1)
        bob, *others = office.queue(BOB, *["user%s@example.org" % n for n in range(4)])
        hours, jumped = iter((5, 5, 0, -7, -7)), [timedelta(0)]

        def jump(outgoing):
            jumped[0] = timedelta(hours=next(hours))

        transport = WatchedTransport(office.mail, before=jump)
        office.mail.channel().worker(transport = transport,
                                     now = lambda: utcnow() + jumped[0],
                                     ).drain()

        assert {office.status(number) for number in others} == {SENT}
        assert office.entry(bob).mails3_delivery.attempts == 1
        office.later(6 * 3600)
        office.retry()
        office.drain()
        assert office.status(bob) == SENT
        assert len(office.relay.mails) == 5

    @pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
    def test_a_deadlock_does_not_end_a_run(self, office):
        """ A run goes on after a deadlock with somebody who changes the same rows """

        office.queue([ANNE, BOB])
        crossing = Event()

        def cross(first, second):
            db, watch = office.connection(), office.connection()
            table = db.mails3_delivery
            # The database undoes the transaction that has written less
            for n in range(50):
                db.msg_outbox.insert(address=ANNE, status=SENT)
            db(table.id == second).update(tried_on=None)
            crossing.set()
            eventually(lambda: somebody_waits(watch))
            db(table.id == first).update(tried_on=None)
            db.commit()
            db.close()
            watch.close()

        def begin_to_cross():
            if not crossing.is_set():
                rows = office.db(office.db.mails3_delivery).select()
                office.db.commit()
                Thread(target=cross, args=sorted(row.id for row in rows)).start()
                crossing.wait()

        transport = WatchedTransport(office.mail, before_open=begin_to_cross)
        office.mail.channel().worker(transport=transport).drain()

        assert [mail.recipients for mail in office.relay.mails] == [[ANNE, BOB]]
        assert office.db(office.db.msg_outbox.status == UNSENT).isempty()

    def test_a_full_disk_raises_no_exception(self, small_office, caplog):
        """
            send() returns False where SQLite has undone the caller's transaction over a full
            disk, and nothing is sent
        """

        office = small_office
        office.db.msg_outbox.insert(address="before@example.org")
        pages = office.db.executesql("PRAGMA page_count")[0][0]
        office.db.executesql("PRAGMA max_page_count = %s" % pages)

        assert office.mail.send(ANNE, "News", "x" * 1000000) is False

        office.db.executesql("PRAGMA max_page_count = %s" % (pages + 1000))
        office.db.commit()
        assert office.db(office.db.msg_outbox).isempty()
        assert office.relay.mails == []
        assert "transaction is lost" in caplog.text
        office.queue(ANNE)

    @pytest.mark.parametrize("site", ["another", "Shelter"])
    def test_two_sites_in_one_database_do_not_hold_each_others_mail(self, office, site):
        """
            A site with a wrong configuration does not delay the mail of another site in the
            same database
        """

        ids = office.queue(ANNE, BOB)
        db = office.connection()
        other = office.mailer(db)
        other.site = site
        ChannelRow(db, site).ensure()
        other.settings.sender = None
        db.commit()
        other.drain()
        assert ChannelRow(db, site).read().status == TRIPPED
        assert office.state().status == CLOSED
        db.close()

        office.drain()

        assert {office.status(number) for number in ids} == {SENT}
        assert office.state().status == CLOSED

    @pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
    @pytest.mark.parametrize("relay_is", ["away", "there", "refusing"])
    def test_the_fallback_locks_nobody_out(self, office, relay_is):
        """ A visitor's long request does not delay the mail of another one """

        office.configure(fallback="yes", fallback_timeout=1)
        if relay_is == "away":
            office.relay.stop()
        elif relay_is == "refusing":
            office.relay.answer("RCPT", "451 4.2.1 Later")
        assert office.mail.send(ANNE, "News", "There is news.")

        # Would give up before long, and say so
        db = office.connection()
        assert office.mailer(db).send([BOB, "carl@example.org"], "News", "There is news.")
        db.commit()
        db.close()
        office.db.commit()

        outbox = office.db.msg_outbox
        assert [row.address for row in office.db(outbox).select(orderby=outbox.address)] == \
               [ANNE, BOB, "carl@example.org"]
        assert office.state().status == (TRIPPED if relay_is == "away" else CLOSED)
        assert {row.status for row in office.db(outbox).select()} == \
               {SENT if relay_is == "there" else UNSENT}

    @pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
    def test_a_double_click_in_two_transactions_is_one_mail(self, office):
        """ Two transactions that both began before the first mail was queued queue one mail """

        office.configure(fallback="no")
        db = office.connection()
        db(db.msg_outbox).count()
        office.queue(ANNE, idempotency_key="click")

        assert office.mailer(db).send(ANNE, "News", "There is news.", idempotency_key="click")
        db.commit()
        db.close()
        office.drain()

        assert len(office.relay.mails) == 1

    @pytest.mark.parametrize("uri", ["postgres"], indirect=True)
    def test_a_lost_transaction_loses_its_mail(self, office):
        """ Nothing is queued in a transaction whose database error the app has swallowed """

        with pytest.raises(Exception):
            office.db.executesql("SELECT nothing FROM nowhere")

        assert office.mail.send(ANNE, "News", "There is news.") is False
        office.db.rollback()
        assert office.relay.mails == []

    def test_a_savepoint_undoes_its_own_statements(self, office):
        """ A savepoint undoes the statements in it and no other """

        db = office.db
        db.msg_outbox.insert(address="before@example.org")
        with pytest.raises(Exception):
            with savepoint(db, "test"):
                db.msg_outbox.insert(address="within@example.org")
                db.executesql("SELECT nothing FROM nowhere")
        db.msg_outbox.insert(address="after@example.org")
        db.commit()

        assert [row.address for row in db(db.msg_outbox).select(orderby=db.msg_outbox.id)] == \
               ["before@example.org", "after@example.org"]

# END =========================================================================
