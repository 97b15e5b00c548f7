# -*- coding: utf-8 -*-

"""
    Texts of a call: checked, and refused if they can not become a mail

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from email.header import Header

__all__ = ("BadInput", "check_unicode", "read_line")

# Mail servers cut off or refuse longer headers (sendmail: 32 kB for all of them)
MAX_HEADER_CHARS = 32768

# =============================================================================
class BadInput(ValueError):
    """ A call can not become a mail; the text says why and never quotes a body """

# -----------------------------------------------------------------------------
def read_line(name, value, max_chars=MAX_HEADER_CHARS):
    """
        Read a text that becomes a header line or a part of one

        Args:
            name: the name of the argument, for an error
            value: the text, or a Header
            max_chars: its greatest length (characters)

        Returns:
            the text (str), one line

        Raises:
            BadInput: it is not a text, too long, or has a line break
    """

    if isinstance(value, Header):
        value = str(value)
    if not isinstance(value, str):
        raise BadInput("%s is not a text" % name)
    if len(value) > max_chars:
        raise BadInput("Too long: %s has %s characters, the limit is %s" %
                       (name, len(value), max_chars))
    if any(char in value for char in "\r\n\0"):
        raise BadInput("Line break or NUL in %s" % name)
    # The email package ends a header line at other characters as well, like a
    # vertical tab: the text after it must not become another header
    return check_unicode(name, " ".join(value.splitlines()))

# -----------------------------------------------------------------------------
def check_unicode(name, text):
    """ Refuse lone surrogates, which no codec can encode: the text, or BadInput """

    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise BadInput("Not encodable: %s" % name) from None
    return text

# END =========================================================================
