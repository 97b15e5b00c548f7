# -*- coding: utf-8 -*-

"""
    MailS3 takes the place of the app's mail

    This file sorts after those that make db, auth, mail and the scheduler.
    It names nothing that is not in each version: a running server reads it
    anew, but not the package.
"""

if "db" in globals():

    try:
        if "s3db" in globals():
            from mails3.hosts.eden import install_mailer
        else:
            from mails3.hosts.web2py import install_mailer
        mail = install_mailer(globals())
    except Exception as error:
        # The app keeps its own mail, and works on
        mails3_error = "MailS3 can't start in this app, which keeps its own mail " \
                       "(%s: %s)" % (type(error).__name__, error)

        def tell(told=mails3_error):
            """ The log says why, once in each process """

            import logging
            logging.getLogger("web2py.mails3").error(told)

        cache.ram(mails3_error, tell, None)
        del tell

# END =========================================================================
