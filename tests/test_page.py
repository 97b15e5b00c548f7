"""
    The admin's page: who may see it, what they see, what they can do
"""

import re
import sqlite3

from contextlib import closing

import pytest
import requests

from conftest import FakeRelay
from host import Site, eventually
from mails3.installation import install
from mails3.page import harmless

SECRET = "a long secret"

# What there is, and by which method
PAGES = [("GET", ""), ("GET", "/index"), ("GET", "/mails"), ("GET", "/mails/sent"),
         ("GET", "/show/1"), ("GET", "/content/1"), ("GET", "/attachment/1/0"),
         ("GET", "/metrics"), ("POST", "/check"), ("POST", "/test"),
         ("POST", "/lane?verb=pause"), ("POST", "/lane?verb=resume")] + \
        [("POST", "/act?number=1&verb=" + verb)
         for verb in ("retry", "requeue", "cancel", "hold", "release")]

# =============================================================================
class Visitor:
    """ Somebody with a browser, as far as that is needed """

    def __init__(self, site, email=None):

        self.url = site.url
        self.session = requests.Session()
        if email:
            login = self.url + "/default/user/login"
            page = self.session.get(login).text
            fields = dict(re.findall(r'name="(_form\w+)"[^>]* value="([^"]*)"', page))
            assert self.session.post(login, dict(fields, email=email, password=SECRET)).ok

    # -------------------------------------------------------------------------
    def get(self, page="", **options):

        return self.session.get(self.url + "/mails3" + page, **options)

    # -------------------------------------------------------------------------
    def post(self, page, key=None, **fields):
        """ Send a form of the page; or one with another key """

        if key is None:
            key = re.search(r'name="_formkey" value="(\w+)"', self.get().text).group(1)
        return self.session.post(self.url + "/mails3" + page,
                                 dict(fields, _formkey=key))

# -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def relay():

    with FakeRelay() as relay:
        yield relay

# -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def site(tmp_path_factory, relay):
    """ A site with MailS3, an admin and a user, and a mail of each kind """

    with Site(tmp_path_factory.mktemp("page") / "site").create() as site:
        install(site.app_path, tell=lambda line: None)
        (site.app_path / "private/mails3.ini").write_text(
                "[mails3]\nfallback = no\nmetrics_token = let me in\n")
        site.configure(smtp = {"server": relay.address,
                               "sender": "Shelter <shelter@shelter.example>",
                               })
        site.shell("group = auth.add_group('admin')\n"
                   "for name in ('admin', 'user'):\n"
                   "    number = db.auth_user.insert(email='%%s@example.org' %% name,\n"
                   "        password=db.auth_user.password.validate('%s')[0])\n"
                   "    if name == 'admin': auth.add_membership(group, number)\n" % SECRET)
        relay.answer("RCPT", "550 5.1.1 No such user", to="nobody@example.org")
        relay.answer("RCPT", "451 4.2.1 Mailbox <busy>", to="busy@example.org")
        site.shell("part = mail.Attachment(payload=__import__('io').BytesIO(b'a plan'),\n"
                   "                       filename='plan.txt')\n"
                   "mail.send('anne@example.org', 'One', ('the <text>',\n"
                   "    '<html><p onclick=\"x\">the html</p><script>alert(1)</script>'),\n"
                   "    attachments=[part])\n"
                   "mail.send('nobody@example.org', 'Two', 'two')\n"
                   "mail.send('busy@example.org', 'Three', 'three')\n"
                   "db.commit()\n"
                   "mail.drain()\n"
                   "mail.send('waits@example.org', '<b>Four</b>', 'four')\n")
        site.serve()
        yield site

# -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def admin(site):

    return Visitor(site, "admin@example.org")

# -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def user(site):

    return Visitor(site, "user@example.org")

# -----------------------------------------------------------------------------
def states(site):
    """ The states of all mails, by address """

    entries = site.shell("for entry in mail.ledger().page()[0]:\n"
                         "    print(entry['address'], entry['state'])")
    return dict(line.split() for line in entries.splitlines())

