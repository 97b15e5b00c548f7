"""
    Database, users and mail, like in many a web2py app
"""

import configparser
import os

from gluon.tools import Auth

configuration = configparser.ConfigParser(interpolation=None)
configuration.read(os.path.join(request.folder, "private", "appconfig.ini"),
                   # web2py sets the locale to C, which makes ASCII the default
                   encoding = "utf-8",
                   )

# As on a production site: a page without a view of its own is not shown
response.generic_patterns = []
response.title = "Shelter"

db = DAL(configuration.get("db", "uri"))

auth = Auth(db)
auth.settings.formstyle = "divs"
auth.settings.bulk_register_enabled = True
auth.settings.reset_password_requires_verification = configuration.getboolean("auth", "reset_link")
auth.settings.registration_requires_verification = configuration.getboolean("auth", "verification")
auth.settings.registration_requires_approval = configuration.getboolean("auth", "approval")
auth.settings.auth_two_factor_enabled = configuration.getboolean("auth", "two_factor")
auth.define_tables(username=configuration.getboolean("auth", "username"))

mail = auth.settings.mailer
mail.settings.server = configuration.get("smtp", "server") or None
mail.settings.sender = configuration.get("smtp", "sender") or None
mail.settings.login = configuration.get("smtp", "login") or None
mail.settings.tls = configuration.getboolean("smtp", "tls")

# END =========================================================================
