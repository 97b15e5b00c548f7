# -*- coding: utf-8 -*-

"""
    The apps that MailS3 is installed in: plain web2py, and Eden

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

# END =========================================================================
