"""
    Lost workers: what was being sent is in doubt, nothing is lost
"""

from datetime import timedelta

import pytest

from support.office import begin, claim, lose_a_worker, users, worker_that_commits
from support.transports import InstantTransport, Interrupt, WatchedTransport

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

        def end_task(outgoing):
            if outgoing.recipients == ["user02@example.org"]:
                # As the scheduler does
                raise KeyboardInterrupt()

        ids = office.queue(*users(4))
        with pytest.raises(KeyboardInterrupt):
            transport = WatchedTransport(office.mail, before=end_task)
            office.mail.channel().worker(transport=transport).drain()
        office.db.rollback()

        assert [office.status(number) for number in ids] == [SENT, SENT, UNSENT, UNSENT]
        office.drain(in_doubt="hold")
        assert [office.status(number) for number in ids] == [SENT, SENT, DRAFT, SENT]
        assert len(office.relay.mails) == 3

    def test_one_message_of_each_session_is_in_doubt_at_most(self, office):
        """
            A run with four sessions that is cut off leaves four messages in doubt, and all that
            were accepted are marked as sent or in doubt
        """

        office.configure(sessions=4)
        ids = office.queue(*users(40))
        interrupt = Interrupt(after=30)
        transport = InstantTransport(office.mail, during=interrupt)

        def commit():
            if interrupt.has_struck:
                # Nor can the run write anything any more
                raise KeyboardInterrupt()
            office.db.commit()

        worker = worker_that_commits(office, commit, transport, clock=lambda: 0)
        with pytest.raises(KeyboardInterrupt):
            worker.drain()
        office.db.rollback()

        sent = [number for number in ids if office.status(number) == SENT]
        in_doubt = [number for number in ids if office.entry(number).mails3_delivery.begun_on]
        assert len(in_doubt) == 4
        assert sent + in_doubt == ids[:len(sent) + 4]
        # Some, but not all of the messages in doubt were accepted
        assert len(sent) < len(transport.accepted) < len(sent) + 4

    def test_a_slow_run_renews_its_leases(self, office):
        """ The leases of a run are in force whenever it begins a message, however slow it is """

        start = office.clock = utcnow()

        def look_and_take_time(outgoing):
            ends = office.db(table.lease != None).select(table.leased_until)
            left.append(min(row.leased_until for row in ends) - office.clock)
            office.db.commit()
            office.clock += timedelta(seconds=6)

        office.queue(*users(6))
        table, left = office.db.mails3_delivery, []
        transport = WatchedTransport(office.mail, before=look_and_take_time)
        office.mail.channel().worker(transport=transport, now=lambda: office.clock,
                                     message_time_s=4).drain()

        assert office.clock - start == timedelta(seconds=36)
        assert len(left) == len(office.relay.mails) == 6
        assert min(left) > timedelta(0)

# END =========================================================================
