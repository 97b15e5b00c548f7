"""
    web2py's scaffolding app: the one of the checkout in WEB2PY_PATH, and the
    stand-in of the other tests
"""

import os

from pathlib import Path

import pytest

from mechanicalsoup import StatefulBrowser

from support.app import App, without_databases
from support.site import TESTS, Site

ANNE, PASSWORD = "anne@example.org", "correct horse 1"

WELCOME = Path(os.environ.get("WEB2PY_PATH", "/nowhere")) / "applications/welcome"

# What may get into our way, as the app's models make it; a visitor sits before
# the machine, or comes over the network
FEATURES = """
import sys
from gluon.globals import current
print({"reserved": sorted(db.check_reserved_keyword and db._check_reserved),
       "pool": db._pool_size,
       "configuration": type(configuration).__name__,
       "hosts": list(auth.settings.host_names or ()),
       "formstyle": response.formstyle,
       "mailer": auth.settings.mailer is mail,
       "lock": mail.settings.lock_keys,
       "server": mail.settings.server,
       "kinds": [type(mail.settings[name]).__name__ for name in ("login", "tls", "ssl")],
       "verification": auth.settings.registration_requires_verification,
       "approval": auth.settings.registration_requires_approval,
       "reset": auth.settings.reset_password_requires_verification,
       })
"""

# -----------------------------------------------------------------------------
@pytest.fixture(params=[TESTS / "app", WELCOME], ids=["stand-in", "welcome"])
def site(request, tmp_path, relay):
    """ A site with one of them, its mail going to the relay; nothing installed """

    if not request.param.is_dir():
        pytest.skip("WEB2PY_PATH is not set: no welcome app, see tests/run.py")
    with Site(tmp_path / "site", app="welcome").create(request.param) as site:
        site.configure(smtp = {"server": relay.address,
                               "sender": "Shelter <shelter@shelter.net>",
                               "login": None,
                               "tls": False,
                               "ssl": False})
        yield site

@pytest.fixture
def installed(site):
    """ The same, with MailS3 """

    told, status = App(site.app_path).run("install")
    assert status == 0, told
    return site

# -----------------------------------------------------------------------------
def visitor(site):
    """ A visitor, who has registered and is logged in """

    browser = StatefulBrowser(raise_on_404=True)
    browser.open(site.url + "/default/user/register")
    browser.select_form("form[enctype]") # the layout may have another
    for name, value in (("first_name", "Anne"), ("last_name", "Example"), ("email", ANNE),
                        ("password", PASSWORD), ("password_two", PASSWORD)):
        browser[name] = value
    browser.submit_selected()
    return browser

def ask_for_reset(site):
    """ A visitor who has lost the password """

    browser = StatefulBrowser(raise_on_404=True)
    browser.open(site.url + "/default/user/request_reset_password")
    browser.select_form("form[enctype]") # the layout may have another
    browser["email"] = ANNE
    return browser.submit_selected()

def verb(site, *words):
    """ What a verb of the command line says, and its exit status """

    return App(site.app_path).command(*words)

