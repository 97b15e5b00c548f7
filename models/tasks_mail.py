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

    mail = adopt(globals())

    # A scheduler without a dict of tasks looks for them here
    mails3_drain, mails3_retry, mails3_purge = mail.drain, mail.retry, mail.purge

# END =========================================================================
