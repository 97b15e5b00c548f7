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

from .settings import MISTAKE, RELAYS

__all__ = ("complain_once", "read_file")

log = logging.getLogger("web2py.mails3")

# "first" is the relay of the app's own configuration
RELAY_SECTION = re.compile(r"relay\s+(?!first$)([\w.-]{1,40})")

# -----------------------------------------------------------------------------
def read_file(path, complain):
    """
        Read an ini file like private/mails3.ini

        Args:
            path: its path; a missing file is no error
            complain: function that is called with a sentence if the file can
                      not be read, or has a section that is unknown

        Returns:
            dict of the settings in its section [mails3], as texts; those of its
            sections [relay NAME], and what is wrong with the file, as for
            read_settings()
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
        mistake = "%s is not readable%s (%s)" % (path, " at line %s" % line if line else "",
                                                 type(error).__name__)
        complain("%s: mail waits until it is" % mistake)
        return {MISTAKE: mistake}

    given, relays = {}, {}
    for section in parser.sections():
        found = RELAY_SECTION.fullmatch(section)
        if section == "mails3":
            given.update(parser[section])
        elif found:
            relays[found[1]] = dict(parser[section])
        else:
            complain("Section [%s] in %s is unknown: [mails3] and [relay NAME] are known, with a "
                     "name of up to 40 letters, digits, dots and hyphens" % (section, path))
    return {**given, RELAYS: relays} if relays else given

# -----------------------------------------------------------------------------
@lru_cache(maxsize=1000)
def complain_once(text):
    """ Log a mistake in the configuration once per process, not with each request """

    log.error("%s", text)

# END =========================================================================
