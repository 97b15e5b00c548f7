# -*- coding: utf-8 -*-

"""
    The name with which we introduce ourselves to the relay (EHLO)

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import re
import socket

from ipaddress import ip_address

from ..message.domain import DomainError, ascii_domain

__all__ = ("ehlo_name", "full_name")

# RFC 5321 section 4.1.2: Domain; with at least one dot, because a name without one
# says nothing to other machines. Postfix refuses underscores (smtpd_helo_restrictions).
LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
NAME = re.compile(r"(?=.{1,253}$)(?:%s\.)+(?!\d+$)%s" % (LABEL, LABEL))

# Every machine has that name; Google's relay refuses it ("421 4.7.0 ... (EHLO)")
EVERYBODY = re.compile(r"(?:^|\.)(?:localhost|localdomain)\d*$", re.IGNORECASE)

# -----------------------------------------------------------------------------
def ehlo_name(given, own_address):
    """
        The argument of EHLO (RFC 5321 section 4.1.1.1): our full name, or our
        address if there is no full name (section 4.1.4)

        Args:
            given: the name that is configured, or None
            own_address: the IP address of our side of the connection

        Returns:
            a name or an address literal (str, ASCII)
    """

    return full_name(given) or full_name(socket.getfqdn()) or literal(own_address)

# -----------------------------------------------------------------------------
def full_name(text):
    """
        A text as an argument of EHLO

        Args:
            text: a host name, in any script; or an IP address

        Returns:
            the name or address literal (str, ASCII); None if it is neither
    """

    text = (text or "").strip().rstrip(".")
    try:
        return literal(re.sub(r"^\[(?:IPv6:)?(.*)\]$", r"\1", text, flags=re.IGNORECASE))
    except ValueError:
        pass
    try:
        name = ascii_domain(text)
    except DomainError:
        return None
    return name if NAME.fullmatch(name) and not EVERYBODY.search(name) else None

# -----------------------------------------------------------------------------
def literal(address):
    """ An IP address as an address literal (RFC 5321 section 4.1.3); raises ValueError """

    # Without the interface, which is known on this machine only
    number = ip_address(address.partition("%")[0])
    return "[%s%s]" % ("IPv6:" if number.version == 6 else "", number)

# END =========================================================================
