"""
    What may go wrong between the database, the workers and the relay
"""

import time

from datetime import timedelta
from threading import Event, Thread

import pytest

from conftest import FakeRelay, Office
from host import eventually

from mails3.states import DRAFT, FAILED, NEW, SENT, UNSENT
from mails3.policy import LoginRefused, RelayUnavailable
from mails3.delivery.breaker import CLOSED, TRIPPED, Breaker
from mails3.queue.schema import savepoint

ANNE, BOB, POISON = "anne@example.org", "bob@example.org", "poison@example.org"

# -----------------------------------------------------------------------------
def meanwhile(office, verb, action):
    """
        Do something while the relay has a command and has not answered yet;
        on a connection of its own

        Args:
            verb: the command
            action: function of a MailS3 like that of another process

        Returns:
            the thread, started
    """

    def wait_and_act():
        assert eventually(lambda: any(seen == verb for _, seen, _ in office.relay.commands))
        db = office.connection()
        try:
            action(office.mailer(db))
        finally:
            db.rollback()
            db.close()

    thread = Thread(target=wait_and_act)
    thread.start()
    return thread

# -----------------------------------------------------------------------------
def end_of_connection(db):
    """ What another connection has to say to end this one (SQL) """

    query, end = ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend(%s)") \
        if db._adapter.dbengine == "postgres" else ("SELECT connection_id()", "KILL %s")
    number, = db.executesql(query)[0]
    db.commit()
    return end % number

# -----------------------------------------------------------------------------
def lose_a_worker(office, *ids):
    """ A worker begins to send, and is never seen again """

    courier = office.mail._run()
    now = courier.now()
    lease = courier.outbox.claim(NEW, 100, now, now + courier.lease_time)
    courier.outbox.begin(courier.outbox.claimed(lease), now, now + courier.lease_time)
    office.db.commit()
    office.later(3600)

# -----------------------------------------------------------------------------
def somebody_waits(db):
    """ Whether a transaction waits for another one's lock """

    waiting = {"postgres": "SELECT count(*) FROM pg_locks WHERE NOT granted",
               "mysql": "SELECT count(*) FROM information_schema.innodb_trx "
                        "WHERE trx_state = 'LOCK WAIT'",
               }[db._adapter.dbengine]
    number = db.executesql(waiting)[0][0]
    db.rollback()
    return number

