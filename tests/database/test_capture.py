"""
    Safe to develop with: mail is captured, redirected, or goes to some people only
"""

from datetime import timedelta
from email.header import decode_header, make_header

import pytest

from support.office import lose_a_worker, users

from mails3.admin.operator import Operator
from mails3.states import DRAFT, FAILED, UNSENT

ANNE, BOB, CARL, ME = "anne@example.org", "bob@example.org", "carl@example.net", "me@example.com"

# Settings with which no real person gets mail
PROTECTIVE = {"capture": {"delivery": "capture"},
              "redirect": {"redirect_to": ME},
              "only to": {"only_to": "*@example.com"},
              }
each_setting = pytest.mark.parametrize("given", PROTECTIVE.values(), ids=PROTECTIVE)

# -----------------------------------------------------------------------------
def state_of(office, number):
    """ The state of a delivery, as people see it """

    office.db.commit()
    return office.mail.report().entry(number)["state"]

# =============================================================================
class TestCopyOfASite:
    """ A staging copy of a production database mails nobody """

    @each_setting
    def test_waiting_mail_reaches_nobody(self, office, given):
        """ New mail, deferred mail and mail in doubt is sent to none of its recipients """

        in_doubt = office.queue(ANNE)
        lose_a_worker(office)
        new, deferred = office.queue(CARL, BOB)
        table = office.db.mails3_delivery
        office.db(table.outbox_id == deferred).update(queue=2, deferred_on=table.due_on, attempts=1)
        office.db.commit()
        assert office.entry(in_doubt).mails3_delivery.begun_on

        office.configure(**given)
        office.drain()
        office.retry()

        expected = [ME] * 3 if "redirect_to" in given else []
        assert [name for mail in office.relay.mails for name in mail.recipients] == expected
        assert {state_of(office, number) for number in (new, deferred, in_doubt)} == \
               {"sent" if expected else "captured"}

    def test_a_failure_of_the_live_site_holds_up_nothing(self, office):
        """ Mail is captured although the mail server of the original site was away """

        office.relay.answer("CONNECT", "554 Go away")
        first = office.queue(ANNE)
        office.drain()
        assert office.state().status == "tripped"

        second = office.queue(BOB)
        office.drain(delivery="capture")

        assert [state_of(office, number) for number in (first, second)] == ["captured"] * 2

    def test_no_mail_server_is_needed(self, office):
        """ Where all mail is captured, the mail server need not be configured """

        office.mail.settings.server = office.mail.settings.sender = None
        number = office.queue(ANNE)

        office.drain(delivery="capture")

        assert state_of(office, number) == "captured"
        assert office.state().status == "closed"

    def test_captured_mail_stays_when_the_setting_is_gone(self, office):
        """ Captured mail does not leave when the setting is removed, only when it is released """

        number = office.queue(ANNE)
        office.drain(delivery="capture")
        office.configure(delivery="relay")
        office.later(10 * 86400)
        office.mail.channel().take_in(everything=True)
        office.drain()
        office.retry()
        assert not office.relay.mails
        assert office.status(number) == DRAFT

        done, _ = Operator(office.mail, "test").release([number])
        office.db.commit()
        office.drain()

        assert done == [number]
        assert state_of(office, number) == "sent"
        assert office.entry(number).mails3_delivery.captured_on is None

