"""
    The rows of our tasks in the scheduler's tables, on each engine
"""

from datetime import timedelta

import pytest

from gluon import current
from gluon.scheduler import Scheduler

from conftest import statements

from mails3 import MailS3
from mails3.hosts.scheduler import Tasks
from mails3.queue.schema import create

SCHEDULER_TABLES = ("scheduler_task", "scheduler_run", "scheduler_worker",
                    "scheduler_task_deps")

# =============================================================================
class Desk:
    """ An office with a scheduler, but without workers """

    def __init__(self, office):

        self.office = office
        self.db = office.db
        self.scheduler = Scheduler(self.db, migrate=False)
        create(self.db, SCHEDULER_TABLES)
        self.tasks = office.mail.tasks = Tasks(self.scheduler, office.mail)
        self.tasks.establish(self.db)
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
    """ Three rows, found by their uuid, always alive """

    def test_they_are_made_once(self, desk):
        """ However often they are looked after """

        desk.office.configure(retry_interval=300)

        for _ in range(3):
            desk.tasks.establish(desk.db)

        assert [(row.uuid, row.function_name, row.period, row.repeats, row.retry_failed)
                for row in desk.rows()] == \
               [("mails3-drain-shelter", "mails3_drain", 60, 0, -1),
                ("mails3-retry-shelter", "mails3_retry", 300, 0, -1),
                ("mails3-purge-shelter", "mails3_purge", 86400, 0, -1)]

    def test_a_task_that_has_ended_is_queued_again(self, desk):
        """ The scheduler itself leaves it so for ever """

        for status in ("FAILED", "TIMEOUT", "STOPPED", "EXPIRED", "COMPLETED"):
            desk.set(status=status)

            desk.tasks.establish(desk.db)

            assert desk.rows()[0].status == "QUEUED"

    def test_a_task_whose_worker_is_lost_is_queued_again(self, desk):
        """ When it has been running for longer than it may """

        now = desk.scheduler.now()
        desk.set(status="RUNNING", last_run_time=now - timedelta(seconds=500))
        desk.tasks.establish(desk.db)
        assert desk.rows()[0].status == "RUNNING"

        desk.set(last_run_time=now - timedelta(seconds=700))
        desk.tasks.establish(desk.db)
        assert desk.rows()[0].status == "QUEUED"

    def test_a_clock_that_has_jumped_is_put_right(self, desk):
        """ The next run is not in some years """

        desk.set(next_run_time=desk.scheduler.now() + timedelta(days=400))

        desk.tasks.establish(desk.db)

        assert desk.rows()[0].next_run_time <= desk.scheduler.now()

    def test_a_task_that_a_person_has_switched_off_stays_off(self, desk):
        """ enabled is the admin's """

        desk.set(enabled=False)

        desk.tasks.establish(desk.db)

        assert desk.rows()[0].enabled is False

    def test_new_settings_take_effect(self, desk):
        """ On rows that are there already """

        desk.office.configure(drain_interval=20)

        desk.tasks.establish(desk.db)

        assert desk.rows()[0].period == 20

