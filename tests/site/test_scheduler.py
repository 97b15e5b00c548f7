"""
    From a request through the scheduler to the relay, on a running site
"""

import os
import signal

from concurrent.futures import ThreadPoolExecutor

import pytest

from mechanicalsoup import StatefulBrowser

from support.shelter import IDLE_WORKER, Shelter
from support.site import eventually

from mails3.installation import install
from mails3.states import SENT, UNSENT

NO_WORKER, HANGS = "No worker is alive", "the worker seems to hang"

# Ends the IDLE_WORKER
NO_IDLE_WORKER = "db(db.scheduler_worker.worker_name == 'idle').delete()\n"

# The periodic runs are not due: only a wake has mail sent soon
ONLY_WAKES = """
import datetime
soon = datetime.datetime.now() + datetime.timedelta(seconds=3600)
db(db.scheduler_task.uuid.startswith("mails3-")).update(next_run_time=soon)
"""
HOURLY = {"drain_interval": 3600, "retry_interval": 3600}

# The ticker assigns nothing while the test waits (seconds)
SLOW_HEARTBEAT_S = 600

# The process of a task waits here, before it has claimed any mail
STALL = """
import os, time
while request.is_scheduler and os.path.exists(%r):
    time.sleep(0.1)
"""

# What a task does that begins long after its worker: its worker has noted the
# self-repair, which is due again
AS_A_TASK = """
import os
from gluon import current
from gluon.shell import env
db(db.scheduler_task.uuid == "mails3-retry-shelter").delete()
db.commit()
cache.ram.clear()
db.close()
if not os.fork():
    names = env("shelter", c="default", import_models=True, extra_request={"is_scheduler": True})
    rows = names["db"](names["db"].scheduler_task.uuid == "mails3-retry-shelter")
    before = rows.count()
    current._scheduler.tasks["mails3_drain"]()
    print(before, rows.count(), flush=True)
    os._exit(0)
os.wait()
"""

LONG_AGO = "__import__('datetime').datetime(2020, 1, 1)"

# -----------------------------------------------------------------------------
@pytest.fixture
def shelter(tmp_path):
    """ A site on which MailS3 is about to be installed """

    with Shelter(tmp_path / "site") as shelter:
        yield shelter.create()

# =============================================================================
class TestModes:
    """ MailS3 works with any Scheduler of the app and without one """

    @pytest.mark.parametrize("mode", ["dict", "plain"])
    def test_mail_goes_out_beside_the_apps_own_tasks(self, shelter, relay, mode):
        """ Mail and the app's own tasks run with a Scheduler with and without a dict of tasks """

        shelter.open(relay, mode, **HOURLY)
        # First in line: a worker takes its time for each task
        shelter.shell(ONLY_WAKES +
                      "db.scheduler_task.insert(application_name='shelter/default', "
                      "task_name='hello', function_name='hello', args='[\"Anne\"]', "
                      "next_run_time=%s)" % LONG_AGO)
        shelter.work()

        assert shelter.accepts()

        assert relay.wait()[0].recipients == ["anne@example.org"]
        result = "for run in db(db.scheduler_run.run_result.contains('Hello')).select(): " \
                 "print(run.run_result)"
        assert eventually(lambda: shelter.shell(result) == '"Hello Anne"\n')
        assert eventually(lambda: shelter.mails() == [SENT])

    def test_a_sender_that_a_controller_sets_goes_with_its_mail(self, shelter, relay):
        """
            A controller's sender goes with its mail, sent by mail or by auth, although a worker
            has another
        """

        shelter.open(relay, "none", fallback="no")
        shelter.shell("mail.settings.sender = 'Camp <camp@example.org>'\n"
                      "mail.send('anne@example.org', 'News', 'There is news.')\n"
                      "auth.settings.mailer.send('bob@example.org', 'News', 'News.')")
        shelter.shell("mail.send('carl@example.org', 'News', 'There is news.')")

        shelter.shell("mail.drain()")

        senders = {mail.recipients[0]: mail.sender for mail in relay.wait(3)}
        assert senders == {"anne@example.org": "camp@example.org",
                           "bob@example.org": "camp@example.org",
                           "carl@example.org": "shelter@example.org"}

    def test_a_worker_with_the_default_heartbeat_is_woken(self, shelter, relay):
        """ A worker with web2py's default heartbeat sends a mail long before its periodic run """

        shelter.open(relay, "none", **HOURLY)
        shelter.shell(ONLY_WAKES)
        shelter.work()

        assert shelter.accepts()

        assert relay.wait(timeout=60)

