"""
    The admin's page: access, lists, verbs
"""

import re
import sqlite3

from contextlib import closing
from urllib.parse import quote

import pytest
import requests

from support.fake_relay import FakeRelay
from support.site import Site, eventually
from mails3.installation import install
from mails3.admin.mail_html import harmless

SECRET = "a long secret"

# What no parameter should be
ODD = ["", "\0", "'\\%", "\u00b2", "\u0661", "\x1b[31m\n", "-1", "1" * 40, "\U0001f600"]

# What there is, and by which method
PAGES = [("GET", ""), ("GET", "/index"), ("GET", "/mails"), ("GET", "/mails/sent"),
         ("GET", "/show/1"), ("GET", "/content/1"), ("GET", "/attachment/1/0"),
         ("GET", "/metrics"), ("POST", "/check"), ("POST", "/test"),
         ("POST", "/sending?verb=pause"), ("POST", "/sending?verb=resume")] + \
        [("POST", "/act?number=1&verb=" + verb)
         for verb in ("retry", "requeue", "cancel", "hold", "release")]

# =============================================================================
class Visitor:
    """ A visitor with a browser, as far as the tests need one """

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

    entries = site.shell("for entry in mail.report().page()[0]:\n"
                         "    print(entry['address'], entry['state'])")
    return dict(line.split() for line in entries.splitlines())

# -----------------------------------------------------------------------------
def newest(site):
    """ The number of the newest mail """

    return int(site.shell("print(db(db.msg_outbox).select(db.msg_outbox.id.max())"
                          ".first()[db.msg_outbox.id.max()])"))

# -----------------------------------------------------------------------------
def rows(site):
    """ What a verb would change """

    with closing(sqlite3.connect(site.app_path / "databases/storage.sqlite")) as db:
        return [db.execute("SELECT * FROM %s" % table).fetchall()
                for table in ("msg_outbox", "mails3_delivery", "mails3_channel")]

