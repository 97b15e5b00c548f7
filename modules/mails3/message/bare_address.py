# -*- coding: utf-8 -*-

"""
    An address without a name (RFC 5321: Mailbox), checked, in the form in which
    the relay gets it

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import ipaddress
import re
import unicodedata

from .domain import DomainError, ascii_domain
from .text import BadInput

__all__ = ("check_address",)

# The longest address (bytes; RFC 5321 section 4.5.3.1.3, without the brackets). Exim
# refuses longer ones. The RFC's limit for what stands before the @, 64, is not kept:
# Postfix, Exim and OpenSMTPD take more, and some services give away more.
MAX_ADDRESS_BYTES = 254

# RFC 5321 section 4.1.2 and RFC 6531 section 3.3: Local-part
ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+"
DOT_STRING = re.compile(r"%s(?:\.%s)*" % (ATOM, ATOM))
QUOTED_STRING = re.compile(r'"(?:[ !#-\[\]-~\x80-\U0010ffff]|\\[ -~])*"')
# As Japanese carriers have given them away: dots at any place
WITH_DOTS = re.compile(r"[.A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+")

LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
DOMAIN = re.compile(r"%s(?:\.%s)*\.?" % (LABEL, LABEL))
# Any other form of address-literal than the two known ones
OTHER_LITERAL = re.compile(r"[A-Za-z0-9-]*[A-Za-z0-9]:[!-Z^-~]+")
IPV6_TAG = "IPv6:"

# Characters that nobody sees or that do not exist (categories of Unicode), and
# those of them that some scripts need between two letters
UNSEEN = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs")
JOINERS = "\u200c\u200d"
# It stands for a character that a program could not read
LOST = "\ufffd"

# -----------------------------------------------------------------------------
def check_address(address):
    """
        Check a bare address

        Args:
            address: the address, in any script

        Returns:
            the address. Its domain is ASCII only; what stands before the @ may
            be not (RFC 6531), and is quoted if it must be.

        Raises:
            BadInput: it is malformed
    """

    local, at, domain = address.rpartition("@")
    address = read_local_part(local) + at + read_domain(domain)
    if not at or len(address.encode("utf-8")) > MAX_ADDRESS_BYTES:
        raise BadInput("Malformed address")
    return address

# -----------------------------------------------------------------------------
def read_local_part(local):
    """ The part before the @, as the relay gets it; raises BadInput """

    if not local.isascii():
        # RFC 6532 section 3.1: two ways to write a letter are one
        local = unicodedata.normalize("NFC", local)
        if any(is_unseen(local, index) for index in range(len(local))):
            raise BadInput("Invisible character in an address")
    if DOT_STRING.fullmatch(local) or QUOTED_STRING.fullmatch(local):
        return local
    if not WITH_DOTS.fullmatch(local):
        raise BadInput("Malformed address")
    return '"%s"' % local

# -----------------------------------------------------------------------------
def is_unseen(local, index):
    """ Whether a character that is not ASCII can't be seen where it stands """

    char = local[index]
    if char in JOINERS:
        around = local[index - 1:index], local[index + 1:index + 2]
        return not all(each and unicodedata.category(each)[0] in "LM" and not each.isascii()
                       for each in around)
    return not char.isascii() and (char == LOST or unicodedata.category(char) in UNSEEN)

# -----------------------------------------------------------------------------
def read_domain(domain):
    """ The part after the @, ASCII only; raises BadInput """

    if domain.startswith("[") and domain.endswith("]"):
        return "[%s]" % read_literal(domain[1:-1])
    try:
        domain = ascii_domain(domain)
    except DomainError as error:
        raise BadInput(str(error)) from None
    if not DOMAIN.fullmatch(domain):
        raise BadInput("Malformed address")
    return domain

# -----------------------------------------------------------------------------
def read_literal(text):
    """ The IP address of a mail server, as in [192.0.2.1] (RFC 5321 section 4.1.3) """

    has_tag = text[:len(IPV6_TAG)].lower() == IPV6_TAG.lower()
    try:
        number = ipaddress.ip_address(text[len(IPV6_TAG):] if has_tag else text)
    except ValueError:
        if has_tag or not OTHER_LITERAL.fullmatch(text):
            raise BadInput("Malformed address") from None
        return text
    if number.version == 6:
        if number.scope_id:
            raise BadInput("Malformed address")
        # Many people write it without the tag
        return IPV6_TAG + str(number)
    if has_tag:
        raise BadInput("Malformed address")
    return text

# END =========================================================================
