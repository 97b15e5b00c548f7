"""
    Several relays: what goes by which of them
"""

from datetime import timedelta

import pytest

from support.fake_relay import FakeRelay
from support.office import users

from mails3.admin.operator import Operator
from mails3.clock import utcnow
from mails3.queue.channel_row import CLOSED, TRIPPED, ChannelRow
from mails3.states import DRAFT, SENT, UNSENT

ANNE, BOB, CAROL = "anne@example.org", "bob@example.net", "carol@example.com"

# =============================================================================
@pytest.fixture
def second():
    """ A further relay """

    with FakeRelay() as relay:
        yield relay

# -----------------------------------------------------------------------------
def state_of(office, name):
    """ The row of a further relay """

    office.db.commit()
    return ChannelRow(office.db, "shelter relay %s" % name).read()

# -----------------------------------------------------------------------------
def recipients_of(relay):
    """ The recipients of the mails that a relay has taken """

    return sorted(address for mail in relay.mails for address in mail.recipients)

# -----------------------------------------------------------------------------
def has_inside(office, second):
    """ The second relay is for the recipients at example.org """

    office.configure(relays={"inside": {"server": second.address, "only_for": "*@example.org"}})

# =============================================================================
class TestInPlaceOfTheFirst:
    """ Mail goes by the next relay while sending by the first one is suspended """

    def test_the_first_relay_is_preferred(self, office, second):
        """ While the first relay takes mail, a further one gets none """

        office.configure(relays={"second": {"server": second.address}})
        office.queue(*users(3))

        office.drain()

        assert len(office.relay.mails) == 3
        assert not second.connections

    def test_a_dead_relay_is_replaced(self, office, second):
        """ Mail leaves by the second relay in the very run in which the first one has failed """

        office.configure(relays={"second": {"server": second.address}})
        office.relay.stop()
        ids = office.queue(*users(3))

        office.drain()

        assert {office.status(number) for number in ids} == {SENT}
        assert len(second.mails) == 3
        assert office.state().status == TRIPPED
        assert state_of(office, "second").status == CLOSED

    def test_a_refused_login_is_replaced(self, office, second):
        """ Mail leaves by the second relay while the first one refuses the login """

        office.configure(relays={"second": {"server": second.address}})
        office.relay.login = ("shelter", "secret")
        office.mail.settings.login = "shelter:wrong"
        number = office.queue(ANNE)

        office.drain()

        assert office.status(number) == SENT
        assert recipients_of(second) == [ANNE]

    def test_a_silent_relay_is_replaced(self, office, second, monkeypatch):
        """ A relay that does not greet is not waited for as long as for one reply """

        monkeypatch.setattr("mails3.delivery.relay.PATIENCE_S", 0.2)
        office.configure(relays={"second": {"server": second.address}}, reply_timeout=60)
        office.relay.silence("CONNECT")
        number = office.queue(ANNE)

        office.drain()

        assert office.status(number) == SENT

    def test_the_death_of_the_first_loses_nothing(self, office, second):
        """ If the first relay dies in the middle of many mails, each arrives, by one of them """

        office.configure(relays={"second": {"server": second.address}})
        office.queue(*users(90))

        def kill():
            if len(office.relay.mails) >= 20:
                office.relay.stop()

        for worker in office.mail.channel().workers(control=kill):
            worker.drain()
        # What was in doubt
        office.later(400)
        office.retry()

        assert set(recipients_of(office.relay) + recipients_of(second)) == set(users(90))
        assert len(office.relay.mails) < 90
        assert office.mail.report().counts()["sent"] == 90

    def test_a_session_that_falls_silent_holds_up_no_other_mail(self, office, second, monkeypatch):
        """ While a session of a relay that died is silent, other mail leaves by the second one """

        monkeypatch.setattr("mails3.delivery.relay.PATIENCE_S", 0.3)
        monkeypatch.setattr("mails3.delivery.session_pool.SLOW_S", 0.1)
        office.configure(relays={"second": {"server": second.address}}, reply_timeout=60)
        office.relay.silence("MAIL")
        office.relay.silence("CONNECT")
        office.relay.answer("CONNECT", "220 Hello", times=1)
        ids = office.queue(*users(3))

        office.drain()

        assert {office.status(number) for number in ids} == {SENT}
        # Not the session's own time-out
        assert office.state().reason.startswith("connect")

    def test_the_first_relay_is_probed_and_taken_again(self, office, second):
        """ A probe finds out that the first relay works, and mail goes by it again """

        office.configure(relays={"second": {"server": second.address}})
        office.relay.stop()
        office.queue(ANNE)
        office.drain()
        office.relay.start()
        office.queue(BOB)
        office.drain()
        assert recipients_of(second) == [ANNE, BOB]

        office.later(60)
        office.queue(CAROL)
        office.drain()

        assert recipients_of(office.relay) == [CAROL]
        assert office.state().status == CLOSED

    def test_a_probe_that_fails_costs_the_message_no_time(self, office, second):
        """ The message of a probe that fails goes by the second relay in the same run """

        office.configure(relays={"second": {"server": second.address}})
        office.relay.stop()
        office.queue(ANNE)
        office.drain()
        office.later(60)

        number = office.queue(BOB)
        office.drain()

        assert office.status(number) == SENT
        assert office.state().probes == 1

    def test_a_run_by_the_second_ends_when_the_first_may_be_probed(self, office, second):
        """ While much mail goes by the second relay, the first one is taken again by itself """

        office.configure(relays={"second": {"server": second.address}}, sessions=1)
        office.relay.stop()
        office.queue(ANNE)
        office.drain()
        office.relay.start()
        start = utcnow()
        office.queue(*users(30))

        # Each look at the clock takes a second
        office.mail.channel().drain()
        ticks = iter(range(1, 10000))
        office.queue(*users(30))
        for worker in office.mail.channel().workers(
                now = lambda: start + timedelta(seconds=next(ticks))):
            worker.drain()

        assert office.relay.mails
        assert len(office.relay.mails) + len(second.mails) == 61

    def test_deferred_mail_is_retried_by_the_second(self, office, second):
        """ While the first relay is suspended, the retry pass goes by the second one """

        office.configure(relays={"second": {"server": second.address}}, retry_interval=300)
        office.relay.answer("RCPT", "450 4.2.1 Later", times=1)
        number = office.queue(ANNE)
        office.drain()
        office.relay.stop()
        office.queue(BOB)
        office.drain()

        office.later(20)
        office.db(office.db.mails3_delivery).update(due_on=utcnow())
        office.db.commit()
        office.retry()

        assert office.status(number) == SENT

    def test_all_relays_may_be_away(self, office, second):
        """ While no relay takes mail, it waits; it leaves when one of them is back """

        office.configure(relays={"second": {"server": second.address}})
        office.relay.stop()
        second.stop()
        number = office.queue(ANNE)
        office.drain()
        assert office.status(number) == UNSENT
        assert not office.mail.channel().has_work(utcnow())

        second.start()
        office.later(60)
        office.drain()

        assert office.status(number) == SENT

    def test_what_is_in_doubt_waits_its_time(self, office, second):
        """ A mail that the first relay may have is not sent by the second one at once """

        office.configure(relays={"second": {"server": second.address}})
        office.relay.drop("BODY", times=1)
        number = office.queue(ANNE)

        office.drain()
        assert office.status(number) == UNSENT and not second.mails

        office.later(400)
        office.retry()
        assert recipients_of(second) + recipients_of(office.relay) == [ANNE]

    def test_a_doubtful_mail_is_held_where_the_site_wants_it(self, office, second):
        """ With in_doubt = hold, a mail in doubt at one relay goes by no other """

        office.configure(relays={"second": {"server": second.address}}, in_doubt="hold")
        office.relay.drop("BODY")
        number = office.queue(ANNE)

        office.drain()
        office.later(400)
        office.retry()

        assert office.status(number) == DRAFT
        assert not second.mails

    def test_a_pause_is_for_all_relays(self, office, second):
        """ While an admin has paused sending, no relay gets mail """

        office.configure(relays={"second": {"server": second.address}})
        office.relay.stop()
        Operator(office.mail, "Pat").pause()
        number = office.queue(ANNE)

        office.drain()
        assert office.status(number) == UNSENT

        Operator(office.mail, "Pat").resume()
        office.drain()
        assert office.status(number) == SENT

    def test_a_message_tried_at_once_goes_by_the_second(self, office, second):
        """ Without a worker, a script's message goes by the relay that works """

        office.configure(relays={"second": {"server": second.address}}, fallback="yes")
        office.relay.stop()

        number = office.queue(ANNE)

        assert office.status(number) == SENT
        assert recipients_of(second) == [ANNE]

    def test_a_retry_pass_is_not_spent_on_a_relay_that_gets_nothing(self, office):
        """ While sending is suspended, no retry pass begins: it is there when mail may flow """

        office.configure(retry_interval=300)
        office.relay.answer("RCPT", "450 4.2.1 Later", times=1)
        anne = office.queue(ANNE)
        office.drain()
        office.relay.stop()
        office.queue(BOB)
        office.drain()
        office.db(office.db.mails3_delivery).update(due_on=utcnow() - timedelta(seconds=1))
        office.db.commit()
        office.retry()
        assert office.state().retried_on is None

        office.relay.start()
        office.later(60)
        office.drain()
        office.retry()

        assert office.status(anne) == SENT