# =============================================================================
class TestWorkerLost:
    """ Nothing is lost, and what may have been sent is known """

    def test_a_mail_that_ends_its_workers_is_set_aside(self, office):
        """ After the second, with its reason; the others go on """

        poison = office.queue(POISON)
        lose_a_worker(office)
        lose_a_worker(office)
        anne = office.queue(ANNE)

        office.drain()

        assert office.status(poison) == DRAFT
        assert "handed over twice" in office.entry(poison).mails3_delivery.reply
        assert office.status(anne) == SENT

    def test_only_what_was_begun_is_in_doubt(self, office):
        """ The rest of what the worker had claimed is new mail """

        first, second = office.queue(ANNE, BOB)
        courier = office.mail._run()
        now = courier.now()
        lease = courier.outbox.claim(NEW, 100, now, now + courier.lease_time)
        courier.outbox.begin(courier.outbox.claimed(lease)[:1], now, now + courier.lease_time)
        office.db.commit()
        office.later(3600)

        office.drain(in_doubt="hold")

        assert office.status(first) == DRAFT
        assert office.status(second) == SENT

    def test_a_worker_that_wakes_up_late_overwrites_nothing(self, office):
        """ Its lease is over, and another worker has sent the mail """

        anne = office.queue(ANNE)
        courier = office.mail._run()
        now = courier.now()
        delivery, = courier.outbox.claimed(courier.outbox.claim(NEW, 1, now,
                                                                now + courier.lease_time))
        courier.outbox.begin([delivery], now, now + courier.lease_time)
        office.later(3600)
        office.drain()

        for verb, arguments in (("deferred", ("late", now, now)), ("invalid", ("late", now)),
                                ("failed", ("late", now)), ("returned", ())):
            assert not getattr(courier.outbox, verb)(delivery, *arguments)
        assert not courier.outbox.begin([delivery], now, now)
        courier.outbox.sent([delivery], now)

        assert office.status(anne) == SENT
        assert office.entry(anne).mails3_delivery.attempts == 1

    def test_a_run_that_is_ended_keeps_the_results_it_had(self, office):
        """ Only what it was sending is in doubt; the rest is new mail """

        ids = office.queue(*["user%s@example.org" % n for n in range(4)])
        run = office.mail._run()
        send = run.transport.sending

        def send_until_ended(number, message, *args):
            if message[-1] == ["user2@example.org"]:
                # As the scheduler ends a task
                raise KeyboardInterrupt()
            return send(number, message, *args)

        run.transport.sending = send_until_ended
        with pytest.raises(KeyboardInterrupt):
            run.drain()
        office.db.rollback()

        assert [office.status(number) for number in ids] == [SENT, SENT, UNSENT, UNSENT]
        office.drain(in_doubt="hold")
        assert [office.status(number) for number in ids] == [SENT, SENT, DRAFT, SENT]
        assert len(office.relay.mails) == 3

    def test_at_most_as_many_are_in_doubt_as_there_are_sessions(self, office):
        """ Wherever a run is cut off; what it has done before is known """

        office.configure(sessions=4)
        office.queue(*["user%s@example.org" % n for n in range(40)])
        run = office.mail._run()
        sending, begun = run.transport.sending, []

        def send_until_cut_off(number, *args):
            begun.append(number)
            if len(begun) == 10:
                raise KeyboardInterrupt()
            return sending(number, *args)

        run.transport.sending = send_until_cut_off
        # Nor does it get to write anything any more
        run.outbox.release = lambda lease: None
        with pytest.raises(KeyboardInterrupt):
            run.drain()
        office.db.rollback()

        delivery = office.db.mails3_delivery
        assert office.db(delivery.begun_on != None).count() == 4
        assert office.db(office.db.msg_outbox.status == SENT).count() == 8
        assert len(office.relay.mails) == 8

    def test_a_run_keeps_what_it_has_claimed(self, office):
        """ A slow relay does not have it send with a lease that is over """

        office.queue(*["user%s@example.org" % n for n in range(4)])
        courier = office.mail._run()
        start = courier.now()
        passed = iter(range(0, 10 ** 6, 6))
        courier.now = lambda: start + timedelta(seconds=next(passed))
        courier.lease_time = timedelta(seconds=10)
        renewed = []
        renew = courier.outbox.renew
        courier.outbox.renew = lambda *args: (renewed.append(args), renew(*args))

        courier.drain()

        assert renewed
        assert len(office.relay.mails) == 4

