# -*- coding: utf-8 -*-

"""
    Addresses, in a call or in the configuration: read, checked, and written
    for a header

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import re

from email.errors import MessageError
from email.header import decode_header, make_header
from functools import lru_cache
from typing import NamedTuple

from .bare_address import check_address
from .header import encoded_words
from .text import BadInput, read_line

__all__ = ("NULL_PATH", "BadInput", "Mailbox", "address_of", "in_ascii", "read_addresses",
           "read_mailbox", "read_sender")

# The sender of a mail to which nobody is to answer automatically (RFC 5321
# section 4.5.5): the envelope has none then
NULL_PATH = "<>"

# The longest name, and the longest mailbox with such a name when it is encoded
MAX_NAME_CHARS, MAX_MAILBOX_CHARS = 500, 4000
# The longest list: thousands of recipients, read in a fraction of a second
MAX_LIST_CHARS = 200000

# The tokens of a list of mailboxes, as people write it (RFC 5322 section 3.4)
# - at each place one alternative fits, in one way only: so the time to read a
#   text grows with its length and not faster
TOKEN = re.compile(r'''"(?P<quoted>(?:[^"\\]|\\.)*)"'''
                   r'''|\((?P<comment>(?:[^()\\]|\\.|\((?:[^()\\]|\\.)*\))*)\)'''
                   r'''|<(?P<address>(?:[^<>"]|"(?:[^"\\]|\\.)*")*)>'''
                   r'''|(?P<comma>,)'''
                   r'''|(?P<text>[^"(),<>]+)''', re.DOTALL)

SPECIAL = re.compile(r'[",()<>]')
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]+")

# RFC 5322 section 3.2.3: a name that needs no quotes
SIMPLE = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?: [\w!#$%&'*+/=?^`{|}~-]+)*")

# The longest encoded-word of a name, to stand on one line with "Reply-To:"
MAX_WORD_CHARS = 64

# =============================================================================
class Mailbox(NamedTuple):
    """ The sender or a recipient of a mail (RFC 5322 section 3.4) """

    name: str
    address: str # bare; its domain is ASCII only

    # -------------------------------------------------------------------------
    def __str__(self):
        """ The text for a header: the name may be encoded, the address must not be """

        name = self.name
        if not name:
            return self.address
        if not name.isascii() or "=?" in name or len(name) > 2 * MAX_WORD_CHARS or \
           max(map(len, name.split())) > MAX_WORD_CHARS:
            name = " ".join(encoded_words(name, MAX_WORD_CHARS))
        elif not SIMPLE.fullmatch(name):
            name = '"%s"' % re.sub(r'(["\\])', r"\\\1", name)
        return "%s <%s>" % (name, self.address)

    # -------------------------------------------------------------------------
    def in_ascii(self):
        """
            The text for a header that must be ASCII: an address that is not is
            shown, as the name of a group without members (RFC 6857 section 3)
        """

        if self.address.isascii():
            return str(self)
        shown = ("%s %s" % (self.name, self.address)).strip()
        return "%s :;" % " ".join(encoded_words(shown, MAX_WORD_CHARS))

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
    """ The one Mailbox in a header text; raises BadInput, as for address_of() """

    if not isinstance(text, str):
        raise BadInput("Malformed address")
    if len(text) > MAX_MAILBOX_CHARS:
        raise BadInput("Too long an address")
    return _read_mailbox(text)

@lru_cache(maxsize=100)
def _read_mailbox(text):

    tokens = scan(read_line("address", text))
    groups = list(split(tokens))
    others = "".join(token.group() for token in tokens
                     if token.lastgroup not in ("address", "comma"))
    if sum(token.lastgroup == "address" for token in tokens) == 1 and "@" not in others:
        # Miller, Joe <joe@example.org>: the comma is part of the name
        groups = [tokens]
    found = [mailbox_of(group) for group in groups if not is_blank(group)]
    if len(found) != 1:
        raise BadInput("Malformed address")
    return found[0]

# -----------------------------------------------------------------------------
def read_sender(name, value):
    """
        Read a sender

        Args:
            name: the name of the argument, for an error
            value: the header text; None or empty: the configured sender. The
                   argument "sender" may be NULL_PATH as well.

        Returns:
            the header text, or None

        Raises:
            BadInput: not exactly one well-formed mailbox
    """

    if not value:
        return None
    text = read_line(name, value)
    if text.strip() == NULL_PATH and name == "sender":
        return NULL_PATH
    try:
        return str(read_mailbox(text))
    except BadInput as error:
        raise BadInput("%s in %s" % (error, name)) from None

# -----------------------------------------------------------------------------
def read_addresses(name, value):
    """
        Read one or many recipients

        Args:
            name: the name of the argument, for an error
            value: a text, also with commas, or a list, tuple or set of texts

        Returns:
            list of Mailbox

        Raises:
            BadInput: one of them is malformed, or they are too many
    """

    if not value:
        return []
    if isinstance(value, str):
        value = [value]
    elif not isinstance(value, (list, tuple, set, frozenset)):
        raise BadInput("%s is not an address" % name)

    texts = [read_line(name, entry, MAX_LIST_CHARS) for entry in value]
    if sum(map(len, texts)) > MAX_LIST_CHARS:
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
def in_ascii(text):
    """ A header text with mailboxes, in ASCII; it was read before (see Mailbox.in_ascii) """

    return text if text.isascii() else \
        ", ".join(box.in_ascii() for box in read_addresses("header", text))

# -----------------------------------------------------------------------------
def parse(text):
    """ The mailboxes in a text, with commas between them: list of Mailbox """

    if not SPECIAL.search(text):
        # Nearly always a bare address
        return [Mailbox("", check_address(text.strip()))] if text.strip() else []
    return [mailbox_of(group) for group in split(scan(text)) if not is_blank(group)]

# -----------------------------------------------------------------------------
def scan(text):
    """ The tokens of a text (matches of TOKEN); raises BadInput """

    tokens, end = [], 0
    while end < len(text):
        token = TOKEN.match(text, end)
        if token is None:
            # A bracket, quote or comment without its end
            raise BadInput("Malformed address")
        tokens.append(token)
        end = token.end()
    return tokens

# -----------------------------------------------------------------------------
def split(tokens):
    """ The groups of tokens between the commas (lists) """

    group = []
    for token in tokens:
        if token.lastgroup == "comma":
            yield group
            group = []
        else:
            group.append(token)
    yield group

# -----------------------------------------------------------------------------
def is_blank(tokens):
    """ Whether tokens are white space only """

    return not any(token.group().strip() for token in tokens)

# -----------------------------------------------------------------------------
def mailbox_of(tokens):
    """ The Mailbox that some tokens make; raises BadInput """

    if sum(token.end() - token.start() for token in tokens) > MAX_MAILBOX_CHARS:
        raise BadInput("Too long an address")

    bare, words, comments, addresses = [], [], [], []
    for token in tokens:
        kind, text = token.lastgroup, token.group(token.lastgroup)
        if kind == "address":
            addresses.append(text)
        elif kind == "comment":
            comments.append(re.sub(r"\\(.)", r"\1", text))
        elif addresses and text.strip():
            raise BadInput("Malformed address")
        else:
            bare.append(token.group())
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
    if len(name) > MAX_NAME_CHARS:
        raise BadInput("Too long a name before an address")
    return Mailbox(name, check_address(addresses[0].strip()))

# -----------------------------------------------------------------------------
def decoded(name):
    """ A name as a reader sees it, also if the caller has encoded it (RFC 2047) """

    if "=?" in name:
        try:
            name = str(make_header(decode_header(name)))
        except (MessageError, ValueError, LookupError):
            # Nobody can read the name; the mail is sent with it
            pass
    name = name.encode("utf-8", "replace").decode("utf-8")
    return CONTROL.sub(" ", name).strip()

# END =========================================================================
