"""
    What a good sender says: that no person has written a mail (RFC 3834), and
    how to leave a list (RFC 8058)
"""

import sys

import pytest

from gluon.storage import Storage

from support.arrival import through_the_queue, unfolded

ANNE = "anne@example.org"
LEAVE = "https://shelter.example/leave?who=4711&list=news"

# -----------------------------------------------------------------------------
def refusal(office, value):
    """ Why a mail with a value for unsubscribe is refused; None if it is not """

    done = office.mail.send(ANNE, "News", "There is news.", unsubscribe=value)
    office.db.rollback()
    return None if done else office.mail.error

# =============================================================================
class TestAutomaticMail:
    """ The mail of Auth is marked as automatic """

    def test_mail_of_auth_is_marked(self, small_office):
        """ The mailer that Auth gets marks its mail, the mailer of the app does not """

        assert small_office.mail.for_auth().send(ANNE, "Reset", "A link")
        assert small_office.mail.send(ANNE, "News", "There is news.")
        small_office.db.commit()
        small_office.drain()

        assert [mail.message["Auto-Submitted"] for mail in small_office.relay.mails] == \
            ["auto-generated", None]

    def test_a_header_of_the_call_wins(self, small_office):
        """ A caller's own Auto-Submitted, in whatever case, is the only one """

        assert small_office.mail.for_auth().send(ANNE, "Code", "123",
                                                 headers = {"auto-submitted": "no"})
        small_office.db.commit()
        small_office.drain()

        mail, = small_office.relay.mails
        assert mail.message.get_all("Auto-Submitted") == ["no"]

    def test_a_setting_turns_it_off(self, small_office):
        """ With auto_submitted = no, no mail is marked """

        small_office.configure(auto_submitted="no")
        assert small_office.mail.for_auth().send(ANNE, "Reset", "A link")
        small_office.db.commit()
        small_office.drain()

        assert "Auto-Submitted" not in small_office.relay.mails[0].message

    def test_a_direct_mail_is_marked_too(self, small_office):
        """ What Auth sends without the queue is marked as well """

        assert small_office.mail.for_auth().send_direct_email(ANNE, "Reset", "A link")

        assert small_office.relay.mails[0].message["Auto-Submitted"] == "auto-generated"

# =============================================================================
class TestUnsubscribe:
    """ A recipient leaves a list by one click """

    def test_one_click_has_two_headers(self, branch):
        """ A URL becomes List-Unsubscribe and List-Unsubscribe-Post (RFC 8058 section 3.1) """

        arrived = through_the_queue(branch, ANNE, unsubscribe=LEAVE)

        assert arrived.message["List-Unsubscribe"] == "<%s>" % LEAVE
        assert arrived.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"

    @pytest.mark.parametrize("address", ["leave@example.org?subject=leave",
                                         "mailto:leave@example.org?subject=leave"])
    def test_an_address_stands_behind_the_url(self, branch, address):
        """ A pair of URL and address becomes one header with both """

        arrived = through_the_queue(branch, ANNE, unsubscribe=(LEAVE, address))

        assert unfolded(arrived.message["List-Unsubscribe"]) == \
            "<%s>, <mailto:leave@example.org?subject=leave>" % LEAVE

    def test_a_long_url_stays_on_its_line(self, branch):
        """ A URL of 800 characters is neither divided nor encoded """

        url = LEAVE + "&token=" + "x" * 800

        arrived = through_the_queue(branch, ANNE, unsubscribe=url)

        assert ("<%s>" % url).encode("ascii") in arrived.content

    def test_it_is_the_only_one(self, branch, monkeypatch):
        """ The address of the site's list_unsubscribe does not stand beside it """

        monkeypatch.setitem(branch.mail.settings, "list_unsubscribe", "all@example.org")

        arrived = through_the_queue(branch, ANNE, unsubscribe=LEAVE)

        assert arrived.message.get_all("List-Unsubscribe") == ["<%s>" % LEAVE]

    def test_a_header_of_the_call_wins(self, branch):
        """ A caller's own List-Unsubscribe is kept """

        arrived = through_the_queue(branch, ANNE, unsubscribe=LEAVE,
                                    headers={"List-Unsubscribe": "<https://other.example/>"})

        assert arrived.message.get_all("List-Unsubscribe") == ["<https://other.example/>"]

    def test_a_signature_covers_both(self, branch, monkeypatch):
        """ DKIM signs both headers, as RFC 8058 section 3.1 wants """

        signed = []

        class Signer:

            @staticmethod
            def sign(message, include_headers=(), **others):
                signed.extend(name.decode("ascii") for name in include_headers)
                return b"DKIM-Signature: v=1"

        monkeypatch.setitem(sys.modules, "dkim", Signer)
        monkeypatch.setitem(branch.mail.settings, "dkim", Storage(key="k", selector="s"))

        through_the_queue(branch, ANNE, unsubscribe=LEAVE)

        assert {"List-Unsubscribe", "List-Unsubscribe-Post"} <= set(signed)

    @pytest.mark.parametrize("value", [
        "http://shelter.example/leave", "mailto:leave@example.org", "leave@example.org",
        "https://", "https:///leave", "https://shelter.example/a b", "https://shelter.example/<x>",
        "https://shelter.example/Ж", "https://shelter.example/\r\nBcc: x@example.org", 5,
        "https://shelter.example/" + "x" * 1000, "https://[/", (LEAVE,), (LEAVE, "a b"),
        (LEAVE, "leave@example.org>, <https://other.example"), (LEAVE, LEAVE, LEAVE),
        ])
    def test_what_no_mail_server_can_use_is_refused(self, small_office, value):
        """ What is no https URL, or no address behind it, is refused with a reason """

        assert "unsubscribe" in refusal(small_office, value)

# END =========================================================================
