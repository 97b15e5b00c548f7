# -*- coding: utf-8 -*-

"""
    MailS3 takes the place of the app's mail

    This file sorts after those that make db, auth, mail and the scheduler.
"""

if "db" in globals():

    if "s3db" in globals():
        from mails3.eden import adopt
    else:
        from mails3.web2py import adopt

    # Names nothing that is not in each version: a running server reads this
    # file anew, but not the package
    mail = adopt(globals())

# END =========================================================================
