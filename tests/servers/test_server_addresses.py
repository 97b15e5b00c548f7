"""
    Addresses that Postfix, Exim and OpenSMTPD take, each in its own way; what
    they are told about us, and asked to tell
"""

import re

import pytest

from support.mail_servers import DOMAIN, Exim, OpenSMTPD, Postfix
from support.server_app import app_of, wanted
from support.site import eventually

from mails3.states import INVALID, SENT

ANNE, ZOE, TARO = "anne@" + DOMAIN, "ζωή@" + DOMAIN, "ta..ro.@" + DOMAIN
LONG = "reply+%s@%s" % ("x" * 200, DOMAIN)

ALIASES = {"ζωή": "zoe", "ta..ro.": "taro", LONG.partition("@")[0]: "long"}

# -----------------------------------------------------------------------------
@pytest.fixture(params=[Postfix, Exim, OpenSMTPD])
def server(request):
    """ Each mail server in turn, with a few more mailboxes """

    with wanted(request.param) as server:
        server.run(aliases=ALIASES)
        yield server

@pytest.fixture
def office(server, tmp_path):
    """ An app whose mail goes to that server """

    office = app_of(server, tmp_path)
    yield office
    office.close()

# -----------------------------------------------------------------------------
def arrived(server, user):
    """ The content of the one mail in the mailbox of a user (bytes), once it is there """

    assert eventually(lambda: server.delivered(user), 10), server.log()
    box = server.folder / "mail" / user / "new"
    path, = box.iterdir()
    return path.read_bytes().replace(b"\r\n", b"\n")

def header(content, name):
    """ A header in a content, as it is there, on one line (str) """

    head = re.sub(rb"\n(?=[ \t])", b"", content.partition(b"\n\n")[0])
    line, = [line for line in head.split(b"\n") if line.startswith(name.encode("ascii"))]
    return line.decode("utf-8")

def replies(office):
    """ What has become of each address: dict {address: (status, reply)} """

    office.db.commit()
    outbox, delivery = office.db.msg_outbox, office.db.mails3_delivery
    return {row.msg_outbox.address: (row.msg_outbox.status, row.mails3_delivery.reply)
            for row in office.db(delivery.outbox_id == outbox.id).select()}

