"""
    What an admin sees of limits; a limit that is reached is no problem
"""

import io
import json

from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from mails3.admin.alerts import Alerts
from mails3.admin.limits_report import LimitsReport
from mails3.admin.manual_run import manual_run
from mails3.admin.metrics import exposition
from mails3.admin.printing import Output, run_lines, status_lines
from mails3.admin.next_step import next_step
from mails3.admin.status import BROKEN, FLOWING, Status
from mails3.clock import utcnow
from mails3.delivery.allowance import Allowance
from mails3.delivery.limits import seconds, time_of
from mails3.states import NEW
from support.office import users

ANNE = "anne@example.org"
NOON = datetime(2026, 11, 27, 12)

# =============================================================================
class HostLimit:
    """ A limit of the host, in place of Eden's DailyLimit """

    def __init__(self, free_on):
        """
            Args:
                free_on: when a mail may go again (datetime)
        """

        self.time = free_on

    def __str__(self):

        return "2/day (settings.mail.limit)"

    def used(self, now):

        return 2 if now < self.time else 0

    def left(self, now):

        return 2 - self.used(now)

    def free_on(self, count, now):

        return self.time

    def next_on(self, now):

        return max(now, self.time)

    def last_on(self, waiting, now):

        return self.next_on(now)

    def spend(self, count, now):

        pass

# -----------------------------------------------------------------------------
def status(office):

    office.db.commit()
    return Status(office.mail, utcnow())

# -----------------------------------------------------------------------------
def report(office, now, waiting=0, spent=(), host_limits=(), messages=None, **pace):
    """
        The LimitsReport of what is known at a time

        Args:
            office: the Office
            now: the time (datetime)
            waiting: how many deliveries wait
            spent: tuples (count, seconds before that time): what was sent
            host_limits: limits of the host
            messages: how many messages wait; None = as many as deliveries
            pace: what was learned; times in seconds after that time
    """

    channel = office.mail.channel()
    channel.host_limits = list(host_limits)
    limits = Allowance(channel.relay, lambda: now).limits
    for count, ago_s in spent:
        limits.spend(count, seconds(now) - ago_s)
    for name, value in pace.items():
        setattr(limits.pace, name, seconds(now) + value if name.endswith("_at") else value)
    row = SimpleNamespace(pace=limits.dump(seconds(now)), pace_no=1)
    return LimitsReport(Allowance.at(channel.relay, row, now), now, waiting,
                        lambda: waiting if messages is None else messages)

# -----------------------------------------------------------------------------
def learn(office, **pace):
    """ Let the site know something about its relay; times in seconds from now on """

    limits = Allowance(office.mail.channel().relay, utcnow).limits
    for name, value in pace.items():
        setattr(limits.pace, name, seconds(utcnow()) + value if name.endswith("_at") else value)
    office.mail.channel().row.update(pace=limits.dump(seconds(utcnow())), pace_no=1)
    office.db.commit()

# -----------------------------------------------------------------------------
def spend(office, count, seconds_ago):
    """ Let the site have sent so many, so long ago """

    limits = Allowance(office.mail.channel().relay, utcnow).limits
    then = seconds(utcnow()) - seconds_ago
    limits.spend(count, then)
    office.mail.channel().row.update(pace=limits.dump(then), pace_no=1)
    office.db.commit()

