# -*- coding: utf-8 -*-

"""
    Composition: Mail.send makes a mail of a stored message, in each version of
    web2py; a stand-in for smtplib takes the mail in place of a server

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from email import message_from_string
from email.errors import MessageError
from email.message import Message as MimePart
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from functools import lru_cache, partial
from types import FunctionType

from gluon.tools import Mail

from .address import Mailbox, in_ascii, read_mailbox
from .content import has_header
from .header import ADDRESS_HEADERS, FOLDED, FOLDED_UTF8, MAX_LINE_CHARS
from ..replies import InternalFailure, PermanentFailure, TransientFailure

__all__ = ("compose", "substitute")

# Errors of the email package about a message that it can not write; and errors
# that come from a mistake in its code, in Mail.send or in ours
MESSAGE_ERRORS = (MessageError, UnicodeError)
CODE_ERRORS = (ValueError, TypeError, AttributeError, LookupError)

# -----------------------------------------------------------------------------
def compose(mail, message, message_id_header, sender, is_utf8=False):
    """
        Have Mail.send compose a message

        Args:
            mail: the MailS3
            message: the Message
            message_id_header: its Message-ID, unless its headers have one
            sender: the sender, as header text
            is_utf8: headers have addresses in UTF-8, if they are not ASCII
                     (RFC 6532); else ASCII readers are shown these addresses
                     as far as that is possible

        Returns:
            the mail (str or bytes); None if Mail.send has delivered it
            itself (see mail.settings.server)

        Raises:
            PermanentFailure: it can not become a mail
            TransientFailure: gpg or x509 failed
            InternalFailure: a mistake in the code
    """

    arguments = message.arguments()
    arguments["sender"] = sender
    if not is_utf8:
        make_ascii(arguments)
    headers = arguments["headers"]
    if not has_header(headers, "Message-ID"):
        headers["Message-ID"] = message_id_header

    composer = Composer()
    send = substitute(Mail.send, smtplib=composer, **makers(FOLDED_UTF8 if is_utf8 else FOLDED))
    try:
        composed, error = send(mail, **arguments), mail.error
    except Exception as failure:
        composed, error = False, failure
    if not composed:
        if isinstance(error, MESSAGE_ERRORS):
            raise PermanentFailure("The message can not be composed (%s)" % type(error).__name__)
        if isinstance(error, CODE_ERRORS):
            raise InternalFailure("The message can not be composed (%s)" % type(error).__name__)
        # An error of gpg or x509, which an admin can repair
        raise TransientFailure("The message can not be composed: %s" % error)
    return composer.content

# -----------------------------------------------------------------------------
def make_ascii(arguments):
    """
        Write the addresses of a message in ASCII: it goes to people whose mail
        servers may not take anything else

        Args:
            arguments: as for Mail.send, with an ASCII sender (dict, is changed)
    """

    for name in ("to", "cc", "reply_to"):
        if name in arguments:
            arguments[name] = list(map(in_ascii, arguments[name]))
    headers = arguments["headers"]
    headers.update((name, in_ascii(text)) for name, text in headers.items()
                   if name.lower() in ADDRESS_HEADERS)
    from_address = arguments.get("from_address")
    if from_address and not from_address.isascii():
        # Mail servers refuse a From: without an address
        name, address = read_mailbox(from_address)
        arguments["from_address"] = str(Mailbox(name or address,
                                                read_mailbox(arguments["sender"]).address))

# -----------------------------------------------------------------------------
def substitute(function, **names):
    """
        A copy of a function, with other values for some names of its module
        - the function itself is not changed: other threads and apps use it

        Args:
            function: the function
            names: the values, by name

        Returns:
            the copy
    """

    copy = FunctionType(function.__code__,
                        dict(function.__globals__, **names),
                        function.__name__,
                        function.__defaults__,
                        function.__closure__,
                        )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy

# =============================================================================
class Composer:
    """ A stand-in for smtplib: keeps the mail that Mail.send would send """

    SMTPException = Exception

    def __init__(self):

        self.content = None

    # -------------------------------------------------------------------------
    def SMTP(self, *args, **kwargs):
        """ The connection is this object as well """

        return self

    SMTP_SSL = SMTP

    # -------------------------------------------------------------------------
    def sendmail(self, sender, recipients, content):
        """ Keep the mail; no recipient is refused """

        self.content = content
        return {}

    # -------------------------------------------------------------------------
    def ehlo(self, *args):
        """ Nothing to do without a server """

    starttls = login = quit = close = ehlo

# =============================================================================
class Once:
    """ A mail that has each of these headers only once (RFC 5322 section 3.6) """

    ONCE = ("date", "from", "sender", "reply-to", "to", "cc", "bcc", "message-id",
            "in-reply-to", "references", "subject")

    def __setitem__(self, name, value):

        if name.lower() == "list-unsubscribe" and name in self:
            # RFC 2369 section 2: once. That of a call goes before list_unsubscribe,
            # which may be the site's.
            return
        if name.lower() in self.ONCE:
            # Mail.send adds the argument headers last: they replace its own
            del self[name]
        super().__setitem__(name, value)

class Multipart(Once, MIMEMultipart):
    """ A mail in parts """

class Text(Once, MIMEText):
    """ A mail that is a text """

class Parsed(Once, MimePart):
    """ A mail that Mail.send has parsed again, after x509 """

# -----------------------------------------------------------------------------
def text_part(text, subtype="plain", _charset=None, policy=FOLDED):
    """ In place of MIMEText; also takes the raw message of web2py 2.x, which is bytes """

    if isinstance(text, bytes):
        text = text.decode("utf-8")
    if _charset is None and any(len(line) > MAX_LINE_CHARS for line in text.split("\n")):
        # Without an encoding the long line would be sent, and refused
        _charset = "utf-8"
    return Text(text, subtype, _charset, policy=policy)

# -----------------------------------------------------------------------------
@lru_cache()
def makers(policy):
    """
        The classes and functions with which Mail.send makes a mail, by the names
        that it knows them by: their header lines have the permitted length

        Args:
            policy: FOLDED or FOLDED_UTF8
    """

    return {"MIMEText": partial(text_part, policy=policy),
            "MIMEMultipart": partial(Multipart, policy=policy),
            "message_from_string": partial(message_from_string, _class=Parsed, policy=policy),
            }

# END =========================================================================
