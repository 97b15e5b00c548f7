# -*- coding: utf-8 -*-

"""
    A mail as a mail server gets it, composed for an admin

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header

from ..delivery.configuration import Configuration
from ..delivery.envelopes import envelope_of
from ..replies import DeliveryError
from ..smtp.envelope import as_lines
from .operator import OperatorError

__all__ = ("header_fields", "kept_message", "looked_at", "source_of")

# Where none is configured. Nobody has this address (RFC 2606).
NO_SENDER = "no-sender-configured@site.invalid"

# Mail.send composes for a server, which is never asked for anything here
NO_SERVER = "localhost:25"

# -----------------------------------------------------------------------------
def kept_message(report, entry):
    """
        The message of a delivery

        Args:
            report: the Report
            entry: as from the Report

        Returns:
            the Message

        Raises:
            OperatorError: its content is not kept, or not readable
    """

    try:
        message = report.content(entry)
    except ValueError as error:
        raise OperatorError("The content of this mail can not be read: %s" % error) from None
    if message is None:
        raise OperatorError("The content of this mail has been dropped%s." %
                            (", because there was a secret in it" if entry["secret"] else ""))
    return message

# -----------------------------------------------------------------------------
def source_of(mail, entry, message):
    """
        Compose a mail as it is, was or would be sent to its own recipients

        Args:
            mail: the MailS3
            entry: as from the Report
            message: its Message

        Returns:
            the mail, its lines ended with CRLF (bytes)

        Raises:
            OperatorError: it can not be composed
    """

    composer = mail.as_configured()
    composer.settings = type(mail.settings)(composer.settings)
    composer.settings.server = NO_SERVER
    composer.settings.sender = composer.settings.sender or NO_SENDER
    composer.note_configuration()
    recipients = [entry["address"]]
    if not message.to:
        # Each recipient gets a mail of their own
        message = message.only_to(recipients)
    try:
        return as_lines(envelope_of(composer, Configuration(composer), message, recipients,
                                    entry["message_id_header"]))
    except DeliveryError as error:
        raise OperatorError(str(error)) from None

# -----------------------------------------------------------------------------
def looked_at(operator, entry):
    """
        The source of a mail, for an admin; the log keeps who that is

        Args:
            operator: the Operator
            entry: as from the Report

        Returns:
            as source_of()

        Raises:
            OperatorError: its content is not kept, or can not be composed
    """

    source = source_of(operator.mail, entry, kept_message(operator.report, entry))
    operator.looked(entry)
    return source

# -----------------------------------------------------------------------------
def header_fields(source):
    """
        The header of a mail

        Args:
            source: as from source_of()

        Returns:
            list of tuples (name, text), decoded
    """

    return [(name, decoded(text)) for name, text in message_from_bytes(source).items()]

# -----------------------------------------------------------------------------
def decoded(text):
    """ The text of a header, as people read it """

    try:
        return str(make_header(decode_header(text)))
    except (MessageError, ValueError, LookupError):
        return str(text)

# END =========================================================================
