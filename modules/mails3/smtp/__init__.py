# -*- coding: utf-8 -*-

"""
    The dialogue with the relay

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

# END =========================================================================