# =============================================================================
class TestRelayGone:
    """ Per-message faults never hold the queue, relay faults never cost a message anything """

    @pytest.mark.parametrize("fault", ["drop", "silence"])
    def test_a_mail_that_the_relay_never_answers_is_handed_over_twice(self, office, fault):
        """ It delays no other mail, and then it is held: nobody knows whether it arrived """

        getattr(office.relay, fault)("BODY", to=POISON)
        poison = office.queue(POISON)
        anne, bob = office.queue(ANNE, BOB)

        for _ in range(4):
            office.drain(reply_timeout=1)
            office.retry()
            office.later(400)

        assert office.status(anne) == office.status(bob) == SENT
        assert office.status(poison) == DRAFT
        assert sum("<%s>" % POISON in argument
                   for _, verb, argument in office.relay.commands if verb == "RCPT") == 2
        assert office.state().status == "closed"

    def test_a_relay_that_drops_all_mail_is_to_blame_itself(self, office):
        """ No message pays an attempt for a relay that goes away over each of them """

        office.relay.drop("DATA")
        ids = office.queue(*["user%s@example.org" % n for n in range(12)])

        for _ in range(6):
            office.drain()
            office.later(400)

        assert {office.entry(number).mails3_delivery.attempts for number in ids} == {0}
        assert office.state().status == "tripped"

        office.relay.reset()
        office.drain()
        assert {office.status(number) for number in ids} == {SENT}

    def test_a_relay_that_drops_in_the_middle_of_a_mail_has_not_got_it(self, office):
        """ It is sent again, whole, and once """

        office.relay.drop("BODY", midway=True, times=1)
        assert office.mail.send(ANNE, "News", "There is news.\n" * 20000)
        office.db.commit()

        for _ in range(3):
            office.drain()
            office.retry()
            office.later(400)

        mail, = office.relay.mails
        assert mail.content.count(b"There is news.") == 20000

    def test_what_was_accepted_is_not_sent_again(self, office):
        """ Though the relay is gone before QUIT """

        office.relay.drop_after("BODY")
        ids = office.queue(ANNE, BOB)

        office.drain()
        office.later(3600)
        office.drain()

        assert {office.status(number) for number in ids} == {SENT}
        assert len(office.relay.mails) == 2

    def test_a_relay_that_flaps_gets_every_mail_once(self, office):
        """ Away for every other connection """

        office.relay.limit(1)
        ids = office.queue(*["user%s@example.org" % n for n in range(6)])
        for n in range(30):
            office.relay.drop("CONNECT", times=n % 2)
            office.drain()
            office.later(400)

        assert {office.status(number) for number in ids} == {SENT}
        assert len(office.relay.mails) == 6
        assert {office.entry(number).mails3_delivery.attempts for number in ids} == {1}

    def test_a_relay_that_slows_to_a_byte_a_second_ends_the_run(self, office):
        """ In time, whatever waits; it costs no attempt, and all of it leaves in the end """

        office.relay.slow("RCPT", 1)
        ids = office.queue(*["user%s@example.org" % n for n in range(5)])
        start = time.monotonic()
        office.drain(reply_timeout=1)

        assert time.monotonic() - start < 5
        assert office.state().status == TRIPPED
        assert {office.entry(number).mails3_delivery.attempts for number in ids} == {0}

        office.relay.reset()
        office.later(60)
        office.drain()
        assert {office.status(number) for number in ids} == {SENT}
        assert len(office.relay.mails) == 5

    def test_a_mail_has_so_much_time_in_all(self, small_office):
        """ From the connection to the last reply: four times that of one """

        relay = small_office.relay
        relay.delay("CONNECT", 0.9)
        relay.delay("EHLO", 0.9)
        relay.silence("BODY")
        small_office.queue(ANNE)
        start = time.monotonic()

        small_office.drain(reply_timeout=1)

        assert time.monotonic() - start < 5

    def test_a_trickling_relay_gets_a_long_list_by_and_by(self, office):
        """ Recipients that time was too short for cost no attempt, and are next """

        office.relay.delay("RCPT", 0.2)
        users = ["user%s@example.org" % n for n in range(25)]
        office.queue(users)

        office.drain(reply_timeout=1)

        assert sorted(sum((mail.recipients for mail in office.relay.mails), [])) == sorted(users)
        assert len(office.relay.mails) > 1
        assert {row.attempts for row in office.db(office.db.mails3_delivery).select()} == {1}

    def test_no_answer_to_a_whole_mail_is_a_doubt(self, office):
        """ With in_doubt = hold, it is kept: the relay may have it """

        office.relay.silence("BODY")
        anne = office.queue(ANNE)

        office.drain(reply_timeout=1, in_doubt="hold")

        assert office.status(anne) == DRAFT
        assert "In doubt" in office.entry(anne).mails3_delivery.reply

    def test_an_expired_mail_does_not_end_an_outage(self, office, caplog):
        """ The queue is opened by an answer of the relay, and by nothing else """

        office.relay.stop()
        office.queue(ANNE)
        office.drain()
        office.later(60)
        late = office.queue(BOB, expires=1, priority=0)
        office.db(office.db.mails3_message.expires_on != None).update(
                                                        expires_on="2000-01-01 00:00:00")
        office.db.commit()

        office.drain()

        assert office.status(late) == FAILED
        assert office.state().status == TRIPPED
        assert "sent again" not in caplog.text

    def test_in_the_retry_pass_a_suspect_is_behind_the_others_as_well(self, office):
        """ It does not make each probe fail """

        office.relay.answer("RCPT", "451 4.2.1 Later")
        poison, anne, bob = office.queue(POISON, ANNE, BOB)
        office.drain()
        office.relay.reset()
        office.relay.drop("BODY", to=POISON)

        for _ in range(6):
            office.later(20000)
            office.retry()

        assert office.status(anne) == office.status(bob) == SENT

    def test_a_login_that_was_refused_stays_so_whatever_fails_since(self, office):
        """ Another worker's trouble does not have it tried again """

        office.queue(ANNE)
        run = office.mail._run()
        run.relay.hold(LoginRefused("535"), "fingerprint", "login", run.now())
        run.relay.hold(RelayUnavailable("421"), "fingerprint", "login", run.now())
        office.later(3600)

        assert office.state().login_refused
        assert not run.relay.probe(run.relay.read(), run.now())

