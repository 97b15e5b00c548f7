"""
    The report in Eden: deleted rows, rows for many people, people without an
    address (on the stand-in)
"""

from argparse import Namespace
from io import StringIO

import pytest

from support.office import begin, claim

from mails3.admin.console import Console
from mails3.clock import utcnow
from mails3.states import FAILED, SENT, UNSENT
from mails3.admin.metrics import exposition
from mails3.admin.operator import Operator
from mails3.admin.next_step import next_step
from mails3.admin.status import Status

ANNE, BOB, CARL = "anne@example.org", "bob@example.org", "carl@example.org"

# -----------------------------------------------------------------------------
def counted(branch):
    """ The counts that are not zero """

    return {state: number for state, number in branch.mail.report().counts().items() if number}

def listed(branch, state=None):
    """ The recipients in the list of mails """

    return [entry["recipient"] for entry in branch.mail.report().page(state)[0]]

def told(branch, verb, number=None):
    """ What the command line says """

    out = StringIO()
    Console(branch.mail, "admin", out).do(Namespace(verb = verb,
                                                    number = number,
                                                    eml = False,
                                                    json = False,
                                                    quiet = False,
                                                    prometheus = False,
                                                    state = None,
                                                    search = None,
                                                    before = None,
                                                    limit = 50,
                                                    ))
    return out.getvalue()

# =============================================================================
class TestDeleted:
    """ Deleting a row in Eden's Outbox cancels it """

    @staticmethod
    def queued_by_send(branch):
        """ A mail that send() has queued: its number """

        assert branch.mail.send(ANNE, "News", "There is news.")
        branch.db.commit()
        return branch.numbers()[-1]

    @staticmethod
    def composed(branch):
        """ A message that was composed, and no run has seen yet: its number """

        branch.msg.send_by_pe_id(branch.person(ANNE)["pe_id"], "News", "There is news.")
        branch.db.commit()
        return branch.numbers()[-1]

    @staticmethod
    def held_up(branch):
        """ A message that was composed, and waits for the relay: its number """

        number = TestDeleted.composed(branch)
        branch.relay.stop()
        branch.drain()
        branch.relay.start()
        branch.later(600)
        return number

    @staticmethod
    def deferred(branch):
        """ A mail that was refused for now: its number """

        branch.relay.answer("RCPT", "451 4.3.0 Later", times=1)
        number = TestDeleted.queued_by_send(branch)
        branch.drain()
        branch.later(600)
        return number

    @pytest.fixture(params=["queued_by_send", "composed", "held_up", "deferred"])
    def deleted(self, branch, request):
        """ The number of a row that was deleted while it waited """

        number = getattr(self, request.param)(branch)
        branch.delete(number)
        return number

    def test_a_mail_deleted_in_eden_is_not_sent(self, branch, deleted):
        """ Nobody sends a deleted mail, in any queue, queued by Eden or by us """

        branch.drain()
        branch.retry()
        branch.msg.process_outbox()

        assert branch.relay.mails == []

    def test_a_mail_deleted_in_eden_is_counted_nowhere(self, branch, deleted):
        """
            A deleted mail is not counted, neither before nor after a run has noticed the
            deletion
        """

        for _ in range(2):
            report = branch.mail.report()
            assert counted(branch) == {}
            assert report.oldest() is None
            assert report.waiting(1) == report.waiting(2) == 0
            assert report.recent() == []
            assert listed(branch) == []
            assert not branch.mail.channel().claims.is_neglected(utcnow())
            assert "oldest_unsent_age_seconds 0" in exposition(Status(branch.mail, utcnow()))
            assert "oldest" not in told(branch, "status")
            branch.drain()
            branch.retry()

    def test_the_page_of_a_deleted_mail_says_so(self, branch, deleted):
        """ The page of a deleted mail says that it is not sent, and no verb applies to it """

        report = branch.mail.report()
        entry = report.entry(deleted)
        assert entry["state"] == "deleted"
        assert "None" not in told(branch, "show", deleted)
        assert next_step(entry, Status(branch.mail, utcnow())) == \
            "It is not sent: somebody has deleted it in the outbox of the app."

        _, refused = Operator(branch.mail, "admin").requeue([deleted])
        assert refused == {deleted: "There is no such mail."}

    def test_the_content_of_a_deleted_mail_is_purged(self, branch, deleted):
        """
            The content of a deleted mail is purged like that of a failed one, and Eden's row
            stays
        """

        branch.configure(keep_failed=30)
        branch.drain()
        branch.mail.purge()
        table = branch.s3db.msg_outbox
        branch.db(table.id == deleted).update(modified_on=table.created_on)
        for field in (table.created_on, table.modified_on):
            row = branch.db(table.id == deleted).select().first()
            row.update_record(modified_on=row.modified_on.replace(year=2020))

        branch.mail.purge()

        assert branch.db(branch.db.mails3_delivery).count() == 0
        assert branch.db(branch.db.mails3_message.body != None).count() == 0
        assert branch.numbers() == [deleted]

    def test_a_claimed_mail_that_is_deleted_is_not_sent(self, branch):
        """ A mail that is deleted after the claim and before its turn is not sent """

        number = self.queued_by_send(branch)
        other = self.queued_by_send(branch)
        worker = branch.mail.channel().worker()
        deliveries = claim(worker)
        branch.delete(number)

        begun = begin(worker, deliveries)

        assert [delivery.outbox_id for delivery in begun] == [other]

    def test_others_do_not_wait_for_a_deleted_mail(self, branch):
        """ A deleted mail takes no turn and is no probe """

        numbers = [self.queued_by_send(branch) for _ in range(3)]
        for number in numbers[:2]:
            branch.delete(number)
        assert branch.mail.send(BOB, "News", "There is news.")

        branch.drain()

        assert branch.addresses() == [ANNE, BOB]
        assert branch.statuses() == [FAILED, FAILED, SENT, SENT]

    def test_a_sent_mail_that_is_deleted_stays_counted(self, branch):
        """ The metrics still count a sent mail after its deletion, the page does not show it """

        number = self.queued_by_send(branch)
        branch.drain()
        branch.delete(number)

        assert "mails3_sent_total 1" in exposition(Status(branch.mail, utcnow()))
        assert counted(branch) == {}

