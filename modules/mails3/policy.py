# -*- coding: utf-8 -*-

"""
    What a failure means and what happens next: every "should we?"

    Pure decisions: no clock, no database, no connection, no hidden
    randomness. The scope of a failure decides which mail waits (as
    in Postfix): all mail if it is the configuration or the relay, one message
    if it is the message or its recipient.

    Longer than 300 lines because of its tables: each row cites the RFC or the
    server that it comes from, and the rows of one table are read together.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import re

from dataclasses import dataclass
from datetime import timedelta
from typing import Optional

__all__ = ("CONNECT", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "BODY",
           "MESSAGE_PHASES", "REFUSALS_IN_A_ROW", "Reply",
           "DeliveryError", "ChannelFailure", "ConfigurationFailure", "LoginRefused",
           "RelayUnavailable", "QuotaReached", "TransientFailure", "PermanentFailure",
           "InternalFailure", "TooManyRecipients",
           "classify", "as_message_failure", "concerns_the_site", "concerns_the_recipient",
           "is_in_doubt", "next_attempt", "probe_interval_s",
           )

# The phases of the dialogue with the relay (RFC 5321 section 3)
CONNECT, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, BODY = \
    "connect", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "end of data"
OWN_MAIL = "MAIL from the configured sender"

# The phases that deal with one message: a refusal there may be meant for that
# message alone
MESSAGE_PHASES = (MAIL, RCPT, DATA, BODY)

# After this number of refusals in a row, of several messages and without a
# single acceptance, the relay refuses the site, in words that SITE does not have
REFUSALS_IN_A_ROW = 10

# =============================================================================
@dataclass(frozen = True)
class Reply:
    """ What the relay has answered in a phase; code None: it did not answer """

    phase: str
    code: Optional[int]
    text: str

    # -------------------------------------------------------------------------
    def __str__(self):

        code = "" if self.code is None else "%s " % self.code
        return "%s: %s%s" % (self.phase, code, self.text)

# =============================================================================
class DeliveryError(Exception):
    """
        An attempt failed; the class says what happens next

        phase: the phase of the dialogue; None = it was not the relay
        code: the relay's code (int); None = it did not answer, or it was
              not the relay
        text: the relay's words, or a text of our own
    """

    def __init__(self, reason):
        """
            Args:
                reason: the Reply of the relay, or a text
        """

        super().__init__(reason)
        self.reason = reason
        is_reply = isinstance(reason, Reply)
        self.phase = reason.phase if is_reply else None
        self.code = reason.code if is_reply else None
        self.text = reason.text if is_reply else str(reason)

class ChannelFailure(DeliveryError):
    """ The relay or the site failed, not the message: all mail waits """

class ConfigurationFailure(ChannelFailure):
    """ The site is configured wrongly: somebody has to repair it """

class LoginRefused(ConfigurationFailure):
    """ Wrong credentials: never try them again before they change """

class RelayUnavailable(ChannelFailure):
    """ The relay is down: ask again after a while """

class QuotaReached(RelayUnavailable):
    """ The relay takes no more mail from this site for a while """

class TransientFailure(DeliveryError):
    """ Refused for now: try this delivery again later """

class PermanentFailure(DeliveryError):
    """ Refused for good: never try this delivery again """

class InternalFailure(DeliveryError):
    """ Our own code failed: set this delivery aside, never reject it """

class TooManyRecipients(DeliveryError):
    """ The transaction is full: send to the other recipients in the next one """

# -----------------------------------------------------------------------------
# Refusals that are about the site, not about a recipient or a message. The
# phase does not tell: Postfix delays all of them to RCPT (smtpd_delay_reject),
# Exchange and Amazon SES give some after the content. So the enhanced status
# code (RFC 3463) or the words of the server decide; the first row that fits.
#
SENDER = "sender" # about the sender: the configured one, or one given in a call
CLIENT = "client" # about the site, with any sender
SITE = (
    # about  enhanced           words                                what it means
    # One mailbox, with any words (RFC 3463 3.3); not Exchange's 5.2.252
    (CLIENT, r"[45]\.2\.[0-4]", r"", None),
    # Quotas: they end by themselves
    (CLIENT, r"5\.4\.[56]",    r"", QuotaReached), # Google, Zoho, Titan: quota of the sender
    (CLIENT, r"5\.1\.90|5\.7\.23[23]", r"", QuotaReached), # Exchange Online, by day
    (CLIENT, r"", r"\b(send|sending|submission|relay|outmail|daily|hourly|your mail)"
                  r"( user| message| sending)* (limit|quota) (is |was |has been )?"
                  r"(exceeded|reached)", QuotaReached), # Google, IONOS, Exchange, SES
    (CLIENT, r"", r"exceeded (its|your|the|their) (daily|hourly|outmail|max\w*|sending)",
     QuotaReached),                                 # Exchange Online, cPanel, Prolateral
    # The site may not use this sender
    (SENDER, r"[45]\.1\.[78]",  r"", ConfigurationFailure), # RFC 3463 3.2; Postfix, Exchange, Zoho
    (SENDER, r"5\.7\.60|5\.2\.252", r"", ConfigurationFailure), # Exchange: send as
    (SENDER, r"", r"sender address\b.{0,20}\b(rejected|refused|blocked|not allowed)"
                  r"|sender verify failed", ConfigurationFailure), # Postfix, GMX, Zoho; Exim
    (SENDER, r"", r"not owned by user|send ?as ?denied|(allowed|permissions?) to send as"
                  r"|relaying disallowed as", ConfigurationFailure), # Postfix, Exchange, Zoho
    (SENDER, r"", r"(address|domain|identity) is not verified|verified sender identity"
                  r"|unconfigured sending domain|from address (is not|does not)"
                  r"|bad outbound sender", ConfigurationFailure), # SES, SendGrid, SparkPost, iCloud
    # The site may not send at all
    (CLIENT, r"5\.7\.(54|57|64)", r"", ConfigurationFailure), # Exchange: relay, login
    (CLIENT, r"", r"relay access denied|relay(ing)? (is )?(denied|not permitted|prohibited)"
                  r"|(unable|not allowed) to relay"
                  r"|do(es)? not relay", ConfigurationFailure), # Postfix, sendmail, Exim, Exchange
    (CLIENT, r"", r"client host\b.{0,80}\b(rejected|blocked)|helo command rejected"
                  r"|cannot find your( reverse)? hostname", ConfigurationFailure), # Postfix
    (CLIENT, r"", r"authenticat\w+ (is )?required|not authenticated|unauthenticated sender"
                  r"|(please|must|need to) (first )?(authenticate|be authenticated|log ?in)",
     ConfigurationFailure),                         # Exchange, SendGrid, hosters
    (CLIENT, r"", r"is not allowed to send|email outgoing blocked",
     ConfigurationFailure),                         # Mailgun, Zoho
    (CLIENT, r"", r"account\b.{0,40}\b(suspended|paused|disabled|blocked|locked"
                  r"|not (yet )?activated)", ConfigurationFailure), # SES, SocketLabs, Brevo
    )

# Refusals that are about one mailbox. Exim's "Unrouteable address" and
# OpenSMTPD's "Invalid recipient" are not among them: when these servers are
# configured wrongly, they say the same to all recipients.
#
RECIPIENT = re.compile(r"5\.1\.[1236](?!\d)" # RFC 3463 3.2: bad destination
                       r"|5\.2\.[012](?![\d.])" # RFC 3463 3.3: disabled, full
                       r"|5\.1\.10(?!\d)" # RFC 7505 4.2: takes no mail
                       r"|(unknown|no such) (local )?(user|recipient|mailbox)"
                       r"|(user|recipient|mailbox) (is )?(unknown|not found|does(n't| not) exist)",
                       re.IGNORECASE)

# -----------------------------------------------------------------------------
# What a refusal means: the first row that fits phase, code and enhanced status
# code (RFC 3463)
#
ANY = (CONNECT, EHLO, STARTTLS, AUTH, OWN_MAIL, MAIL, RCPT, DATA, BODY)
MEANING = (
    # phase           code       enhanced        what it means
    (ANY,             "421",     "",             RelayUnavailable),     # RFC 5321 3.8: is closing
    (ANY,             "4..",     r"4\.3\.[12]",  RelayUnavailable),     # RFC 3463 3.4: full, closed
    ((CONNECT, EHLO), "...",     "",             RelayUnavailable),     # RFC 5321 3.1, 4.2.1
    ((STARTTLS,),     "4..",     "",             RelayUnavailable),     # RFC 3207 4: not now
    ((STARTTLS,),     "5..",     "",             ConfigurationFailure), # RFC 3207 4: not here
    ((AUTH,),         "4..",     "",             RelayUnavailable),     # RFC 4954 6: 454
    ((AUTH,),         "5..",     "",             LoginRefused),         # RFC 4954 6: 534, 535, 538
    (ANY,             "530",     "",             ConfigurationFailure), # RFC 4954 6, RFC 3207 4
    (ANY,             "5..",     r"5\.7\.(8|9|1[01])", ConfigurationFailure), # RFC 4954 6, 5248
    ((BODY,),         "500",     "",             PermanentFailure),     # RFC 5321 4.5.3.1.6: line
    ((RCPT,),         "504",     "",             PermanentFailure),  # Postfix: not fully-qualified
    (ANY,             "50[0234]", "",             RelayUnavailable),  # RFC 5321 4.2.4: out of step
    ((RCPT,),         "[45]..",  r"[45]\.5\.3",  TooManyRecipients),    # RFC 3463 3.6
    ((RCPT,),         "[45]..",  r"(?i:.*too many recipients)", TooManyRecipients),    # Exim etc.
    ((OWN_MAIL,),     "552",     "",             PermanentFailure),     # RFC 1870 6.1: too large
    ((OWN_MAIL,),     "5..",     r"5\.3\.4",     PermanentFailure),     # RFC 3463 3.4: too large
    ((OWN_MAIL,),     "5..",     "",             ConfigurationFailure), # RFC 5321 3.3: our sender
    ((RCPT,),         "452",     r"(?![245]\.\d)", TooManyRecipients),    # RFC 5321 4.5.3.1.10
    ((RCPT,),         "552",     r"(?!5\.2\.)",  TooManyRecipients),    # the same, formerly
    (ANY,             "4..",     "",             TransientFailure),     # RFC 5321 4.2.1
    (ANY,             "5..",     "",             PermanentFailure),     # RFC 5321 4.2.1
    )

# -----------------------------------------------------------------------------
def classify(reply, own_sender=True):
    """
        Tell what a reply means

        Args:
            reply: the Reply
            own_sender: the envelope sender is the configured one, which all
                        mail shares; False: it came with the message

        Returns:
            the DeliveryError to act on, or None if the relay agreed (RFC 5321
            section 4.2.1: 3yz to DATA, 2yz to all other commands; a positive
            code in the wrong place is the answer to another command)
    """

    if reply.code is None:
        return RelayUnavailable(reply)
    if reply.code // 100 == (3 if reply.phase == DATA else 2):
        return None

    if reply.phase in MESSAGE_PHASES and reply.code // 100 in (4, 5):
        meaning = refusal_of_the_site(reply, own_sender)
        if meaning:
            return meaning(reply)
    phase = OWN_MAIL if reply.phase == MAIL and own_sender else reply.phase
    for phases, code, enhanced, meaning in MEANING:
        if phase in phases and re.fullmatch(code, str(reply.code)) and \
           re.match(enhanced and enhanced + (r"" if enhanced.startswith("(?!") else r"\b"),
                    reply.text):
            return meaning(reply)

    # Not a code of SMTP: the state of the session is unknown
    return RelayUnavailable(reply)

# -----------------------------------------------------------------------------
def refusal_of_the_site(reply, own_sender):
    """
        Tell whether a refusal is about the site, by its words (see SITE)

        Args:
            reply: the Reply
            own_sender: as for classify()

        Returns:
            the class of DeliveryError, or None if it is not about the site
    """

    for about, enhanced, words, meaning in SITE:
        if about == SENDER and not own_sender:
            continue
        if re.match(r"(?:%s)(?![\d.])" % enhanced, reply.text) if enhanced else \
           re.search(words, reply.text, re.IGNORECASE):
            return meaning
    return None

# -----------------------------------------------------------------------------
def concerns_the_site(failure):
    """
        Whether the relay's own words say that a failure is about the site:
        then no message is to blame before other messages have been accepted

        Args:
            failure: the ChannelFailure, or None
    """

    return isinstance(failure, (ConfigurationFailure, QuotaReached))

# -----------------------------------------------------------------------------
def concerns_the_recipient(error):
    """
        Whether the relay's own words say that the recipient does not exist:
        such a refusal tells nothing about the site

        Args:
            error: the DeliveryError
    """

    return isinstance(error, PermanentFailure) and error.phase == RCPT and \
        RECIPIENT.search(error.text) is not None

# -----------------------------------------------------------------------------
def as_message_failure(failure, accepted):
    """
        Turn a ChannelFailure into the failure of one message, when it has
        turned out to be about that message alone

        Args:
            failure: the ChannelFailure
            accepted: the relay has accepted another message at the same time;
                      False: the failure may have come back for all mail

        Returns:
            PermanentFailure for a 5xx that does not end by itself, if others
            were accepted; else TransientFailure
    """

    is_final = accepted and isinstance(failure, ConfigurationFailure) and \
        failure.code is not None and failure.code // 100 == 5
    return (PermanentFailure if is_final else TransientFailure)(failure.reason)

# -----------------------------------------------------------------------------
def is_in_doubt(error):
    """
        Whether the relay may have the message: it has got all of the content
        and has not answered

        Args:
            error: the DeliveryError
    """

    return isinstance(error, RelayUnavailable) and error.phase == BODY and error.code is None

# -----------------------------------------------------------------------------
def next_attempt(delivery, now, chance, shortest_s=300, longest_s=14400, lifetime_s=432000):
    """
        When to try a refused delivery again
        - the wait doubles each time: soon at first, then rarely
        - the wait is spread by up to a tenth, so that deliveries that failed
          together do not come back together
        - RFC 5321 section 4.5.4.1: give up after 4-5 days; they count from
          the first refusal, because a tripped breaker is not the message's
          fault

        Args:
            delivery: the Delivery
            now: the time of the failure (datetime)
            chance: a random number from 0 to 1
            shortest_s, longest_s: the bounds of the wait (seconds)
            lifetime_s: how long it may wait in all (seconds)

        Returns:
            the earliest time (datetime), or None to give up
    """

    if delivery.retries is not None and delivery.retries <= 0:
        return None

    waited_s = (now - (delivery.deferred_on or now)).total_seconds()
    if waited_s >= lifetime_s:
        return None

    wait_s = min(max(waited_s, shortest_s), longest_s)
    return now + timedelta(seconds = wait_s * (1 + chance / 10))

# -----------------------------------------------------------------------------
def probe_interval_s(probes, shortest_s=30, longest_s=300):
    """
        How long to wait before the next probe of a relay, while its breaker
        is tripped

        Args:
            probes: how often it has been probed since the breaker tripped
            shortest_s, longest_s: the bounds of the wait (seconds)

        Returns:
            the wait (seconds)
    """

    return min(shortest_s * 2 ** min(probes, 16), longest_s)

# END =========================================================================
