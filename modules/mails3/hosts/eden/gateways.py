# -*- coding: utf-8 -*-

"""
    The SMS gateways that are configured in Eden: which one sends a text, and by
    which of Eden's methods (S3Msg.process_outbox)

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from dataclasses import dataclass
from typing import Optional

from gluon import current

from ...clock import utcnow
from ...delivery.direct import count_direct
from ...replies import ConfigurationFailure, Throttled, TransientFailure
from .web_api import send_by_web_api

__all__ = ("Gateway", "Text", "enabled_gateways", "gateway_for", "send_by", "settings_of")

# =============================================================================
@dataclass(frozen = True)
class Gateway:
    """ An SMS gateway """

    organisation_id: Optional[int] # the organisation that it is for; None: for all
    kind: str                      # the table with its settings
    channel_id: int                # its record in msg_channel

# =============================================================================
@dataclass(frozen = True)
class Text:
    """ A text for one phone """

    address: str         # the phone number
    body: str
    eden_message_id: int # the message_id in msg_outbox

# -----------------------------------------------------------------------------
def enabled_gateways():
    """ The SMS gateways of this Eden (list of Gateways), the oldest first """

    s3db = current.s3db
    gateway, channel = s3db.msg_sms_outbound_gateway, s3db.msg_channel
    rows = current.db((gateway.deleted == False) &
                      (gateway.channel_id == channel.channel_id)).select(
                            gateway.organisation_id,
                            gateway.channel_id,
                            channel.instance_type,
                            orderby = gateway.id,
                            )
    return [Gateway(row.msg_sms_outbound_gateway.organisation_id,
                    row.msg_channel.instance_type,
                    row.msg_sms_outbound_gateway.channel_id) for row in rows]

# -----------------------------------------------------------------------------
def gateway_for(organisation_id, gateways):
    """
        Choose the gateway for a text of an organisation: its own, that of a
        parent organisation, or the one for all

        Args:
            organisation_id: the organisation, or None
            gateways: list of Gateways

        Returns:
            the Gateway

        Raises:
            TransientFailure: no gateway may be used for this organisation
    """

    if len(gateways) == 1:
        return gateways[0]

    by_organisation = {gateway.organisation_id: gateway for gateway in gateways}
    candidates = [organisation_id]
    if organisation_id and current.deployment_settings.get_org_branches():
        candidates.extend(current.s3db.org_parents(organisation_id))
    for candidate in candidates + [None]:
        if candidate in by_organisation:
            return by_organisation[candidate]
    raise TransientFailure("No SMS gateway for that organisation")

# -----------------------------------------------------------------------------
def settings_of(gateway):
    """
        The settings of a gateway, like its URL and its password

        Args:
            gateway: the Gateway

        Returns:
            sorted list of tuples (name, value), None if there are no settings
    """

    table = current.s3db.table(gateway.kind)
    if not table:
        return None
    row = current.db(table.channel_id == gateway.channel_id).select(limitby=(0, 1)).first()
    return row and sorted(row.as_dict().items())

# -----------------------------------------------------------------------------
def send_by(gateway, text, mail, timeout_s):
    """
        Send a text by a gateway

        Args:
            gateway: the Gateway
            text: the Text
            mail: the EdenMail
            timeout_s: the longest wait for the gateway (seconds); only a web API
                       has one

        Returns:
            whether the gateway has taken the text

        Raises:
            DeliveryError: what the gateway answers, if it tells
    """

    kind = gateway.kind
    if kind == "msg_sms_webapi_channel":
        return send_by_web_api(text.address, text.body, text.eden_message_id,
                               gateway.channel_id, timeout_s)
    if kind == "msg_sms_smtp_channel":
        return send_by_smtp(gateway, text, mail)
    if kind == "msg_sms_modem_channel":
        return send_by_modem(gateway, text)
    if kind == "msg_sms_tropo_channel":
        return send_by_tropo(gateway, text)
    raise ConfigurationFailure("No sender for %s" % kind)

# -----------------------------------------------------------------------------
def send_by_smtp(gateway, text, mail):
    """ Send a text as a mail, which counts for the limits of mails """

    if not mail.channel().relay.allowance(utcnow()).left():
        raise Throttled("A limit of mails is reached")
    is_sent = current.msg.send_sms_via_smtp(text.address, text.body, gateway.channel_id)
    if is_sent:
        count_direct(mail, 1)
    return is_sent

# -----------------------------------------------------------------------------
def send_by_modem(gateway, text):
    """ Send a text by a modem, if this process has it """

    if current.msg.modem is None:
        # cron/sms_handler_modem.py has it, and processes the outbox itself
        raise ConfigurationFailure("The modem is with its own process")
    return current.msg.send_sms_via_modem(text.address, text.body, gateway.channel_id)

# -----------------------------------------------------------------------------
def send_by_tropo(gateway, text):
    """ Send a text by Tropo, which fetches the text later by the id in msg_outbox """

    table = current.s3db.msg_outbox
    row = current.db((table.message_id == text.eden_message_id) &
                     (table.address == text.address)).select(table.id, limitby=(0, 1)).first()
    # Eden's method returns nothing after a success
    return current.msg.send_sms_via_tropo(row.id, text.eden_message_id, text.address,
                                          text.body,
                                          channel_id = gateway.channel_id) is not False

# END =========================================================================
