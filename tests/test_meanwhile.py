"""
    What others do, or the database does, in the middle of a run or of a call
"""

import time

from threading import Event, Thread

import pytest

from host import eventually
from test_faults import ANNE, BOB, end_of_connection, meanwhile, somebody_waits

from mails3.states import DRAFT, SENT
from mails3.delivery.breaker import CLOSED, TRIPPED

# =============================================================================
class TestDatabaseAway:
    """ What a relay said is not forgotten; what it did not do, it is not blamed for """

    @pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
    def test_a_probe_that_was_taken_is_sent_once(self, office):
        """ And opens the queue, though the connection is lost before that is written """

        office.relay.stop()
        anne = office.queue(ANNE)
        office.drain()
        office.relay.start()
        office.later(60)
        office.relay.delay("BODY", 0.5, times=1)
        cut = end_of_connection(office.db)

        thread = meanwhile(office, "DATA", lambda mail: mail.db.executesql(cut))
        office.drain()
        thread.join()

        assert (office.status(anne), office.state().status) == (SENT, CLOSED)
        assert len(office.relay.mails) == 1

    @pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
    def test_trouble_of_one_session_costs_no_result_of_another(self, office):
        """ All that the relay has said in a round is written """

        office.configure(sessions=3)
        office.relay.delay("BODY", 0.7)
        office.relay.drop("BODY", to="user0@example.org", times=1)
        office.queue(*["user%s@example.org" % n for n in range(30)])
        cut = end_of_connection(office.db)

        thread = meanwhile(office, "DATA", lambda mail: mail.db.executesql(cut))
        office.drain()
        thread.join()
        for _ in range(3):
            office.later(3600)
            office.drain()
            office.retry()

        arrived = [mail.recipients[0] for mail in office.relay.mails]
        assert len(arrived) == len(set(arrived)) == 30

    def test_the_relay_has_all_its_time_after_it(self, small_office):
        """ What the database took is not the relay's """

        small_office.configure(reply_timeout=1)
        small_office.queue(ANNE, BOB)
        run = small_office.mail._run()
        begin, failing = run.outbox.begin, time.monotonic() + 3.6

        def begin_when_back(*args):
            if time.monotonic() < failing:
                small_office.db.executesql("SELECT nothing FROM nowhere")
            return begin(*args)

        run.outbox.begin = begin_when_back
        small_office.relay.delay("MAIL", 0.5)
        run.drain()

        assert small_office.state().status == CLOSED
        assert len(small_office.relay.mails) == 2

    def test_what_was_claimed_is_given_back(self, small_office):
        """ After seconds of outage, not after hours of lease """

        small_office.queue(ANNE, BOB)
        run = small_office.mail._run()
        claimed, release, back = run.outbox.claimed, run.outbox.release, []

        def away(action):
            def act(lease):
                back.append(time.monotonic() + 4)
                if time.monotonic() < back[0]:
                    small_office.db.executesql("SELECT nothing FROM nowhere")
                return action(lease)
            return act

        run.outbox.claimed, run.outbox.release = away(claimed), away(release)
        with pytest.raises(Exception):
            run.drain()
        small_office.drain()

        assert len(small_office.relay.mails) == 2

# =============================================================================
class TestSetAside:
    """ What is no longer to be sent when its turn comes, is not """

    def test_in_the_hosts_own_table(self, office):
        """ Long after it has been claimed """

        ids = office.queue(*["user%s@example.org" % n for n in range(6)])

        def set_aside(mail):
            mail.db(mail.db.msg_outbox.id == ids[5]).update(status=DRAFT)
            mail.db.commit()

        office.relay.delay("BODY", 0.5, times=1)
        thread = meanwhile(office, "DATA", set_aside)
        office.drain()
        thread.join()

        assert office.status(ids[5]) == DRAFT
        assert len(office.relay.mails) == 5

    def test_by_its_end_of_life(self, small_office):
        """ While another one has its turn """

        small_office.relay.delay("BODY", 2, to=ANNE)
        small_office.queue(ANNE)
        small_office.queue(BOB, expires=1)

        small_office.drain(reply_timeout=5)

        assert [mail.recipients for mail in small_office.relay.mails] == [[ANNE]]

    def test_it_is_no_probe(self, small_office):
        """ The relay has not been asked: the next one asks it """

        office = small_office
        office.relay.stop()
        bob = office.queue(BOB)
        office.drain()
        office.queue(*["late%s@example.org" % n for n in range(20)], expires=1, priority=0)
        office.later(301)
        message = office.db.mails3_message
        office.db(message.expires_on != None).update(expires_on="2000-01-01 00:00:00")
        office.db.commit()
        assert office.state().status == TRIPPED
        office.relay.start()

        office.drain()

        assert (office.state().status, office.status(bob)) == (CLOSED, SENT)

