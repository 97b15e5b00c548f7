"""
    Our rows in the scheduler's tables, on each engine
"""

import os
import threading

from datetime import timedelta
from types import SimpleNamespace

import pytest

from gluon import current
from gluon.languages import read_possible_languages
from gluon.scheduler import Scheduler

from support.clock import SleeplessClock
from support.statements import statements

from mails3 import MailS3
from mails3.hosts.drain_task import DrainTask
from mails3.hosts.fork_guard import ForkGuard
from mails3.hosts.scheduler import Tasks
from mails3.hosts.worker_loop import WorkerLoop
from mails3.queue.migration import create

SCHEDULER_TABLES = ("scheduler_task", "scheduler_run", "scheduler_worker",
                    "scheduler_task_deps")

# =============================================================================
class Desk:
    """ An office with a scheduler and without workers """

    def __init__(self, office):

        self.office = office
        self.db = office.db
        self.connections = [] # of other processes
        self.scheduler = Scheduler(self.db, migrate=False)
        create(self.db, SCHEDULER_TABLES)
        self.tasks = office.mail.tasks = Tasks(self.scheduler, office.mail)
        self.tasks.ensure_rows(self.db)
        self.db.commit()

    # -------------------------------------------------------------------------
    def rows(self, function=None):
        """ The rows of our tasks """

        self.db.commit()
        table = self.db.scheduler_task
        return self.db(table.uuid.startswith(function or "mails3")).select(orderby=table.id)

    # -------------------------------------------------------------------------
    def set(self, **values):
        """ Change the row of the drain, as the scheduler or a person does """

        self.db(self.db.scheduler_task.uuid == "mails3-drain-shelter").update(**values)
        self.db.commit()

    # -------------------------------------------------------------------------
    def worker(self, group="main", seconds=0):
        """ A worker that gave its last heartbeat some time ago """

        heartbeat = self.scheduler.now() - timedelta(seconds=seconds)
        self.db.scheduler_worker.insert(worker_name = "worker-%s" % seconds,
                                        status = "ACTIVE",
                                        group_names = [group],
                                        last_heartbeat = heartbeat,
                                        )
        self.db.commit()

    # -------------------------------------------------------------------------
    def next_request(self):
        """ A request looks for workers once """

        self.office.mail = self.office.mailer(self.db)
        self.office.mail.tasks = self.tasks

    # -------------------------------------------------------------------------
    def another(self):
        """ The tasks as another process of the site has them """

        db = self.office.connection()
        return Tasks(Scheduler(db, migrate=False), self.office.mail)

    # -------------------------------------------------------------------------
    def scheduler_of(self, name, group="main"):
        """ The Scheduler of a worker's process, with a connection of its own """

        scheduler = Scheduler(self.office.connection(), migrate=False, worker_name=name)
        self.connections.append(scheduler.db)
        Tasks(scheduler, self.office.mail).take_wakes()
        # As web2py.py -K app:group does
        scheduler.group_names = [group]
        return scheduler

    # -------------------------------------------------------------------------
    def wake(self):
        """ A visitor's wake, committed """

        self.tasks.wake()
        self.db.commit()

    # -------------------------------------------------------------------------
    def wakes(self):
        """ The wakes as (status, name of the worker) """

        return [(row.status, row.assigned_worker_name)
                for row in self.rows("mails3-wake-shelter-")]

# -----------------------------------------------------------------------------
@pytest.fixture
def desk(office):

    current._scheduler = None
    desk = Desk(office)
    yield desk
    for db in desk.connections:
        db.close()
    desk.db.rollback()
    for name in reversed(SCHEDULER_TABLES):
        desk.db.executesql("DROP TABLE %s" % name)
    desk.db.commit()

