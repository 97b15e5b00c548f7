# -*- coding: utf-8 -*-

"""
    What a failure means and what happens next: every "should we?"

    Pure decisions: no clock, no database, no connection, no hidden
    randomness. Whom a failure concerns decides what waits for it (as in
    Postfix): the configuration, the relay, or the message alone.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

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
def judge(reply, own_sender=True):
    """
        Tell what a reply means, by how far its reason reaches

        Args:
            reply: the Reply
            own_sender: the envelope sender is the configured one, not one
                        that came with the message

        Returns:
            the DeliveryError to act on, or None if the relay agreed
            (RFC 5321 section 4.2.1: 2yz and 3yz are positive)
    """

    phase, code = reply.phase, reply.code

    if code is not None and 200 <= code < 400:
        return None

    # No answer, or service not available (RFC 5321 section 3.8)
    if code is None or code == 421:
        return RelayTrouble(reply)

    permanent = code >= 500

    # Whatever is refused before MAIL concerns every message alike
    if phase in (CONNECT, EHLO):
        return RelayTrouble(reply)
    if phase == STARTTLS:
        return ConfigTrouble(reply)
    if phase == AUTH:
        # RFC 4954 section 6: 454 is temporary, 535 and the other 5yz are not
        return LoginRefused(reply) if permanent else RelayTrouble(reply)

    # Authentication required (RFC 4954 section 6), in any later phase
    if code == 530:
        return ConfigTrouble(reply)

    if phase == MAIL and permanent and own_sender and code != 552:
        # 552 is the message's size (RFC 1870 section 6.1), all others
        # are the sender, which all messages share
        return ConfigTrouble(reply)

    return Never(reply) if permanent else NotNow(reply)

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
