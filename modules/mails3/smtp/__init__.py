# -*- coding: utf-8 -*-

"""
    SMTP, from the settings to the socket:

    session       open, reuse, transmit, close
    trial         ask the relay without a message
    dialogue      which commands, and what the replies mean; no connection
    client        commands and replies over one connection, with deadlines
    login         by which mechanism, and one attempt
    mechanisms    the mechanisms of AUTH
    scram         one of them: SCRAM-SHA-256
    redaction     to keep the login out of texts
    errors        what the errors of smtplib and of the socket mean
    wire          reading and writing without blocking
    deadlines     how long to wait for the replies about one message
    waits         what a session waits for, so that others can go on
    reply_buffer  the bytes received, until they are a whole reply
    server        the settings of the relay

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

# END =========================================================================
