# -*- coding: utf-8 -*-

"""
    The file with the settings, private/mails3.ini, and complaints about mistakes in it

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging
import re

from configparser import ConfigParser, Error
from functools import lru_cache

from .setting_values import CAPTURE
from .settings import RELAYS

__all__ = ("complain_once", "read_file")

log = logging.getLogger("web2py.mails3")

# A line of the file that keeps mail from real people; models/tasks_mail.py has the same
PROTECTS = re.compile(r"(?im)^[ \t]*(?:delivery[ \t]*[=:][ \t]*(?!relay[ \t]*$)|"
                      r"(?:redirect_to|only_to)[ \t]*[=:][ \t]*)\S")

# -----------------------------------------------------------------------------
def read_file(path, complain):
    """
        Read an ini file like private/mails3.ini

        Args:
            path: its path; a missing file is no error
            complain: function that is called with a sentence if the file can
                      not be read

        Returns:
            dict of the settings in its section [mails3], as texts; those of its
            sections [relay NAME] as for read_settings()
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
        return {"delivery": CAPTURE} if protects(path) else {}
    given = dict(parser["mails3"]) if parser.has_section("mails3") else {}
    relays = {section.split(None, 1)[1].strip(): dict(parser[section])
              for section in parser.sections() if section.lower().startswith("relay ")}
    return {**given, RELAYS: relays} if relays else given

# -----------------------------------------------------------------------------
def protects(path):
    """
        Whether a file that can not be read as a whole has a setting that is to keep
        mail from real people: by the defaults, the copy of a site would send

        Args:
            path: its path
    """

    try:
        with open(path, encoding="utf-8", errors="replace") as lines:
            return bool(PROTECTS.search(lines.read()))
    except OSError:
        return False

# -----------------------------------------------------------------------------
@lru_cache(maxsize=1000)
def complain_once(text):
    """ Log a mistake in the configuration once per process, not with each request """

    log.error("%s", text)

# END =========================================================================
