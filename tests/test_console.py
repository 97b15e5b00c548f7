"""
    The admin's verbs on the command line, as a person or a script runs them
"""

import ast
import json
import os
import pty
import re
import signal
import subprocess
import sys

import pytest

from conftest import CLONE, SERVERS, FakeRelay, make_database, on_server
from host import Site, eventually
from mails3.installation import install

MODULE = CLONE / "modules" / "mails3"

VERBS = ("status", "list", "show", "retry", "requeue", "cancel", "hold", "release", "pause",
         "resume", "drain", "flush", "check", "test", "purge", "migrate")

# =============================================================================
class Terminal:
    """ A site, and somebody who types commands on its machine """

    def __init__(self, site):

        self.site = site
        self.environ = {**os.environ, "PYTHONPATH": os.environ.get("WEB2PY_PATH", "")}

    # -------------------------------------------------------------------------
    def command(self, *words):

        return [sys.executable, str(self.site.app_path / "modules/mails3"),
                *map(str, words)]

    # -------------------------------------------------------------------------
    def run(self, *words):
        """ What a command says, and its exit status """

        run = subprocess.run(self.command(*words), capture_output=True, encoding="utf-8",
                             env=self.environ, timeout=60)
        assert "Traceback" not in run.stderr, run.stderr
        return run.stdout, run.returncode

    # -------------------------------------------------------------------------
    def said(self, *words):
        """ All that a command says, as cron sees it """

        run = subprocess.run(self.command(*words), stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, encoding="utf-8",
                             env=self.environ, timeout=60)
        return run.stdout

    # -------------------------------------------------------------------------
    def json(self, *words):
        """ The same for scripts: what there is on stdout is JSON, all of it """

        told, status = self.run(*words, "--json")
        return json.loads(told), status

    # -------------------------------------------------------------------------
    def queue(self, *addresses):
        """ Queue mails as the app does; the site sends nothing by itself """

        told = self.site.shell("for address in %r:\n"
                               "    mail.send(address, 'News', 'There is news.')\n"
                               "entries = mail.report().page(limit=%d)[0]\n"
                               "print(*[entry['number'] for entry in entries][::-1])"
                               % (addresses, len(addresses)))
        return [int(word) for word in told.split()]

    # -------------------------------------------------------------------------
    def state(self, number):

        return self.json("show", number)[0]["state"]

# -----------------------------------------------------------------------------
@pytest.fixture
def relay():

    with FakeRelay() as relay:
        yield relay

# -----------------------------------------------------------------------------
@pytest.fixture
def terminal(tmp_path, relay):

    with Site(tmp_path / "site").create() as site:
        install(site.app_path, tell=lambda line: None)
        (site.app_path / "private/mails3.ini").write_text(
                "[mails3]\nfallback = no\nretry_interval = 0\n")
        site.configure(smtp={"server": relay.address, "sender": "shelter@shelter.net"})
        yield Terminal(site)

# -----------------------------------------------------------------------------
@pytest.fixture
def database_for_a_site(databases):
    """ Makes an empty database by the name of its engine, returns its URI """

    made = []

    def make(engine):
        if engine == "sqlite":
            return "sqlite://storage.sqlite"
        databases(engine) # skips where there is no server
        made.append((engine, make_database(SERVERS[engine])))
        return made[-1][1]

    yield make

    for engine, uri in made:
        on_server(SERVERS[engine], "DROP DATABASE %s" % uri.rpartition("/")[2])

