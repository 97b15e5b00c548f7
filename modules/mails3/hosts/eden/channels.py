# -*- coding: utf-8 -*-

"""
    What goes by another way than mail: Eden's own senders, in the queues of
    MailS3; and Eden's own way of sending mail, for who calls it directly

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import hashlib
import re

from http.client import HTTPException, InvalidURL
from io import StringIO
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from gluon import current

from ...message.composition import substitute
from ...clock import utcnow
from ...policy import AUTH, BODY, CONNECT, DATA, RCPT, ChannelFailure, ConfigurationFailure, \
                      QuotaReached, RelayUnavailable, Reply, TransientFailure
from ...delivery.transport import Transport

__all__ = ("ChannelTransport", "EdenTransport")

# What an HTTP status of a gateway means (RFC 9110, RFC 6585). Only a refused
# login is about all texts for sure: of the others, the next text will tell.
REFUSED_LOGIN = (401, 407)
MEANING = {402: ConfigurationFailure, # not paid
           403: ConfigurationFailure,
           404: ConfigurationFailure, # the URL is wrong
           405: ConfigurationFailure,
           410: ConfigurationFailure,
           408: RelayUnavailable,
           429: QuotaReached,
           502: RelayUnavailable,
           503: RelayUnavailable,
           504: RelayUnavailable,
           }

# Gateways that refuse with status 200 and words (S3Msg.send_sms_via_api), and
# the words that are about the site
REFUSALS = {"clickatell": r"ERR", "mcommons": r"(?s).*error"}
ABOUT_SITE = re.compile(r"authenticat|user ?name|password|account|credit|lockdown",
                        re.IGNORECASE)

# The gateway was there, and then gone
HUNG_UP = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)

# =============================================================================
class Answer(Reply):
    """ What a gateway said; the phases of SMTP mean nothing to who reads it """

    def __str__(self):

        return self.text

# =============================================================================
class ChannelTransport:
    """ Hands a text over to one of Eden's gateways (S3Msg.process_outbox) """

    def __init__(self, mail, channel):
        """
            Args:
                mail: the EdenMail, by which a gateway sends that takes mail
                channel: a contact_method of Eden's other than EMAIL
        """

        self.mail = mail
        self.channel = channel

    # -------------------------------------------------------------------------
    def sending(self, number, message, within, following=None):
        """
            Hand a text over; as Transport.sending()
            - Eden's senders tell no more than whether they did it
        """

        yield
        submission, _, recipients = message
        return {recipient: self._send(recipient, submission, within)
                for recipient in recipients}

    # -------------------------------------------------------------------------
    def _send(self, recipient, submission, within):
        """
            Hand a text over to one recipient

            Returns:
                None if it was sent, else a DeliveryError

            Raises:
                ChannelFailure: the gateway or the configuration is to blame
        """

        options = submission.options
        try:
            send = self._sender(options.get("organisation_id"), options.get("message_id"),
                                within)
            error = self.mail.attempt(lambda: send(recipient, submission.body))
        except ChannelFailure as trouble:
            if len(self._gateways()) < 2:
                raise
            # Another organisation's gateway may work: the next text will tell
            return type(trouble)(Answer(RCPT, trouble.reply[0], str(trouble)))
        if error and error.phase is None:
            # A gateway was asked: one that refuses all texts is found out
            return type(error)(Answer(RCPT, None, str(error)))
        return error

    # -------------------------------------------------------------------------
    def ready(self, number):
        """ As Transport.ready() """

        return 0

    # -------------------------------------------------------------------------
    def open(self, number, within):
        """ Have a gateway; raises Trouble if there is none """

        if self.channel == "SMS" and not self._gateways():
            raise ConfigurationFailure("No SMS gateway configured")
        if self.channel == "TWITTER" and not current.msg.get_twitter_api():
            raise ConfigurationFailure("No Twitter API configured")
        return 1

    # -------------------------------------------------------------------------
    def fingerprint(self, salt):
        """ Tell this configuration from another, by URL and password as well """

        gateways = self._gateways()
        settings = []
        for _, kind, channel_id in gateways:
            table = current.s3db.table(kind)
            if table:
                row = current.db(table.channel_id == channel_id).select(limitby=(0, 1)).first()
                settings.append(row and sorted(row.as_dict().items()))
        text = repr([salt, self.channel, gateways, settings])
        return hashlib.sha256(text.encode("utf-8")).hexdigest()

    # -------------------------------------------------------------------------
    def login_fingerprint(self, salt):
        """ The logins of gateways are Eden's own """

        return None

    # -------------------------------------------------------------------------
    def close(self):
        """ Nothing is kept open """

    # -------------------------------------------------------------------------
    def _gateways(self):
        """ The enabled gateways: list of (organisation_id, kind, channel_id) """

        if self.channel != "SMS":
            return []
        s3db = current.s3db
        gateway, channel = s3db.msg_sms_outbound_gateway, s3db.msg_channel
        rows = current.db((gateway.deleted == False) &
                          (gateway.channel_id == channel.channel_id)).select(
                                gateway.organisation_id,
                                gateway.channel_id,
                                channel.instance_type,
                                orderby = gateway.id,
                                )
        return [(row.msg_sms_outbound_gateway.organisation_id,
                 row.msg_channel.instance_type,
                 row.msg_sms_outbound_gateway.channel_id) for row in rows]

    # -------------------------------------------------------------------------
    def _sender(self, organisation_id, eden_message_id, within):
        """
            Choose the sender: a function of address and text

            Raises:
                TransientFailure: there is none for that organisation
                ConfigurationFailure: it is not for us to use
        """

        msg = current.msg
        if self.channel == "TWITTER":
            return lambda address, text: msg.send_tweet(text, address)

        kind, channel_id = self._gateway(organisation_id)
        if kind == "msg_sms_webapi_channel":
            return lambda address, text: self._by_web_api(address, text, eden_message_id,
                                                          channel_id, within)
        if kind == "msg_sms_smtp_channel":
            return lambda address, text: self._by_smtp(address, text, channel_id)
        if kind == "msg_sms_modem_channel":
            if msg.modem is None:
                # cron/sms_handler_modem.py has it, and a queue run of its own
                raise ConfigurationFailure("The modem is with its own process")
            return lambda address, text: msg.send_sms_via_modem(address, text, channel_id)
        if kind == "msg_sms_tropo_channel":
            return lambda address, text: self._by_tropo(address, text,
                                                        eden_message_id, channel_id)
        raise ConfigurationFailure("No sender for %s" % kind)

    # -------------------------------------------------------------------------
    def _by_smtp(self, address, text, channel_id):
        """ Send by mail, which counts for the daily limit of mails """

        quota, now = self.mail.quota(), utcnow()
        if quota:
            quota.check(now)
        sent = current.msg.send_sms_via_smtp(address, text, channel_id)
        if quota and sent:
            quota.spend(now)
        return sent

    # -------------------------------------------------------------------------
    @staticmethod
    def _by_web_api(address, text, eden_message_id, channel_id, within):
        """
            Send by S3Msg.send_sms_via_api(), which
            - on Eden-ASP hands text over, where bytes are wanted
            - waits for the gateway's answer without end
            - reads the answer as text, which it is not
            - keeps to itself what the gateway says
        """

        def ask(request, query):
            if isinstance(query, str):
                query = query.encode("iso-8859-1")
            try:
                with urlopen(request, query, timeout=within) as response:
                    text = response.read().decode("utf-8", "replace")
            except HTTPError as error:
                raise refusal(error.code, error.reason) from None
            except URLError as error:
                # The request was not sent, or not all of it
                phase = DATA if isinstance(error.reason, HUNG_UP) else CONNECT
                raise no_answer(phase, error.reason) from None
            except InvalidURL:
                # Its text quotes the URL, and that may have the password in it
                raise ConfigurationFailure(Answer(CONNECT, None, "The URL of the SMS gateway is "
                                                  "malformed")) from None
            except (OSError, HTTPException) as error:
                # It may have the text
                raise no_answer(BODY, error) from None
            for name, words in REFUSALS.items():
                if name in request.full_url and re.match(words, text):
                    raise refusal(200, text)
            return StringIO(text)

        send = substitute(type(current.msg).send_sms_via_api, urlopen=ask)
        return send(current.msg, address, text, eden_message_id, channel_id)

    # -------------------------------------------------------------------------
    @staticmethod
    def _by_tropo(address, text, eden_message_id, channel_id):
        """ Tropo collects the text later, and names the row by then """

        table = current.s3db.msg_outbox
        row = current.db((table.message_id == eden_message_id) &
                         (table.address == address)).select(table.id, limitby=(0, 1)).first()
        # Returns nothing if all is well
        return current.msg.send_sms_via_tropo(row.id, eden_message_id, address, text,
                                              channel_id=channel_id) is not False

    # -------------------------------------------------------------------------
    def _gateway(self, organisation_id):
        """ The gateway for an organisation: tuple (kind, channel_id) """

        gateways = self._gateways()
        if len(gateways) == 1:
            return gateways[0][1:]

        by_organisation = {gateway[0]: gateway[1:] for gateway in gateways}
        candidates = [organisation_id]
        if organisation_id and current.deployment_settings.get_org_branches():
            candidates.extend(current.s3db.org_parents(organisation_id))
        for candidate in candidates + [None]:
            if candidate in by_organisation:
                return by_organisation[candidate]
        raise TransientFailure("No SMS gateway for that organisation")

