# -*- coding: utf-8 -*-

"""
    What sends all the time: the worker that the verb "work" starts; without
    workers, the process of the web server

    supervisor      keeps worker processes running
    seat            the place of one of them: the process, and its successor
    worker_process  one of them: sends, and waits for mail
    run_time        how long its runs last
    duties          what it does beside that
    source_files    the files that a process has read: have they changed?
    web_sender      sends in the web server's process what a request has queued

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

# END =========================================================================
