# -*- coding: utf-8 -*-

"""
    Processes of our own that send: the worker that the verb "work" starts

    supervisor      keeps worker processes running
    seat            the place of one of them: the process, and its successor
    worker_process  one of them: sends, and waits for mail
    duties          what it does beside that
    source_files    the files that a process has read: have they changed?

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

# END =========================================================================
