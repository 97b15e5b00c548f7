"""
    A relay that wants less mail: its words, and what the dialogue and the session make of them
"""

import pytest

from support.fake_relay import FakeRelay
from support.sessions import ANNE, mail, session, transmit, transmit_by

from mails3 import throttling
from mails3.replies import AUTH, BODY, CONNECT, DATA, EHLO, MAIL, RCPT, STARTTLS, WANTS_LESS, \
                           ConfigurationFailure, LoginRefused, PermanentFailure, \
                           QuotaReached, RelayUnavailable, Reply, Throttled, TooManyRecipients, \
                           TransientFailure, classify
from mails3.smtp.dialogue import Dialogue
from mails3.smtp.envelope import Envelope
from mails3.throttling import CONNECTIONS, MESSAGES_PER_SESSION, RATE, RECIPIENTS, THROTTLING, \
                              limit_of

BOB, CARL = "bob@example.org", "carl@example.org"

# What servers and providers say, each in its own words
LIMITS = [
    # OpenSMTPD, Exim, Amazon SES, Mailtrap
    (MAIL, "452 4.5.3 Too many recipients: Too many messages sent", MESSAGES_PER_SESSION),
    (MAIL, "421 too many messages in this connection", MESSAGES_PER_SESSION),
    (MAIL, "421 too many messages per connection", MESSAGES_PER_SESSION),
    (MAIL, "421 4.7.0 Too many messages in one session", MESSAGES_PER_SESSION),
    # Yahoo, KumoMTA, Haraka
    (MAIL, "421 Max message per connection reached, closing transmission channel",
     MESSAGES_PER_SESSION),
    (RCPT, "421 4.5.3 mx.example.org too many recipients on this connection",
     MESSAGES_PER_SESSION),
    (RCPT, "450 Too many recipient attempts", MESSAGES_PER_SESSION),
    # Exchange Online, Exchange
    (BODY, "432 4.3.2 Concurrent connections limit exceeded. Visit "
           "https://aka.ms/concurrent_sending for more information.", CONNECTIONS),
    (BODY, "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", CONNECTIONS),
    (CONNECT, "421 4.3.2 The maximum number of concurrent connections per resource forest has "
              "exceeded a limit, closing transmission channel", CONNECTIONS),
    # Amazon SES and Exim, SocketLabs, Oracle
    (CONNECT, "421 Too many concurrent SMTP connections", CONNECTIONS),
    (CONNECT, "421 Too many concurrent SMTP connections from this IP address; please try again "
              "later", CONNECTIONS),
    (CONNECT, "421 4.4.5 Too many connections from your host", CONNECTIONS),
    (CONNECT, "421 Too many connections", CONNECTIONS),
    # Postfix: smtpd and postscreen
    (CONNECT, "421 4.7.0 mx.example.org Error: too many connections from 192.0.2.1", CONNECTIONS),
    (EHLO, "421 4.7.0 mx.example.org Error: too many connections", CONNECTIONS),
    (STARTTLS, "454 4.7.0 Error: too many new TLS sessions from 192.0.2.1", CONNECTIONS),
    (AUTH, "450 4.7.1 Error: too many AUTH commands from 192.0.2.1", CONNECTIONS),
    # Sendmail, KumoMTA, Haraka
    (CONNECT, "421 4.3.2 Connection rate limit exceeded.", CONNECTIONS),
    (MAIL, "452 4.3.2 Connection rate limit exceeded.", CONNECTIONS),
    (CONNECT, "421 4.3.2 Too many open connections.", CONNECTIONS),
    (CONNECT, "421 4.3.2 mx.example.org too many concurrent sessions", CONNECTIONS),
    (CONNECT, "421 Too many concurrent connections", CONNECTIONS),
    (CONNECT, "421 connection rate limit exceeded", CONNECTIONS),
    # Google, QQ
    (AUTH, "454 4.7.0 Too many login attempts, please try again later.", CONNECTIONS),
    (MAIL, "550 Connection frequency limited", CONNECTIONS),
    # Postfix
    (MAIL, "450 4.7.1 Error: too much mail from 192.0.2.1", RATE),
    (RCPT, "450 4.7.1 Error: too many recipients from 192.0.2.1", RATE),
    # Exchange and Exchange Online
    (MAIL, "421 4.4.2 Message submission rate for this client has exceeded the configured limit",
     RATE),
    (MAIL, "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP "
           "reputation.", RATE),
    # Google; its replies have several lines, each with the code
    (RCPT, "450 4.2.1 Peak SMTP relay limit exceeded for customer", RATE),
    (BODY, "421 4.7.28 [192.0.2.1] Our system has detected an unusual rate of unsolicited mail",
     RATE),
    (BODY, "421 4.7.0 To protect our users from spam, mail sent from your IP address has 4.7.0 "
           "been temporarily 4.7.0 rate limited.", RATE),
    # Yahoo
    (MAIL, "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected "
           "volume or user complaints", RATE),
    # Amazon SES, SendGrid, Mailgun, Oracle, Emailit
    (BODY, "454 Throttling failure: Maximum sending rate exceeded.", RATE),
    (RCPT, "452 Too many recipients received this hour (throttled)", RATE),
    (DATA, "421 Domain example.org is not allowed to send: recipient limit exceeded, try again "
           "after Sun, 05 Oct 2025 19:22:44 UTC", RATE),
    (BODY, "455 Maximum messages sent per minute reached : limit is 10", RATE),
    (MAIL, "452 4.4.5 Messages per second limit exceeded", RATE),
    # Purelymail, Rambler, GMX, Haraka
    (RCPT, "450 4.3.2 Please wait to send more emails, or contact support for a rate limit "
           "increase.", RATE),
    (RCPT, "452 4.5.3 rate limit exceeded", RATE),
    (CONNECT, "421 Rate limit reached", RATE),
    (RCPT, "450 recipient rate limit exceeded", RATE),
    # Exim with the manual's ratelimit, as hosters have it
    (RCPT, "450 Sender rate overlimit - 61.5 / 1h", RATE),
    (RCPT, "550 Sender rate overlimit - 61.5 / 1h", RATE),
    (RCPT, "451 4.3.2 Please slow down", RATE),
    # Permanent codes for a limit that ends by itself: msndr, QQ, StartMail, Plesk
    (AUTH, "550 Too many messages. Try again in 92 seconds.", RATE),
    (BODY, "550 Sender frequency limited. http://service.mail.qq.com/", RATE),
    (RCPT, "550 5.7.1 Your mail limit has been reached", RATE),
    (BODY, "554 5.7.0 Your message could not be sent. The limit on the number of allowed "
           "outgoing messages was exceeded. Try again later.", RATE),
    # Google, Postfix, Exchange Online, Exim, SocketLabs, OpenSMTPD, KumoMTA, hMailServer
    (RCPT, "452 4.5.3 Your message has too many recipients.", RECIPIENTS),
    (RCPT, "452 4.5.3 Domain policy size per transaction exceeded", RECIPIENTS),
    (RCPT, "451 4.3.0 Multiple destination domains per transaction is unsupported.", RECIPIENTS),
    (RCPT, "550 5.5.3 too many recipients for this sender", RECIPIENTS),
    (RCPT, "452 4.5.3 Error: too many recipients", RECIPIENTS),
    (RCPT, "452 too many recipients", RECIPIENTS),
    (RCPT, "552 too many recipients", RECIPIENTS),
    (RCPT, "452 5.5.3 Too many recipients", RECIPIENTS),
    (RCPT, "451 4.5.3 Too many recipients", RECIPIENTS),
    (RCPT, "452 4.5.3 mx.example.org too many recipients", RECIPIENTS),
    (RCPT, "550 Too many recipients.", RECIPIENTS),
    ]

