# -*- coding: utf-8 -*-

"""
    MailS3: an outbound mail queue for web2py applications

    MailS3.send() reads the call (submission), and puts it into the outbox
    within the caller's transaction, one delivery per recipient. A task of
    the scheduler drains what is new, another retries what was refused
    (delivery): claim and commit, have Mail.send compose it (mail), hand it
    to the relay (smtp), settle and commit. What a failure means is decided
    in one place (policy): the message waits, or ends, or all mail is held
    until the relay or the configuration (relay) works again.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging

from .mail import MailS3
from .states import one_line

__all__ = ("MailS3",)

# -----------------------------------------------------------------------------
def on_one_line(record):
    """ A filter of the log: what others have said steers no terminal, forges no line """

    record.msg, record.args = one_line(record.getMessage()), ()
    return True

# web2py imports a module anew when its file has changed
logging.getLogger("web2py.mails3").filters[:] = [on_one_line]

# END =========================================================================
