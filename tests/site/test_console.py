"""
    The verbs of the command line, as people and scripts run them
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

from support.web2py import CLONE
from support.databases import SERVERS, make_database, on_server
from support.site import Site, eventually
from support.token_endpoint import CLIENT, TokenEndpoint
from mails3.installation import install

MODULE = CLONE / "modules" / "mails3"

VERBS = ("status", "list", "show", "retry", "requeue", "cancel", "hold", "release", "pause",
         "resume", "drain", "flush", "check", "oauth", "test", "purge", "migrate")

# web2py's logging.conf of a site whose log goes to stderr and to a file
LOGGING = """
[loggers]
keys = root
[handlers]
keys = terminal, file
[formatters]
keys = plain
[logger_root]
level = WARNING
handlers = terminal, file
[handler_terminal]
class = StreamHandler
formatter = plain
args = (sys.stderr,)
[handler_file]
class = FileHandler
formatter = plain
args = ("site.log",)
[formatter_plain]
format = %(levelname)s %(message)s
"""

# =============================================================================
class Terminal:
    """ A site, and a person who types commands on its machine """

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

    def test_cron_jobs_do_a_workers_work(self, terminal, relay):
        """ drain and retry send all mail, and the site reports no missing worker """

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

    def test_flush_sends_deferred_mail(self, terminal, relay):
        """ flush sends deferred mail before it is due """

        relay.answer("RCPT", "451 4.3.0 Later", times=1)
        number, = terminal.queue("anne@example.org")
        terminal.run("drain")

        assert terminal.json("flush") == ({"settled": 1, "waiting": 0, "stopped": False}, 0)
        assert terminal.state(number) == "sent"

    def test_the_exit_status_tells_monitors_the_state(self, terminal, relay):
        """
            status exits with 0 when mail flows, 1 when something is waited for, 2 when a repair
            is needed
        """

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

    @pytest.mark.parametrize("options", [[], ["--quiet"], ["--json"]])
    def test_the_first_status_prints_only_the_status(self, terminal, options):
        """ The first status of a new site prints the incident that it notes only once """

        run = subprocess.run(terminal.command("status", *options), capture_output=True,
                             encoding="utf-8", env=terminal.environ, timeout=60)

        assert run.stderr == ""
        assert run.stdout.count("No worker is alive") == 1

    def test_an_incident_that_status_notes_is_in_the_log(self, terminal):
        """ The file of the log has the incident, and the terminal has only the status """

        folder = terminal.site.folder
        (folder / "logging.conf").write_text(LOGGING)

        told = terminal.said("status")

        logged = (folder / "site.log").read_text()
        assert logged.startswith("ERROR No worker is alive. ")
        assert told.startswith("No worker is alive.\n")
        assert "ERROR" not in told

    def test_status_logs_that_its_alerts_fail(self, terminal):
        """ An error that the status does not tell stays on the terminal """

        terminal.site.shell("db.executesql('CREATE TRIGGER refused BEFORE INSERT ON '"
                            "'mails3_incident BEGIN SELECT RAISE(ABORT, \"refused\"); END')")

        told = terminal.said("status")

        assert "Alerts do not work" in told and "No worker is alive.\n" in told

    def test_cron_jobs_print_nothing_while_mail_flows(self, terminal, relay):
        """ A cron job prints nothing while mail flows, because cron mails its output """

        jobs = [["drain"], ["retry"], ["purge"]]
        assert [terminal.said(*job) for job in jobs] == [""] * 3

        # What is deferred and not due yet, is nothing to tell
        relay.answer("RCPT", "451 4.3.0 Later", to="bob@example.org")
        terminal.queue("anne@example.org", "bob@example.org")
        assert terminal.said("drain", "--quiet") == ""
        assert [terminal.said(*job) for job in jobs] == [""] * 3
        assert terminal.said("status", "--quiet") == ""

    def test_cron_jobs_report_an_incident_once(self, terminal, relay):
        """ A cron job prints the reason of an incident once, while the incident lasts """

        terminal.queue("anne@example.org")
        relay.stop()

        told = [terminal.said("drain", "--quiet") for _ in range(3)]
        assert "Connection refused" in told[0] and told[1:] == ["", ""]
        assert "Connection refused" in terminal.said("status", "--quiet")

    def test_ctrl_c_ends_a_run_after_its_message(self, terminal, relay):
        """ After Ctrl-C nothing is in doubt and nothing stays claimed """

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

    def test_only_a_terminal_gets_a_progress_bar(self, terminal, relay):
        """ A progress bar is written to a terminal and to nothing else """

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
    """ The command line has the verbs of the page """

    def test_each_verb_does_what_it_says(self, terminal, relay):
        """ Each verb acts on the numbers that it is given, and says why one does not apply """

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

    def test_check_sends_nothing_and_test_sends_a_mail(self, terminal, relay):
        """ check shows the dialogue without a message, test sends one """

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

    def test_a_person_logs_in_once_and_mail_leaves_by_token(self, terminal, relay, tmp_path):
        """ The verb oauth gets a refresh token, by which check and drain log in """

        with TokenEndpoint() as endpoint:
            relay.login, relay.mechanisms = ("shelter@shelter.net", "x"), ["XOAUTH2"]
            relay.takes_token, endpoint.user = endpoint.is_valid, "shelter@shelter.net"
            path = tmp_path / "refresh"
            assert "oauth_refresh_token_file" in terminal.said("oauth")
            (terminal.site.app_path / "private/mails3.ini").write_text(
                "[mails3]\nfallback = no\noauth = microsoft\noauth_tenant = contoso\n"
                "oauth_client_id = %s\noauth_token_url = %s\noauth_refresh_token_file = %s\n"
                "oauth_user = shelter@shelter.net\n" % (CLIENT, endpoint.token_url, path))
            endpoint.answer(200, {"user_code": "ABCD", "device_code": "x", "interval": 1,
                                  "verification_uri": "https://example.org/devicelogin"})
            endpoint.answer(200, {"refresh_token": "refresh-0"})

            told, status = terminal.run("oauth")
            assert status == 0 and "enter the code ABCD" in told
            assert "refresh-0" not in told and path.stat().st_mode & 0o777 == 0o600
            told, status = terminal.run("check")
            assert status == 0, told
            assert told.startswith("ok   token          had from 127.0.0.1, valid for 59 min\n")

            number, = terminal.queue("anne@example.org")
            terminal.run("drain")
            assert terminal.state(number) == "sent"

    def test_status_waits_for_the_first_mail(self, terminal):
        """ status does not say that mail goes out before one message was sent """

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
        """ resume says whether sending was paused or a relay is asked again """

        assert terminal.run("resume")[0] == "Nothing was paused, nothing is suspended.\n"
        terminal.queue("anne@example.org")
        relay.stop()
        terminal.run("drain")
        assert terminal.run("resume")[0] == "The mail server is asked again.\n"
        terminal.run("pause")
        assert terminal.run("resume")[0] == "Sending is resumed.\n"

    def test_metrics_are_printed_for_prometheus(self, terminal):
        """ metrics prints the format of Prometheus """

        told, status = terminal.run("status", "--prometheus")
        assert status == 0 and 'mails3_deliveries{state="new"} 0' in told

    def test_purge_can_be_tried_without_removing(self, terminal, relay):
        """ purge --dry-run counts rows and removes none """

        terminal.queue("anne@example.org")
        terminal.run("drain")
        terminal.site.shell("import datetime\n"
                            "db(db.msg_outbox).update(modified_on=datetime.datetime(2020, 1, 1))")

        assert terminal.json("purge", "--dry-run")[0]["old"] == 1
        assert terminal.json("purge")[0]["removed"] == 1
        assert terminal.json("list")[0] == []

    def test_migrate_brings_the_tables_up_to_date(self, terminal):
        """ migrate adds missing columns and names them """

        assert terminal.run("migrate") == ("The tables and tasks are up to date.\n", 0)

    @pytest.mark.parametrize("verb", VERBS + ("install", "uninstall"))
    def test_each_verb_explains_itself(self, verb):
        """ Each verb has --help without an app """

        run = subprocess.run([sys.executable, str(MODULE), verb, "--help"],
                             capture_output=True, encoding="utf-8")
        assert run.returncode == 0 and len(run.stdout) > 200

    @pytest.mark.parametrize("verb", ["status", "drain", "migrate"])
    def test_a_verb_outside_of_an_app_says_where_it_runs(self, verb):
        """ A verb that is run in the project's clone says that it needs an app """

        run = subprocess.run([sys.executable, str(MODULE), verb], capture_output=True,
                             encoding="utf-8")
        assert run.returncode != 0 and "where the app is installed" in run.stderr