# =============================================================================
class TestDirect:
    """ A mail that is sent directly goes by a relay that works """

    def test_the_second_takes_over(self, office, second):
        """ A direct mail goes by the second relay if the first one is away """

        office.configure(relays={"second": {"server": second.address}})
        office.relay.stop()

        assert office.mail.send_direct_email(ANNE, "News", "There is news.")

        assert recipients_of(second) == [ANNE]

    def test_what_is_in_doubt_is_not_sent_twice(self, office, second):
        """ A direct mail that the first relay may have is not handed to the second one """

        office.configure(relays={"second": {"server": second.address}})
        office.relay.drop("BODY")

        assert not office.mail.send_direct_email(ANNE, "News", "There is news.")

        assert not second.mails

    def test_recipients_go_by_their_relays(self, office, second):
        """ A direct mail goes to each recipient by the relay that is for it, once """

        has_inside(office, second)

        assert office.mail.send_direct_email([ANNE, BOB], "News", "There is news.")

        assert recipients_of(second) == [ANNE]
        assert recipients_of(office.relay) == [BOB]

# =============================================================================
class TestRoutes:
    """ A relay with only_for takes the mail for certain recipients """

    def test_recipients_are_told_apart(self, office, second):
        """ Each recipient's mail goes by the relay that is for it """

        office.configure(relays={"inside": {"server": second.address,
                                            "only_for": "*@example.org, carol@*"}})
        office.queue(ANNE, BOB, CAROL, "Anne@EXAMPLE.ORG", "anne@sub.example.org")

        office.drain()

        assert recipients_of(second) == sorted([ANNE, CAROL, "Anne@EXAMPLE.ORG"], key=str)
        assert recipients_of(office.relay) == ["anne@sub.example.org", BOB]

    def test_one_message_may_go_by_two_relays(self, office, second):
        """ A message to two recipients goes to each by the right relay, once """

        has_inside(office, second)
        assert office.mail.send([ANNE, BOB], "News", "There is news.")
        office.db.commit()

        office.drain()

        assert recipients_of(second) == [ANNE]
        assert recipients_of(office.relay) == [BOB]

    def test_a_pattern_may_be_in_another_script(self, office, second):
        """ A domain in a pattern is the same as in an address, in whatever script it is written """

        office.configure(relays={"inside": {"server": second.address,
                                            "only_for": "*@BÜCHER.example, *@*.bücher.example"}})
        assert office.mail.send(["ζωή@bücher.example", "anne@a.bücher.example", ANNE], "News",
                                "There is news.")
        office.db.commit()

        office.drain()

        assert sorted(recipients_of(second)) == ["anne@a.xn--bcher-kva.example",
                                                 "ζωή@xn--bcher-kva.example"]
        assert recipients_of(office.relay) == [ANNE]

    @pytest.mark.parametrize("pattern, address", [
        ("a_b@example.org", "axb@example.org"), ("100%@example.org", "100x@example.org"),
        ("a!b@example.org", "ab@example.org")])
    def test_only_the_asterisk_is_special(self, office, second, pattern, address):
        """ Signs that LIKE knows mean nothing in a pattern """

        office.configure(relays={"inside": {"server": second.address, "only_for": pattern}})
        office.queue(address, pattern)

        office.drain()

        assert recipients_of(second) == [pattern]
        assert recipients_of(office.relay) == [address]

    def test_others_stand_in(self, office, second):
        """ While the relay for certain recipients is away, their mail goes by the first one """

        has_inside(office, second)
        second.stop()
        number = office.queue(ANNE)

        office.drain()

        assert office.status(number) == SENT
        assert recipients_of(office.relay) == [ANNE]

    def test_a_relay_for_some_stands_in_for_them_only(self, office, second):
        """ While the first relay is away, the one for certain recipients takes theirs only """

        has_inside(office, second)
        office.relay.stop()
        anne, bob = office.queue(ANNE, BOB)

        office.drain()

        assert (office.status(anne), office.status(bob)) == (SENT, UNSENT)

    def test_urgent_mail_does_not_wait_for_another_relays_turn(self, office, second):
        """ While one relay has much to take, an urgent mail goes by the other one meanwhile """

        office.configure(relays={"inside": {"server": second.address,
                                            "only_for": "*@example.org"}}, sessions=1)
        office.queue(*users(60))
        other = office.connection()
        second.delay("BODY", 0.01)
        queued = []

        def queue():
            if not queued and len(second.mails) > 3:
                mailer = office.mailer(other)
                queued.append(mailer.send(BOB, "Code", "12345", priority=0))
                other.commit()

        for worker in office.mail.channel().workers(control=queue):
            worker.drain()
            if office.relay.mails:
                break

        other.close()
        assert len(second.mails) < 60

# =============================================================================
class TestLimits:
    """ Each relay has limits of its own """

    def test_a_rate_is_of_one_relay(self, office, second):
        """ The rate of one relay does not hold up mail by another one """

        office.configure(rate="2/hour", relays={"inside": {"server": second.address,
                                                           "only_for": "*@example.org",
                                                           "rate": "3/hour"}})
        office.queue(*users(5))
        office.queue(*("user%d@example.net" % n for n in range(5)))

        office.drain()

        assert len(second.mails) == 3
        assert len(office.relay.mails) == 2

    def test_a_reached_limit_is_no_failure(self, office, second):
        """ Mail waits for the first relay's rate, and does not go by the second relay """

        office.configure(rate="1/hour", relays={"second": {"server": second.address}})
        office.queue(ANNE, BOB)

        office.drain()

        assert len(office.relay.mails) == 1
        assert not second.mails

# END =========================================================================