# =============================================================================
class TestRows:
    """ Our scheduler rows are found by their uuid, and repaired """

    def test_scheduler_rows_are_made_once(self, desk):
        """ The rows are made once, however often they are checked """

        desk.office.configure(retry_interval=300)

        for _ in range(3):
            desk.tasks.ensure_rows(desk.db)

        assert [(row.uuid, row.function_name, row.period, row.repeats, row.retry_failed)
                for row in desk.rows()] == \
               [("mails3-drain-shelter", "mails3_drain", 60, 0, -1),
                ("mails3-retry-shelter", "mails3_retry", 300, 0, -1),
                ("mails3-purge-shelter", "mails3_purge", 86400, 0, -1)]

    def test_a_task_that_has_ended_is_queued_again(self, desk):
        """ A task that the scheduler has ended is queued again """

        for status in ("FAILED", "TIMEOUT", "STOPPED", "EXPIRED", "COMPLETED"):
            desk.set(status=status)

            desk.tasks.ensure_rows(desk.db)

            assert desk.rows()[0].status == "QUEUED"

    def test_a_task_whose_worker_is_lost_is_queued_again(self, desk):
        """ A task that has been running for longer than its time-out is queued again """

        now = desk.scheduler.now()
        desk.set(status="RUNNING", last_run_time=now - timedelta(seconds=500))
        desk.tasks.ensure_rows(desk.db)
        assert desk.rows()[0].status == "RUNNING"

        desk.set(last_run_time=now - timedelta(seconds=700))
        desk.tasks.ensure_rows(desk.db)
        assert desk.rows()[0].status == "QUEUED"

    def test_a_next_run_years_ahead_is_put_right(self, desk):
        """ A next run that is years ahead is set to now """

        desk.set(next_run_time=desk.scheduler.now() + timedelta(days=400))

        desk.tasks.ensure_rows(desk.db)

        assert desk.rows()[0].next_run_time <= desk.scheduler.now()

    def test_a_disabled_task_stays_disabled(self, desk):
        """ A task that an admin has disabled stays disabled """

        desk.set(enabled=False)

        desk.tasks.ensure_rows(desk.db)

        assert desk.rows()[0].enabled is False

    def test_new_settings_change_the_rows(self, desk):
        """ New intervals change rows that exist already """

        desk.office.configure(drain_interval=20)

        desk.tasks.ensure_rows(desk.db)

        assert desk.rows()[0].period == 20

# =============================================================================
class TestWake:
    """ A burst of mail wakes the workers once, and nobody waits for that """

    def wakes(self, desk):

        return desk.rows("mails3-wake-shelter-")

    def test_a_burst_wakes_once(self, desk):
        """ Many mails wake the workers once until a worker has looked """

        for _ in range(50):
            assert desk.office.mail.send("anne@example.org", "News", "There is news.")

        wake, = self.wakes(desk)
        assert (wake.status, wake.repeats, wake.function_name) == ("QUEUED", 1, "mails3_drain")

    def test_a_second_wake_is_one_query(self, desk):
        """ A wake that is already there costs one query in the savepoint of the mail """

        def send():
            assert desk.office.mail.send("anne@example.org", "News", "There is news.")

        desk.worker()
        send()

        # PostgreSQL is told as well, for workers that listen
        notified = desk.office.db._adapter.dbengine == "postgres"
        assert len(statements(desk.office, send)) == 5 + 3 + notified

    def test_a_rolled_back_mail_wakes_nobody(self, desk):
        """ A wake is rolled back with its mail """

        desk.tasks.wake()
        desk.db.rollback()

        assert not self.wakes(desk)

    # SQLite has one writer at a time, whatever is written
    @pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
    def test_a_wake_waits_for_no_other_transaction(self, desk):
        """ Two uncommitted requests wake the workers without waiting for each other """

        other = desk.another()
        desk.tasks.wake()
        other.wake()
        other.scheduler.db.commit()
        other.scheduler.db.close()

        assert len(self.wakes(desk)) == 2

    def test_a_running_drain_is_woken_again(self, desk):
        """ A drain that is already running is woken again, because it may have looked before """

        desk.tasks.wake()
        desk.db(desk.db.scheduler_task.uuid.startswith("mails3-wake")).update(status="RUNNING")
        desk.tasks.wake()

        assert len(self.wakes(desk)) == 2

    def test_a_drain_answers_all_wakes(self, desk):
        """ A drain removes all wakes but the one that a worker is running """

        assert desk.office.mail.send("anne@example.org", "News", "There is news.")
        desk.db(desk.db.scheduler_task.uuid.startswith("mails3-wake")).update(status="ASSIGNED")
        desk.tasks.wake()
        desk.db.commit()

        desk.office.drain()

        assert [wake.status for wake in self.wakes(desk)] == ["ASSIGNED"]

    def test_the_rows_of_another_app_are_left_alone(self, desk):
        """
            Rows of another app in the same database are not changed, also if its name begins
            like ours
        """

        Tasks(desk.scheduler, MailS3(desk.db, site="shelter-b")).wake()

        desk.tasks.wake()
        desk.tasks.remove_wakes()

        row, = desk.rows("mails3-wake")
        assert row.application_name == "shelter-b/default"

