"""
    The admin's page
"""

import pytest

from mechanicalsoup import StatefulBrowser

from host import Site
from mails3.installation import install

# -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """ A site with MailS3, an admin and a user """

    with Site(tmp_path_factory.mktemp("page") / "site").create() as site:
        install(site.app_path, tell=lambda line: None)
        site.shell("group = auth.add_group('admin')\n"
                   "for name in ('admin', 'user'):\n"
                   "    number = db.auth_user.insert(email='%s@example.org' % name,\n"
                   "        password=db.auth_user.password.validate('a long secret')[0])\n"
                   "    if name == 'admin': auth.add_membership(group, number)\n")
        site.serve()
        yield site

# -----------------------------------------------------------------------------
def visit(site, email=None):
    """ The page, as somebody sees it """

    browser = StatefulBrowser()
    if email:
        browser.open(site.url + "/default/user/login")
        browser.select_form("form")
        browser["email"], browser["password"] = email, "a long secret"
        browser.submit_selected()
    browser.open(site.url + "/mails3")
    return browser

# =============================================================================
class TestPage:
    """ Who may see it, and what they see """

    def test_anonymous_is_asked_to_log_in(self, site):
        """ And sees nothing of the queue """

        assert "/user/login" in visit(site).url

    def test_a_user_is_refused(self, site):
        """ And sees nothing of the queue """

        assert "/user/not_authorized" in visit(site, "user@example.org").url

    def test_an_admin_sees_whether_mail_is_going_out(self, site):
        """ Without a worker it is not; and how much waits """

        page = visit(site, "admin@example.org").page

        assert "No scheduler worker is alive" in page.text
        assert page.find("th", string="deferred").find_next("td").text == "0"
        assert site.tickets() == []

# END =========================================================================