# =============================================================================
class TestAddresses:
    """ Unusual addresses get their mail where the server takes them """

    @pytest.mark.parametrize("server", [Postfix, Exim], indirect=True)
    def test_an_address_that_is_not_ascii_gets_its_mail(self, server, office):
        """ Both recipients of a message get it, each with headers that their server may read """

        assert office.mail.send(["Ζωή <%s>" % ZOE, ANNE], "Νέα", "Γειά σου")
        office.db.commit()

        office.drain()

        assert {status for status, _ in replies(office).values()} == {SENT}
        zoe, anne = arrived(server, "zoe"), arrived(server, "anne")
        assert header(zoe, "To:").endswith(" <%s>, %s" % (ZOE, ANNE))
        assert anne.isascii()
        assert header(anne, "Message-ID:") == header(zoe, "Message-ID:")

    @pytest.mark.parametrize("server", [Postfix, Exim], indirect=True)
    def test_a_sender_that_is_not_ascii_is_taken(self, server, office):
        """ A mail whose configured sender is not ASCII arrives, with this sender """

        office.mail.settings.sender = "Κατάλυμα <%s>" % ZOE
        office.queue(ANNE)

        office.drain()

        assert {status for status, _ in replies(office).values()} == {SENT}
        assert header(arrived(server, "anne"), "From:").endswith(" <%s>" % ZOE)

    @pytest.mark.parametrize("server", [OpenSMTPD], indirect=True)
    def test_a_server_without_smtputf8_rejects_no_other_recipient(self, server, office):
        """ A server that does not offer SMTPUTF8 gets the mail for the other recipients """

        assert office.mail.send([ZOE, ANNE], "News", "There is news.")
        office.db.commit()

        office.drain()

        found = replies(office)
        assert (found[ANNE][0], found[ZOE][0]) == (SENT, INVALID)
        assert "SMTPUTF8" in found[ZOE][1]
        assert arrived(server, "anne").isascii()
        assert office.state().status == "closed"

    @pytest.mark.parametrize("server", [Postfix], indirect=True)
    def test_a_server_may_not_offer_what_it_could(self, server, office):
        """ With smtputf8_enable = no, Postfix rejects nothing but that recipient """

        server.stop()
        server.run(settings={"smtputf8_enable": "no"})
        office.queue(ZOE, ANNE)

        office.drain()

        found = replies(office)
        assert (found[ANNE][0], found[ZOE][0]) == (SENT, INVALID)
        assert "SMTPUTF8" in found[ZOE][1]

    @pytest.mark.parametrize("server", [Postfix, Exim], indirect=True)
    def test_dots_of_japanese_carriers_are_taken(self, server, office):
        """ A mail to ta..ro.@ arrives """

        office.queue(TARO)

        office.drain()

        assert {status for status, _ in replies(office).values()} == {SENT}
        assert header(arrived(server, "taro"), "To:") == 'To: "ta..ro."@%s' % DOMAIN

    def test_a_long_local_part_is_taken(self, server, office):
        """ A mail to an address with more than 64 characters before the @ arrives """

        office.queue(LONG)

        office.drain()

        assert {status for status, _ in replies(office).values()} == {SENT}
        arrived(server, "long" if server.name != "opensmtpd" else LONG.partition("@")[0])

    def test_a_mail_without_a_return_path_is_taken(self, server, office):
        """ A mail from "<>" arrives, from the site """

        office.queue(ANNE, sender="<>")

        office.drain()

        assert {status for status, _ in replies(office).values()} == {SENT}, replies(office)
        content = arrived(server, "anne")
        assert header(content, "From:") == "From: Shelter <shelter@example.org>"
        assert re.search("from=<>|<= <>", server.log())

# =============================================================================
class TestNotices:
    """ The sender is told by the server what the setting dsn says """

    @pytest.mark.parametrize("server", [Postfix, OpenSMTPD], indirect=True)
    def test_a_failure_is_not_hidden_by_the_parameters(self, server, office):
        """ Mail arrives with the parameters of DSN, from each kind of sender """

        office.configure(dsn="failure, delay")
        office.queue(ANNE)
        office.queue(ANNE, sender="<>")

        office.drain()

        assert {status for status, _ in replies(office).values()} == {SENT}
        assert eventually(lambda: len(server.delivered("anne")) == 2, 10)

    @pytest.mark.parametrize("server", [Postfix], indirect=True)
    def test_the_notice_names_the_message(self, server, office):
        """ A notice of success comes to the sender, with our Message-ID and without the content """

        office.configure(dsn="success")
        office.queue(ANNE)

        office.drain()

        notice = arrived(server, "shelter").decode("utf-8")
        message, = server.delivered("anne")
        assert "Original-Envelope-Id: %s" % message["Message-ID"].strip("<>") in notice
        assert "Action: delivered" in notice
        assert "There is news." not in notice

# =============================================================================
class TestGreeting:
    """ The name in EHLO is one that strict servers take """

    @pytest.mark.parametrize("server", [Postfix], indirect=True)
    @pytest.mark.parametrize("hostname", [None, "localhost", "my_host", "shelter",
                                          "mail.shelter.example"])
    def test_a_strict_server_takes_any_configured_name(self, server, office, hostname):
        """ Postfix that refuses malformed and short names gets the mail, whatever is configured """

        server.stop()
        server.run(settings={"smtpd_helo_required": "yes",
                             "smtpd_helo_restrictions": "reject_invalid_helo_hostname, "
                                                        "reject_non_fqdn_helo_hostname"})
        office.mail.settings.hostname = hostname
        office.queue(ANNE)

        office.drain()

        assert {status for status, _ in replies(office).values()} == {SENT}, replies(office)

# END =========================================================================
