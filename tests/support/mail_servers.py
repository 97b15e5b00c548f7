"""
    Real mail servers as Debian ships them, each with a configuration of the
    test's own and its defaults otherwise

        with Postfix() as server:
            ... hand mail over to server.address ...
            server.delivered("anne") # the messages that have arrived

    As packages they conflict with each other and with what the system may have
    installed. So they need not be installed: MAIL_SERVERS_PATH names a folder
    in which each is unpacked (.ci/run does that). They run as if they were
    installed, in mount and process namespaces of their own, on copies of /etc
    and /var that are gone afterwards: nothing of the system's own mail is
    touched, and no process remains.
"""

import os
import re
import shutil
import signal
import socket
import subprocess

from email import message_from_bytes
from pathlib import Path

from .folders import temporary_folder
from .site import eventually

DOMAIN = "example.org"

# Who has a mailbox; nobody else has
USERS = ["anne", "shelter"] + ["live%02d" % number for number in range(60)]

# Mount and process namespaces; they end with the process that has made them
ISOLATED = ["setpriv", "--pdeathsig", "KILL",
            "unshare", "--mount", "--propagation", "private",
            "--pid", "--fork", "--kill-child", "--mount-proc"]

# What is prepared there before a server starts: what is unpacked is laid over
# the system's own files, as if it had been installed
PREPARE = """set -e
mount -t tmpfs tmpfs {over}
{layers}
mount -t tmpfs tmpfs /run
mkdir -p {spool}
mount --bind {folder}/spool {spool}
cp -r {folder}/etc/. /etc/
chown -R root:root {config}
id=64100
for name in {users}; do
    id=$((id + 1))
    grep -q "^$name:" /etc/group || echo "$name:x:$id:" >> /etc/group
    grep -q "^$name:" /etc/passwd || \\
        echo "$name:x:$id:$id::/nonexistent:/usr/sbin/nologin" >> /etc/passwd
done
{start}
"""
LAYER = """mkdir {over}/{name} {over}/{name}.work
mount -t overlay overlay \\
    -o lowerdir={lower},upperdir={over}/{name},workdir={over}/{name}.work /{name}"""

# Refuses each recipient for now, the first time; as a policy service of Postfix
# or a filter of OpenSMTPD, which keep it running
GREYLIST = r"""
known=$2
is_known() {
    [ -e "$known/$1" ] || ! touch "$known/$1"
}
postfix() {
    while read -r line; do
        case $line in
        recipient=*)
            user=${line#*=}
            user=${user%%@*}
            ;;
        "")
            answer="450 4.2.0 Greylisted, see you later"
            is_known "$user" && answer=DUNNO
            printf 'action=%s\n\n' "$answer"
            ;;
        esac
    done
}
opensmtpd() {
    while IFS='|' read -r kind word _ _ _ session token recipient; do
        user=${recipient%%@*}
        if [ "$kind|$word" = "config|ready" ]; then
            echo "register|filter|smtp-in|rcpt-to"
            echo "register|ready"
        elif [ "$kind" = filter ] && is_known "$user"; then
            echo "filter-result|$session|$token|proceed"
        elif [ "$kind" = filter ]; then
            echo "filter-result|$session|$token|reject|451 4.7.1 Greylisted, see you later"
        fi
    done
}
$1
"""

