"""
    A site under development: captured mail on the page and the command line
"""

import json
import subprocess
import sys

from email import message_from_bytes, policy

import pytest

from support.fake_relay import FakeRelay
from support.page import ADD_ADMIN, ADD_USER, PageVisitor
from support.site import Site

from mails3.installation import install

MAILS = """
part = mail.Attachment(payload=__import__('io').BytesIO(b'a plan'), filename='plan.txt')
mail.send('Anne <anne@example.org>', 'Wëlcome', ('the <text>', '<html><p>the html</p></html>'),
          cc='bob@example.org', attachments=[part], headers={'X-Campaign': 'May'})
mail.send('carl@example.org', 'Your code', 'secret-word', secret=True)
db.commit()
mail.drain()
"""

# =============================================================================
@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """ A site that captures all mail, with three captured mails """

    with FakeRelay() as relay, \
         Site(tmp_path_factory.mktemp("captured") / "site").create() as site:
        install(site.app_path, tell=lambda line: None)
        (site.app_path / "private/mails3.ini").write_text(
                "[mails3]\nfallback = no\ndelivery = capture\n")
        site.configure(smtp={"server": relay.address, "sender": "Shelter <office@shelter.net>"})
        site.shell(ADD_ADMIN + ADD_USER + MAILS)
        site.relay = relay
        site.serve()
        yield site

@pytest.fixture(scope="module")
def admin(site):

    return PageVisitor(site, "admin@example.org")

# -----------------------------------------------------------------------------
def command(site, *words):
    """ python3 APP/modules/mails3 ...: what it prints (bytes), and its exit status """

    run = subprocess.run([sys.executable, str(site.app_path / "modules" / "mails3"), *words],
                         stdout=subprocess.PIPE, env=site._environ())
    return run.stdout, run.returncode

# =============================================================================
class TestPage:
    """ Captured mail on the page, like a mailbox """

    @pytest.mark.parametrize("page", ["", "/mails", "/mails/captured", "/show/1", "/content/1"])
    def test_each_page_says_that_mail_is_captured(self, admin, page):
        """ Each page says first that mail is sent to nobody """

        assert "sent to nobody (setting delivery)" in admin.get(page).text

    def test_the_mailbox_has_each_captured_mail(self, site, admin):
        """ Captured mail is listed with its recipients and subjects, and nothing was sent """

        page = admin.get("/mails/captured").text

        for words in ("anne@example.org", "bob@example.org", "carl@example.org", "Wëlcome",
                      "/content/1"):
            assert words in page
        assert "Mail is going out" not in admin.get().text
        assert not site.relay.mails

    def test_a_captured_mail_is_shown_whole(self, admin):
        """ Text, html, attachments, headers and source of a captured mail are shown """

        page = admin.get("/content/1").text

        for words in ("the &lt;text&gt;", "<p>the html</p>", "plan.txt", "X-Campaign", "May",
                      "office@shelter.net", "Content-Type: multipart/", "/eml/1"):
            assert words in page, words

    def test_its_story_offers_no_release(self, admin):
        """ A captured mail can't be released while it would be captured again """

        page = admin.get("/show/1").text
        assert "Captured" in page and 'value="release"' not in page

        told = admin.post("/act", verb="release", number="1", back="show/1").text
        assert "captured again" in told

    def test_a_mail_is_downloaded_as_a_mail_program_opens_it(self, admin):
        """ The file .eml has the mail as it would have been sent """

        answer = admin.get("/eml/1")

        assert answer.headers["Content-Type"] == "message/rfc822"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="1.eml"'
        mail = message_from_bytes(answer.content, policy=policy.default)
        assert (mail["To"], mail["Cc"]) == ("Anne <anne@example.org>", "bob@example.org")
        assert mail["Subject"] == "Wëlcome"
        assert mail.get_body(("plain",)).get_content().strip() == "the <text>"
        attachment, = mail.iter_attachments()
        assert attachment.get_content().strip() in ("a plan", b"a plan")

    def test_it_is_for_admins_only(self, site):
        """ A user who is no admin gets no mail, and no visitor does """

        for who in (PageVisitor(site, "user@example.org"), PageVisitor(site)):
            answer = who.get("/eml/1")
            assert answer.headers["Content-Type"].startswith("text/html")
            assert "X-Campaign" not in answer.text

# =============================================================================
class TestCommands:
    """ Captured mail on the command line """

    def test_status_says_so_first(self, site):
        """ status begins with what happens to mail; its JSON says the same """

        said, _ = command(site, "status")
        assert said.decode().startswith("All mail is captured")
        facts = json.loads(command(site, "status", "--json")[0])
        assert facts["capture"]["delivery"] == "capture"
        assert facts["counts"]["captured"] == 3

    def test_check_says_so(self, site):
        """ check begins with what happens to mail """

        said, _ = command(site, "check")
        assert said.decode().startswith("All mail is captured")

    def test_show_writes_a_file(self, site):
        """ show --eml writes the mail as it would be sent """

        source, status = command(site, "show", "1", "--eml")

        assert status == 0
        assert message_from_bytes(source, policy=policy.default)["Subject"] == "Wëlcome"
        assert source.count(b"\n") == source.count(b"\r\n")

    def test_dropped_content_is_told(self, site):
        """ show --eml says that the content of a mail with a secret was dropped """

        site.shell("db(db.mails3_message.secret == True).update(body=None)\ndb.commit()")

        source, status = command(site, "show", "3", "--eml")

        assert (source, status) == (b"", 2)
        assert "secret in it" in PageVisitor(site, "admin@example.org").get("/eml/3").text

# END =========================================================================
