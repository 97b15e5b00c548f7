"""
    To whom goes what Eden queues, and what becomes of each row; on the
    stand-in for Eden
"""

from threading import Barrier, Thread

import pytest

from conftest import statements

from mails3.hosts.eden import install_mailer
from mails3.hosts.eden.intake import Intake
from mails3.states import DRAFT, INVALID, SENT, UNSENT

ANNE, BOB, CARL = "anne@example.org", "bob@example.org", "carl@example.org"

# =============================================================================
class TestPersons:
    """ A row for a person goes to an address of theirs """

    def test_the_first_contact_counts(self, branch):
        """ By priority; what is deleted or of another kind does not count """

        anne = branch.person()
        branch.contact(anne, "third@example.org", priority=3)
        branch.contact(anne, "deleted@example.org", priority=1, deleted=True)
        branch.contact(anne, ANNE, priority=2)
        branch.contact(anne, "+49170", contact_method="SMS", priority=1)

        branch.msg.send_by_pe_id(anne["pe_id"], "News", "There is news.")
        branch.drain()

        assert branch.addresses() == [ANNE]
        assert branch.statuses() == [SENT]

    def test_each_gets_a_mail_of_their_own(self, branch):
        """ With no other recipient to be seen in it """

        people = [branch.person(address)["pe_id"] for address in (ANNE, BOB)]

        branch.msg.send_by_pe_id(people, "News", "There is news.")
        branch.drain()

        seen = [(mail.recipients, mail.message["To"], mail.message["Cc"])
                for mail in branch.relay.mails]
        assert sorted(seen) == [([ANNE], ANNE, None), ([BOB], BOB, None)]

    def test_an_address_needs_no_person(self, branch):
        """ And goes before that of the person """

        message = branch.message()
        branch.entry(message, address=ANNE)
        branch.entry(message, address=BOB, pe_id=branch.person(CARL)["pe_id"])

        branch.drain()

        assert branch.addresses() == [ANNE, BOB]
        assert branch.statuses() == [SENT, SENT]

    def test_a_person_without_an_address(self, branch):
        """ The row is invalid, with the reason; it holds up no other """

        people = [branch.person(address)["pe_id"] for address in (None, ANNE)]

        branch.msg.send_by_pe_id(people, "News", "There is news.")
        branch.drain()

        assert branch.outbox()[0] == (INVALID, 0, "The person has no contact of that kind")
        assert branch.addresses() == [ANNE]

    def test_an_exception_of_ours_sets_the_row_aside(self, branch, monkeypatch):
        """ Nobody has refused it: a person decides; the others go out """

        people = [branch.person(address)["pe_id"] for address in (ANNE, BOB)]
        accept = Intake._accept

        def broken(self, row, message_id, address, now):
            if address == ANNE:
                raise AttributeError("body")
            accept(self, row, message_id, address, now)

        branch.msg.send_by_pe_id(people, "News", "There is news.")
        with monkeypatch.context() as patch:
            patch.setattr(Intake, "_accept", broken)
            branch.drain()

        assert branch.statuses() == [DRAFT, SENT]
        assert branch.outbox()[0][2] == "It can not be read (AttributeError)"

    def test_a_malformed_address(self, branch):
        """ The row is invalid, with the reason; it holds up no other """

        people = [branch.person(address)["pe_id"] for address in ("anne at home", BOB)]

        branch.msg.send_by_pe_id(people, "News", "There is news.")
        branch.drain()

        assert branch.statuses() == [INVALID, SENT]
        assert branch.outbox()[0][2]
        assert branch.addresses() == [BOB]

