# -*- coding: utf-8 -*-

"""
    What sends all the time: the worker that the verb "work" starts; without
    workers, the process of the web server

    supervisor      starts the worker processes, and starts them again
    worker_process  one of them: sends, retries, purges, and waits for mail
    source_files    the files that a process has read: have they changed?
    web_sender      sends in the web server's process what a request has queued

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

# END =========================================================================
