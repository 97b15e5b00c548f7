# -*- coding: utf-8 -*-

"""
    The bytes that a relay has sent, until they are a whole reply

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

__all__ = ("ReplyBuffer",)

# The longest line of a reply (bytes): smtplib's own limit
LINE_BYTES = 8192

# =============================================================================
class ReplyBuffer:
    """ The bytes received; what smtplib needs of a file: readline() and close() """

    def __init__(self):

        self.received = b""
        self.is_ended = False # the relay has closed

    # -------------------------------------------------------------------------
    def add(self, received):
        """
            Add bytes

            Args:
                received: what recv() has returned; empty = the relay has closed
        """

        self.received += received
        self.is_ended = not received

    # -------------------------------------------------------------------------
    def has_reply(self):
        """ Whether smtplib can read a whole reply, or no reply can come any more """

        start = 0
        while True:
            end = self.received.find(b"\n", start) + 1
            line = self.received[start:end or None]
            if len(line) > LINE_BYTES:
                # smtplib refuses the line
                return True
            if not end:
                return self.is_ended
            if is_last_line(line):
                return True
            start = end

    # -------------------------------------------------------------------------
    def readline(self, limit):
        """
            Take one line

            Args:
                limit: its greatest length (bytes)

            Returns:
                bytes; without a line end if the relay has closed, or if the
                line is longer
        """

        line = self.received[:self.received.find(b"\n") + 1 or None][:limit]
        self.received = self.received[len(line):]
        return line

    # -------------------------------------------------------------------------
    def close(self):
        """ Forget the bytes """

        self.received = b""

# -----------------------------------------------------------------------------
def is_last_line(line):
    """ Whether a line ends a reply (RFC 5321 section 4.2.1), as smtplib reads it """

    try:
        int(line[:3])
    except ValueError:
        # No reply at all: smtplib stops there
        return True
    return line[3:4] != b"-"

# END =========================================================================