# =============================================================================
class TestConfiguration:
    """ What is wrong with it is never the mail's fault """

    @pytest.mark.parametrize("setting, value", [("login", "anne:geheüm"),
                                                ("hostname", "büro.example.org"),
                                                ("server", "smtp.example..org:25"),
                                                ("server", "a" * 70 + ".example.org:25")])
    def test_what_can_not_be_encoded_holds_the_mail(self, setting, value, tmp_path):
        """ And it leaves when that is repaired """

        with FakeRelay(login=("shelter", "right")) as relay:
            office = Office("sqlite://%s" % (tmp_path / "storage.sqlite"), relay)
            settings = office.mail.settings
            settings.login = "shelter:right"
            right, settings[setting] = settings[setting], value
            anne = office.queue(ANNE)
            office.drain()
            office.drain()
            assert office.state().status == TRIPPED

            settings[setting] = right
            office.drain()

            assert office.status(anne) == SENT
            office.close()

    def test_the_configured_sender_given_in_the_call_is_still_the_configured_one(self, office):
        """ Refused, it holds the mail """

        office.relay.answer("MAIL", "550 5.1.8 Not you")
        anne = office.queue(ANNE, sender=office.mail.settings.sender)

        office.drain()

        assert office.status(anne) == UNSENT
        assert office.state().status == TRIPPED

    def test_one_lost_worker_and_an_outage_are_not_two_lost_workers(self, office):
        """ The mail in doubt waits for the relay like all others """

        anne = office.queue(ANNE)
        lose_a_worker(office)
        office.relay.stop()
        for _ in range(3):
            office.drain()
            office.later(400)

        office.relay.start()
        office.drain()

        assert office.status(anne) == SENT

    def test_what_is_released_by_hand_is_sent(self, office):
        """ Draft and back to Unsent, by whoever may write the table """

        anne = office.queue(ANNE)
        office.db(office.db.msg_outbox.id == anne).update(status=DRAFT)
        office.db.commit()
        office.drain()
        office.db(office.db.msg_outbox.id == anne).update(status=UNSENT)
        office.db.commit()

        office.retry()
        office.drain()

        assert office.status(anne) == SENT

    def test_other_settings_are_no_reason_to_take_over_a_lease(self, office):
        """ Two servers need not have the same mails3.ini """

        office.queue(ANNE)
        courier = office.mail._run()
        now = courier.now()
        courier.outbox.claim(NEW, 1, now, now + timedelta(seconds=2000))
        office.db.commit()

        office.drain(reply_timeout=1)

        assert office.relay.connections == 0

