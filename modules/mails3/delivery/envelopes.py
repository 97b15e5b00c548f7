# -*- coding: utf-8 -*-

"""
    The Envelope of a message, composed; and its outcome, if the message was
    redirected

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from ..message.address import NULL_PATH
from ..message.composition import compose
from ..setting_forms import read_dsn
from ..smtp.envelope import Envelope, needs_utf8

__all__ = ("as_redirected", "envelope_of")

# -----------------------------------------------------------------------------
def envelope_of(mail, configuration, message, recipients, message_id_header):
    """
        Compose a message

        Args:
            mail: the MailS3
            configuration: the Configuration
            message: the Message
            recipients: the addresses of the envelope
            message_id_header: its Message-ID

        Returns:
            the Envelope

        Raises:
            DeliveryError: it can not be composed
    """

    sender = configuration.sender_of(message)
    address = "" if message.sender == NULL_PATH else sender.address
    return Envelope(address, recipients,
                    compose(mail, message, message_id_header, str(sender),
                            needs_utf8(address, recipients)),
                    own_sender = configuration.is_own_sender(message),
                    notify = read_dsn(mail.options.dsn),
                    envelope_id = message_id_header.strip("<>"))

# -----------------------------------------------------------------------------
def as_redirected(outgoing, envelope, outcome):
    """
        The outcome of a message for its own recipients: as that of the one who
        got it in their place

        Args:
            outgoing: the Outgoing or Direct
            envelope: its Envelope
            outcome: dict {recipient of the envelope: None or DeliveryError}

        Returns:
            dict, as from Transport.sending()
    """

    if envelope.recipients == outgoing.recipients:
        return outcome
    return {recipient: error for error in outcome.values() for recipient in outgoing.recipients}

# END =========================================================================
