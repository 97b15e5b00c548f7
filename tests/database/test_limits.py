"""
    Limits of the site and of the host: how much mail may go in which time
"""

import logging

from datetime import timedelta
from random import Random
from threading import Barrier, Thread

import pytest

from support.office import attempts, claim, users, worker_that_commits
from support.simulated_site import enter_app
from support.statements import COMMIT, statements, watched
from support.transports import InstantTransport

from mails3 import mail as mail_module
from mails3.admin.alerts import Alerts
from mails3.admin.status import Status
from mails3.clock import utcnow
from mails3.delivery.breaker import CLOSED
from mails3.delivery.outgoing import Outgoing
from mails3.delivery.shared_limits import SharedLimits
from mails3.policy import REFUSALS_IN_A_ROW
from mails3.states import DEFERRED, SENT, UNSENT

ANNE, BOB = "anne@example.org", "bob@example.org"

# After so many seconds, what went before counts no longer for a rate per hour or minute
NEXT_HOUR_S, NEXT_MINUTE_S = 3700, 62

# =============================================================================
class Clock:
    """ A clock whose sleeps take no time, and whose time is not the database's """

    def __init__(self, tick_s=0):
        """
            Args:
                tick_s: how much time passes each time it is asked (seconds)
        """

        self.time = utcnow()
        self.tick = timedelta(seconds=tick_s)
        self.sleeps = []

    # -------------------------------------------------------------------------
    def now(self):
        """ The time (datetime) """

        self.time += self.tick
        return self.time

    # -------------------------------------------------------------------------
    def sleep(self, seconds):
        """ Have so much time passed """

        self.sleeps.append(seconds)
        self.time += timedelta(seconds=seconds)

    # -------------------------------------------------------------------------
    def options(self):
        """ The options of a Worker that lives by this clock """

        return {"now": self.now, "sleep": self.sleep}

# -----------------------------------------------------------------------------
def sent(office, ids):
    """ How many of some deliveries are sent """

    return [office.status(number) for number in ids].count(SENT)

# -----------------------------------------------------------------------------
def run(office, **options):
    """ A drain without a connection: the addresses that were accepted, in their order """

    transport = InstantTransport(office.mail)
    office.mail.channel().worker(transport=transport, **options).drain()
    return transport.accepted

# -----------------------------------------------------------------------------
def defer(office, ids):
    """ Have some deliveries due for a retry pass """

    delivery = office.db.mails3_delivery
    office.db(delivery.outbox_id.belongs(ids)).update(queue=DEFERRED)
    office.db.commit()

