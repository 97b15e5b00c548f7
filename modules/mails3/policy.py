# -*- coding: utf-8 -*-

"""
    What a failure means and what happens next: every "should we?"

    Pure decisions: no clock, no database, no connection, no hidden
    randomness. Whom a failure concerns decides what waits for it (as in
    Postfix): the configuration, the relay, or the message alone.

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

# Where in the dialogue with the relay a reply was given (RFC 5321 section 3)
CONNECT, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, BODY = \
    "connect", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "end of data"
OWN_MAIL = "MAIL from the configured sender"

# The phases that are about one message: what the relay answers there may be
# meant for that message alone
MESSAGE_PHASES = (MAIL, RCPT, DATA, BODY)

# So many refusals, of different recipients and without a single acceptance,
# are no coincidence: the relay refuses the site, in words that nobody knows
REFUSALS_IN_A_ROW = 10

# =============================================================================
@dataclass(frozen = True)
class Reply:
    """ What the relay said, and to what; code None: it said nothing """

    phase: str
    code: Optional[int]
    text: str

    def __str__(self):

        code = "" if self.code is None else "%s " % self.code
        return "%s: %s%s" % (self.phase, code, self.text)

# =============================================================================
class DeliveryError(Exception):
    """ An attempt failed; the class says what happens next """

    @property
    def reply(self):
        """ What the relay said, like smtplib tells it: (code, text) """

        reply = self.args[0]
        if isinstance(reply, Reply):
            return reply.code, reply.text
        return None, str(reply)

    @property
    def phase(self):
        """ Where in the dialogue the relay said it; None = it was not the relay """

        return getattr(self.args[0], "phase", None)

class ChannelFailure(DeliveryError):
    """ No fault of the message, unless it turns out to be (as_refusal): mail is held """

class ConfigurationFailure(ChannelFailure):
    """ The site is configured wrongly: somebody has to repair it """

class LoginRefused(ConfigurationFailure):
    """ Wrong credentials: not to be tried again before they change """

class RelayUnavailable(ChannelFailure):
    """ The relay is away or ill: ask again after a while """

class QuotaReached(RelayUnavailable):
    """ The relay takes no more from this site for a while, whatever the message """

class TransientFailure(DeliveryError):
    """ Refused for now: try this delivery again later """

class PermanentFailure(DeliveryError):
    """ Refused for good: do not try this delivery again """

class InternalFailure(DeliveryError):
    """ This code failed over it: set it aside, try it again later, never reject it """

class TooManyRecipients(DeliveryError):
    """ No more recipients in this transaction: the others go in the next one """

# -----------------------------------------------------------------------------
# Refusals that are about the site, not about a recipient or a message. The
# phase does not tell: Postfix delays all of them to RCPT (smtpd_delay_reject),
# Exchange and Amazon SES tell some after the content. So the enhanced status
# code (RFC 3463) or the words of the server decide, in this order.
#
SENDER = "sender" # about the sender: the site's own, or one given in a call
CLIENT = "client" # about the site, whoever the sender is
SITE = (
    # about  enhanced           words                                what it means
    # One mailbox, whatever else the words are (RFC 3463 3.3); Exchange: 5.2.252
    (CLIENT, r"[45]\.2\.[0-4]", r"", None),
    # What comes back by itself: quotas
    (CLIENT, r"5\.4\.[56]",    r"", QuotaReached), # Google, Zoho, Titan: quota of the sender
    (CLIENT, r"5\.1\.90|5\.7\.23[23]", r"", QuotaReached), # Exchange Online, by day
    (CLIENT, r"", r"\b(send|sending|submission|relay|outmail|daily|hourly|your mail)"
                  r"( user| message| sending)* (limit|quota) (is |was |has been )?"
                  r"(exceeded|reached)", QuotaReached), # Google, IONOS, Exchange, SES
    (CLIENT, r"", r"exceeded (its|your|the|their) (daily|hourly|outmail|max\w*|sending)",
     QuotaReached),                                 # Exchange Online, cPanel, Prolateral
    # The sender is not the site's to use
    (SENDER, r"[45]\.1\.[78]",  r"", ConfigurationFailure), # RFC 3463 3.2; Postfix, Exchange, Zoho
    (SENDER, r"5\.7\.60|5\.2\.252", r"", ConfigurationFailure), # Exchange: send as
    (SENDER, r"", r"sender address\b.{0,20}\b(rejected|refused|blocked|not allowed)"
                  r"|sender verify failed", ConfigurationFailure), # Postfix, GMX, Zoho; Exim
    (SENDER, r"", r"not owned by user|send ?as ?denied|(allowed|permissions?) to send as"
                  r"|relaying disallowed as", ConfigurationFailure), # Postfix, Exchange, Zoho
    (SENDER, r"", r"(address|domain|identity) is not verified|verified sender identity"
                  r"|unconfigured sending domain|from address (is not|does not)"
                  r"|bad outbound sender", ConfigurationFailure), # SES, SendGrid, SparkPost, iCloud
    # The site may not send here at all
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

# Refusals that are about one mailbox, whatever the site. Exim's "Unrouteable
# address" and OpenSMTPD's "Invalid recipient" are not among them: these servers
# say the same to all recipients when they are configured wrongly.
#
RECIPIENT = re.compile(r"5\.1\.[1236](?!\d)" # RFC 3463 3.2: bad destination
                       r"|5\.2\.[012](?![\d.])" # RFC 3463 3.3: disabled, full
                       r"|5\.1\.10(?!\d)" # RFC 7505 4.2: takes no mail
                       r"|(unknown|no such) (local )?(user|recipient|mailbox)"
                       r"|(user|recipient|mailbox) (is )?(unknown|not found|does(n't| not) exist)",
                       re.IGNORECASE)

# -----------------------------------------------------------------------------
# What a refusal means: the first line that fits phase, code and enhanced
# status code (RFC 3463), by how far its reason reaches
#
ANY = (CONNECT, EHLO, STARTTLS, AUTH, OWN_MAIL, MAIL, RCPT, DATA, BODY)
MEANING = (
    # phase           code       enhanced        what it means
    (ANY,             "421",     "",             RelayUnavailable),     # RFC 5321 3.8: goes away
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
    ((RCPT,),         "552",     r"(?!5\.2\.)",  TooManyRecipients),    # the same, as of old
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
                        mail shares, not one that came with the message

        Returns:
            the DeliveryError to act on, or None if the relay agreed
            (RFC 5321 section 4.2.1: 3yz to DATA, 2yz to all else; what is
            positive in the wrong place is an answer to something else)
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

    # No code of SMTP's: nobody knows what that is
    return RelayUnavailable(reply)

# -----------------------------------------------------------------------------
def refusal_of_the_site(reply, own_sender):
    """
        What a refusal means that is about the site, by its words (see SITE)

        Args:
            reply: the Reply
            own_sender: as for judge()

        Returns:
            the kind of DeliveryError, or None if it is about something else
    """

    for about, enhanced, words, meaning in SITE:
        if about == SENDER and not own_sender:
            continue
        if re.match(r"(?:%s)(?![\d.])" % enhanced, reply.text) if enhanced else \
           re.search(words, reply.text, re.IGNORECASE):
            return meaning
    return None

# -----------------------------------------------------------------------------
def concerns_the_site(trouble):
    """
        Whether the relay's own words say that a trouble is about the site: then
        no message is to blame before others have been accepted

        Args:
            trouble: the Trouble
    """

    return isinstance(trouble, (ConfigurationFailure, QuotaReached))

# -----------------------------------------------------------------------------
def concerns_the_recipient(error):
    """
        Whether the relay's own words say that a refusal is about the recipient,
        who does not exist: that tells nothing about the site

        Args:
            error: the DeliveryError
    """

    return isinstance(error, PermanentFailure) and error.phase == RCPT and \
        RECIPIENT.search(error.reply[1]) is not None

# -----------------------------------------------------------------------------
def as_message_failure(trouble, accepted):
    """
        What a trouble means where it turns out to be about one message alone

        Args:
            trouble: the Trouble
            accepted: the relay has accepted another message side by side with
                      this one; else the trouble may have come back for all

        Returns:
            TransientFailure; Never if the relay has said so, of what does not come back by itself
    """

    code, _ = trouble.reply
    is_final = accepted and code is not None and code // 100 == 5 and \
        isinstance(trouble, ConfigurationFailure)
    return (PermanentFailure if is_final else TransientFailure)(trouble.args[0])

# -----------------------------------------------------------------------------
def is_in_doubt(error):
    """
        Whether the relay may have the message all the same: it has got all of
        the content, and has not answered

        Args:
            error: the DeliveryError
    """

    return isinstance(error, RelayUnavailable) and error.phase == BODY and error.reply[0] is None

# -----------------------------------------------------------------------------
def next_attempt(delivery, now, chance, shortest=300, longest=14400, lifetime=432000):
    """
        When to try a refused delivery again
        - waits as long again as it has waited: soon at first, then rarely
        - spread by up to a tenth, so that what failed together does not
          come back together
        - RFC 5321 section 4.5.4.1: give up after 4-5 days; they count from
          the first refusal, for time spent held is not the message's fault

        Args:
            delivery: the Delivery
            now: the time of the failure
            chance: a random number from 0 to 1
            shortest, longest: the bounds of the wait (seconds)
            lifetime: how long it may wait in all (seconds)

        Returns:
            the earliest time (datetime), or None to give up
    """

    if delivery.retries is not None and delivery.retries <= 0:
        return None

    waited = (now - (delivery.deferred_on or now)).total_seconds()
    if waited >= lifetime:
        return None

    wait = min(max(waited, shortest), longest)
    return now + timedelta(seconds = wait * (1 + chance / 10))

# -----------------------------------------------------------------------------
def probe_interval_s(probes, shortest=30, longest=300):
    """
        How long to leave a held relay alone

        Args:
            probes: how often it has been probed since it is held
            shortest, longest: the bounds of the wait (seconds)

        Returns:
            the wait (seconds)
    """

    return min(shortest * 2 ** min(probes, 16), longest)

# END =========================================================================
