# -*- coding: utf-8 -*-

"""
    What one send() call hands over: read, stored, and composed

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

# END =========================================================================
