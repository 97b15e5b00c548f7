"""
    Domains: in another script, they mean the same to us as to everybody
"""

import unicodedata

import idna
import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from support.call_strategies import reproducibly

from mails3.message.address import BadInput, address_of
from mails3.message.domain import DomainError, ascii_domain

# As browsers and mail servers have them (IDNA 2008, RFC 5891)
DOMAINS = {
    "bücher.example": "xn--bcher-kva.example",
    "BÜCHER.example": "xn--bcher-kva.example",
    "straße.example": "xn--strae-oqa.example",
    "οδός.example": "xn--pxavk3b.example",
    "ΟΔΟΣ.example": "xn--pxavbq.example",
    "βόλος.gr": "xn--nxasmm1c.gr",
    "例え。テスト": "xn--r8jz45g.xn--zckzah",
    "日本語。ｊｐ": "xn--wgv71a119e.jp",
    "ｅｘａｍｐｌｅ.com": "example.com",
    "中国.中国": "xn--fiqs8s.xn--fiqs8s",
    "한국.kr": "xn--3e0b707e.kr",
    "क्\u200dष.example": "xn--11b2ezcw70k.example",
    "परीक्षा.भारत": "xn--11b5bs3a9aj6g.xn--h2brj9c",
    "ශ්\u200dරී.com": "xn--10cl1a0b660p.com",
    "ไทย.com": "xn--o3cw4h.com",
    "موقع.وزارة-الاتصالات.مصر":
        "xn--4gbrim.xn----ymcbaaajlc6dj7bxne2c.xn--wgbh1c",
    "עברית.ישראל": "xn--5dbqzzl.xn--4dbrk0ce",
    "א1.com": "xn--1-zhc.com",
    "מס׳.il": "xn--jebg8c.il",
    "президент.рф": "xn--d1abbgf6aiiy.xn--p1ai",
    "ısparta.com": "xn--sparta-o9a.com",
    "IĞDIR.com.tr": "xn--idir-0wa.com.tr",
    "paral·lel.cat": "xn--parallel-koa.cat",
    "ⵣⵍⴰⵖ.ma": "xn--4ljzc2a1c.ma",
    "ꮳꮃꭹ.com": "xn--f9dt7l.com",
    "exa\u00admple.com": "example.com",
    "\u200bü.example": "xn--tda.example",
    # Not of IDNA 2008, but sold, and read by all programs in one way
    "☃.example": "xn--n3h.example",
    "i❤.ws": "xn--i-7iq.ws",
    # Encoded by the caller
    "xn--strae-oqa.example": "xn--strae-oqa.example",
    "XN--strae-OQA.example": "XN--strae-OQA.example",
    "xn--mgba3gch31f060k.com": "xn--mgba3gch31f060k.com",
    "ü.xn--wgbh1c": "xn--tda.xn--wgbh1c",
    }

# How many domains no registry has sold, or programs disagree about
REFUSED = {
    "a letter that some read as ss": "STRAẞE.example",
    "a joiner that nobody sees": "ab\u200dcd.example",
    "a joiner between Persian letters": "نامه\u200cای.example",
    "a joiner at the beginning": "\u200dab.example",
    "too long a label": "ü" * 64 + ".example",
    "too long a label of sharp s": "ß" * 64 + ".example",
    "a line separator": "a\u2028b.example",
    "an empty label": "ü..example",
    "nothing that is seen": "\u00ad.example",
    "a space": "a b\u00fc.example",
    "one character that becomes a dot": "a\u2024b.example",
    "one character that becomes a bracket": "ab\uff3d.example",
    "a mark at the beginning": "\u0301a.example",
    "a hyphen at the end": "ü-.example",
    "two directions": "abcא.example",
    "two directions, the other way": "אabc.example",
    "a digit before letters from right to left": "1א.example",
    "two kinds of digits": "ا٠۰.example",
    "a dot in the middle of other letters": "a·b.example",
    "a part of a syllable": "ᄒ.example",
    "a lost character": "a\ufffd.example",
    "a character that does not exist": "a\u0378.example",
    "no encoded text": "xn--a-.example",
    "an encoded text that is ASCII": "xn--abc-.example",
    "an encoded capital letter": "xn--bb-5ha.example",
    "an encoded text with a remainder": "xn--ls8h9999.example",
    "nothing encoded": "xn--.example",
    "a wide prefix": "ｘｎ--abc-.example",
    }

# All of Unicode that is in use, without most of the Chinese and Korean ones: they are alike
CHARACTERS = [*range(0x80, 0x3500), *range(0xa000, 0xac80), *range(0xf900, 0x1ffff)]

# -----------------------------------------------------------------------------
def others(domain):
    """ The ASCII form as the package idna has it, None if it has none """

    try:
        return idna.encode(domain, uts46=True, transitional=False).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return None

# =============================================================================
class TestDomain:
    """ A domain in another script means the same to us as to everybody """

    @pytest.mark.parametrize("domain", DOMAINS)
    def test_the_ascii_form_of_a_domain_is_that_of_idna_2008(self, domain):
        """ straße.example does not become strasse.example, which is somebody else's """

        assert address_of("anne@%s" % domain) == "anne@%s" % DOMAINS[domain]

    @pytest.mark.parametrize("case", REFUSED)
    def test_an_ambiguous_domain_is_refused(self, case):
        """ A domain that no registry has sold, or that programs read in two ways, is refused """

        with pytest.raises(BadInput):
            address_of("anne@%s" % REFUSED[case])

    def test_no_character_becomes_another_owners_domain(self):
        """ A domain with any character of Unicode is refused, or encoded as by others """

        wrong = []
        for char in map(chr, CHARACTERS):
            if unicodedata.category(char) not in ("Cn", "Co", "Cs"):
                domain = "a%sb.example" % char
                try:
                    ours = ascii_domain(domain)
                except DomainError:
                    continue
                # Of symbols, that package takes none; and no underscore
                if ours != others(domain) and unicodedata.category(char) not in ("So", "Pc"):
                    wrong.append((domain, ours))
        assert wrong == []

    @settings(reproducibly)
    @given(st.text(st.characters(categories=["L", "M", "N"]), min_size=1, max_size=12))
    def test_what_is_encoded_can_be_read_again(self, label):
        """ An encoded domain is one that we take as well, and it is not encoded again """

        try:
            encoded = ascii_domain(label + ".example")
        except DomainError:
            return

        assert ascii_domain(encoded) == encoded
        assert encoded in (others(label + ".example"), label + ".example")

    @settings(reproducibly)
    @given(st.text("abcdefghijklmnopqrstuvwxyz0123456789-", max_size=30))
    def test_any_encoded_label_is_taken_or_refused(self, rest):
        """ A label that begins with xn-- and is no encoded one raises DomainError, nothing else """

        try:
            ascii_domain("xn--%s.example" % rest)
        except DomainError:
            pass

# END =========================================================================