# =============================================================================
class TestCron:
    """ cron in place of a worker """

    def test_drain_and_retry_do_all_the_work(self, terminal, relay):
        """ And the site does not miss a worker """

        assert terminal.json("status")[0]["problems"][0]["kind"] == "worker"
        relay.answer("RCPT", "451 4.3.0 Later", to="bob@example.org", times=1)
        anne, bob = terminal.queue("anne@example.org", "bob@example.org")

        assert terminal.run("drain") == ("2 done, 0 waiting.\n", 0)
        assert terminal.run("drain") == ("", 0)
        assert terminal.run("status")[1] == 0
        assert (terminal.state(anne), terminal.state(bob)) == ("sent", "deferred")

        terminal.site.shell("import datetime\n"
                            "db(db.mails3_delivery).update(due_on=datetime.datetime(2020, 1, 1))")
        assert terminal.run("retry")[1] == 0
        assert terminal.state(bob) == "sent"

    def test_flush_sends_what_is_deferred(self, terminal, relay):
        """ Whenever that would be due """

        relay.answer("RCPT", "451 4.3.0 Later", times=1)
        number, = terminal.queue("anne@example.org")
        terminal.run("drain")

        assert terminal.json("flush") == ({"settled": 1, "waiting": 0, "stopped": False}, 0)
        assert terminal.state(number) == "sent"

    def test_the_exit_status_is_for_monitors(self, terminal, relay):
        """ 0 flowing, 1 waiting for something, 2 somebody has to repair something """

        assert terminal.run("status")[1] == 2 # no worker
        terminal.run("drain")
        assert terminal.run("status")[1] == 0

        terminal.run("pause", "Tea", "--minutes", "5")
        told, status = terminal.run("status")
        assert status == 1 and "Sending is paused" in told and "Tea" in told
        terminal.run("resume")

        terminal.queue("anne@example.org")
        relay.stop()
        assert terminal.run("drain")[1] == 1
        assert terminal.run("status")[1] == 1
        relay.start()
        terminal.run("resume")
        assert terminal.run("drain")[1] == 0

        terminal.site.configure(smtp={"sender": None})
        terminal.queue("bob@example.org")
        assert terminal.run("drain")[1] == 2
        told, status = terminal.run("status")
        assert status == 2 and "No sender configured" in told

    def test_cron_gets_no_mail_while_all_is_well(self, terminal, relay):
        """ Whatever a cron job prints, cron mails to somebody """

        jobs = [["drain"], ["retry"], ["purge"]]
        assert [terminal.said(*job) for job in jobs] == [""] * 3

        # What is deferred and not due yet, is nothing to tell
        relay.answer("RCPT", "451 4.3.0 Later", to="bob@example.org")
        terminal.queue("anne@example.org", "bob@example.org")
        assert terminal.said("drain", "--quiet") == ""
        assert [terminal.said(*job) for job in jobs] == [""] * 3
        assert terminal.said("status", "--quiet") == ""

    def test_cron_gets_one_mail_for_one_trouble(self, terminal, relay):
        """ With its reason; then no more, as long as it lasts """

        terminal.queue("anne@example.org")
        relay.stop()

        told = [terminal.said("drain", "--quiet") for _ in range(3)]
        assert "Connection refused" in told[0] and told[1:] == ["", ""]
        assert "Connection refused" in terminal.said("status", "--quiet")

    def test_ctrl_c_ends_it_after_the_mail_in_hand(self, terminal, relay):
        """ Nothing is in doubt, nothing stays claimed """

        relay.delay("BODY", 0.3)
        terminal.queue(*["user%s@example.org" % n for n in range(50)])
        run = subprocess.Popen(terminal.command("drain", "--json"), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=terminal.environ)
        assert eventually(lambda: len(relay.mails) > 2)
        run.send_signal(signal.SIGINT)
        told, complaints = run.communicate(timeout=30)

        assert run.returncode == 1 and b"Traceback" not in complaints
        told = json.loads(told)
        assert told["stopped"] and told["settled"] == len(relay.mails) < 50
        assert told["settled"] + told["waiting"] == 50
        assert terminal.site.shell(
            "table = db.mails3_delivery\n"
            "print(db((table.lease != None) | (table.begun_on != None) & (table.queue != None))"
            ".count())") == "0\n"

    def test_a_terminal_gets_a_bar(self, terminal, relay):
        """ And nobody else """

        relay.delay("BODY", 0.1)
        terminal.queue(*["user%s@example.org" % n for n in range(10)])
        master, slave = pty.openpty()
        run = subprocess.Popen(terminal.command("drain"), stdout=slave, stderr=slave,
                               env=terminal.environ)
        os.close(slave)
        told = b""
        try:
            while True:
                told += os.read(master, 4096)
        except OSError:
            # The other end is closed
            pass
        os.close(master)

        assert run.wait(30) == 0
        assert re.search(rb"\[#+ *\] +\d+ % of 10", told) and b"10 done, 0 waiting" in told

