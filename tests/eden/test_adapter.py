"""
    Rows that Eden queues: their recipients and their results (on the stand-in
    for Eden)
"""

from threading import Barrier, Thread

import pytest

from support.office import named
from support.statements import statements

from mails3.hosts.eden import install_mailer
from mails3.hosts.eden.intake import Intake
from mails3.states import DRAFT, INVALID, SENT, UNSENT

ANNE, BOB, CARL = "anne@example.org", "bob@example.org", "carl@example.org"

# =============================================================================
class TestPersons:
    """ A row for a person goes to an address of theirs """

    def test_the_first_contact_is_used(self, branch):
        """
            A person's mail goes to the contact of the first priority that is an e-mail and not
            deleted
        """

        anne = branch.person()
        branch.contact(anne, "third@example.org", priority=3)
        branch.contact(anne, "deleted@example.org", priority=1, deleted=True)
        branch.contact(anne, ANNE, priority=2)
        branch.contact(anne, "+49170", contact_method="SMS", priority=1)

        branch.msg.send_by_pe_id(anne["pe_id"], "News", "There is news.")
        branch.drain()

        assert branch.addresses() == [ANNE]
        assert branch.statuses() == [SENT]

    def test_each_person_gets_a_mail_of_their_own(self, branch):
        """ No person sees another recipient in their mail """

        people = [branch.person(address)["pe_id"] for address in (ANNE, BOB)]

        branch.msg.send_by_pe_id(people, "News", "There is news.")
        branch.drain()

        seen = [(mail.recipients, mail.message["To"], mail.message["Cc"])
                for mail in branch.relay.mails]
        assert sorted(seen) == [([ANNE], ANNE, None), ([BOB], BOB, None)]

    @pytest.mark.parametrize("contact, address", [
        ("ζωή@bücher.example", "ζωή@xn--bcher-kva.example"),
        ("ta..ro.@docomo.ne.jp", '"ta..ro."@docomo.ne.jp'),
        ("anne@[2001:db8::25]", "anne@[IPv6:2001:db8::25]"),
        ])
    def test_an_unusual_contact_is_used(self, branch, contact, address):
        """ A contact in any script or form gets the mail as the relay wants to have it """

        branch.msg.send_by_pe_id(branch.person(contact)["pe_id"], "News", "There is news.")
        branch.drain()

        assert branch.statuses() == [SENT]
        assert named(branch.relay, address) == 1

    def test_an_address_needs_no_person(self, branch):
        """ A row with an address needs no person, and its address wins over the person's """

        message = branch.message()
        branch.entry(message, address=ANNE)
        branch.entry(message, address=BOB, pe_id=branch.person(CARL)["pe_id"])

        branch.drain()

        assert branch.addresses() == [ANNE, BOB]
        assert branch.statuses() == [SENT, SENT]

    def test_a_person_without_an_address_is_rejected(self, branch):
        """
            The row of a person without an address is rejected with the reason, and holds up no
            other
        """

        people = [branch.person(address)["pe_id"] for address in (None, ANNE)]

        branch.msg.send_by_pe_id(people, "News", "There is news.")
        branch.drain()

        assert branch.outbox()[0] == (INVALID, 0, "The person has no contact of that kind")
        assert branch.addresses() == [ANNE]

    def test_an_exception_of_ours_holds_the_row(self, branch, monkeypatch):
        """ A row over which our code fails is held with its reason, and the others go out """

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
        assert branch.outbox()[0][2] == "The row can not be read (AttributeError)"

    def test_a_malformed_address_is_rejected(self, branch):
        """ The row of a malformed address is rejected with the reason, and holds up no other """

        people = [branch.person(address)["pe_id"] for address in ("anne at home", BOB)]

        branch.msg.send_by_pe_id(people, "News", "There is news.")
        branch.drain()

        assert branch.statuses() == [INVALID, SENT]
        assert branch.outbox()[0][2]
        assert branch.addresses() == [BOB]

# =============================================================================
class TestGroups:
    """ A row for many people becomes a delivery for each of them """

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
    def test_each_member_gets_one_mail(self, branch, kind):
        """ Each present member gets one mail, by a row that names the row of the group """

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

    def test_a_group_without_members_is_done(self, branch):
        """ The row of a group without members is marked as sent """

        branch.msg.send_by_pe_id(branch.insert("pr_group")["pe_id"], "News", "There is news.")

        branch.drain()

        assert branch.statuses() == [SENT]
        assert branch.relay.mails == []

    def test_an_entity_of_another_kind_is_rejected(self, branch):
        """
            The row of an entity that has no members is rejected with the reason, and holds up
            no other
        """

        pe_id = branch.s3db.pr_pentity.insert(instance_type="vehicle_vehicle")
        branch.msg.send_by_pe_id([pe_id, branch.person(ANNE)["pe_id"]], "News", "There is news.")

        branch.drain()

        assert branch.outbox()[0] == \
            (INVALID, 0, "A vehicle_vehicle has no members to send it to")
        assert branch.addresses() == [ANNE]

    def test_a_row_without_entity_and_address_is_rejected(self, branch):
        """ A row with neither entity nor address is rejected with the reason """

        branch.entry(branch.message())

        branch.drain()

        assert branch.outbox() == [(INVALID, 0, "Neither a person nor an address")]

# =============================================================================
class TestRows:
    """ Rows that Eden has queued are sent as they are found """

    def test_a_row_without_a_message_is_rejected(self, branch):
        """ A row without a message is rejected with the reason, and holds up no other """

        branch.entry(address=ANNE)
        branch.entry(branch.message(), address=BOB)

        branch.drain()

        assert branch.outbox()[0] == (INVALID, 0, "There is no message")
        assert branch.addresses() == [BOB]

    def test_retries_of_none_are_no_limit(self, branch):
        """ A row whose retries are None is retried without a limit """

        branch.entry(branch.message(), address=ANNE, retries=None)
        branch.relay.answer("RCPT", "451 4.3.0 Later", times=1)

        branch.drain()
        assert branch.outbox()[0][:2] == (UNSENT, 1)
        branch.later(600)
        branch.retry()

        assert branch.statuses() == [SENT]

    def test_a_row_tried_before_is_deferred(self, branch):
        """ A row that Eden had tried before the installation waits for the retry pass """

        message = branch.message()
        branch.entry(message, address=ANNE, retries=3)
        branch.entry(message, address=BOB)

        branch.drain()
        assert branch.addresses() == [BOB]

        branch.retry()
        assert branch.addresses() == [ANNE, BOB]

    def test_rows_that_are_not_for_sending_stay(self, branch):
        """ A held row, a deleted row and a row of another channel stay as they are """

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

    def test_an_idle_drain_in_eden_is_two_queries(self, branch):
        """ A drain with no new row makes two queries and writes nothing """

        branch.msg.send_by_pe_id(branch.person(ANNE)["pe_id"], "News", "There is news.")
        branch.drain()

        queries = statements(branch, branch.mail.drain)

        assert len(queries) == 2
        assert all(query.startswith("SELECT") for query in queries)

    def test_many_rows_leave_in_one_run(self, small_branch):
        """ All rows are sent once in one run """

        message = small_branch.message()
        addresses = ["user%03d@example.org" % number for number in range(250)]
        for address in addresses:
            small_branch.entry(message, address=address)

        small_branch.drain()

        assert small_branch.addresses() == addresses
        assert set(small_branch.statuses()) == {SENT}

    def test_two_workers_pick_up_each_row_once(self, branch):
        """ Two workers that pick up rows at the same time send nothing twice and leave nothing """

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
