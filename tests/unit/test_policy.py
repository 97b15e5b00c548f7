"""
    The meaning of a failure, and the time of the next attempt
"""

from datetime import datetime, timedelta

import pytest

from mails3.states import Delivery
from mails3.policy import next_attempt, probe_interval_s
from mails3.replies import AUTH, BODY, CONNECT, DATA, EHLO, MAIL, RCPT, STARTTLS, \
                           ConfigurationFailure, LoginRefused, PermanentFailure, \
                           RelayUnavailable, Reply, TooManyRecipients, TransientFailure, \
                           classify

NOW = datetime(2026, 1, 1)

# =============================================================================
class TestClassify:
    """ The scope of a failure decides what is held back """

    @pytest.mark.parametrize("phase, code, meaning", [
        (CONNECT,  None, RelayUnavailable),     # refused, silent, unknown host
        (CONNECT,  554,  RelayUnavailable),     # "no SMTP service here"
        (CONNECT,  421,  RelayUnavailable),
        (EHLO,     451,  RelayUnavailable),
        (EHLO,     550,  RelayUnavailable),
        (STARTTLS, 454,  RelayUnavailable),
        (RCPT,       552,  TooManyRecipients),
        (RCPT,     503,  RelayUnavailable),     # out of step with us
        (DATA,     530,  ConfigurationFailure),
        (BODY,     552,  PermanentFailure),
        (RCPT,     199,  RelayUnavailable),     # no code of SMTP's
        (RCPT,     600,  RelayUnavailable),
        (STARTTLS, 502,  ConfigurationFailure),
        (AUTH,     535,  LoginRefused),
        (AUTH,     534,  LoginRefused),
        (AUTH,     454,  RelayUnavailable),
        (AUTH,     421,  RelayUnavailable),
        (MAIL,     530,  ConfigurationFailure),    # login needed, none configured
        (MAIL,     550,  ConfigurationFailure),    # the configured sender refused
        (MAIL,     553,  ConfigurationFailure),
        (MAIL,     552,  PermanentFailure),            # this message is too large
        (MAIL,     452,  TransientFailure),
        (MAIL,     421,  RelayUnavailable),
        (RCPT,     550,  PermanentFailure),
        (RCPT,     553,  PermanentFailure),
        (RCPT,     450,  TransientFailure),
        (RCPT,     421,  RelayUnavailable),
        (RCPT,     530,  ConfigurationFailure),
        (RCPT,     None, RelayUnavailable),
        (DATA,     451,  TransientFailure),
        (DATA,     554,  PermanentFailure),
        (BODY,     451,  TransientFailure),
        (BODY,     554,  PermanentFailure),
        (BODY,     None, RelayUnavailable),
        ])
    def test_phase_and_code_give_the_scope_of_a_refusal(self, phase, code, meaning):
        """ Phase and code of a refusal say whether it concerns configuration, relay or message """

        assert type(classify(Reply(phase, code, "said so"))) is meaning

    @pytest.mark.parametrize("phase, code, text, meaning", [
        (RCPT, 452, "4.3.1 Insufficient system storage", RelayUnavailable),
        (MAIL, 451, "4.3.2 Not accepting mail", RelayUnavailable),
        (RCPT, 452, "4.3.10 Something else", TransientFailure),
        (RCPT, 450, "4.7.1 Greylisted", TransientFailure),
        (MAIL, 550, "5.7.8 Log in first", ConfigurationFailure),
        (RCPT, 554, "5.7.11 Encryption required", ConfigurationFailure),
        (RCPT, 554, "5.7.1 Policy", PermanentFailure),
        (MAIL, 550, "5.3.4 Too large", PermanentFailure),
        ])
    def test_an_enhanced_code_changes_the_scope(self, phase, code, text, meaning):
        """ An enhanced code (RFC 3463) changes the scope where it says more than the code """

        assert type(classify(Reply(phase, code, text))) is meaning

    def test_a_refused_sender_of_a_call_is_a_failure_of_its_message(self):
        """ A refused sender that was given in the call trips no breaker """

        assert type(classify(Reply(MAIL, 550, ""), own_sender=False)) is PermanentFailure

    @pytest.mark.parametrize("phase, code", [(CONNECT, 220), (EHLO, 250), (AUTH, 235),
                                             (RCPT, 251), (RCPT, 252), (DATA, 354),
                                             (BODY, 250)])
    def test_a_positive_reply_is_no_failure(self, phase, code):
        """ 2yz is no failure, nor is 3yz as a reply to DATA """

        assert classify(Reply(phase, code, "")) is None

    @pytest.mark.parametrize("phase, code", [(MAIL, 354), (RCPT, 354), (BODY, 354), (DATA, 250)])
    def test_an_unexpected_positive_reply_is_a_failure(self, phase, code):
        """ A positive reply of the wrong kind is a failure of the relay """

        assert type(classify(Reply(phase, code, ""))) is RelayUnavailable

    def test_a_reason_has_phase_and_words(self):
        """ The reason that an admin reads has the phase and the server's words """

        assert str(classify(Reply(RCPT, 550, "No such user"))) == "RCPT: 550 No such user"

# =============================================================================
class TestNextAttempt:
    """ Attempts are frequent at first, then rare, and they end """

    def delivery(self, waited=None, retries=None):

        since = None if waited is None else NOW - timedelta(seconds=waited)
        return Delivery(id = 1,
                        outbox_id = 1,
                        message_id = 1,
                        is_individual = False,
                        stored_bytes = None,
                        address = "anne@example.org",
                        attempts = 1,
                        retries = retries,
                        deferred_on = since,
                        expires_on = None,
                        begun_on = None,
                        in_doubt_count = 0,
                        put_back_on = None,
                        lease = "",
                        )

    @pytest.mark.parametrize("waited, wait", [(None, 300), (0, 300), (300, 300), (600, 600),
                                              (5000, 5000), (100000, 14400)])
    def test_the_wait_doubles(self, waited, wait):
        """
            The next attempt is as far away as the first refusal, between five minutes and four
            hours
        """

        assert next_attempt(self.delivery(waited), NOW, 0) == NOW + timedelta(seconds=wait)

    def test_waits_are_spread(self):
        """ Waits of messages that failed together differ by up to a tenth """

        assert next_attempt(self.delivery(1000), NOW, 1) == NOW + timedelta(seconds=1100)

    def test_a_delivery_is_given_up_after_five_days(self):
        """ Five days count from the first refusal, not from the time of queueing """

        assert next_attempt(self.delivery(5 * 86400), NOW, 0) is None
        assert next_attempt(self.delivery(5 * 86400 - 1), NOW, 0) is not None

    def test_a_delivery_without_retries_left_is_given_up(self):
        """ Retries of zero end the attempts, None is no limit """

        assert next_attempt(self.delivery(0, retries=0), NOW, 0) is None
        assert next_attempt(self.delivery(0, retries=1), NOW, 0) is not None

# =============================================================================
def test_probes_become_rarer():
    """ A relay is probed at least each half minute for five minutes, and then more rarely """

    waits_s = [probe_interval_s(n) for n in range(16)]
    assert waits_s == [5, 10, 20] + 9 * [30] + [60, 120, 240, 300]
    assert sum(waits_s[:12]) >= 300
    assert probe_interval_s(0, refuses_all=True) == 30
    assert probe_interval_s(10 ** 6) == 300

# END =========================================================================