# =============================================================================
class MailServer:
    """ One of them, in a folder of its own """

    name = None    # of its package, and its folder in MAIL_SERVERS_PATH
    program = None # by which an installed one is found
    beside = {}    # other packages that it needs: {name: program}
    users = ()     # that it needs
    spool = None   # where it keeps its queue
    config = None  # its file or folder below /etc
    more_config = () # of what is beside it
    start = None   # the command, in the foreground
    says_unknown = None   # what it says to a recipient who has no mailbox
    says_no_login = "$^"  # what it logs of a refused login (regular expression)

    def __init__(self, **options):
        """
            Args:
                options: what it does beside its defaults:
                         - refuses_sender: a sender that is not to be used here
                         - asks_for_login: nobody may send without one, and
                           none is right
                         - defers: refuses all recipients for now
                         - greylists: refuses each recipient for now, the first
                           time; one whom it knows has a file in known
                         - size: the largest message that it takes (bytes)
                         - connections: how many it takes at a time
                         - settings: of its own, in its own words (dict)
                         - checks: statements of Exim's ACL for recipients (list)
                         - certificate: (chain, key) as PEM (bytes)
                         - ssl: TLS from the first byte on, in place of STARTTLS
                         - aliases: further mailboxes (dict {what stands before
                           the @: the folder of the mailbox})
        """

        # Not among those of pytest: the servers' own users have to get there
        self.temporary = temporary_folder()
        self.folder = folder = Path(self.temporary.name)
        folder.chmod(0o711)
        self.options = options
        self.process = None
        self.logged = ""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.address = "127.0.0.1:%s" % self.port
        for name in ("over", "spool", "etc", "mail", "known", "logs"):
            (folder / name).mkdir()
        # To be written by the servers' own users
        (folder / "known").chmod(0o777)
        (folder / "logs").chmod(0o777)
        shutil.chown(folder / "mail", "mail", "mail")

    # -------------------------------------------------------------------------
    @classmethod
    def missing(cls):
        """ Why it can't be had (str), None if it can """

        if os.geteuid():
            return "%s needs root" % cls.__name__
        for name, program in {cls.name: cls.program, **cls.beside}.items():
            if not unpacked(name) and not shutil.which(program, path="/usr/sbin:/sbin"):
                return "No %s: neither installed nor in MAIL_SERVERS_PATH" % name
        if not shutil.which("setpriv") or \
           subprocess.run(ISOLATED + ["true"], stderr=subprocess.DEVNULL).returncode:
            return "%s needs namespaces of its own, which it can't have here" % cls.__name__
        return None

    # -------------------------------------------------------------------------
    def run(self, **options):
        """ Start it, with other options than before if there are any """

        self.options.update(options)
        if self.options.get("certificate"):
            for name, pem in zip(("chain", "key"), self.options["certificate"]):
                self.write("%s.pem" % name, pem.decode("ascii"))
        self.write("greylist", GREYLIST)
        self.configure()
        with open(self.folder / "logs" / "output", "ab") as log:
            self.process = subprocess.Popen(ISOLATED + ["sh", "-c", self.script()],
                                            stdout=log, stderr=log)
        assert eventually(lambda: self.process.poll() is not None or self.is_listening())
        assert self.process.poll() is None, self.log()

    def script(self):
        """ What is run in its namespaces (str) """

        over, layers = self.folder / "over", []
        folders = list(filter(None, map(unpacked, (self.name, *self.beside))))
        for name in ("usr", "etc", "var"):
            lower = [str(folder / name) for folder in folders if (folder / name).is_dir()]
            layers.append(LAYER.format(lower=":".join(lower + ["/%s" % name]), over=over,
                                       name=name))
        return PREPARE.format(over = over,
                              layers = "\n".join(layers),
                              folder = self.folder,
                              spool = self.spool,
                              config = " ".join("/etc/%s" % name for name in
                                                [self.config, *self.more_config]),
                              users = " ".join(self.users),
                              start = self.start)

    # -------------------------------------------------------------------------
    def log(self):
        """ What it has logged, from all its starts """

        if self.folder.exists():
            self.logged = "".join(path.read_text()
                                  for path in sorted((self.folder / "logs").iterdir()))
        return self.logged

    def refused_logins(self):
        """ How many logins it has refused """

        return len(re.findall(self.says_no_login, self.log()))

    # -------------------------------------------------------------------------
    def is_listening(self):
        """ Whether it greets """

        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
                # Who speaks TLS at once waits for the client to begin
                return bool(self.options.get("ssl")) or connection.recv(4).startswith(b"220")
        except OSError:
            return False

    def stop(self):
        """ End it at once, with all its processes; what it has accepted stays in its queue """

        if self.process:
            pid = self.process.pid
            # The first process of a namespace takes all others along
            for child in Path("/proc/%s/task/%s/children" % (pid, pid)).read_text().split():
                os.kill(int(child), signal.SIGKILL)
            self.process.wait()
            assert eventually(lambda: not self.is_listening(), 10)
            self.process = None

    def close(self):
        """ End it, and remove all that it had """

        self.stop()
        self.log()
        self.temporary.cleanup()

    def __enter__(self):

        self.run()
        return self

    def __exit__(self, *exc_info):

        self.close()

    @property
    def speaks_tls(self):
        """ Whether its TLS works at all """

        return True

    # -------------------------------------------------------------------------
    def write(self, path, text):
        """ Write a file of its configuration, below /etc """

        target = self.folder / "etc" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    # -------------------------------------------------------------------------
    def delivered(self, user):
        """
            The messages in the mailbox of a user; once each that the server has
            accepted, for one that is killed may deliver it twice
        """

        box = self.folder / "mail" / user / "new"
        messages = [message_from_bytes(path.read_bytes())
                    for path in (box.iterdir() if box.is_dir() else ())]
        return list({str(message["Received"]): message for message in messages}.values())

    def recipients(self):
        """ Who has got mail: list of users, each as often as they have got one """

        return sorted(user for user in USERS for _ in self.delivered(user))