# =============================================================================
class TestKick:
    """ Once per burst, and nobody waits for it """

    def wakes(self, desk):

        return desk.rows("mails3-wake-shelter-")

    def test_a_flood_is_one_kick(self, desk):
        """ Before a worker has looked """

        for _ in range(50):
            assert desk.office.mail.send("anne@example.org", "News", "There is news.")

        wake, = self.wakes(desk)
        assert (wake.status, wake.repeats, wake.function_name) == ("QUEUED", 1, "mails3_drain")

    def test_once_it_is_there_it_costs_a_query(self, desk):
        """ In a savepoint, like the mail itself; for workers a request looks once """

        def send():
            assert desk.office.mail.send("anne@example.org", "News", "There is news.")

        desk.worker()
        send()

        assert len(statements(desk.office, send)) == 5 + 3

    def test_it_comes_with_the_mail(self, desk):
        """ Rolled back, there was none """

        desk.tasks.wake()
        desk.db.rollback()

        assert not self.wakes(desk)

    # SQLite has one writer at a time, whatever is written
    @pytest.mark.parametrize("uri", ["postgres", "mysql"], indirect=True)
    def test_nobody_waits_for_another_ones_transaction(self, desk):
        """ Two requests kick at the same time, neither is committed yet """

        other = desk.another()
        desk.tasks.wake()
        other.wake()
        other.scheduler.db.commit()
        other.scheduler.db.close()

        assert len(self.wakes(desk)) == 2

    def test_a_running_drain_is_not_enough(self, desk):
        """ It may have looked before the mail was there """

        desk.tasks.wake()
        desk.db(desk.db.scheduler_task.uuid.startswith("mails3-wake")).update(status="RUNNING")
        desk.tasks.wake()

        assert len(self.wakes(desk)) == 2

    def test_the_drain_answers_all_that_wait(self, desk):
        """ But for what a worker has in hand: it would stumble over the gap """

        assert desk.office.mail.send("anne@example.org", "News", "There is news.")
        desk.db(desk.db.scheduler_task.uuid.startswith("mails3-wake")).update(status="ASSIGNED")
        desk.tasks.wake()
        desk.db.commit()

        desk.office.drain()

        assert [wake.status for wake in self.wakes(desk)] == ["ASSIGNED"]

    def test_another_app_of_the_database_is_none_of_our_business(self, desk):
        """ Not even with a name that begins like ours """

        Tasks(desk.scheduler, MailS3(desk.db, site="shelter-b")).wake()

        desk.tasks.wake()
        desk.tasks.forget_wakes()

        row, = desk.rows("mails3-wake")
        assert row.application_name == "shelter-b/default"

# =============================================================================
class TestWorkers:
    """ Is there anybody to send the mail? """

    def test_a_worker_with_a_heartbeat_is_alive(self, desk):
        """ One that has been silent for a minute is not, nor one for other groups """

        desk.worker(seconds=61)
        desk.worker(group="others")
        assert desk.tasks.workers() == 0

        desk.worker(seconds=50)
        assert desk.tasks.workers() == 1

    def test_without_one_the_mail_is_tried_at_once(self, desk, caplog):
        """ And the admin is told, not for each mail """

        desk.office.configure(fallback="yes")
        desk.office.queue("anne@example.org", "bob@example.org")

        assert len(desk.office.relay.mails) == 2
        assert caplog.text.count("No scheduler worker is alive") == 1

    def test_with_one_it_is_left_to_it(self, desk):
        """ The visitor does not wait """

        desk.office.configure(fallback="yes")
        desk.worker()

        desk.office.queue("anne@example.org")

        assert desk.office.relay.connections == 0

    def test_one_that_hangs_is_none(self, desk, caplog):
        """ Mail has been waiting for minutes, though a worker is alive """

        desk.worker()
        desk.office.queue("anne@example.org")
        desk.office.later(400)
        desk.office.configure(fallback="yes")
        desk.next_request()

        desk.office.queue("bob@example.org")

        assert [mail.recipients[0] for mail in desk.office.relay.mails] == ["bob@example.org"]
        assert "seems to hang" in caplog.text

    def test_one_that_waits_for_the_relay_does_not_hang(self, desk, caplog):
        """ Held mail waits for a reason """

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
    """ So that it does not miss the moment when tasks are to be assigned """

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
    """ In its dict, if it has one; else in the environment of the models """

    hello = len
    with_dict = Scheduler(small_office.db, {"hello": hello}, migrate=False)
    Tasks(with_dict, small_office.mail).register({"mails3_drain": print})
    assert with_dict.tasks == {"hello": hello, "mails3_drain": print}

    without = Scheduler(small_office.connection(), migrate=False)
    Tasks(without, small_office.mail).register({"mails3_drain": print})
    assert without.tasks is None

# END =========================================================================
