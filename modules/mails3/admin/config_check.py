# -*- coding: utf-8 -*-

"""
    A rehearsal of the configuration: all of the dialogue with the relay, but
    for the message

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from ..message.address import BadInput, address_of
from ..policy import MAIL, RCPT, ChannelFailure, ConfigurationFailure, DeliveryError, classify
from ..smtp.session import Server, Session
from ..delivery.transport import is_native

__all__ = ("check_configuration", "refuses_recipient", "works")

# The longest that somebody waits for one answer, and for all (seconds)
PATIENCE, ALL_PATIENCE = 5, 20

# =============================================================================
class ConfigCheck(Session):
    """ A session that keeps what was said """

    def __init__(self, server, timeout):

        super().__init__(server, timeout)
        self.steps = []

    # -------------------------------------------------------------------------
    def _reply(self, phase, command, *args, **kwargs):
        """ As for Session; the steps tell what was said and how long it took """

        began = self.clock()
        try:
            reply = super()._reply(phase, command, *args, **kwargs)
        except DeliveryError as error:
            self._keep(phase, error.reply, error, began)
            raise
        self._keep(phase, (reply.code, reply.text), classify(reply), began)
        return reply

    # -------------------------------------------------------------------------
    def _keep(self, phase, reply, error, began):

        code, text = reply
        self.steps.append({"phase": phase,
                           "good": error is None,
                           # A refusal of this recipient, and of nobody else
                           "recipient": phase == RCPT and error is not None and
                           not isinstance(error, ChannelFailure),
                           "code": code,
                           "reply": text,
                           "seconds": round(self.clock() - began, 3),
                           })

    # -------------------------------------------------------------------------
    def check_configuration(self, sender, recipient):
        """ Connect, EHLO, TLS, login, MAIL, RCPT, RSET """

        self.open(ALL_PATIENCE)
        self._ask(MAIL, self.smtp.mail, sender)
        self._ask(RCPT, self.smtp.rcpt, recipient)
        self._reply("RSET", self.smtp.rset)

# -----------------------------------------------------------------------------
def check_configuration(mail, recipient=None):
    """
        Try the configuration without sending anything

        Args:
            mail: the MailS3
            recipient: an address to ask for; None = the sender's own

        Returns:
            list of the steps taken, up to the first that failed: dict
            {"phase", "good", "recipient", "code", "reply", "seconds"}

        Raises:
            BadInput: the recipient is no address
    """

    settings, options = mail.settings, mail.options
    session = None
    recipient = address_of(recipient) if recipient else None
    try:
        if is_native(settings):
            return [{"phase": "configuration", "good": True, "recipient": False,
                     "code": None, "seconds": 0,
                     "reply": "mail.settings.server is %r here: there is no mail server "
                              "to try" % settings.server}]
        try:
            sender = address_of(settings.sender)
        except BadInput:
            raise ConfigurationFailure("No sender configured, or it is no address") from None

        session = ConfigCheck(Server.read(settings, verify=options.verify_tls,
                                          cafile=options.cafile or None),
                              min(PATIENCE, options.reply_timeout))
        session.check_configuration(sender, recipient or sender)
    except DeliveryError as error:
        if session is None or not session.steps or session.steps[-1]["good"]:
            # Before a word was said
            code, text = error.reply
            step = {"phase": "configuration", "good": False, "recipient": False,
                    "code": code, "reply": text, "seconds": 0}
            return (session.steps if session else []) + [step]
    finally:
        if session:
            session.close()
    return session.steps

# -----------------------------------------------------------------------------
def works(steps):
    """ Whether the configuration works (steps: as from rehearse) """

    return all(step["good"] or step["recipient"] for step in steps)

# -----------------------------------------------------------------------------
def refuses_recipient(steps):
    """ Whether the relay refuses the one recipient it was asked for """

    return any(step["recipient"] for step in steps)

# END =========================================================================
