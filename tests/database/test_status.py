"""
    Report, status, metrics and configuration check
"""

import io
import re

from datetime import timedelta
from types import SimpleNamespace

import pytest

from support.fake_relay import FakeRelay
from support.meanwhile import meanwhile
from mails3.clock import utcnow
from mails3.states import FAILED, NEW, SENT, UNSENT
from mails3.delivery import runs
from mails3.admin.manual_run import manual_run
from mails3.admin.metrics import exposition
from mails3.admin.operator import Operator
from mails3.admin.printing import Output
from mails3.admin.config_check import check_configuration, refuses_recipient, works
from mails3.admin.next_step import next_step
from mails3.admin.status import BROKEN, FLOWING, WAITING, Status

ANNE, BOB, NOBODY = "anne@example.org", "bob@example.org", "nobody@example.org"

# To count 100,000 rows takes some of these; to read all of a table's rows several
# times, or each with each, takes many more (thousands)
MAX_INSTRUCTIONS = 10000

# -----------------------------------------------------------------------------
def status(office):

    office.db.commit()
    return Status(office.mail, utcnow())

# -----------------------------------------------------------------------------
def instructions(db, action):
    """ How many instructions SQLite's virtual machine runs, in thousands """

    thousands = []
    connection = db._adapter.connection
    connection.set_progress_handler(lambda: thousands.append(None), 1000)
    try:
        action()
    finally:
        connection.set_progress_handler(None, 0)
    return len(thousands)

# -----------------------------------------------------------------------------
def one_of_each(office):
    """ A mail in each state: their numbers """

    office.relay.answer("RCPT", "550 5.1.1 No such user", to=NOBODY)
    office.relay.answer("RCPT", "451 4.3.0 Later", to=BOB)
    numbers = office.queue(ANNE, NOBODY, BOB)
    office.drain()
    captured = office.queue("captured@example.org")
    office.drain(delivery="capture")
    office.configure(delivery="relay")
    numbers += office.queue("new@example.org", "held@example.org", "gone@example.org")
    operator = Operator(office.mail, "Pat")
    operator.hold(numbers[4:5])
    operator.cancel(numbers[5:])
    numbers.append(office.queue("later@example.org", not_before=3600))
    office.db.commit()
    return {"captured": captured,
            **dict(zip(("sent", "rejected", "deferred", "new", "held", "failed", "scheduled"),
                       numbers))}

