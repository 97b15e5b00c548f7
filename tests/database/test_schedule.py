"""
    Scheduled mail (not_before): it waits for its time, and nothing else waits for it
"""

from datetime import datetime, timedelta, timezone

import pytest

from support.employment import Employer

from mails3.admin.operator import Operator
from mails3.admin.printing import entry_line, status_lines
from mails3.admin.next_step import next_step
from mails3.admin.status import Status
from mails3.clock import utcnow
from mails3.queue.schedule import BATCH
from mails3.states import FAILED, NEW, SCHEDULED, SENT

ANNE, BOB = "anne@example.org", "bob@example.org"
HOUR = timedelta(hours=1)

# -----------------------------------------------------------------------------
def queue_of(office, number):
    """ The queue in which a delivery waits """

    return office.entry(number).mails3_delivery.queue

# =============================================================================
class TestSending:
    """ A mail is not sent before its time """

    def test_a_scheduled_mail_is_sent_when_its_time_has_come(self, office):
        """ No run sends a mail before not_before, the first drain after it does """

        anne, bob = office.queue(ANNE, not_before=3600), office.queue(BOB)

        for _ in range(2):
            office.drain()
            office.retry()
        assert (queue_of(office, anne), office.status(bob)) == (SCHEDULED, SENT)

        office.later(3700)
        office.drain()
        assert office.status(anne) == SENT

    def test_a_worker_sees_that_the_time_has_come(self, office, tmp_path):
        """ A worker of our own sends with its first turn after the time, and not before """

        employer = Employer(office, tmp_path)
        try:
            anne = office.queue(ANNE, not_before=HOUR)
            employer.turn()
            assert queue_of(office, anne) == SCHEDULED

            office.later(3601)
            employer.turn()
            assert office.status(anne) == SENT
        finally:
            employer.close()

    def test_the_time_may_be_given_in_many_ways(self, small_office):
        """ not_before is a time with or without a zone, a span, or seconds; the past is now """

        office = small_office
        now = datetime.now(timezone.utc)
        for not_before in (now + HOUR, (now + HOUR).replace(tzinfo=None), HOUR, 3600):
            number = office.queue(ANNE, not_before=not_before)
            due_on = office.entry(number).mails3_delivery.due_on
            assert abs(due_on - utcnow() - HOUR) < timedelta(seconds=5)
        for not_before in (now - HOUR, -HOUR, -3600, 0):
            assert queue_of(office, office.queue(ANNE, not_before=not_before)) == NEW

    @pytest.mark.parametrize("arguments, error", [
        ({"not_before": "tomorrow"}, "not_before is not a time"),
        ({"not_before": 1e30}, "not_before is beyond the calendar"),
        ({"not_before": 3600, "expires": 60}, "It expires before it may be sent"),
        ])
    def test_a_time_that_can_not_be_is_refused(self, small_office, arguments, error):
        """ A call whose time is no time, or after its end, is refused with the reason """

        assert not small_office.mail.send(ANNE, "News", "There is news.", **arguments)
        assert small_office.mail.error.startswith(error)

    def test_what_can_not_wait_is_not_sent_early(self, small_office):
        """ A call that can't be queued is not sent at once if it has a time """

        mail = small_office.mail
        assert not mail.send(ANNE, "News", "There is news.", not_before=60, sign_passphrase="x")
        mail.settings.server = "127.0.0.1:1"
        mail.note_configuration()
        small_office.db.executesql("DROP TABLE mails3_message")
        assert not mail.send(ANNE, "News", "There is news.", not_before=60)

        assert mail.error == "The mail could not be sent"
        assert small_office.relay.mails == []

    def test_a_script_without_a_worker_does_not_send_it_early(self, small_office):
        """ Without a worker, a scheduled mail is not tried at once """

        small_office.configure(fallback="yes")
        small_office.queue(ANNE, not_before=3600)

        assert small_office.relay.mails == []

    def test_many_become_new_by_one_drain(self, small_office):
        """ One drain sends all mail whose time has come, however much it is """

        office = small_office
        addresses = ["user%d@example.org" % n for n in range(BATCH + 1)]
        office.mail.send(addresses, "News", "There is news.", not_before=3600)
        office.db.commit()
        office.later(3601)
        office.mail.channel().worker()

        table = office.db.mails3_delivery
        assert office.db(table.queue == NEW).count() == BATCH + 1

# =============================================================================
class TestVerbs:
    """ What an admin does to a scheduled mail """

    @pytest.mark.parametrize("there, back", [("hold", "release"), ("cancel", "requeue")])
    def test_a_mail_that_comes_back_keeps_its_time(self, office, there, back):
        """ A scheduled mail that is held and released, or cancelled and requeued, still waits """

        operator = Operator(office.mail, "Pat")
        anne = office.queue(ANNE, not_before=3600)
        due_on = office.entry(anne).mails3_delivery.due_on

        for verb in (there, back):
            assert getattr(operator, verb)([anne]) == ([anne], {})
            office.db.commit()
        own = office.entry(anne).mails3_delivery
        assert (own.queue, own.due_on) == (SCHEDULED, due_on)

        for verb in (there, back):
            getattr(operator, verb)([anne])
            office.later(3700)
        office.drain()
        assert office.status(anne) == SENT

    def test_the_app_may_cancel_it(self, office):
        """ A scheduled mail that the app cancels is never sent """

        office.mail.send(ANNE, "News", "There is news.", not_before=60, idempotency_key="key")
        assert office.mail.find("key")[0].state == "scheduled"
        number, = office.mail.cancel("key")
        office.db.commit()
        office.later(100)
        office.drain()

        assert office.status(number) == FAILED

# =============================================================================
class TestStatus:
    """ A scheduled mail is no trouble, and shows its time """

    def test_a_scheduled_mail_is_no_trouble(self, office):
        """ A mail that waits for its time is neither new, nor the oldest, nor neglected """

        office.queue(ANNE, not_before=7200)
        office.later(3600)
        report, activity = office.mail.report(), office.mail.channel().activity

        assert (report.counts()["new"], report.counts()["scheduled"]) == (0, 1)
        assert report.oldest() is None
        office.mail.channel().row.update(drained_on=utcnow() - HOUR)
        assert not activity.is_neglected(utcnow(), utcnow())

        office.later(3700)
        assert activity.is_neglected(utcnow(), utcnow())

    def test_list_story_and_status_show_the_time(self, office):
        """ A list, the story and the status tell when a scheduled mail is sent """

        anne = office.queue(ANNE, not_before=datetime(2100, 5, 1, 8))
        report, status = office.mail.report(), Status(office.mail, utcnow())
        entry, = report.page("scheduled")[0]

        assert entry["number"] == anne
        assert entry_line(entry).endswith("  (It is sent at 2100-05-01 08:00 UTC.)")
        assert next_step(entry, status) == "It is sent at 2100-05-01 08:00 UTC."
        assert "The first scheduled mail is sent at 2100-05-01 08:00 UTC." in status_lines(status)

# END =========================================================================
