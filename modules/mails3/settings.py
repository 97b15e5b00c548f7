# -*- coding: utf-8 -*-

"""
    The settings of MailS3, each with its default, its unit and its meaning

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from collections import namedtuple
from difflib import get_close_matches
from types import SimpleNamespace

from .setting_values import CAPTURE, read_value

__all__ = ("SETTINGS", "RELAYS", "read_settings")

Setting = namedtuple("Setting", "name default unit meaning")

# The type of a setting is the type of its default; int where the default is None
SETTINGS = tuple(Setting(*setting) for setting in (
    ("delivery", "relay", "relay or capture",
     "relay = mail goes out; capture = it is kept, shown on the page, and sent to nobody: for "
     "development, and for a copy of a site"),
    ("redirect_to", "", "address",
     "All mail goes to this address, in place of its recipients; empty = to its recipients"),
    ("only_to", "", "*@domain, ...",
     "Only these recipients get mail, that of all others is captured; empty = all"),
    ("max_size", 10240000, "bytes",
     "The largest message, with its attachments; the same default as Postfix"),
    ("max_retries", None, "attempts",
     "How often a refused delivery is tried again; none = lifetime is the only limit"),
    ("lifetime", 432000, "seconds",
     "How long a refused delivery is tried again; 5 days (RFC 5321 4.5.4.1)"),
    ("shortest_wait", 300, "seconds",
     "The shortest wait before the next attempt of a refused delivery"),
    ("longest_wait", 14400, "seconds",
     "The longest wait before the next attempt of a refused delivery"),
    ("retry_interval", 300, "seconds",
     "The shortest time between two retry passes"),
    ("retry_limit", 100, "deliveries",
     "How many deliveries one retry pass tries at most"),
    ("drain_interval", 60, "seconds",
     "How often the scheduler looks for new mail, also if nothing has woken it; a worker of our "
     "own looks each second"),
    ("task_timeout", 600, "seconds",
     "The longest run of a scheduler task; must exceed five times reply_timeout"),
    ("reply_timeout", 60, "seconds",
     "How long a worker waits for one reply of the mail server at most; for the reply to the "
     "content up to 600 (RFC 5321 4.5.3.2.6)"),
    ("sessions", 10, "sessions",
     "How many connections a run has to the mail server at most; up to twice as many while "
     "replies are later than reply_timeout"),
    ("rate", "", "number/period, ...",
     "How much mail the mail server takes: 30/minute, 500/hour, 10000/day (or second), one or "
     "several of them; empty = as much as it takes"),
    ("rate_counts", "recipients", "recipients or messages",
     "What the rate counts: each recipient, or each message with all its recipients"),
    ("fallback", True, "yes or no",
     "If no worker is alive, the web server sends new mail, after the request; a script tries "
     "its own at once"),
    ("fallback_timeout", 3, "seconds",
     "How long a message may take that is tried at once, in a script or where the web server "
     "can't run threads; the reply to its content may take reply_timeout"),
    ("worker_timeout", 60, "seconds",
     "After this time without a heartbeat, a worker of the scheduler counts as dead; a worker "
     "of our own does after 10"),
    ("neglect_timeout", 300, "seconds",
     "If new mail has waited for this time, the workers count as hanging; must exceed "
     "four times reply_timeout"),
    ("in_doubt", "resend", "resend or hold",
     "What happens to a message if its worker died while sending it"),
    ("verify_tls", "warn", "warn, yes or no",
     "If the certificate of the mail server can't be verified: warn = mail goes out, and the "
     "admin is told; yes = mail waits. no = nothing is verified"),
    ("cafile", "", "path",
     "A PEM file of the authorities to trust; empty = those of the system"),
    ("tls_fingerprint", "", "SHA-256, ...",
     "Mail goes only to a server whose certificate has this fingerprint, or one of several: "
     "nothing else about it matters then; empty = any"),
    ("tls_min", "1.2", "1.0, 1.1, 1.2 or 1.3",
     "The oldest version of TLS that is used; those before 1.2 are not safe"),
    ("oauth", "", "microsoft, google, other or command",
     "Log in to the mail server by OAuth 2.0, with a token from there; empty = by Mail's own "
     "login, user:password"),
    ("oauth_user", "", "address",
     "The mailbox that the token is for; empty = the user of Mail's login"),
    ("oauth_tenant", "", "id or domain",
     "Microsoft: the tenant"),
    ("oauth_client_id", "", "id",
     "The client (application) that is registered with the provider"),
    ("oauth_client_secret_file", "", "path",
     "The file with the client's secret, on one line; others may not read it (chmod 600)"),
    ("oauth_refresh_token_file", "", "path",
     "The file with the refresh token, which others may not read either; MailS3 writes the next "
     "one into it. The verb oauth gets the first one. Empty = log in as the client itself"),
    ("oauth_token_url", "", "URL",
     "The token endpoint; empty = that of Microsoft or Google"),
    ("oauth_scope", "", "scopes",
     "What the token is for; empty = what Microsoft or Google needs"),
    ("oauth_token_command", "", "command",
     "A command that prints the token (a program with its arguments, no shell)"),
    ("ehlo_name", "", "host name",
     "The name by which the mail server is greeted (EHLO), where mail.settings.hostname has none; "
     "empty = the full name of this machine, or its address"),
    ("dsn", "", "words",
     "Of what the mail server is to tell the sender by mail, if it offers that (DSN, RFC 3461): "
     "failure, delay, success, several with commas; or never; empty = as it does by default"),
    ("keep_sent", 30, "days",
     "How long sent mail is kept; 0 = for ever"),
    ("keep_rejected", 90, "days",
     "How long rejected mail (refused for good) is kept; 0 = for ever"),
    ("keep_failed", 90, "days",
     "How long failed mail (given up, expired or cancelled) is kept; 0 = for ever"),
    ("keep_captured", 30, "days",
     "How long captured mail (see delivery) is kept; 0 = for ever"),
    ("drop_secrets", True, "yes or no",
     "Drop the content of mail with a secret (like a reset link) when it is sent"),
    ("auto_submitted", True, "yes or no",
     "Mark the mail of Auth as automatic (header Auto-Submitted, RFC 3834): no out-of-office "
     "notice answers it"),
    ("alert_url", "", "URL",
     "A URL that gets a POST (JSON) when mail stops and when it flows again; empty = none"),
    ("alert_command", "", "command",
     "A command to run for each alert (a program with its arguments, no shell), with the same "
     "JSON as its input; empty = none"),
    ("alert_delay", 300, "seconds",
     "How long an incident must last before there is an alert"),
    ("metrics_token", "", "token",
     "A client with this token may read mails3/metrics; empty = admins only"),
    ("admin_group", "admin", "group",
     "The group of users that may see the queue (apps with web2py's Auth)"),
    ))

# The settings that each relay has of its own
OF_EACH_RELAY = ("sessions", "rate", "rate_counts", "verify_tls", "cafile", "tls_fingerprint",
                 "tls_min", "oauth", "oauth_user", "oauth_tenant", "oauth_client_id",
                 "oauth_client_secret_file", "oauth_refresh_token_file", "oauth_token_url",
                 "oauth_scope", "oauth_token_command")

# The settings of a further relay, in a section [relay NAME], beside these; the first
# relay has the settings of web2py's Mail
RELAY_SETTINGS = tuple(Setting(*setting) for setting in (
    ("server", "", "host:port",
     "The mail server"),
    ("login", "", "user:password",
     "The login; empty = none"),
    ("tls", False, "yes or no",
     "Begin in clear, and then use TLS (STARTTLS); mostly with port 587"),
    ("ssl", False, "yes or no",
     "Use TLS from the first byte; mostly with port 465"),
    ("hostname", "", "name",
     "The name of this machine for the mail server; empty = as it is"),
    ("only_for", "", "*@domain, ...",
     "Take mail for these recipients only, and before the others; empty = for all"),
    ))

# The keys for the settings of further relays, and for what is wrong with all settings
RELAYS, MISTAKE = "relays", "mistake"
# With the default in place of a malformed value, mail might go to the wrong server
NEVER_BY_DEFAULT = ("verify_tls", "only_for")

# What a further relay has like the site, unless its section says otherwise
INHERITED = ("verify_tls", "cafile", "tls_min")

# Settings that keep mail from real people. A mistake in one of them has all mail
# captured: by its default, the copy of a site would send.
PROTECTIVE = ("delivery", "redirect_to", "only_to")

# -----------------------------------------------------------------------------
def read_settings(given, complain, source=None):
    """
        Read the settings

        Args:
            given: dict of the settings that the site has set, each as a text
                   or as a value of its type; with the key RELAYS, a dict of such
                   dicts, by the names of further relays; with the key MISTAKE,
                   why the settings can't be read
            complain: function that is called with a sentence about each setting
                      that is unknown or malformed; its default is used then
            source: the path of the file with the settings, for these sentences

        Returns:
            a namespace with all settings, and "relays": those of the further
            relays (list of namespaces, see read_relay()), and "mistake": why no
            mail may be sent with them, or None; it never raises
    """

    given = dict(given)
    where = " in %s" % source if source else ""
    relays, mistake = given.pop(RELAYS, {}), given.pop(MISTAKE, None)
    settings = read_table(SETTINGS, given, complain, where)
    settings.mistake = mistake or settings.mistake

    if settings.task_timeout <= 5 * settings.reply_timeout:
        # A shorter limit would kill the task in the middle of a message
        settings.task_timeout = 10 * settings.reply_timeout
        complain("Setting task_timeout must exceed five times reply_timeout, "
                 "using %s" % settings.task_timeout)
    if settings.neglect_timeout <= 4 * settings.reply_timeout:
        # One message may keep a worker busy for four times reply_timeout
        settings.neglect_timeout = 5 * settings.reply_timeout
        complain("Setting neglect_timeout must exceed four times reply_timeout, "
                 "using %s" % settings.neglect_timeout)
    settings.relays = [read_relay(name, relay, settings, complain, where)
                       for name, relay in relays.items()]
    return settings

# -----------------------------------------------------------------------------
def read_relay(name, given, site, complain, where):
    """
        Read the settings of a further relay

        Args:
            name: of the relay (str)
            given: as for read_settings()
            site: the namespace with the settings of the site
            complain: as for read_settings()
            where: words for the place of the settings (str)

        Returns:
            a namespace with all settings as they are for this relay, with its
            name: of those that each relay has of its own, only INHERITED are as
            the site has them
    """

    own = [setting for setting in SETTINGS if setting.name in OF_EACH_RELAY]
    given = {**{each: getattr(site, each) for each in INHERITED}, **given}
    relay = read_table((*RELAY_SETTINGS, *own), given, complain,
                       " of the relay %s%s" % (name, where), "this mail server is not used")
    return SimpleNamespace(**{**vars(site), **vars(relay), "name": name,
                              "mistake": site.mistake or relay.mistake})

# -----------------------------------------------------------------------------
def read_table(table, given, complain, where, consequence="mail waits"):
    """
        Read the settings of a table

        Args:
            table: the Settings
            given, complain: as for read_settings()
            where: words for the place of the settings (str)
            consequence: what a mistake means that is not safe to ignore, in words

        Returns:
            a namespace with each of them, and "mistake", see read_settings()
    """

    given, settings, mistaken = dict(given), SimpleNamespace(mistake=None), []
    for setting in table:
        value = setting.default
        if setting.name in given:
            text = given.pop(setting.name)
            try:
                value = read_value(setting, text)
            except ValueError:
                # A login is not for the log
                shown = "the value" if setting.name == "login" else repr(text)
                mistake = "Setting %s%s: %s is not valid (%s)" % (setting.name, where, shown,
                                                                  setting.unit)
                if setting.name in NEVER_BY_DEFAULT:
                    settings.mistake = mistake
                complain("%s, %s" % (mistake, consequence if setting.name in NEVER_BY_DEFAULT
                                     else "using %s" % setting.default))
                mistaken.append(setting.name)
        setattr(settings, setting.name, value)
    for name in given:
        near = get_close_matches(name, [setting.name for setting in table], 1)
        complain("Setting %s%s is unknown%s" %
                 (name, where, ": is %s meant?" % near[0] if near else ""))
        if name not in [setting.name for setting in RELAY_SETTINGS]:
            mistaken.extend(near)
    for name in PROTECTIVE:
        if name in mistaken and hasattr(settings, name):
            complain("Setting %s%s can not be read: all mail is captured" % (name, where))
            settings.delivery = CAPTURE
    return settings

# END =========================================================================
