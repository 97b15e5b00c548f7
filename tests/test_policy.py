"""
    What a failure means, and how long to wait
"""

from datetime import datetime, timedelta

import pytest

from mails3.message import Delivery
from mails3.policy import AUTH, BODY, CONNECT, DATA, EHLO, MAIL, RCPT, STARTTLS, \
                          ConfigTrouble, LoginRefused, Never, NotNow, RelayTrouble, \
                          Reply, TooManyRecipients, judge, next_probe, next_try

NOW = datetime(2026, 1, 1)

# =============================================================================
class TestJudge:
    """ Whom a failure concerns decides what waits for it """

    @pytest.mark.parametrize("phase, code, meaning", [
        (CONNECT,  None, RelayTrouble),     # refused, silent, unknown host
        (CONNECT,  554,  RelayTrouble),     # "no SMTP service here"
        (CONNECT,  421,  RelayTrouble),
        (EHLO,     451,  RelayTrouble),
        (EHLO,     550,  RelayTrouble),
        (STARTTLS, 454,  RelayTrouble),
        (RCPT,       552,  TooManyRecipients),
        (RCPT,     503,  RelayTrouble),     # out of step with us
        (DATA,     530,  ConfigTrouble),
        (BODY,     552,  Never),
        (RCPT,     199,  RelayTrouble),     # no code of SMTP's
        (RCPT,     600,  RelayTrouble),
        (STARTTLS, 502,  ConfigTrouble),
        (AUTH,     535,  LoginRefused),
        (AUTH,     534,  LoginRefused),
        (AUTH,     454,  RelayTrouble),
        (AUTH,     421,  RelayTrouble),
        (MAIL,     530,  ConfigTrouble),    # login needed, none configured
        (MAIL,     550,  ConfigTrouble),    # the configured sender refused
        (MAIL,     553,  ConfigTrouble),
        (MAIL,     552,  Never),            # this message is too large
        (MAIL,     452,  NotNow),
        (MAIL,     421,  RelayTrouble),
        (RCPT,     550,  Never),
        (RCPT,     553,  Never),
        (RCPT,     450,  NotNow),
        (RCPT,     421,  RelayTrouble),
        (RCPT,     530,  ConfigTrouble),
        (RCPT,     None, RelayTrouble),
        (DATA,     451,  NotNow),
        (DATA,     554,  Never),
        (BODY,     451,  NotNow),
        (BODY,     554,  Never),
        (BODY,     None, RelayTrouble),
        ])
    def test_a_refusal_reaches_as_far_as_its_phase_and_code_tell(self, phase, code, meaning):
        """ Configuration, relay, or the message alone """

        assert type(judge(Reply(phase, code, "said so"))) is meaning

    @pytest.mark.parametrize("phase, code, text, meaning", [
        (RCPT, 452, "4.3.1 Insufficient system storage", RelayTrouble),
        (MAIL, 451, "4.3.2 Not accepting mail", RelayTrouble),
        (RCPT, 452, "4.3.10 Something else", NotNow),
        (RCPT, 450, "4.7.1 Greylisted", NotNow),
        (MAIL, 550, "5.7.8 Log in first", ConfigTrouble),
        (RCPT, 554, "5.7.11 Encryption required", ConfigTrouble),
        (RCPT, 554, "5.7.1 Policy", Never),
        (MAIL, 550, "5.3.4 Too large", Never),
        ])
    def test_an_enhanced_code_tells_more(self, phase, code, text, meaning):
        """ As far as it changes whom the refusal concerns (RFC 3463) """

        assert type(judge(Reply(phase, code, text))) is meaning

    def test_a_sender_given_in_the_call_is_the_messages_own_fault(self):
        """ It must not hold the mail of the others """

        assert type(judge(Reply(MAIL, 550, ""), own_sender=False)) is Never

    @pytest.mark.parametrize("phase, code", [(CONNECT, 220), (EHLO, 250), (AUTH, 235),
                                             (RCPT, 251), (RCPT, 252), (DATA, 354),
                                             (BODY, 250)])
    def test_agreement_is_no_error(self, phase, code):
        """ 2yz is positive, to DATA 3yz is """

        assert judge(Reply(phase, code, "")) is None

    @pytest.mark.parametrize("phase, code", [(MAIL, 354), (RCPT, 354), (BODY, 354), (DATA, 250)])
    def test_agreement_with_something_else_is_trouble(self, phase, code):
        """ We and the relay are out of step: nobody knows what it has taken """

        assert type(judge(Reply(phase, code, ""))) is RelayTrouble

    def test_the_reason_tells_phase_and_words(self):
        """ What the admin reads """

        assert str(judge(Reply(RCPT, 550, "No such user"))) == "RCPT: 550 No such user"

# =============================================================================
class TestNextTry:
    """ Soon at first, then rarely, not for ever """

    def delivery(self, waited=None, retries=None):

        since = None if waited is None else NOW - timedelta(seconds=waited)
        return Delivery(id=1, outbox=1, message=1, individual=False, size=None,
                        address = "anne@example.org",
                        attempts = 1,
                        retries = retries,
                        deferred_on = since,
                        expires_on = None,
                        begun_on = None,
                        doubts = 0,
                        troubled_on = None,
                        lease = "",
                        )

    @pytest.mark.parametrize("waited, wait", [(None, 300), (0, 300), (300, 300), (600, 600),
                                              (5000, 5000), (100000, 14400)])
    def test_it_waits_as_long_again_as_it_has_waited(self, waited, wait):
        """ Between five minutes and four hours """

        assert next_try(self.delivery(waited), NOW, 0) == NOW + timedelta(seconds=wait)

    def test_what_failed_together_does_not_come_back_together(self):
        """ The wait is spread by up to a tenth """

        assert next_try(self.delivery(1000), NOW, 1) == NOW + timedelta(seconds=1100)

    def test_it_is_given_up_after_five_days(self):
        """ Counted from the first refusal: the time held before is not its fault """

        assert next_try(self.delivery(5 * 86400), NOW, 0) is None
        assert next_try(self.delivery(5 * 86400 - 1), NOW, 0) is not None

    def test_it_is_given_up_without_retries_left(self):
        """ None is no limit, zero is the last """

        assert next_try(self.delivery(0, retries=0), NOW, 0) is None
        assert next_try(self.delivery(0, retries=1), NOW, 0) is not None

# =============================================================================
def test_a_held_relay_is_probed_ever_more_rarely():
    """ From half a minute to five minutes """

    assert [next_probe(n) for n in range(6)] == [30, 60, 120, 240, 300, 300]
    assert next_probe(10 ** 6) == 300

# END =========================================================================
