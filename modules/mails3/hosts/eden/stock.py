# -*- coding: utf-8 -*-

"""
    Stock Eden: whether it can send mail when MailS3 has left

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import copy
import inspect

from gluon import current

from ...admin.status import Status
from ...clock import utcnow
from ...states import brief
from .channel import has_messages

__all__ = ("fault_of_eden", "obstacle_of_site")

# -----------------------------------------------------------------------------
def fault_of_eden(mail):
    """
        Why this Eden can never send mail by itself
        - Eden's own method is tried, with a Mail that takes what Eden's Mail
          takes and sends nothing: a version number would not tell whether the
          site has repaired its Eden or its web2py

        Args:
            mail: the EdenMail

        Returns:
            a sentence (str), None if Eden can send mail
    """

    if not has_messages():
        return "Without MailS3, Eden sends no queued mail here: its module msg is disabled."

    trial = copy.copy(mail.eden_mail)
    signature = inspect.signature(trial.send)
    trial.send = lambda *args, **kwargs: bool(signature.bind(*args, **kwargs))

    replaced, current.mail = current.mail, trial
    try:
        # As S3Msg.process_outbox() calls it; that takes an exception for a refusal
        is_sent = current.msg.send_email("nobody@example.invalid", "Subject", "Text",
                                         sender="", attachments=[])
        reason = "S3Msg.send_email() returns %r" % is_sent
    except Exception as error:
        is_sent, reason = False, brief(error)
    finally:
        current.mail = replaced
    return None if is_sent else "Without MailS3, Eden can not send mail here (%s)." % reason

# -----------------------------------------------------------------------------
def obstacle_of_site(mail):
    """
        Why stock Eden would not get rid of the mail now: it gives up each mail
        after some attempts, within an hour, and knows no pause

        Args:
            mail: the EdenMail

        Returns:
            a sentence (str), None if nothing is known to be wrong
    """

    if not mail.configured("sender"):
        return "Eden sends no mail without a sender (settings.mail.sender)."
    problems = [problem for problem in Status(mail, utcnow()).holding
                if problem.kind != "worker"]
    return "%s." % problems[0].title if problems else None

# END =========================================================================