# Replies that look like these and are about something else; what they mean
OTHERS = [
    # One recipient: Exchange Online, Google, Comcast, Yandex, Yahoo, iCloud
    (BODY, "432 4.3.2 STOREDRV.Deliver; recipient thread limit exceeded", RelayUnavailable),
    (BODY, "554 5.2.122 The recipient has exceeded their limit for this sender",
     PermanentFailure),
    (RCPT, "450 4.2.1 The user you are trying to contact is receiving mail at a rate that "
           "prevents additional messages from being delivered.", TransientFailure),
    (RCPT, "452 4.1.1 <anne@example.org> too many recent messages", TransientFailure),
    (RCPT, "450 4.2.1 The recipient has exceeded message rate limit. Try again later.",
     TransientFailure),
    (RCPT, "450 User is receiving mail too quickly", TransientFailure),
    (RCPT, "421 4.7.1 Messages to anne@example.org deferred due to excessive volume.",
     RelayUnavailable),
    # Greylisting
    (RCPT, "450 4.7.1 <anne@example.org>: Recipient address rejected: Greylisted",
     TransientFailure),
    (RCPT, "451 4.7.1 Try again later", TransientFailure),
    (RCPT, "450 4.3.2 Service currently unavailable", RelayUnavailable),
    # Configuration: Google, Mailgun, Amazon SES, SendGrid
    (EHLO, "421 4.7.0 Try again later, closing connection. (EHLO)", RelayUnavailable),
    (BODY, "421 4.7.26 This mail has been rate limited because it is unauthenticated.",
     RelayUnavailable),
    (DATA, "421 Domain example.org is not allowed to send: Please activate your Mailgun account",
     ConfigurationFailure),
    (BODY, "454 Throttling failure: Maximum SigV2 SMTP sending rate exceeded.",
     TransientFailure),
    (AUTH, "451 Authentication failed: Maximum credits exceeded", RelayUnavailable),
    # Errors, some of which are ours: Postfix, Sendmail, SocketLabs, Oracle, Yahoo, hMailServer
    (RCPT, "421 4.7.0 mx.example.org Error: too many errors", RelayUnavailable),
    (RCPT, "421 4.7.0 Too many bad commands; closing connection", RelayUnavailable),
    (CONNECT, "421 4.5.1 Too many errors, you have been temporarily blacklisted",
     RelayUnavailable),
    (CONNECT, "421 Too many auth failures", RelayUnavailable),
    # Load, and a full disk: Google, Exchange Online, postscreen, Exim, KumoMTA, Postfix
    (BODY, "421 4.3.0 Temporary System Problem. Try again later", RelayUnavailable),
    (AUTH, "454 4.7.0 Cannot authenticate due to temporary system problem", RelayUnavailable),
    (RCPT, "451 4.7.500 Server busy. Please try again later", TransientFailure),
    (CONNECT, "421 4.3.2 All server ports are busy", RelayUnavailable),
    (CONNECT, "421 Too much load; please try again later", RelayUnavailable),
    (CONNECT, "421 4.3.2 mx.example.org load shedding. Try later", RelayUnavailable),
    (MAIL, "452 4.3.1 Insufficient system storage", RelayUnavailable),
    # Quotas, by day mostly: Amazon SES, Google, Exchange Online, Zoho, cPanel, Emailit, IONOS
    (BODY, "454 Throttling failure: Daily message quota exceeded.", QuotaReached),
    (BODY, "550 5.4.5 Daily SMTP relay limit exceeded for user", QuotaReached),
    (BODY, "550 5.2.2 Submission quota exceeded", QuotaReached),
    (BODY, "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to "
           "process message due to a permanent exception", QuotaReached),
    (BODY, "455 Maximum messages sent per day reached", QuotaReached),
    (DATA, "550 5.7.1 <DATA>: Data command rejected: limit of 400 rcpts per 24 hours",
     QuotaReached),
    # The sender's own mailbox at Exchange Online, and not the recipient's
    (BODY, "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException",
     ConfigurationFailure),
    (BODY, "430 4.2.0 STOREDRV; mailbox logon failure; MapiExceptionLogonFailed",
     ConfigurationFailure),
    (RCPT, "552 5.2.2 mailbox full", PermanentFailure),
    # Postfix cannot read its own configuration
    (RCPT, "451 4.3.5 Server configuration error", RelayUnavailable),
    (BODY, "550 5.4.6 Unusual sending activity detected", QuotaReached),
    (RCPT, "550 Domain example.org has exceeded the max emails per hour (50/50 (100%)) allowed.",
     QuotaReached),
    (MAIL, "452 4.5.3 Daily message limit exceeded", QuotaReached),
    (RCPT, "450 Requested mail action not taken: mailbox unavailable Mail send limit exceeded.",
     QuotaReached),
    # A wrong login: Yahoo, hMailServer
    (AUTH, "535 5.7.0 (#AUTH005) Too many bad auth attempts.", LoginRefused),
    (AUTH, "535 Too many invalid logon attempts", LoginRefused),
    # No known words
    (CONNECT, "421 4.7.0 Not now", RelayUnavailable),
    (EHLO, "421 4.7.0 Not now", RelayUnavailable),
    (MAIL, "421 4.7.0 Not now", RelayUnavailable),
    (RCPT, "421 4.5.3 Too many recipients", RelayUnavailable),
    (MAIL, "451 Too many recipients", TransientFailure),
    ]

