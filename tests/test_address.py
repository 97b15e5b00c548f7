"""
    Addresses: read in every way that people write them, written in one
"""

from email.utils import quote

import pytest

from mails3.message.address import BadInput, address_of, read_addresses, read_mailbox

SHELTER = "shelter@example.org"

# As a caller or an admin writes it, as it stands in a header
MAILBOXES = {
    "a bare address": (SHELTER, SHELTER),
    "an address in brackets": ("<%s>" % SHELTER, SHELTER),
    "a name": ("Shelter <%s>" % SHELTER, "Shelter <%s>" % SHELTER),
    "a name in quotes": ('"The Shelter" <%s>' % SHELTER, "The Shelter <%s>" % SHELTER),
    "a name in another script": ("Flüchtlingshilfe <%s>" % SHELTER,
                                 "=?utf-8?q?Fl=C3=BCchtlingshilfe?= <%s>" % SHELTER),
    "a name that is encoded": ("=?utf-8?b?RmzDvGNodGxpbmdzaGlsZmU=?= <%s>" % SHELTER,
                               "=?utf-8?q?Fl=C3=BCchtlingshilfe?= <%s>" % SHELTER),
    "a comma in the name": ('"Shelter, the" <%s>' % SHELTER, '"Shelter, the" <%s>' % SHELTER),
    "a comma without quotes": ("Shelter, the <%s>" % SHELTER, '"Shelter, the" <%s>' % SHELTER),
    "a dot in the name": ("St. Ann <%s>" % SHELTER, '"St. Ann" <%s>' % SHELTER),
    "the address as the name": ("%s <%s>" % (SHELTER, SHELTER),
                                '"%s" <%s>' % (SHELTER, SHELTER)),
    "a quote in the name": (r'"the \"Shelter\"" <%s>' % SHELTER,
                            r'"the \"Shelter\"" <%s>' % SHELTER),
    "a comment": ("%s (Shelter)" % SHELTER, "Shelter <%s>" % SHELTER),
    "a quoted local part": ('Anne <"a,b"@example.org>', 'Anne <"a,b"@example.org>'),
    "a domain in another script": ("Shelter <shelter@bücher.example>",
                                   "Shelter <shelter@xn--bcher-kva.example>"),
    }

# IDNA 2008 (RFC 5891), as browsers and mail servers have it
DOMAINS = {
    "bücher.example": "xn--bcher-kva.example",
    "BÜCHER.example": "xn--bcher-kva.example",
    "straße.example": "xn--strae-oqa.example",
    "οδός.example": "xn--pxavk3b.example",
    "ΟΔΟΣ.example": "xn--pxavbq.example",
    "例え。テスト": "xn--r8jz45g.xn--zckzah",
    "क्\u200dष.example": "xn--11b2ezcw70k.example",
    "☃.example": "xn--n3h.example",
    }

# =============================================================================
class TestMailbox:
    """ However a mailbox is written, a header has it in one way """

    @pytest.mark.parametrize("case", MAILBOXES)
    def test_it_is_written_as_mail_servers_read_it(self, case):
        """ And is the same when it is read again """

        text, written = MAILBOXES[case]

        mailbox = read_mailbox(text)

        assert str(mailbox) == written
        assert read_mailbox(written) == mailbox

    @pytest.mark.parametrize("name", ["Zoë " * 100, "王" * 500, "x" * 300, "No. 1, " * 40,
                                      "\U0001f6d6" * 500, '"' * 500])
    def test_a_long_name_fits_into_lines(self, name):
        """ In words of at most 75 characters (RFC 2047 section 2) """

        mailbox = read_mailbox('"%s" <%s>' % (quote(name), SHELTER))

        assert mailbox.name == name.strip()
        assert max(map(len, str(mailbox).split())) <= 75
        assert read_mailbox(str(mailbox)) == mailbox

    @pytest.mark.parametrize("text", [
        "", " ", "anne", "<>", "Anne <anne>", "%s, %s" % (SHELTER, SHELTER),
        "<%s> <%s>" % (SHELTER, SHELTER), "<%s> Anne" % SHELTER, '"Anne <%s>' % SHELTER,
        "Anne <%s" % SHELTER, "Anne (<%s>" % SHELTER, "anne@example.org, Bob <%s>" % SHELTER,
        "Anne\n <%s>" % SHELTER, None, 5, ["a@example.org"], "x" * 5000,
        "%s <%s>" % ("x " * 300, SHELTER),
        ])
    def test_what_is_not_one_mailbox_is_refused(self, text):
        """ With a BadInput, whatever it is """

        with pytest.raises(BadInput):
            read_mailbox(text)

    def test_a_list_without_quotes_is_not_guessed_at(self):
        """ Each of its commas may stand between two recipients """

        with pytest.raises(BadInput):
            read_addresses("to", "anne, Bob <%s>" % SHELTER)

# =============================================================================
class TestDomain:
    """ A domain in another script means the same to us as to everybody """

    @pytest.mark.parametrize("domain", DOMAINS)
    def test_its_ascii_form_is_that_of_idna_2008(self, domain):
        """ straße.example is not strasse.example, which is somebody else's """

        assert address_of("anne@%s" % domain) == "anne@%s" % DOMAINS[domain]

    @pytest.mark.parametrize("domain", [
        "STRAẞE.example", "ab\u200dcd.example", "نامه\u200cای.example", "\u200dab.example",
        "ü" * 64 + ".example", "ß" * 64 + ".example", "a\u2028b.example", "ü..example",
        "\u00ad.example", "a b\u00fc.example",
        ])
    def test_one_that_is_not_certain_is_refused(self, domain):
        """ Like one with an invisible character, which only some leave out """

        with pytest.raises(BadInput):
            address_of("anne@%s" % domain)

# END =========================================================================
