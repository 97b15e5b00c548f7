"""
    The alarm: one per incident, and one when it is over
"""

import json
import os
import stat
import threading

from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mails3.admin.alerts import Alerts
from mails3.states import NEW
from mails3.policy import ConfigurationFailure
from mails3.admin.operator import Operator

# =============================================================================
class Listener:
    """ Whom alert_url leads to """

    def __init__(self):

        self.heard = heard = []
        self.status = 204
        listener = self

        class Handler(BaseHTTPRequestHandler):

            def do_POST(self):
                heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(listener.status)
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%s/hook?token=hush" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    # -------------------------------------------------------------------------
    def close(self):

        self.server.shutdown()
        self.server.server_close()

# -----------------------------------------------------------------------------
@pytest.fixture
def listener():

    listener = Listener()
    yield listener
    listener.close()

# =============================================================================
class Clock:
    """ Tells the time that the test wants """

    def __init__(self):

        self.time = datetime(2026, 11, 25, 12)

    def __call__(self):

        return self.time

    def advance(self, **span):

        self.time += timedelta(**span)

# =============================================================================
class Watch:
    """ The alarm of an office, by a clock of its own """

    def __init__(self, office):

        self.office = office
        self.clock = Clock()
        self.relay = office.mail._relay()

    # -------------------------------------------------------------------------
    def run(self, minutes=0):
        """ What a worker does every few minutes """

        self.clock.advance(minutes=minutes)
        alarm = Alerts(self.office.mail, self.clock)
        alarm.watch()
        self.office.db.commit()
        alarm.tell(self.office.db.commit)

    # -------------------------------------------------------------------------
    def hold(self):

        self.relay.hold(ConfigurationFailure("Login is wrong"), "", None, self.clock())
        self.office.db.commit()

    # -------------------------------------------------------------------------
    def open(self):

        self.relay.open(self.clock())
        self.office.db.commit()

# -----------------------------------------------------------------------------
@pytest.fixture
def watch(office, listener):

    office.configure(alert_url=listener.url)
    return Watch(office)

# =============================================================================
class TestAlarm:
    """ Whoever looks, and however often, an incident is told of once """

    def test_an_incident_is_told_of_once_and_its_end_once(self, watch, listener):
        """ When each has lasted """

        watch.hold()
        for _ in range(5):
            watch.run(minutes=4)
        watch.open()
        for _ in range(5):
            watch.run(minutes=4)

        began, ended = listener.heard
        assert (began["site"], began["incident"], began["event"], began["since"]) == \
               ("shelter", "suspended", "began", "2026-11-25T12:04:00Z")
        assert "Login is wrong" in began["text"]
        assert (ended["event"], ended["text"]) == ("ended", "shelter: Mail is not held any more.")

    def test_what_is_over_soon_is_not_told_of(self, watch, listener):
        """ A mail server that comes and goes makes no alarm each time """

        for _ in range(20):
            watch.hold()
            watch.run(minutes=2)
            watch.open()
            watch.run(minutes=2)

        assert listener.heard == []

    def test_several_workers_tell_once(self, watch, office, listener):
        """ The state is in the database """

        watch.hold()
        watch.run()
        watch.clock.advance(minutes=6)
        other = office.connection()
        alarms = [Alerts(office.mail, watch.clock), Alerts(office.mailer(other), watch.clock)]
        for alarm in alarms:
            alarm.mail.configure = None
            alarm.watch()
            alarm.db.commit()
        for alarm in alarms:
            alarm.tell(alarm.db.commit)
        other.close()

        assert len(listener.heard) == 1

    def test_a_hook_that_fails_is_called_again_later(self, watch, listener, caplog):
        """ What is broken may be the network; the log does not give its URL away """

        listener.status = 500
        watch.hold()
        watch.run()
        watch.run(minutes=6)
        watch.run(minutes=1)
        assert len(listener.heard) == 1
        assert "alert_url" in caplog.text and "hush" not in caplog.text

        listener.status = 200
        watch.run(minutes=6)
        watch.run(minutes=60)
        assert len(listener.heard) == 2

    def test_a_command_gets_it_on_its_input(self, watch, office, tmp_path):
        """ With its arguments """

        script, result = tmp_path / "alert", tmp_path / "told"
        script.write_text('#!/bin/sh\ncat > "$1"\n')
        os.chmod(script, stat.S_IRWXU)
        office.configure(alert_url="", alert_command="%s '%s'" % (script, result))

        watch.hold()
        watch.run()
        watch.run(minutes=6)

        assert json.loads(result.read_text())["event"] == "began"

    def test_a_pause_is_no_incident(self, watch, listener):
        """ Somebody wants it """

        watch.relay.pause("Pat", "Tea", watch.clock())
        for _ in range(5):
            watch.run(minutes=10)

        assert listener.heard == []

    def test_a_broken_alarm_breaks_no_run(self, office, caplog):
        """ The mail is sent all the same """

        office.queue("anne@example.org")
        office.db.executesql("DROP TABLE mails3_incident")
        office.db.commit()

        assert office.drain() == 1
        assert "The alarm does not work" in caplog.text

