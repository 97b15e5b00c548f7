# -*- coding: utf-8 -*-

"""
    The value of one setting: of the type of its default, one of a few words, or
    a text with a form of its own

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from .setting_forms import READERS

__all__ = ("CAPTURE", "read_value")

# The value of delivery with which nobody gets mail
CAPTURE = "capture"

# Settings that take one of a few words
CHOICES = {"delivery": ("relay", CAPTURE),
           "in_doubt": ("resend", "hold"), "rate_counts": ("recipients", "messages"),
           "verify_tls": ("warn", "yes", "no"), "tls_min": ("1.0", "1.1", "1.2", "1.3")}

MAY_BE_ZERO = ("max_retries", "retry_interval", "shortest_wait", "alert_delay",
               "keep_sent", "keep_rejected", "keep_failed", "keep_captured")

BOOLEANS = {"yes": True, "on": True, "true": True, "1": True,
            "no": False, "off": False, "false": False, "0": False,
            }

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
        if is_valid and setting.name in READERS:
            READERS[setting.name](value)
    else:
        is_valid = isinstance(value, int) and not isinstance(value, bool) and \
            value >= (0 if setting.name in MAY_BE_ZERO else 1)
    if not is_valid:
        raise ValueError(setting.name)
    return value

# END =========================================================================
