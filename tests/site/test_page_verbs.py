"""
    The admin's page: what an admin can do there
"""

import re

from support.fake_relay import FakeRelay
from support.page import ADD_ADMIN, PageVisitor, states
from support.site import Site

from mails3.installation import install

# =============================================================================
class TestSteering:
    """ Each verb does what it says, and the log names the person """

    def test_verbs_act_on_one_mail_or_many(self, page_site, admin):
        """ A verb acts on all chosen mails and says why it does not apply to one """

        assert "hold: 1 done" in admin.post("/act", number=["4", "1"], verb="hold").text
        assert states(page_site)["waits@example.org"] == "held"
        page = admin.post("/act", number="4", verb="release", back="show/4")
        assert page.url.endswith("/mails3/show/4") and "release: 1 done" in page.text
        page = admin.post("/act", number="2", verb="requeue", back="mails/rejected?q=nob")
        assert page.url.endswith("/mails3/mails/rejected?q=nob")
        assert states(page_site)["nobody@example.org"] == "new"
        admin.post("/act", number="3", verb="retry")
        assert states(page_site)["busy@example.org"] == "new"
        page = admin.post("/act", number="2", verb="cancel")
        assert states(page_site)["nobody@example.org"] == "failed"
        assert "Nothing was selected" in admin.post("/act", verb="cancel").text
        assert admin.post("/act", number="4", verb="purge").status_code == 400

        log = (page_site.logs / "serve-1.err").read_text()
        for word in ("held", "released", "requeued", "to be retried", "cancelled"):
            assert re.search(r"Mail to \S+ \(number \d\) is %s, by admin@example.org" % word,
                             log)

    def test_a_form_leads_nowhere_else(self, admin):
        """ A form never redirects to another site """

        for back in ("//evil.example", "https://evil.example/index", "../default/index",
                     "show/../../x"):
            assert admin.post("/act", verb="hold", back=back).url.endswith("/mails3/index")

    def test_sending_can_be_paused_and_resumed(self, page_site, admin):
        """ An admin can pause sending with a reason and an end, and resume it """

        page = admin.post("/sending", verb="pause", reason="Moving <house>", minutes="30").text
        assert "Sending is paused" in page and "Moving &lt;house&gt;" in page
        assert "By admin@example.org, until " in page

        page = admin.post("/sending", verb="resume").text
        assert "Sending is resumed" in page and "Moving" not in page

    def test_the_configuration_is_checked_without_sending(self, page_relay, admin):
        """ The page shows each step of the check, also the failed one """

        before = len(page_relay.mails)
        page = admin.post("/check").text
        assert "It works" in page and "RCPT" in page
        page_relay.answer("MAIL", "550 5.7.1 Not from here", times=1)
        page = admin.post("/check").text
        assert "It does not work" in page and "Not from here" in page
        assert len(page_relay.mails) == before

    def test_a_test_mail_can_be_followed(self, page_site, admin):
        """ A test mail leads to its own page """

        page = admin.post("/test", address="admin@example.org")
        assert re.search(r"/mails3/show/\d+$", page.url) and "Test mail" in page.text
        assert "Malformed address" in admin.post("/test", address="nowhere").text

    def test_a_look_at_content_is_logged(self, page_site, admin):
        """ The log names the admin who looks at a mail's content """

        admin.get("/content/1")
        assert "The content of number 1 to anne@example.org was looked at, by " \
               "admin@example.org." in (page_site.logs / "serve-1.err").read_text()

    def test_steering_makes_no_ticket(self, page_site):
        """ No request of these tests has made an error ticket """

        assert page_site.tickets() == []

# =============================================================================
class TestBacklog:
    """ Without a worker, waiting mail can be sent from the page """

    def test_an_admin_sends_the_backlog(self, tmp_path):
        """ After an outage, one click of an admin sends all waiting mail """

        with FakeRelay() as relay, Site(tmp_path / "site").create() as site:
            install(site.app_path, tell=lambda line: None)
            site.configure(smtp={"server": relay.address, "sender": "shelter@shelter.net"})
            site.shell(ADD_ADMIN)
            relay.stop()
            site.shell("for n in range(20): mail.send('user%s@example.org' % n, 'News', 'x')")
            site.serve()
            admin = PageVisitor(site, "admin@example.org")

            page = admin.get().text
            assert "does not take mail" in page and "Connection refused" in page
            assert "by itself" not in page and "stays until a worker runs" in page
            assert "by itself" not in site.shell("mail.send('last@example.org', 'News', 'x')")

            # The next mail finds out that the relay is back, and sends no other
            relay.start()
            site.shell("db(db.mails3_channel).update(probe_on=request.utcnow)")
            site.shell("mail.send('next@example.org', 'News', 'x')")
            assert len(relay.mails) == 1
            page = admin.get().text
            assert "Send now" in page and "stays until a worker runs" in page

            assert "21 done, 0 waiting." in admin.post("/sending", verb="send").text
            assert len(relay.mails) == 22
            assert "Send now" not in admin.get().text

            # While it is away, one button does both
            relay.stop()
            site.shell("mail.send('late@example.org', 'News', 'x')")
            page = admin.post("/sending", verb="resume").text
            assert "The mail server is asked again." in page and "Sending is resumed" not in page
            assert "0 done, 1 waiting." in page
            relay.start()
            page = admin.post("/sending", verb="resume").text
            assert "1 done, 0 waiting." in page
            assert site.tickets() == []

# END =========================================================================
