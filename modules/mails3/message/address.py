# -*- coding: utf-8 -*-

"""
    Addresses and header lines, as a caller or the configuration hands them
    over: read, checked, and written as they stand in a header

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import re
import unicodedata

from email.errors import MessageError
from email.header import Header, decode_header, make_header
from encodings.idna import ToASCII, nameprep
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

from .header import encoded_words

__all__ = ("BadInput", "Mailbox", "address_of", "check_unicode", "read_addresses",
           "read_line", "read_mailbox", "read_sender", "read_unsubscribe")

# Longest text of a header (characters). Mail servers cut off or refuse longer
# ones (sendmail: 32 kB for all headers).
LONGEST_TEXT = 32768

# Longest name, and longest mailbox with such a name when it is encoded (characters)
LONGEST_NAME, LONGEST_MAILBOX = 500, 4000

# Longest list of recipients (characters): thousands, read in a fraction of a second
LONGEST_LIST = 200000

# RFC 5321 section 4.1.2: Local-part, Domain and address-literal
ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
ADDRESS = re.compile(r"""(?:%(atom)s(?:\.%(atom)s)*|"(?:[ !#-\[\]-~]|\\[ -~])*")"""
                     r"""@(?:%(label)s(?:\.%(label)s)*\.?|\[[0-9A-Za-z.:-]+\])"""
                     % {"atom": ATOM, "label": LABEL})

# RFC 5322 section 3.4, as people write it: the parts of a list of mailboxes.
# At each place one of them fits, in one way only: that takes no longer than
# the text is long.
READ_BYTES = re.compile(r'''"(?P<quoted>(?:[^"\\]|\\.)*)"'''
                        r'''|\((?P<comment>(?:[^()\\]|\\.|\((?:[^()\\]|\\.)*\))*)\)'''
                        r'''|<(?P<address>(?:[^<>"]|"(?:[^"\\]|\\.)*")*)>'''
                        r'''|(?P<comma>,)'''
                        r'''|(?P<text>[^"(),<>]+)''', re.DOTALL)

SPECIAL = re.compile(r'[",()<>]')

# RFC 5322 section 3.2.3: a name that needs no quotes
SIMPLE = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?: [\w!#$%&'*+/=?^`{|}~-]+)*")
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]+")

# As long as an encoded-word of a name may be to stand on a line with "Reply-To:"
WORD = 64

# RFC 5892: what IDNA 2003 changes into something else, and IDNA 2008 does not
SHARP_S, FINAL_SIGMA, JOINERS = "\u00df", "\u03c2", "\u200c\u200d"
# What is the one for some, and the other for others (UTS 46, before 15.1 and since)
CAPITAL_SHARP_S = "\u1e9e"
DEVIATIONS = re.compile("([%s%s%s])" % (SHARP_S, FINAL_SIGMA, JOINERS))

# RFC 3490 section 3.1
DOTS = re.compile("[.\u3002\uff0e\uff61]")

# =============================================================================
class BadInput(ValueError):
    """ The call can not become a mail; says why, never quotes a body """

# =============================================================================
class Mailbox(NamedTuple):
    """ Whom a mail is from or for (RFC 5322 section 3.4) """

    name: str
    address: str # bare, ASCII only

    # -------------------------------------------------------------------------
    def __str__(self):
        """ As it stands in a header: the name may be encoded, the address may not """

        name = self.name
        if not name:
            return self.address
        if not name.isascii() or "=?" in name or len(name) > 2 * WORD or \
           max(map(len, name.split())) > WORD:
            name = " ".join(encoded_words(name, WORD))
        elif not SIMPLE.fullmatch(name):
            name = '"%s"' % re.sub(r'(["\\])', r"\\\1", name)
        return "%s <%s>" % (name, self.address)

# -----------------------------------------------------------------------------
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

    return read_mailbox(text).address

# -----------------------------------------------------------------------------
def read_mailbox(text):
    """ The one Mailbox in a header text; raises BadInput """

    if not isinstance(text, str):
        raise BadInput("Malformed address")
    if len(text) > LONGEST_MAILBOX:
        raise BadInput("Too long an address")
    return _read_mailbox(text)

@lru_cache(maxsize=100)
def _read_mailbox(text):

    parts = scan(read_line("address", text))
    groups = list(split(parts))
    others = "".join(part.group() for group in groups for part in group
                     if part.lastgroup != "address")
    if sum(part.lastgroup == "address" for part in parts) == 1 and "@" not in others:
        # Miller, Joe <joe@example.org>: there is nobody else
        groups = [parts]
    found = [mailbox_of(group) for group in groups if not is_blank(group)]
    if len(found) != 1:
        raise BadInput("Malformed address")
    return found[0]

# -----------------------------------------------------------------------------
def parse(text):
    """
        The mailboxes in a header text

        Args:
            text: one or many, with commas between them

        Returns:
            list of Mailbox

        Raises:
            BadInput: one of them is malformed
    """

    if not SPECIAL.search(text):
        # Nearly always a bare address
        return [Mailbox("", check_address(text.strip()))] if text.strip() else []
    return [mailbox_of(group) for group in split(scan(text)) if not is_blank(group)]

# -----------------------------------------------------------------------------
def scan(text):
    """ The parts of a text (matches of PART); raises BadInput """

    parts, end = [], 0
    while end < len(text):
        part = READ_BYTES.match(text, end)
        if part is None:
            # A bracket, quote or comment that is left open
            raise BadInput("Malformed address")
        parts.append(part)
        end = part.end()
    return parts

# -----------------------------------------------------------------------------
def split(parts):
    """ What stands between the commas (lists of parts) """

    group = []
    for part in parts:
        if part.lastgroup == "comma":
            yield group
            group = []
        else:
            group.append(part)
    yield group

# -----------------------------------------------------------------------------
def is_blank(parts):
    """ Whether there is nothing but white space """

    return not any(part.group().strip() for part in parts)

# -----------------------------------------------------------------------------
def mailbox_of(parts):
    """ The Mailbox that some parts of a text are; raises BadInput """

    if sum(part.end() - part.start() for part in parts) > LONGEST_MAILBOX:
        raise BadInput("Too long an address")

    bare, words, comments, addresses = [], [], [], []
    for part in parts:
        kind, text = part.lastgroup, part.group(part.lastgroup)
        if kind == "address":
            addresses.append(text)
        elif kind == "comment":
            comments.append(re.sub(r"\\(.)", r"\1", text))
        elif addresses and text.strip():
            raise BadInput("Malformed address")
        else:
            bare.append(part.group())
            words.append(re.sub(r"\\(.)", r"\1", text) if kind == "quoted"
                         else re.sub(r"\s+", " ", text))
    if not addresses:
        # anne@example.org (Anne)
        addresses, words = ["".join(bare)], []
    elif comments:
        # Anne (at work) <anne@example.org>
        comments = ["(%s)" % text for text in comments]
    if len(addresses) > 1:
        raise BadInput("Malformed address")
    name = decoded(" ".join(filter(None, ["".join(words).strip()] + comments)))
    if len(name) > LONGEST_NAME:
        raise BadInput("Too long a name before an address")
    return Mailbox(name, check_address(addresses[0].strip()))

# -----------------------------------------------------------------------------
def decoded(name):
    """ A name as a reader is shown it, also if the caller has encoded it (RFC 2047) """

    if "=?" in name:
        try:
            name = str(make_header(decode_header(name)))
        except (MessageError, ValueError, LookupError):
            # Of no use to anybody, but no reason to send nothing
            pass
    name = name.encode("utf-8", "replace").decode("utf-8")
    return CONTROL.sub(" ", name).strip()

# -----------------------------------------------------------------------------
def check_address(address):
    """ Check a bare address (RFC 5321 section 4.1.2), with IDNA domain """

    local, at, domain = address.rpartition("@")
    if not local.isascii():
        raise BadInput("Address not ASCII before the @")
    address = local + at + ascii_domain(domain)
    # RFC 5321 section 4.5.3.1: the longest local-part and path
    if len(local) > 64 or len(address) > 254 or not ADDRESS.fullmatch(address):
        raise BadInput("Malformed address")
    return address

# -----------------------------------------------------------------------------
def ascii_domain(domain):
    """
        The ASCII form of a domain (RFC 5890), which means the same to every
        mail server

        Args:
            domain: the domain, in any script

        Raises:
            BadInput: there is none, or it is not certain whose it is
    """

    if domain.isascii():
        return domain
    try:
        return ".".join(label if label.isascii() else ascii_label(label)
                        for label in DOTS.split(domain))
    except UnicodeError:
        raise BadInput("Malformed address") from None

# -----------------------------------------------------------------------------
def ascii_label(label):
    """
        The ASCII form of a part of a domain. Python knows IDNA 2003, for which
        "straße" is "strasse": that is the domain of somebody else (RFC 5894
        section 7.2), so that such characters remain what they are.
    """

    if CAPITAL_SHARP_S in label:
        raise BadInput("Ambiguous domain of an address (write it in small letters)")
    # One by one: at the end of a word, Python makes a capital sigma a final one
    label = unicodedata.normalize("NFKC", "".join(map(str.lower, label)))
    if not DEVIATIONS.search(label):
        return ToASCII(label).decode("ascii")

    for number, char in enumerate(label):
        # RFC 5892 appendix A: else it takes tables that Python does not have
        if char in JOINERS and unicodedata.combining(label[number - 1:number] or " ") != 9:
            raise BadInput("Invisible character in the domain of an address (write the "
                           "domain as xn--)")
    label = "".join(part if DEVIATIONS.fullmatch(part) else nameprep(part)
                    for part in DEVIATIONS.split(label))
    encoded = "xn--" + label.encode("punycode").decode("ascii")
    if len(encoded) > 63:
        raise UnicodeError("label too long")
    return encoded

# -----------------------------------------------------------------------------
def read_line(name, value, longest=LONGEST_TEXT):
    """ Read a text that becomes (part of) a header line """

    if isinstance(value, Header):
        value = str(value)
    if not isinstance(value, str):
        raise BadInput("%s is no text" % name)
    if len(value) > longest:
        raise BadInput("Too long: %s has %s characters, the limit is %s" %
                       (name, len(value), longest))
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
            list of Mailbox
    """

    if not value:
        return []
    if isinstance(value, str):
        value = [value]
    elif not isinstance(value, (list, tuple, set, frozenset)):
        raise BadInput("%s is no address" % name)

    texts = [read_line(name, entry, LONGEST_LIST) for entry in value]
    if sum(map(len, texts)) > LONGEST_LIST:
        raise BadInput("Too long: %s" % name)

    result = []
    for text in texts:
        try:
            found = parse(text)
        except BadInput as error:
            raise BadInput("%s in %s" % (error, name)) from None
        if not found:
            raise BadInput("Malformed address in %s" % name)
        result.extend(found)
    return result

# -----------------------------------------------------------------------------
def read_sender(name, value):
    """ Read a sender as header text; None or empty: the configured one """

    if not value:
        return None
    text = read_line(name, value)
    try:
        return str(read_mailbox(text))
    except BadInput as error:
        raise BadInput("%s in %s" % (error, name)) from None

# -----------------------------------------------------------------------------
def read_unsubscribe(value):
    """ Read the address where to unsubscribe, of which Mail.send makes a mailto: URL """

    text = read_line("list_unsubscribe", value)
    if text.isascii():
        return text
    address, mark, query = text.partition("?")
    return check_address(address) + mark + quote(query, safe="=&%+")

# END =========================================================================