# -----------------------------------------------------------------------------
def said(phase, reply):
    """ The Reply of a relay that says that """

    code, text = reply.split(" ", 1)
    return Reply(phase, int(code), text)

# =============================================================================
class TestWords:
    """ The words of a reply tell whether the relay wants less mail """

    @pytest.mark.parametrize("phase, reply, limit", LIMITS)
    def test_known_words_are_obeyed(self, phase, reply, limit):
        """ What servers and providers say of a limit is understood, in each phase """

        error = classify(said(phase, reply))

        assert limit_of(phase, error.code, error.text) == limit
        assert type(error) is (TooManyRecipients if limit == RECIPIENTS else Throttled)
        assert limit == getattr(error, "limit", RECIPIENTS)

    @pytest.mark.parametrize("phase, reply, meaning", OTHERS)
    def test_similar_words_mean_something_else(self, phase, reply, meaning):
        """ A limit for one recipient, a quota, an error and an overload are no throttling """

        assert type(classify(said(phase, reply))) is meaning

    def test_each_row_of_the_table_is_needed(self, monkeypatch):
        """ Without any one of the rows, a known reply is understood differently """

        replies = [(said(phase, reply), limit) for phase, reply, limit in LIMITS]
        needless = []
        for row in THROTTLING:
            monkeypatch.setattr(throttling, "THROTTLING",
                                [other for other in THROTTLING if other is not row])
            if all(limit_of(reply.phase, reply.code, reply.text) == limit
                   for reply, limit in replies):
                needless.append(row)

        assert needless == []

    def test_people_read_that_less_mail_is_wanted(self):
        """ The reason that an admin reads says what the relay wants, and has its words """

        error = classify(said(CONNECT, "421 Too many connections"))

        assert str(error) == WANTS_LESS + " (connect: 421 Too many connections)"

