# -*- coding: utf-8 -*-

"""
    The settings of an Eden that are about mail: models/000_config.py, the
    template, private/mails3.ini

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import os

from gluon import current

from ...settings import SETTINGS
from ...settings_file import complain_once, read_file

__all__ = ("NO_SENDER", "configure", "given_settings", "settings_path")

# Eden sends nothing without a sender, so it gets this one where no sender is
# configured. Nobody has this address (RFC 2606).
NO_SENDER = "no-sender-configured@site.invalid"

# -----------------------------------------------------------------------------
def settings_path(folder):
    """ The path of the file with the MailS3 settings of the app in a folder """

    return os.path.join(folder, "private", "mails3.ini")

# -----------------------------------------------------------------------------
def given_settings(folder, settings):
    """
        The MailS3 settings that the site has given, in private/mails3.ini and
        in models/000_config.py (settings.mail.*); needs no current

        Args:
            folder: the folder of the app
            settings: the deployment settings

        Returns:
            dict {name: value}
    """

    given = read_file(settings_path(folder), complain_once)
    names = [setting.name for setting in SETTINGS]
    given.update((name, value) for name, value in settings.mail.items() if name in names)
    given.setdefault("max_retries", settings.get_msg_max_send_retries())
    return given

# -----------------------------------------------------------------------------
def configure(mail_settings, settings):
    """
        Copy Eden's mail settings (s3cfg.py) to those of the mailer: Eden itself
        does so only if a sender is configured

        Args:
            mail_settings: the settings of the Mail object
            settings: the deployment settings

        Returns:
            tuple of the senders by which Eden hands over the configured sender
    """

    sender = settings.get_mail_sender()
    mail_settings.sender = sender
    # Eden hands over no mail without a server
    mail_settings.server = settings.get_mail_server() or ":"
    mail_settings.tls = settings.get_mail_server_tls()
    # Eden itself has no such setting, and keeps any that is given
    mail_settings.ssl = settings.mail.get("ssl", False)
    mail_settings.login = settings.get_mail_server_login() or None
    return (NO_SENDER, sender, current.msg.sanitize_sender(sender))

# END =========================================================================
