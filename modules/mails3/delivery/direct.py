# -*- coding: utf-8 -*-

"""
    Messages that are sent without the queue

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging

from dataclasses import replace
from typing import NamedTuple

from ..clock import utcnow
from ..message.call import carries_credentials
from ..message.stored import Message
from ..policy import is_in_doubt
from ..queue.captured import store_captured
from ..queue.database import has_written, own_connection, savepoint
from ..replies import ChannelFailure, DeliveryError, PermanentFailure, Throttled, \
                      TransientFailure
from ..settings_file import complain_once
from ..smtp.waits import run
from ..states import brief
from .capture import Capture
from .outgoing import by_script
from .transport import Transport

__all__ = ("Direct", "as_refusal", "count_direct", "send_directly")

log = logging.getLogger("web2py.mails3")

# How many replies a message may wait for in all
DIRECT_REPLIES = 6

# =============================================================================
class Direct(NamedTuple):
    """ A message that is sent without the queue; as Outgoing, for Transport """

    message: Message
    message_id_header: str
    recipients: list
    is_secret: bool = False

# -----------------------------------------------------------------------------
def send_directly(mail, direct, timeout_s, remote_server=None):
    """
        Send a message now, without the queue
        - it waits for no limit, and counts for all of them

        Args:
            mail: the MailS3
            direct: the Direct
            timeout_s: the longest wait for one reply (seconds)
            remote_server: a live connection of the caller's, to be used

        Returns:
            dict {recipient: None if accepted, else the DeliveryError}; for a
            captured message as if it was accepted

        Raises:
            Exception: the message was not handed over
    """

    capture = Capture(mail.options)
    reasons = {address: capture.reason(address) for address in direct.recipients}
    captured = {address: reason for address, reason in reasons.items() if reason}
    if captured:
        keep_captured(mail, direct, captured)
    others = [address for address in direct.recipients if address not in captured]
    return {**dict.fromkeys(captured),
            **(hand_over_all(mail, direct._replace(recipients=others), timeout_s, remote_server)
               if others else {})}

# -----------------------------------------------------------------------------
def keep_captured(mail, direct, reasons):
    """
        Keep a message in place of sending it, whether or not the caller's
        transaction is undone, as it would have been sent; logs a failure

        Args:
            mail: the MailS3
            direct: the Direct
            reasons: why, by recipient (dict {address: text})
    """

    message = direct.message
    try:
        if carries_credentials(message.options):
            raise ValueError("it has a key or a passphrase")
        with savepoint(mail.db, "mails3_capture") if has_written(mail.db) \
                else own_connection(mail.db):
            store_captured(mail.channel().tables,
                           replace(message, recipients=list(reasons)),
                           direct.message_id_header, utcnow(), reasons,
                           secret = direct.is_secret,
                           )
    except Exception as error:
        log.warning("A mail that was to be sent directly is captured, and can't be kept (%s).",
                    brief(error))

# -----------------------------------------------------------------------------
def hand_over_all(mail, direct, timeout_s, remote_server):
    """ Hand a message over, by the relays in their order; as send_directly() """

    outcome, failure = {}, TransientFailure("Time ran short")
    for relay in relays_for(mail, remote_server):
        recipients = [address for address in direct.recipients if address not in outcome and
                      (relay is None or relay.takes(address))]
        if not recipients:
            continue
        transport = Transport(mail, timeout_s, relay and relay.settings, remote_server)
        try:
            for part in [recipients] if mail.options.redirect_to else by_script(recipients, str):
                hand_over(transport, direct._replace(recipients=part), timeout_s, outcome)
                if not mail.is_counted:
                    count_direct(mail, len(part), relay)
        except (ChannelFailure, Throttled) as error:
            failure = error
            if is_in_doubt(error):
                break
        else:
            complain_of_certificate(transport)
        finally:
            transport.close()
    if not outcome:
        raise failure
    for address in direct.recipients:
        outcome.setdefault(address, failure)
    return outcome

# -----------------------------------------------------------------------------
def complain_of_certificate(transport):
    """ Log, once, that a certificate that the Transport has met is not verified """

    for relay, finding in transport.findings():
        if finding.is_told:
            complain_once("The certificate of %s is not verified: %s." % (relay, finding.text))

# -----------------------------------------------------------------------------
def relays_for(mail, remote_server):
    """
        The relays to try for a message that is sent directly, one after the other

        Args:
            mail: the MailS3
            remote_server: as for send_directly()

        Returns:
            list of Relay, those first that are known to work; [None] = the first
            relay alone
    """

    if remote_server or not mail.options.relays or \
       mail.configured("server") != mail.settings.server:
        # What a request has changed in mail.settings is for its messages alone
        return [None]
    try:
        now = utcnow()
        # PostgreSQL would undo the caller's transaction if that failed
        with savepoint(mail.db, "mails3_relays"):
            return sorted(mail.channel().relays, key = lambda relay: not relay.is_usable(now))
    except Exception as error:
        # The direct way is also the way out where the database fails
        log.warning("The other mail servers are not tried (%s).", brief(error))
        return [None]

# -----------------------------------------------------------------------------
def hand_over(transport, direct, timeout_s, outcome):
    """
        Hand a message over by a Transport

        Args:
            transport: the Transport
            direct: the Direct
            timeout_s: as for send_directly()
            outcome: dict {recipient: None if accepted, else the DeliveryError} of
                     other recipients, who may have the message already; those of
                     the Direct are added

        Raises:
            ChannelFailure, Throttled: there was no session
            Exception: as send_directly(), if there are no others
    """

    try:
        outcome.update(run(transport.sending(0, direct, DIRECT_REPLIES * timeout_s)))
    except (ChannelFailure, Throttled):
        raise
    except Exception as error:
        if not outcome:
            raise
        outcome.update(dict.fromkeys(direct.recipients, as_refusal(error)))

# -----------------------------------------------------------------------------
def as_refusal(error):
    """ The DeliveryError for an exception """

    return error if isinstance(error, DeliveryError) else PermanentFailure(brief(error))

# -----------------------------------------------------------------------------
def count_direct(mail, recipients, relay=None):
    """
        Count a message that was handed over directly, for the limits of the site
        and of the host; a failure is logged

        Args:
            mail: the MailS3
            recipients: how many the message has
            relay: the Relay; None = the first one
    """

    try:
        relay = relay or mail.channel().relay
        channel = relay.channel
        if not relay.options.rate and not channel.host_limits:
            return
        # The message has gone, also if the caller's transaction is undone; and no
        # worker is to wait for the end of that. SQLite has one writer only.
        with savepoint(mail.db, "mails3_count") if has_written(mail.db) \
                else own_connection(mail.db):
            now = channel.shared_clock()
            relay.allowance(now()).count(recipients)
    except Exception as error:
        log.warning("A mail that was sent directly is not counted (%s).", brief(error))

# END =========================================================================
