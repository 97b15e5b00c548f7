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

        def keep_from_people():
            """ Where mail is not to go to real people, the app's own mail is only logged """

            import os, re # noqa: E401
            from gluon import current

            path = os.path.join(request.folder, "private", "mails3.ini")
            if not os.path.exists(path):
                return
            with open(path, encoding="utf-8", errors="replace") as lines:
                # As in settings_file.py, which may be what can't be imported
                found = re.search(r"(?im)^[ \t]*(?:delivery[ \t]*[=:][ \t]*(?!relay[ \t]*$)|"
                                  r"(?:redirect_to|only_to)[ \t]*[=:][ \t]*)\S", lines.read())
            mailers = [globals().get("mail"), getattr(current, "mail", None),
                       "auth" in globals() and auth.settings.mailer]
            for mailer in filter(None, mailers if found else ()):
                mailer.settings.server = "logging"

        cache.ram(mails3_error, tell, None)
        keep_from_people()
        del tell, keep_from_people

# END =========================================================================
