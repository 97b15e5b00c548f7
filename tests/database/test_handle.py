"""
    The handle: an app finds mail that it has queued, cancels it, begins with it again
"""

import pytest

from support.office import attempts

from mails3.states import DRAFT, FAILED, INVALID, SENT, UNSENT

ANNE, BOB, CAROL = "anne@example.org", "bob@example.org", "carol@example.org"

# -----------------------------------------------------------------------------
def states(mail, which):
    """ The states of the deliveries that are found, in their order """

    return [delivery.state for delivery in mail.find(which)]

# =============================================================================
class TestQueued:
    """ send() leaves in mail.queued what it has queued """

    def test_the_message_has_number_message_id_and_recipients(self, office):
        """ mail.queued has the numbers and the Message-ID with which the mail goes out """

        office.queue(CAROL)
        assert office.mail.send([ANNE, BOB], "News", "There is news.", bcc=CAROL)
        office.db.commit()

        queued = office.mail.queued
        table = office.db.msg_outbox
        rows = {row.address: row.id for row in office.db(table.id >= queued.number).select()}
        assert queued.recipients == rows
        assert list(queued.recipients) == [ANNE, BOB, CAROL]
        assert queued.number == rows[ANNE]
        office.drain()
        assert "\r\nMessage-ID: %s\r\n" % queued.message_id_header in \
            office.relay.mails[-1].content.decode()

    def test_what_is_not_queued_leaves_nothing(self, small_office):
        """ mail.queued is None after a call that is refused, and after one that is sent at once """

        office = small_office
        office.mail.send(ANNE, "News", "There is news.")
        assert office.mail.queued
        assert not office.mail.send("nobody", "News", "There is news.")
        assert office.mail.queued is None

        office.mail.send(ANNE, "News", "There is news.")
        office.db.commit()
        assert office.mail.send_direct_email(BOB, "News", "There is news.")
        assert office.mail.queued is None

    def test_a_known_key_leaves_the_message_that_is_queued_already(self, office):
        """ The second send() with an idempotency key leaves the first one's message """

        office.mail.send([ANNE, BOB], "News", "There is news.", idempotency_key="order 17")
        first = office.mail.queued
        office.db.commit()
        assert office.mail.send(ANNE, "Other news", "There is news.", idempotency_key="order 17")

        assert office.mail.queued == first

# =============================================================================
class TestFind:
    """ find() tells what has become of a mail """

    def test_a_message_is_found_by_all_its_names(self, office):
        """
            A message is found with all its deliveries by mail.queued, Message-ID and key; one
            delivery is found by its number
        """

        office.queue(CAROL)
        office.mail.send([ANNE, BOB], "News", "There is news.", idempotency_key="order 17")
        queued = office.mail.queued

        for which in (queued, queued.message_id_header, "order 17"):
            assert [delivery.address for delivery in office.mail.find(which)] == [ANNE, BOB]
        bob, = office.mail.find(queued.recipients[BOB])
        assert (bob.address, bob.number) == (BOB, queued.recipients[BOB])

    def test_each_delivery_has_its_own_state(self, office):
        """ find() tells state, attempts, next attempt and last reply of each recipient """

        office.relay.answer("RCPT", "451 4.3.0 Later", to=BOB)
        office.relay.answer("RCPT", "550 5.1.1 No such user", to=CAROL)
        office.mail.send([ANNE, BOB, CAROL], "News", "There is news.")
        queued = office.mail.queued
        assert states(office.mail, queued) == ["new"] * 3
        office.db.commit()
        office.drain()

        anne, bob, carol = office.mail.find(queued)

        assert (anne.state, anne.attempts, anne.due_on, anne.reply) == ("sent", 1, None, None)
        assert (bob.state, bob.attempts) == ("deferred", 1)
        assert bob.due_on > bob.tried_on
        assert "4.3.0 Later" in bob.reply
        assert (carol.state, carol.due_on) == ("rejected", None)
        assert "No such user" in carol.reply

    @pytest.mark.parametrize("which", [4711, "no-such-key", "<nobody@example.org>"])
    def test_what_does_not_exist_is_not_found(self, small_office, which):
        """ A number, key or Message-ID that nothing has finds no mail, and no other one """

        small_office.queue(ANNE)

        assert small_office.mail.find(which) == []
        assert small_office.mail.cancel(which) == []

    def test_what_is_purged_is_not_found(self, small_office):
        """ mail.queued finds nothing when its deliveries are removed """

        office = small_office
        office.mail.send(ANNE, "News", "There is news.", idempotency_key="order 17")
        queued = office.mail.queued
        office.db(office.db.msg_outbox).delete()
        office.db(office.db.mails3_delivery).delete()

        assert office.mail.find(queued) == office.mail.find("order 17") == []
        assert office.mail.send(ANNE, "News", "There is news.", idempotency_key="order 17")
        assert office.mail.queued is None

    def test_something_else_is_a_mistake(self, small_office):
        """ find() raises TypeError for what names no mail """

        for which in (None, True, 1.5, ["order 17"]):
            with pytest.raises(TypeError):
                small_office.mail.find(which)

# =============================================================================
class TestVerbs:
    """ cancel() and requeue() do what is possible, in the caller's transaction """

    def test_a_cancelled_mail_is_not_sent(self, office):
        """ cancel() gives up all that is not sent, returns it, and the story says who it was """

        office.relay.answer("RCPT", "451 4.3.0 Later", to=BOB)
        office.mail.send([ANNE, BOB], "News", "There is news.", idempotency_key="order 17")
        queued = office.mail.queued
        office.db.commit()
        office.drain()

        assert office.mail.cancel("order 17") == [queued.recipients[BOB]]
        office.db.commit()
        assert office.status(queued.recipients[ANNE]) == SENT
        assert office.status(queued.recipients[BOB]) == FAILED
        assert office.mail.find(queued)[1].reply == "Cancelled by the app"
        assert office.mail.cancel("order 17") == []

    def test_a_verb_is_part_of_the_callers_transaction(self, office):
        """ What cancel() has done is undone with the caller's transaction """

        anne = office.queue(ANNE)

        assert office.mail.cancel(anne) == [anne]
        office.db.rollback()
        assert office.status(anne) == UNSENT
        office.drain()
        assert office.status(anne) == SENT

    def test_a_requeued_mail_begins_again(self, office):
        """ requeue() sends a rejected mail as if it were new, and not one that is sent """

        office.relay.answer("RCPT", "550 5.1.1 No such user", times=1)
        anne, bob = office.queue(ANNE, BOB)
        office.drain()
        assert sorted([office.status(anne), office.status(bob)]) == [SENT, INVALID]

        done = office.mail.requeue(anne) + office.mail.requeue(bob)
        office.db.commit()

        assert len(done) == 1
        assert attempts(office, done[0]) == 0
        office.drain()
        assert office.status(done[0]) == SENT

    def test_a_mail_that_a_verb_does_not_fit_stays(self, office):
        """ A held mail can be cancelled and requeued, a mail without content only cancelled """

        anne, bob = office.queue(ANNE, BOB)
        for number in (anne, bob):
            office.db(office.db.msg_outbox.id == number).update(status=DRAFT)
        office.change_message(bob, body=None)

        assert office.mail.requeue(anne) == [anne]
        assert office.mail.requeue(bob) == []
        assert office.mail.cancel(bob) == [bob]

# END =========================================================================