# -----------------------------------------------------------------------------
def unpacked(name):
    """ Where a package is unpacked (Path), None if it is not """

    folder = Path(os.environ.get("MAIL_SERVERS_PATH", "/nowhere")) / name
    return folder if (folder / "usr").is_dir() else None

# =============================================================================
class Postfix(MailServer):
    """ Postfix, as it is after its installation, with virtual mailboxes """

    name, program = "postfix", "postfix"
    users = ("postfix", "postdrop")
    spool, config = "/var/spool/postfix", "postfix"
    says_unknown, says_no_login = "550 5.1.1", "SASL [\\w-]+ authentication failed"
    # Without what takes seconds: it checks its installation, and it waits for files
    # that may be changing
    start = """cd /var/spool/postfix
install -d -o postfix -m 700 active bounce corrupt defer deferred flush hold incoming \\
    private saved trace /var/lib/postfix
install -d -o postfix -g postdrop -m 710 public maildrop
mkdir -p pid
touch quick-start
sed "s/^smtp *inet .*/127.0.0.1:$(cat /etc/postfix/port) inet n - n - - smtpd/" \\
    /usr/share/postfix/master.cf.dist > /etc/postfix/master.cf
cat /etc/postfix/services >> /etc/postfix/master.cf
postconf -F '*/*/chroot=n'
touch -d "1 minute ago" /etc/postfix/*
exec postfix start-fg"""

    def configure(self):

        self.write("postfix/port", str(self.port))
        self.write("postfix/services", "grey unix - n n - 0 spawn user=mail argv=/bin/sh "
                                       "/etc/greylist postfix %s/known\n" % self.folder)
        mailboxes = {**dict(zip(USERS, USERS)), **self.options.get("aliases", {})}
        self.write("postfix/users", "".join("/^%s@%s$/ %s/\n" % (re.escape(user), DOMAIN, folder)
                                            for user, folder in mailboxes.items()))
        settings = {"compatibility_level": "3.6",
                    "myhostname": "mx." + DOMAIN,
                    "maillog_file": "/dev/stdout",
                    "virtual_mailbox_domains": DOMAIN,
                    "virtual_mailbox_maps": "regexp:/etc/postfix/users",
                    "virtual_mailbox_base": self.folder / "mail",
                    "virtual_uid_maps": "static:8",
                    "virtual_gid_maps": "static:8",
                    "virtual_minimum_uid": "1",
                    # The site is one among others
                    "mynetworks": "",
                    }
        options = self.options
        if options.get("size"):
            settings["message_size_limit"] = options["size"]
        if options.get("connections"):
            settings["smtpd_client_connection_count_limit"] = options["connections"]
        if options.get("refuses_sender"):
            settings["smtpd_sender_login_maps"] = \
                "inline:{{%s = somebody.else}}" % options["refuses_sender"]
            settings["smtpd_sender_restrictions"] = "reject_sender_login_mismatch"
            settings["smtpd_sasl_auth_enable"] = "yes"
        if options.get("asks_for_login"):
            settings["smtpd_sasl_auth_enable"] = "yes"
            settings["smtpd_client_restrictions"] = "permit_sasl_authenticated, reject"
            self.write("postfix/sasl/smtpd.conf", "pwcheck_method: auxprop\n"
                       "auxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\n")
        if options.get("defers"):
            settings["smtpd_recipient_restrictions"] = \
                "check_recipient_access static:{450 4.2.0 Not now}"
        if options.get("greylists"):
            settings["smtpd_recipient_restrictions"] = "check_policy_service unix:private/grey"
        if options.get("certificate"):
            settings.update(smtpd_tls_cert_file="/etc/chain.pem",
                            smtpd_tls_key_file="/etc/key.pem",
                            smtpd_tls_security_level="may",
                            smtpd_tls_wrappermode="yes" if options.get("ssl") else "no")
        settings.update(options.get("settings", {}))
        self.write("postfix/main.cf", "".join("%s = %s\n" % item for item in settings.items()))