# -----------------------------------------------------------------------------
def refusal(code, text):
    """
        What the refusal of a gateway means

        Args:
            code: the HTTP status
            text: its words

        Returns:
            the DeliveryError
    """

    if code in REFUSED_LOGIN:
        phase, meaning = AUTH, ConfigurationFailure
    elif code == 200:
        phase, meaning = RCPT, ConfigurationFailure if ABOUT_SITE.search(text) else TransientFailure
    else:
        phase, meaning = RCPT, MEANING.get(code, TransientFailure)
    # Its words may go on with the text itself
    brief = (str(text).splitlines() or [""])[0][:160]
    return meaning(Answer(phase, code, "The SMS gateway says %s %s" % (code, brief)))

# -----------------------------------------------------------------------------
def no_answer(phase, error):
    """ A gateway has not answered, to what it was told until then """

    return RelayUnavailable(Answer(phase, None, "The SMS gateway does not answer (%s)" % error))

# =============================================================================
class EdenTransport(Transport):
    """ Sends what Eden has queued by Eden's own msg.send_email """

    def sending(self, number, message, within, following=None):
        """ As Transport.sending() """

        submission, _, recipients = message
        if submission.to:
            # Queued by MailS3.send
            return (yield from super().sending(number, message, within))

        arguments = submission.arguments()
        attachments = arguments.get("attachments", [])
        for attachment in attachments:
            # Eden-ASP makes its Content-Disposition anew, from this
            attachment.my_filename = attachment.get_filename()

        def send(recipient):
            return current.msg.send_email(recipient,
                                          submission.subject,
                                          submission.body,
                                          sender = submission.sender,
                                          attachments = attachments,
                                          )

        return {recipient: self.mail.attempt(lambda: send(recipient))
                for recipient in recipients}

    # -------------------------------------------------------------------------
    def open(self, number, within):
        """ msg.send_email opens its own """

        return 1

# END =========================================================================
