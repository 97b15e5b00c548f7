"""
    What the relay is asked to tell the sender (DSN, RFC 3461): by setting, and
    never at the price of a mail
"""

import pytest

from support.fake_relay import FakeRelay
from support.office import Office
from support.sessions import transmit_by

from mails3.replies import PermanentFailure
from mails3.smtp.envelope import Envelope, xtext
from mails3.smtp.session import Session
from mails3.smtp.server import Server
from mails3.states import INVALID, SENT

ANNE, BOB, CARL = "anne@example.org", "bob@example.org", "carl@example.org"

# What else a relay may offer
EXTENSIONS = [("DSN",), ("DSN", "PIPELINING"), ("DSN", "PIPELINING", "CHUNKING")]

# -----------------------------------------------------------------------------
@pytest.fixture(params=EXTENSIONS, ids="-".join)
def relay(request):
    """ A relay that takes the parameters of DSN, whatever else it offers """

    with FakeRelay(extensions=request.param, dsn=("MAIL", "RCPT")) as relay:
        yield relay

@pytest.fixture
def office(tmp_path, relay):
    """ An app that wants to know of failures and delays """

    office = Office("sqlite://%s" % (tmp_path / "storage.sqlite"), relay)
    office.configure(dsn="failure, delay")
    yield office
    office.close()

def given(relay, verb):
    """ The arguments of a command, each time (list) """

    return [argument for _, each, argument in relay.commands if each == verb]

# =============================================================================
class TestAsked:
    """ The relay is asked for what the setting says """

    def test_the_relay_is_asked_for_notices(self, office, relay):
        """ NOTIFY has the setting, ENVID the Message-ID, and no content is to come back """

        office.queue(ANNE)
        office.drain()

        mail, = relay.mails
        assert " RET=HDRS ENVID=%s" % mail.message["Message-ID"].strip("<>") in \
            given(relay, "MAIL")[0]
        assert given(relay, "RCPT") == ["TO:<%s> NOTIFY=FAILURE,DELAY" % ANNE]

    def test_by_default_nothing_is_asked(self, office, relay):
        """ Without the setting, the commands have no parameter of DSN """

        office.configure(dsn="")
        office.queue(ANNE)
        office.drain()

        assert "RET" not in given(relay, "MAIL")[0]
        assert given(relay, "RCPT") == ["TO:<%s>" % ANNE]

    def test_a_relay_that_does_not_offer_it_is_not_asked(self, office, relay):
        """ A relay that does not announce DSN gets no parameter of it """

        relay.extensions = relay.extensions[1:]
        office.queue(ANNE)
        office.drain()

        assert given(relay, "RCPT") == ["TO:<%s>" % ANNE]

    def test_a_mail_without_a_return_path_asks_for_nothing(self, office, relay):
        """ Where nobody is to be told, nothing is asked """

        office.queue(ANNE, sender="<>")
        office.drain()

        assert "RET" not in given(relay, "MAIL")[0]
        assert given(relay, "RCPT") == ["TO:<%s>" % ANNE]

    @pytest.mark.parametrize("text, written", [
        ("1@example.org", "1@example.org"), ("a+b=c@x", "a+2Bb+3Dc@x"), ("a b\r\n", "a+20b+0D+0A"),
        ("ü", "+C3+BC"), ("x" * 200, "x" * 100), ("+" * 50, "+2B" * 33)])
    def test_an_id_of_the_callers_is_one_word(self, text, written):
        """ Any Message-ID becomes xtext of at most 100 characters (RFC 3461 sections 4, 5.4) """

        assert xtext(text) == written

# =============================================================================
class TestRefused:
    """ A relay that announces DSN and refuses its parameters gets the mail without """

    @pytest.mark.parametrize("taken", [(), ("MAIL",)])
    def test_mail_is_handed_over_without_it(self, office, relay, taken):
        """ All mail leaves in one run by one connection, once, and costs no attempt more """

        relay.dsn = taken
        office.queue(ANNE, BOB, [CARL, "dora@example.org"])
        office.drain(sessions=1)

        assert [mail.recipients for mail in relay.mails] == \
            [[ANNE], [BOB], [CARL, "dora@example.org"]]
        assert {row.status for row in office.db(office.db.msg_outbox).select()} == {SENT}
        assert {row.attempts for row in office.db(office.db.mails3_delivery).select()} == {1}
        assert office.state().status == "closed"
        assert relay.connections == 1

    @pytest.mark.parametrize("code", [455, 501, 504, 555])
    def test_each_code_for_a_parameter_is_understood(self, office, relay, code):
        """ Whatever code the relay has for it, the mail goes out """

        relay.answer("MAIL", "%s 5.5.4 No such parameter" % code, times=1)
        office.queue(ANNE)
        office.drain()

        assert [mail.recipients for mail in relay.mails] == [[ANNE]]
        assert "RET" not in given(relay, "MAIL")[-1]
        assert office.state().status == "closed"

    def test_a_recipient_is_refused_in_the_end(self, office, relay):
        """ A recipient who is refused without the parameters as well is rejected, no other one """

        relay.answer("RCPT", "501 5.1.3 Bad address", to=BOB)
        assert office.mail.send([ANNE, BOB, CARL], "News", "There is news.")
        office.db.commit()
        office.drain()

        office.db.commit()
        assert {row.address: row.status for row in office.db(office.db.msg_outbox).select()} == \
            {ANNE: SENT, BOB: INVALID, CARL: SENT}
        assert [mail.recipients for mail in relay.mails] == [[ANNE, CARL]]

    def test_mail_that_was_begun_ahead_is_not_lost(self, relay):
        """ An envelope that was given ahead with the parameters is handed over without """

        relay.answer("RCPT", "250 2.1.5 OK", times=1)
        relay.answer("RCPT", "555 5.5.4 No such parameter", to=BOB, times=1)
        ours = Session(Server(relay.host, relay.port), 3)
        first, second = (Envelope("shelter@example.org", [each], "Subject: News\n\nNews.\n",
                                  notify="FAILURE") for each in (ANNE, BOB))
        outcome = transmit_by(ours, first, 5, lambda: second)
        assert outcome == {ANNE: None}

        outcome = transmit_by(ours, second, 5)
        ours.close()

        assert outcome == {BOB: None}
        assert [mail.recipients for mail in relay.mails] == [[ANNE], [BOB]]

    def test_the_direct_way_is_not_refused_either(self, office, relay):
        """ send_direct_email() succeeds at a relay that refuses the parameters """

        relay.dsn = ("MAIL",)

        assert office.mail.send_direct_email([ANNE, BOB], "News", "There is news."), \
            office.mail.error

        assert [mail.recipients for mail in relay.mails] == [[ANNE, BOB]]

    def test_another_refusal_is_one(self, office, relay):
        """ A refusal that is not about a parameter is taken at its word """

        relay.answer("RCPT", "550 5.1.1 Unknown", to=ANNE)

        assert not office.mail.send_direct_email(ANNE, "News", "There is news.")

        assert isinstance(office.mail.error, PermanentFailure)
        assert len(given(relay, "RCPT")) == 1

# END =========================================================================
