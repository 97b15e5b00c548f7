# -*- coding: utf-8 -*-

"""
    A message that goes to somebody else than its recipients (setting redirect_to)

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from dataclasses import replace

__all__ = ("redirected",)

# The headers that name recipients (RFC 5322 sections 3.6.3 and 3.6.6), in lower case:
# programs that read a mail from a mailbox and send it on go by them
RECIPIENT_HEADERS = ("to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc")

# -----------------------------------------------------------------------------
def redirected(message, address):
    """
        A message for another recipient in place of its own, who are named in
        headers X-Original-To, X-Original-Cc, X-Original-Bcc

        Args:
            message: the Message
            address: of the one who gets it (str)

        Returns:
            a new Message
    """

    originals = {"to": message.to, "cc": message.cc, "bcc": message.bcc}
    headers = {}
    for name, text in message.headers.items():
        if name.lower() in RECIPIENT_HEADERS:
            # A header of the call goes before the argument, as in Mail.send
            originals[name.lower()] = [text]
        else:
            headers[name] = text
    for name, texts in originals.items():
        if texts:
            headers["X-Original-%s" % name.title()] = ", ".join(texts)
    return replace(message, to=[address], cc=[], bcc=[], recipients=[address], headers=headers)

# END =========================================================================
