"""
    What an admin sees of several relays
"""

import pytest

from support.fake_relay import FakeRelay

from mails3.admin.config_check import check_configuration, first_failure, works
from mails3.admin.metrics import exposition
from mails3.admin.next_step import next_step
from mails3.admin.status import WAITING, Status
from mails3.clock import utcnow

ANNE, BOB = "anne@example.org", "bob@example.net"

# =============================================================================
@pytest.fixture
def second():
    """ A further relay """

    with FakeRelay() as relay:
        yield relay

# -----------------------------------------------------------------------------
@pytest.fixture
def two(small_office, second):
    """ An office with a further relay """

    small_office.configure(relays={"second": {"server": second.address}})
    return small_office

# -----------------------------------------------------------------------------
def status_of(office):
    """ The Status, as another process reads it """

    office.db.commit()
    return Status(office.mail, utcnow())

# =============================================================================
class TestStatus:
    """ The status names the relay that does not work """

    def test_mail_that_goes_by_another_relay_does_not_wait(self, two):
        """ While another relay stands in, the status warns, and no mail is said to wait """

        two.relay.stop()
        two.queue(ANNE)
        two.drain()

        status = status_of(two)
        problem, = [each for each in status.problems if each.kind == "suspended"]

        assert problem.level == WAITING and not problem.holds_mail
        assert "Connection refused" in problem.detail
        assert two.relay.address in problem.detail
        assert "Mail goes by the mail server second meanwhile" in problem.detail

    def test_each_relay_that_is_away_is_named(self, two, second):
        """ If no relay takes mail, the status names each of them, and mail waits """

        two.relay.stop()
        second.stop()
        number = two.queue(ANNE)
        two.drain()

        status = status_of(two)
        problems = [each for each in status.problems if each.kind == "suspended"]

        assert [each.holds_mail for each in problems] == [True, True]
        assert "second %s" % second.address in problems[1].detail
        assert "second" in next_step(two.mail.report().entry(number), status)

    def test_a_further_relay_that_is_away_is_told(self, two, second):
        """ A further relay that is away is told of, though mail goes by the first one """

        two.configure(relays={"inside": {"server": second.address, "only_for": ANNE}})
        second.stop()
        two.queue(ANNE)
        two.drain()

        problem, = [each for each in status_of(two).problems if each.kind == "suspended"]

        assert "Mail goes by the mail server first meanwhile" in problem.detail

    def test_json_and_metrics_name_each_relay(self, two):
        """ JSON and metrics tell of each relay """

        two.relay.stop()
        two.queue(ANNE)
        two.drain()

        status = status_of(two)
        first, second = status.as_dict()["relays"]
        text = exposition(status)

        assert (first["name"], first["status"], first["replacement"]) == (None, "tripped", "second")
        assert (second["name"], second["status"]) == ("second", "closed")
        assert 'mails3_relay_suspended{relay="first"} 1' in text
        assert 'mails3_relay_suspended{relay="second"} 0' in text
        assert "\nmails3_suspended 0\n" in text

    def test_the_metrics_tell_of_each_relays_limits(self, two, second):
        """ Each relay's rate is in the metrics, with what is used of it """

        two.configure(rate="9/hour", relays={"second": {"server": second.address,
                                                        "rate": "7/hour"}})
        two.relay.stop()
        two.queue(ANNE)
        two.drain()

        text = exposition(status_of(two))

        assert 'mails3_rate_most{relay="first",period_s="3600"} 9' in text
        assert 'mails3_rate_used{relay="second",period_s="3600"} 1' in text
        assert 'mails3_pace_backoff{relay="second"} 0' in text

    @pytest.mark.parametrize("mode, is_warned", [(0o600, False), (0o640, False), (0o644, True)])
    def test_a_password_that_others_may_read_is_told(self, two, second, tmp_path, mode, is_warned):
        """ Who keeps a further relay's password in a file that all may read is warned """

        path = tmp_path / "mails3.ini"
        path.touch(mode)
        path.chmod(mode)
        two.mail.settings_file = str(path)
        assert "password" not in " ".join(status_of(two).warnings())

        two.configure(relays={"second": {"server": second.address, "login": "shelter:secret"}})

        assert ("chmod o-r" in " ".join(status_of(two).warnings())) == is_warned

    def test_a_suspension_holds_up_no_captured_mail(self, two):
        """ While all mail is captured, a mail server that is away is no problem """

        two.relay.stop()
        two.queue(ANNE)
        two.drain()
        two.configure(delivery="capture")

        assert "suspended" not in [problem.kind for problem in status_of(two).problems]

    def test_the_configuration_shows_each_relay_without_its_login(self, two, second):
        """ The configuration in use has each relay, and no password """

        two.configure(relays={"second": {"server": second.address, "login": "shelter:secret",
                                         "tls": "yes", "only_for": "*@example.org"}})

        facts = dict(status_of(two).configuration())

        assert second.address in facts["Mail server second"]
        assert "STARTTLS" in facts["Mail server second"]
        assert "only for: *@example.org" in facts["Mail server second"]
        assert "secret" not in repr(status_of(two).as_dict())

# =============================================================================
class TestCheck:
    """ The config check tries each relay """

    def test_each_relay_is_tried(self, two, second):
        """ The check goes on with the second relay if the first one is away """

        two.relay.stop()

        steps = check_configuration(two.mail)

        assert not works(steps)
        assert first_failure(steps)["relay"] is None
        assert [step["good"] for step in steps if step["relay"] == "second"] == [True] * 5
        assert second.connections == 1

    def test_a_relay_without_a_server_is_told(self, two, capsys):
        """ A section without a server is told of by its name """

        two.configure(relays={"second": {}})

        steps = check_configuration(two.mail)

        failure = first_failure(steps)
        assert (failure["relay"], failure["reply"]) == ("second", "No mail server configured")

# END =========================================================================