# =============================================================================
class TestVerbs:
    """ The same as on the page """

    def test_each_does_what_it_says(self, terminal, relay):
        """ By number; what does not apply says why """

        relay.answer("RCPT", "550 5.1.1 No such user", times=1)
        anne, bob = terminal.queue("anne@example.org", "bob@example.org")
        terminal.run("drain", "--seconds", "30")

        told, status = terminal.run("show", anne)
        assert status == 0 and "RCPT 550 5.1.1 No such user" in told
        assert terminal.json("requeue", anne, bob, 99) == \
            ({"done": [anne], "refused": {str(bob): "It has been sent.",
                                          "99": "There is no such mail."}}, 1)
        for verb, state in (("hold", "held"), ("release", "new"), ("cancel", "failed")):
            assert terminal.run(verb, anne) == ("%s: done\n" % anne, 0)
            assert terminal.state(anne) == state
        listed, _ = terminal.json("list", "failed")
        assert [entry["number"] for entry in listed] == [anne]
        assert "on the command line" in listed[0]["reply"]
        assert terminal.run("list", "--search", "bob")[0].count("\n") == 1
        assert terminal.run("show", 99)[1] == 2

    def test_check_and_test(self, terminal, relay):
        """ Without sending, and with """

        told, status = terminal.run("check")
        assert status == 0 and "The configuration works." in told and relay.mails == []
        relay.answer("MAIL", "550 5.7.1 Not you", times=1)
        assert terminal.run("check")[1] == 2

        # Nothing is wrong with the configuration if one recipient is
        relay.answer("RCPT", "550 5.1.1 No such user", to="nobody@example.org")
        told, status = terminal.run("check", "nobody@example.org")
        assert status == 1 and "The configuration works." in told
        assert "refuses this one recipient" in told
        assert terminal.run("check", "nonsense") == ("", 2)
        assert terminal.run("check", "anne@example.org")[1] == 0

        number = terminal.json("test", "anne@example.org", "--seconds", "0")[0]["number"]
        terminal.run("drain")
        assert terminal.state(number) == "sent"
        assert terminal.run("test", "nonsense")[1] == 2
        number = terminal.json("test", "Anne <anne@example.org>", "--seconds", "0")[0]["number"]
        terminal.run("drain")
        assert terminal.state(number) == "sent"

    def test_mail_goes_out_once_one_has(self, terminal):
        """ Not before """

        terminal.run("drain")
        told, status = terminal.run("status")
        assert status == 0 and "No mail has gone out yet" in told
        assert "Mail is going out" not in told
        assert terminal.json("status")[0]["status"] == "untried"

        terminal.queue("anne@example.org")
        terminal.run("drain")
        assert "Mail is going out" in terminal.run("status")[0]
        assert terminal.json("status")[0]["status"] == "flowing"

    def test_resume_says_what_it_did(self, terminal, relay):
        """ A mail server that is asked again was not paused """

        assert terminal.run("resume")[0] == "Nothing was paused, nothing is held.\n"
        terminal.queue("anne@example.org")
        relay.stop()
        terminal.run("drain")
        assert terminal.run("resume")[0] == "The mail server is asked again.\n"
        terminal.run("pause")
        assert terminal.run("resume")[0] == "Sending is resumed.\n"

    def test_metrics(self, terminal):
        """ In Prometheus' format """

        told, status = terminal.run("status", "--prometheus")
        assert status == 0 and 'mails3_deliveries{state="new"} 0' in told

    def test_purge_tells_before_it_does(self, terminal, relay):
        """ With --dry-run """

        terminal.queue("anne@example.org")
        terminal.run("drain")
        terminal.site.shell("import datetime\n"
                            "db(db.msg_outbox).update(modified_on=datetime.datetime(2020, 1, 1))")

        assert terminal.json("purge", "--dry-run")[0]["old"] == 1
        assert terminal.json("purge")[0]["removed"] == 1
        assert terminal.json("list")[0] == []

    def test_migrate_brings_the_tables_up_to_date(self, terminal):
        """ And says so """

        assert terminal.run("migrate") == ("The tables and tasks are up to date.\n", 0)

    @pytest.mark.parametrize("verb", VERBS + ("install", "uninstall"))
    def test_each_verb_explains_itself(self, verb):
        """ Without an app """

        run = subprocess.run([sys.executable, str(MODULE), verb, "--help"],
                             capture_output=True, encoding="utf-8")
        assert run.returncode == 0 and len(run.stdout) > 200

    @pytest.mark.parametrize("verb", ["status", "drain", "migrate"])
    def test_outside_of_an_app_it_says_where_it_runs(self, verb):
        """ In a clone of the project """

        run = subprocess.run([sys.executable, str(MODULE), verb], capture_output=True,
                             encoding="utf-8")
        assert run.returncode != 0 and "where the app is installed" in run.stderr

