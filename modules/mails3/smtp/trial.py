# -*- coding: utf-8 -*-

"""
    Ask the relay whether it would take a message, without a message

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from .envelope import Envelope, envelope_commands
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
    # The size of the message that is not sent says nothing
    extensions = {"smtputf8"}.intersection(session.client.extensions)
    for each in envelope_commands(Envelope(sender, [recipient], ""), b"", extensions):
        reply, = run(exchange([each]), clock)
        error = classify(reply)
        if error:
            raise error
    run(exchange([(RESET, b"RSET\r\n")]), clock)

# END =========================================================================
