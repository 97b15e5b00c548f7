# -*- coding: utf-8 -*-

"""
    Messages that are sent without the queue

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging

from typing import NamedTuple

from ..message.stored import Message
from ..queue.database import has_written, own_connection, savepoint
from ..replies import TransientFailure
from ..settings import complain_once
from ..smtp.waits import run
from ..states import brief
from .allowance import Allowance
from .transport import Transport

__all__ = ("Direct", "count_direct", "send_directly")

log = logging.getLogger("web2py.mails3")

# How many replies a message may wait for in all
DIRECT_REPLIES = 6

# =============================================================================
class Direct(NamedTuple):
    """ A message that is sent without the queue; as Outgoing, for Transport """

    message: Message
    message_id_header: str
    recipients: list

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
            dict {recipient: None if accepted, else the DeliveryError}

        Raises:
            Exception: the message was not handed over
    """

    transport = Transport(mail, timeout_s, remote_server)
    try:
        outcome = run(transport.sending(0, direct, DIRECT_REPLIES * timeout_s))
        for relay, finding in transport.findings():
            if finding.is_told:
                complain_once("The certificate of %s is not verified: %s." % (relay, finding.text))
    finally:
        transport.close()
    for address in direct.recipients:
        outcome.setdefault(address, TransientFailure("Time ran short"))
    if not mail.is_counted:
        count_direct(mail, len(direct.recipients))
    return outcome

# -----------------------------------------------------------------------------
def count_direct(mail, recipients):
    """
        Count a message that was handed over directly, for the limits of the site
        and of the host; a failure is logged

        Args:
            mail: the MailS3
            recipients: how many the message has
    """

    try:
        channel = mail.channel()
        if not channel.options.rate and not channel.host_limits:
            return
        # The message has gone, also if the caller's transaction is undone; and no
        # worker is to wait for the end of that. SQLite has one writer only.
        with savepoint(mail.db, "mails3_count") if has_written(mail.db) \
                else own_connection(mail.db):
            now = channel.shared_clock()
            Allowance.at(channel, channel.row.read(), now()).count(recipients)
    except Exception as error:
        log.warning("A mail that was sent directly is not counted (%s).", brief(error))

# END =========================================================================