# =============================================================================
class TestStart:
    """ A site that starts logs no complaint """

    def test_a_starting_worker_is_not_missed(self, shelter, relay):
        """ No missing worker is logged while the first worker starts """

        shelter.open(relay)
        StatefulBrowser().get(shelter.url + "/default/index")
        shelter.work()

        logs = "".join(path.read_text() for path in shelter.logs.glob("*.err"))
        assert NO_WORKER not in logs and "ERROR" not in logs

    def test_a_mistake_in_the_settings_is_logged_once(self, shelter, relay):
        """ A wrong name of a setting is logged once, with the file and the nearest name """

        shelter.open(relay, max_retires=3)
        for _ in range(3):
            StatefulBrowser().get(shelter.url + "/default/index")

        assert shelter.told("Setting max_retires in %s is unknown: is max_retries meant?" %
                            (shelter.app_path / "private/mails3.ini")) == 1

# =============================================================================
class TestRows:
    """ Rows with fixed uuids in the scheduler's table """

    @pytest.mark.parametrize("mode", ["dict", "none"])
    def test_scheduler_rows_of_a_site_are_made_once(self, shelter, relay, mode):
        """ The rows are made once although all processes of the site begin at the same time """

        # The app's own tables; web2py makes them for one visitor only
        shelter.configure(scheduler={"mode": mode})
        shelter.shell("pass")
        shelter.open(relay, mode)
        urls = [shelter.url]
        shelter.serve()
        urls.append(shelter.url)

        with ThreadPoolExecutor(8) as pool:
            pages = list(pool.map(lambda url: StatefulBrowser().open(url), urls * 8))

        assert shelter.tickets() == []
        assert [page.status_code for page in pages] == [200] * 16
        assert [row["uuid"] for row in shelter.tasks()] == ["mails3-drain-shelter",
                                                            "mails3-purge-shelter",
                                                            "mails3-retry-shelter"]

    @pytest.mark.parametrize("way", ["migrate=False", "migrate_enabled=False"])
    def test_a_site_without_migration_gets_its_tables(self, shelter, relay, way):
        """ All tables and rows are made although pydal's migration is off """

        # The app's own tables
        shelter.shell("pass")
        model = shelter.app_path / "models" / "db.py"
        model.write_text(model.read_text().replace('"uri"))', '"uri"), %s)' % way))

        shelter.open(relay, "none")

        assert shelter.accepts()
        assert len(relay.wait()) == 1
        assert len(shelter.tasks("drain") + shelter.tasks("retry")) == 2
        assert shelter.tickets() == []

    def test_an_app_may_get_a_scheduler_of_its_own(self, shelter, relay):
        """ A Scheduler that the app gets later works with the tables made without it """

        shelter.open(relay, "none")
        assert shelter.accepts()

        shelter.configure(scheduler={"mode": "dict"})

        assert shelter.accepts()
        assert shelter.tickets() == []
        assert not list(shelter.app_path.glob("databases/*.lock"))

    def test_scheduler_rows_of_a_site_are_repaired(self, shelter, relay):
        """ Rows that the scheduler would leave failed are queued again """

        install(shelter.app_path, tell=lambda line: None)
        shelter.shell("pass")

        for damage in ("update(status = 'FAILED')",
                       "update(status = 'TIMEOUT')",
                       # Its worker was lost, and that worker's row as well
                       "update(status = 'RUNNING', assigned_worker_name = 'lost', "
                       "last_run_time = %s)" % LONG_AGO,
                       "delete()",
                       ):
            shelter.shell("db(db.scheduler_task.uuid.startswith('mails3-')).%s" % damage)

            # Another process, as after each restart
            rows = shelter.tasks()
            assert [(row["uuid"], row["status"], row["enabled"], row["retry_failed"],
                     row["assigned_worker_name"]) for row in rows] == [
                    ("mails3-drain-shelter", "QUEUED", True, -1, ""),
                    ("mails3-purge-shelter", "QUEUED", True, -1, ""),
                    ("mails3-retry-shelter", "QUEUED", True, -1, ""),
                    ], damage

    def test_a_task_sends_before_it_repairs(self, shelter, relay):
        """ A task that sends new mail runs the self-repair when it has sent """

        shelter.open(relay, "dict")

        assert shelter.shell(AS_A_TASK) == "0 1\n"

