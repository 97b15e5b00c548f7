# -*- coding: utf-8 -*-

"""
    What an admin sees and does: status, page, command line, alerts, metrics

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

# END =========================================================================
