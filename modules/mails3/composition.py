# -*- coding: utf-8 -*-

"""
    Composition: how a stored message becomes a mail is Mail.send's own work,
    in both dialects, with stand-ins for what it would connect by

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import re

from email.errors import MessageError
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import Compat32
from functools import partial
from types import FunctionType

from gluon.tools import Mail

from .policy import Never, NotNow

__all__ = ("UNFOLDED", "compose", "substitute")

# What the email package raises over a message that it can not write
UNFIT = (MessageError, ValueError, TypeError, AttributeError)

# RFC 5322 section 2.1.1, without the line's end
LONGEST_LINE = 998

# -----------------------------------------------------------------------------
def compose(mail, submission, message_id, sender):
    """
        Compose a message: Mail.send's own work, with a stand-in for
        smtplib that takes what it would send

        Args:
            mail: the MailS3
            submission: the Submission
            message_id: its Message-ID
            sender: the header text

        Returns:
            the message (str or bytes), or None if Mail.send has
            delivered it by itself

        Raises:
            NotNow, Never: it can't be composed
    """

    arguments = submission.arguments()
    arguments["sender"] = sender
    headers = arguments["headers"]
    if not any(name.lower() == "message-id" for name in headers):
        headers["Message-ID"] = message_id

    composer = Composer()
    send = substitute(Mail.send, smtplib=composer, MIMEText=text_part,
                      MIMEMultipart=partial(MIMEMultipart, policy=UNFOLDED))
    try:
        composed = send(mail, **arguments)
    except Exception as error:
        raise Never("The message can not be composed (%s)" %
                    type(error).__name__) from None
    if not composed:
        # An exception is about the message; a text is about gpg or x509,
        # which the admin may repair
        kind = Never if isinstance(mail.error, UNFIT) else NotNow
        raise kind("The message can not be composed: %s" % mail.error)
    return folded(composer.content)

# -----------------------------------------------------------------------------
def folded(content):
    """
        A message whose header lines are as short as they must be: Mail.send
        writes all recipients into one (RFC 5322 sections 2.1.1 and 2.2.3)

        Args:
            content: the message; bytes are signed, and stay as they are

        Returns:
            the message
    """

    if not isinstance(content, str):
        return content
    head, blank, body = content.partition("\n\n")
    lines = []
    for line in head.split("\n"):
        while len(line) > LONGEST_LINE:
            end = line.rfind(" ", 1, LONGEST_LINE)
            if end < 0:
                break
            lines.append(line[:end])
            line = line[end:]
        lines.append(line)
    return "\n".join(lines) + blank + body

# -----------------------------------------------------------------------------
def substitute(function, **names):
    """
        The same function, with stand-ins for names of its module
        - it is itself left alone: other threads and other apps use it, too
    """

    same = FunctionType(function.__code__,
                        dict(function.__globals__, **names),
                        function.__name__,
                        function.__defaults__,
                        function.__closure__,
                        )
    same.__kwdefaults__ = function.__kwdefaults__
    return same

# =============================================================================
class Composer:
    """
        Stands for smtplib while Mail.send composes: catches what it would
        send
    """

    SMTPException = Exception

    def __init__(self):

        self.content = None

    # -------------------------------------------------------------------------
    def SMTP(self, *args, **kwargs):

        return self

    SMTP_SSL = SMTP

    def sendmail(self, sender, recipients, content):

        self.content = content
        return {}

    def ehlo(self, *args):
        pass

    starttls = login = quit = close = ehlo

# =============================================================================
class Unfolded(Compat32):
    """
        The email package's own policy, which takes no detour for a header line
        that it writes as it is: half of what composing a mail costs
    """

    AS_IT_IS = re.compile(r"[!-~](?:[ -~]*[!-~])?")

    # -------------------------------------------------------------------------
    def fold(self, name, value):

        if not self.max_line_length and isinstance(value, str) and \
           self.AS_IT_IS.fullmatch(value):
            return "%s: %s%s" % (name, value, self.linesep)
        return super().fold(name, value)

UNFOLDED = Unfolded()

# -----------------------------------------------------------------------------
def text_part(text, *args, **kwargs):
    """ MIMEText, also for the bytes that web2py 2.x makes of a raw message """

    if isinstance(text, bytes):
        text = text.decode("utf-8")
    return MIMEText(text, *args, policy=UNFOLDED, **kwargs)

# END =========================================================================