# =============================================================================
class TestOddArguments:
    """ Any argument gets a clear line and an exit status """

    @pytest.mark.parametrize("engine", ["sqlite", "postgres", "mysql"])
    def test_no_argument_ends_in_an_exception(self, tmp_path, relay, database_for_a_site,
                                              engine):
        """ No argument of any verb ends in an exception, on any database """

        uri = database_for_a_site(engine)
        with Site(tmp_path / "site", uri=uri).create() as site:
            install(site.app_path, tell=lambda line: None)
            (site.app_path / "private/mails3.ini").write_text(
                    "[mails3]\nfallback = no\nretry_interval = 0\n")
            site.configure(smtp={"server": relay.address, "sender": "shelter@shelter.net"})
            terminal = Terminal(site)
            terminal.queue("anne@example.org", "bob@example.org")
            run = subprocess.run([sys.executable, str(CLONE / "tests/support/odd_arguments.py"),
                                  str(site.app_path)], capture_output=True,
                                 encoding="utf-8", errors="backslashreplace",
                                 env=terminal.environ, timeout=300)

        assert "FAULT" not in run.stderr and "Traceback" not in run.stderr, run.stderr
        assert "Exit statuses: [0, 1, 2]" in run.stdout
        # Nothing steers the terminal
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", run.stdout)