# -----------------------------------------------------------------------------
def work_together(office, count):
    """
        Several workers send, each with a connection of its own; two of them do not
        begin to send before both have claimed

        Args:
            office: the Office
            count: of the workers

        Returns:
            list of the addresses that were accepted
    """

    accepted, barrier = [], Barrier(2, timeout=30)

    def work():
        enter_app()
        db = office.connection()
        try:
            mail = office.mailer(db)
            transport = InstantTransport(mail)
            if count == 2:
                transport.before_open = wait_once(transport, barrier)
            mail.channel().worker(transport=transport, max_wait_s=0).drain()
            accepted.extend(transport.accepted)
        finally:
            db.rollback()
            db.close()

    threads = [Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    office.db.commit()
    return accepted

# -----------------------------------------------------------------------------
def wait_once(transport, barrier):
    """ A function that waits at a barrier the first time that it is called """

    def wait():
        transport.before_open = None
        barrier.wait()

    return wait

# =============================================================================
class TestRates:
    """ The rates that the site sets """

    def test_workers_keep_a_limit_together(self, office, caplog):
        """ Workers that claim at the same time never send more than the limit allows """

        office.configure(rate="25/hour", sessions=20)
        ids = office.queue(*users(60))

        accepted = work_together(office, 2)

        assert len(accepted) == sent(office, ids) == 25
        assert "does not take a result" not in caplog.text
        # What was claimed beyond that is free again
        office.later(NEXT_HOUR_S)
        assert len(run(office)) == 25
        assert sum(attempts(office, number) for number in ids) == sent(office, ids) == 50

    def test_many_workers_do_not_lock_each_other_out(self, office, caplog):
        """ Workers that change the limits all the time wait for each other, and go on """

        office.configure(rate="1000/hour, 5000/day", sessions=2)
        ids = office.queue(*users(80))

        accepted = work_together(office, 4)

        assert sorted(accepted) == sorted(users(80))
        assert sent(office, ids) == 80
        if office.db._adapter.dbengine != "sqlite":
            # SQLite has one writer, and tells the others to try again
            assert "does not take a result" not in caplog.text

    def test_a_message_is_cut_where_recipients_count(self, office):
        """
            Of a message with more recipients than may go, as many get it as may; the others
            get it later, and no attempt is counted for them
        """

        office.configure(rate="5/hour")
        office.mail.send(users(8), "News", "There is news.")
        office.db.commit()
        ids = [row.id for row in office.db(office.db.msg_outbox).select()]

        office.drain()

        assert [len(mail.recipients) for mail in office.relay.mails] == [5]
        assert sorted((office.status(number), attempts(office, number)) for number in ids) == \
            3 * [(UNSENT, 0)] + 5 * [(SENT, 1)]

        office.later(NEXT_HOUR_S)
        office.drain()
        assert sorted(office.relay.mails[0].recipients + office.relay.mails[1].recipients) == \
            users(8)
        assert len({mail.message["Message-ID"] for mail in office.relay.mails}) == 1

    def test_a_message_is_not_cut_where_messages_count(self, office):
        """ Where messages count, a message to fifty is one, also if it is the last one left """

        office.configure(rate="2/hour", rate_counts="messages")
        for _ in range(3):
            office.mail.send(users(50), "News", "There is news.")
        office.db.commit()

        office.drain()
        assert [len(mail.recipients) for mail in office.relay.mails] == [50, 50]

        office.later(NEXT_HOUR_S)
        office.drain()
        assert [len(mail.recipients) for mail in office.relay.mails] == [50, 50, 50]

    def test_individual_mails_count_each(self, office):
        """ Of the individual mails of one message, no more go than messages may """

        office.configure(rate="2/hour", rate_counts="messages")
        office.mail.send(users(5), "News", "There is news.")
        office.db(office.db.mails3_message).update(individual=True)
        office.db.commit()

        assert len(run(office)) == 2

    def test_all_limits_hold_at_once(self, office):
        """ Of several limits, the one that allows the least decides """

        office.configure(rate="3/minute, 5/hour")
        ids = office.queue(*users(9))

        counts = []
        for seconds in (NEXT_MINUTE_S, NEXT_MINUTE_S, NEXT_HOUR_S, 0):
            office.drain()
            counts.append(sent(office, ids))
            office.later(seconds)

        assert counts == [3, 5, 5, 8]

    def test_without_the_setting_mail_goes_at_once(self, office):
        """ When the setting is removed, mail that waits goes at once """

        ids = office.queue(*users(5))
        office.drain(rate="1/day")
        assert sent(office, ids) == 1

        office.drain(rate="")
        assert sent(office, ids) == 5

    def test_a_clock_that_is_put_back_does_not_block(self, small_office):
        """ After the clock was put back, mail goes again within two periods """

        office, clock = small_office, Clock()
        office.configure(rate="1/minute")
        office.queue(*users(4))
        assert len(run(office, now=clock.now)) == 1

        clock.time -= timedelta(seconds=30)
        assert run(office, now=clock.now) == []
        clock.time += timedelta(seconds=2 * 61)
        assert len(run(office, now=clock.now)) == 1

        clock.time -= timedelta(days=365)
        assert len(run(office, now=clock.now)) == 1

    def test_a_row_of_before_has_counted_nothing(self, office):
        """ The row of a site that was made before there were limits is counted in as well """

        office.configure(rate="2/hour")
        ids = office.queue(*users(3))
        office.db(office.db.mails3_channel).update(pace=None, pace_no=None)
        office.db.commit()

        for _ in range(2):
            office.drain()

        assert sent(office, ids) == 2

# =============================================================================
class TestTurns:
    """ Which mail goes first while a limit holds mail up """

    def test_urgent_mail_takes_the_next_free_slot(self, office):
        """ A mail of priority 0 goes next, though a hundred of priority 9 wait """

        office.configure(rate="1/minute")
        office.queue(*users(100), priority=9)
        office.drain()
        urgent = office.queue(ANNE, priority=0)
        office.drain()
        assert office.status(urgent) == UNSENT

        office.later(NEXT_MINUTE_S)
        office.drain()
        assert office.status(urgent) == SENT

    @pytest.mark.parametrize("rate", ["1/minute", "8/minute"])
    def test_the_retry_pass_has_its_turns(self, small_office, rate):
        """ While new mail waits for a limit, deferred mail goes too, and the new mail mostly """

        office, chance = small_office, Random(1).random
        office.configure(rate=rate)
        deferred = office.queue(*users(200, "deferred"))
        defer(office, deferred)
        office.queue(*users(200, "new"))

        accepted = []
        for _ in range(24):
            accepted += run(office, chance=chance)
            office.later(NEXT_MINUTE_S)

        part = sum(address.startswith("deferred") for address in accepted) / len(accepted)
        assert len(accepted) == 24 * int(rate[0])
        assert 0.1 < part < 0.45

    def test_without_a_limit_a_drain_sends_new_mail_only(self, small_office):
        """ Where there is no limit, a drain leaves deferred mail to the retry pass """

        office = small_office
        defer(office, [office.queue(BOB)])
        office.queue(ANNE)

        assert run(office, chance=lambda: 0) == [ANNE]

    def test_a_retry_pass_does_not_begin_where_nothing_may_go(self, small_office):
        """ A limit that is reached uses up no retry pass """

        office = small_office
        office.configure(rate="1/hour")
        office.queue(ANNE)
        office.drain()
        defer(office, [office.queue(BOB)])

        office.retry(retry_interval=300)
        assert office.state().retried_on is None

        office.later(NEXT_HOUR_S)
        office.retry()
        assert [mail.recipients for mail in office.relay.mails] == [[ANNE], [BOB]]

# =============================================================================
class TestNoIncident:
    """ A limit that is reached is normal """

    def test_a_limit_is_no_incident(self, office, caplog):
        """ At a limit, the breaker stays closed, nobody is told, and no attempt is counted """

        office.configure(rate="1/day")
        ids = office.queue(*users(3))

        with caplog.at_level(logging.INFO):
            for _ in range(2):
                office.drain()
                office.later(7200)
            Alerts(office.mail).run()

        assert sent(office, ids) == 1
        assert sum(attempts(office, number) for number in ids) == 1
        assert office.state().status == CLOSED
        assert not any(record.levelno >= logging.WARNING for record in caplog.records)
        assert office.db(office.db.mails3_incident.is_active == True).isempty()

    def test_mail_that_waits_for_a_limit_is_no_hanging_worker(self, small_office):
        """ A worker hangs if mail might go and does not, not if it waits for a limit """

        office = small_office
        office.configure(rate="1/hour")
        office.queue(*users(3))
        office.drain()

        # The last: the mail might have gone just now, a worker has not looked yet
        for seconds in (1800, 1900):
            office.later(seconds)
            assert Status(office.mail, utcnow()).problems == []

        office.later(600)
        problem, = Status(office.mail, utcnow()).problems
        assert problem.title == "The worker seems to hang"

# =============================================================================
class TestWaits:
    """ How long a run waits for a limit """

    @pytest.mark.parametrize("left_s, count", [(14, 2), (16, 1)])
    def test_a_run_waits_a_moment_for_a_limit(self, small_office, left_s, count):
        """ A run waits up to 15 seconds until the next mail may go, else it ends at once """

        office, clock = small_office, Clock()
        clock.time = clock.time.replace(second=0, microsecond=0)
        office.configure(rate="1/minute")
        office.queue(*users(3))
        run(office, **clock.options())
        assert clock.sleeps == []

        clock.time += timedelta(seconds=61 - left_s)
        run(office, **clock.options())

        assert sum(clock.sleeps) == (left_s if count == 2 else 0)
        assert office.db(office.db.msg_outbox.status == SENT).count() == count

    @pytest.mark.parametrize("tick_s", [0, 0.001, 0.007, 0.013])
    def test_a_run_does_not_end_with_a_short_wait(self, small_office, tick_s):
        """ A wait that ends while the run looks at something else does not end the run """

        office, clock = small_office, Clock(tick_s)
        office.configure(rate="14/second")
        office.queue(*users(60))

        assert len(run(office, **clock.options())) == 60

    def test_a_retry_pass_does_not_wait(self, small_office):
        """ A retry pass sends what may go, and ends """

        office, clock = small_office, Clock()
        office.configure(rate="2/second")
        defer(office, office.queue(*users(3)))
        transport = InstantTransport(office.mail)

        office.mail.channel().worker(transport=transport, **clock.options()).retry()

        assert (len(transport.accepted), clock.sleeps) == (2, [])

    def test_a_script_does_not_wait(self, office):
        """ A script's own mail goes if it may, and is queued if not, without a wait """

        office.configure(rate="1/hour", fallback="yes")
        first, second = office.queue(ANNE, BOB)

        assert (office.status(first), office.status(second)) == (SENT, UNSENT)
        assert office.entry(second).mails3_delivery.lease is None

        clock = Clock()
        office.mail.channel().worker(transport=InstantTransport(office.mail), **clock.options()
                                     ).send_own([office.entry(second).mails3_delivery.id])
        assert clock.sleeps == []

# =============================================================================
class TestDirect:
    """ Mail that is sent without the queue """

    def test_a_direct_mail_counts_and_does_not_wait(self, office):
        """ send_direct_email() counts for the limit of the site, and is never held up by it """

        office.configure(rate="3/hour")
        for _ in range(2):
            assert office.mail.send_direct_email([ANNE, BOB], "News", "There is news.")
        office.db.commit()
        ids = office.queue(*users(2))

        office.drain()
        assert (len(office.relay.mails), sent(office, ids)) == (2, 0)

        office.later(NEXT_HOUR_S)
        office.drain()
        assert sent(office, ids) == 2

    def test_a_direct_mail_counts_what_is_left(self, office):
        """ What a direct mail leaves of a limit goes """

        office.configure(rate="3/hour")
        assert office.mail.send_direct_email([ANNE, BOB], "News", "There is news.")
        ids = office.queue(*users(2))

        office.drain()

        assert sent(office, ids) == 1

    def test_a_direct_mail_counts_also_if_the_request_is_undone(self, office):
        """ A direct mail counts though its caller rolls back: it has gone """

        office.configure(rate="1/hour")
        assert office.mail.send_direct_email(ANNE, "News", "There is news.")
        office.db.rollback()
        bob = office.queue(BOB)

        office.drain()

        assert office.status(bob) == UNSENT

    @pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
    def test_a_direct_mail_locks_nothing(self, office):
        """ After a direct mail, no worker waits for the end of the caller's transaction """

        office.configure(rate="5/hour")
        assert office.mail.send(BOB, "News", "There is news.")
        assert office.mail.send_direct_email(ANNE, "News", "There is news.")

        other = office.connection()
        channel = office.mailer(other).channel()
        assert channel.row.update(retried_on = utcnow())
        other.commit()
        other.close()

    def test_a_direct_mail_in_a_transaction_that_has_written_counts(self, office):
        """ A direct mail counts where the caller's transaction has written before """

        office.configure(rate="2/hour")
        first = office.mail.send(BOB, "News", "There is news.")
        assert first and office.mail.send_direct_email(ANNE, "News", "There is news.")
        office.db.commit()
        office.queue(*users(2))

        office.drain()

        assert len(office.relay.mails) == 2

    def test_mail_that_the_queue_cannot_take_counts(self, office, monkeypatch):
        """ A mail that is sent directly because the queue can't take it counts as well """

        def fail(*args, **kwargs):
            raise RuntimeError("The disk is full")

        office.configure(rate="1/hour")
        with monkeypatch.context() as patch:
            patch.setattr(mail_module, "enqueue", fail)
            assert office.mail.send(ANNE, "News", "There is news.")
        bob = office.queue(BOB)

        office.drain()

        assert [mail.recipients for mail in office.relay.mails] == [[ANNE]]
        assert office.status(bob) == UNSENT

    def test_a_mail_that_is_not_handed_over_does_not_count(self, office):
        """ A direct mail that the relay could not be asked about counts for nothing """

        office.configure(rate="1/hour")
        office.relay.stop()
        assert not office.mail.send_direct_email(ANNE, "News", "There is news.")
        office.relay.start()
        bob = office.queue(BOB)

        office.drain()

        assert office.status(bob) == SENT

    def test_a_count_that_fails_is_logged(self, office, caplog):
        """ A direct mail that can't be counted is sent, and the log says so """

        office.configure(rate="1/hour")
        office.db(office.db.mails3_channel).delete()
        office.db.commit()

        assert office.mail.send_direct_email(ANNE, "News", "There is news.")
        assert "is not counted" in caplog.text
        assert office.db(office.db.msg_outbox).isempty()

    def test_without_a_limit_a_direct_mail_costs_no_statement(self, office):
        """ Without a limit, send_direct_email() does not ask the database """

        assert statements(office, lambda: office.mail.send_direct_email(ANNE, "News", "News.")) \
            == []

# =============================================================================
class TestCost:
    """ What limits cost """

    @staticmethod
    def drained(office, **given):
        """ The statements of a run of a hundred mails """

        office.configure(sessions=10, **given)
        office.queue(*users(100))
        now = utcnow()
        worker = office.mail.channel().worker(transport = InstantTransport(office.mail),
                                              now = lambda: now, clock = lambda: 0,
                                              chance = lambda: 1)
        return statements(office, worker.drain)

    @pytest.mark.parametrize("rate", ["1000/hour", "1000/minute, 1000/hour, 100000/day"])
    def test_limits_cost_one_statement_per_round(self, office, rate):
        """ With limits, a round of messages costs one statement more, however many limits """

        without, limited = self.drained(office), self.drained(office, rate=rate)

        rounds = [text for text in limited if text.startswith("UPDATE") and "begun_on = " in text
                  and "tried_on" in text]
        counts = [text for text in limited if text.startswith("UPDATE") and "pace_no" in text]
        assert len(counts) == len(rounds) == len(limited) - len(without) > 1

    def test_without_limits_nothing_is_written(self, office):
        """ Without a limit, no run writes or reads anything for it """

        assert not any("pace" in text for text in self.drained(office)
                       if text.startswith("UPDATE"))

# =============================================================================
class TestFaults:
    """ What is counted stays right if the database fails """

    @pytest.mark.parametrize("is_committed", [False, True])
    def test_a_commit_that_fails_allows_no_more(self, office, is_committed):
        """ If the commit of what was counted fails, or seems to fail, the limit holds """

        office.configure(rate="3/hour")
        ids = office.queue(*users(5))
        counted = []

        def commit():
            if counted and counted[-1] == "counted":
                counted.append("failed")
                if is_committed:
                    office.db.commit()
                raise ConnectionError("The database has gone away")
            office.db.commit()

        def note(statement):
            if "pace_no" in statement and statement.startswith("UPDATE") and not counted:
                counted.append("counted")

        transport = InstantTransport(office.mail)
        worker = worker_that_commits(office, commit, transport, sleep=lambda _: None)
        with watched(office.db, lambda text: text == COMMIT or note(text)):
            worker.drain()

        assert counted == ["counted", "failed"]
        # A message that is counted twice takes the place of another one
        assert len(transport.accepted) == sent(office, ids) == (2 if is_committed else 3)
        office.later(NEXT_HOUR_S)
        run(office)
        assert sent(office, ids) == 5

    def test_the_row_of_the_channel_is_changed_last(self, small_office):
        """
            No run changes the row of the channel and then a delivery in one transaction: two
            workers never wait for each other
        """

        office = small_office
        office.configure(rate="1000/hour", sessions=2)
        office.queue(*users(40))
        office.relay.answer("RCPT", "550 5.1.1 No such user", times=REFUSALS_IN_A_ROW + 5)
        written = []

        def note(text):
            if text == COMMIT or text.startswith("UPDATE"):
                written.append(text if text == COMMIT else text.split()[1].strip('"'))

        with watched(office.db, note):
            office.drain()

        transactions = " ".join(written).split(COMMIT)
        assert sum("mails3_channel" in each for each in transactions) > 10
        for each in transactions:
            assert "mails3_channel mails3_delivery" not in each
            assert "mails3_channel msg_outbox" not in each

    def test_limits_are_changed_in_an_old_transaction(self, office):
        """ The limits are changed in a transaction that has read them before another one """

        office.configure(rate="9/hour")
        channel = office.mail.channel()
        office.db.commit()
        ours = SharedLimits(channel.relay)
        ours.read(channel.row.read())
        other = office.connection()
        theirs = SharedLimits(office.mailer(other).channel().relay)
        theirs.read(theirs.row.read())

        theirs.change(lambda limits: limits.count(2, 0), lambda: utcnow().replace(year=1970))
        other.commit()
        other.close()
        ours.change(lambda limits: limits.count(3, 0), lambda: utcnow().replace(year=1970))
        office.db.commit()

        ours.read(channel.row.read())
        assert ours.known.number == 2

    def test_what_is_given_up_is_free_again(self, small_office):
        """ A message that was taken and not begun counts for nothing """

        office = small_office
        office.configure(rate="5/hour")
        channel = office.mail.channel()
        allowance = channel.relay.allowance(utcnow())
        office.queue(*users(3))
        deliveries = claim(channel.worker())

        taken = [allowance.take(Outgoing([delivery], None, "")) for delivery in deliveries]
        assert allowance.left().recipients == 2
        allowance.give_up(taken[:2])
        assert allowance.left().recipients == 4

        allowance.write({0: taken[2]})
        assert allowance.note_written({0: taken[2]}) == []
        assert allowance.left().recipients == 4

# END =========================================================================
