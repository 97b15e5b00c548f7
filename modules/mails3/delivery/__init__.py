# -*- coding: utf-8 -*-

"""
    From the queue to the relay: the worker, its channel, breaker and limits

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

# END =========================================================================