# =============================================================================
class TestGroups:
    """ A row for many people becomes one for each of them """

    def members(self, branch, kind):
        """ An entity of that kind whose members are Anne, Bob and who has left """

        values = {"name": "Helpers"} if kind == "org_organisation" else {}
        entity = branch.insert(kind, **values)
        anne, bob, left, deleted = (branch.person(address) for address in
                                    (ANNE, BOB, "left@example.org", "deleted@example.org"))
        branch.db(branch.s3db.pr_person.id == deleted["id"]).update(deleted=True)
        # Anne twice, as happens
        for person, gone in ((anne, False), (anne, False), (bob, False), (left, True),
                             (deleted, False)):
            self.join(branch, kind, entity, person["id"], gone)
        return entity["pe_id"]

    def join(self, branch, kind, entity, person_id, gone):
        """ Make a person a member """

        if kind == "deploy_alert":
            human = branch.insert("hrm_human_resource", person_id=person_id)
            branch.insert("deploy_alert_recipient", alert_id=entity["id"],
                          human_resource_id=human["id"], deleted=gone)
            return
        table, key = {"pr_group": ("pr_group_membership", "group_id"),
                      "pr_forum": ("pr_forum_membership", "forum_id"),
                      "org_organisation": ("hrm_human_resource", "organisation_id"),
                      "hrm_training_event": ("hrm_training", "training_event_id"),
                      }[kind]
        branch.insert(table, person_id=person_id, deleted=gone, **{key: entity["id"]})

    @pytest.mark.parametrize("kind", ["pr_group", "pr_forum", "org_organisation",
                                      "hrm_training_event", "deploy_alert"])
    def test_each_member_once(self, branch, kind):
        """ Who is a member now, by rows that say what made them """

        pe_id = self.members(branch, kind)

        branch.msg.send_by_pe_id(pe_id, "News", "There is news.")
        branch.drain()
        branch.drain()

        assert branch.addresses() == [ANNE, BOB]
        table = branch.s3db.msg_outbox
        rows = branch.db(table.id > 0).select(table.status, table.system_generated,
                                              orderby=table.id)
        assert [tuple(row.as_dict().values()) for row in rows] == \
               [(SENT, False), (SENT, True), (SENT, True)]

    def test_a_group_without_members(self, branch):
        """ There is nobody to send it to, so it is done """

        branch.msg.send_by_pe_id(branch.insert("pr_group")["pe_id"], "News", "There is news.")

        branch.drain()

        assert branch.statuses() == [SENT]
        assert branch.relay.mails == []

    def test_an_entity_of_another_kind(self, branch):
        """ The row is invalid, with the reason; it holds up no other """

        pe_id = branch.s3db.pr_pentity.insert(instance_type="vehicle_vehicle")
        branch.msg.send_by_pe_id([pe_id, branch.person(ANNE)["pe_id"]], "News", "There is news.")

        branch.drain()

        assert branch.outbox()[0] == \
            (INVALID, 0, "A vehicle_vehicle has no members to send it to")
        assert branch.addresses() == [ANNE]

    def test_neither_entity_nor_address(self, branch):
        """ The row is invalid, with the reason """

        branch.entry(branch.message())

        branch.drain()

        assert branch.outbox() == [(INVALID, 0, "Neither a person nor an address")]

# =============================================================================
class TestRows:
    """ What Eden has in its outbox, as it is found """

    def test_a_row_without_a_message(self, branch):
        """ It is invalid, with the reason; it holds up no other """

        branch.entry(address=ANNE)
        branch.entry(branch.message(), address=BOB)

        branch.drain()

        assert branch.outbox()[0] == (INVALID, 0, "There is no message")
        assert branch.addresses() == [BOB]

    def test_retries_without_a_limit(self, branch):
        """ Eden: None is to retry for ever """

        branch.entry(branch.message(), address=ANNE, retries=None)
        branch.relay.answer("RCPT", "451 4.3.0 Later", times=1)

        branch.drain()
        assert branch.outbox()[0][:2] == (UNSENT, 1)
        branch.later(600)
        branch.retry()

        assert branch.statuses() == [SENT]

    def test_what_has_been_tried_before_waits_for_the_retry_pass(self, branch):
        """ Rows from before the installation are not new """

        message = branch.message()
        branch.entry(message, address=ANNE, retries=3)
        branch.entry(message, address=BOB)

        branch.drain()
        assert branch.addresses() == [BOB]

        branch.retry()
        assert branch.addresses() == [ANNE, BOB]

    def test_what_is_not_to_be_sent(self, branch):
        """ A draft, a deleted row and one of another channel stay as they are """

        message = branch.message()
        branch.entry(message, address=ANNE, status=DRAFT)
        branch.entry(message, address=ANNE, deleted=True)
        branch.entry(message, address=ANNE, contact_method="FACEBOOK")

        branch.drain()
        branch.retry()
        branch.msg.process_outbox()

        assert branch.outbox() == [(DRAFT, None, None), (UNSENT, None, None),
                                   (UNSENT, None, None)]
        assert branch.relay.mails == []

    def test_without_anything_new_a_drain_is_one_query(self, branch):
        """ Whatever has been sent, and nothing is written """

        branch.msg.send_by_pe_id(branch.person(ANNE)["pe_id"], "News", "There is news.")
        branch.drain()

        query, = statements(branch, branch.mail.drain)

        assert query.startswith("SELECT")

    def test_many_rows(self, small_branch):
        """ All are sent in one run, each once """

        message = small_branch.message()
        addresses = ["user%03d@example.org" % number for number in range(250)]
        for address in addresses:
            small_branch.entry(message, address=address)

        small_branch.drain()

        assert small_branch.addresses() == addresses
        assert set(small_branch.statuses()) == {SENT}

    def test_two_workers_pick_up_at_once(self, branch):
        """ Nothing is sent twice, nothing is left """

        people = [branch.person("user%02d@example.org" % number) for number in range(20)]
        group = branch.insert("pr_group")
        for person in people:
            branch.insert("pr_group_membership", group_id=group["id"], person_id=person["id"])
        message = branch.message()
        branch.entry(message, pe_id=group["pe_id"])
        for number in range(80):
            branch.entry(message, address="guest%03d@example.org" % number)
        branch.db.commit()
        together, failures = Barrier(2), []

        def work():
            environment = branch.eden.environment()
            try:
                mail = install_mailer(environment)
                together.wait(30)
                mail.drain()
            except Exception as error:
                failures.append(error)
            finally:
                environment["db"].close()

        workers = [Thread(target=work) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        branch.drain()

        assert failures == []
        assert len(branch.relay.mails) == 100
        assert len(set(branch.addresses())) == 100
        assert set(branch.statuses()) == {SENT}

# END =========================================================================