# =============================================================================
class TestLog:
    """ What has happened is in the log, with the cause that it has now """

    def test_after_a_resume_the_cause_that_follows_is_logged(self, office, caplog):
        """ Also one of the same kind; the same one once more, and then no more """

        office.queue("anne@example.org")
        for settings, cause in (({"sender": None}, "No sender configured"),
                                ({"sender": "x@example.org", "server": None}, "No mail server"),
                                ({"server": None}, "No mail server")):
            office.mail.settings.update(settings)
            caplog.clear()
            Operator(office.mail, "Pat").resume()
            office.db.commit()
            for _ in range(3):
                office.later(400)
                office.drain()
            told = [text for text in caplog.messages if text.startswith("Mail is held")]
            assert len(told) == 1 and cause in told[0]
            assert cause in office.state().reason

    def test_a_worker_that_hangs_after_none_was_alive_is_logged(self, office, caplog):
        """ One incident follows the other, each with its own words """

        class Tasks:
            alive = 0
            def workers(self):
                return self.alive

        office.queue("anne@example.org")
        office.later(400)
        office.mail.tasks = Tasks()
        for Tasks.alive in (0, 0, 1, 1):
            Alerts(office.mail).watch()
            office.db.commit()
            assert Alerts(office.mail).is_active("worker")

        assert [text.partition(".")[0] for text in caplog.messages] == \
               ["No scheduler worker is alive", "The scheduler worker seems to hang"]

# =============================================================================
class TestDay:
    """ No flood """

    def test_an_outage_of_a_day_makes_two_alarms(self, small_office, listener, caplog):
        """ With 5,000 messages: two by the hook, two lines in the log """

        office = small_office
        office.configure(alert_url=listener.url)
        watch = Watch(office)
        office.relay.stop()

        # A drain every ten minutes
        for batch in range(144):
            if batch < 100:
                # To many, each unseen by the others
                assert office.mail.send("news@example.org", "News", "There is news.",
                                        bcc = ["user%s-%s@example.org" % (batch, number)
                                               for number in range(49)])
                office.db.commit()
            office.mail._courier("EMAIL", commit=office.db.commit, now=watch.clock).drain()
            watch.run(minutes=10)

        assert office.mail.report().counts()["new"] == 5000
        office.relay.start()
        outbox = office.mail._outbox()
        while not outbox.is_empty(NEW, watch.clock()):
            office.mail._courier("EMAIL", commit=office.db.commit, now=watch.clock).drain()
            watch.run(minutes=10)
        watch.run(minutes=10)

        assert sum(len(mail.recipients) for mail in office.relay.mails) == 5000
        assert [notice["event"] for notice in listener.heard] == ["began", "ended"]
        assert caplog.text.count("Mail is held") == 1
        assert caplog.text.count("Mail is not held any more") == 1
        assert len(caplog.messages) == 2

# END =========================================================================
