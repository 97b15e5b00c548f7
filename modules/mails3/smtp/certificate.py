# -*- coding: utf-8 -*-

"""
    A certificate (RFC 5280), as far as people have to know of it

    Python tells what is in a certificate only if it has verified it. An admin wants
    to know it most where it can't be verified: so the few fields are read here.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import hashlib
import ipaddress
import re

from dataclasses import dataclass
from datetime import datetime
from typing import Optional, Tuple

from ..states import one_line

__all__ = ("Certificate", "read_pin")

# Tags of DER (X.690 8.1.2), and what RFC 5280 4.2.1.6 and appendix A.1 have
UTC_TIME, VERSION, EXTENSIONS, DNS_NAME, IP_ADDRESS = 0x17, 0xa0, 0xa3, 0x82, 0x87
WIDE_TEXTS = {0x1e: "utf-16-be", 0x1c: "utf-32-be"} # BMPString, UniversalString
COMMON_NAME, ORGANISATION, ALTERNATIVE_NAME = b"\x55\x04\x03", b"\x55\x04\x0a", b"\x55\x1d\x11"

# How much of a name is kept: the server may say anything (characters)
MAX_NAME = 64

# =============================================================================
@dataclass(frozen = True)
class Certificate:
    """ A certificate; what can't be read is None or empty """

    fingerprint: str                 # SHA-256 of it all: pairs of hexadecimal digits, by colons
    subject: Optional[str] = None    # common name and organisation
    issuer: Optional[str] = None
    names: Tuple[str, ...] = ()      # the hosts for which it is
    not_before: Optional[datetime] = None # UTC
    not_after: Optional[datetime] = None
    is_self_issued: bool = False     # subject and issuer are the same

    # -------------------------------------------------------------------------
    @classmethod
    def read(cls, der):
        """
            Read a certificate

            Args:
                der: the certificate in DER (bytes)

            Returns:
                the Certificate; it never raises: of a malformed one, only the
                fingerprint is known
        """

        digest = hashlib.sha256(der).hexdigest().upper()
        fingerprint = ":".join(digest[at:at + 2] for at in range(0, len(digest), 2))
        try:
            return cls(fingerprint, **fields_of(der))
        except (ValueError, IndexError):
            return cls(fingerprint)

    # -------------------------------------------------------------------------
    def __str__(self):
        """ Whose it is, in words: "mail.shelter.net, by R11 of Let's Encrypt, until 2027-01-31" """

        return "%s, by %s, until %s" % (
            self.subject or ", ".join(self.names[:1]) or "no name",
            "itself" if self.is_self_issued else self.issuer or "no name",
            self.not_after.strftime("%Y-%m-%d") if self.not_after else "an unknown time")

# -----------------------------------------------------------------------------
def read_pin(text):
    """
        Read a fingerprint as people write it: openssl with colons, others without

        Args:
            text: the fingerprint

        Returns:
            the fingerprint, as Certificate.fingerprint

        Raises:
            ValueError: it is not a SHA-256 in hexadecimal digits
    """

    digits = re.sub(r"[:\s]", "", text).upper()
    if not re.fullmatch(r"[0-9A-F]{64}", digits):
        raise ValueError("not a SHA-256 fingerprint")
    return ":".join(digits[at:at + 2] for at in range(0, len(digits), 2))

# -----------------------------------------------------------------------------
# To read DER; each function raises ValueError or IndexError for what is malformed
#
def fields_of(der):
    """ The fields of a Certificate (dict), see RFC 5280 4.1 """

    (_, whole), = elements(der)
    _, to_be_signed = elements(whole)[0]
    parts = elements(to_be_signed)
    if parts[0][0] == VERSION:
        del parts[0]
    _, _, (_, issuer), (_, validity), (_, subject), *others = parts
    extensions = [content for tag, content in others if tag == EXTENSIONS]
    not_before, not_after = map(time_of, elements(validity))
    common_name = attributes(subject).get(COMMON_NAME)
    return {"subject": name_of(subject),
            "issuer": name_of(issuer),
            "names": host_names(extensions) or ((common_name,) if common_name else ()),
            "not_before": not_before,
            "not_after": not_after,
            "is_self_issued": subject == issuer,
            }

# -----------------------------------------------------------------------------
def elements(data):
    """ The elements of a value (X.690 8.1): list of tuples (tag, content) """

    found = []
    while data:
        tag, length, start = data[0], data[1], 2
        if length & 0x80:
            start += length & 0x7f
            length = int.from_bytes(data[2:start], "big")
        if len(data) < start + length:
            raise ValueError("too short")
        found.append((tag, data[start:start + length]))
        data = data[start + length:]
    return found

# -----------------------------------------------------------------------------
def attributes(name):
    """ What a name (RFC 5280 4.1.2.4) is made of: dict {object identifier: text} """

    found = {}
    for _, group in elements(name):
        for _, attribute in elements(group):
            (_, identifier), (tag, value) = elements(attribute)
            text = value.decode(WIDE_TEXTS.get(tag, "utf-8"), "replace")
            found.setdefault(identifier, one_line(text)[:MAX_NAME])
    return found

# -----------------------------------------------------------------------------
def name_of(name):
    """ A name in words: "R11 of Let's Encrypt" """

    found = attributes(name)
    known = [found[identifier] for identifier in (COMMON_NAME, ORGANISATION) if identifier in found]
    if len(known) == 2 and known[0] != known[1]:
        return "%s of %s" % tuple(known)
    return known[0] if known else None

# -----------------------------------------------------------------------------
def time_of(element):
    """ A time (RFC 5280 4.1.2.5), an element; as datetime in UTC """

    tag, content = element
    text = content.decode("ascii")
    if tag == UTC_TIME:
        text = ("19" if text >= "5" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ")

# -----------------------------------------------------------------------------
def host_names(extensions):
    """ The hosts of a certificate: its alternative names (RFC 5280 4.2.1.6), a tuple of texts """

    found = []
    for each in extensions:
        (_, sequence), = elements(each)
        for _, extension in elements(sequence):
            (_, identifier), *_, (_, octets) = elements(extension)
            if identifier == ALTERNATIVE_NAME:
                (_, names), = elements(octets)
                found += [host_name(*element) for element in elements(names)
                          if element[0] in (DNS_NAME, IP_ADDRESS)]
    return tuple(found)

# -----------------------------------------------------------------------------
def host_name(tag, content):
    """ One of the alternative names, a host or its address, as a text """

    text = content.decode("ascii", "replace") if tag == DNS_NAME else \
        str(ipaddress.ip_address(content))
    return one_line(text)[:MAX_NAME]

# END =========================================================================