# =============================================================================
class TestReport:
    """ Each mail is found, in its state """

    def test_each_state_has_its_list(self, office):
        """ Each mail is in the list of its state, and counted there """

        numbers = one_of_each(office)

        report = office.mail.report()
        assert report.counts() == dict.fromkeys(numbers, 1)
        for state, number in numbers.items():
            (entry,), older, newer = report.page(state)
            assert (entry["number"], entry["state"], older, newer) == \
                   (number, state, False, False)

    def test_rows_without_a_companion_are_new(self, office):
        """ A row that Eden has queued and no run has seen is listed as new """

        office.db.msg_outbox.insert(address=ANNE, contact_method="EMAIL", status=UNSENT)
        office.db.msg_outbox.insert(address="+49123", contact_method="SMS", status=UNSENT)

        report = office.mail.report()
        assert report.counts()["new"] == 1
        entry, = report.page("new")[0]
        assert (entry["address"], entry["subject"], entry["attempts"]) == (ANNE, None, 0)
        assert Operator(office.mail, "Pat").hold([entry["number"]])[0]
        assert report.entry(entry["number"])["state"] == "held"

    def test_pages_follow_each_other_without_a_gap(self, office):
        """ Pages show each mail once, forwards and backwards """

        office.queue(*["user%s@example.org" % n for n in range(7)])
        report = office.mail.report()

        seen, before = [], None
        while True:
            entries, older, newer = report.page(before=before, limit=3)
            assert newer == (before is not None)
            seen.extend(entry["number"] for entry in entries)
            if not older:
                break
            before = seen[-1]
        assert len(seen) == 7 and seen == sorted(seen, reverse=True)

        entries, older, newer = report.page(after=seen[-1], limit=3)
        assert [entry["number"] for entry in entries] == seen[3:6]
        assert older and newer
        entries, older, newer = report.page(after=seen[3], limit=3)
        assert [entry["number"] for entry in entries] == seen[:3] and not newer

    def test_a_search_finds_text_or_a_number(self, office):
        """ A search finds a part of an address in any case, or a number """

        percent, anne, zoe = office.queue("a%b@example.org", ANNE, "ζωή@bücher.example")
        report = office.mail.report()

        for search, number in (("ANNE@", anne), ("%", percent), (str(anne), anne),
                               ("bücher", zoe), ("ωή@BÜCHER.example", zoe), ("ζωή", zoe)):
            assert [entry["number"] for entry in report.page(search=search)[0]] == [number]
        for search in ("_nne", "'", "\\"):
            assert report.page(search=search)[0] == []

    def test_the_last_day_is_counted_by_the_hour(self, office):
        """ Sent and failed mail of the last day is counted for each hour """

        one_of_each(office)
        now = utcnow()
        hours = office.mail.report().hours(now)

        assert len(hours) == 24 and hours[-1][0] <= now < hours[-1][0] + timedelta(hours=1)
        assert [sum(column) for column in list(zip(*hours))[1:]] == [1, 1]
        assert sum(hours[-1][1:]) + sum(hours[-2][1:]) == 2

    def test_a_hundred_thousand_rows_are_fast(self, small_office):
        """ No list, last page, search or overview reads 100,000 rows several times """

        db = small_office.db
        number = small_office.queue(ANNE)
        small_office.drain()
        row = small_office.entry(number)
        message_id = row.mails3_delivery.message_id
        now = str(utcnow().replace(microsecond=0))
        db._adapter.connection.executemany(
            "INSERT INTO msg_outbox (id, address, contact_method, status, created_on, "
            "modified_on) VALUES (?, ?, 'EMAIL', ?, ?, ?)",
            [(n, "user%s@example.org" % n, (FAILED if n % 100 == 0 else SENT), now, now)
             for n in range(10, 100010)])
        db._adapter.connection.executemany(
            "INSERT INTO mails3_delivery (outbox_id, message_id, channel, attempts, tried_on) "
            "VALUES (?, ?, 'EMAIL', 1, ?)", [(n, message_id, now) for n in range(10, 100010)])
        db.commit()

        report = small_office.mail.report()
        for look in (lambda: report.page(), lambda: report.page("sent", before=100),
                     lambda: report.page("failed", before=700), lambda: report.page("rejected"),
                     lambda: report.page("deferred"), lambda: report.page("new"),
                     lambda: report.page(search="user99999@"), report.counts,
                     lambda: report.page("failed", search="nowhere"),
                     report.oldest, lambda: report.hours(utcnow()), report.sizes):
            assert instructions(db, look) < MAX_INSTRUCTIONS