# =============================================================================
class TestAccess:
    """ Only an admin sees or does anything """

    @pytest.mark.parametrize("method, page", PAGES)
    def test_anonymous_is_asked_to_log_in(self, site, method, page):
        """
            A visitor without a login is asked to log in on each page, and nothing is shown or
            done
        """

        before = rows(site)
        answer = requests.request(method, site.url + "/mails3" + page, allow_redirects=False)

        if page == "/metrics":
            assert answer.status_code == 403
        else:
            assert answer.status_code == 303 and "/user/login" in answer.headers["Location"]
        assert rows(site) == before

    @pytest.mark.parametrize("method, page", PAGES)
    def test_a_user_is_refused(self, site, user, method, page):
        """ A user who is no admin is refused """

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
        """ A verb without the session's CSRF token does nothing """

        before = rows(site)

        assert admin.get(page).status_code == 405
        assert admin.post(page, key="").status_code == 403
        assert admin.post(page, key="0" * 32).status_code == 403
        assert rows(site) == before

    def test_the_helpers_of_the_controller_are_no_pages(self, site, admin):
        """ No helper function of the controller can be opened as a page """

        for name in ("utcnow", "posted", "redirect_back", "rendered", "compare_digest"):
            assert admin.get("/" + name).status_code == 404
        assert site.tickets() == []

    def test_an_app_without_users_shows_the_page_to_nobody(self, tmp_path):
        """ An app without auth refuses the page to everybody, with a reason """

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
        assert "alert(1)" not in page and "onclick" not in page

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

    def test_metrics_need_the_token_or_an_admin(self, site, admin):
        """ Metrics are given to an admin and to a client with the token """

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
        """ The page can be read in an app without a layout """

        layout = site.app_path / "views/layout.html"
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
    """ Each verb does what it says, and the log names the person """

    def test_verbs_act_on_one_mail_or_many(self, site, admin):
        """ A verb acts on all chosen mails and says why it does not apply to one """

        assert "hold: 1 done" in admin.post("/act", number=["4", "1"], verb="hold").text
        assert states(site)["waits@example.org"] == "held"
        page = admin.post("/act", number="4", verb="release", back="show/4")
        assert page.url.endswith("/mails3/show/4") and "release: 1 done" in page.text
        page = admin.post("/act", number="2", verb="requeue", back="mails/rejected?q=nob")
        assert page.url.endswith("/mails3/mails/rejected?q=nob")
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
        """ A form never redirects to another site """

        for back in ("//evil.example", "https://evil.example/index", "../default/index",
                     "show/../../x"):
            assert admin.post("/act", verb="hold", back=back).url.endswith("/mails3/index")

    def test_sending_can_be_paused_and_resumed(self, site, admin):
        """ An admin can pause sending with a reason and an end, and resume it """

        page = admin.post("/sending", verb="pause", reason="Moving <house>", minutes="30").text
        assert "Sending is paused" in page and "Moving &lt;house&gt;" in page
        assert "By admin@example.org, until " in page

        page = admin.post("/sending", verb="resume").text
        assert "Sending is resumed" in page and "Moving" not in page

    def test_the_configuration_is_checked_without_sending(self, relay, admin):
        """ The page shows each step of the check, also the failed one """

        before = len(relay.mails)
        page = admin.post("/check").text
        assert "It works" in page and "RCPT" in page
        relay.answer("MAIL", "550 5.7.1 Not from here", times=1)
        page = admin.post("/check").text
        assert "It does not work" in page and "Not from here" in page
        assert len(relay.mails) == before

    def test_a_test_mail_can_be_followed(self, site, admin):
        """ A test mail leads to its own page """

        page = admin.post("/test", address="admin@example.org")
        assert re.search(r"/mails3/show/\d+$", page.url) and "Test mail" in page.text
        assert "Malformed address" in admin.post("/test", address="nowhere").text

    def test_a_look_at_content_is_logged(self, site, admin):
        """ The log names the admin who looks at a mail's content """

        admin.get("/content/1")
        assert "The content of number 1 to anne@example.org was looked at, by " \
               "admin@example.org." in (site.logs / "serve-1.err").read_text()

    def test_steering_makes_no_ticket(self, site):
        """ No request of these tests has made an error ticket """

        assert site.tickets() == []

