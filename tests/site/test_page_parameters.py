"""
    The admin's page: requests with any parameters
"""

import re

from urllib.parse import quote

import pytest

from support.page import newest

# What no parameter should be
ODD = ["", "\0", "'\\%", "\u00b2", "\u0661", "\x1b[31m\n", "-1", "1" * 40, "\U0001f600"]

# Code for the site: what is stored, with control characters
INSERT_BAD_TEXT = r"""
bad = "x" + chr(27) + "[31m" + chr(0x9b) + chr(7) + chr(0x202e) + "y"
number = db.msg_outbox.insert(address=bad, contact_method="EMAIL", status=4)
message_id = db.mails3_message.insert(message_id_header=bad, queued_on=request.now, size=1,
                                      head='{"subject": "\\u001b[31m"}')
delivery = db.mails3_delivery.insert(outbox_id=number, message_id=message_id, reply=bad,
                                     tried_on=request.now)
db.mails3_attempt.insert(delivery_id=delivery, phase=bad, reply=bad, tried_on=request.now)
"""

# =============================================================================
class TestOddParameters:
    """ Any request is answered by a page and never by an error ticket """

    @pytest.mark.parametrize("odd", ODD)
    def test_no_parameter_makes_a_ticket(self, page_site, admin, odd):
        """ No parameter of a page makes an error ticket """

        for name in ("q", "before", "after"):
            for value in (odd, ["1", odd]):
                assert admin.get("/mails", params={name: value}).status_code < 500
        for page in ("/mails/", "/show/", "/content/", "/attachment/1/", "/show/1/"):
            assert admin.get(page + quote(odd, safe="")).status_code < 500
        assert page_site.tickets() == []

    @pytest.mark.parametrize("odd", ODD)
    def test_no_form_makes_a_ticket(self, page_site, admin, odd):
        """ No field of a form makes a ticket, nor does a repeated field or a file """

        forms = {"/act": {"verb": "release", "number": "1", "back": "mails"},
                 "/sending": {"verb": "resume", "reason": "Tea", "minutes": "5", "back": "index"},
                 "/check": {"address": "anne@example.org"},
                 "/test": {"address": "anne@example.org"}}
        key = re.search(r'name="_formkey" value="(\w+)"', admin.get().text).group(1)
        for page, fields in forms.items():
            for name in fields:
                for value in (odd, [fields[name], odd]):
                    answer = admin.post(page, key, **dict(fields, **{name: value}))
                    assert answer.status_code < 500
            assert admin.post(page, key=odd, **fields).status_code == 403
        assert admin.post("/sending", key, verb="resume").ok
        assert page_site.tickets() == []

    def test_a_file_in_place_of_a_text_makes_no_ticket(self, page_site, admin):
        """ A file that is sent for a text field makes no ticket """

        key = re.search(r'name="_formkey" value="(\w+)"', admin.get().text).group(1)
        for page in ("/act", "/sending", "/check", "/test"):
            for name in ("verb", "number", "back", "reason", "minutes", "address"):
                answer = admin.session.post(page_site.url + "/mails3" + page, {"_formkey": key},
                                            files={name: ("x", b"y")})
                assert answer.status_code < 500
        assert page_site.tickets() == []

    def test_a_read_only_database_makes_no_ticket(self, page_site, admin):
        """ With a read-only database the page says that nothing was done, and why """

        page_site.shell("for table in ('mails3_channel', 'msg_outbox'):\n"
                        "    db.executesql('CREATE TRIGGER no_%s BEFORE UPDATE ON %s BEGIN '\n"
                        "                  'SELECT RAISE(ABORT, \"disk is full\"); END' %\n"
                        "                  (table, table))")
        try:
            for page, fields in (("/sending", {"verb": "pause"}),
                                 ("/act", {"verb": "cancel", "number": "3"})):
                text = admin.post(page, **fields).text
                assert "could not be done" in text and "disk is full" in text
        finally:
            page_site.shell("for table in ('mails3_channel', 'msg_outbox'):\n"
                            "    db.executesql('DROP TRIGGER no_%s' % table)")
        assert page_site.tickets() == []

    def test_a_pause_of_no_length_is_no_pause(self, admin):
        """ A pause of no length is refused and does not become one without an end """

        for minutes in ("0", "-5", "soon", "1e9", "9" * 30):
            page = admin.post("/sending", verb="pause", minutes=minutes).text
            assert "Nothing is paused" in page and "Sending is paused" not in page

    def test_stored_text_is_escaped_on_the_page(self, page_site, admin):
        """ No control character and no change of text direction gets onto the page """

        page_site.shell(INSERT_BAD_TEXT)
        try:
            for page in ("", "/mails", "/mails/rejected", "/show/%s" % newest(page_site)):
                text = admin.get(page).text
                assert page and "[31m" in text or not page
                assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", text)
        finally:
            page_site.shell("db(db.msg_outbox.id == %s).delete()" % newest(page_site))

# END =========================================================================