# =============================================================================
class TestOddArguments:
    """ Whatever is asked for, there is one clear line and an exit status """

    @pytest.mark.parametrize("engine", ["sqlite", "postgres", "mysql"])
    def test_no_argument_ends_in_an_exception(self, tmp_path, relay, database_for_a_site,
                                              engine):
        """ On any database, every verb takes or refuses any argument """

        uri = database_for_a_site(engine)
        with Site(tmp_path / "site", uri=uri).create() as site:
            install(site.app_path, tell=lambda line: None)
            (site.app_path / "private/mails3.ini").write_text(
                    "[mails3]\nfallback = no\nretry_interval = 0\n")
            site.configure(smtp={"server": relay.address, "sender": "shelter@shelter.net"})
            terminal = Terminal(site)
            terminal.queue("anne@example.org", "bob@example.org")
            run = subprocess.run([sys.executable, str(CLONE / "tests/odd_arguments.py"),
                                  str(site.app_path)], capture_output=True,
                                 encoding="utf-8", errors="backslashreplace",
                                 env=terminal.environ, timeout=300)

        assert "FAULT" not in run.stderr and "Traceback" not in run.stderr, run.stderr
        assert "Exit statuses: [0, 1, 2]" in run.stdout
        # Nothing steers the terminal
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", run.stdout)