# -----------------------------------------------------------------------------
def rows(site):
    """ What a verb would change """

    with closing(sqlite3.connect(site.app_path / "databases/storage.sqlite")) as db:
        return [db.execute("SELECT * FROM %s" % table).fetchall()
                for table in ("msg_outbox", "mails3_delivery", "mails3_relay")]

# =============================================================================
class TestAccess:
    """ Nobody but an admin sees or does anything """

    @pytest.mark.parametrize("method, page", PAGES)
    def test_anonymous_is_asked_to_log_in(self, site, method, page):
        """ Whatever is asked for, nothing is shown or done """

        before = rows(site)
        answer = requests.request(method, site.url + "/mails3" + page, allow_redirects=False)

        if page == "/metrics":
            assert answer.status_code == 403
        else:
            assert answer.status_code == 303 and "/user/login" in answer.headers["Location"]
        assert rows(site) == before

    @pytest.mark.parametrize("method, page", PAGES)
    def test_a_user_is_refused(self, site, user, method, page):
        """ Whoever is no admin """

        before = rows(site)
        answer = user.session.request(method, site.url + "/mails3" + page,
                                      allow_redirects=False)

        if page == "/metrics":
            assert answer.status_code == 403
        else:
            assert answer.status_code == 303
            assert "/user/not_authorized" in answer.headers["Location"]
        assert rows(site) == before

    @pytest.mark.parametrize("page", [page for method, page in PAGES if method == "POST"])
    def test_a_verb_needs_the_form_key(self, site, admin, page):
        """ Another site can't have an admin's browser do it """

        before = rows(site)

        assert admin.get(page).status_code == 405
        assert admin.post(page, key="").status_code == 403
        assert admin.post(page, key="0" * 32).status_code == 403
        assert rows(site) == before

    def test_the_helpers_of_the_controller_are_no_pages(self, site, admin):
        """ web2py shows each function without arguments """

        for name in ("utcnow", "posted", "over", "rendered", "compare_digest"):
            assert admin.get("/" + name).status_code == 404
        assert site.tickets() == []

    def test_an_app_without_users_shows_it_to_nobody(self, tmp_path):
        """ And says so """

        with Site(tmp_path / "site").create() as site:
            install(site.app_path, tell=lambda line: None)
            (site.app_path / "models" / "db.py").write_text(
                "db = DAL('sqlite://storage.sqlite')\n")
            (site.app_path / "models" / "scheduler.py").unlink()
            site.serve()
            for page in ("", "/mails", "/metrics"):
                answer = requests.get(site.url + "/mails3" + page)
                assert answer.status_code == 403
            assert site.tickets() == []

