# -*- coding: utf-8 -*-

"""
    How a recipient leaves a list: the headers List-Unsubscribe (RFC 2369) and
    List-Unsubscribe-Post (RFC 8058)

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import re

from urllib.parse import quote, urlsplit

from .bare_address import check_address
from .text import BadInput, read_line

__all__ = ("read_list_unsubscribe", "unsubscribe_headers")

# What a mailto: URL has of an address as it is
IN_ADDRESS = "!$'*+/@^_`{|}~[]:"
MAILTO = "mailto:"

# A URL in a header, on a line of its own (RFC 3986, without the brackets around it)
URL = re.compile(r"[!#-;=?-\[\]_a-z~%]{1,900}")

# -----------------------------------------------------------------------------
def unsubscribe_headers(value):
    """
        The headers for the argument unsubscribe of send()

        Args:
            value: a URL (https) that takes a POST without further questions, or a
                   pair of it and an address, as for list_unsubscribe

        Returns:
            dict {name: text}

        Raises:
            BadInput: it is something else
    """

    url, address = value if isinstance(value, (list, tuple)) and len(value) == 2 else \
        (value, None)
    url = read_line("unsubscribe", url).strip()
    try:
        parts = urlsplit(url)
        # RFC 8058 section 3.1 wants https
        is_valid = parts.scheme == "https" and parts.hostname and URL.fullmatch(url)
    except ValueError:
        is_valid = False
    if not is_valid:
        raise BadInput("unsubscribe is not a URL that begins with https://")
    places = ["<%s>" % url]
    if address:
        places.append("<%s%s>" % (MAILTO, read_list_unsubscribe(address, "unsubscribe")))
    return {"List-Unsubscribe": ", ".join(places),
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            }

# -----------------------------------------------------------------------------
def read_list_unsubscribe(value, name="list_unsubscribe"):
    """
        Read the address for unsubscribing, of which Mail.send makes a mailto: URL

        Args:
            value: the address, may have a query ("anne@example.org?subject=stop")
            name: the name of the argument, for an error

        Returns:
            the text, ASCII only

        Raises:
            BadInput: it can not become a URL
    """

    text = read_line(name, value)
    if text.lower().startswith(MAILTO):
        text = text[len(MAILTO):]
    if text.isascii():
        if not URL.fullmatch(text):
            raise BadInput("%s is not an address" % name)
        return text
    address, mark, query = text.partition("?")
    # RFC 6068 section 2
    return quote(check_address(address), safe=IN_ADDRESS) + mark + quote(query, safe="=&%+")

# END =========================================================================