# =============================================================================
class TestFreeWorker:
    """ New mail is sent by a worker that is alive and free, without the ticker """

    def open(self, shelter, relay, heartbeat=SLOW_HEARTBEAT_S):
        """ A site on which only wakes have mail sent soon """

        shelter.open(relay, "dict", heartbeat=heartbeat, **HOURLY)
        shelter.shell(ONLY_WAKES)

    def runs(self, shelter, worker):
        """ Whether a worker runs, or has run, the wake """

        return [row["assigned_worker_name"].endswith("#%d" % worker.pid)
                for row in shelter.tasks("wake") if row["status"] != "QUEUED"] == [True]

    def test_a_mail_does_not_wait_for_the_ticker(self, shelter, relay):
        """ A free worker sends a mail long before the ticker assigns tasks """

        self.open(shelter, relay)
        shelter.work()

        assert shelter.accepts()

        assert relay.wait()

    def test_a_worker_of_the_right_group_sends(self, shelter, relay):
        """ A mail is sent by a worker of the group that the app says """

        self.open(shelter, relay)
        shelter.work("others")
        worker = shelter.work("more", "main")

        assert shelter.accepts()

        assert relay.wait()
        assert self.runs(shelter, worker)

    def test_a_worker_that_stands_still_is_not_waited_for(self, shelter, relay):
        """ A mail is sent by a free worker although another one that seems alive stands still """

        self.open(shelter, relay)
        still = shelter.work()
        os.kill(still.pid, signal.SIGSTOP)
        try:
            worker = shelter.work()

            assert shelter.accepts()

            assert relay.wait()
            assert self.runs(shelter, worker)
        finally:
            os.kill(still.pid, signal.SIGCONT)

    def test_a_worker_that_is_killed_before_it_takes_a_wake(self, shelter, relay):
        """ A wake of a worker that is killed right after it was queued is run by another one """

        self.open(shelter, relay)
        killed = shelter.work()
        os.kill(killed.pid, signal.SIGSTOP)
        assert shelter.accepts()
        shelter.stop(killed, grace=0)
        assert [row["status"] for row in shelter.tasks("wake")] == ["QUEUED"]

        worker = shelter.work()

        assert relay.wait()
        assert self.runs(shelter, worker)

    def test_a_worker_that_is_killed_after_it_took_a_wake(self, shelter, relay):
        """ A wake of a worker that is killed when it has taken it is run by another one """

        self.open(shelter, relay, heartbeat=1)
        stall = shelter.folder / "stall"
        (shelter.app_path / "models" / "zz_stall.py").write_text(STALL % str(stall))
        killed = shelter.work()
        stall.touch()
        assert shelter.accepts()
        assert eventually(lambda: self.runs(shelter, killed))
        shelter.stop(killed, grace=0)
        stall.unlink()

        worker = shelter.work()

        assert relay.wait(timeout=60)
        assert self.runs(shelter, worker)

    def test_a_busy_worker_is_not_waited_for(self, shelter, relay):
        """ A mail is sent by a free worker while another one runs a task of the app """

        self.open(shelter, relay, heartbeat=1)
        shelter.work()
        shelter.shell("db.scheduler_task.insert(application_name='shelter/default', "
                      "task_name='hello', function_name='hello', args='[\"Anne\", 600]', "
                      "timeout=600, next_run_time=%s)" % LONG_AGO)
        busy = "print(db(db.scheduler_task.task_name == 'hello').select().first().status)"
        assert eventually(lambda: shelter.shell(busy) == "RUNNING\n", 60)
        worker = shelter.work()

        assert shelter.accepts()

        assert relay.wait()
        assert self.runs(shelter, worker)