# =============================================================================
class Exim(MailServer):
    """ Exim, with what its default configuration checks """

    name, program = "exim4-daemon-light", "exim4"
    users = ("Debian-exim",)
    spool, config = "/var/spool/exim4", "exim4"
    says_unknown, says_no_login = "550 Unrouteable address", "authenticator failed"
    start = """mkdir -p /var/log/exim4
chown -R Debian-exim:Debian-exim /var/spool/exim4 /var/log/exim4
exec exim4 -bdf -q5s"""

    def configure(self):

        options = self.options
        checks, general, authenticators = list(options.get("checks", ())), [], ""
        general += ["%s = %s" % item for item in options.get("settings", {}).items()]
        if options.get("size"):
            general.append("message_size_limit = %s" % options["size"])
        if options.get("connections"):
            general.append("smtp_accept_max_per_host = %s" % options["connections"])
        if options.get("asks_for_login"):
            general.append("auth_advertise_hosts = *")
            checks.append("deny message = Authentication required\n  !authenticated = *")
            authenticators = ("plain:\n  driver = plaintext\n  public_name = PLAIN\n"
                              "  server_condition = false\n"
                              "  server_set_id = $auth2\n")
        if options.get("defers"):
            checks.append("defer message = Not now")
        if options.get("greylists"):
            # It is known from now on
            checks.append("warn set acl_m_user = ${lookup{$local_part}lsearch,ret=key"
                          "{/etc/exim4/users}}\n"
                          "  defer message = Greylisted, see you later\n"
                          "  !condition = ${if exists{%(folder)s/known/$acl_m_user}}\n"
                          "  condition = ${if eq{${run{/bin/touch %(folder)s/known/"
                          "$acl_m_user}{}}}{}}" % {"folder": self.folder})
        if options.get("certificate"):
            general += ["tls_advertise_hosts = *", "tls_certificate = /etc/chain.pem",
                        "tls_privatekey = /etc/key.pem"]
            if options.get("ssl"):
                general.append("tls_on_connect_ports = %s" % self.port)
        else:
            general.append("tls_advertise_hosts =")
        senders = [user for user in USERS
                   if "%s@%s" % (user, DOMAIN) != options.get("refuses_sender")]
        # As in Exim's own default configuration: a sender whom it could not
        # answer to is not taken
        mailboxes = {**dict(zip(senders, senders)), **options.get("aliases", {})}
        self.write("exim4/users", "".join("%s: %s\n" % item for item in mailboxes.items()))
        self.write("exim4/exim4.conf", EXIM % {
            "general": "\n".join(general), "port": self.port, "domain": DOMAIN,
            "checks": "\n  ".join(checks), "folder": self.folder,
            "authenticators": authenticators})

