"""
    The admin's page: who may see and do what
"""

import pytest
import requests

from support.page import rows
from support.site import Site

from mails3.installation import install

# What there is, and by which method
PAGES = [("GET", ""), ("GET", "/index"), ("GET", "/mails"), ("GET", "/mails/sent"),
         ("GET", "/show/1"), ("GET", "/content/1"), ("GET", "/attachment/1/0"),
         ("GET", "/metrics"), ("POST", "/check"), ("POST", "/test"),
         ("POST", "/sending?verb=pause"), ("POST", "/sending?verb=resume")] + \
        [("POST", "/act?number=1&verb=" + verb)
         for verb in ("retry", "requeue", "cancel", "hold", "release")]

# =============================================================================
class TestAccess:
    """ Only an admin sees or does anything """

    @pytest.mark.parametrize("method, page", PAGES)
    def test_anonymous_is_asked_to_log_in(self, page_site, method, page):
        """
            A visitor without a login is asked to log in on each page, and nothing is shown or
            done
        """

        before = rows(page_site)
        answer = requests.request(method, page_site.url + "/mails3" + page, allow_redirects=False)

        if page == "/metrics":
            assert answer.status_code == 403
        else:
            assert answer.status_code == 303 and "/user/login" in answer.headers["Location"]
        assert rows(page_site) == before

    @pytest.mark.parametrize("method, page", PAGES)
    def test_a_user_is_refused(self, page_site, user, method, page):
        """ A user who is no admin is refused """

        before = rows(page_site)
        answer = user.session.request(method, page_site.url + "/mails3" + page,
                                      allow_redirects=False)

        if page == "/metrics":
            assert answer.status_code == 403
        else:
            assert answer.status_code == 303
            assert "/user/not_authorized" in answer.headers["Location"]
        assert rows(page_site) == before

    @pytest.mark.parametrize("page", [page for method, page in PAGES if method == "POST"])
    def test_a_verb_needs_the_form_key(self, page_site, admin, page):
        """ A verb without the session's CSRF token does nothing """

        before = rows(page_site)

        assert admin.get(page).status_code == 405
        assert admin.post(page, key="").status_code == 403
        assert admin.post(page, key="0" * 32).status_code == 403
        assert rows(page_site) == before

    def test_the_helpers_of_the_controller_are_no_pages(self, page_site, admin):
        """ No helper function of the controller can be opened as a page """

        for name in ("utcnow", "posted", "redirect_back", "rendered", "compare_digest"):
            assert admin.get("/" + name).status_code == 404
        assert page_site.tickets() == []

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

# END =========================================================================
