# -*- coding: utf-8 -*-

"""
    Sahana Eden as the host: all that MailS3 knows of it, Eden-ASP
    (nursix/eden-asp) and Sahana Eden (sahana/eden) alike

    Nothing else of MailS3 knows that Eden exists. What Eden itself puts into
    msg_outbox is picked up (pickup) and made a mail like any other; what goes
    by another way than mail, by Eden's own senders (channels).

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from .mail import install_mailer

__all__ = ("install_mailer",)

# END =========================================================================
