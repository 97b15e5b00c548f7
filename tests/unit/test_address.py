"""
    Addresses: many ways to write them are read, one is written
"""

from email.utils import quote

import pytest

from mails3.message.address import BadInput, read_addresses, read_mailbox

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

# =============================================================================
class TestMailbox:
    """ A mailbox has one form in a header, however it was written """

    @pytest.mark.parametrize("case", MAILBOXES)
    def test_a_mailbox_is_written_as_mail_servers_read_it(self, case):
        """ A mailbox that is written and read again is the same """

        text, written = MAILBOXES[case]

        mailbox = read_mailbox(text)

        assert str(mailbox) == written
        assert read_mailbox(written) == mailbox

    @pytest.mark.parametrize("name", ["Zoë " * 100, "王" * 500, "x" * 300, "No. 1, " * 40,
                                      "\U0001f6d6" * 500, '"' * 500])
    def test_a_long_name_fits_into_lines(self, name):
        """ A long name is encoded in words of at most 75 characters (RFC 2047 section 2) """

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
    def test_text_that_is_not_one_mailbox_is_refused(self, text):
        """ Text that is not one mailbox raises BadInput """

        with pytest.raises(BadInput):
            read_mailbox(text)

    def test_an_ambiguous_list_is_refused(self):
        """ A list whose commas may belong to names is refused """

        with pytest.raises(BadInput):
            read_addresses("to", "anne, Bob <%s>" % SHELTER)

# END =========================================================================
