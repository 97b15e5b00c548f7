# -*- coding: utf-8 -*-

"""
    What the relay's replies mean: the tables of codes and words, and the errors
    that they stand for

    The class of an error is the scope of the failure, which decides which mail is
    held back (as in Postfix): all mail if it is the configuration or the relay,
    one message if it is the message or its recipient.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import re

from dataclasses import dataclass
from typing import Optional

from .phases import AUTH, BODY, CONNECT, DATA, EHLO, MAIL, MESSAGE_PHASES, RCPT, STARTTLS
from .throttling import RATE, RECIPIENTS, limit_of

__all__ = ("CONNECT", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "BODY",
           "MESSAGE_PHASES", "Reply",
           "DeliveryError", "ChannelFailure", "ConfigurationFailure", "LoginRefused",
           "RelayUnavailable", "QuotaReached", "TransientFailure", "PermanentFailure",
           "InternalFailure", "TooManyRecipients", "Throttled", "WANTS_LESS",
           "classify", "breaks_off", "concerns_the_site",
           )

# MAIL with the sender that all mail shares
OWN_MAIL = "MAIL from the configured sender"

# What people read about a Throttled
WANTS_LESS = "The mail server wants less mail now"

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

class Throttled(DeliveryError):
    """
        The relay wants less mail now: the message is not to blame

        limit: RATE, CONNECTIONS or MESSAGES_PER_SESSION (see throttling.py)
        is_repeated: other mail has been accepted since the message was last throttled
    """

    def __init__(self, reason, limit=RATE):
        """ Args: as for DeliveryError; limit: see above """

        super().__init__(reason)
        self.limit = limit
        self.is_repeated = False

    # -------------------------------------------------------------------------
    def __str__(self):

        return "%s (%s)" % (WANTS_LESS, self.reason)

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
    # Exchange Online, with 5.2.0 and 5.2.2, about the sender's own mailbox; Oracle
    (CLIENT, r"", r"submission ?quota ?(was )?exceeded|messages sent per day reached",
     QuotaReached),
    (SENDER, r"", r"mailbox full; STOREDRV\.Submission|MapiExceptionLogonFailed",
     ConfigurationFailure),
    # One mailbox, with any words (RFC 3463 3.3); not Exchange's 5.2.252
    (CLIENT, r"[45]\.2\.[0-4]", r"", None),
    # Quotas: they end by themselves
    (CLIENT, r"5\.4\.[56]",    r"", QuotaReached), # Google, Zoho, Titan: quota of the sender
    (CLIENT, r"5\.1\.90|5\.7\.23[23]", r"", QuotaReached), # Exchange Online, by day
    (CLIENT, r"", r"\b(send|sending|submission|relay|outmail|daily|hourly)"
                  r"( user| message| sending)* (limit|quota) (is |was |has been )?"
                  r"(exceeded|reached)", QuotaReached), # Google, IONOS, Exchange, SES
    (CLIENT, r"", r"exceeded (its|your|the|their) (daily|hourly|outmail|max\w*|sending)",
     QuotaReached),                                 # Exchange Online, cPanel, Prolateral
    (CLIENT, r"", r"limit of \d+ (rcpts|recipients|messages) per", QuotaReached), # policy daemons
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
    (CLIENT, r"", r"is not allowed to send(?!: recipient limit exceeded)|requires encryption"
                  r"|email outgoing blocked", ConfigurationFailure), # Mailgun, Mimecast; Zoho
    (CLIENT, r"", r"account\b.{0,40}\b(suspended|paused|disabled|blocked|locked"
                  r"|not (yet )?activated)", ConfigurationFailure), # SES, SocketLabs, Brevo
    )

# -----------------------------------------------------------------------------
# What a refusal means: the first row that fits phase, code and enhanced status
# code (RFC 3463)
#
ANY = (CONNECT, EHLO, STARTTLS, AUTH, OWN_MAIL, MAIL, RCPT, DATA, BODY)
MEANING = (
    # phase           code       enhanced        what it means
    (ANY,             "421",     "",             RelayUnavailable),     # RFC 5321 3.8: is closing
    (ANY,             "4..",     r"4\.3\.[125]", RelayUnavailable), # RFC 3463 3.4: full, closed
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
    limit = limit_of(reply.phase, reply.code, reply.text)
    if limit:
        return TooManyRecipients(reply) if limit == RECIPIENTS else Throttled(reply, limit)
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
def breaks_off(error):
    """ Whether the relay ends its session with that (error: the DeliveryError, or None) """

    # RFC 5321 section 3.8: after 421, the relay closes
    return isinstance(error, RelayUnavailable) or \
        isinstance(error, Throttled) and error.code == 421

# -----------------------------------------------------------------------------
def concerns_the_site(failure):
    """
        Whether the relay's own words say that a failure is about the site:
        then no message is to blame before other messages have been accepted

        Args:
            failure: the ChannelFailure, or None
    """

    return isinstance(failure, (ConfigurationFailure, QuotaReached))

# END =========================================================================