# =============================================================================
class TestScaffold:
    """ The scaffolding app works as before, and its mail is queued """

    def test_the_pages_work_as_before(self, installed):
        """ The pages show their own flash and make no error ticket """

        installed.serve()
        browser = StatefulBrowser(raise_on_404=True)

        for page in ("/default/index", "/default/index", "/default/user/login"):
            assert browser.open(installed.url + page).status_code == 200
        browser.open(installed.url + "/default/index")

        assert "Hello World" in browser.page.text
        assert installed.tickets() == []

    def test_mail_of_a_visitor_is_queued_and_sent(self, installed, relay):
        """ The link to reset a password is queued and sent with the app's own configuration """

        installed.serve()
        visitor(installed)
        assert ask_for_reset(installed).status_code == 200
        assert installed.tickets() == []

        assert "deliveries" not in verb(installed, "drain")[0]
        mail, = relay.wait(1)
        assert mail.recipients == [ANNE]
        assert "reset_password" in str(mail.message.get_payload(decode=True) or
                                       mail.message.as_string())

    def test_mail_on_a_developers_machine_is_logged_as_before(self, installed, relay):
        """ Mail is only logged where the app says so, by a worker as well """

        installed.serve(local=True)
        visitor(installed)
        ask_for_reset(installed)
        verb(installed, "drain")

        assert relay.connections == 0
        assert installed.tickets() == []
        logged = "".join(path.read_text() for path in installed.logs.glob("serve-*"))
        assert "email not sent" in logged or "reset_password" in logged

    def test_every_verb_finds_the_app_as_a_request_does(self, installed, relay):
        """
            Each verb runs the app's models as a request does, its check of web2py's version
            included
        """

        for words in (["status"], ["list"], ["drain"], ["retry"], ["check"], ["purge"],
                      ["migrate"], ["pause"], ["resume"]):
            told, status = verb(installed, *words)
            assert "Traceback" not in told, told
            assert status == (2 if words == ["status"] else 0), (words, told)

    def test_the_notice_is_plain_text(self, installed):
        """ The notice has no markup, because the layout shows the flash as text """

        installed.serve()
        browser = visitor(installed)
        installed.shell("auth.add_membership(auth.add_group('admin', ''), "
                        "db(db.auth_user.email == %r).select().first().id)" % ANNE)
        browser.open(installed.url + "/default/user/logout")
        browser.open(installed.url + "/default/user/login")
        browser.select_form("form[enctype]") # the layout may have another
        browser["email"], browser["password"] = ANNE, PASSWORD
        browser.submit_selected()

        browser.open(installed.url + "/default/user/profile")
        flash = browser.page.select_one(".w2p_flash")

        assert "No worker is alive: /welcome/mails3" in flash.text
        assert flash.find("a") is None
        assert browser.open(installed.url + "/mails3/index").status_code == 200
        assert "Outbound mail" in browser.page.text
        assert installed.tickets() == []

    def test_uninstall_gives_the_app_back(self, site, relay):
        """ After uninstall each file is as before, and the app works """

        relay.stop()
        app = App(site.app_path)
        before = without_databases(app.files())
        app.run("install")
        site.shell("mail.send(%r, 'News', 'There is news.')" % ANNE)

        told, status = app.run("uninstall")

        assert status == 0 and "1 mail is unsent" in told, told
        assert without_databases(app.files()) == before
        assert site.shell("print(type(mail).__name__)") == "Mail\n"

# =============================================================================
class TestUnable:
    """ If MailS3 can't start, the app keeps its own mail """

    @pytest.mark.parametrize("trouble", ["modules/mails3/queue/schema.py",
                                         "modules/mails3/mail.py"])
    def test_the_app_works_on_with_its_own_mail(self, installed, relay, trouble):
        """ The app sends by its own mail, and the log and our page say why once """

        (installed.app_path / trouble).write_text("raise RuntimeError('no way')\n")
        installed.serve()
        visitor(installed)
        ask_for_reset(installed)

        assert [mail.recipients for mail in relay.mails] == [[ANNE]]
        assert installed.tickets() == []
        logged = "".join(path.read_text() for path in installed.logs.glob("serve-*.err"))
        assert logged.count("MailS3 can't start in this app") == 1
        assert "no way" in logged

    @pytest.mark.parametrize("line, recipients", [("delivery = capture", []),
                                                  ("redirect_to: me@example.org", []),
                                                  ("delivery = relay", [[ANNE]]),
                                                  ("; delivery = capture", [[ANNE]])])
    def test_a_copy_of_a_site_mails_nobody(self, installed, relay, line, recipients):
        """ Where mail must not go to real people, the own mail of the app does not either """

        (installed.app_path / "modules/mails3/mail.py").write_text("raise RuntimeError('no')\n")
        (installed.app_path / "private/mails3.ini").write_text("[mails3]\n%s\n" % line)
        installed.serve()
        visitor(installed)
        ask_for_reset(installed)

        assert [mail.recipients for mail in relay.mails] == recipients
        assert installed.tickets() == []

    def test_an_app_without_a_usable_database_works_on(self, site, relay):
        """ An unusable database makes no error page """

        App(site.app_path).run("install")
        App(site.app_path).write("models/db_zz.py", "db = 'no database'\n")
        site.serve()
        browser = StatefulBrowser()

        assert browser.open(site.url + "/default/index").status_code == 200
        told, status = App(site.app_path).run("uninstall")
        assert (status, "could not be tidied up" in told) == (0, True), told

# =============================================================================
@pytest.mark.skipif(not WELCOME.is_dir(), reason="WEB2PY_PATH is not set")
@pytest.mark.parametrize("is_local", [True, False])
def test_the_stand_in_is_like_the_scaffolding_app(tmp_path, is_local):
    """ The stand-in has the settings of the scaffolding app that matter to MailS3 """

    found = []
    for number, original in enumerate((TESTS / "app", WELCOME)):
        with Site(tmp_path / str(number), app="welcome").create(original) as site:
            if original == WELCOME:
                site.configure(smtp={"server": None, "login": None, "tls": False, "ssl": False})
            site.configure(smtp={"server": "127.0.0.1:25"})
            found.append(site.shell("request.is_local = %s\n%s" % (is_local, FEATURES)))

    assert found[0] == found[1]

# END =========================================================================
