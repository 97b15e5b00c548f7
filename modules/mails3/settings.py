# -*- coding: utf-8 -*-

"""
    The settings: each with its default and its meaning, in one place

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging

from collections import namedtuple
from configparser import ConfigParser, Error
from difflib import get_close_matches
from functools import lru_cache
from types import SimpleNamespace

__all__ = ("SETTINGS", "complain_once", "read_settings", "read_file")

log = logging.getLogger("web2py.mails3")

Setting = namedtuple("Setting", "name default unit meaning")

# The type of a setting is that of its default, int where that is None
SETTINGS = tuple(Setting(*setting) for setting in (
    ("max_size", 10240000, "bytes",
     "Largest message with its attachments; Postfix's default, too"),
    ("max_retries", None, "attempts",
     "How often a refused delivery is tried again; none = no limit but lifetime"),
    ("lifetime", 432000, "seconds",
     "How long a refused delivery is tried again; 5 days (RFC 5321 4.5.4.1)"),
    ("shortest_wait", 300, "seconds",
     "Shortest wait of a refused delivery for its next attempt"),
    ("longest_wait", 14400, "seconds",
     "Longest wait of a refused delivery for its next attempt"),
    ("retry_interval", 300, "seconds",
     "Least distance between two retry passes"),
    ("retry_limit", 100, "deliveries",
     "Most deliveries that one retry pass tries"),
    ("drain_interval", 60, "seconds",
     "How often new mail is looked for without being told"),
    ("task_timeout", 600, "seconds",
     "Longest run of a scheduler task; must exceed five times reply_timeout"),
    ("reply_timeout", 60, "seconds",
     "Longest wait of a worker for one reply of the mail server"),
    ("sessions", 3, "sessions",
     "Most connections that a run has to the mail server at a time"),
    ("fallback", True, "yes or no",
     "Without a worker, try a new message at once in the request"),
    ("fallback_timeout", 3, "seconds",
     "Longest time that such a try may take"),
    ("worker_timeout", 60, "seconds",
     "Without a heartbeat for so long, a worker counts as gone"),
    ("neglect_timeout", 300, "seconds",
     "With new mail waiting for so long, the workers count as hanging; must exceed "
     "four times reply_timeout"),
    ("in_doubt", "resend", "resend or hold",
     "What becomes of a message whose worker died while it was sending it"),
    ("verify_tls", False, "yes or no",
     "Verify the mail server's certificate; web2py up to 3.3.3 never does"),
    ("cafile", "", "path",
     "Authorities to trust in place of the system's (PEM)"),
    ("keep_sent", 30, "days",
     "How long sent mail is kept; 0 = for ever"),
    ("keep_rejected", 90, "days",
     "How long mail that was refused for good is kept; 0 = for ever"),
    ("keep_failed", 90, "days",
     "How long mail that was given up is kept; 0 = for ever"),
    ("drop_secrets", True, "yes or no",
     "Drop the content of mail that carries a secret (a reset link) once it is sent"),
    ("alert_url", "", "URL",
     "Gets a POST (JSON) when mail stops, and when it flows again; empty = none"),
    ("alert_command", "", "command",
     "Is run then, with the same JSON as its standard input; empty = none"),
    ("alert_delay", 300, "seconds",
     "How long that must have lasted before it is told; what is shorter is not"),
    ("metrics_token", "", "token",
     "Whoever presents it may read mails3/metrics; empty = admins only"),
    ("admin_group", "admin", "group",
     "Whose members may see the queue (apps with web2py's Auth)"),
    ))

# Those that are one of a few words
CHOICES = {"in_doubt": ("resend", "hold")}

MAY_BE_ZERO = ("max_retries", "retry_interval", "shortest_wait", "alert_delay",
               "keep_sent", "keep_rejected", "keep_failed")

WORDS = {"yes": True, "on": True, "true": True, "1": True,
         "no": False, "off": False, "false": False, "0": False,
         }

# -----------------------------------------------------------------------------
def read_settings(given, complain, source=None):
    """
        Read the settings

        Args:
            given: what the site has set, by name; as text or as it is meant
            complain: function to call with a sentence about each setting
                      that is unknown or malformed; its default is used
            source: the file that they are from, for these sentences

        Returns:
            a namespace with all settings
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
        # Else the scheduler would kill the task in the middle of a message
        settings.task_timeout = 10 * settings.reply_timeout
        complain("Setting task_timeout must exceed five times reply_timeout, "
                 "using %s" % settings.task_timeout)
    if settings.neglect_timeout <= 4 * settings.reply_timeout:
        # A worker may be busy with one message for so long
        settings.neglect_timeout = 5 * settings.reply_timeout
        complain("Setting neglect_timeout must exceed four times reply_timeout, "
                 "using %s" % settings.neglect_timeout)
    return settings

# -----------------------------------------------------------------------------
def read_value(setting, value):
    """ Read one value, from text or as it is meant; raises ValueError """

    kind = type(setting.default)
    if isinstance(value, str):
        value = value.strip()
        if kind is bool:
            value = WORDS.get(value.lower())
        elif kind is not str:
            value = None if setting.default is None and value.lower() == "none" \
                    else int(value)

    if value is None and setting.default is None:
        return None
    if kind in (bool, str):
        good = isinstance(value, kind) and \
               value in CHOICES.get(setting.name, (value,))
    else:
        good = isinstance(value, int) and not isinstance(value, bool) and \
            value >= (0 if setting.name in MAY_BE_ZERO else 1)
    if not good:
        raise ValueError(setting.name)
    return value

# -----------------------------------------------------------------------------
def read_file(path, complain):
    """
        Read an ini file like private/mails3.ini

        Args:
            path: its path; it need not exist
            complain: function to call with a sentence about what is wrong

        Returns:
            dict of the settings in its section [mails3], as text
    """

    parser = ConfigParser(interpolation=None)
    try:
        # Editors on Windows write a byte order mark. Not parser.read(): it takes
        # a file that may not be opened for one that is not there
        with open(path, encoding="utf-8-sig") as lines:
            parser.read_file(lines)
    except FileNotFoundError:
        return {}
    except (Error, OSError, UnicodeDecodeError) as error:
        # Without the line itself: it may be a token
        line = getattr(error, "lineno", None) or \
            getattr(error, "errors", None) and error.errors[0][0]
        complain("%s is not readable%s (%s): the defaults are used" %
                 (path, " at line %s" % line if line else "", type(error).__name__))
        return {}
    return dict(parser["mails3"]) if parser.has_section("mails3") else {}

# -----------------------------------------------------------------------------
@lru_cache(maxsize=1000)
def complain_once(text):
    """ Log a mistake in the configuration once in a process, not with each request """

    log.error("%s", text)

# END =========================================================================