# =============================================================================
class TestDialogue:
    """ A throttled recipient keeps that answer, and the others get the message """

    def outcome(self, extensions, *answers, recipients=(ANNE, BOB, CARL)):
        """
            The outcome of a dialogue

            Args:
                extensions: of the relay
                answers: for each group of commands, the list of the replies; None = no answer
                recipients: of the message
        """

        dialogue = Dialogue(Envelope("a@example.org", list(recipients), "Text"),
                            extensions).hand_over(lambda: False)
        group = next(dialogue)
        with pytest.raises(StopIteration) as end:
            for replies in answers:
                assert len(replies) == len(group)
                group = dialogue.send([Reply(phase, None, "gone") if reply is None else
                                       said(phase, reply)
                                       for (phase, _), reply in zip(group, replies)])
        return {recipient: error and (type(error), error.code)
                for recipient, error in end.value.value.items()}

    def test_the_others_get_the_content(self):
        """ Recipients that were accepted get the content, a throttled one keeps its answer """

        assert self.outcome({"pipelining"},
                            ["250 OK", "250 OK", "452 4.5.3 rate limit exceeded",
                             "550 5.1.1 No", "354 Go on"],
                            ["250 OK"]) == \
            {ANNE: None, BOB: (Throttled, 452), CARL: (PermanentFailure, 550)}

    def test_a_421_ends_the_dialogue(self):
        """ After 421 to a recipient, only that one is throttled, and the others go once more """

        assert self.outcome({"pipelining"},
                            ["250 OK", "550 5.1.1 No", "421 Rate limit reached", None, None]) == \
            {ANNE: (PermanentFailure, 550), BOB: (Throttled, 421)}
        assert self.outcome({}, ["250 OK"], ["250 OK"], ["421 Rate limit reached"]) == \
            {BOB: (Throttled, 421)}

    def test_content_that_went_along_is_in_doubt_after_a_421(self):
        """ Content that went along and is not answered is in doubt for those that were accepted """

        assert self.outcome({"pipelining", "chunking"},
                            ["250 OK", "250 OK", "421 Rate limit reached", None, None]) == \
            {ANNE: (RelayUnavailable, None), BOB: (Throttled, 421),
             CARL: (RelayUnavailable, None)}

    def test_content_that_went_along_is_taken_in_spite_of_a_421(self):
        """ A recipient that was accepted has the message if the relay takes it after all """

        assert self.outcome({"pipelining", "chunking"},
                            ["250 OK", "250 OK", "421 Rate limit reached", "250 OK",
                             "250 OK"]) == \
            {ANNE: None, BOB: (Throttled, 421), CARL: None}

    @pytest.mark.parametrize("extensions, answers", [
        ({}, (["452 4.4.5 Messages per second limit exceeded"],)),
        ({"pipelining"}, (["250 OK", "250 OK", "432 Concurrent connections limit exceeded"],)),
        ({"pipelining"}, (["250 OK", "250 OK", "354 Go on"],
                          ["454 Throttling failure: Maximum sending rate exceeded."])),
        ({"pipelining", "chunking"},
         (["250 OK", "250 OK", "454 Throttling failure: Maximum sending rate exceeded."],)),
        ])
    def test_a_message_is_throttled_at_any_step(self, extensions, answers):
        """ A message is throttled whether the relay says so at MAIL, at DATA or to the content """

        outcome = self.outcome(extensions, *answers, recipients=[ANNE])

        assert outcome[ANNE][0] is Throttled

