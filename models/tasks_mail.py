# -*- coding: utf-8 -*-

"""
    MailS3 takes the place of the app's mail

    web2py runs models in the order of their names: this one runs after the models
    that make db, auth, mail and the scheduler.

    After an upgrade, a running server reads this file again, but not the package:
    use only names that every version of the package has.
"""

if "db" in globals():

    try:
        if "s3db" in globals():
            from mails3.hosts.eden import install_mailer
        else:
            from mails3.hosts.web2py import install_mailer
        mail = install_mailer(globals())
    except Exception as error:
        # The app keeps its own mail, and goes on working
        mails3_error = "MailS3 can't start in this app, which keeps its own mail " \
                       "(%s: %s)" % (type(error).__name__, error)

        def tell(told=mails3_error):
            """ Log the reason, once in each process """

            import logging
            logging.getLogger("web2py.mails3").error(told)

        cache.ram(mails3_error, tell, None)
        del tell

# END =========================================================================
