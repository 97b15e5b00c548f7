"""
    The worker of our own, the verb work, on a running site without a scheduler
"""

import json
import os
import re
import signal
import sys

from pathlib import Path
from threading import Event

import pytest

from support.app import App
from support.fake_relay import FakeRelay
from support.page import ADD_ADMIN, PageVisitor
from support.shelter import Shelter
from support.site import TESTS, eventually
from support.terminal import CTRL_C, Terminal
from support.visitor import Visitor

from mails3.installation import install
from mails3.states import SENT, UNSENT

WELCOME = Path(os.environ.get("WEB2PY_PATH", "/nowhere")) / "applications/welcome"

# Time passes: the lease of a lost worker is over
LATER = "UPDATE mails3_delivery SET leased_until = '2020-01-01 00:00:00' WHERE lease IS NOT NULL"

# For the worker only: the requests of visitors work
BROKEN = """
import sys
if "work" in sys.argv:
    raise RuntimeError("This model is broken")
"""

# -----------------------------------------------------------------------------
@pytest.fixture
def shelter(tmp_path, relay):
    """ A site with MailS3, served, and without a scheduler """

    with Shelter(tmp_path / "site").create() as shelter:
        shelter.open(relay, "none", fallback="no", sessions=1)
        yield shelter

def workers(site):
    """ The numbers of the processes of all workers that are at work, the oldest first """

    if not site.sql("SELECT name FROM sqlite_master WHERE name = 'mails3_worker'"):
        # It is the first one that makes the tables
        return []
    return [row[0] for row in site.sql("SELECT process_id FROM mails3_worker ORDER BY id")]

def statuses(site):
    """ What has become of all mails, the oldest first """

    return [row[0] for row in site.sql("SELECT status FROM msg_outbox ORDER BY id")]

def start(site, count=1):
    """ Start a worker, wait until its processes work; their numbers """

    ended = set(workers(site))
    site.work_alone("--workers", str(count))
    return replaced(site, ended, count)

def replaced(site, process_ids, count=1):
    """ Wait until other processes work; their numbers """

    def others():
        found = workers(site)
        return found if len(found) == count and not process_ids.intersection(found) else None

    found = eventually(others)
    assert found, errors(site)
    return found

def errors(site):
    """ What the processes of the worker have said on their stderr """

    return "".join(path.read_text() for path in sorted(site.logs.glob("mails3-*.err")))

def end(process, number=signal.SIGTERM):
    """ Send a process a signal, and wait for its end; its exit status """

    process.send_signal(number)
    return process.wait(30)

def supervisor(site):
    """ The process that was started last """

    return site.processes[-1]

