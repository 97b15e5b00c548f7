"""
    Several sessions in one run
"""

from collections import Counter
from threading import Event, Thread

import pytest

from support.meanwhile import meanwhile
from support.office import attempts, users, worker_that_commits
from support.site import eventually
from support.transports import InstantTransport, Interrupt, WatchedTransport

from mails3.clock import utcnow
from mails3.delivery.breaker import CLOSED, TRIPPED
from mails3.delivery.direct import Direct
from mails3.message.call import Call
from mails3.replies import RelayUnavailable
from mails3.smtp.waits import run
from mails3.states import SENT, UNSENT

# =============================================================================
class TestSessions:
    """ Each session of a run goes on by itself """

    @pytest.fixture
    def office(self, office):
        """ The office, with three sessions """

        office.configure(sessions=3)
        return office

    def test_a_slow_session_does_not_hold_up_the_others(self, office):
        """ While the relay is slow over one message, all others are sent and marked so """

        ids = office.queue(*users(40))
        seen = []

        def look(mail):
            outbox = mail.db.msg_outbox

            def sent():
                mail.db.commit()
                return mail.db(outbox.status == SENT).count()

            eventually(lambda: sent() == 39)
            seen.append((sent(), len(office.relay.mails)))

        thread = meanwhile(office, "DATA", look, to="user01@example.org")
        office.drain()
        thread.join()

        assert seen == [(39, 39)]
        assert {office.status(number) for number in ids} == {SENT}
        assert len(office.relay.mails) == 40

    @pytest.mark.parametrize("step, extensions, last", [
        ("RCPT", (), 1), ("RCPT", ("PIPELINING",), 1), ("BODY", (), 1),
        # The relay has the next envelope already
        ("BODY", ("PIPELINING",), 2),
        ("BODY", ("PIPELINING", "CHUNKING"), 1)])
    def test_a_slow_session_keeps_no_message_waiting(self, office, step, extensions, last):
        """
            A message waits with a slow session only if its envelope has been sent ahead, all
            others arrive before
        """

        office.configure(reply_timeout=10, sessions=2)
        office.relay.extensions = extensions
        # With CHUNKING the fake relay has no other step
        office.relay.hold(step, lambda: len(office.relay.mails) >= 40 - last,
                          to="user01@example.org")
        ids = office.queue(*users(40))

        office.drain()

        arrived = [mail.recipients[0] for mail in office.relay.mails]
        assert sorted(arrived) == users(40)
        assert arrived[-last] == "user01@example.org"
        assert {office.status(number) for number in ids} == {SENT}

    def test_a_run_sends_new_mail_while_it_waits_for_a_reply(self, office):
        """ Mail that is queued while one session waits for its reply goes out before that reply """

        office.queue("slow@example.org")
        office.relay.hold("BODY", lambda: office.relay.mails, to="slow@example.org")

        def queue(mail):
            assert mail.send("new@example.org", "News", "There is news.")
            mail.db.commit()

        thread = meanwhile(office, "DATA", queue)
        office.drain()
        thread.join()

        assert [mail.recipients for mail in office.relay.mails] == [["new@example.org"],
                                                                    ["slow@example.org"]]

    def test_a_late_session_is_replaced(self, office):
        """ With one session as well, all others arrive before a message whose reply is late """

        office.hurry(reply_timeout=0.5)
        office.configure(sessions=1)
        office.relay.hold("BODY", lambda: len(office.relay.mails) == 11, to="user03@example.org")
        ids = office.queue(*users(12))

        office.drain()

        assert office.relay.mails[-1].recipients == ["user03@example.org"]
        assert len(office.relay.mails) == 12
        assert office.relay.connections == 2
        assert {office.status(number) for number in ids} == {SENT}

    def test_a_run_keeps_its_leases_while_it_waits(self, office):
        """ A run that waits for one reply renews its leases all the while """

        seen = []

        def look(mail):
            table = mail.db.mails3_delivery

            def leased_until():
                mail.db.commit()
                return mail.db(table).select().first().leased_until

            end = leased_until()
            seen.append(eventually(lambda: leased_until() > end))

        anne = office.queue("anne@example.org")
        thread = meanwhile(office, "BODY", look)
        start = utcnow()
        # Each second counts as twenty
        office.mail.channel().worker(now=lambda: start + 20 * (utcnow() - start)).drain()
        thread.join()

        assert seen == [True]
        assert office.status(anne) == SENT

    @pytest.mark.parametrize("is_stopped", [False, True])
    def test_a_run_that_is_stopped_does_not_wait_for_a_late_reply(self, small_office, is_stopped):
        """
            The reply to a content is waited for until the end of the run, but only for the
            message's own time once the run is told to stop
        """

        office = small_office
        office.hurry(reply_timeout=0.3)
        office.relay.delay("BODY", 2)
        anne = office.queue("anne@example.org")
        run = office.mail.channel().worker()

        thread = meanwhile(office, "DATA", lambda mail: is_stopped and run.stop())
        run.drain()
        thread.join()

        assert office.status(anne) == (UNSENT if is_stopped else SENT)
        assert (office.entry(anne).mails3_delivery.in_doubt_count or 0) == is_stopped

    # -------------------------------------------------------------------------
    # To open sessions
    #
    def test_a_session_that_opens_slowly_holds_up_nothing(self, office):
        """ While a further session waits for its banner, the first one sends all mail """

        office.configure(reply_timeout=10)
        office.relay.hold("CONNECT", lambda: True, times=1)
        office.relay.hold("CONNECT", lambda: len(office.relay.mails) == 40, times=2)
        ids = office.queue(*users(40))

        office.drain()

        assert {office.status(number) for number in ids} == {SENT}
        assert len({mail.session for mail in office.relay.mails}) == 1

    def test_one_session_is_opened_before_the_others(self, office):
        """ A relay that is down gets one attempt to connect from each probe """

        office.queue(*users(40))
        office.relay.drop("CONNECT")

        for probes in range(1, 4):
            office.drain()
            assert office.relay.connections == probes
            assert office.state().status == TRIPPED
            office.later(400)

        office.relay.reset()
        office.drain()
        assert len(office.relay.mails) == 40

    def test_a_relay_may_take_fewer_sessions(self, office):
        """ A run goes on with the sessions that the relay takes, and asks for no more """

        office.relay.answer("CONNECT", "220 relay.example.org", times=1)
        office.relay.answer("CONNECT", "421 4.7.0 Too many connections")
        ids = office.queue(*users(80))

        office.drain()

        assert {office.status(number) for number in ids} == {SENT}
        assert office.relay.connections <= 3
        assert office.state().status == CLOSED

    def test_a_run_that_is_lost_while_it_connects_leaves_nothing_in_doubt(self, office):
        """ No message is begun before a session is open """

        office.relay.silence("CONNECT")
        office.queue(*users(12))
        is_lost = Event()

        class LostTransport(WatchedTransport):

            def opening(self, *args):
                for wait in super().opening(*args):
                    yield wait
                    is_lost.set()
                    raise KeyboardInterrupt()

        def commit():
            # Nor can the run write anything any more
            if is_lost.is_set():
                raise KeyboardInterrupt()
            office.db.commit()

        worker = worker_that_commits(office, commit, LostTransport(office.mail))
        with pytest.raises(KeyboardInterrupt):
            worker.drain()
        office.db.rollback()

        assert eventually(lambda: office.relay.connections == 1)
        delivery = office.db.mails3_delivery
        assert not office.db(delivery.lease != None).isempty()
        assert office.db(delivery.begun_on != None).isempty()

    # -------------------------------------------------------------------------
    @pytest.mark.parametrize("is_due", [True, False])
    def test_a_run_that_finds_the_breaker_tripped_only_probes(self, office, is_due):
        """
            Once a run has read that another one has tripped the breaker, it hands over a
            single message if a probe is due, else none
        """

        office.queue(*users(150))
        begun = []

        def note(outgoing):
            begun.append(run.permit.is_tripped)
            if len(begun) == 50:
                db = office.connection()
                trip(office.mailer(db), is_due)
                db.close()

        transport = InstantTransport(office.mail, before=note)
        run = office.mail.channel().worker(transport=transport, clock=lambda: 0)
        run.drain()

        assert begun.count(True) == is_due
        # An accepted probe closes the breaker, and the run goes on
        assert (len(transport.accepted) == 150) == is_due
        # What was claimed and not begun is not held up
        assert office.db(office.db.mails3_delivery.lease != None).isempty()

    def test_a_session_that_can_not_be_replaced_suspends_nothing(self, office):
        """ While other sessions work, the relay may take no new one for one that it closes """

        ids = office.queue(*users(60))
        office.relay.limit(10)
        # One session works while the relay closes the others
        office.relay.hold("BODY", lambda: len(office.relay.mails) > 25, to="user01@example.org")
        for reply in ("220 Welcome", "220 Welcome", "220 Welcome", "421 4.7.0 Too many"):
            office.relay.answer("CONNECT", reply, times=1)

        office.drain(reply_timeout=10)

        assert office.state().status == CLOSED
        assert {office.status(number) for number in ids} == {SENT}
        assert len(office.relay.mails) == 60

    def test_sessions_are_replaced_after_a_hundred_messages(self, office):
        """ No session is used for more than 100 messages, and the run goes on in others """

        ids = office.queue(*users(120))

        office.drain(sessions=1)

        used = Counter(mail.session for mail in office.relay.mails)
        assert sorted(used.values()) == [20, 100]
        assert {office.status(number) for number in ids} == {SENT}

    @pytest.mark.parametrize("sessions, connections", [(1, 4), (2, None)])
    def test_a_relay_may_take_few_messages_by_one_session(self, office, sessions, connections):
        """
            All mail arrives with its first attempt at a relay that takes three messages by one
            session, and each session but the first ones ends before the relay says so
        """

        office.relay.limit(3, "452 4.5.3 Too many recipients: Too many messages sent")
        ids = office.queue(*users(10))

        office.drain(sessions=sessions)

        assert {office.status(number) for number in ids} == {SENT}
        assert {attempts(office, number) for number in ids} == {1}
        assert office.state().status == CLOSED
        assert len(office.relay.mails) == 10
        refused = sum(verb == "MAIL" for _, verb, _ in office.relay.commands) - 10
        assert refused <= sessions
        assert connections in (None, office.relay.connections)

    def test_what_one_session_learns_counts_for_all(self, small_office):
        """ A session never tries more messages than another one of its run was allowed """

        relay, transport = small_office.relay, small_office.mail.channel().transport()
        relay.limit(2, "421 Max message per connection reached, closing transmission channel")
        call = Call.read(small_office.mail, ["anne@example.org", "News", "News."], {}, utcnow())
        direct = Direct(call.message, "<1@example.org>", ["anne@example.org"])

        for session in (0, 1, 0, 0, 1, 1, 2, 2, 2):
            assert run(transport.sending(session, direct, 5)) == {"anne@example.org": None}
        transport.close()

        assert transport.max_messages == 2
        assert sum(verb == "MAIL" for _, verb, _ in relay.commands) == 9 + 1

    def test_an_interrupt_keeps_what_is_known(self, office):
        """ What the relay had accepted before an interrupt is not sent again """

        ids = office.queue(*users(40))
        transport = InstantTransport(office.mail, during=Interrupt(after=48))
        with pytest.raises(KeyboardInterrupt):
            office.mail.channel().worker(transport=transport, clock=lambda: 0).drain()
        office.db.rollback()

        count = len(transport.accepted)
        assert 0 < count < 40 and transport.accepted == users(count)
        assert [number for number in ids if office.status(number) == SENT] == ids[:count]

    def test_two_runs_send_nothing_twice(self, office):
        """ Two runs of several sessions each, at the same time, send each message once """

        ids = office.queue(*users(200))

        def work():
            db = office.connection()
            office.mailer(db).drain()
            db.close()

        threads = [Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert {office.status(number) for number in ids} == {SENT}
        assert len(office.relay.mails) == 200

# -----------------------------------------------------------------------------
def trip(mail, is_due):
    """ Trip the breaker, as another run does; with a probe that is due at once, or later """

    channel, transport = mail.channel(), mail.channel().transport()
    breaker, now = channel.breaker, utcnow()
    breaker.trip(RelayUnavailable("No answer"), transport.fingerprint(breaker.read().salt),
                 None, now)
    if is_due:
        breaker.resume(now)
    mail.db.commit()

# END =========================================================================
