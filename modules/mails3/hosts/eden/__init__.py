# -*- coding: utf-8 -*-

"""
    Sahana Eden as the host: both Eden-ASP (nursix/eden-asp) and Sahana Eden
    (sahana/eden). No other part of MailS3 knows Eden.

    host        install_mailer: MailS3 becomes the mailer of this Eden
    settings    what Eden's settings say about mail
    mail        EdenMail, the MailS3 of an Eden
    stand_ins   the methods of Eden that MailS3 replaces
    access      who may read our tables; who approves new users
    intake      rows that Eden has inserted into msg_outbox become deliveries
    outbox_rows finds these rows
    recipients  their recipients: contacts, members of groups
    messages    their messages: text and documents
    transports  sending by Eden's own methods
    gateways    the SMS gateways that are configured in Eden
    web_api     what the answer of a web API means
    daily_limit Eden's limit of mails per day
    report      what an admin sees of Eden's rows
    outbox_page what Eden's page of the outbox shows of our rows
    handback    MailS3 leaves: unsent mail becomes Eden's own
    stock       whether Eden can send that mail

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from .host import install_mailer

__all__ = ("install_mailer",)

# END =========================================================================