# =============================================================================
class TestWorkers:
    """ The state of the workers decides whether a request sends its mail itself """

    def test_a_worker_with_a_heartbeat_is_alive(self, desk):
        """
            A worker that has been silent for a minute or is for other groups does not count as
            alive
        """

        desk.worker(seconds=61)
        desk.worker(group="others")
        assert desk.tasks.count_workers() == 0

        desk.worker(seconds=50)
        assert desk.tasks.count_workers() == 1

    def test_mail_without_a_worker_is_tried_at_once(self, desk, caplog):
        """ Without a worker each mail is tried at once, and the admin is told once """

        desk.office.configure(fallback="yes")
        desk.office.queue("anne@example.org", "bob@example.org")

        assert len(desk.office.relay.mails) == 2
        assert caplog.text.count("No worker is alive") == 1

    def test_mail_is_left_to_a_live_worker(self, desk):
        """ With a live worker the visitor's request sends nothing """

        desk.office.configure(fallback="yes")
        desk.worker()

        desk.office.queue("anne@example.org")

        assert desk.office.relay.connections == 0

    def test_a_hanging_worker_does_not_count(self, desk, caplog):
        """ A worker does not count as alive if mail has been waiting for minutes """

        desk.worker()
        desk.office.queue("anne@example.org")
        desk.office.later(400)
        desk.office.configure(fallback="yes")
        desk.next_request()

        desk.office.queue("bob@example.org")

        assert [mail.recipients[0] for mail in desk.office.relay.mails] == ["bob@example.org"]
        assert "seems to hang" in caplog.text

    def test_a_worker_with_a_tripped_breaker_does_not_hang(self, desk, caplog):
        """ A worker does not count as hanging while the breaker is tripped """

        desk.worker()
        desk.office.relay.stop()
        desk.office.queue("anne@example.org")
        desk.office.drain()
        desk.office.later(400)
        desk.next_request()

        desk.office.queue("bob@example.org")

        assert "seems to hang" not in caplog.text