# =============================================================================
class TestKeys:
    """ The same key is queued once, and what is said to be queued is """

    def test_another_conflict_is_not_about_the_key(self, office):
        """ The host's table was emptied, its ids begin anew: not queued, so sent at once """

        office.queue(ANNE, ANNE, ANNE)
        engine = office.db._adapter.dbengine
        office.db.executesql({"postgres": "TRUNCATE msg_outbox RESTART IDENTITY",
                              "mysql": "TRUNCATE msg_outbox",
                              "sqlite": "DELETE FROM msg_outbox"}[engine])
        if engine == "sqlite":
            office.db.executesql("DELETE FROM sqlite_sequence WHERE name = 'msg_outbox'")
        office.db.commit()

        assert office.mail.send(BOB, "News", "There is news.", idempotency_key="news")
        office.db.commit()

        assert [mail.recipients for mail in office.relay.mails] == [[BOB]]

    def test_keys_that_are_spelled_alike_are_different_keys(self, office):
        """ Neither case nor a space at the end is folded, on any engine """

        keys = ("invite-aB3xQ", "invite-Ab3Xq", "invite-aB3xQ ")
        for key in keys * 2:
            assert office.mail.send("%s@example.org" % key.strip(), "Invitation", "Come.",
                                    idempotency_key=key)
            office.db.commit()

        office.drain()
        assert len(office.relay.mails) == len(keys)

    @pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
    def test_two_visitors_who_wait_for_each_other(self, office):
        """ The database undoes what one of them did: that is not sent beside the other's """

        told, begun, ended = [], Event(), Event()

        def send(mail, address):
            told.append(mail.send(address, "News", "There is news.", idempotency_key=address))

        def visit():
            db, watch = office.connection(), office.connection()
            mail = office.mailer(db)
            send(mail, BOB)
            begun.set()
            eventually(lambda: somebody_waits(watch))
            send(mail, ANNE)
            db.commit()
            db.close()
            watch.close()
            ended.set()

        send(office.mail, ANNE)
        Thread(target=visit).start()
        begun.wait()
        send(office.mail, BOB)
        office.db.commit()
        assert ended.wait(30)
        office.drain()

        assert told.count(False) == 1
        assert sorted(mail.recipients[0] for mail in office.relay.mails) == [ANNE, BOB]

    @pytest.mark.parametrize("uri", ["sqlite", "mysql"], indirect=True)
    def test_a_double_click_that_waits_in_vain(self, office):
        """ The first one is not through yet: the second is neither queued nor sent """

        told = []
        assert office.mail.send(ANNE, "News", "There is news.", idempotency_key="click")

        def click():
            db = office.connection()
            if db._adapter.dbengine == "mysql":
                db.executesql("SET SESSION innodb_lock_wait_timeout = 1")
            told.append(office.mailer(db).send(ANNE, "News", "There is news.",
                                               idempotency_key="click"))
            db.commit()
            db.close()

        thread = Thread(target=click)
        thread.start()
        thread.join()
        office.db.commit()
        office.drain()

        assert told == [False]
        assert len(office.relay.mails) == 1

# =============================================================================
class TestRetryPass:
    """ It holds nobody up """

    @pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
    def test_it_does_not_wait_for_a_visitor(self, office):
        """ Whose request takes its time, and has queued a mail """

        office.queue(ANNE)
        visitor, worker = office.connection(), office.connection()
        assert office.mailer(visitor).send(BOB, "News", "There is news.")

        thread = Thread(target=office.mailer(worker).retry)
        thread.start()
        thread.join(10)
        waited = thread.is_alive()
        visitor.rollback()
        thread.join()
        for db in (visitor, worker):
            db.close()

        assert not waited

# END =========================================================================