# =============================================================================
class TestSurroundings:
    """ The command line works with any terminal, stream and rights """

    def test_a_closed_pipe_is_no_error(self, terminal):
        """ A reader that ends early, like "| head -1", causes no error, and the verb is done """

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
        """ A program that was started with closed streams works """

        run = subprocess.run(["sh", "-c", '"$@" ' + closed, "sh",
                              *terminal.command("list")],
                             capture_output=True, env=terminal.environ, timeout=60)

        assert run.returncode == 0 and b"Error" not in run.stderr

    def test_an_ascii_terminal_gets_ascii(self, terminal):
        """ Characters that the terminal can't show are escaped """

        terminal.environ.update(LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0",
                                PYTHONIOENCODING="ascii")
        number, = terminal.queue("anne@example.org")
        terminal.site.shell("db(db.msg_outbox).update(address='\\u00fcber@example.org')")

        for words in (["list"], ["show", number], ["list", "--search", "\u00fcber"]):
            assert terminal.run(*words)[1] == 0
        assert "\\xfcber@example.org" in terminal.run("list")[0]

    def test_stored_text_does_not_control_the_terminal(self, terminal):
        """ No control character and no change of text direction reaches the terminal """

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

    def test_a_read_only_database_is_reported(self, tmp_path, relay, database_for_a_site):
        """ Verbs that write say in one line that the database is read-only, the others work """

        uri = database_for_a_site("postgres")
        with Site(tmp_path / "site", uri=uri).create() as site:
            install(site.app_path, tell=lambda line: None)
            site.configure(smtp={"server": relay.address, "sender": "shelter@shelter.net"})
            terminal = Terminal(site)
            number, = terminal.queue("anne@example.org")
            terminal.environ["PGOPTIONS"] = "-c default_transaction_read_only=on"

            for words in (["status"], ["list"], ["show", number]):
                told, status = terminal.run(*words)
                assert status != 2 or "No worker" in told
            for words in (["hold", number], ["requeue", number], ["pause"], ["resume"],
                          ["drain"], ["flush"], ["retry"]):
                run = subprocess.run(terminal.command(*words), capture_output=True,
                                     encoding="utf-8", env=terminal.environ, timeout=60)
                assert run.returncode == 2 and "Traceback" not in run.stderr
                assert run.stderr.splitlines()[-1].startswith("mails3: This can't be done (")

    def test_an_old_python_is_refused(self):
        """ An old Python can parse the program, and gets one line that names the version """

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
