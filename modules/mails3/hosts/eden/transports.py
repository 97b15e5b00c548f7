# -*- coding: utf-8 -*-

"""
    Transports that call Eden's own methods: SMS and Twitter; mail, if somebody
    calls msg.process_outbox() directly

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import hashlib

from gluon import current

from ...delivery.transport import Transport
from ...replies import MESSAGE_PHASES, RCPT, ChannelFailure, ConfigurationFailure, \
                       DeliveryError, Throttled, TransientFailure
from .gateways import Text, enabled_gateways, gateway_for, send_by, settings_of
from .web_api import GatewayReply

__all__ = ("ChannelTransport", "EdenTransport")

# -----------------------------------------------------------------------------
def attempt(mail, send):
    """
        Let a method of Eden send something now

        Args:
            mail: the EdenMail; its send() sends meanwhile, without the queue
            send: function that calls the method, returns whether it has sent

        Returns:
            None if it was sent, else the DeliveryError about this message

        Raises:
            ChannelFailure, Throttled: the relay, the gateway or the configuration
                                       failed before anybody was asked about this
                                       message
    """

    mail.error = None
    mail.is_direct = True
    try:
        if send():
            return None
        error = mail.error
    except DeliveryError as failure:
        error = failure
    except Exception as failure:
        error = type(failure).__name__
    finally:
        mail.is_direct = False

    if isinstance(error, (ChannelFailure, Throttled)) and error.phase not in MESSAGE_PHASES:
        raise error
    if isinstance(error, DeliveryError):
        return error
    return TransientFailure("Eden could not send it (%s)" % (error or "see its log"))

# =============================================================================
class ChannelTransport:
    """
        The transport of a channel other than EMAIL; has the methods of
        Transport that a worker calls
    """

    is_serial = True
    max_messages = None # by one session, see Transport

    # -------------------------------------------------------------------------
    def __init__(self, mail, channel):
        """
            Args:
                mail: the EdenMail: one kind of gateway takes mails
                channel: a contact_method of Eden, other than EMAIL
        """

        self.mail = mail
        self.channel = channel

    # -------------------------------------------------------------------------
    def opening(self, session, within_s, banner_within_s=None):
        """ As Transport.opening(); raises ConfigurationFailure if no gateway is configured """

        yield
        if self.channel == "SMS" and not self._gateways():
            raise ConfigurationFailure("No SMS gateway configured")
        if self.channel == "TWITTER" and not current.msg.get_twitter_api():
            raise ConfigurationFailure("No Twitter API configured")

    # -------------------------------------------------------------------------
    def is_ready(self, session):
        """ As Transport.is_ready(): the gateways are looked up for each text """

        return False

    # -------------------------------------------------------------------------
    def sending(self, session, outgoing, within_s, following=None, final_within_s=0):
        """ As Transport.sending() """

        yield
        return {recipient: self._send(outgoing.message, recipient, within_s)
                for recipient in outgoing.recipients}

    # -------------------------------------------------------------------------
    def looks_ahead(self, session):
        """ As Transport.looks_ahead(): no gateway does """

        return False

    # -------------------------------------------------------------------------
    def is_ahead(self, session):
        """ As Transport.is_ahead() """

        return False

    # -------------------------------------------------------------------------
    def is_in_doubt(self, session):
        """ As Transport.is_in_doubt(): the gateway may have the text """

        return True

    # -------------------------------------------------------------------------
    def leave(self, session):
        """ As Transport.leave() """

    # -------------------------------------------------------------------------
    def limit_sessions(self, max_messages):
        """ As Transport.limit_sessions() """

    # -------------------------------------------------------------------------
    def close(self):
        """ As Transport.close(): no gateway keeps a session """

    # -------------------------------------------------------------------------
    def relay_name(self):
        """ As Transport.relay_name() """

        return self.channel

    # -------------------------------------------------------------------------
    def _send(self, message, recipient, timeout_s):
        """
            Send a message to one recipient

            Returns:
                None if it was sent, else the DeliveryError about this message

            Raises:
                ChannelFailure, Throttled: the gateway or the configuration failed
                TransientFailure: no gateway for this organisation
        """

        if self.channel == "TWITTER":
            gateways = []
            error = attempt(self.mail,
                            lambda: current.msg.send_tweet(message.body, recipient))
        else:
            gateways = self._gateways()
            gateway = gateway_for(message.options.get("organisation_id"), gateways)
            text = Text(recipient, message.body, message.options.get("eden_message_id"))
            try:
                error = attempt(self.mail,
                                lambda: send_by(gateway, text, self.mail, timeout_s))
            except (ChannelFailure, Throttled) as failure:
                if len(gateways) < 2:
                    raise
                # The next text may be for another gateway
                return type(failure)(GatewayReply(RCPT, failure.code, failure.text))

        if error and error.phase is None:
            # With a phase, the worker notices a gateway that refuses all texts
            return type(error)(GatewayReply(RCPT, None, error.text))
        return error

    # -------------------------------------------------------------------------
    def _gateways(self):
        """ The gateways of the channel (list of Gateways) """

        return enabled_gateways() if self.channel == "SMS" else []

    # -------------------------------------------------------------------------
    def fingerprint(self, salt):
        """ As Transport.fingerprint(): of the gateways with URLs and passwords """

        gateways = self._gateways()
        text = repr([salt, self.channel, gateways, [settings_of(gateway)
                                                    for gateway in gateways]])
        return hashlib.sha256(text.encode("utf-8")).hexdigest()

    # -------------------------------------------------------------------------
    def findings(self):
        """ As Transport.findings(): it is Eden that connects """

        return []

    # -------------------------------------------------------------------------
    def login_fingerprint(self, salt):
        """ As Transport.login_fingerprint(): Eden logs in to a gateway, not MailS3 """

        return None

# =============================================================================
class EdenTransport(Transport):
    """ Sends messages that Eden has queued by Eden's own msg.send_email() """

    is_serial = True

    # -------------------------------------------------------------------------
    def is_ready(self, session):
        """ As Transport.is_ready(): msg.send_email() opens a session itself """

        return session == 0

    # -------------------------------------------------------------------------
    def sending(self, session, outgoing, within_s, following=None, final_within_s=0):
        """ As Transport.sending() """

        eden_message = outgoing.message
        if eden_message.to:
            # MailS3.send() has queued this message
            return (yield from super().sending(session, outgoing, within_s,
                                               final_within_s=final_within_s))

        attachments = eden_message.arguments().get("attachments", [])
        for attachment in attachments:
            # Eden-ASP writes Content-Disposition again, from this attribute
            attachment.my_filename = attachment.get_filename()

        def send(recipient):
            return current.msg.send_email(recipient,
                                          eden_message.subject,
                                          eden_message.body,
                                          sender = eden_message.sender,
                                          attachments = attachments,
                                          )

        return {recipient: attempt(self.mail, lambda: send(recipient))
                for recipient in outgoing.recipients}

# END =========================================================================