# =============================================================================
class TestDatabase:
    """ The database is the only truth """

    def test_no_transaction_is_open_while_a_mail_is_sent(self, office):
        """ Others can write, and see no lock of ours """

        office.relay.delay("DATA", 0.5)
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
                seen.append(db.executesql("SELECT count(*) FROM information_schema.innodb_trx "
                                          "WHERE trx_mysql_thread_id <> connection_id()")[0][0])
            else:
                db.executesql("BEGIN EXCLUSIVE")
                seen.append(0)

        thread = meanwhile(office, "DATA", look)
        office.drain()
        thread.join()

        assert seen == [0]

    @pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
    def test_a_result_waits_for_the_database_to_come_back(self, office):
        """ The connection is lost while the relay takes the mail """

        office.relay.delay("BODY", 0.5)
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
    @pytest.mark.parametrize("part, verb", [("relay", "hold"), ("outbox", "release")])
    def test_what_a_run_leaves_behind_is_written(self, office, part, verb):
        """ Though it loses its connection: the relay is held, nothing stays claimed """

        office.relay.silence("CONNECT")
        office.queue(ANNE)
        run = office.mail._run()
        part, other = getattr(run, part), office.connection()
        write, cut = getattr(part, verb), end_of_connection(office.db)

        def cut_off(*args):
            setattr(part, verb, write)
            other.executesql(cut)
            write(*args)

        setattr(part, verb, cut_off)
        run.drain()
        other.close()

        assert office.state().status == TRIPPED
        assert office.db(office.db.mails3_delivery.lease != None).isempty()

    def test_a_busy_database_does_not_end_a_run(self, office):
        """ A claim that fails is made again """

        anne = office.queue(ANNE)
        run = office.mail._run()
        run.sleep = lambda seconds: None
        claim, failed = run.outbox.claim, []

        def fail_once(*args):
            if not failed:
                failed.append(True)
                office.db.executesql("SELECT nothing FROM nowhere")
            return claim(*args)

        run.outbox.claim = fail_once
        run.drain()

        assert office.status(anne) == SENT

    def test_a_clock_that_was_put_back_makes_nothing_wait(self, office):
        """ What is leased, due or probed in years is so now """

        office.relay.answer("RCPT", "451 4.3.0 Later", to=BOB, times=1)
        anne, bob = office.queue(ANNE, BOB)
        office.drain()
        office.db(office.db.msg_outbox.id == anne).update(status=UNSENT)
        office.db(office.db.mails3_delivery.outbox_id == anne).update(
                                    queue=NEW, lease="of a worker that is gone",
                                    leased_until=office.mail._run().now())
        office.later(-400 * 86400)

        office.drain()
        office.retry()

        assert office.status(anne) == office.status(bob) == SENT

    def test_a_clock_that_jumps_while_a_run_is_at_work_loses_nothing(self, office):
        """ By hours ahead, back again and further back; each mail arrives once """

        office.relay.answer("RCPT", "451 4.2.1 Later", to=BOB, times=1)
        bob, *others = office.queue(BOB, *["user%s@example.org" % n for n in range(4)])
        run = office.mail._run()
        now, send = run.now, run.transport.sending
        hours = iter((5, 5, 0, -7, -7))
        jumped = [timedelta(0)]

        def send_and_jump(*args):
            jumped[0] = timedelta(hours=next(hours))
            return send(*args)

        run.transport.sending = send_and_jump
        run.now = lambda: now() + jumped[0]
        run.drain()

        assert {office.status(number) for number in others} == {SENT}
        assert office.entry(bob).mails3_delivery.attempts == 1
        office.later(6 * 3600)
        office.retry()
        office.drain()
        assert office.status(bob) == SENT
        assert len(office.relay.mails) == 5

    @pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
    def test_a_deadlock_does_not_end_a_run(self, office):
        """ Somebody else changes the same rows, in another order """

        office.queue([ANNE, BOB])
        run = office.mail._run()
        claimed, crossing = run.outbox.claimed, Event()

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

        def claimed_and_crossed(lease):
            deliveries = claimed(lease)
            Thread(target=cross, args=[delivery.id for delivery in deliveries]).start()
            crossing.wait()
            return deliveries

        run.outbox.claimed = claimed_and_crossed
        run.drain()

        assert [mail.recipients for mail in office.relay.mails] == [[ANNE, BOB]]
        assert office.db(office.db.msg_outbox.status == UNSENT).isempty()

    def test_a_full_disk_is_not_the_visitors_trouble(self, small_office, caplog):
        """
            No exception; SQLite itself has undone what the mail was about, so
            the mail is not sent either, and the caller learns of it
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
        """ One is configured wrongly, the other one sends it all the same """

        ids = office.queue(ANNE, BOB)
        db = office.connection()
        other = office.mailer(db)
        other.site = site
        Breaker(db, site).establish()
        other.settings.sender = None
        db.commit()
        other.drain()
        assert Breaker(db, site).read().status == TRIPPED
        assert office.state().status == CLOSED
        db.close()

        office.drain()

        assert {office.status(number) for number in ids} == {SENT}
        assert office.state().status == CLOSED

    @pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
    @pytest.mark.parametrize("relay_is", ["away", "there", "refusing"])
    def test_the_fallback_locks_nothing_that_others_wait_for(self, office, relay_is):
        """ A visitor whose request goes on for long does not delay another one's mail """

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
    def test_a_double_click_is_one_mail_whatever_the_requests_see(self, office):
        """ Both have begun before either of them has queued it """

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
    def test_a_transaction_that_is_lost_takes_its_mail_with_it(self, office):
        """ The app has swallowed a database error: nothing of it will be kept """

        with pytest.raises(Exception):
            office.db.executesql("SELECT nothing FROM nowhere")

        assert office.mail.send(ANNE, "News", "There is news.") is False
        office.db.rollback()
        assert office.relay.mails == []

    def test_a_savepoint_undoes_what_was_done_in_it(self, office):
        """ And nothing else, whatever broke the statement """

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