# =============================================================================
class TestStatus:
    """ The status says whether mail goes out, and why not """

    def test_mail_goes_out_although_some_was_refused(self, office):
        """ The status is "flowing" although some mail was refused """

        one_of_each(office)
        assert status(office).level == FLOWING

    def test_a_relay_that_is_away_is_waited_for(self, office):
        """ With a relay that is away, the status has the reason and the time of the next probe """

        office.queue(ANNE)
        office.relay.stop()
        office.drain()

        problem, = status(office).problems
        assert (problem.kind, problem.level) == ("suspended", WAITING)
        assert "Connection refused" in problem.detail and "Asked again at" in problem.detail

    def test_a_wrong_configuration_has_to_be_repaired(self, office):
        """ With a refused login, the status asks for a repair """

        office.queue(ANNE)
        office.mail.settings.sender = None
        office.drain()

        problem, = status(office).problems
        assert (problem.kind, problem.level) == ("suspended", BROKEN)
        assert "No sender configured" in problem.detail

    def test_a_pause_says_who_why_and_how_long(self, office):
        """ The status of a paused site says who has paused it, why and for how long """

        Operator(office.mail, "Pat").pause("Tea", utcnow() + timedelta(hours=1))

        problem, = status(office).problems
        assert (problem.kind, problem.level) == ("paused", WAITING)
        assert problem.detail.startswith("Tea. By Pat, until 20")

    def test_a_hanging_worker_is_shown(self, office):
        """ The status says that a worker hangs while mail waits """

        office.queue(ANNE)
        office.later(400)

        problem, = status(office).problems
        assert (problem.kind, problem.level) == ("worker", BROKEN)

    @pytest.mark.parametrize("kind, send", [
        ("scheduler", lambda mail: mail.drain()),
        ("command", lambda mail: manual_run(mail, mail.report(), NEW, Output(io.StringIO()))),
        ("web", lambda mail: Operator(mail, "Pat").send())])
    def test_a_run_is_listed_by_who_has_started_it(self, office, monkeypatch, kind, send):
        """ A run that lasts is listed among the workers, by what has started it """

        now, listed = [utcnow()], []

        def passing():
            now[0] += timedelta(seconds=4)
            return now[0]

        monkeypatch.setattr(runs, "database_clock", lambda db: (passing, timedelta(0)))
        office.queue(ANNE)
        thread = meanwhile(office, "DATA",
                           lambda mail: listed.extend(Status(mail, now[0]).worker_list()))

        send(office.mail)
        thread.join()

        assert [(worker["kind"], worker["doing"]) for worker in listed] == \
               [(kind, "sending (EMAIL)")]
        assert Status(office.mail, now[0]).worker_list() == []

    def test_risky_settings_are_warned_of(self, office):
        """ The status warns of an example sender, and of mail and a login without TLS """

        def warned(word, **settings):
            office.mail.settings.update(settings)
            return any(word in warning for warning in status(office).warnings())

        assert warned("is an example")
        for sender in ("x@shelter.test", "x@localhost", "X <x@mail.example.com>"):
            assert warned("is an example", sender=sender)
        assert not warned("is an example", sender="x@shelter.net")
        assert not warned("encryption")
        assert warned("without encryption", server="mail.shelter.net:25", tls=False)
        assert warned("and the login", login="user:hush")
        assert not warned("and the login", tls=True)
        office.mail.settings.tls = False
        office.configure(verify_tls="yes")
        assert not warned("and the login")
        assert warned("No sender", sender=None)
        assert warned("No mail server", server=None)
        report = str(status(office).as_dict())
        assert "hush" not in report

    def test_each_state_has_its_next_step(self, office):
        """ The next step of a mail is given for each state """

        numbers = one_of_each(office)

        def said(state):
            return next_step(office.mail.report().entry(numbers[state]), status(office))

        assert "accepted" in said("sent")
        assert "refused for good" in said("rejected")
        assert re.search(r"tried again at 20\d\d-", said("deferred"))
        assert "next drain" in said("new")
        assert "releases" in said("held")
        assert "nobody has got it" in said("captured")
        Operator(office.mail, "Pat").pause()
        # The page of one mail gives the reason as well
        assert said("new") == said("deferred")
        assert said("new").startswith("It waits: sending is paused. By Pat, until somebody")

# =============================================================================
class TestMetrics:
    """ Metrics are in the text format of Prometheus """

    def test_metrics_follow_the_format(self, office):
        """ Each metric has its type and base units """

        one_of_each(office)
        Operator(office.mail, "Pat").pause()
        text = exposition(status(office))

        sample = re.compile(r'mails3_([a-z_]+)(\{[a-z]+="[a-z]+"\})? (\d+(\.\d+)?)')
        described = set()
        for line in text.splitlines():
            if line.startswith("# TYPE"):
                name, kind = line.split()[2:]
                described.add(name)
                assert (kind == "counter") == name.endswith("_total")
            elif not line.startswith("# HELP"):
                found = sample.fullmatch(line)
                assert found and "mails3_" + found.group(1) in described
        for line in ('mails3_deliveries{state="held"} 1', "mails3_sent_total 1",
                     "mails3_refusals_total 2", "mails3_paused 1", "mails3_suspended 0",
                     "mails3_status 1"):
            assert line in text.splitlines()

