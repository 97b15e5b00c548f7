"""
    The addresses of a call: who gets the mail, and what its headers say
"""

import pytest

from support.arrival import people, through_the_queue, unfolded

ANNE, BOB, CARL = "anne@example.org", "bob@example.org", "carl@example.org"

# =============================================================================
class TestRecipients:
    """ All whom a call addresses get the mail, and nobody else """

    def test_all_addresses_in_one_text_get_the_mail(self, branch):
        """ All addresses of a text with commas get the mail, web2py delivers to the first """

        arrived = through_the_queue(branch, "anne@example.org, Bob <bob@example.org>",
                                    cc = "carl@example.org, dora@example.org",
                                    bcc = "emil@example.org,finn@example.org",
                                    )

        assert arrived.recipients == ["%s@example.org" % name for name in
                                      ("anne", "bob", "carl", "dora", "emil", "finn")]
        assert people(arrived.message["To"]) == (("", ANNE), ("Bob", BOB))

    def test_a_comma_in_a_name_does_not_separate(self, branch):
        """ A comma in a name does not separate recipients, also if the name is encoded """

        arrived = through_the_queue(branch, '"Miller, Joe" <bob@example.org>, '
                                            '"Müller, Zoë" <anne@example.org>')

        assert arrived.recipients == [BOB, ANNE]
        assert people(arrived.message["To"]) == (("Miller, Joe", BOB), ("Müller, Zoë", ANNE))

    @pytest.mark.parametrize("text, address", [
        ("Anne <anne@[127.0.0.1]>", "anne@[127.0.0.1]"),
        ("anne@example.org,", ANNE),
        ("anne@example.org (Anne, at work)", ANNE),
        ])
    def test_any_python_reads_an_address_the_same(self, branch, text, address):
        """ Addresses that the strict parser of newer Pythons refuses are read alike on all """

        assert through_the_queue(branch, text).recipients == [address]

    @pytest.mark.parametrize("address", ["who?@example.org", "100%s@example.org",
                                         "it's-10%-off@example.org"])
    def test_an_address_is_no_statement(self, branch, address):
        """ An address with characters that mean something in SQL or SMTP is stored as it is """

        assert through_the_queue(branch, address).recipients == [address]

    @pytest.mark.parametrize("name", [BOB, ANNE])
    @pytest.mark.parametrize("header, argument", [("From", "sender"), ("From", "from_address"),
                                                  ("To", "to"), ("Reply-To", "reply_to")])
    def test_a_name_gets_no_mail(self, branch, name, header, argument):
        """ A name with an @ gets no mail, although older Pythons take it for an address """

        arrived = through_the_queue(branch, **{"to": CARL,
                                               argument: "%s <%s>" % (name, ANNE)})

        assert arrived.recipients == [ANNE if argument == "to" else CARL]
        assert arrived.message[header] == '"%s" <%s>' % (name, ANNE)

    @pytest.mark.parametrize("more", ["cc", "bcc"])
    def test_a_tuple_may_have_a_copy(self, branch, more):
        """ Recipients may be a tuple where cc is given, web2py raises an AttributeError """

        arrived = through_the_queue(branch, (ANNE, BOB), **{more: [CARL]})

        assert arrived.recipients == [ANNE, BOB, CARL]

    def test_a_domain_may_be_in_any_script(self, branch):
        """ A domain in any script is written in its ASCII form (RFC 5891) """

        arrived = through_the_queue(branch, "Zoë <zoe@bücher.example>",
                                    sender = "leser@bücher.example",
                                    )

        assert arrived.recipients == ["zoe@xn--bcher-kva.example"]
        assert arrived.sender == "leser@xn--bcher-kva.example"
        assert people(arrived.message["To"]) == (("Zoë", "zoe@xn--bcher-kva.example"),)

# =============================================================================
class TestAddressHeaders:
    """ An address is written in a header as mail servers read it """

    @pytest.mark.parametrize("header, argument", [("From", "from_address"), ("To", "to"),
                                                  ("Cc", "cc"), ("Reply-To", "reply_to")])
    def test_an_address_is_never_encoded(self, branch, header, argument):
        """ Only the name before an address is encoded (RFC 2047 section 5) """

        arrived = through_the_queue(branch, **{"to": BOB, argument: "Zoë <anne@example.org>"})

        assert arrived.message[header].endswith(" <%s>" % ANNE)
        assert people(arrived.message[header]) == (("Zoë", ANNE),)

    @pytest.mark.parametrize("sender, person, address", [
        ("Flüchtlingshilfe <shelter@example.org>", "Flüchtlingshilfe", "shelter@example.org"),
        ('"Müller, Zoë" <shelter@example.org>', "Müller, Zoë", "shelter@example.org"),
        ("Shelter, the <shelter@example.org>", "Shelter, the", "shelter@example.org"),
        ("Shelter <shelter@bücher.example>", "Shelter", "shelter@xn--bcher-kva.example"),
        ("a@example.org <a@example.org>", "a@example.org", "a@example.org"),
        ])
    def test_the_configured_sender_is_written_like_any_address(self, branch, sender, person,
                                                               address):
        """ The configured sender's name is encoded or quoted, the address is not """

        settings = branch.mail.settings
        before, settings.sender = settings.sender, sender
        try:
            arrived = through_the_queue(branch, ANNE)
        finally:
            settings.sender = before

        assert arrived.sender == address
        assert arrived.message["From"].endswith("<%s>" % address)
        assert people(arrived.message["From"]) == ((person, address),)

    @pytest.mark.parametrize("name", ["Disposition-Notification-To", "Errors-To", "Reply-To"])
    def test_an_address_in_a_further_header_is_never_encoded(self, branch, name):
        """ An address in a further header is not encoded (RFC 2047 section 5) """

        arrived = through_the_queue(branch, ANNE, headers={name: "Zoë <zoe@bücher.example>"})

        assert unfolded(arrived.message[name]).endswith(" <zoe@xn--bcher-kva.example>")

    def test_an_address_to_unsubscribe_may_be_of_any_domain(self, branch):
        """ A mailto address in List-Unsubscribe has its domain in ASCII """

        arrived = through_the_queue(branch, ANNE,
                                    list_unsubscribe = "leave@bücher.example?subject=größer")

        assert arrived.message["List-Unsubscribe"] == \
            "<mailto:leave@xn--bcher-kva.example?subject=gr%C3%B6%C3%9Fer>"

    def test_a_mail_may_have_no_return_path(self, branch):
        """ With the sender "<>" nobody is told of a failure (RFC 5321 4.5.5), From: is the site """

        arrived = through_the_queue(branch, ANNE, sender="<>",
                                    headers={"Auto-Submitted": "auto-replied"})

        assert arrived.sender == "<>"
        assert people(arrived.message["From"]) == (("Shelter", "shelter@example.org"),)
        assert arrived.message["Message-ID"].endswith("@example.org>")

    def test_a_mail_without_a_return_path_may_be_from_anybody(self, branch):
        """ With the sender "<>" From: may be given as from_address """

        arrived = through_the_queue(branch, ANNE, sender=" <> ", from_address="Bob <%s>" % BOB)

        assert arrived.sender == "<>"
        assert people(arrived.message["From"]) == (("Bob", BOB),)

# END =========================================================================
