"""
    Addresses that are not ASCII: SMTPUTF8 where it is needed and offered
    (RFC 6531), a clear refusal where it is not offered
"""

import smtplib

import pytest

from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.arrival import decoded, through_the_queue, unfolded
from support.call_strategies import reproducibly
from support.fake_relay import FakeRelay
from support.office import Office

from mails3.message.address import BadInput, read_mailbox
from mails3.states import INVALID, SENT, UNSENT

ANNE = "anne@example.org"
ZOE = "ζωή@παράδειγμα.example"
# As the relay gets it
ENCODED_ZOE = "ζωή@xn--hxajbheg2az3al.example"

# -----------------------------------------------------------------------------
@pytest.fixture
def old_office(small_office):
    """ An app whose relay does not offer SMTPUTF8 """

    small_office.relay.utf8 = False
    return small_office

def senders(relay):
    """ The arguments of the MAIL commands (list of str) """

    return [argument for _, verb, argument in relay.commands if verb == "MAIL"]

def reply(office, number):
    """ Why a delivery is in its state """

    return office.entry(number).mails3_delivery.reply

def deliveries(office):
    """ What has become of each address: dict {address: status} """

    office.db.commit()
    return {row.address: row.status for row in office.db(office.db.msg_outbox).select()}

# =============================================================================
class TestOffered:
    """ The relay takes addresses that are not ASCII """

    def test_a_mail_to_an_address_that_is_not_ascii_goes_out(self, small_office):
        """ SMTPUTF8 is asked for, and the address stands in the header as it is """

        zoe = small_office.queue('"Zoë, Desk" <%s>' % ZOE)
        small_office.drain()

        assert small_office.status(zoe) == SENT
        mail, = small_office.relay.mails
        assert mail.recipients == [ENCODED_ZOE]
        assert senders(small_office.relay)[0].endswith(" BODY=8BITMIME SMTPUTF8")
        header, = [line for line in mail.content.split(b"\r\n") if line.startswith(b"To:")]
        assert header.decode("utf-8").endswith(" <%s>" % ENCODED_ZOE)

    def test_other_mail_does_not_ask_for_it(self, small_office):
        """ A mail whose addresses are ASCII is handed over without SMTPUTF8 """

        small_office.queue("Zoë <anne@bücher.example>")
        small_office.drain()

        assert "SMTPUTF8" not in senders(small_office.relay)[0]
        assert small_office.relay.mails[0].content.isascii()

    def test_recipients_who_do_not_need_it_get_the_mail_without(self, small_office):
        """ An ASCII recipient of the same message gets it in ASCII, from the same send() """

        assert small_office.mail.send([ZOE, "Anne <%s>" % ANNE], "News", "There is news.")
        small_office.db.commit()
        small_office.drain()

        assert deliveries(small_office) == {ANNE: SENT, ENCODED_ZOE: SENT}
        mails = {mail.recipients[0]: mail for mail in small_office.relay.mails}
        assert sorted("SMTPUTF8" in sender for sender in senders(small_office.relay)) == \
            [False, True]
        assert mails[ANNE].content.isascii()
        assert decoded(unfolded(mails[ANNE].message["To"])) == \
            "%s :;, Anne <%s>" % (ENCODED_ZOE, ANNE)
        assert mails[ANNE].message["Message-ID"] == mails[ENCODED_ZOE].message["Message-ID"]

    def test_a_mail_from_a_sender_that_is_not_ascii_goes_out(self, small_office):
        """ The configured sender may be an address that is not ASCII """

        small_office.mail.settings.sender = "Shelter <κατάλυμα@example.org>"
        anne = small_office.queue(ANNE)
        small_office.drain()

        assert small_office.status(anne) == SENT
        mail, = small_office.relay.mails
        assert mail.sender == "κατάλυμα@example.org"
        assert "From: Shelter <κατάλυμα@example.org>\r\n".encode("utf-8") in mail.content
        assert senders(small_office.relay)[0].endswith(" SMTPUTF8")

    def test_a_refusal_of_the_address_is_final(self, small_office):
        """ The relay's 5.6.7 (RFC 6531) rejects that recipient, and trips no breaker """

        small_office.relay.answer("RCPT", "553 5.6.7 No such addresses here", to=ENCODED_ZOE)
        zoe, anne = small_office.queue(ZOE, ANNE)
        small_office.drain()

        assert (small_office.status(zoe), small_office.status(anne)) == (INVALID, SENT)
        assert "5.6.7" in reply(small_office, zoe)
        assert small_office.state().status == "closed"

    @pytest.mark.parametrize("reply", ["555 5.5.4 Unsupported option: SMTPUTF8",
                                       "501 5.5.4 Syntax", "550 5.6.7 No such addresses here"])
    def test_a_refused_parameter_concerns_those_recipients(self, small_office, reply):
        """ A relay that offers SMTPUTF8 and refuses it at MAIL rejects no other mail """

        small_office.relay.answer("MAIL", reply, times=1)
        zoe = small_office.queue(ZOE)
        small_office.drain()
        anne = small_office.queue(ANNE)
        small_office.drain()

        assert (small_office.status(zoe), small_office.status(anne)) == (INVALID, SENT)
        assert small_office.state().status == "closed"

    def test_a_connection_of_the_callers_is_asked_for_it(self, small_office):
        """ A mail that goes by remote_server asks for SMTPUTF8 as well, where it is needed """

        relay = small_office.relay
        with smtplib.SMTP(relay.host, relay.port) as connection:
            connection.ehlo()
            assert small_office.mail.send([ANNE, ZOE], "News", "There is news.",
                                          remote_server=connection), small_office.mail.error

        assert [mail.recipients for mail in relay.mails] == [[ANNE], [ENCODED_ZOE]]
        assert ["smtputf8" in sender.lower() for sender in senders(relay)] == [False, True]

    def test_the_direct_way_sends_it_too(self, small_office):
        """ send_direct_email() sends to recipients of both kinds """

        assert small_office.mail.send_direct_email([ZOE, ANNE], "News", "There is news.")

        assert sorted(mail.recipients for mail in small_office.relay.mails) == \
            [[ANNE], [ENCODED_ZOE]]

    def test_each_database_keeps_the_address(self, office):
        """ Each database engine stores an address that is not ASCII, and finds it again """

        numbers = office.queue(ZOE, "ईमेल@example.org", "用户@example.org")
        office.drain()

        assert [office.status(number) for number in numbers] == [SENT] * 3
        assert sorted(mail.recipients[0] for mail in office.relay.mails) == \
            sorted([ENCODED_ZOE, "ईमेल@example.org", "用户@example.org"])

    def test_an_address_that_a_database_would_change_is_not_stored(self, office):
        """ A mail goes out at once if the database can't store its address (MySQL's utf8mb3) """

        rare = "\U0002000b@example.org"
        assert office.mail.send([ANNE, rare], "News", "There is news.")
        office.db.commit()
        office.drain()

        assert sorted(mail.recipients[0] for mail in office.relay.mails) == [ANNE, rare]
        assert set(deliveries(office).values()) <= {SENT}

    @settings(reproducibly, max_examples=40)
    @given(local=st.text(st.characters(categories=["L", "M", "N"]), min_size=1, max_size=20),
           name=st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=20))
    @example(local="क्\u200dष", name="")
    @example(local="δ" * 80, name="Ζωή")
    def test_any_such_address_arrives(self, branch, local, name):
        """ The relay and the header have one address, in lines that each relay takes """

        text = '"%s" <%s@example.org>' % (name.replace("\\", "").replace('"', ""), local)
        try:
            address = read_mailbox(text).address
        except BadInput:
            return

        arrived = through_the_queue(branch, text)

        assert arrived.recipients == [address]
        lines = arrived.content.split(b"\r\n")
        assert max(map(len, lines)) <= 998
        to = lines.index(next(line for line in lines if line.startswith(b"To:")))
        header = (lines[to] + b"".join(lines[to + 1:to + 2])).decode("utf-8")
        assert address in header

