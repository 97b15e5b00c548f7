# -*- coding: utf-8 -*-

"""
    What an admin sees and steers: page, command line, status, alerts

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

# END =========================================================================