# =============================================================================
class TestFreeWorker:
    """ A free worker takes a wake by itself """

    def test_a_free_worker_takes_a_wake(self, desk):
        """ A wake that no ticker has assigned is the next task of a free worker """

        desk.wake()

        task = desk.scheduler_of("one").pop_task()

        assert task.function == "mails3_drain"
        assert desk.wakes() == [("RUNNING", "one")]

    def test_one_of_two_workers_takes_a_wake(self, desk):
        """ A wake is the task of one worker only """

        desk.wake()
        one, two = desk.scheduler_of("one"), desk.scheduler_of("two")

        assert one.pop_task()
        assert two.pop_task() is None
        assert desk.wakes() == [("RUNNING", "one")]

    def test_a_worker_of_another_group_takes_no_wake(self, desk):
        """ A wake is left to the workers of its group """

        desk.wake()

        assert desk.scheduler_of("one", group="others").pop_task() is None
        assert desk.wakes() == [("QUEUED", "")]
        assert desk.scheduler_of("two").pop_task()

    def test_a_wake_of_another_app_is_left_to_it(self, desk):
        """ A worker takes no wake of another app in the same database """

        Tasks(desk.scheduler, MailS3(desk.db, site="shelter-b")).wake()
        desk.db.commit()

        assert desk.scheduler_of("one").pop_task() is None

    def test_a_worker_that_dies_while_it_takes_a_wake_leaves_it(self, desk):
        """ A wake stays queued if its worker dies before it has begun the task """

        desk.wake()
        one = desk.scheduler_of("one")

        class Killed(BaseException):
            """ The process ends here """

        def killed():
            raise Killed

        one.db.commit = killed
        with pytest.raises(Killed):
            one.pop_task()
        # The database undoes the transaction of a connection that is lost
        one.db.rollback()

        assert desk.wakes() == [("QUEUED", "")]
        assert desk.scheduler_of("two").pop_task()

    def test_a_wake_comes_before_tasks_that_have_waited_for_days(self, desk):
        """ A worker runs a wake before the tasks that were due while it was away """

        desk.set(status="ASSIGNED", assigned_worker_name="one",
                 next_run_time=desk.scheduler.now() - timedelta(days=30))
        desk.wake()

        assert desk.scheduler_of("one").pop_task().uuid.startswith("mails3-wake")

    def test_other_tasks_come_after_a_wake(self, desk):
        """ After a wake, a worker runs what the ticker has assigned, and then the next wake """

        one = desk.scheduler_of("one")
        desk.set(status="ASSIGNED", assigned_worker_name="one")
        desk.wake()
        tasks = [one.pop_task()]
        desk.wake()
        later = one.now() + timedelta(seconds=60)
        one.now = lambda: later

        tasks += [one.pop_task(), one.pop_task()]

        assert [task.uuid[:11] for task in tasks] == ["mails3-wake", "mails3-drai", "mails3-wake"]

    def test_wakes_do_not_occupy_all_workers(self, desk):
        """ A wake waits while another worker has just begun one, and no longer """

        desk.wake()
        assert desk.scheduler_of("one").pop_task()
        desk.wake()
        two = desk.scheduler_of("two")

        assert two.pop_task() is None

        later = two.now() + timedelta(seconds=4)
        two.now = lambda: later
        assert two.pop_task()

    def test_a_worker_whose_clock_is_ahead_holds_up_no_wake(self, desk):
        """ A wake that seems to have begun in the future does not count as begun just now """

        desk.wake()
        one = desk.scheduler_of("one")
        ahead = one.now() + timedelta(hours=1)
        one.now = lambda: ahead
        assert one.pop_task()
        desk.wake()

        assert desk.scheduler_of("two").pop_task()

    def test_a_wake_that_failed_waits_for_its_next_run(self, desk):
        """ A worker does not take a wake again before the time of its next attempt """

        desk.wake()
        desk.db(desk.db.scheduler_task.uuid.startswith("mails3-wake")).update(
                next_run_time = desk.scheduler.now() + timedelta(seconds=60))
        desk.db.commit()

        assert desk.scheduler_of("one").pop_task() is None

    def test_a_look_is_one_query(self, desk):
        """ A worker that looks for a wake and finds none costs the database one query """

        one = desk.scheduler_of("one")

        assert len(statements(SimpleNamespace(db=one.db), one.sleep.__self__._find)) == 1

    def test_a_ticker_that_runs_wakes_assigns_tasks(self, desk):
        """ The ticker assigns the app's tasks although each heartbeat finds it with a wake """

        clock = SleeplessClock()
        one = desk.scheduler_of("one")
        one.sleep.__self__.clock = clock
        one.is_a_ticker = True
        desk.db.scheduler_worker.insert(worker_name="one", status="ACTIVE",
                                        group_names=["main"], is_ticker=True,
                                        worker_stats={"status": "RUNNING"})
        desk.wake()
        assert one.pop_task()
        # What the loop does after a task (Scheduler.loop)
        one.w_stats.status = "ACTIVE"

        clock.sleep(60)
        task = one.pop_task()

        assert task.uuid == "mails3-drain-shelter"