# =============================================================================
class TestSession:
    """ A session learns how many messages the relay takes by it """

    FULL = "452 4.5.3 Too many recipients: Too many messages sent"

    @pytest.mark.parametrize("reply", [FULL, "421 too many messages in this connection"])
    def test_a_full_session_is_replaced_at_once(self, any_relay, reply):
        """ A message that is one too many for its session arrives by a new one, and at once """

        any_relay.limit(3, reply)
        ours = session(any_relay)

        outcomes = [transmit_by(ours, mail(ANNE), 5) for _ in range(10)]
        ours.close()

        assert outcomes == 10 * [{ANNE: None}]
        assert [mail.session for mail in any_relay.mails] == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4]
        assert ours.max_messages == 3
        # The relay has said so once only
        assert sum(verb == "MAIL" for _, verb, _ in any_relay.commands) == 11

    def test_an_envelope_ahead_is_not_lost_in_a_full_session(self):
        """ A message whose envelope was one too many ahead arrives by a new session """

        with FakeRelay(extensions=("PIPELINING",)) as relay:
            relay.limit(1, self.FULL)
            ours, following = session(relay), mail(BOB)

            assert transmit_by(ours, mail(ANNE), 5, lambda: following) == {ANNE: None}
            assert transmit_by(ours, following, 5, lambda: mail(CARL)) == {BOB: None}
            assert not ours.is_ahead()
            ours.close()

            assert ours.max_messages == 1
            assert [mail.recipients for mail in relay.mails] == [[ANNE], [BOB]]

    def test_refused_messages_do_not_count(self, any_relay):
        """ A session learns how many messages were accepted by it, not how many were refused """

        any_relay.answer("RCPT", "550 5.1.1 Never", to=BOB)
        any_relay.limit(2, self.FULL)
        ours = session(any_relay)

        for recipient in (ANNE, BOB, BOB, ANNE, ANNE):
            transmit_by(ours, mail(recipient), 5)
        ours.close()

        assert ours.max_messages == 2

    def test_a_new_session_that_is_full_learns_nothing(self, any_relay):
        """ A relay that says so to the first message of a session is not asked again at once """

        any_relay.limit(0, self.FULL)
        ours = session(any_relay)

        error = transmit_by(ours, mail(ANNE), 5)[ANNE]
        ours.close()

        assert (type(error), error.limit) == (Throttled, MESSAGES_PER_SESSION)
        assert ours.max_messages == ours.MAX_MESSAGES
        assert any_relay.connections == 1

    def test_recipients_beyond_those_of_a_session_cost_a_session(self, any_relay):
        """ A recipient that is one too many for a session gets the message by another one """

        any_relay.answer("RCPT", "450 Too many recipient attempts", to=BOB, times=1)
        ours = session(any_relay)
        transmit_by(ours, mail(ANNE), 5)

        first = transmit_by(ours, mail(ANNE, BOB), 5)
        second = transmit_by(ours, mail(BOB), 5)
        ours.close()

        assert first[ANNE] is None and first[BOB].limit == MESSAGES_PER_SESSION
        assert second == {BOB: None}
        assert any_relay.connections == 2

    @pytest.mark.parametrize("reply, connections", [("421 Rate limit reached", 2),
                                                    ("450 Rate limit reached", 1)])
    def test_a_throttled_session_is_left_after_421_only(self, any_relay, reply, connections):
        """ A session that was throttled is used again unless the relay closes it by 421 """

        any_relay.answer("MAIL", reply, times=1)
        ours = session(any_relay)

        error = transmit_by(ours, mail(ANNE), 5)[ANNE]
        outcome = transmit(ours, ANNE)

        assert (type(error), error.limit) == (Throttled, RATE)
        assert outcome == {ANNE: None}
        assert any_relay.connections == connections

    def test_a_message_is_not_repeated_at_once_for_a_rate(self, any_relay):
        """ A relay that wants less mail per time is not asked at once by a new session """

        ours = session(any_relay)
        transmit_by(ours, mail(ANNE), 5)
        any_relay.answer("MAIL", "421 Rate limit reached", times=1)

        error = transmit_by(ours, mail(ANNE), 5)[ANNE]
        ours.close()

        assert (type(error), any_relay.connections) == (Throttled, 1)

    @pytest.mark.parametrize("step, reply, limit", [
        ("CONNECT", "421 4.7.0 Error: too many connections from 127.0.0.1", CONNECTIONS),
        ("EHLO", "421 Rate limit reached", RATE)])
    def test_a_session_that_may_not_be_opened_is_throttled(self, any_relay, step, reply, limit):
        """ A relay that takes no session now throttles, and nothing is handed over """

        any_relay.answer(step, reply)
        ours = session(any_relay)

        with pytest.raises(Throttled) as error:
            ours.open(5)
        assert error.value.limit == limit
        with pytest.raises(Throttled):
            transmit(ours)

    def test_a_login_may_be_throttled(self):
        """ "Too many login attempts" concerns the pace, and not the credentials """

        with FakeRelay(login=("user", "secret")) as relay:
            relay.answer("AUTH", "454 4.7.0 Too many login attempts, please try again later.")

            with pytest.raises(Throttled) as error:
                transmit(session(relay, user="user", password="secret"))

        assert error.value.limit == CONNECTIONS

# END =========================================================================
