# -*- coding: utf-8 -*-

"""
    The domain of an address in another script, in its ASCII form (IDNA 2008)

    Python's own idna codec has IDNA 2003, with the characters of Unicode 3.2.
    The rules of IDNA 2008 are computed here from the properties of characters
    that Python has (RFC 5892 says how).

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import re
import stringprep
import unicodedata

__all__ = ("DomainError", "ascii_domain", "with_ascii_domain")

# RFC 1034 section 3.1
MAX_LABEL_CHARS = 63

# The beginning of the ASCII form of a label (RFC 5890 section 2.3.2.1)
PREFIX = "xn--"

# RFC 5894 section 7.2: characters that IDNA 2003 changes into others, or removes,
# and IDNA 2008 does not
SHARP_S, FINAL_SIGMA, NON_JOINER, JOINER = "\u00df", "\u03c2", "\u200c", "\u200d"
DEVIATIONS = (SHARP_S, FINAL_SIGMA, NON_JOINER, JOINER)

# Some programs read it as "ss", others as the small letter (UTS 46, before 15.1
# and since)
CAPITAL_SHARP_S = "\u1e9e"

# The combining class of a virama (Unicode), after which a joiner is visible
VIRAMA = 9

# A label in ASCII (RFC 5890 section 2.3.1; with the underscore, as some people have it)
PLAIN = re.compile("[a-z0-9_-]+")

# RFC 3490 section 3.1
DOTS = re.compile("[.\u3002\uff0e\uff61]")

# RFC 5892 section 2.6: characters that are not what their properties say
PERMITTED = "\u06fd\u06fe\u0f0b\u3007"
FORBIDDEN = "\u0640\u07fa\u302e\u302f\u3031\u3032\u3033\u3034\u3035\u303b"

# RFC 5892 section 2.1: letters, digits and marks. Symbols (So) are not among them;
# they are taken because registries have sold names with emoji, and all programs
# that take such a name encode it in the same way.
CATEGORIES = ("Ll", "Lu", "Lo", "Lm", "Mn", "Mc", "Nd", "So")

# RFC 5892 sections 2.4, 2.5 and 2.9: characters that nobody sees, marks for
# symbols, parts of Korean syllables; and what stands for a character that was lost
EXCLUDED = re.compile("[\u17b4\u17b5\u180f\u2800\U000e0100-\U000e01ef"
                      "\u20d0-\u20ff\U0001d100-\U0001d24f"
                      "\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff"
                      "\ufffc\ufffd]")

# RFC 5892 appendix A.3 to A.7: punctuation that is permitted between some letters
MIDDLE_DOT = re.compile("(?<=l)\u00b7(?=l)")
PUNCTUATION = {
    # character  how the names of the letters begin, and which ones count
    "\u0375":    (("GREEK",), lambda before, after: after[:1]),
    "\u05f3":    (("HEBREW",), lambda before, after: before[-1:]),
    "\u05f4":    (("HEBREW",), lambda before, after: before[-1:]),
    "\u30fb":    (("HIRAGANA", "KATAKANA LETTER", "CJK"), lambda before, after: before + after),
    }
# RFC 5892 appendix A.8 and A.9: two kinds of digits that look alike
ARABIC_DIGITS, EXTENDED_DIGITS = re.compile("[\u0660-\u0669]"), re.compile("[\u06f0-\u06f9]")

# RFC 5893 section 2: the directions of characters (Unicode), in a label that is
# written from right to left, or from left to right
RIGHT = ("R", "AL", "AN")
NEUTRAL = ("EN", "ES", "CS", "ET", "ON", "BN", "NSM")

# =============================================================================
class DomainError(ValueError):
    """ The domain is malformed, or two programs may read it in two ways """

MALFORMED = "Malformed address"

# -----------------------------------------------------------------------------
def ascii_domain(domain):
    """
        The ASCII form of a domain (RFC 5890), which all mail servers read in
        the same way

        Args:
            domain: the domain, in any script

        Returns:
            the domain; unchanged if it is ASCII

        Raises:
            DomainError: there is no ASCII form, or more than one; or a label
                         begins with "xn--" and has no text in it. The rest of
                         a domain in ASCII is not checked.
    """

    if domain.isascii():
        if PREFIX in domain.lower():
            for label in domain.split("."):
                check_encoded(label)
        return domain
    return ".".join(label if label.isascii() and not label.lower().startswith(PREFIX)
                    else ascii_label(label)
                    for label in DOTS.split(domain))

# -----------------------------------------------------------------------------
def with_ascii_domain(text):
    """
        A part of an address, or a pattern for addresses, as addresses are stored

        Args:
            text: as a person writes it

        Returns:
            the text with its domain in ASCII; unchanged if it has none
    """

    local, at, domain = text.rpartition("@")
    try:
        return local + at + ascii_domain(domain)
    except DomainError:
        return text

# -----------------------------------------------------------------------------
def ascii_label(label):
    """
        The ASCII form of one label of a domain
        - IDNA 2003 makes "strasse" of "straße": that domain may belong to
          somebody else (RFC 5894 section 7.2). So the characters on which the
          two versions differ are kept.

        Raises:
            DomainError: it is malformed, or programs read it in more than one way
    """

    if CAPITAL_SHARP_S in label:
        raise DomainError("Ambiguous domain of an address (write it in small letters)")
    label = mapped(label)
    if PLAIN.fullmatch(label):
        # Wide letters, as Asian keyboards write them
        check_encoded(label)
        return label
    for index, char in enumerate(label):
        # RFC 5892 appendix A; its other rule needs tables that Python does not have
        if char in (NON_JOINER, JOINER) and \
           unicodedata.combining(label[index - 1:index] or " ") != VIRAMA:
            raise DomainError("Invisible character in the domain of an address (write the "
                              "domain as xn--)")
    check_label(label)
    encoded = PREFIX + label.encode("punycode").decode("ascii")
    if len(encoded) > MAX_LABEL_CHARS:
        raise DomainError(MALFORMED)
    return encoded

# -----------------------------------------------------------------------------
def mapped(label):
    """
        A label as people mean it: small letters of normal width, without
        characters that nobody sees (UTS 46 section 4; RFC 5895 section 2)
    """

    # Each alone: Python makes a capital sigma at the end of a word a final one
    return unicodedata.normalize("NFC", "".join(char if char in DEVIATIONS else
                                                "" if is_invisible(char) else
                                                plain(char) for char in label))

# -----------------------------------------------------------------------------
def is_invisible(char):
    """ Whether all programs remove a character; of the Mongolian hyphen, only old ones do """

    return stringprep.in_table_b1(char) and char != "\u1806"

# -----------------------------------------------------------------------------
def plain(char):
    """ A character as a small letter of normal width, or as several ones """

    # Twice, because the first time may make new capital letters, as of the sign TM
    for _ in range(2):
        char = unicodedata.normalize("NFKC", char.casefold())
    return char

# -----------------------------------------------------------------------------
def check_encoded(label):
    """
        Check a label that may be an encoded one: it must be what we would write
        for the text that people are shown (RFC 5891 section 5.4)

        Raises:
            DomainError: it begins with "xn--", and is not
    """

    label = label.lower()
    if not label.startswith(PREFIX):
        return
    try:
        text = label[len(PREFIX):].encode("ascii").decode("punycode")
        encoded = text.encode("punycode").decode("ascii")
    except UnicodeError:
        raise DomainError(MALFORMED) from None
    if text.isascii() or PREFIX + encoded != label or mapped(text) != text:
        raise DomainError(MALFORMED)
    check_label(text)

# -----------------------------------------------------------------------------
def check_label(label):
    """
        Check a label, in its own script (RFC 5891 section 5.4)

        Args:
            label: the label, mapped, not ASCII

        Raises:
            DomainError: no registry may have sold it
    """

    # Not the hyphens in third and fourth place: some old names have them
    if not label or label.startswith("-") or label.endswith("-") or \
       unicodedata.category(label[0])[0] == "M" or \
       not all(is_permitted(label, index) for index in range(len(label))) or \
       ARABIC_DIGITS.search(label) and EXTENDED_DIGITS.search(label) or \
       not has_one_direction(label):
        raise DomainError(MALFORMED)

# -----------------------------------------------------------------------------
def is_permitted(label, index):
    """ Whether a character may stand at its place in a label (RFC 5892 section 3) """

    char = label[index]
    if char.isascii():
        return char.islower() or char.isdigit() or char in "-_"
    if char == "\u00b7":
        return MIDDLE_DOT.match(label, index) is not None
    if char in PUNCTUATION:
        scripts, which = PUNCTUATION[char]
        return any(unicodedata.name(each, "").startswith(scripts)
                   for each in which(label[:index], label[index + 1:]))
    return char in DEVIATIONS or char in PERMITTED or \
        unicodedata.category(char) in CATEGORIES and char not in FORBIDDEN and \
        not EXCLUDED.match(char)

# -----------------------------------------------------------------------------
def has_one_direction(label):
    """ Whether a label reads in one direction only (RFC 5893 section 2) """

    kinds = [unicodedata.bidirectional(char) for char in label]
    if not any(kind in RIGHT for kind in kinds):
        # Without such a label, the rule is about no domain
        return True
    while kinds[-1] == "NSM":
        kinds.pop()
    return kinds[0] in ("R", "AL") and kinds[-1] in ("R", "AL", "EN", "AN") and \
        all(kind in RIGHT + NEUTRAL for kind in kinds) and \
        not ("EN" in kinds and "AN" in kinds)

# END =========================================================================
