"""
    From a request through the scheduler to the relay, on a running site
"""

import json
import time

from concurrent.futures import ThreadPoolExecutor

import pytest

from mechanicalsoup import StatefulBrowser

from host import Site, eventually

from mails3.installation import install
from mails3.states import SENT, UNSENT

NO_WORKER, HANGS = "No scheduler worker is alive", "the worker seems to hang"

# Looks alive, but does nothing
IDLE_WORKER = """
import datetime
db.scheduler_worker.insert(worker_name = "idle",
                           status = "ACTIVE",
                           group_names = ["main"],
                           last_heartbeat = datetime.datetime(2999, 1, 1),
                           )
"""
NO_IDLE_WORKER = "db(db.scheduler_worker.worker_name == 'idle').delete()\n"

TASKS = """
table = db.scheduler_task
print(db(table.uuid.startswith("mails3-")).select(orderby=table.uuid).as_json())
"""
MAILS = """
table = db.msg_outbox
print([row.status for row in db(table).select(orderby=table.id)])
"""
# The periodic runs are not due: only a kick has mail sent soon
ONLY_KICKS = """
import datetime
soon = datetime.datetime.now() + datetime.timedelta(seconds=3600)
db(db.scheduler_task.uuid.startswith("mails3-")).update(next_run_time=soon)
"""
HOURLY = {"drain_interval": 3600, "retry_interval": 3600}

LONG_AGO = "__import__('datetime').datetime(2020, 1, 1)"

# =============================================================================
class Shelter(Site):
    """ A site with MailS3 """

    def open(self, relay, mode="dict", heartbeat=0.5, **given):
        """
            Install MailS3, start the web server

            Args:
                relay: the FakeRelay to send to
                mode: what Scheduler the app has: none, dict or plain
                heartbeat: of the app's Scheduler
                given: settings of MailS3
        """

        install(self.app_path, tell=lambda line: None)
        lines = ["%s = %s\n" % setting for setting in given.items()]
        path = self.app_path / "private" / "mails3.ini"
        path.write_text("[mails3]\n" + "".join(lines))
        self.configure(smtp = {"server": relay.address,
                               "sender": "Shelter <shelter@example.org>"},
                       scheduler = {"mode": mode, "heartbeat": heartbeat},
                       )
        self.serve()

    # -------------------------------------------------------------------------
    def post(self, number=1, action="flood", **values):
        """ A request that sends mails; the response """

        if action == "flood":
            values["number"] = number
        return StatefulBrowser().post("%s/default/%s" % (self.url, action),
                                      data = dict(values, to="anne@example.org"),
                                      )

    # -------------------------------------------------------------------------
    def accepts(self, number=1):
        """ Whether a visitor is told that so many mails are under way """

        return self.post(number).text == str(number)

    # -------------------------------------------------------------------------
    def mails(self, code=""):
        """ The statuses of all mails; after some code """

        return json.loads(self.shell(code + MAILS))

    # -------------------------------------------------------------------------
    def tasks(self, name="", code=""):
        """ Our rows in the scheduler's table, by how their uuid goes on """

        return [row for row in json.loads(self.shell(code + TASKS))
                if row["uuid"].startswith("mails3-" + name)]

    # -------------------------------------------------------------------------
    def told(self, words):
        """ How often the admin is told something in the web server's log """

        return sum(path.read_text().count(words) for path in self.logs.glob("serve-*.err"))

# -----------------------------------------------------------------------------
@pytest.fixture
def shelter(tmp_path):
    """ A site on which MailS3 is about to be installed """

    with Shelter(tmp_path / "site") as shelter:
        yield shelter.create()

