"""
    The admin's page: what it shows
"""

import re
import time

import requests

from support.page import ADD_ADMIN, PageVisitor
from support.site import Site

from mails3.admin.mail_html import harmless
from mails3.installation import install

# =============================================================================
class TestLooking:
    """ An admin sees whether mail goes out, and what became of each """

    def test_the_overview_says_why_mail_waits(self, admin):
        """ The overview says that mail waits because there is no worker """

        page = admin.get().text

        assert "No worker is alive" in page
        assert "<svg" in page and "The sender is an example" in page

    def test_each_mail_is_in_the_list_of_its_state(self, admin):
        """ Each mail is in the list of its state and in no other """

        assert "nobody@example.org" in admin.get("/mails/rejected").text
        assert "nobody@example.org" not in admin.get("/mails/sent").text
        assert "Mailbox &lt;busy&gt;" in admin.get("/mails/deferred").text
        assert "None. Good." in admin.get("/mails/failed").text
        assert admin.get("/mails/nonsense").ok

    def test_a_search_finds_a_part_of_an_address(self, admin):
        """ A search takes its text literally, not as a pattern """

        page = admin.get("/mails?q=ANNE@").text
        assert "anne@example.org" in page and "busy@example.org" not in page
        assert "No mail to" in admin.get("/mails?q=%25").text
        assert "No mail to" in admin.get("/mails?q=%3Cb%3E'").text

    def test_pages_follow_each_other(self, admin):
        """ Pages of a list follow each other by number """

        page = admin.get("/mails?before=3").text
        assert "nobody@example.org" in page and "busy@example.org" not in page
        page = admin.get("/mails?after=2").text
        assert "nobody@example.org" not in page and "busy@example.org" in page

    def test_a_mail_has_its_story(self, admin):
        """ The page of a mail has the server's words and the next step, and not the content """

        page = admin.get("/show/3").text

        assert "451" in page and "Mailbox &lt;busy&gt;" in page
        assert "three" not in page
        assert admin.get("/show/999").status_code == 404
        assert "&lt;b&gt;Four&lt;/b&gt;" in admin.get("/show/4").text

    def test_shown_content_is_harmless(self, admin):
        """ Text is shown as text, and html without scripts and handlers """

        page = admin.get("/content/1").text

        assert "the &lt;text&gt;" in page and "<p>the html</p>" in page
        # The source is shown as text
        assert "<script>alert" not in page and "<p onclick" not in page

    def test_an_attachment_is_for_download(self, admin):
        """ An attachment of any type is downloaded and not shown """

        answer = admin.get("/attachment/1/0")

        assert answer.content == b"a plan"
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert admin.get("/attachment/1/1").status_code == 404

    def test_html_can_not_leave_its_box(self):
        """ The html of a mail can't leave the frame in which it is shown """

        for html in ("</div></td></body>", "<a href='javascript:x'>", "<img src=x onerror=y>",
                     "<style>", "<svg onload=x>", "<iframe src=x>", "<form><button>"):
            assert harmless(html) == ""
        assert harmless("<p>1 < 2") == "<p>1 &lt; 2</p>"

    def test_metrics_need_the_token_or_an_admin(self, page_site, admin):
        """ Metrics are given to an admin and to a client with the token """

        def get(authorization):
            return requests.get(page_site.url + "/mails3/metrics",
                                headers={"Authorization": authorization})

        answer = get("Bearer let me in")
        assert answer.ok and 'mails3_deliveries{state="deferred"} 1' in answer.text
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert get("Bearer let me").status_code == 403
        assert get("Basic let me in").status_code == 403
        assert admin.get("/metrics").ok

    def test_a_limit_that_is_reached_is_shown_calmly(self, page_site, admin):
        """ A limit for which mail waits is on the page, with its times and without an alarm """

        settings = page_site.app_path / "private/mails3.ini"
        before = settings.read_text()
        settings.write_text(before + "rate = 1/day\n")
        try:
            page_site.shell("mail.channel().activity.note_manual_run(request.utcnow)\n"
                            "allowance = mail.channel().worker().allowance\n"
                            "allowance.limits.spend(1, %s)\n"
                            "mail.channel().row.update(pace = allowance.limits.dump(%s))\n" %
                            (2 * (time.time(),)))
            page = admin.get().text
        finally:
            settings.write_text(before)
            # Else no worker is missed on this site for five minutes
            page_site.shell("mail.channel().row.update(manual_run_on=None, pace=None)\n")

        assert "Mail goes out as fast as the limits allow" in page
        assert re.search(r"<p>1 of 1 in 24 hours; the next at [-0-9]+ [:0-9]+ UTC", page)
        assert re.search(r'<th scope="row">Limits</th><td>1 of 1 in 24 hours</td>', page)
        assert 'role="alert"' not in page

    def test_an_app_without_a_layout_can_be_read(self, page_site, admin):
        """ The page can be read in an app without a layout """

        layout = page_site.app_path / "views/layout.html"
        layout.rename(layout.with_suffix(".away"))
        try:
            page = admin.get().text
        finally:
            layout.with_suffix(".away").rename(layout)

        assert page.startswith("<!DOCTYPE html>") and "Outbound mail" in page

    def test_a_compiled_app_shows_the_same(self, tmp_path):
        """ A compiled app shows the same page """

        with Site(tmp_path / "site").create() as site:
            install(site.app_path, tell=lambda line: None)
            site.shell("from gluon.compileapp import compile_application\n"
                       "assert compile_application(request.folder) is None")
            site.shell(ADD_ADMIN + "mail.send('anne@example.org', 'News', 'There is news.')")
            site.serve()
            admin = PageVisitor(site, "admin@example.org")

            for page in ("", "/mails", "/show/1", "/content/1", "/metrics"):
                assert admin.get(page).ok
            assert admin.post("/check").ok
            assert site.tickets() == []

# END =========================================================================
