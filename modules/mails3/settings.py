# -*- coding: utf-8 -*-

"""
    The settings of MailS3, each with its default, its unit and its meaning

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging
import re

from collections import namedtuple
from configparser import ConfigParser, Error
from difflib import get_close_matches
from functools import lru_cache
from types import SimpleNamespace

__all__ = ("SETTINGS", "Rate", "complain_once", "read_file", "read_rates", "read_settings")

log = logging.getLogger("web2py.mails3")

Setting = namedtuple("Setting", "name default unit meaning")

# A rate: at most so many in any period of so long
Rate = namedtuple("Rate", "most period_s")
PERIODS_S = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}

# The type of a setting is the type of its default; int where the default is None
SETTINGS = tuple(Setting(*setting) for setting in (
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
    ("keep_sent", 30, "days",
     "How long sent mail is kept; 0 = for ever"),
    ("keep_rejected", 90, "days",
     "How long rejected mail (refused for good) is kept; 0 = for ever"),
    ("keep_failed", 90, "days",
     "How long failed mail (given up, expired or cancelled) is kept; 0 = for ever"),
    ("drop_secrets", True, "yes or no",
     "Drop the content of mail with a secret (like a reset link) when it is sent"),
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

# Settings that take one of a few words
CHOICES = {"in_doubt": ("resend", "hold"), "rate_counts": ("recipients", "messages"),
           "verify_tls": ("warn", "yes", "no"), "tls_min": ("1.0", "1.1", "1.2", "1.3")}

MAY_BE_ZERO = ("max_retries", "retry_interval", "shortest_wait", "alert_delay",
               "keep_sent", "keep_rejected", "keep_failed")

BOOLEANS = {"yes": True, "on": True, "true": True, "1": True,
            "no": False, "off": False, "false": False, "0": False,
            }

# -----------------------------------------------------------------------------
def read_settings(given, complain, source=None):
    """
        Read the settings

        Args:
            given: dict of the settings that the site has set, each as a text
                   or as a value of its type
            complain: function that is called with a sentence about each setting
                      that is unknown or malformed; its default is used then
            source: the path of the file with the settings, for these sentences

        Returns:
            a namespace with all settings; it never raises
    """

    given = dict(given)
    where = " in %s" % source if source else ""
    settings = SimpleNamespace()
    for setting in SETTINGS:
        value = setting.default
        if setting.name in given:
            text = given.pop(setting.name)
            try:
                value = read_value(setting, text)
            except ValueError:
                complain("Setting %s%s: %r is not valid (%s), using %s" %
                         (setting.name, where, text, setting.unit, setting.default))
        setattr(settings, setting.name, value)
    for name in given:
        near = get_close_matches(name, [setting.name for setting in SETTINGS], 1)
        complain("Setting %s%s is unknown%s" %
                 (name, where, ": is %s meant?" % near[0] if near else ""))

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
    return settings

# -----------------------------------------------------------------------------
def read_value(setting, value):
    """ Read one value, a text or of the setting's type; raises ValueError """

    kind = type(setting.default)
    if "yes" in CHOICES.get(setting.name, ()):
        # As those that are no more than yes or no
        is_yes = BOOLEANS.get(str(value).strip().lower())
        value = value if is_yes is None else "yes" if is_yes else "no"
    if isinstance(value, str):
        value = value.strip()
        if kind is bool:
            value = BOOLEANS.get(value.lower())
        elif kind is not str:
            value = None if setting.default is None and value.lower() == "none" \
                    else int(value)

    if value is None and setting.default is None:
        return None
    if kind in (bool, str):
        is_valid = isinstance(value, kind) and \
            value in CHOICES.get(setting.name, (value,))
        if is_valid and setting.name == "rate":
            read_rates(value)
    else:
        is_valid = isinstance(value, int) and not isinstance(value, bool) and \
            value >= (0 if setting.name in MAY_BE_ZERO else 1)
    if not is_valid:
        raise ValueError(setting.name)
    return value

# -----------------------------------------------------------------------------
def read_rates(text):
    """
        Read the setting rate

        Args:
            text: like "30/minute, 500/hour"

        Returns:
            list of Rate; empty = no limit

        Raises:
            ValueError: it is malformed
    """

    rates = []
    for part in filter(None, map(str.strip, text.split(","))):
        found = re.fullmatch(r"([1-9]\d*) ?/ ?(%s)" % "|".join(PERIODS_S), part.lower())
        if not found:
            raise ValueError(part)
        rates.append(Rate(int(found[1]), PERIODS_S[found[2]]))
    return rates

# -----------------------------------------------------------------------------
def read_file(path, complain):
    """
        Read an ini file like private/mails3.ini

        Args:
            path: its path; a missing file is no error
            complain: function that is called with a sentence if the file can
                      not be read

        Returns:
            dict of the settings in its section [mails3], as texts
    """

    parser = ConfigParser(interpolation=None)
    try:
        # Editors on Windows write a byte order mark. parser.read() would ignore a
        # file that it can not open, so the file is opened here.
        with open(path, encoding="utf-8-sig") as lines:
            parser.read_file(lines)
    except FileNotFoundError:
        return {}
    except (Error, OSError, UnicodeDecodeError) as error:
        # Name the line's number, not its text, which may be a token
        line = getattr(error, "lineno", None) or \
            getattr(error, "errors", None) and error.errors[0][0]
        complain("%s is not readable%s (%s): the defaults are used" %
                 (path, " at line %s" % line if line else "", type(error).__name__))
        return {}
    return dict(parser["mails3"]) if parser.has_section("mails3") else {}

# -----------------------------------------------------------------------------
@lru_cache(maxsize=1000)
def complain_once(text):
    """ Log a mistake in the configuration once per process, not with each request """

    log.error("%s", text)

# END =========================================================================