# =============================================================================
class TestCapture:
    """ delivery = capture """

    def test_it_counts_as_sent_for_nobody(self, office):
        """ Captured mail is in a state of its own, and no attempt is counted """

        number = office.queue(ANNE)
        held = office.queue(BOB)
        Operator(office.mail, "test").hold([held])
        office.drain(delivery="capture")

        counts = office.mail.report().counts()
        assert (counts["captured"], counts["held"], counts["sent"]) == (1, 1, 0)
        entry = office.mail.report().entry(number)
        assert (entry["attempts"], entry["reply"]) == (0, "Captured: setting delivery")
        for state, expected in (("captured", number), ("held", held)):
            entries, *_ = office.mail.report().page(state)
            assert [entry["number"] for entry in entries] == [expected]

    def test_a_release_would_be_captured_again(self, small_office):
        """ Captured mail is not released as long as it would be captured again """

        number = small_office.queue(ANNE)
        small_office.drain(delivery="capture")

        done, refused = Operator(small_office.mail, "test").release([number])

        assert not done
        assert "captured again" in refused[number]

    def test_it_is_cancelled_like_held_mail(self, small_office):
        """ Captured mail can be cancelled, and has failed then """

        number = small_office.queue(ANNE)
        small_office.drain(delivery="capture")
        Operator(small_office.mail, "test").cancel([number])

        assert small_office.status(number) == FAILED
        assert state_of(small_office, number) == "failed"

    def test_it_is_removed_after_a_while(self, office):
        """ Captured mail is purged after keep_captured days, and held mail is not """

        captured = office.queue(ANNE)
        office.drain(delivery="capture")
        held = office.queue(BOB)
        Operator(office.mail, "test").hold([held])
        office.db.commit()
        for days, left in ((29, [captured, held]), (2, [held])):
            for row in office.db(office.db.msg_outbox).select():
                row.update_record(modified_on = row.modified_on - timedelta(days=days))
            office.db.commit()
            office.mail.purge()
            assert sorted(row.id for row in office.db(office.db.msg_outbox).select()) == left

    def test_expired_mail_is_not_captured(self, small_office):
        """ Mail that would not be sent any more has failed """

        number = small_office.queue(ANNE, expires=5)
        small_office.db(small_office.db.mails3_message).update(expires_on="2020-01-01 00:00:00")
        small_office.db.commit()
        small_office.drain(delivery="capture")

        assert state_of(small_office, number) == "failed"

    def test_direct_mail_is_kept(self, office):
        """ Mail that is sent directly is kept as well, though the transaction is undone """

        office.configure(delivery="capture")

        assert office.mail.send_direct_email([ANNE, BOB], "News", "There is news.", secret=True)
        office.db.rollback()

        assert not office.relay.mails
        entries, *_ = office.mail.report().page("captured")
        assert {entry["address"] for entry in entries} == {ANNE, BOB}
        assert all(entry["secret"] for entry in entries)
        assert office.mail.report().content(entries[0]).body == "There is news."

    def test_direct_mail_with_a_passphrase_is_not_stored(self, small_office, caplog):
        """ A call with a passphrase sends nobody anything, and stores nothing """

        small_office.configure(delivery="capture")

        assert small_office.mail.send(ANNE, "News", "There is news.", cipher_type="gpg",
                                      sign_passphrase="secret-word")
        small_office.db.commit()

        assert not small_office.relay.mails
        assert small_office.db(small_office.db.msg_outbox).isempty()
        assert "can't be kept" in caplog.text
        assert "secret-word" not in caplog.text

    def test_mail_tried_at_once_is_captured(self, small_office):
        """ Mail that a script tries at once, without a worker, is captured """

        small_office.configure(delivery="capture", fallback="yes")

        number = small_office.queue(ANNE)

        assert state_of(small_office, number) == "captured"
        assert not small_office.relay.mails

    def test_a_native_server_is_not_used(self, small_office, monkeypatch):
        """ Mail that Mail.send would deliver by itself is captured """

        small_office.configure(delivery="capture")
        small_office.mail.settings.server = "logging"

        assert small_office.mail.send(ANNE, "News", "There is news.")
        small_office.db.commit()

        assert small_office.mail.report().counts()["captured"] == 1

