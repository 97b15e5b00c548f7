# -*- coding: utf-8 -*-

"""
    The envelope of a message and its content, in the words of SMTP

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import re

from typing import NamedTuple, Union

from ..replies import MAIL, RCPT, ConfigurationFailure, PermanentFailure

__all__ = ("Envelope", "as_lines", "asks_dsn", "dotted", "envelope_commands", "needs_utf8",
           "refuses_utf8")

# RFC 6531 section 3.5: addresses that are not ASCII are not permitted
NO_UTF8 = re.compile(r"5\.6\.7\b")

# RFC 3461 section 5.4
MAX_ENVELOPE_ID_CHARS = 100

# =============================================================================
class Envelope(NamedTuple):
    """ Sender and recipients of one transaction, with the content (RFC 5321 section 2.3.1) """

    sender: str              # a bare address; empty: nobody is to be told of a failure
    recipients: list         # bare addresses
    content: Union[str, bytes]
    own_sender: bool = True  # the sender is the configured one
    notify: str = ""         # RFC 3461 section 4.1: what the sender is to be told of
    envelope_id: str = ""    # RFC 3461 section 4.4: by which the sender knows the message

# -----------------------------------------------------------------------------
def envelope_commands(envelope, lines, extensions):
    """
        The commands about an envelope: MAIL and RCPT

        Args:
            envelope: the Envelope
            lines: its content, as from as_lines()
            extensions: the names of the relay's extensions (lower case)

        Returns:
            list of tuples (phase, command in bytes)

        Raises:
            PermanentFailure: an address can't be sent, or the relay does not
                              take addresses that are not ASCII
            ConfigurationFailure: the configured sender is such an address
    """

    sender, recipients = envelope.sender, envelope.recipients
    is_utf8 = needs_utf8(sender, recipients)
    if is_utf8 and "smtputf8" not in extensions:
        if envelope.own_sender and not sender.isascii():
            raise ConfigurationFailure("The configured sender is not ASCII: the mail server "
                                       "does not take such addresses (SMTPUTF8)")
        raise PermanentFailure("The mail server does not take addresses that are not ASCII "
                               "(SMTPUTF8)")
    of_mail, of_recipient = mail_parameters(lines, extensions, is_utf8), ""
    if asks_dsn(envelope, extensions):
        # Never the content, which may be secret
        of_mail += " RET=HDRS"
        if envelope.envelope_id:
            of_mail += " ENVID=%s" % xtext(envelope.envelope_id)
        of_recipient = " NOTIFY=%s" % envelope.notify
    return [(MAIL, command("MAIL FROM", sender, of_mail)),
            *[(RCPT, command("RCPT TO", recipient, of_recipient)) for recipient in recipients]]

# -----------------------------------------------------------------------------
def asks_dsn(envelope, extensions):
    """ Whether the parameters of DSN (RFC 3461) are given: a sender wants to be told """

    return bool(envelope.notify and envelope.sender and "dsn" in extensions)

# -----------------------------------------------------------------------------
def xtext(text):
    """ A text as xtext (RFC 3461 section 4), shortened to what a relay has to take """

    parts = [chr(byte) if 33 <= byte <= 126 and byte not in b"+=" else "+%02X" % byte
             for byte in text.encode("utf-8")]
    while sum(map(len, parts)) > MAX_ENVELOPE_ID_CHARS:
        parts.pop()
    return "".join(parts)

# -----------------------------------------------------------------------------
def needs_utf8(sender, recipients):
    """ Whether an envelope needs the extension SMTPUTF8 (RFC 6531): an address is not ASCII """

    return not (sender.isascii() and all(map(str.isascii, recipients)))

# -----------------------------------------------------------------------------
def refuses_utf8(envelope, reply):
    """
        Whether a reply to MAIL may be about SMTPUTF8, which an Envelope needs for
        its recipients only: then the sender is not to blame

        Args:
            envelope: the Envelope
            reply: the Reply
    """

    return envelope.sender.isascii() and \
        needs_utf8(envelope.sender, envelope.recipients) and \
        (reply.code in (501, 555) or NO_UTF8.match(reply.text) is not None)

# -----------------------------------------------------------------------------
def command(verb, address, options=""):
    """ A command with an address; raises PermanentFailure if the address can't be sent """

    if "\r" in address or "\n" in address:
        raise PermanentFailure("The message can not be encoded")
    return ("%s:<%s>%s\r\n" % (verb, address, options)).encode("utf-8")

# -----------------------------------------------------------------------------
def mail_parameters(lines, extensions, is_utf8):
    """
        The parameters of MAIL: properties of the message, as far as the relay
        takes them

        Args:
            lines, extensions: as for envelope_commands()
            is_utf8: an address is not ASCII

        Returns:
            text that begins with a space, or is empty
    """

    text = ""
    if "size" in extensions:
        # RFC 1870 section 6: the relay refuses a large message before it is sent
        text += " SIZE=%s" % len(lines)
    if "8bitmime" in extensions and not lines.isascii():
        text += " BODY=8BITMIME"
    if is_utf8:
        # Not for other messages: a server further on that does not offer SMTPUTF8
        # would refuse them
        text += " SMTPUTF8"
    return text

# -----------------------------------------------------------------------------
def as_lines(envelope):
    """
        The content of an Envelope as bytes; each line ends with CRLF

        Raises:
            PermanentFailure: it is text that can't be sent
    """

    content = envelope.content
    if isinstance(content, str):
        # Mail.send composes ASCII, but for addresses; other text can't be sent as it is
        is_utf8 = needs_utf8(envelope.sender, envelope.recipients)
        try:
            content = content.encode("utf-8" if is_utf8 else "ascii")
        except UnicodeError:
            raise PermanentFailure("The message can not be encoded") from None
    content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not content.endswith(b"\n"):
        content += b"\n"
    return content.replace(b"\n", b"\r\n")

# -----------------------------------------------------------------------------
def dotted(lines):
    """ The content for DATA: leading dots doubled, ended by a dot (RFC 5321 section 4.5.2) """

    if lines.startswith(b"."):
        lines = b"." + lines
    return lines.replace(b"\n.", b"\n..") + b".\r\n"

# END =========================================================================
