"""
    Changes by others in the middle of a run or of a call
"""

from datetime import timedelta
from threading import Event, Thread

import pytest

from support.meanwhile import meanwhile, somebody_waits
from support.site import eventually
from support.transports import WatchedTransport

from mails3.clock import utcnow
from mails3.delivery.breaker import CLOSED, TRIPPED
from mails3.states import DRAFT, FAILED, SENT

ANNE, BOB = "anne@example.org", "bob@example.org"

# =============================================================================
class TestSetAside:
    """ A delivery that is no longer wanted when its turn comes is not sent """

    def test_a_row_held_in_the_outbox_is_not_sent(self, office):
        """ A row that was held in msg_outbox after the claim is not sent """

        ids = office.queue(*["user%s@example.org" % n for n in range(6)])

        def set_aside(mail):
            mail.db(mail.db.msg_outbox.id == ids[5]).update(status=DRAFT)
            mail.db.commit()

        thread = meanwhile(office, "DATA", set_aside)
        office.drain()
        thread.join()

        assert office.status(ids[5]) == DRAFT
        assert len(office.relay.mails) == 5

    def test_a_message_that_expires_in_its_run_is_not_sent(self, small_office):
        """ A message that expires while another one is being sent is not sent """

        office = small_office
        office.queue(ANNE)
        bob = office.queue(BOB, expires=60)
        office.clock = utcnow()

        def take_time(outgoing):
            office.clock += timedelta(seconds=61)

        transport = WatchedTransport(office.mail, before=take_time)
        office.mail.channel().worker(transport=transport, now=lambda: office.clock).drain()

        assert [mail.recipients for mail in office.relay.mails] == [[ANNE]]
        assert office.status(bob) == FAILED

    def test_a_held_row_is_no_probe(self, small_office):
        """ After a claimed row was held, the next message is the probe """

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
    """ A message is queued once for each key, and send() tells the truth about it """

    def test_another_conflict_is_no_double_click(self, office):
        """ A mail that conflicts with another row than that of its key is sent directly """

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

    def test_keys_differ_by_case_and_spaces(self, office):
        """ Keys that differ in case or by a space at the end are two keys on each engine """

        keys = ("invite-aB3xQ", "invite-Ab3Xq", "invite-aB3xQ ")
        for key in keys * 2:
            assert office.mail.send("%s@example.org" % key.strip(), "Invitation", "Come.",
                                    idempotency_key=key)
            office.db.commit()

        office.drain()
        assert len(office.relay.mails) == len(keys)

    @pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
    def test_a_deadlock_of_two_visitors_sends_one_mail(self, office):
        """
            Of two visitors with one key in a deadlock, one has the mail queued and none sends
            it directly
        """

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
    def test_a_double_click_that_times_out_is_not_sent(self, office):
        """ A second click that waits too long for the first one is neither queued nor sent """

        told = []
        assert office.mail.send(ANNE, "News", "There is news.", idempotency_key="click")

        def click():
            db = office.connection()
            if db._adapter.dbengine == "mysql":
                db.executesql("SET SESSION innodb_lock_wait_timeout = 1")
            else:
                db.executesql("PRAGMA busy_timeout = 100")
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
    """ The retry pass locks nobody out """

    @pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
    def test_the_retry_pass_does_not_wait_for_a_visitor(self, office):
        """ The retry pass runs while a visitor's long transaction has queued a mail """

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
