"""
    Postfix that has logins checked by Dovecot, as Debian ships both

        with TokenEndpoint() as tokens, Submission() as server: ...
"""

from .mail_servers import DOMAIN, Postfix

USER, PASSWORD = "shelter@" + DOMAIN, "Schlüssel, 3=4"

# =============================================================================
class Submission(Postfix):
    """
        Mail from those only who have logged in. Options beside those of a
        MailServer:
        - mechanisms: what it offers, as Dovecot writes it
        - scheme: how it has stored the password: "PLAIN", or a hash of which
          CRAM-MD5 and SCRAM-SHA-256 can do nothing
        - tokens: the TokenEndpoint that knows which tokens are valid
    """

    beside = {"dovecot-core": "dovecot"}
    more_config = ("dovecot",)
    users = Postfix.users + ("dovecot", "dovenull")
    start = Postfix.start.replace("exec postfix", """install -d -m 755 /run/dovecot
stored=$(doveadm pw -s "$(cat /etc/dovecot/scheme)" -p "$(cat /etc/dovecot/password)")
echo "%s:$stored" > /etc/dovecot/users
dovecot
exec postfix""" % USER)

    # -------------------------------------------------------------------------
    def configure(self):

        options, folder = self.options, self.folder
        options["settings"] = {"smtpd_sasl_auth_enable": "yes",
                               "smtpd_sasl_type": "dovecot",
                               "smtpd_sasl_path": "private/auth",
                               "smtpd_client_restrictions": "permit_sasl_authenticated, reject",
                               }
        super().configure()
        self.write("dovecot/scheme", options.get("scheme", "PLAIN"))
        self.write("dovecot/password", PASSWORD)
        tokens = options.get("tokens")
        self.write("dovecot/tokens.conf", "username_attribute = email\n"
                   "tokeninfo_url = %s/tokeninfo?access_token=\n" % (tokens.url if tokens else ""))
        self.write("dovecot/dovecot.conf", DOVECOT % {
            "mechanisms": options.get("mechanisms", "plain login"), "folder": folder})

DOVECOT = """
protocols =
ssl = no
log_path = %(folder)s/logs/dovecot
auth_verbose = yes
auth_failure_delay = 0
auth_mechanisms = %(mechanisms)s
disable_plaintext_auth = no
passdb {
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = /etc/dovecot/tokens.conf
}
passdb {
  driver = passwd-file
  mechanisms = plain login cram-md5 scram-sha-256
  args = /etc/dovecot/users
}
userdb {
  driver = static
  args = uid=mail gid=mail home=/nonexistent
}
service auth {
  unix_listener /var/spool/postfix/private/auth {
    mode = 0660
    user = postfix
    group = postfix
  }
}
"""

# END =========================================================================
