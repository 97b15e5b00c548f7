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
           "Reply",
           "DeliveryError", "Trouble", "ConfigTrouble", "LoginRefused",
           "RelayTrouble", "NotNow", "Never",
           "judge", "next_try", "next_probe",
           )

# Where in the dialogue with the relay a reply was given (RFC 5321 section 3)
CONNECT, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, BODY = \
    "connect", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "end of data"
OWN_MAIL = "MAIL from the configured sender"

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

class Trouble(DeliveryError):
    """ No fault of the message: hold the lane, leave the message alone """

class ConfigTrouble(Trouble):
    """ The site is configured wrongly: somebody has to repair it """

class LoginRefused(ConfigTrouble):
    """ Wrong credentials: not to be tried again before they change """

class RelayTrouble(Trouble):
    """ The relay is away or ill: ask again after a while """

class NotNow(DeliveryError):
    """ Refused for now: try this delivery again later """

class Never(DeliveryError):
    """ Refused for good: do not try this delivery again """

# -----------------------------------------------------------------------------
# What a refusal means: the first line that fits phase, code and enhanced
# status code (RFC 3463), by how far its reason reaches
#
ANY = (CONNECT, EHLO, STARTTLS, AUTH, OWN_MAIL, MAIL, RCPT, DATA, BODY)
MEANING = (
    # phase           code        enhanced            what it means
    (ANY,             "421",      "",                 RelayTrouble),  # RFC 5321 3.8: goes away
    (ANY,             "4..",      r"4\.3\.[12]",      RelayTrouble),  # RFC 3463 3.4: full, closed
    ((CONNECT, EHLO), "...",      "",                 RelayTrouble),  # RFC 5321 3.1, 4.2.1
    ((STARTTLS,),     "4..",      "",                 RelayTrouble),  # RFC 3207 4: not now
    ((STARTTLS,),     "5..",      "",                 ConfigTrouble), # RFC 3207 4: not here
    ((AUTH,),         "4..",      "",                 RelayTrouble),  # RFC 4954 6: 454
    ((AUTH,),         "5..",      "",                 LoginRefused),  # RFC 4954 6: 534, 535, 538
    (ANY,             "530",      "",                 ConfigTrouble), # RFC 4954 6, RFC 3207 4
    (ANY,             "5..",      r"5\.7\.(8|9|1[01])", ConfigTrouble), # RFC 4954 6, 5248
    ((BODY,),         "500",      "",                 Never),         # RFC 5321 4.5.3.1.6: line
    (ANY,             "50[0234]", "",                 RelayTrouble),  # RFC 5321 4.2.4: out of step
    ((OWN_MAIL,),     "552",      "",                 Never),         # RFC 1870 6.1: too large
    ((OWN_MAIL,),     "5..",      r"5\.3\.4",         Never),         # RFC 3463 3.4: too large
    ((OWN_MAIL,),     "5..",      "",                 ConfigTrouble), # RFC 5321 3.3: our sender
    ((RCPT,),         "552",      "",                 NotNow),        # RFC 5321 4.5.3.1.10
    (ANY,             "4..",      "",                 NotNow),        # RFC 5321 4.2.1
    (ANY,             "5..",      "",                 Never),         # RFC 5321 4.2.1
    )

# -----------------------------------------------------------------------------
def judge(reply, own_sender=True):
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
        return RelayTrouble(reply)
    if reply.code // 100 == (3 if reply.phase == DATA else 2):
        return None

    phase = OWN_MAIL if reply.phase == MAIL and own_sender else reply.phase
    for phases, code, enhanced, meaning in MEANING:
        if phase in phases and re.fullmatch(code, str(reply.code)) and \
           re.match(enhanced and enhanced + r"\b", reply.text):
            return meaning(reply)

    # No code of SMTP's: nobody knows what that is
    return RelayTrouble(reply)

# -----------------------------------------------------------------------------
def next_try(delivery, now, chance, shortest=300, longest=14400, lifetime=432000):
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
def next_probe(probes, shortest=30, longest=300):
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