# =============================================================================
class TestReason:
    """ Mail that waits for a limit is explained """

    def test_a_limit_that_is_reached_is_told_with_its_times(self, small_office):
        """ The reason has the numbers, the time of the next mail and of the last one """

        small_office.configure(rate="30/minute, 500/hour")

        told = report(small_office, NOON + timedelta(seconds=20), 480, [(30, 50), (180, 900)])

        assert told.reason == "30 of 30 this minute, 210 of 500 this hour; " \
                              "the next at 12:00:31 UTC; the last of 480 at about 13:00 UTC"
        assert told.is_reached

    def test_a_limit_is_not_told_of_while_nothing_waits(self, small_office):
        """ A limit that is reached gives no reason while no mail waits, and is a fact """

        small_office.configure(rate="30/minute")

        told = report(small_office, NOON, 0, [(30, 10)])

        assert (told.reason, told.next_on, told.last_on) == ("", None, None)
        assert told.facts() == [("Limits", "30 of 30 this minute")]

    def test_mail_that_may_go_now_does_not_wait(self, small_office):
        """ Mail within the limit has no reason to wait """

        small_office.configure(rate="30/minute")

        assert report(small_office, NOON, 20, [(10, 30)]).reason == ""
        assert report(small_office, NOON, 21, [(10, 30)]).reason == \
            "10 of 30 this minute; the last of 21 at about 12:00 UTC"

    def test_a_learned_pace_is_told_with_its_source(self, small_office):
        """ What the refusals of the relay have shown is told as such """

        told = report(small_office, NOON, 291, rate=0.4833, next_at=1.5, refused_at=-100,
                      max_sessions=2, messages_per_session=1)

        assert told.reason == "the mail server takes about 29 messages a minute, as learned " \
            "from its refusals; the next at 12:00:01 UTC; the last of 291 at about 12:10 UTC"
        assert told.facts() == [("Learned pace", "the mail server takes about 29 messages a "
                                 "minute, 2 sessions at a time, 1 message by one session, as "
                                 "learned from its refusals")]

    @pytest.mark.parametrize("name, told", [
        ("mail.example.org:25 1a2b3c4d", "the mail server mail.example.org:25"),
        ("SMS", "the gateway for SMS"),
        (None, "the mail server")])
    def test_what_has_refused_mail_is_named(self, small_office, name, told):
        """ A pace is told with what it was learned about, whatever takes the messages """

        allowance = Allowance(small_office.mail.channel().relay, lambda: NOON)
        allowance.limits.relay, allowance.limits.pace.max_sessions = name, 2

        assert LimitsReport(allowance, NOON, 0, None).facts() == [
            ("Learned pace", "%s takes 2 sessions at a time, as learned from its refusals" % told)]

    def test_words_that_mean_slower_are_told(self, small_office):
        """ The refusal that is taken for "slower", without being in the table, is a fact """

        told = report(small_office, NOON, rate=0.5, words="450 .. Nope, come back a bit later")

        (_, text), = told.facts()
        assert text.endswith('; this refusal is taken for "slower": '
                             '450 .. Nope, come back a bit later')

    def test_the_server_is_named_without_the_login(self, office):
        """ Status names the relay that it has learned about, and nothing of the login """

        office.relay.login = ("shelter", "secret")
        office.mail.settings.login = "shelter:secret"
        office.relay.answer("MAIL", "450 4.7.1 Error: too much mail from 192.0.2.1")
        office.queue(ANNE)
        office.mail.channel().worker(max_wait_s=0).drain()

        (_, text), = status(office).limit_facts()

        assert text.startswith("the mail server %s wants less mail now, and is asked again at " %
                               office.relay.address)

    def test_a_relay_that_wants_less_mail_is_told_with_the_next_question(self, small_office):
        """ In a pause, it is told when the relay is asked again """

        told = report(small_office, NOON, 5, backoff_s=8, backoff_at=-12, refused_at=-2, next_at=6)

        assert told.reason == "the mail server wants less mail now; the next at 12:00:06 UTC"
        assert told.facts() == [("Learned pace", "the mail server wants less mail now, and is "
                                 "asked again at 12:00:06 UTC")]
        assert told.as_dict()["pace"] == {"server": None,
                                          "messages_per_second": None,
                                          "refused_on": NOON - timedelta(seconds=2),
                                          "backoff_since": NOON - timedelta(seconds=12),
                                          "asked_again_on": NOON + timedelta(seconds=6),
                                          "sessions": None,
                                          "messages_per_session": None,
                                          "words": None}

    def test_the_slowest_limit_tells_when_the_last_mail_goes(self, small_office):
        """ The estimate is that of the limit that takes longest """

        small_office.configure(rate="60/minute")
        tomorrow = NOON + timedelta(days=1)

        fast = report(small_office, NOON, 600, rate=5)
        slow = report(small_office, NOON, 600, rate=0.5)
        host = report(small_office, NOON, 600, host_limits=[HostLimit(tomorrow)])

        assert NOON + timedelta(minutes=9) < fast.last_on < NOON + timedelta(minutes=10)
        assert NOON + timedelta(minutes=19) < slow.last_on < NOON + timedelta(minutes=20)
        assert (host.next_on, host.last_on) == (tomorrow, tomorrow)
        assert host.reason == "0 of 60 this minute, 2 of 2/day (settings.mail.limit); the next " \
            "at 2026-11-28 12:00:00 UTC; the last of 600 at about 2026-11-28 12:00 UTC"

    def test_a_rate_of_messages_counts_messages(self, small_office):
        """ With rate_counts = messages, recipients of one message do not prolong the estimate """

        small_office.configure(rate="10/minute", rate_counts="messages")

        told = report(small_office, NOON, 100, [(10, 0)], messages=10)

        assert told.last_on == time_of(seconds(NOON) + 61)

    @pytest.mark.parametrize("recipients, individual, messages", [(5, False, 1), (5, True, 5)])
    def test_recipients_of_one_message_are_one_transaction(self, office, recipients, individual,
                                                           messages):
        """ New deliveries are counted together if they go out together """

        office.queue(*users(3))
        assert office.mail.send(users(recipients, "all"), "News", "There is news.")
        office.db.commit()
        newest = office.db(office.db.mails3_message).select(orderby=~office.db.mails3_message.id,
                                                            limitby=(0, 1)).first()
        newest.update_record(individual=individual)

        found = office.mail.report()

        assert found.counts()["new"] - found.shared() == 3 + messages