# =============================================================================
class TestNotOffered:
    """ The relay does not take addresses that are not ASCII """

    def test_only_that_recipient_is_rejected(self, old_office):
        """ The recipient whose address is not ASCII is rejected with the reason, no other one """

        assert old_office.mail.send([ZOE, ANNE], "News", "There is news.",
                                    cc = "Bob <bob@example.org>")
        old_office.db.commit()
        old_office.drain()

        assert deliveries(old_office) == {ANNE: SENT, "bob@example.org": SENT,
                                          ENCODED_ZOE: INVALID}
        row = old_office.db(old_office.db.msg_outbox.address == ENCODED_ZOE).select().first()
        assert "does not take addresses that are not ASCII (SMTPUTF8)" in \
            reply(old_office, row.id)
        mail, = old_office.relay.mails
        assert mail.content.isascii()

    def test_many_of_them_hold_up_nothing(self, old_office):
        """ Any number of such recipients costs no session, and trips no breaker """

        old_office.queue(*["ζωή%s@example.org" % number for number in range(15)], ANNE)
        old_office.drain(sessions=1)

        found = deliveries(old_office)
        assert found.pop(ANNE) == SENT
        assert set(found.values()) == {INVALID}
        assert old_office.state().status == "closed"
        assert old_office.relay.connections == 1

    def test_a_configured_sender_that_is_not_ascii_is_a_fault_of_the_configuration(
            self, old_office):
        """ All mail waits while the relay can't take the configured sender, and goes after that """

        old_office.mail.settings.sender = "κατάλυμα@example.org"
        anne = old_office.queue(ANNE)
        old_office.drain()

        state = old_office.state()
        assert (state.status, state.cause) == ("tripped", "configuration")
        assert "SMTPUTF8" in state.reason
        assert old_office.status(anne) == UNSENT

        old_office.mail.settings.sender = "shelter@example.org"
        old_office.drain()
        assert old_office.status(anne) == SENT

    def test_a_sender_of_the_call_concerns_that_mail_only(self, old_office):
        """ A sender of the call that is not ASCII rejects its mail, other mail goes out """

        old_office.queue(ANNE, sender="κατάλυμα@example.org")
        ben = old_office.queue("ben@example.org")
        old_office.drain()

        assert deliveries(old_office)[ANNE] == INVALID
        assert old_office.status(ben) == SENT
        assert old_office.state().status == "closed"

    def test_an_address_that_nobody_is_sent_to_is_shown(self, old_office):
        """ From:, Reply-To: and other headers with such an address do not stop a mail """

        arrived = through_the_queue(old_office, ANNE, reply_to="Ζωή <%s>" % ZOE,
                                    from_address = ZOE,
                                    headers = {"Errors-To": ZOE})

        assert arrived.content.isascii()
        assert decoded(unfolded(arrived.message["Reply-To"])) == "Ζωή %s :;" % ENCODED_ZOE
        assert decoded(unfolded(arrived.message["Errors-To"])) == "%s :;" % ENCODED_ZOE
        assert decoded(unfolded(arrived.message["From"])) == \
            "%s <shelter@example.org>" % ENCODED_ZOE

    def test_the_direct_way_says_whom_it_concerns(self, old_office):
        """ send_direct_email() names the recipient, and the others get the mail """

        assert not old_office.mail.send_direct_email([ZOE, ANNE], "News", "There is news.")

        assert "SMTPUTF8" in str(old_office.mail.error)
        assert list(old_office.mail.result) == [ENCODED_ZOE]
        assert [mail.recipients for mail in old_office.relay.mails] == [[ANNE]]

    def test_a_relay_that_learns_it_takes_the_next_mail(self, old_office):
        """ What was rejected stays so until an admin requeues it, new mail goes out """

        zoe = old_office.queue(ZOE)
        old_office.drain()
        old_office.relay.utf8 = True
        again = old_office.queue(ZOE)
        old_office.drain()

        assert (old_office.status(zoe), old_office.status(again)) == (INVALID, SENT)

    @pytest.mark.parametrize("extensions", [(), ("PIPELINING",), ("PIPELINING", "CHUNKING")],
                             ids="-".join)
    def test_the_mails_before_and_after_it_arrive(self, tmp_path, extensions):
        """ Whatever else the relay offers, mail before and after such a recipient arrives once """

        with FakeRelay(extensions=extensions, utf8=False) as relay:
            office = Office("sqlite://%s" % (tmp_path / "storage.sqlite"), relay)
            office.queue(ANNE, ZOE, "ben@example.org", ZOE, "carl@example.org")
            office.drain(sessions=1)
            office.close()

            assert [mail.recipients for mail in relay.mails] == \
                [[ANNE], ["ben@example.org"], ["carl@example.org"]]

# END =========================================================================
