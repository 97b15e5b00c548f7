# -*- coding: utf-8 -*-

"""
    Ask the relay whether it would take a message, without a message

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from .dialogue import Dialogue, Envelope
from .waits import run
from ..replies import classify

__all__ = ("try_envelope",)

# The phase of RSET where no message was begun
RESET = "RSET"

# -----------------------------------------------------------------------------
def try_envelope(session, sender, recipient, within_s):
    """
        Ask whether the relay would take a message: MAIL, RCPT, RSET; blocks

        Args:
            session: the Session, which is opened
            sender: a bare address (str)
            recipient: a bare address (str)
            within_s: the time for all of it (seconds)

        Raises:
            DeliveryError: the relay refuses, or the session can't be opened
    """

    session.open(within_s)
    exchange, clock = session.client.exchange, session.clock
    # Without extensions, each group is one command
    for group in Dialogue(Envelope(sender, [recipient], ""), {}).groups:
        reply, = run(exchange(group), clock)
        error = classify(reply)
        if error:
            raise error
    run(exchange([(RESET, b"RSET\r\n")]), clock)

# END =========================================================================