# =============================================================================
class TestLooking:
    """ An admin sees whether mail is going out, and what became of each """

    def test_the_overview_says_why_not(self, admin):
        """ Without a worker it is not """

        page = admin.get().text

        assert "No scheduler worker is alive" in page
        assert "<svg" in page and "The sender is an example" in page

    def test_lists_by_state(self, admin):
        """ Each mail is in its own """

        assert "nobody@example.org" in admin.get("/mails/invalid").text
        assert "nobody@example.org" not in admin.get("/mails/sent").text
        assert "Mailbox &lt;busy&gt;" in admin.get("/mails/deferred").text
        assert "None. Good." in admin.get("/mails/failed").text
        assert admin.get("/mails/nonsense").ok

    def test_search_by_address(self, admin):
        """ Or a part of it; it is text, not a pattern """

        page = admin.get("/mails?q=ANNE@").text
        assert "anne@example.org" in page and "busy@example.org" not in page
        assert "No mail to" in admin.get("/mails?q=%25").text
        assert "No mail to" in admin.get("/mails?q=%3Cb%3E'").text

    def test_pages_follow_each_other(self, admin):
        """ By number """

        page = admin.get("/mails?before=3").text
        assert "nobody@example.org" in page and "busy@example.org" not in page
        page = admin.get("/mails?after=2").text
        assert "nobody@example.org" not in page and "busy@example.org" in page

    def test_one_mail_has_its_story(self, admin):
        """ With the server's words, and what is next; without its content """

        page = admin.get("/show/3").text

        assert "451" in page and "Mailbox &lt;busy&gt;" in page
        assert "three" not in page
        assert admin.get("/show/999").status_code == 404
        assert "&lt;b&gt;Four&lt;/b&gt;" in admin.get("/show/4").text

    def test_the_content_is_harmless(self, admin):
        """ Text is text, html has no scripts and no handlers """

        page = admin.get("/content/1").text

        assert "the &lt;text&gt;" in page and "<p>the html</p>" in page
        assert "alert(1)" not in page and "onclick" not in page

    def test_an_attachment_is_for_download(self, admin):
        """ And is not shown, whatever it is """

        answer = admin.get("/attachment/1/0")

        assert answer.content == b"a plan"
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert admin.get("/attachment/1/1").status_code == 404

    def test_html_can_not_break_out(self):
        """ Of the box that it is shown in """

        for html in ("</div></td></body>", "<a href='javascript:x'>", "<img src=x onerror=y>",
                     "<style>", "<svg onload=x>", "<iframe src=x>", "<form><button>"):
            assert harmless(html) == ""
        assert harmless("<p>1 < 2") == "<p>1 &lt; 2</p>"

    def test_metrics_for_who_has_the_token(self, site, admin):
        """ Or is an admin """

        def get(authorization):
            return requests.get(site.url + "/mails3/metrics",
                                headers={"Authorization": authorization})

        answer = get("Bearer let me in")
        assert answer.ok and 'mails3_deliveries{state="deferred"} 1' in answer.text
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert get("Bearer let me").status_code == 403
        assert get("Basic let me in").status_code == 403
        assert admin.get("/metrics").ok

    def test_an_app_without_a_layout_can_be_read(self, site, admin):
        """ Its own page is enough """

        layout = site.app_path / "views/layout.html"
        layout.rename(layout.with_suffix(".away"))
        try:
            page = admin.get().text
        finally:
            layout.with_suffix(".away").rename(layout)

        assert page.startswith("<!DOCTYPE html>") and "Outbound mail" in page

    def test_a_compiled_app_shows_the_same(self, tmp_path):
        """ As on a production site """

        with Site(tmp_path / "site").create() as site:
            install(site.app_path, tell=lambda line: None)
            site.shell("from gluon.compileapp import compile_application\n"
                       "assert compile_application(request.folder) is None")
            site.shell("number = db.auth_user.insert(email='admin@example.org',\n"
                       "    password=db.auth_user.password.validate('%s')[0])\n"
                       "auth.add_membership(auth.add_group('admin'), number)\n"
                       "mail.send('anne@example.org', 'News', 'There is news.')\n" % SECRET)
            site.serve()
            admin = Visitor(site, "admin@example.org")

            for page in ("", "/mails", "/show/1", "/content/1", "/metrics"):
                assert admin.get(page).ok
            assert admin.post("/check").ok
            assert site.tickets() == []

