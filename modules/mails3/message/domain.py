# -*- coding: utf-8 -*-

"""
    The domain of an address in another script, in its ASCII form (IDNA 2008)

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import re
import unicodedata

from encodings.idna import ToASCII, nameprep

__all__ = ("DomainError", "ascii_domain")

# RFC 1034 section 3.1
MAX_LABEL_CHARS = 63

# RFC 5892: characters that IDNA 2003 changes into others, and IDNA 2008 does not
SHARP_S, FINAL_SIGMA, JOINERS = "\u00df", "\u03c2", "\u200c\u200d"
DEVIATIONS = re.compile("([%s%s%s])" % (SHARP_S, FINAL_SIGMA, JOINERS))

# Some programs read it as "ss", others as the small letter (UTS 46, before 15.1
# and since)
CAPITAL_SHARP_S = "\u1e9e"

# The combining class of a virama (Unicode), after which a joiner is visible
VIRAMA = 9

# RFC 3490 section 3.1
DOTS = re.compile("[.\u3002\uff0e\uff61]")

# =============================================================================
class DomainError(ValueError):
    """ The domain is malformed, or two programs may read it in two ways """

# -----------------------------------------------------------------------------
def ascii_domain(domain):
    """
        The ASCII form of a domain (RFC 5890), which all mail servers read in
        the same way

        Args:
            domain: the domain, in any script

        Returns:
            the domain; unchanged if it is ASCII, which is not checked

        Raises:
            DomainError: there is no ASCII form, or more than one
    """

    if domain.isascii():
        return domain
    try:
        return ".".join(label if label.isascii() else ascii_label(label)
                        for label in DOTS.split(domain))
    except UnicodeError:
        raise DomainError("Malformed address") from None

# -----------------------------------------------------------------------------
def ascii_label(label):
    """
        The ASCII form of one label of a domain
        - Python knows IDNA 2003, where "straße" becomes "strasse": that domain
          may belong to somebody else (RFC 5894 section 7.2). So the characters
          on which the two versions differ are kept.

        Raises:
            DomainError: programs read it in more than one way
            UnicodeError: it is malformed
    """

    if CAPITAL_SHARP_S in label:
        raise DomainError("Ambiguous domain of an address (write it in small letters)")
    # Each letter alone: at the end of a word, Python makes a capital sigma a final one
    label = unicodedata.normalize("NFKC", "".join(map(str.lower, label)))
    if not DEVIATIONS.search(label):
        return ToASCII(label).decode("ascii")

    for index, char in enumerate(label):
        # RFC 5892 appendix A; its other rule needs tables that Python does not have
        if char in JOINERS and \
           unicodedata.combining(label[index - 1:index] or " ") != VIRAMA:
            raise DomainError("Invisible character in the domain of an address (write the "
                              "domain as xn--)")
    label = "".join(part if DEVIATIONS.fullmatch(part) else nameprep(part)
                    for part in DEVIATIONS.split(label))
    encoded = "xn--" + label.encode("punycode").decode("ascii")
    if len(encoded) > MAX_LABEL_CHARS:
        raise UnicodeError("label too long")
    return encoded

# END =========================================================================