EXIM = r"""
primary_hostname = mx.%(domain)s
local_interfaces = 127.0.0.1
log_file_path = %(folder)s/logs/%%s
write_rejectlog = false
daemon_smtp_ports = %(port)s
domainlist local_domains = %(domain)s
acl_smtp_rcpt = check_rcpt
host_lookup =
never_users =
keep_environment =
%(general)s

begin acl
check_rcpt:
  %(checks)s
  require verify = sender
  require message = relay not permitted
          domains = +local_domains
  require verify = recipient
  accept

begin routers
users:
  driver = accept
  domains = +local_domains
  local_parts = lsearch;/etc/exim4/users
  transport = mailbox

begin transports
mailbox:
  driver = appendfile
  directory = %(folder)s/mail/$local_part_data
  maildir_format
  create_directory
  user = mail
  group = mail

begin authenticators
%(authenticators)s
"""

# =============================================================================
class OpenSMTPD(MailServer):
    """ OpenSMTPD, with a table of those who have a mailbox """

    name, program = "opensmtpd", "smtpd"
    users = ("opensmtpd", "opensmtpq")
    spool, config = "/var/spool/smtpd", "smtpd.conf"
    says_unknown, says_no_login = "550 Invalid recipient", "result=\"535"
    start = """chmod 711 /var/spool/smtpd
test ! -e /etc/key.pem || chmod 600 /etc/key.pem
exec smtpd -d"""

    @property
    def speaks_tls(self):
        """ Debian 12 ships one that fails with its OpenSSL (OpenSMTPD/OpenSMTPD#1239) """

        return "OpenSMTPD 6." not in self.log()

    def configure(self):

        self.write("mailname", "mx.%s\n" % DOMAIN)
        options, lines, listener = self.options, [], "listen on 127.0.0.1 port %s" % self.port
        lines += ["smtp %s %s" % item for item in options.get("settings", {}).items()]
        if options.get("size"):
            lines.append("smtp max-message-size %s" % options["size"])
        self.write("smtpd.users", "".join("%s@%s\n" % (user, DOMAIN)
                                          for user in [*USERS, *options.get("aliases", {})]))
        lines.append('table users file:/etc/smtpd.users')
        if options.get("certificate"):
            lines.append('pki here cert "/etc/chain.pem"\npki here key "/etc/key.pem"')
            listener += " smtps pki here" if options.get("ssl") else " tls pki here"
        if options.get("asks_for_login"):
            self.write("smtpd.logins", "nobody *\n")
            lines.append("table logins file:/etc/smtpd.logins")
            listener += " auth <logins>"
        if options.get("defers"):
            lines.append('filter grey phase rcpt-to match rcpt-to <users> '
                         'reject "451 4.7.1 Not now"')
        if options.get("greylists"):
            lines.append('filter grey proc-exec "/bin/sh /etc/greylist opensmtpd %s/known"' %
                         self.folder)
        if options.get("defers") or options.get("greylists"):
            listener += " filter grey"
        lines.append(listener)
        lines.append('action deliver maildir "%s/mail/%%{rcpt.user}" virtual { "@" = mail }' %
                     self.folder)
        if options.get("refuses_sender"):
            lines.append('match from any mail-from "%s" for any reject' % options["refuses_sender"])
        lines.append("match %s for rcpt-to <users> action deliver" %
                     ("auth from any" if options.get("asks_for_login") else "from any"))
        self.write("smtpd.conf", "\n".join(lines) + "\n")

# END =========================================================================
