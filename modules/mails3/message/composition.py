# -*- coding: utf-8 -*-

"""
    Composition: how a stored message becomes a mail is Mail.send's own work,
    in both dialects, with stand-ins for what it would connect by

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from email import message_from_string
from email.errors import MessageError
from email.message import Message as MimePart
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from functools import partial
from types import FunctionType

from gluon.tools import Mail

from .header import FOLDED, LONGEST_LINE
from ..policy import InternalFailure, PermanentFailure, TransientFailure

__all__ = ("compose", "substitute")

# What the email package raises over a message that it can not write, and what
# it raises over a fault of its own, of Mail.send's or of ours
UNFIT = (MessageError, UnicodeError)
FAULTS = (ValueError, TypeError, AttributeError, LookupError)

# -----------------------------------------------------------------------------
def compose(mail, submission, message_id_header, sender):
    """
        Compose a message: Mail.send's own work, with a stand-in for
        smtplib that takes what it would send

        Args:
            mail: the MailS3
            submission: the Message
            message_id_header: its Message-ID
            sender: the header text

        Returns:
            the message (str or bytes), or None if Mail.send has
            delivered it by itself

        Raises:
            TransientFailure, Never, InternalFailure: it can't be composed
    """

    arguments = submission.arguments()
    arguments["sender"] = sender
    headers = arguments["headers"]
    if not any(name.lower() == "message-id" for name in headers):
        headers["Message-ID"] = message_id_header

    composer = Composer()
    send = substitute(Mail.send, smtplib=composer, **MAKERS)
    try:
        composed, error = send(mail, **arguments), mail.error
    except Exception as failure:
        composed, error = False, failure
    if not composed:
        if isinstance(error, UNFIT):
            raise PermanentFailure("The message can not be composed (%s)" % type(error).__name__)
        if isinstance(error, FAULTS):
            raise InternalFailure("The message can not be composed (%s)" % type(error).__name__)
        # About gpg or x509, which the admin may repair
        raise TransientFailure("The message can not be composed: %s" % error)
    return composer.content

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
class Once:
    """ A mail: what may be there only once (RFC 5322 section 3.6), is """

    ONCE = ("date", "from", "sender", "reply-to", "to", "cc", "bcc", "message-id",
            "in-reply-to", "references", "subject")

    def __setitem__(self, name, value):

        if name.lower() in self.ONCE:
            # The additional headers come last: to refine the others, web2py says
            del self[name]
        super().__setitem__(name, value)

class Multipart(Once, MIMEMultipart):
    """ A mail in parts """

class Text(Once, MIMEText):
    """ A mail that is a text """

class Parsed(Once, MimePart):
    """ A mail that was read anew, after x509 """

# -----------------------------------------------------------------------------
def text_part(text, subtype="plain", _charset=None):
    """ MIMEText, also for what web2py makes of a raw message """

    if isinstance(text, bytes):
        # In 2.x
        text = text.decode("utf-8")
    if _charset is None and any(len(line) > LONGEST_LINE for line in text.split("\n")):
        # Else it would be sent as it is, and refused
        _charset = "utf-8"
    return Text(text, subtype, _charset, policy=FOLDED)

# What Mail.send makes a mail of, for lines as short as they must be
MAKERS = {"MIMEText": text_part,
          "MIMEMultipart": partial(Multipart, policy=FOLDED),
          "message_from_string": partial(message_from_string, _class=Parsed, policy=FOLDED),
          }

# END =========================================================================
