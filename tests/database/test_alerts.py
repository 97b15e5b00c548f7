"""
    Alerts: one for each incident, and one for its end
"""

import json
import os
import stat
import threading

from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mails3.admin.alerts import Alerts
from mails3.delivery.worker import Worker

from mails3.replies import ConfigurationFailure
from mails3.admin.operator import Operator

# =============================================================================
class Listener:
    """ An HTTP server that records the alerts it gets (alert_url) """

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
    """ A clock that the test sets """

    def __init__(self):

        self.time = datetime(2026, 11, 25, 12)

    def __call__(self):

        return self.time

    def advance(self, **span):

        self.time += timedelta(**span)

# -----------------------------------------------------------------------------
def drain_at(office, now):
    """ A drain, by a clock of its own """

    relay = office.mail.channel().relay
    Worker(relay, relay.transport(), office.mail.options, office.db.commit, now=now).drain()

# =============================================================================
class Watch:
    """ The alerts of an office, on a clock of their own """

    def __init__(self, office):

        self.office = office
        self.clock = Clock()
        self.breaker = office.mail.channel().breaker

    # -------------------------------------------------------------------------
    def run(self, minutes=0):
        """ What a worker does every few minutes """

        self.clock.advance(minutes=minutes)
        alerts = Alerts(self.office.mail, self.clock)
        alerts.watch()
        self.office.db.commit()
        alerts.tell(self.office.db.commit)

    # -------------------------------------------------------------------------
    def hold(self):

        self.breaker.trip(ConfigurationFailure("Login is wrong"), "", None, self.clock())
        self.office.db.commit()

    # -------------------------------------------------------------------------
    def open(self):

        self.breaker.close(self.clock())
        self.office.db.commit()

# -----------------------------------------------------------------------------
@pytest.fixture
def watch(office, listener):

    office.configure(alert_url=listener.url)
    return Watch(office)

# =============================================================================
class TestAlert:
    """ An incident is reported once, however often somebody looks """

    def test_an_incident_is_reported_once_and_its_end_once(self, watch, listener):
        """ An incident that lasts gets one alert, and its lasting end gets one more """

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
        assert (ended["event"], ended["text"]) == \
               ("ended", "shelter: Sending is not suspended any more.")

    def test_a_short_incident_gets_no_alert(self, watch, listener):
        """ A mail server that is away for a moment causes no alert """

        for _ in range(20):
            watch.hold()
            watch.run(minutes=2)
            watch.open()
            watch.run(minutes=2)

        assert listener.heard == []

    def test_several_workers_send_one_alert(self, watch, office, listener):
        """ Several workers send one alert, because its state is in the database """

        watch.hold()
        watch.run()
        watch.clock.advance(minutes=6)
        other = office.connection()
        watchers = [Alerts(office.mail, watch.clock), Alerts(office.mailer(other), watch.clock)]
        for alerts in watchers:
            alerts.watch()
            alerts.db.commit()
        for alerts in watchers:
            alerts.tell(alerts.db.commit)
        other.close()

        assert len(listener.heard) == 1

    def test_a_failed_hook_is_called_again_later(self, watch, listener, caplog):
        """ A hook that fails is called again later, and the log does not show the URL's secrets """

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

    def test_a_command_gets_the_alert_on_its_input(self, watch, office, tmp_path):
        """ An alert command gets its arguments, and the alert on its standard input """

        script, result = tmp_path / "alert", tmp_path / "told"
        script.write_text('#!/bin/sh\ncat > "$1"\n')
        os.chmod(script, stat.S_IRWXU)
        office.configure(alert_url="", alert_command="%s '%s'" % (script, result))

        watch.hold()
        watch.run()
        watch.run(minutes=6)

        assert json.loads(result.read_text())["event"] == "began"

    def test_a_pause_is_no_incident(self, watch, listener):
        """ A pause causes no alert, because an admin has asked for it """

        watch.breaker.pause("Pat", "Tea", watch.clock())
        for _ in range(5):
            watch.run(minutes=10)

        assert listener.heard == []

    def test_a_broken_alert_breaks_no_run(self, office, caplog):
        """ Mail is sent although the alert hook raises an exception """

        office.queue("anne@example.org")
        office.db.executesql("DROP TABLE mails3_incident")
        office.db.commit()

        assert office.drain() == 1
        assert "Alerts do not work" in caplog.text

# =============================================================================
class TestLog:
    """ The log shows what has happened, with its present cause """

    def test_the_cause_after_a_resume_is_logged(self, office, caplog):
        """ After a resume, the next cause is logged once, also if it is the same as before """

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
            told = [text for text in caplog.messages if text.startswith("Sending is suspended")]
            assert len(told) == 1 and cause in told[0]
            assert cause in office.state().reason

    def test_a_hanging_worker_after_a_missing_one_is_logged(self, office, caplog):
        """
            A worker that hangs is logged in its own words after the incident "no worker is
            alive"
        """

        class Tasks:
            alive = 0
            def count_workers(self):
                return self.alive

        office.queue("anne@example.org")
        office.later(400)
        office.mail.tasks = Tasks()
        for Tasks.alive in (0, 0, 1, 1):
            Alerts(office.mail).watch()
            office.db.commit()
            assert Alerts(office.mail).is_active("worker")

        assert [text.partition(".")[0] for text in caplog.messages] == \
               ["No worker is alive", "The worker seems to hang"]

# =============================================================================
class TestDay:
    """ An outage of a day causes few alerts """

    def test_an_outage_of_a_day_makes_two_alerts(self, small_office, listener, caplog):
        """
            An outage of a day with 5,000 messages makes two calls of the hook and two lines in
            the log
        """

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
            drain_at(office, watch.clock)
            watch.run(minutes=10)

        assert office.mail.report().counts()["new"] == 5000
        office.relay.start()
        while not office.mail.channel().is_idle():
            drain_at(office, watch.clock)
            watch.run(minutes=10)
        watch.run(minutes=10)

        assert sum(len(mail.recipients) for mail in office.relay.mails) == 5000
        assert [notice["event"] for notice in listener.heard] == ["began", "ended"]
        assert caplog.text.count("Sending is suspended") == 1
        assert caplog.text.count("Sending is resumed") == 1
        assert len(caplog.messages) == 2

# END =========================================================================