# =============================================================================
class TestGroups:
    """ A row for many people is no mail """

    @pytest.fixture
    def group(self, branch):
        """ The number of a row for a group of two """

        branch.msg.send_by_pe_id(branch.group(ANNE, BOB), "News", "There is news.")
        branch.db.commit()
        return branch.numbers()[0]

    def test_a_group_row_waits_under_its_name(self, branch, group):
        """ A row of a group stands for the mails to come until it is expanded """

        assert listed(branch) == ["Helpers (group)"]
        assert counted(branch) == {"new": 1}
        assert branch.mail.report().entry(group)["subject"] == "News"

    def test_an_expanded_row_is_counted_and_listed_nowhere(self, branch, group):
        """ After the expansion, each member's mail is counted once and the group's row is not """

        branch.drain()

        report = branch.mail.report()
        assert counted(branch) == {"sent": 2}
        assert sorted(listed(branch)) == sorted(listed(branch, "sent")) == [ANNE, BOB]
        assert sum(sent for _, sent, _ in report.hours(utcnow())) == 2
        assert "mails3_sent_total 2" in exposition(Status(branch.mail, utcnow()))

    def test_the_page_of_a_group_names_its_members(self, branch, group):
        """ The page of a group's row names its members and says nothing of a mail server """

        branch.drain()

        report = branch.mail.report()
        entry = report.entry(group)
        assert (entry["state"], entry["recipient"]) == ("expanded", "Helpers (group)")
        assert sorted(member["recipient"] for member in report.expanded(entry)) == [ANNE, BOB]
        assert "accepted" not in next_step(entry, Status(branch.mail, utcnow()))
        shown = told(branch, "show", group)
        assert "Expanded to 2 recipients" in shown
        assert "expanded to %s: sent" % ANNE in shown

    def test_of_two_groups_each_has_its_own_members(self, branch):
        """ Two groups that got the same message have their own members on their pages """

        one, two = branch.group(ANNE, BOB), branch.group(CARL)
        branch.msg.send_by_pe_id([one, two], "News", "There is news.")
        branch.drain()

        report = branch.mail.report()
        members = [[member["recipient"] for member in report.expanded(report.entry(number))]
                   for number in branch.numbers()[:2]]
        assert [sorted(each) for each in members] == [[ANNE, BOB], [CARL]]

    def test_a_row_that_stock_eden_has_expanded_is_no_mail(self, branch):
        """ A row that stock Eden has expanded is not counted, and its members have names """

        message, group = branch.message(), branch.group(ANNE)
        person = branch.db(branch.s3db.pr_person.id > 0).select().first().pe_id
        branch.entry(message, pe_id=group, status=SENT)
        branch.entry(message, pe_id=person, status=SENT, system_generated=True)

        report = branch.mail.report()
        assert counted(branch) == {"sent": 1}
        assert listed(branch) == ["Anne"]
        expanded = report.expanded(report.entry(branch.numbers()[0]))
        assert [entry["recipient"] for entry in expanded] == ["Anne"]

    def test_a_row_that_can_not_be_expanded_is_seen(self, branch):
        """ A row that can't be expanded is listed with its reason """

        pe_id = branch.s3db.pr_pentity.insert(instance_type="org_office")
        branch.msg.send_by_pe_id(pe_id, "News", "There is news.")
        branch.drain()

        assert counted(branch) == {"rejected": 1}
        assert listed(branch) == ["no name (org_office)"]

    def test_a_large_group_leaves_with_one_drain(self, small_branch):
        """ All members of a large group get their mail with one drain """

        addresses = ["user%04d@example.org" % number for number in range(1300)]
        small_branch.msg.send_by_pe_id(small_branch.group(*addresses), "News", "There is news.")

        small_branch.drain()

        assert small_branch.addresses() == addresses

    def test_the_purge_counts_no_group_as_sent(self, branch, group):
        """ The counters do not change when the purge removes a group's row """

        branch.configure(keep_sent=1)
        branch.drain()
        table = branch.s3db.msg_outbox
        for number in branch.numbers():
            row = branch.db(table.id == number).select().first()
            row.update_record(modified_on=row.modified_on.replace(year=2020))

        branch.mail.purge()

        row = branch.db(branch.db.mails3_channel).select().first()
        assert sum(row.purged_sent or 0 for row in
                   branch.db(branch.db.mails3_channel).select()) == 2

