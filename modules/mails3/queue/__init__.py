# -*- coding: utf-8 -*-

"""
    The queue in the database: enqueue, claim, settle, report, purge

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

# END =========================================================================
