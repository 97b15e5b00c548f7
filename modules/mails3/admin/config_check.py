# -*- coding: utf-8 -*-

"""
    The config check: the dialogue with the relay, without a message

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from ..delivery.configuration import Configuration
from ..message.address import BadInput, address_of
from ..replies import RCPT, WANTS_LESS, ChannelFailure, ConfigurationFailure, DeliveryError, \
                      Throttled
from ..smtp.session import Session
from ..smtp.trial import try_envelope
from ..smtp.verification import forget

__all__ = ("check_configuration", "first_failure", "refuses_recipient", "works")

# The longest time that a person waits for one reply, and for all (seconds)
MAX_REPLY_S, MAX_TOTAL_S = 5, 20

# -----------------------------------------------------------------------------
def check_configuration(mail, recipient=None):
    """
        Try the configuration of each relay: have a token if the login is by OAuth,
        connect, EHLO, TLS, login, MAIL, RCPT, RSET; no message is sent

        Args:
            mail: the MailS3
            recipient: the address to name at RCPT (str); None = the sender's

        Returns:
            list of the steps taken, up to the first one that failed with each
            relay, as step_of() returns them

        Raises:
            BadInput: the recipient is not an address
    """

    recipient = address_of(recipient) if recipient else None
    return [step for relay in (None, *mail.options.relays)
            for step in check_relay(mail, relay, recipient)]

# -----------------------------------------------------------------------------
def check_relay(mail, relay_settings, recipient):
    """
        Try the configuration of one relay

        Args:
            mail: the MailS3
            relay_settings: those of a further relay; None = the first one
            recipient: the address to name at RCPT (str); None = the sender's

        Returns:
            list of the steps, as check_configuration()
    """

    configuration, relay = Configuration(mail, relay_settings), relay_settings and \
        relay_settings.name
    if configuration.is_native():
        return [step_of("configuration", None,
                        "mail.settings.server is %r here: there is no mail server "
                        "to try" % mail.settings.server)]
    steps, session = [], None
    try:
        sender = sender_of(mail.settings)
        server = configuration.server()
        forget(server)
        session = Session(server, min(MAX_REPLY_S, mail.options.reply_timeout),
                          observe = lambda reply, error, seconds: steps.append(
                              step_of(reply.phase, reply.code, reply.text, error, seconds,
                                      relay)))
        try_envelope(session, sender, recipient or sender, MAX_TOTAL_S)
    except DeliveryError as error:
        if not steps or steps[-1]["good"]:
            # It failed before the relay was asked
            steps.append(step_of(error.phase or "configuration", error.code, error.text, error,
                                 relay=relay))
    finally:
        if session:
            session.close()
    return steps

# -----------------------------------------------------------------------------
def sender_of(settings):
    """ The address of the configured sender (str); raises ConfigurationFailure """

    try:
        return address_of(settings.sender)
    except BadInput:
        raise ConfigurationFailure("No sender configured, or it is no address") from None

# -----------------------------------------------------------------------------
def step_of(phase, code, text, error=None, seconds=0, relay=None):
    """
        One step of the check, for page and command line

        Args:
            phase: the phase of the dialogue, or "configuration"
            code: the relay's code (int); None = it did not answer
            text: the relay's words, or ours
            error: the DeliveryError; None = the step is good
            seconds: how long the step took
            relay: the name of a further relay; None = the first one

        Returns:
            dict {"relay", "phase", "good": bool, "recipient": whether the relay refuses
            this recipient and no other, "code", "reply", "seconds"}
    """

    is_throttled = isinstance(error, Throttled)
    is_refused = error is not None and not (is_throttled or isinstance(error, ChannelFailure))
    return {"relay": relay,
            "phase": phase,
            "good": error is None,
            "recipient": phase == RCPT and is_refused,
            "code": code,
            "reply": "%s (%s)" % (WANTS_LESS, text) if is_throttled else text,
            "seconds": round(seconds, 3),
            }

# -----------------------------------------------------------------------------
def works(steps):
    """ Whether the configuration works (steps: as from check_configuration) """

    return all(step["good"] or step["recipient"] for step in steps)

# -----------------------------------------------------------------------------
def refuses_recipient(steps):
    """ Whether a relay refuses the recipient that was named, and no other """

    return any(step["recipient"] for step in steps)

# -----------------------------------------------------------------------------
def first_failure(steps):
    """ The step that tells what is wrong (steps: as from check_configuration), or None """

    bad = [step for step in steps if not step["good"]]
    return next((step for step in bad if not step["recipient"]), bad[0] if bad else None)

# END =========================================================================
