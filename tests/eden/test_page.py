"""
    The admin's page in Eden's own look, in a real browser, mostly without
    scripts
"""

import pytest
import requests

from support.browser import browser, log_in, steer, stops_nothing_by_one_key
from support.fake_relay import FakeRelay

from .host import ADMIN, NORMAL_USER

# -----------------------------------------------------------------------------
@pytest.fixture
def office(site):
    """ A site with a mail that waits """

    with FakeRelay() as relay:
        site.configure(mail={"server": relay.address, "sender": "shelter@shelter.net",
                             "fallback": False})
        site.shell("mail.send('anne@example.org', 'News', 'There is news.')")
        yield site

# -----------------------------------------------------------------------------
def test_an_admin_steers_eden_by_clicking(office):
    """ An admin can use each verb by clicking, in Eden's own look """

    with browser() as driver:
        log_in(driver, office, *ADMIN)
        steer(driver, office)
    assert office.tickets() == []

# -----------------------------------------------------------------------------
def test_enter_stops_no_mail(office):
    """ Enter right after a page has loaded stops no mail, although Eden's scripts set the focus """

    with browser(scripts=True) as driver:
        log_in(driver, office, *ADMIN)
        stops_nothing_by_one_key(driver, office)
    assert office.tickets() == []

# -----------------------------------------------------------------------------
def test_a_user_of_eden_sees_nothing(office):
    """ Neither a user who is no admin nor a visitor without a login sees our page """

    assert "/user/login" in requests.get(office.url + "/mails3").url
    assert requests.get(office.url + "/mails3/metrics").status_code == 403
    with browser() as driver:
        log_in(driver, office, *NORMAL_USER)
        for page in ("", "/mails", "/show/1", "/content/1", "/metrics"):
            driver.get(office.url + "/mails3" + page)
            assert "anne@example.org" not in driver.page_source
            assert "mails3_status" not in driver.page_source

# END =========================================================================
