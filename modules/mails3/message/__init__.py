# -*- coding: utf-8 -*-

"""
    A message: the call that hands it over, its stored form, its composition

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

# END =========================================================================
