# -*- coding: utf-8 -*-

"""
    Processes of our own that send: the worker that the verb "work" starts

    supervisor      starts the worker processes, and starts them again
    worker_process  one of them: sends, retries, purges, and waits for mail
    source_files    the files that a process has read: have they changed?

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

# END =========================================================================