# =============================================================================
class TestSurroundings:
    """ Where it runs must not matter """

    def test_a_reader_that_has_enough_is_no_error(self, terminal):
        """ As with "| head -1"; what was told is done """

        numbers = terminal.queue(*["user%s@example.org" % n for n in range(500)])
        for words in (["list", "--limit", "500"], ["hold", *numbers], ["status"]):
            run = subprocess.Popen(terminal.command(*words), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=terminal.environ)
            run.stdout.close()
            complaints = run.stderr.read()
            assert run.wait(60) == 141
            assert b"Error" not in complaints and b"Traceback" not in complaints

        assert terminal.json("status")[0]["counts"]["held"] == 500

    @pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
    def test_a_closed_stream_is_no_error(self, terminal, closed):
        """ As some services start their programs """

        run = subprocess.run(["sh", "-c", '"$@" ' + closed, "sh",
                              *terminal.command("list")],
                             capture_output=True, env=terminal.environ, timeout=60)

        assert run.returncode == 0 and b"Error" not in run.stderr

    def test_an_ascii_terminal_gets_ascii(self, terminal):
        """ What it can't show is escaped """

        terminal.environ.update(LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0",
                                PYTHONIOENCODING="ascii")
        number, = terminal.queue("anne@example.org")
        terminal.site.shell("db(db.msg_outbox).update(address='\\u00fcber@example.org')")

        for words in (["list"], ["show", number], ["list", "--search", "\u00fcber"]):
            assert terminal.run(*words)[1] == 0
        assert "\\xfcber@example.org" in terminal.run("list")[0]

    def test_nothing_in_the_database_steers_the_terminal(self, terminal):
        """ Nor turns the direction of the text """

        number, = terminal.queue("anne@example.org")
        terminal.site.shell(
            "bad = 'x' + chr(27) + '[31m' + chr(0x9b) + chr(7) + chr(0x202e) + 'y'\n"
            "db(db.msg_outbox).update(address=bad)\n"
            "db(db.mails3_delivery).update(reply=bad)\n"
            "db(db.mails3_message).update(message_id_header=bad,\n"
            "                             head='{\"subject\": \"\\\\u001b[31m\"}')\n"
            "row = db(db.mails3_delivery).select().first()\n"
            "db.mails3_attempt.insert(delivery_id=row.id, phase=bad, reply=bad,\n"
            "                         tried_on=request.now)\n"
            "db(db.mails3_channel).update(paused_on=request.now, paused_by=bad, pause_reason=bad,\n"
            "                           status='tripped', reason=bad)\n")

        for words in (["list"], ["list", "--json"], ["show", number], ["status"],
                      ["show", number, "--json"], ["status", "--json"], ["hold", number],
                      ["drain"]):
            run = subprocess.run(terminal.command(*words), capture_output=True,
                                 encoding="utf-8", env=terminal.environ, timeout=60)
            assert run.stdout or words == ["drain"]
            assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", run.stdout + run.stderr)

    def test_a_database_that_can_only_be_read_is_told(self, tmp_path, relay, database_for_a_site):
        """ In one line; what only reads works on """

        uri = database_for_a_site("postgres")
        with Site(tmp_path / "site", uri=uri).create() as site:
            install(site.app_path, tell=lambda line: None)
            site.configure(smtp={"server": relay.address, "sender": "shelter@shelter.net"})
            terminal = Terminal(site)
            number, = terminal.queue("anne@example.org")
            terminal.environ["PGOPTIONS"] = "-c default_transaction_read_only=on"

            for words in (["status"], ["list"], ["show", number]):
                told, status = terminal.run(*words)
                assert status != 2 or "No scheduler worker" in told
            for words in (["hold", number], ["requeue", number], ["pause"], ["resume"],
                          ["drain"], ["flush"], ["retry"]):
                run = subprocess.run(terminal.command(*words), capture_output=True,
                                     encoding="utf-8", env=terminal.environ, timeout=60)
                assert run.returncode == 2 and "Traceback" not in run.stderr
                assert run.stderr.splitlines()[-1].startswith("mails3: This can't be done (")

    def test_an_old_python_is_told_so(self):
        """ The program can be read by it, and ends with one line """

        program = MODULE / "__main__.py"
        ast.parse(program.read_text(encoding="utf-8"), feature_version=(3, 4))
        pretend = "import runpy, sys\nsys.version_info = (3, 6, 15, 'final', 0)\n" \
                  "runpy.run_path(%r, run_name='__main__')" % str(program)
        commands = [[sys.executable, "-c", pretend]] + \
                   [[python, str(program)] for python in
                    ("python2.7", "python3.6", "python3.7", "python3.8")
                    if answers(python)]

        for command in commands:
            run = subprocess.run([*command, "status"], capture_output=True, encoding="utf-8")
            assert run.returncode == 1
            assert run.stderr.startswith("mails3: This needs Python 3.9 or newer")
            assert run.stderr.count("\n") == 1

# -----------------------------------------------------------------------------
def answers(python):
    """ Whether there is such a Python """

    try:
        return subprocess.run([python, "--version"], capture_output=True).returncode == 0
    except OSError:
        return False

# END =========================================================================