# =============================================================================
class TestSteering:
    """ Each verb does what it says, says so, and the log says who it was """

    def test_verbs_for_one_mail_or_many(self, site, admin):
        """ What does not apply to one says why """

        assert "hold: 1 done" in admin.post("/act", number=["4", "1"], verb="hold").text
        assert states(site)["waits@example.org"] == "draft"
        page = admin.post("/act", number="4", verb="release", back="show/4")
        assert page.url.endswith("/mails3/show/4") and "release: 1 done" in page.text
        page = admin.post("/act", number="2", verb="requeue", back="mails/invalid?q=nob")
        assert page.url.endswith("/mails3/mails/invalid?q=nob")
        assert states(site)["nobody@example.org"] == "new"
        admin.post("/act", number="3", verb="retry")
        assert states(site)["busy@example.org"] == "new"
        page = admin.post("/act", number="2", verb="cancel")
        assert states(site)["nobody@example.org"] == "failed"
        assert "Nothing was selected" in admin.post("/act", verb="cancel").text
        assert admin.post("/act", number="4", verb="purge").status_code == 400

        log = (site.logs / "serve-1.err").read_text()
        for word in ("held", "released", "requeued", "to be retried", "cancelled"):
            assert re.search(r"Mail to \S+ \(number \d\) is %s, by admin@example.org" % word,
                             log)

    def test_a_form_leads_nowhere_else(self, admin):
        """ Whatever it has for the way back """

        for back in ("//evil.example", "https://evil.example/index", "../default/index",
                     "show/../../x"):
            assert admin.post("/act", verb="hold", back=back).url.endswith("/mails3/index")

    def test_pause_and_resume(self, site, admin):
        """ With a reason, and an end """

        page = admin.post("/lane", verb="pause", reason="Moving <house>", minutes="30").text
        assert "Sending is paused" in page and "Moving &lt;house&gt;" in page
        assert "By admin@example.org, until " in page

        page = admin.post("/lane", verb="resume").text
        assert "Sending is resumed" in page and "Moving" not in page

    def test_the_configuration_is_tested_without_sending(self, relay, admin):
        """ Each step is shown, the one that failed as well """

        before = len(relay.mails)
        page = admin.post("/check").text
        assert "It works" in page and "RCPT" in page
        relay.answer("MAIL", "550 5.7.1 Not from here", times=1)
        page = admin.post("/check").text
        assert "It does not work" in page and "Not from here" in page
        assert len(relay.mails) == before

    def test_a_test_mail_can_be_followed(self, site, admin):
        """ On its own page """

        page = admin.post("/test", address="admin@example.org")
        assert re.search(r"/mails3/show/\d+$", page.url) and "Test mail" in page.text
        assert "Malformed address" in admin.post("/test", address="nowhere").text

    def test_who_looks_at_a_content_is_known(self, site, admin):
        """ It may be confidential """

        admin.get("/content/1")
        assert "The content of number 1 to anne@example.org was looked at, by " \
               "admin@example.org." in (site.logs / "serve-1.err").read_text()

    def test_nothing_has_failed(self, site):
        """ In all of that """

        assert site.tickets() == []

# =============================================================================
class TestNotice:
    """ An admin is told wherever they are on the site, others are not """

    def test_while_mail_is_not_going_out(self, site, admin, user):
        """ It leads to the page """

        home = admin.session.get(site.url + "/default/index").text
        assert "No scheduler worker is alive" in home and "/mails3" in home

        for visitor in (Visitor(site), user):
            assert "worker" not in visitor.session.get(site.url + "/default/index").text

    def test_not_while_it_is(self, tmp_path, relay):
        """ Nobody is bothered """

        with Site(tmp_path / "site").create() as site:
            install(site.app_path, tell=lambda line: None)
            site.configure(smtp={"server": relay.address, "sender": "shelter@example.org"},
                           scheduler={"mode": "plain"})
            site.shell("group = auth.add_group('admin')\n"
                       "number = db.auth_user.insert(email='admin@example.org',\n"
                       "    password=db.auth_user.password.validate('%s')[0])\n"
                       "auth.add_membership(group, number)\n" % SECRET)
            site.work()
            site.serve()
            admin = Visitor(site, "admin@example.org")
            home = admin.session.get(site.url + "/default/index").text
            assert "admin@example.org" in home and "/mails3" not in home
            page = admin.get().text
            assert "No mail has gone out yet" in page and "Mail is going out" not in page

            # And it leaves by the worker
            admin.post("/test", address="anne@example.org")
            assert eventually(lambda: "sent" in states(site).values())
            assert "Mail is going out" in admin.get().text

# END =========================================================================
