# -*- coding: utf-8 -*-

"""
    Who may get mail from this site: the settings delivery, redirect_to, only_to,
    with which a site under development, or a copy of one, mails no real people

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from ..message.domain import with_ascii_domain
from ..setting_forms import matches, read_patterns
from ..setting_values import CAPTURE
from ..states import EMAIL
from .transport import Transport

__all__ = ("Capture", "CaptureTransport")

# =============================================================================
class Capture:
    """ Which mail is captured, by the settings as they are now """

    def __init__(self, options):
        """
            Args:
                options: the settings, see settings.py
        """

        self.is_all = options.delivery == CAPTURE
        self.redirect_to = options.redirect_to
        self.only_to = options.only_to
        # As addresses are stored
        self.patterns = list(map(with_ascii_domain, read_patterns(self.only_to)))

    # -------------------------------------------------------------------------
    @property
    def is_active(self):
        """ Whether some mail does not go to its recipients """

        return bool(self.is_all or self.redirect_to or self.only_to)

    # -------------------------------------------------------------------------
    def is_whole(self, channel):
        """
            Whether all messages of a channel are captured

            Args:
                channel: its name; texts by SMS can't be redirected
        """

        return self.is_all or channel != EMAIL and self.is_active

    # -------------------------------------------------------------------------
    def reason(self, address, channel=EMAIL):
        """
            Why a message is captured

            Args:
                address: of the recipient; for another channel as its messages have it
                channel: the name of the channel

            Returns:
                a few words; None = it may go
        """

        if self.is_whole(channel):
            return "Captured: setting %s" % ("delivery" if self.is_all else
                                             "redirect_to" if self.redirect_to else "only_to")
        if self.only_to and not matches(with_ascii_domain(address or ""), self.patterns):
            return "Captured: not in the setting only_to"
        return None

    # -------------------------------------------------------------------------
    @property
    def notice(self):
        """ What everybody who looks after the mail has to know (a sentence); "" = nothing """

        if self.is_all:
            return "All mail is captured: it is kept here, and sent to nobody (setting delivery)."
        redirected = "goes to %s in place of its recipients (setting redirect_to)" % \
                     self.redirect_to
        others = "all other mail is captured, and sent to nobody"
        if self.only_to and self.redirect_to:
            return "Mail to %s (setting only_to) %s; %s." % (self.only_to, redirected, others)
        if self.only_to:
            return "Only mail to %s goes out (setting only_to); %s." % (self.only_to, others)
        return "All mail %s." % redirected if self.redirect_to else ""

    # -------------------------------------------------------------------------
    def as_dict(self):
        """ The same for scripts (dict) """

        return {"delivery": CAPTURE if self.is_all else "relay",
                "redirect_to": self.redirect_to or None,
                "only_to": self.only_to or None,
                "notice": self.notice or None,
                }

# =============================================================================
class CaptureTransport(Transport):
    """
        The transport where all messages are captured: there is no mail server, so
        nothing that is known of one holds mail up. See Supply for the capture.
    """

    is_serial = True

    # -------------------------------------------------------------------------
    def sending(self, *args, **kwargs):
        """ As Transport.sending(), but nothing is ever sent """

        raise AssertionError("Captured mail is not sent")

    # -------------------------------------------------------------------------
    def relay_name(self):
        """ As Transport.relay_name() """

        return CAPTURE

    # -------------------------------------------------------------------------
    def fingerprint(self, salt):
        """ As Transport.fingerprint(): another one than that of any mail server """

        return CAPTURE

    # -------------------------------------------------------------------------
    def login_fingerprint(self, salt):
        """ As Transport.login_fingerprint() """

        return None

# END =========================================================================
