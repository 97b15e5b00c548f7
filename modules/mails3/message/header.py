# -*- coding: utf-8 -*-

"""
    Header lines: other scripts as encoded-words (RFC 2047), folded (RFC 5322),
    in a time that grows with their length and not with its square

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import re

from base64 import b64encode
from email.header import Header
from email.policy import Compat32

__all__ = ("FOLDED", "LONGEST_LINE", "encoded_words")

# RFC 5322 section 2.1.1, without the line's end
LONGEST_LINE = 998

# RFC 2047 section 2: a line with an encoded-word in it, "=?utf-8?q?" and "?="
LINE = 76
MARKS = 12

# RFC 2047 section 5 (3): what may stand for itself wherever an encoded-word may be
AS_ITSELF = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/"
QUOTED = {byte: chr(byte) if byte in AS_ITSELF else "_" if byte == 32 else "=%02X" % byte
          for byte in range(256)}

# A header text that needs no change
AS_IT_IS = re.compile(r"[!-~](?:[ -~]*[!-~])?")
PRINTABLE = re.compile(r"[\t -~]*")

# Where a line may be folded: before white space that is followed by something,
# but not in a quoted name, where some readers are confused
TOKEN = re.compile(r"[ \t]*(?:\"(?:[^\"\\]|\\.){1,200}\"|[^ \t])+")
LINE_END = re.compile(r"\r\n|\r|\n")

# A folded header text: the lines after the first begin with white space
FOLDED_ALREADY = re.compile(r"[\t -~]{0,900}(?:(?:\r\n|\r|\n)[ \t]{1,8}[!-~][\t -~]{0,980})+")

# RFC 2231 section 4: name*=charset'language'text, and how much of the text goes
# into each of the parts of section 3
EXTENDED = re.compile(r"([\w-]+)\*=([\w-]*'[\w-]*')((?:%[0-9A-Fa-f]{2}|[^%;\s\"'])+)")
OCTET = re.compile(r"%..|.")
READ_BYTES = 60

# -----------------------------------------------------------------------------
def encoded_words(text, first=LINE):
    """
        A text as encoded-words (RFC 2047)

        Args:
            text: the text
            first: how long the first of them may be

        Returns:
            list of them, each at most 75 characters long, with no character
            divided between two
    """

    octets = text.encode("utf-8")
    is_quoted = sum(len(QUOTED[octet]) for octet in octets) <= len(octets) * 4 / 3

    words, part, size = [], [], 0
    # The longest character is twelve octets, when it is quoted
    room = max(min(first, LINE - 1) - MARKS, 12)
    for char in text:
        octets = char.encode("utf-8")
        piece = "".join(QUOTED[octet] for octet in octets) if is_quoted else octets
        if size + len(piece) > (room if is_quoted else room // 4 * 3):
            words.append(part)
            part, size, room = [], 0, LINE - 1 - MARKS
        part.append(piece)
        size += len(piece)
    words.append(part)
    if is_quoted:
        return ["=?utf-8?q?%s?=" % "".join(part) for part in words]
    return ["=?utf-8?b?%s?=" % b64encode(b"".join(part)).decode("ascii") for part in words]

# =============================================================================
class Folding(Compat32):
    """
        The email package's policy, with header lines as short as the RFCs ask
        for, and the same whether the message is written as text or as bytes:
        what is signed is what is sent
    """

    def fold(self, name, value):
        """ A header as lines, ASCII only """

        if isinstance(value, str) and len(name) + len(value) <= LINE - 2 and \
           AS_IT_IS.fullmatch(value):
            # Nearly always
            return "%s: %s%s" % (name, value, self.linesep)
        text = plain(value)
        if FOLDED_ALREADY.fullmatch(text):
            # It may be signed: each line remains as it is
            text = LINE_END.sub(self.linesep, text)
            space = "" if text.startswith(self.linesep) else " "
            return "%s:%s%s%s" % (name, space, text, self.linesep)
        lines = [name + ":"]
        for number, token in enumerate(tokens(name, text)):
            # With nothing but the name in it, a line confuses some readers
            if len(lines[-1]) + len(token) > LINE and (number or token.startswith(" =?")):
                lines.append(token)
            else:
                lines[-1] += token
        return self.linesep.join(lines) + self.linesep

    # -------------------------------------------------------------------------
    def fold_binary(self, name, value):

        return self.fold(name, value).encode("ascii")

# Parts in 8 bit would be written in two ways as well
FOLDED = Folding(cte_type="7bit")

# -----------------------------------------------------------------------------
def plain(value):
    """ A header as text; octets that the email package could not read are UTF-8 """

    text = str(value) if isinstance(value, Header) else value
    if not text.isascii():
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text

# -----------------------------------------------------------------------------
def tokens(name, text):
    """
        What the lines of a header may be made of

        Args:
            name: the header's name
            text: its text

        Returns:
            list of texts, each with the white space before it
    """

    room = LONGEST_LINE - len(name) - 2
    # Lines that are no proper ones become one
    text = " ".join(line.strip(" \t") for line in LINE_END.split(text)) \
        if LINE_END.search(text) else text
    if PRINTABLE.fullmatch(text):
        found = cut(text)
        if max(map(len, found)) > room:
            found = cut(EXTENDED.sub(divided, text))
        if max(map(len, found)) <= room:
            return found
    return [" " + word for word in encoded_words(text, LINE - len(name) - 2)]

# -----------------------------------------------------------------------------
def cut(text):
    """ Cut a text before its white space; what it ends with stays where it is """

    text = " " + text.lstrip(" \t")
    found = TOKEN.findall(text.rstrip(" \t")) or [""]
    found[-1] += text[len(text.rstrip(" \t")):]
    return found

# -----------------------------------------------------------------------------
def divided(found):
    """ A parameter that is too long for a line, as several (RFC 2231 section 3) """

    name, charset, text = found.groups()
    octets = OCTET.findall(text)
    parts = ["".join(octets[start:start + READ_BYTES // 3])
             for start in range(0, len(octets), READ_BYTES // 3)]
    return "; ".join("%s*%s*=%s%s" % (name, number, "" if number else charset, part)
                     for number, part in enumerate(parts))

# END =========================================================================