# =============================================================================
class TestNoIncident:
    """ No alarm is raised over mail that waits for a limit """

    @pytest.fixture(params=["rate", "pace", "host"])
    def limited(self, request, office, monkeypatch):
        """
            A site whose last run was an hour ago, whose mail waits for a limit for
            some minutes more, and a function that lets the limit end some
            seconds ago
        """

        free_on = [None]

        def free_in(seconds_ahead):
            if request.param == "rate":
                # A minute more at most: the part of the hour in which it was counted
                spend(office, 2, 3660 - seconds_ahead)
            elif request.param == "pace":
                learn(office, rate=1 / 3600, next_at=seconds_ahead)
            else:
                free_on[0] = utcnow() + timedelta(seconds=seconds_ahead)

        office.queue(*users(3))
        office.drain()
        office.queue(ANNE)
        office.later(3600)
        if request.param == "rate":
            office.configure(rate="2/hour")
        elif request.param == "host":
            monkeypatch.setattr(type(office.mail.channel()), "host_limits",
                                property(lambda channel: [HostLimit(free_on[0])]))
        free_in(500)
        return office, lambda seconds_ago: free_in(-seconds_ago)

    # -------------------------------------------------------------------------
    def test_a_worker_that_waits_for_a_limit_does_not_hang(self, limited):
        """ While mail waits for a limit, status has no problem, and there is no alert """

        office, end = limited

        seen = status(office)
        alerts = Alerts(office.mail)
        alerts.watch()

        assert (seen.problems, seen.level) == ([], FLOWING)
        assert seen.limits.is_reached and seen.limits.next_on
        assert not alerts.is_active("worker") and not alerts.is_active("suspended")

    def test_a_worker_has_time_to_begin_after_a_limit(self, limited):
        """ A worker does not hang at once when a limit ends, and does after neglect_timeout """

        office, end = limited

        end(100)
        assert status(office).problems == []
        end(1000)
        assert [(problem.kind, problem.level) for problem in status(office).problems] == \
               [("worker", BROKEN)]

    def test_a_request_counts_on_a_worker_that_waits_for_a_limit(self, limited):
        """ A request that queues a mail does not try it itself because a limit holds mail up """

        office, end = limited
        office.mail.tasks = SimpleNamespace(count_workers = lambda: 1,
                                            scheduler = SimpleNamespace(db=office.db),
                                            wake = lambda channel: None)

        assert office.mail.wakeup.wake() is True