# =============================================================================
class TestWake:
    """ The drain starts soon after a send """

    def test_a_burst_costs_one_run(self, shelter, relay):
        """ Many mails in many requests cost one run if no worker has looked yet """

        shelter.open(relay)
        shelter.shell(IDLE_WORKER)

        assert shelter.accepts(200)
        for _ in range(5):
            assert shelter.accepts()

        wakes = shelter.tasks("wake", NO_IDLE_WORKER)
        assert 1 <= len(wakes) <= 2
        assert relay.connections == 0

        shelter.work()
        relay.wait(205)
        assert eventually(lambda: shelter.mails() == [SENT] * 205)
        # A wake that was assigned with the periodic run has one that finds nothing
        assert eventually(lambda: {row["status"] for row in shelter.tasks("wake")} <= {"COMPLETED"})
        assert sum(row["times_run"] for row in shelter.tasks()
                   if row["function_name"] == "mails3_drain") <= 2

    def test_many_visitors_at_a_time_are_all_served(self, shelter, relay):
        """ Each mail of many requests at a time arrives once while a worker sends """

        shelter.open(relay)
        shelter.work()

        with ThreadPoolExecutor(8) as pool:
            accepted = list(pool.map(lambda _: shelter.accepts(), range(40)))

        assert accepted == [True] * 40
        assert eventually(lambda: shelter.mails() == [SENT] * 40)
        assert len(relay.mails) == 40
        assert shelter.tickets() == []

    def test_a_lost_wake_loses_no_mail(self, shelter, relay):
        """ A periodic run sends mail whose wake was lost """

        shelter.open(relay)
        shelter.shell(IDLE_WORKER)
        assert shelter.accepts()
        wakes = "db.scheduler_task.uuid.startswith('mails3-wake')"
        assert shelter.tasks("wake", NO_IDLE_WORKER + "db(%s).delete()\n" % wakes) == []

        shelter.work()

        assert len(relay.wait()) == 1

    def test_a_failed_request_wakes_nobody(self, shelter, relay):
        """ A request that fails after the send leaves neither mail nor wake """

        shelter.open(relay)
        shelter.shell(IDLE_WORKER)

        assert shelter.post(action="boom").status_code == 500

        assert "RuntimeError: boom" in shelter.tickets()[0]
        assert shelter.mails("mail.drain()\n") == []
        assert shelter.tasks("wake") == []
        assert shelter.shell("print(db(db.mails3_message).isempty(), "
                             "db(db.mails3_delivery).isempty())") == "True True\n"
        assert relay.connections == 0

    def test_a_worker_that_waits_for_smtp_keeps_nobody_waiting(self, shelter, relay):
        """ A worker that waits for SMTP holds no lock, also on SQLite """

        shelter.open(relay)
        relay.silence("CONNECT")
        worker = shelter.work()
        assert shelter.accepts()
        assert eventually(lambda: relay.connections)

        # SQLite would refuse a writer that has waited for a lock for too long
        assert shelter.accepts()

        assert relay.connections == 1
        assert shelter.mails() == [UNSENT, UNSENT]
        shelter.stop(worker, grace=0)

# =============================================================================
class TestWithoutWorker:
    """ The site works without a worker """

    def test_a_setting_turns_the_fallback_off(self, shelter, relay):
        """ With the fallback off mail is only stored, and the admin is told """

        shelter.open(relay, fallback="no")

        assert shelter.accepts(3)

        assert shelter.mails() == [UNSENT] * 3
        assert relay.connections == 0
        assert shelter.told(NO_WORKER) == 1

    def test_mail_leaves_when_worker_and_relay_are_back(self, shelter, relay):
        """ Waiting mail leaves by itself when worker and relay are back """

        shelter.open(relay)
        relay.stop()
        assert shelter.accepts()
        assert eventually(lambda: shelter.told("Sending is suspended"))
        assert shelter.mails() == [UNSENT]

        relay.start()
        # Time passes: the relay may be tried again
        shelter.shell("db(db.mails3_channel).update(probe_on=%s)" % LONG_AGO)
        shelter.work()

        assert len(relay.wait()) == 1
        assert eventually(lambda: shelter.mails() == [SENT])

    def test_a_worker_that_hangs_counts_as_none(self, shelter, relay):
        """ A worker that is alive while mail waits for minutes counts as missing """

        shelter.open(relay)
        shelter.shell(IDLE_WORKER)
        assert shelter.accepts()
        assert relay.connections == 0
        shelter.shell("db(db.mails3_delivery).update(due_on=%s)" % LONG_AGO)

        assert shelter.accepts(2)

        assert len(relay.wait(3)) == 3
        assert eventually(lambda: shelter.mails() == [SENT] * 3)
        assert shelter.told(HANGS) == 1
        assert shelter.told(NO_WORKER) == 0

# END =========================================================================