# =============================================================================
class TestAlone:
    """ Nothing else is needed """

    @pytest.mark.parametrize("original", [TESTS / "app", WELCOME], ids=["stand-in", "welcome"])
    def test_a_registration_needs_no_scheduler(self, tmp_path, relay, original):
        """ The link of a registration is sent by the worker alone, and works """

        if not original.is_dir():
            pytest.skip("WEB2PY_PATH is not set: no welcome app, see tests/run.py")
        with Shelter(tmp_path / "site", app="welcome").create(original) as site:
            model = site.app_path / "models" / "zz_verification.py"
            model.write_text("auth.settings.registration_requires_verification = True\n")
            install(site.app_path, tell=lambda line: None)
            site.configure(smtp = {"server": relay.address, "login": None, "tls": False,
                                   "ssl": False, "sender": "Shelter <shelter@shelter.net>"})
            site.serve()
            start(site)
            visitor = Visitor(site)

            visitor.register("anne@example.org")

            mail, = relay.wait()
            assert mail.recipients == ["anne@example.org"]
            link = re.search(r"http\S+verify_email\S+", str(mail.message.get_payload(decode=True),
                                                            "utf-8")).group().rstrip("'\"")
            assert visitor.open(link).status_code == 200
            assert eventually(lambda: statuses(site) == [SENT])
            assert site.tickets() == []
            assert errors(site) == ""

    def test_an_admin_sees_the_worker(self, shelter):
        """ status and the page tell which worker is alive, on which machine, and what it does """

        process_id, = start(shelter)
        shelter.shell(ADD_ADMIN)
        machine = re.escape(os.uname().nodename)

        told, status = App(shelter.app_path).command("status")
        told_json = json.loads(App(shelter.app_path).command("status", "--json")[0])
        page = PageVisitor(shelter, "admin@example.org").get().text

        assert re.search(r"^  worker +%s, process %s, since .* UTC: waiting for mail$" %
                         (machine, process_id), told, re.M), told
        assert (status, told_json["workers"]) == (0, 1)
        worker, = told_json["worker_list"]
        assert (worker["kind"], worker["is_alive"]) == ("worker", True)
        assert re.search(r"worker</th><td>\s*%s, process %s,\s+since .* UTC;\s+last sign of life "
                         r".*: waiting for mail\s*</td>" % (machine, process_id), page)

        os.kill(process_id, signal.SIGSTOP)
        shelter.sql("UPDATE mails3_worker SET alive_on = '2026-01-01 10:00:00'")
        told, _ = App(shelter.app_path).command("status")
        assert re.search(r"^  worker .* lost, the last sign of life at 2026-01-01 10:00 UTC$",
                         told, re.M), told
        os.kill(process_id, signal.SIGCONT)

    def test_a_person_sees_in_a_terminal_how_much_mail_there_is(self, shelter, relay):
        """ In a terminal, one line tells how much mail there is, and why it does not go out """

        command = [sys.executable, "applications/shelter/modules/mails3", "work"]
        with Terminal() as terminal:
            process = terminal.run(command, cwd=shelter.folder, env=shelter._environ())
            assert eventually(lambda: "no mail" in terminal.shown), terminal.shown

            assert shelter.accepts(3)
            assert eventually(lambda: "  3 sent  " in terminal.shown), terminal.shown
            relay.stop()
            assert shelter.accepts(2)
            assert eventually(lambda: "  2 new, 3 sent. The mail server does not take mail  "
                              in terminal.shown), terminal.shown

            terminal.type(CTRL_C)
            assert process.wait(30) == 0
            assert "Ending after the mail in hand" in terminal.shown

# =============================================================================
class TestEnd:
    """ The worker ends well, or is lost """

    def test_it_ends_after_the_mail_in_hand(self, shelter, relay):
        """
            SIGTERM ends the worker when the relay has answered, and gives back what it has
            claimed
        """

        answered = Event()
        relay.hold("BODY", answered.is_set)
        process_id, = start(shelter)
        assert shelter.accepts(3)
        assert eventually(lambda: any(verb == "DATA" for _, verb, _ in relay.commands))
        # systemd sends it to all of them
        supervisor(shelter).send_signal(signal.SIGTERM)
        os.kill(process_id, signal.SIGTERM)
        assert shelter.accepts()
        assert supervisor(shelter).poll() is None

        answered.set()

        assert supervisor(shelter).wait(30) == 0
        assert statuses(shelter) == [SENT, UNSENT, UNSENT, UNSENT]
        assert shelter.sql("SELECT id FROM mails3_delivery "
                           "WHERE lease IS NOT NULL OR begun_on IS NOT NULL") == []
        assert workers(shelter) == []
        assert errors(shelter) == ""

    @pytest.mark.parametrize("whom", ["process", "supervisor and process"])
    def test_another_worker_takes_over(self, shelter, relay, whom):
        """ What a killed worker had claimed is sent by another one, with the same Message-ID """

        relay.silence("BODY", times=1)
        process_id, = start(shelter)
        assert shelter.accepts(3)
        assert eventually(lambda: any(verb == "DATA" for _, verb, _ in relay.commands))

        if whom == "process":
            os.kill(process_id, signal.SIGKILL)
        else:
            supervisor(shelter).kill()
            supervisor(shelter).wait()
            os.kill(process_id, signal.SIGKILL)
            shelter.work_alone()
        shelter.sql(LATER)

        relay.wait(3)
        assert eventually(lambda: statuses(shelter) == [SENT] * 3)
        arrived = [mail.message["Message-ID"] for mail in relay.mails]
        assert sorted(arrived) == sorted(row[0] for row in shelter.sql(
                                         "SELECT message_id_header FROM mails3_message"))

    def test_a_removed_worker_ends(self, shelter):
        """ uninstall ends the worker, without an error """

        start(shelter)

        assert App(shelter.app_path).run("uninstall")[1] == 0

        assert supervisor(shelter).wait(30) == 0
        out = "".join(path.read_text() for path in shelter.logs.glob("mails3-*.out"))
        assert "MailS3 has been removed from the app" in out
        assert "Traceback" not in errors(shelter)