# =============================================================================
class TestOddParameters:
    """ Any request is answered by a page and never by an error ticket """

    @pytest.mark.parametrize("odd", ODD)
    def test_no_parameter_makes_a_ticket(self, site, admin, odd):
        """ No parameter of a page makes an error ticket """

        for name in ("q", "before", "after"):
            for value in (odd, ["1", odd]):
                assert admin.get("/mails", params={name: value}).status_code < 500
        for page in ("/mails/", "/show/", "/content/", "/attachment/1/", "/show/1/"):
            assert admin.get(page + quote(odd, safe="")).status_code < 500
        assert site.tickets() == []

    @pytest.mark.parametrize("odd", ODD)
    def test_no_form_makes_a_ticket(self, site, admin, odd):
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
        assert site.tickets() == []

    def test_a_file_in_place_of_a_text_makes_no_ticket(self, site, admin):
        """ A file that is sent for a text field makes no ticket """

        key = re.search(r'name="_formkey" value="(\w+)"', admin.get().text).group(1)
        for page in ("/act", "/sending", "/check", "/test"):
            for name in ("verb", "number", "back", "reason", "minutes", "address"):
                answer = admin.session.post(site.url + "/mails3" + page, {"_formkey": key},
                                            files={name: ("x", b"y")})
                assert answer.status_code < 500
        assert site.tickets() == []

    def test_a_read_only_database_makes_no_ticket(self, site, admin):
        """ With a read-only database the page says that nothing was done, and why """

        site.shell("for table in ('mails3_channel', 'msg_outbox'):\n"
                   "    db.executesql('CREATE TRIGGER no_%s BEFORE UPDATE ON %s BEGIN '\n"
                   "                  'SELECT RAISE(ABORT, \"disk is full\"); END' %\n"
                   "                  (table, table))")
        try:
            for page, fields in (("/sending", {"verb": "pause"}),
                                 ("/act", {"verb": "cancel", "number": "3"})):
                text = admin.post(page, **fields).text
                assert "could not be done" in text and "disk is full" in text
        finally:
            site.shell("for table in ('mails3_channel', 'msg_outbox'):\n"
                       "    db.executesql('DROP TRIGGER no_%s' % table)")
        assert site.tickets() == []

    def test_a_pause_of_no_length_is_no_pause(self, admin):
        """ A pause of no length is refused and does not become one without an end """

        for minutes in ("0", "-5", "soon", "1e9", "9" * 30):
            page = admin.post("/sending", verb="pause", minutes=minutes).text
            assert "Nothing is paused" in page and "Sending is paused" not in page

    def test_stored_text_is_escaped_on_the_page(self, site, admin):
        """ No control character and no change of text direction gets onto the page """

        site.shell("bad = 'x' + chr(27) + '[31m' + chr(0x9b) + chr(7) + chr(0x202e) + 'y'\n"
                   "number = db.msg_outbox.insert(address=bad, contact_method='EMAIL', status=4)\n"
                   "message_id = db.mails3_message.insert(message_id_header=bad,\n"
                   "    head='{\"subject\": "
                   "\"\\\\u001b[31m\"}', queued_on=request.now, size=1)\n"
                   "delivery = db.mails3_delivery.insert(outbox_id=number, message_id=message_id,\n"
                   "    reply=bad, tried_on=request.now)\n"
                   "db.mails3_attempt.insert(delivery_id=delivery, phase=bad, reply=bad,\n"
                   "                         tried_on=request.now)\n")
        try:
            for page in ("", "/mails", "/mails/rejected", "/show/%s" % newest(site)):
                text = admin.get(page).text
                assert page and "[31m" in text or not page
                assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", text)
        finally:
            site.shell("db(db.msg_outbox.id == %s).delete()" % newest(site))

# =============================================================================
class TestBacklog:
    """ Without a worker, waiting mail can be sent from the page """

    def test_an_admin_sends_the_backlog(self, tmp_path):
        """ After an outage, one click of an admin sends all waiting mail """

        with FakeRelay() as relay, Site(tmp_path / "site").create() as site:
            install(site.app_path, tell=lambda line: None)
            site.configure(smtp={"server": relay.address, "sender": "shelter@shelter.net"})
            site.shell("number = db.auth_user.insert(email='admin@example.org',\n"
                       "    password=db.auth_user.password.validate('%s')[0])\n"
                       "auth.add_membership(auth.add_group('admin'), number)\n" % SECRET)
            relay.stop()
            site.shell("for n in range(20): mail.send('user%s@example.org' % n, 'News', 'x')")
            site.serve()
            admin = Visitor(site, "admin@example.org")

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

# =============================================================================
class TestNotice:
    """ Only an admin is told on other pages that mail does not go out """

    def test_an_admin_sees_a_notice_while_mail_waits(self, site, admin, user):
        """ The notice leads to the page """

        home = admin.session.get(site.url + "/default/index").text
        assert "No worker is alive" in home and "/mails3" in home

        for visitor in (Visitor(site), user):
            assert "worker" not in visitor.session.get(site.url + "/default/index").text

    def test_the_notice_is_up_to_date(self, site, admin):
        """ The next page shows an incident that has begun, and no more an incident that is over """

        def home():
            return admin.session.get(site.url + "/default/index").text

        assert "No worker is alive" in home()
        site.shell("db(db.mails3_channel).update(manual_run_on=request.utcnow)")
        try:
            assert "No worker is alive" not in home()
        finally:
            site.shell("db(db.mails3_channel).update(manual_run_on=None)")
        assert "No worker is alive" in home()

    def test_nobody_sees_a_notice_while_mail_flows(self, tmp_path, relay):
        """ No notice is shown while mail flows """

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
