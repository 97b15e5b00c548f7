# -*- coding: utf-8 -*-

"""
    Addresses and header lines, as a caller hands them over: read and checked

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import re

from email.header import Header
from email.utils import formataddr, getaddresses
from functools import lru_cache
from inspect import signature

__all__ = ("BadInput", "address_of", "check_unicode", "read_addresses", "read_line",
           "read_sender")

# RFC 5321 section 4.1.2: Local-part, Domain and address-literal
ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
ADDRESS = re.compile(r"""(?:%(atom)s(?:\.%(atom)s)*|"(?:[ !#-\[\]-~]|\\[ -~])*")"""
                     r"""@(?:%(label)s(?:\.%(label)s)*\.?|\[[0-9A-Za-z.:-]+\])"""
                     % {"atom": ATOM, "label": LABEL})

# What there is nothing to parse in
BARE = re.compile(r"%(atom)s(?:\.%(atom)s)*@%(label)s(?:\.%(label)s)*"
                  % {"atom": ATOM, "label": LABEL})

# From Python 3.13 on (and with the fixes of CVE-2023-27043 in earlier ones) the
# parser refuses all of a text with a domain literal, or with a comma too many
LENIENT = {"strict": False} if "strict" in signature(getaddresses).parameters else {}

QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')

# =============================================================================
class BadInput(ValueError):
    """ The call can not become a mail; says why, never quotes a body """

# -----------------------------------------------------------------------------
@lru_cache(maxsize=100)
def address_of(text):
    """
        The bare address in a header text like "Anne <anne@example.org>"

        Args:
            text: the header text

        Returns:
            the address (str)

        Raises:
            BadInput: not exactly one well-formed address
    """

    found = parse(text)
    if len(found) != 1:
        raise BadInput("Malformed address")
    return check_address(found[0][1])

# -----------------------------------------------------------------------------
def parse(text):
    """ The names and addresses in a header text, as any Python reads them """

    if BARE.fullmatch(text):
        return [("", text)]
    return getaddresses([text], **LENIENT)

# -----------------------------------------------------------------------------
def check_address(address):
    """ Check a bare address (RFC 5321 section 4.1.2), with IDNA domain """

    local, at, domain = address.rpartition("@")
    if not domain.isascii():
        # RFC 5891: the ASCII form means the same to every relay
        try:
            domain = domain.encode("idna").decode("ascii")
        except UnicodeError:
            raise BadInput("Malformed address") from None
    address = local + at + domain

    if not local.isascii():
        raise BadInput("Address not ASCII before the @")
    # RFC 5321 section 4.5.3.1: the longest local-part and path
    if not ADDRESS.fullmatch(address) or len(local) > 64 or len(address) > 254:
        raise BadInput("Malformed address")
    return address

# -----------------------------------------------------------------------------
def read_line(name, value):
    """ Read a text that becomes (part of) a header line """

    if isinstance(value, Header):
        value = str(value)
    if not isinstance(value, str):
        raise BadInput("%s is no text" % name)
    if any(char in value for char in "\r\n\0"):
        raise BadInput("Line break or NUL in %s" % name)
    # The email package ends a header's line at other characters as well, like
    # a vertical tab: what follows must not pass for another header
    return check_unicode(name, " ".join(value.splitlines()))

# -----------------------------------------------------------------------------
def check_unicode(name, text):
    """ Refuse lone surrogates: no codec can encode them """

    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise BadInput("Not encodable: %s" % name) from None
    return text

# -----------------------------------------------------------------------------
def read_addresses(name, value):
    """
        Read one or many recipients: a text, also with commas, or a list,
        tuple or set of texts

        Returns:
            list of tuples (header text, bare address)
    """

    if not value:
        return []
    if isinstance(value, str):
        value = [value]
    elif not isinstance(value, (list, tuple, set, frozenset)):
        raise BadInput("%s is no address" % name)

    result = []
    for entry in value:
        text = read_line(name, entry).strip()
        found = parse(text)
        # The parser forgives a bracket left open, relays need not; and it
        # takes a name with an @ in it for one more recipient
        unquoted = QUOTED.sub("", text)
        if not found or unquoted.count("<") != unquoted.count(">") or \
           len(found) > unquoted.count(",") + 1:
            raise BadInput("Malformed address in %s" % name)
        for person, address in found:
            try:
                bare = check_address(address)
            except BadInput as error:
                raise BadInput("%s in %s" % (error, name)) from None
            if len(found) > 1 or not text.isascii():
                # Each on its own, the name as an encoded-word (RFC 2047
                # section 5: the address itself must not be encoded)
                result.append((formataddr((person, bare)), bare))
            else:
                result.append((text, bare))
    return result

# -----------------------------------------------------------------------------
def read_sender(name, value):
    """ Read a sender; None or empty: the configured one """

    if not value:
        return None
    found = read_addresses(name, value if isinstance(value, str) else [value])
    if len(found) != 1:
        raise BadInput("Malformed address in %s" % name)
    return found[0][0]

# END =========================================================================
