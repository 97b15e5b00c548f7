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
    "dots as Japanese carriers have them": ("Taro <ta..ro.@docomo.ne.jp>",
                                            'Taro <"ta..ro."@docomo.ne.jp>'),
    "dots that are quoted": ('"ta..ro."@docomo.ne.jp', '"ta..ro."@docomo.ne.jp'),
    "a long local part": ("reply+%s@example.org" % ("x" * 200),
                          "reply+%s@example.org" % ("x" * 200)),
    "an IPv4 address": ("Anne <anne@[192.0.2.1]>", "Anne <anne@[192.0.2.1]>"),
    "an IPv6 address": ("anne@[IPv6:2001:DB8::25]", "anne@[IPv6:2001:db8::25]"),
    "an IPv6 address without a tag": ("anne@[2001:db8::25]", "anne@[IPv6:2001:db8::25]"),
    "an address in another script": ("Ζωή <ζωή@bücher.example>",
                                     "=?utf-8?b?zpbPic6u?= <ζωή@xn--bcher-kva.example>"),
    "an accent apart from its letter": ("zoe\u0301@example.org", "zo\u00e9@example.org"),
    "a joiner that is seen": ("क्\u200dष@example.org", "क्\u200dष@example.org"),
    "an address in another script, quoted": ('"ζωή μου"@example.org', '"ζωή μου"@example.org'),
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
        "%s <%s>" % ("x " * 300, SHELTER), "anne@[192.0.2]", "anne@[IPv6:192.0.2.1]",
        "anne@[fe80::1%eth0]", "anne@2001:db8::25", "ζω ή@example.org", "an\u200cne@example.org",
        "ζωή\ufeff@example.org", "ζωή\ufffd@example.org", "ζ" * 122 + "@example.org",
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