# =============================================================================
class TestModes:
    """ Whatever Scheduler the app has, if any """

    @pytest.mark.parametrize("mode", ["dict", "plain"])
    def test_mail_goes_out_beside_the_apps_own_tasks(self, shelter, relay, mode):
        """ With a dict of tasks and without, which makes every function one """

        shelter.open(relay, mode, **HOURLY)
        # First in line: a worker takes its time for each task
        shelter.shell(ONLY_KICKS +
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
        """ By the mail of the app as well as by that of auth; a worker has another """

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

    def test_delivery_takes_less_than_20_seconds(self, shelter, relay):
        """ From the commit, with the heartbeat that web2py has by default """

        shelter.open(relay, "none", **HOURLY)
        shelter.shell(ONLY_KICKS)
        shelter.work()

        assert shelter.accepts()
        committed = time.time()

        seconds = relay.wait(timeout=60)[0].at - committed
        print("delivered after %.1f seconds" % seconds)
        assert seconds < 20

# =============================================================================
class TestStart:
    """ A site that starts has nothing to complain about """

    def test_the_first_worker_misses_none(self, shelter, relay):
        """ Its models run before its first heartbeat, as those of the web server may """

        shelter.open(relay)
        StatefulBrowser().get(shelter.url + "/default/index")
        shelter.work()

        logs = "".join(path.read_text() for path in shelter.logs.glob("*.err"))
        assert NO_WORKER not in logs and "ERROR" not in logs

    def test_a_mistake_in_the_settings_is_logged_once(self, shelter, relay):
        """ Not with each request; with the file and the nearest name """

        shelter.open(relay, max_retires=3)
        for _ in range(3):
            StatefulBrowser().get(shelter.url + "/default/index")

        assert shelter.told("Setting max_retires in %s is unknown: is max_retries meant?" %
                            (shelter.app_path / "private/mails3.ini")) == 1

# =============================================================================
class TestRows:
    """ Two rows of fixed uuids in the scheduler's table """

    @pytest.mark.parametrize("mode", ["dict", "none"])
    def test_they_are_made_once(self, shelter, relay, mode):
        """ Though all processes of the site meet MailS3 at the same time """

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
    def test_a_site_that_does_not_migrate_has_them_as_well(self, shelter, relay, way):
        """ All that MailS3 needs comes into being without pydal's migration """

        # The app's own tables
        shelter.shell("pass")
        model = shelter.app_path / "models" / "db.py"
        model.write_text(model.read_text().replace('"uri"))', '"uri"), %s)' % way))

        shelter.open(relay, "none")

        assert shelter.accepts()
        assert len(relay.mails) == 1
        assert len(shelter.tasks("drain") + shelter.tasks("retry")) == 2
        assert shelter.tickets() == []

    def test_an_app_may_get_a_scheduler_of_its_own(self, shelter, relay):
        """ Which finds the tables that were made without it """

        shelter.open(relay, "none")
        assert shelter.accepts()

        shelter.configure(scheduler={"mode": "dict"})

        assert shelter.accepts()
        assert shelter.tickets() == []
        assert not list(shelter.app_path.glob("databases/*.lock"))

    def test_they_are_repaired(self, shelter, relay):
        """ What the scheduler would leave as it is for ever """

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

# =============================================================================
class TestKick:
    """ The drain starts soon after a send """

    def test_a_burst_costs_one_run(self, shelter, relay):
        """ However many mails and requests there were before a worker looks """

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
        # A kick that was assigned with the periodic run has one that finds nothing
        assert eventually(lambda: {row["status"] for row in shelter.tasks("wake")} <= {"COMPLETED"})
        assert sum(row["times_run"] for row in shelter.tasks()
                   if row["function_name"] == "mails3_drain") <= 2

    def test_many_visitors_at_a_time_are_all_served(self, shelter, relay):
        """ In threads of one server, while a worker sends: each mail arrives, and once """

        shelter.open(relay)
        shelter.work()

        with ThreadPoolExecutor(8) as pool:
            accepted = list(pool.map(lambda _: shelter.accepts(), range(40)))

        assert accepted == [True] * 40
        assert eventually(lambda: shelter.mails() == [SENT] * 40)
        assert len(relay.mails) == 40
        assert shelter.tickets() == []

    def test_a_kick_that_is_lost_loses_no_mail(self, shelter, relay):
        """ New mail is also looked for without being told """

        shelter.open(relay)
        shelter.shell(IDLE_WORKER)
        assert shelter.accepts()
        wakes = "db.scheduler_task.uuid.startswith('mails3-wake')"
        assert shelter.tasks("wake", NO_IDLE_WORKER + "db(%s).delete()\n" % wakes) == []

        shelter.work()

        assert len(relay.wait()) == 1

    def test_what_is_undone_kicks_nobody(self, shelter, relay):
        """ The request fails after the send: neither mail nor kick is there """

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
        """ It holds no lock on the database meanwhile, not even of SQLite """

        shelter.open(relay)
        relay.silence("CONNECT")
        worker = shelter.work()
        assert shelter.accepts()
        assert eventually(lambda: relay.connections)

        start = time.monotonic()
        accepted = shelter.accepts()
        seconds = time.monotonic() - start

        assert accepted and seconds < 3
        assert relay.connections == 1
        assert shelter.mails() == [UNSENT, UNSENT]
        shelter.stop(worker, grace=0)

# =============================================================================
class TestWithoutWorker:
    """ Nobody does the scheduler's work """

    def test_mail_is_tried_at_once(self, shelter, relay):
        """ In the request; the admin is told, not once per mail """

        shelter.open(relay)

        assert shelter.accepts(3)
        assert len(relay.mails) == 3
        assert shelter.accepts()
        assert len(relay.mails) == 4

        assert shelter.mails() == [SENT] * 4
        assert shelter.told(NO_WORKER) == 1

    def test_a_setting_turns_that_off(self, shelter, relay):
        """ Then mail is only stored; the admin is told all the same """

        shelter.open(relay, fallback="no")

        assert shelter.accepts(3)

        assert shelter.mails() == [UNSENT] * 3
        assert relay.connections == 0
        assert shelter.told(NO_WORKER) == 1

    def test_the_visitor_waits_for_a_short_time_at_most(self, shelter, relay):
        """ The mail server accepts the connection, and then says nothing """

        shelter.open(relay, fallback_timeout=1)
        relay.silence("CONNECT")

        start = time.monotonic()
        accepted = shelter.accepts(20)
        seconds = time.monotonic() - start

        assert accepted
        # Mail.send would wait for 5 seconds (settings.timeout), for each mail
        assert seconds < 4
        assert relay.connections == 1
        assert shelter.mails() == [UNSENT] * 20

    def test_it_leaves_when_worker_and_relay_are_back(self, shelter, relay):
        """ Nobody has to do anything about it """

        shelter.open(relay)
        relay.stop()
        assert shelter.accepts()
        assert shelter.mails() == [UNSENT]

        relay.start()
        # Time passes: the relay may be tried again
        shelter.shell("db(db.mails3_channel).update(probe_on=%s)" % LONG_AGO)
        shelter.work()

        assert len(relay.wait()) == 1
        assert eventually(lambda: shelter.mails() == [SENT])

    def test_a_worker_that_hangs_counts_as_none(self, shelter, relay):
        """ It is alive, but mail has been waiting for minutes """

        shelter.open(relay)
        shelter.shell(IDLE_WORKER)
        assert shelter.accepts()
        assert relay.connections == 0
        shelter.shell("db(db.mails3_delivery).update(due_on=%s)" % LONG_AGO)

        assert shelter.accepts(2)

        assert len(relay.mails) == 2
        assert shelter.mails() == [UNSENT, SENT, SENT]
        assert shelter.told(HANGS) == 1
        assert shelter.told(NO_WORKER) == 0

# END =========================================================================
