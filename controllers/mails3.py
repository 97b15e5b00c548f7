# -*- coding: utf-8 -*-

"""
    MailS3: the admin's page
"""

# -----------------------------------------------------------------------------
@auth.requires(lambda: auth.has_membership(role=mail.options.admin_group))
def index():
    """ Whether mail is going out, and if not, why """

    return mail.overview()

# END =========================================================================
