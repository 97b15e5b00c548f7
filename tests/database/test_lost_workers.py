"""
    Lost workers: what was being sent is in doubt, nothing is lost
"""

from datetime import timedelta

import pytest

from support.office import begin, claim, lose_a_worker

from mails3.clock import utcnow
from mails3.replies import TransientFailure
from mails3.states import DRAFT, SENT, UNSENT

ANNE, BOB, POISON = "anne@example.org", "bob@example.org", "poison@example.org"

# =============================================================================
class TestWorkerLost:
    """ A lost worker loses no mail """

    def test_a_mail_that_ends_two_workers_is_held(self, office):
        """
            A message over which two workers were lost is held with its reason, and the others
            go on
        """

        poison = office.queue(POISON)
        lose_a_worker(office)
        lose_a_worker(office)
        anne = office.queue(ANNE)

        office.drain()

        assert office.status(poison) == DRAFT
        assert "handed over twice" in office.entry(poison).mails3_delivery.reply
        assert office.status(anne) == SENT

    def test_only_begun_deliveries_are_in_doubt(self, office):
        """ A delivery that a lost worker had claimed and not begun is new mail """

        first, second = office.queue(ANNE, BOB)
        worker = office.mail.channel().worker()
        begin(worker, claim(worker)[:1])
        office.db.commit()
        office.later(3600)

        office.drain(in_doubt="hold")

        assert office.status(first) == DRAFT
        assert office.status(second) == SENT

    def test_a_worker_without_its_lease_overwrites_nothing(self, office):
        """ A worker whose lease is over does not overwrite the result of another one """

        anne = office.queue(ANNE)
        worker = office.mail.channel().worker()
        now = worker.now()
        delivery, = claim(worker)
        begin(worker, [delivery])
        office.later(3600)
        office.drain()

        transitions = worker.channel.transitions
        assert not transitions.defer(delivery, "late", now, now)
        assert not transitions.reject(delivery, "late", now)
        assert not transitions.fail(delivery, "late", now)
        assert not transitions.put_back(delivery)
        assert not begin(worker, [delivery])
        transitions.mark_sent([delivery], now)

        assert office.status(anne) == SENT
        assert office.entry(anne).mails3_delivery.attempts == 1

    def test_a_worker_without_its_lease_notes_no_attempt(self, office):
        """ The story of a mail has no attempt of a worker whose lease is over """

        office.queue(ANNE)
        worker = office.mail.channel().worker()
        delivery, = claim(worker)
        begin(worker, [delivery])
        office.later(3600)
        office.drain()

        worker.results.add([delivery], {ANNE: TransientFailure("Later")})
        worker.results.write()

        assert office.db(office.db.mails3_attempt).isempty()

    def test_an_interrupted_run_keeps_its_results(self, office):
        """
            Only the deliveries that an interrupted run was sending are in doubt, the rest is
            new mail
        """

        ids = office.queue(*["user%s@example.org" % n for n in range(4)])
        run = office.mail.channel().worker()
        send = run.transport.sending

        def send_until_ended(session, outgoing, *args):
            if outgoing.recipients == ["user2@example.org"]:
                # As the scheduler ends a task
                raise KeyboardInterrupt()
            return send(session, outgoing, *args)

        run.transport.sending = send_until_ended
        with pytest.raises(KeyboardInterrupt):
            run.drain()
        office.db.rollback()

        assert [office.status(number) for number in ids] == [SENT, SENT, UNSENT, UNSENT]
        office.drain(in_doubt="hold")
        assert [office.status(number) for number in ids] == [SENT, SENT, DRAFT, SENT]
        assert len(office.relay.mails) == 3

    def test_one_message_of_each_session_is_in_doubt_at_most(self, office):
        """ A run that is cut off anywhere leaves at most one message of each session in doubt """

        office.configure(sessions=4)
        office.queue(*["user%s@example.org" % n for n in range(40)])
        run = office.mail.channel().worker()
        sending, begun = run.transport.sending, []

        def send_until_cut_off(number, *args):
            begun.append(number)
            if len(begun) == 10:
                raise KeyboardInterrupt()
            return sending(number, *args)

        run.transport.sending = send_until_cut_off
        # Nor does it get to write anything any more
        run.lease.end = lambda: None
        with pytest.raises(KeyboardInterrupt):
            run.drain()
        office.db.rollback()

        delivery, outbox = office.db.mails3_delivery, office.db.msg_outbox
        rows = office.db(delivery.outbox_id == outbox.id).select(
                         outbox.address, outbox.status, delivery.begun_on)
        in_doubt = {row.msg_outbox.address for row in rows if row.mails3_delivery.begun_on}
        sent = {row.msg_outbox.address for row in rows if row.msg_outbox.status == SENT}
        assert 1 <= len(in_doubt) <= 4
        assert {mail.recipients[0] for mail in office.relay.mails} <= sent | in_doubt

    def test_a_slow_run_renews_its_leases(self, office):
        """ A run with a slow relay sends nothing with a lease that is over """

        office.queue(*["user%s@example.org" % n for n in range(4)])
        start, passed = utcnow(), iter(range(0, 10 ** 6, 6))
        worker = office.mail.channel().worker(
                    now = lambda: start + timedelta(seconds=next(passed)))
        renewed = []
        claims = worker.channel.claims
        renew = claims.renew
        claims.renew = lambda *args: (renewed.append(args), renew(*args))

        worker.drain()

        assert renewed
        assert len(office.relay.mails) == 4

# END =========================================================================
