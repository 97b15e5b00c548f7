"""
    Our rows in the scheduler's tables, on each engine
"""

from datetime import timedelta

import pytest

from gluon import current
from gluon.scheduler import Scheduler

from support.statements import statements

from mails3 import MailS3
from mails3.hosts.scheduler import Tasks
from mails3.queue.migration import create

SCHEDULER_TABLES = ("scheduler_task", "scheduler_run", "scheduler_worker",
                    "scheduler_task_deps")

# =============================================================================
class Desk:
    """ An office with a scheduler and without workers """

    def __init__(self, office):

        self.office = office
        self.db = office.db
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

# -----------------------------------------------------------------------------
@pytest.fixture
def desk(office):

    current._scheduler = None
    desk = Desk(office)
    yield desk
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
def test_a_worker_looks_twice_in_a_heartbeat(small_office, monkeypatch):
    """
        A worker looks for wakes twice in a heartbeat, so that it does not miss the assignment
        of tasks
    """

    slept = []
    monkeypatch.setattr("mails3.hosts.scheduler.time.sleep", slept.append)
    worker = Scheduler(small_office.db, migrate=False, heartbeat=3)
    Tasks(worker, small_office.mail).poll_faster()

    worker.sleep()
    monkeypatch.setattr("mails3.hosts.scheduler.threading.current_thread", lambda: worker)
    worker.sleep()

    assert slept == [1.5, 3]

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
