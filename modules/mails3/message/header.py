# -*- coding: utf-8 -*-

"""
    Header lines: encoded if they are not ASCII (RFC 2047), and folded (RFC 5322);
    the time for that grows with the length of a line, not with its square

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import re

from base64 import b64encode
from email.header import Header
from email.policy import Compat32

__all__ = ("ADDRESS_HEADERS", "FOLDED", "FOLDED_UTF8", "MAX_LINE_CHARS", "encoded_words")

# Headers with addresses (lower case), where only the names may be encoded
ADDRESS_HEADERS = ("from", "sender", "to", "cc", "bcc", "reply-to", "errors-to", "return-path",
                   "disposition-notification-to", "return-receipt-to")

# RFC 5322 section 2.1.1, without the end of the line; of UTF-8, these are bytes (RFC
# 6532 section 3.4)
MAX_LINE_CHARS = 998

# RFC 2047 section 2: the longest line with an encoded-word, and what "=?utf-8?q?"
# and "?=" take of it
FOLDED_LINE_CHARS = 76
MARKS_CHARS = 12

# RFC 2047 section 5 (3): the characters that need no quoting in any encoded-word
UNQUOTED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/"
QUOTED = {byte: chr(byte) if byte in UNQUOTED else "_" if byte == 32 else "=%02X" % byte
          for byte in range(256)}

# A header text that needs no change
UNCHANGED = re.compile(r"[!-~](?:[ -~]*[!-~])?")
PRINTABLE = re.compile(r"[\t -~]*")

# A line may be folded before a token: white space with a text after it. A quoted
# name is one token, because some mail readers do not unfold it.
TOKEN = re.compile(r"[ \t]*(?:\"(?:[^\"\\]|\\.){1,200}\"|[^ \t])+")
LINE_END = re.compile(r"\r\n|\r|\n")

# A header text that is folded: the lines after the first begin with white space
FOLDED_ALREADY = re.compile(r"[\t -~]{0,900}(?:(?:\r\n|\r|\n)[ \t]{1,8}[!-~][\t -~]{0,980})+")

# RFC 2231 section 4: name*=charset'language'text, and how much of the text each
# of the parts of section 3 gets
EXTENDED = re.compile(r"([\w-]+)\*=([\w-]*'[\w-]*')((?:%[0-9A-Fa-f]{2}|[^%;\s\"'])+)")
OCTET = re.compile(r"%..|.")
MAX_PART_CHARS = 60

# -----------------------------------------------------------------------------
def encoded_words(text, first_chars=FOLDED_LINE_CHARS):
    """
        A text as encoded-words (RFC 2047)

        Args:
            text: the text
            first_chars: the greatest length of the first word (characters)

        Returns:
            list of str, each at most 75 characters long; no character of the
            text is divided between two words
    """

    octets = text.encode("utf-8")
    is_quoted = sum(len(QUOTED[octet]) for octet in octets) <= len(octets) * 4 / 3

    words, part, size = [], [], 0
    # The longest character takes twelve characters when it is quoted
    room = max(min(first_chars, FOLDED_LINE_CHARS - 1) - MARKS_CHARS, 12)
    for char in text:
        octets = char.encode("utf-8")
        piece = "".join(QUOTED[octet] for octet in octets) if is_quoted else octets
        if size + len(piece) > (room if is_quoted else room // 4 * 3):
            words.append(part)
            part, size, room = [], 0, FOLDED_LINE_CHARS - 1 - MARKS_CHARS
        part.append(piece)
        size += len(piece)
    words.append(part)
    if is_quoted:
        return ["=?utf-8?q?%s?=" % "".join(part) for part in words]
    return ["=?utf-8?b?%s?=" % b64encode(b"".join(part)).decode("ascii") for part in words]

# =============================================================================
class Folding(Compat32):
    """
        The email package's policy, with header lines no longer than the RFCs
        allow, and the same lines in a text as in bytes: a signature is made
        over the text, and the bytes are sent

        is_utf8: addresses are written in UTF-8, if they are not ASCII: for a
                 relay that takes such a message (RFC 6532)
    """

    is_utf8 = False

    # -------------------------------------------------------------------------
    def fold(self, name, value):
        """ A header as lines, ASCII only unless is_utf8 is set """

        if isinstance(value, str) and len(name) + len(value) <= FOLDED_LINE_CHARS - 2 and \
           UNCHANGED.fullmatch(value):
            # Nearly always
            return "%s: %s%s" % (name, value, self.linesep)
        text = decoded(value)
        if FOLDED_ALREADY.fullmatch(text):
            # A signature may cover it: each line is kept
            text = LINE_END.sub(self.linesep, text)
            space = "" if text.startswith(self.linesep) else " "
            return "%s:%s%s%s" % (name, space, text, self.linesep)
        lines = [name + ":"]
        is_utf8 = self.is_utf8 and name.lower() in ADDRESS_HEADERS
        for index, token in enumerate(tokens(name, text, is_utf8)):
            # Some mail readers do not take a first line that has only the name
            if len(lines[-1]) + len(token) > FOLDED_LINE_CHARS and \
               (index or token.startswith(" =?")):
                lines.append(token)
            else:
                lines[-1] += token
        return self.linesep.join(lines) + self.linesep

    # -------------------------------------------------------------------------
    def fold_binary(self, name, value):
        """ A header as lines (bytes) """

        return self.fold(name, value).encode("utf-8")

# 7bit, because text and bytes of an 8bit part differ
FOLDED = Folding(cte_type="7bit")
FOLDED_UTF8 = FOLDED.clone(is_utf8=True)

# -----------------------------------------------------------------------------
def decoded(value):
    """ A header as text; octets that the email package could not read become UTF-8 """

    text = str(value) if isinstance(value, Header) else value
    if not text.isascii():
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text

# -----------------------------------------------------------------------------
def tokens(name, text, is_utf8=False):
    """
        The tokens of a header text, of which its lines are made

        Args:
            name: the name of the header
            text: its text
            is_utf8: text that is not ASCII is written as it is

        Returns:
            list of texts, each with the white space before it
    """

    room = MAX_LINE_CHARS - len(name) - 2
    # Lines that are not folded correctly become one
    text = " ".join(line.strip(" \t") for line in LINE_END.split(text)) \
        if LINE_END.search(text) else text
    if is_utf8 or PRINTABLE.fullmatch(text):
        found = cut(text)
        if size(found) > room:
            found = cut(EXTENDED.sub(in_parts, text))
        if size(found) <= room:
            return found
    return [" " + word for word in encoded_words(text, FOLDED_LINE_CHARS - len(name) - 2)]

# -----------------------------------------------------------------------------
def size(found):
    """ The size of the largest of some tokens (bytes) """

    return max(len(token.encode("utf-8")) for token in found)

# -----------------------------------------------------------------------------
def cut(text):
    """ Cut a text before its white space; the last token keeps the one at the end """

    text = " " + text.lstrip(" \t")
    found = TOKEN.findall(text.rstrip(" \t")) or [""]
    found[-1] += text[len(text.rstrip(" \t")):]
    return found

# -----------------------------------------------------------------------------
def in_parts(found):
    """ A parameter that is too long for one line, in parts (RFC 2231 section 3) """

    name, charset, text = found.groups()
    octets = OCTET.findall(text)
    parts = ["".join(octets[start:start + MAX_PART_CHARS // 3])
             for start in range(0, len(octets), MAX_PART_CHARS // 3)]
    return "; ".join("%s*%s*=%s%s" % (name, index, "" if index else charset, part)
                     for index, part in enumerate(parts))

# END =========================================================================