# =============================================================================
class TestShown:
    """ Limits are on the command line, in JSON and in the metrics """

    @pytest.fixture
    def waiting(self, office):
        """ A site that has sent 2 of 5 mails, which is its limit of a day """

        office.configure(rate="2/day, 30/minute")
        office.queue(*users(5))
        office.drain()
        return office

    # -------------------------------------------------------------------------
    def test_status_says_calmly_that_mail_waits_for_a_limit(self, waiting):
        """ The text of the status begins with the limit, and lists how much is used """

        lines = list(status_lines(status(waiting)))

        assert lines[0] == "Mail goes out as fast as the limits allow."
        assert lines[1].startswith("  2 of 2 in 24 hours, 2 of 30 this minute; the next at ")
        assert "; the last of 3 at about " in lines[1]
        assert "Limits           2 of 2 in 24 hours, 2 of 30 this minute" in lines

    def test_a_site_without_limits_shows_none(self, office):
        """ Without a limit, status says nothing about limits """

        office.queue(ANNE)
        office.drain()

        seen = status(office)

        assert seen.no_problem[0] == "Mail is going out"
        assert seen.limit_facts() == [] and seen.as_dict()["limits"] == {}

    def test_json_has_all_numbers(self, waiting):
        """ The limits are in the JSON of the status, with times that a script can read """

        stream = io.StringIO()
        Output(stream).json(status(waiting).as_dict())
        limits = json.loads(stream.getvalue())["limits"]["EMAIL"]

        assert limits["rates"] == [{"most": 2, "period_s": 86400, "used": 2, "left": 0},
                                   {"most": 30, "period_s": 60, "used": 2, "left": 28}]
        assert (limits["is_reached"], limits["waiting"]) == (True, 3)
        times = [datetime.strptime(limits[name], "%Y-%m-%dT%H:%M:%SZ")
                 for name in ("next_on", "last_on")]
        assert utcnow() < times[0] < times[1]

    def test_metrics_have_the_limits(self, waiting):
        """ The metrics have each rate by its period, and that mail waits for a limit """

        learn(waiting, rate=0.5, backoff_s=8, backoff_at=-5, next_at=8, max_sessions=3)
        lines = exposition(status(waiting)).splitlines()

        for line in ('mails3_rate_most{relay="first",period_s="86400"} 2',
                     'mails3_rate_most{relay="first",period_s="60"} 30',
                     "mails3_limit_reached 1",
                     'mails3_pace_messages_per_second{relay="first"} 0.5',
                     'mails3_pace_backoff{relay="first"} 1',
                     'mails3_pace_sessions{relay="first"} 3',
                     "mails3_status 0"):
            assert line in lines

    def test_two_rates_for_one_period_are_one_metric(self, small_office):
        """ Of two rates for the same period, the metrics have the smaller one """

        small_office.configure(rate="20/minute, 30/minute")
        text = exposition(status(small_office))

        assert text.count("mails3_rate_most{") == 1
        assert 'mails3_rate_most{relay="first",period_s="60"} 20' in text

    def test_a_mail_says_that_it_waits_for_a_limit(self, waiting):
        """ The next step of a new mail is the limit for which it waits """

        number = waiting.mail.report().page("new")[0][0]["number"]
        said = next_step(waiting.mail.report().entry(number), status(waiting))

        assert said.startswith("It waits for a limit: 2 of 2 in 24 hours")

    def test_a_run_says_why_it_has_left_mail(self, waiting):
        """ The verb drain names the limit because of which mail is left """

        settled, _ = manual_run(waiting.mail, waiting.mail.report(), NEW, Output(io.StringIO()))
        lines = list(run_lines(settled, 3, status(waiting)))

        assert lines[0] == "0 done, 3 waiting."
        assert lines[1].startswith("Mail waits for a limit: 2 of 2 in 24 hours")

# =============================================================================
class TestBreaker:
    """ A suspension names its mail server """

    def test_a_suspension_names_its_server_and_times(self, office):
        """ The status of a suspended site has server, reason, begin and next probe """

        office.queue(ANNE)
        office.relay.stop()
        office.drain()

        seen = status(office)
        problem, channel = seen.problems[0], seen.as_dict()["channel"]
        lines = exposition(seen).splitlines()

        assert problem.detail == \
            "connect: Connection refused (mail server %s). Asked again at %s UTC, or when " \
            "there is mail after that." % (office.relay.address,
                                           channel["probe_on"].strftime("%Y-%m-%d %H:%M:%S"))
        assert (channel["server"], channel["status"]) == (office.relay.address, "tripped")
        assert problem.since == channel["tripped_on"] < channel["probe_on"]
        assert ('mails3_suspended_info{relay="first",server="%s",cause="relay"} 1' %
                office.relay.address) in lines
        assert any(line.startswith('mails3_next_probe_timestamp_seconds{relay="first"} 1')
                   for line in lines)

    def test_another_server_is_not_blamed(self, office):
        """ A server that is configured after the failure is not named as the one that failed """

        office.queue(ANNE)
        office.relay.stop()
        office.drain()
        office.mail.settings.server = "mail.example.org:25"

        seen = status(office)

        assert seen.relays[0].server is None
        assert seen.problems[0].detail.startswith("connect: Connection refused. Asked again at")

# END =========================================================================