# =============================================================================
class TestNames:
    """ A person without an address yet is shown by name """

    def test_a_person_whom_no_run_has_seen_has_a_name(self, branch):
        """ List, page and log show the person's name before a run has found the address """

        pe_id = branch.person(ANNE, last_name="Example")["pe_id"]
        branch.msg.send_by_pe_id(pe_id, "News", "There is news.")
        branch.db.commit()

        assert listed(branch) == ["Anne Example"]
        assert "None" not in told(branch, "list")
        assert branch.statuses() == [UNSENT]

    def test_an_address_that_no_run_has_seen_has_a_subject(self, branch):
        """ A row with an address has the subject of its message before a run has seen it """

        branch.entry(branch.message(), address=ANNE, pe_id=branch.person(BOB)["pe_id"])

        entry, = branch.mail.report().page()[0]
        assert (entry["recipient"], entry["subject"]) == (ANNE, "News")

    def test_a_verb_names_the_person_in_the_log(self, branch, caplog):
        """ A verb for a row without an address logs the person's name, not None """

        branch.msg.send_by_pe_id(branch.group(ANNE), "News", "There is news.")
        branch.db.commit()

        Operator(branch.mail, "admin").cancel(branch.numbers())

        assert "Mail to Helpers (group)" in caplog.text

# END =========================================================================
