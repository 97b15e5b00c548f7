# -*- coding: utf-8 -*-

"""
    MailS3: an outbound mail queue for web2py applications

    MailS3.send() reads the call (message/call.py), and puts the message into
    the outbox within the caller's transaction, one delivery per recipient
    (queue/enqueue.py). One task of the scheduler drains the new deliveries,
    another one retries the deferred ones (delivery/worker.py): claim and
    commit, compose by Mail.send (message/composition.py), hand over to the
    relay (smtp/session.py), write the result and commit. One module decides
    what a failure means (replies.py, policy.py): the delivery is deferred, or comes to its
    end, or the breaker trips (delivery/breaker.py), and all mail waits until
    the relay or the configuration works again.

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
