"""
    Several sessions in one run
"""

from collections import Counter
from threading import Thread

import pytest

from support.meanwhile import meanwhile
from support.office import users
from support.site import eventually
from support.transports import InstantTransport, Interrupt

from mails3.clock import utcnow
from mails3.delivery.breaker import CLOSED
from mails3.replies import RelayUnavailable
from mails3.states import SENT

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
        run = office.mail.channel().worker(transport=transport)
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

        ids = office.queue(*users(350))

        office.drain(sessions=2)

        assert max(Counter(mail.session for mail in office.relay.mails).values()) == 100
        assert {office.status(number) for number in ids} == {SENT}
        assert len(office.relay.mails) == 350

    def test_an_interrupt_keeps_what_is_known(self, office):
        """ What the relay had accepted before an interrupt is not sent again """

        ids = office.queue(*users(40))
        # In the ninth round, one message is accepted, and not yet the second one
        transport = InstantTransport(office.mail, during=Interrupt(after=6 * 8 + 3 + 1))
        with pytest.raises(KeyboardInterrupt):
            office.mail.channel().worker(transport=transport).drain()
        office.db.rollback()

        assert transport.accepted == users(25)
        assert [number for number in ids if office.status(number) == SENT] == ids[:25]

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
