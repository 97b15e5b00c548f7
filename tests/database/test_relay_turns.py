"""
    Several relays: none holds up the mail of the others, and none is given up too soon
"""

import pytest

from support.fake_relay import FakeRelay
from support.office import users

from mails3.clock import utcnow
from mails3.queue.channel_row import CLOSED
from mails3.settings_file import read_file
from mails3.states import SENT, UNSENT

ANNE, BOB = "anne@example.org", "bob@example.net"

# =============================================================================
@pytest.fixture
def second():
    """ A further relay """

    with FakeRelay() as relay:
        yield relay

# =============================================================================
class TestLimits:
    """ The limit of one relay """

    def test_a_limit_holds_up_no_other_relays_mail(self, office, second):
        """ While urgent mail waits for one relay's limit, mail by another relay leaves """

        office.configure(relays={"inside": {"server": second.address, "rate": "1/hour",
                                            "only_for": "*@example.org"}})
        office.queue(ANNE, ANNE, priority=1)
        bob = office.queue(BOB)

        office.drain()

        assert office.status(bob) == SENT
        assert len(second.mails) == 1
        assert not office.mail.channel().has_work(utcnow())

    def test_a_limit_that_is_reached_costs_no_session(self, office, second):
        """ A run waits for its relay's limit, with its session, if there is nothing else to do """

        office.configure(rate="2/second", sessions=1,
                         relays={"second": {"server": second.address}})
        office.queue(*users(5))

        office.drain()

        assert len(office.relay.mails) == 5
        assert office.relay.connections == 1

    def test_mail_that_nobody_sends_is_neglected(self, office, second):
        """ Mail that waits for no limit counts as neglected, though other mail waits for one """

        office.configure(relays={"inside": {"server": second.address, "rate": "1/hour",
                                            "only_for": "*@example.org"}})
        office.queue(ANNE, ANNE)
        office.drain()
        activity = office.mail.channel().activity
        office.later(1000)
        assert not activity.is_neglected(utcnow(), utcnow())

        office.queue(BOB)
        office.later(1000)

        assert activity.is_neglected(utcnow(), utcnow())

# =============================================================================
class TestPatience:
    """ A relay that is slow is not away """

    def test_a_slow_login_is_no_silence(self, office, second, monkeypatch):
        """ A relay that has greeted may take its time, although another one is there """

        monkeypatch.setattr("mails3.delivery.relay.PATIENCE_S", 0.3)
        office.configure(relays={"second": {"server": second.address}})
        office.relay.delay("EHLO", 0.6)
        number = office.queue(ANNE)

        office.drain()

        assert office.status(number) == SENT
        assert len(office.relay.mails) == 1
        assert office.state().status == CLOSED

    def test_a_message_that_the_relay_may_have_is_not_given_up_soon(self, office, second,
                                                                    monkeypatch):
        """
            When further sessions are not answered, a slow reply to the content is waited for all
            the same
        """

        monkeypatch.setattr("mails3.delivery.relay.PATIENCE_S", 0.3)
        monkeypatch.setattr("mails3.delivery.session_pool.SLOW_S", 0.1)
        office.configure(relays={"second": {"server": second.address}})
        office.relay.silence("CONNECT")
        office.relay.answer("CONNECT", "220 Hello", times=1)
        office.relay.delay("BODY", 1.5, times=1)
        ids = office.queue(*users(3))

        office.drain()

        assert {office.status(number) for number in ids} == {SENT}
        assert {office.entry(number).mails3_delivery.in_doubt_count for number in ids} == {0}
        assert len(office.relay.mails) == 1 and len(second.mails) == 2

# =============================================================================
class TestMistakes:
    """ A mistake in the settings that is not safe to ignore """

    def test_a_relay_with_a_malformed_choice_gets_no_mail(self, office, second):
        """ A relay whose only_for is malformed gets no mail: it would get all of it """

        office.configure(relays={"inside": {"server": second.address, "only_for": "example.org"}})
        office.relay.stop()
        number = office.queue(BOB)

        office.drain()

        assert office.status(number) == UNSENT
        assert not second.connections

    def test_an_unreadable_file_suspends(self, office, tmp_path):
        """ While the file with the settings is not readable, mail waits """

        path = tmp_path / "mails3.ini"
        path.write_text("[mails3]\nverify_tls = yes\n[relay b]\n[relay b]\n")
        office.configure(**read_file(str(path), lambda text: None))
        number = office.queue(ANNE)

        office.drain()

        assert office.status(number) == UNSENT
        assert "mails3.ini is not readable at line 4" in office.state().reason

# END =========================================================================