# =============================================================================
class TestPauses:
    """ How often a worker looks for tasks """

    def worker(self, office, **options):
        """ A worker, and the list of its pauses between two looks (seconds) """

        clock, pauses = SleeplessClock(), []
        worker = Scheduler(office.db, migrate=False, heartbeat=3, **options)

        def sleep(seconds):
            pauses.append(seconds)
            clock.sleep(seconds)

        WorkerLoop(worker, "shelter/default", [("mails3-wake-", "mails3-wake-g")],
                   clock=lambda: clock.slept_s, sleep=sleep).install()
        return worker, pauses

    def test_a_worker_looks_for_tasks_twice_in_a_heartbeat(self, small_office):
        """
            The loop looks for tasks twice in a heartbeat, so that it does not miss the
            assignment of tasks
        """

        worker, pauses = self.worker(small_office)
        create(small_office.db, SCHEDULER_TABLES)
        worker.sleep()

        assert sum(pauses) == pytest.approx(1.5)
        assert max(pauses) <= 0.5

    def test_a_worker_with_a_limit_counts_heartbeats(self, small_office):
        """ A worker that ends after so many looks lives as long as without MailS3 """

        worker, pauses = self.worker(small_office, max_empty_runs=10)
        create(small_office.db, SCHEDULER_TABLES)
        worker.sleep()

        assert sum(pauses) == pytest.approx(3)

    def test_a_disabled_worker_does_not_look(self, small_office):
        """ A worker that an admin has disabled does not look for wakes """

        worker, pauses = self.worker(small_office)
        worker.w_stats.status = "DISABLED"
        worker.sleep()

        assert pauses == [3]

    def test_a_worker_lives_on_if_it_can_not_look(self, small_office):
        """ A look that the database refuses leaves the worker's loop as it is """

        # There is no table of tasks
        worker, pauses = self.worker(small_office)
        worker.sleep()

        assert sum(pauses) == pytest.approx(1.5)
        assert small_office.db.executesql("SELECT 1")

    def test_a_task_finds_the_languages_read(self, small_office, tmp_path, monkeypatch):
        """ The worker reads the app's language files for the processes of its tasks """

        file = tmp_path / "applications" / "shelter" / "languages" / "de.py"
        file.parent.mkdir(parents=True)
        file.write_text("{'!langcode!': 'de', '!langname!': 'Deutsch'}")
        monkeypatch.chdir(tmp_path)
        worker, pauses = self.worker(small_office)
        create(small_office.db, SCHEDULER_TABLES)
        worker.pop_task()

        # The folder is as it was: web2py reads it once
        file.write_text("{'!langcode!': 'de', '!langname!': 'German'}")

        # As web2py names the folder for a task (gluon/shell.py)
        languages = read_possible_languages("applications/shelter/languages")
        assert languages["de"][1] == "Deutsch"

# =============================================================================
class TestDrainTask:
    """ The task looks for more mail for as long as web2py keeps its worker """

    def test_mail_that_comes_meanwhile_goes_out_by_the_same_task(self, office):
        """ Mail that is committed after the task has begun needs no other task """

        clock, late = SleeplessClock(), ["bob@example.org", "carl@example.org"]
        office.queue("anne@example.org")

        def sleep(seconds):
            if late:
                office.queue(late.pop())
            clock.sleep(seconds)

        assert DrainTask(office.mail, clock, sleep).run() == 3
        assert len(office.relay.mails) == 3
        assert clock.slept_s < 3

    def test_the_task_ends_if_nothing_can_be_sent(self, office):
        """ A task does not try again and again while sending is suspended """

        clock = SleeplessClock()
        office.queue("anne@example.org")
        office.relay.stop()
        task = DrainTask(office.mail, clock, clock.sleep)
        task.kept_until_s = clock() + 1000

        task.run()

        assert clock.slept_s < 1

    def test_what_may_wait_is_done_although_the_drain_fails(self, small_office):
        """ What may wait until the mail is sent is done also if that fails """

        done = []
        task = DrainTask(small_office.mail)
        task.at_end = lambda: done.append(True)
        small_office.db.executesql("DROP TABLE mails3_delivery")

        with pytest.raises(Exception):
            task.run()

        assert done

# =============================================================================
def test_no_task_starts_during_a_heartbeat():
    """ A process forks only while its heartbeat thread sleeps """

    guard, is_ended = ForkGuard(), threading.Event()
    beating = []

    def beat():
        while not is_ended.is_set():
            with guard:
                beating.append(True)
                is_ended.wait(0.05)
                beating.pop()
                with guard.lifted():
                    is_ended.wait(0.001)

    guard.watch()
    thread = threading.Thread(target=beat)
    thread.start()
    found = set()
    try:
        for _ in range(20):
            child = os.fork()
            if not child:
                os._exit(len(beating))
            found.add(os.waitpid(child, 0)[1])
    finally:
        is_ended.set()
        thread.join()

    assert found == {0}

# -----------------------------------------------------------------------------
def test_the_scheduler_finds_our_tasks(small_office):
    """
        The scheduler finds our functions in its dict of tasks or in the environment of the
        models
    """

    hello = len
    with_dict = Scheduler(small_office.db, {"hello": hello}, migrate=False)
    Tasks(with_dict, small_office.mail).register({"mails3_drain": print})
    assert with_dict.tasks == {"hello": hello, "mails3_drain": print}

    without = Scheduler(small_office.connection(), migrate=False)
    Tasks(without, small_office.mail).register({"mails3_drain": print})
    assert without.tasks is None

# END =========================================================================