# =============================================================================
class TestOnlyTo:
    """ only_to = *@example.org """

    def test_some_get_mail_and_others_do_not(self, office):
        """ Of one message, those who match get it, and for the others it is captured """

        assert office.mail.send([ANNE, CARL], "News", "There is news.", bcc=BOB)
        office.db.commit()
        office.drain(only_to="*@example.org")

        mail, = office.relay.mails
        assert sorted(mail.recipients) == [ANNE, BOB]
        assert office.mail.report().counts()["captured"] == 1

    def test_direct_mail_obeys_as_well(self, small_office):
        """ Mail that is sent directly goes to those who match """

        small_office.configure(only_to=ANNE)

        assert small_office.mail.send_direct_email([ANNE, CARL], "News", "There is news.")

        assert [mail.recipients for mail in small_office.relay.mails] == [[ANNE]]
        entry, = small_office.mail.report().page("captured")[0]
        assert entry["address"] == CARL

    @pytest.mark.parametrize("pattern, address", [
        ("*@BÜCHER.example", "anne@bücher.example"), ("Anne@Example.org", ANNE),
        ("nobody@example.org, *@example.org", ANNE)])
    def test_patterns_are_read_as_people_write_them(self, small_office, pattern, address):
        """ A pattern may be in any script and case, and be one of several """

        small_office.configure(only_to=pattern)
        small_office.queue(address)
        small_office.drain()

        assert len(small_office.relay.mails) == 1

# =============================================================================
class TestRedirect:
    """ redirect_to = me@example.com """

    def test_a_message_to_several_goes_once(self, office):
        """ All recipients are replaced by one, who gets the message once and sees who they were """

        assert office.mail.send(["Anne <%s>" % ANNE, "ζωή@example.org"], "News", "There is news.",
                                cc=BOB, bcc=CARL, headers={"To": "list@example.org"})
        office.db.commit()
        office.drain(redirect_to=ME)

        mail, = office.relay.mails
        assert mail.recipients == [ME]
        assert mail.message["To"] == ME
        assert not mail.message["Cc"]
        assert mail.message["X-Original-To"] == "list@example.org"
        assert mail.message["X-Original-Cc"] == BOB
        assert mail.message["X-Original-Bcc"] == CARL
        rows = office.db(office.db.mails3_delivery).select()
        assert {row.reply for row in rows} == {"Redirected to %s" % ME}
        assert office.mail.report().counts()["sent"] == 4

    def test_a_message_to_many_goes_once(self, small_office):
        """ A message to more recipients than one claim and one handover have goes once """

        assert small_office.mail.send(users(250), "News", "There is news.")
        small_office.db.commit()
        small_office.drain(redirect_to=ME)

        assert len(small_office.relay.mails) == 1
        assert small_office.mail.report().counts()["sent"] == 250

    @pytest.mark.parametrize("reply, status", [("550 5.1.1 No such user", 4),
                                               ("451 4.3.0 Later", UNSENT)])
    def test_a_refusal_is_one_for_all(self, small_office, reply, status):
        """ What the mail server says of the one recipient holds for all """

        small_office.relay.answer("RCPT", reply)
        assert small_office.mail.send([ANNE, BOB], "News", "There is news.")
        small_office.db.commit()
        small_office.drain(redirect_to=ME)

        rows = small_office.db(small_office.db.msg_outbox).select()
        assert [row.status for row in rows] == [status] * 2

    def test_direct_mail_is_redirected(self, small_office):
        """ Mail that is sent directly goes to the one address, once """

        small_office.configure(redirect_to=ME)

        assert small_office.mail.send_direct_email([ANNE, "ζωή@example.org"], "News", "News.")

        mail, = small_office.relay.mails
        assert mail.recipients == [ME]
        original = str(make_header(decode_header(mail.message["X-Original-To"])))
        assert original == "%s, ζωή@example.org" % ANNE

    def test_with_only_to_both_hold(self, small_office):
        """ With both settings, mail to those who match is redirected, other mail captured """

        small_office.queue(ANNE, CARL)
        small_office.drain(redirect_to=ME, only_to="*@example.org")

        assert [mail.recipients for mail in small_office.relay.mails] == [[ME]]
        counts = small_office.mail.report().counts()
        assert (counts["sent"], counts["captured"]) == (1, 1)

# END =========================================================================