# =============================================================================
class TestChange:
    """ The worker reads what is new """

    def test_a_changed_configuration_is_used(self, shelter, relay):
        """ A changed configuration file has the mail go to the new server """

        process_id, = start(shelter)
        with FakeRelay() as other:
            shelter.configure(smtp={"server": other.address})
            replaced(shelter, {process_id})

            assert shelter.accepts()

            assert other.wait()[0].recipients == ["anne@example.org"]
        assert relay.connections == 0

    def test_a_signal_has_the_settings_read_again(self, shelter):
        """ SIGHUP, to the supervisor or a process, replaces the process """

        process_id, = start(shelter)

        supervisor(shelter).send_signal(signal.SIGHUP)
        second, = replaced(shelter, {process_id})
        os.kill(second, signal.SIGHUP)
        third, = replaced(shelter, {process_id, second})

        assert len({process_id, second, third}) == 3
        assert end(supervisor(shelter)) == 0
        assert errors(shelter) == ""

    def test_a_wrong_configuration_that_is_repaired(self, shelter, relay):
        """ Mail that waits for the repair of a refused login leaves when the file is repaired """

        relay.login = ("user", "secret")
        shelter.configure(smtp={"login": "user:wrong"})
        process_id, = start(shelter)
        assert shelter.accepts()
        assert eventually(lambda: "Sending is suspended" in errors(shelter))

        shelter.configure(smtp={"login": "user:secret"})

        assert relay.wait()[0].recipients == ["anne@example.org"]
        assert [accepted for *_, accepted in relay.logins] == [False, True]

    def test_a_model_that_breaks_stops_no_mail(self, shelter, relay):
        """ If a model is broken, mail is sent with the models from before """

        process_id, = start(shelter)
        (shelter.app_path / "models" / "zz_broken.py").write_text(BROKEN)
        assert eventually(lambda: "This model is broken" in errors(shelter))

        assert shelter.accepts()

        assert len(relay.wait()) == 1
        (shelter.app_path / "models" / "zz_broken.py").unlink()
        replaced(shelter, {process_id})

    def test_a_model_that_is_broken_at_the_start(self, shelter, relay):
        """ A worker whose models are broken says so, and works when they are repaired """

        model = shelter.app_path / "models" / "zz_broken.py"
        model.write_text(BROKEN)
        shelter.work_alone()
        assert eventually(lambda: "mails3: The app does not run" in errors(shelter))
        assert shelter.accepts()
        assert relay.connections == 0

        model.unlink()

        assert len(relay.wait()) == 1

# =============================================================================
class TestSeveral:
    """ Several processes share the work """

    def test_two_processes_send_each_mail_once(self, shelter, relay):
        """ Each mail of many is sent once by one of two processes """

        assert len(start(shelter, 2)) == 2

        for _ in range(10):
            assert shelter.accepts(10)

        relay.wait(100)
        assert eventually(lambda: statuses(shelter) == [SENT] * 100)
        assert len(relay.mails) == 100
        assert end(supervisor(shelter)) == 0
        assert workers(shelter) == []
        assert errors(shelter) == ""

# END =========================================================================
