"""
    Database, users and mail, in the words of web2py's own scaffolding app, of
    which many an app is made (tests/test_scaffold.py compares them)
"""

from gluon.contrib.appconfig import AppConfig
from gluon.tools import Auth, PluginManager, Service

if request.global_settings.web2py_version < "2.15.5":
    raise HTTP(500, "Requires web2py 2.15.5 or newer")

configuration = AppConfig(reload=True)

db = DAL(configuration.get("db.uri"),
         pool_size = configuration.get("db.pool_size"),
         migrate_enabled = configuration.get("db.migrate"),
         check_reserved = ["all"],
         )

response.generic_patterns = []
if request.is_local and not configuration.get("app.production"):
    response.generic_patterns.append("*")
response.formstyle = "bootstrap4_inline"
response.form_label_separator = ""
response.title = configuration.get("app.name")

auth = Auth(db, host_names=configuration.get("host.names"))
auth.settings.extra_fields["auth_user"] = []
auth.settings.bulk_register_enabled = True
auth.define_tables(username=configuration.get("auth.username"), signature=False)
auth.settings.registration_requires_verification = configuration.get("auth.verification")
auth.settings.registration_requires_approval = configuration.get("auth.approval")
auth.settings.reset_password_requires_verification = configuration.get("auth.reset_link")
auth.settings.auth_two_factor_enabled = configuration.get("auth.two_factor")

service = Service()
plugins = PluginManager()

# A developer's mail is logged, and not sent
mail = auth.settings.mailer
mail.settings.server = "logging" if request.is_local else configuration.get("smtp.server")
mail.settings.sender = configuration.get("smtp.sender")
mail.settings.login = configuration.get("smtp.login")
mail.settings.tls = configuration.get("smtp.tls") or False
mail.settings.ssl = configuration.get("smtp.ssl") or False

# END =========================================================================