# =============================================================================
class TestConfigCheck:
    """ The configuration check sends no message """

    def test_each_step_of_the_check_is_shown(self, small_office):
        """ The check shows each step, TLS and login included """

        with FakeRelay(tls="starttls", login=("shelter", "hush")) as relay:
            small_office.mail.settings.update(server=relay.address, tls=True,
                                              login="shelter:hush")
            steps = check_configuration(small_office.mail, ANNE)

            assert [step["phase"] for step in steps] == \
                   ["connect", "EHLO", "STARTTLS", "certificate", "EHLO", "AUTH", "MAIL", "RCPT",
                    "RSET"]
            assert all(step["good"] for step in steps)
            assert relay.mails == [] and "hush" not in str(steps)

    @pytest.mark.parametrize("step, reply", [("EHLO", "421 4.3.2 Closed"),
                                             ("MAIL", "550 5.7.1 Not you"),
                                             ("RCPT", "550 5.1.1 No such user")])
    def test_the_check_ends_with_the_failed_step(self, small_office, step, reply):
        """ The check ends with the step that failed, in the server's words """

        small_office.relay.answer(step, reply)
        steps = check_configuration(small_office.mail)

        assert [step["good"] for step in steps][-1] is False
        assert (steps[-1]["phase"], "%s %s" % (steps[-1]["code"], steps[-1]["reply"])) == \
               (step, reply)

    @pytest.mark.parametrize("step, reply", [
        ("CONNECT", "421 4.7.0 Error: too many connections from 192.0.2.1"),
        ("RCPT", "450 4.7.1 Error: too many recipients from 192.0.2.1")])
    def test_the_check_tells_that_less_mail_is_wanted(self, small_office, step, reply):
        """ A relay that wants less mail fails the check, and refuses nobody """

        small_office.relay.answer(step, reply)
        steps = check_configuration(small_office.mail)

        assert not works(steps) and not refuses_recipient(steps)
        assert steps[-1]["reply"] == "The mail server wants less mail now (%s)" % reply[4:]

    def test_a_relay_that_is_away_fails_the_first_step(self, small_office):
        """ The check fails at its first step where the relay is away """

        small_office.relay.stop()
        step, = check_configuration(small_office.mail)
        small_office.relay.start()

        assert step["phase"] == "connect" and "refused" in step["reply"]

    @pytest.mark.parametrize("settings", [{"sender": None}, {"server": None},
                                          {"sender": "nonsense"}, {"login": "nocolon"}])
    def test_a_check_without_a_server_says_why(self, small_office, settings):
        """ The check says why it can't begin """

        small_office.mail.settings.update(settings)
        step, = check_configuration(small_office.mail)

        assert not step["good"] and step["reply"]
        assert small_office.relay.connections == 0

# =============================================================================
class TestDeveloper:
    """ mail.settings.server = "logging" if request.is_local else ... """

    def test_page_and_check_agree_that_mail_is_only_logged(self, small_office):
        """ Status and check both say that mail is only logged, and neither reports a failure """

        small_office.mail.settings.server = "logging"
        assert small_office.mail.send(ANNE, "News", "There is news.")

        status = Status(small_office.mail, utcnow())
        step, = check_configuration(small_office.mail)

        assert status.level == FLOWING
        assert any("'logging' in this request" in told for told in status.warnings())
        assert step["good"] and "'logging'" in step["reply"]
        assert works([step]) and not refuses_recipient([step])

    def test_a_missing_worker_is_shown_whatever_the_server(self, small_office):
        """
            Status reports a missing worker whether settings.server is "logging" or a mail
            server, because other visitors' mail needs a worker
        """

        small_office.mail.tasks = SimpleNamespace(count_workers=lambda: 0)

        problems = []
        for server in ("logging", small_office.relay.address):
            small_office.mail.settings.server = server
            problems.append(Status(small_office.mail, utcnow()).problems)

        assert problems[0] == problems[1]
        assert problems[0][0].kind == "worker"

# END =========================================================================
