"""
    The admin's page in a real browser, without scripts
"""

from support.browser import browser, log_in, steer
from support.fake_relay import FakeRelay
from support.page import ADD_ADMIN, SECRET
from support.site import Site

from mails3.installation import install

# -----------------------------------------------------------------------------
def test_an_admin_steers_by_clicking(tmp_path):
    """ An admin can use each verb by clicking, on a plain web2py app """

    with browser() as driver, FakeRelay() as relay, Site(tmp_path / "site").create() as site:
        install(site.app_path, tell=lambda line: None)
        (site.app_path / "private/mails3.ini").write_text("[mails3]\nfallback = no\n")
        site.configure(smtp={"server": relay.address, "sender": "shelter@shelter.net"})
        site.shell(ADD_ADMIN + "mail.send('anne@example.org', 'News', 'There is news.')")
        site.serve()

        log_in(driver, site, "admin@example.org", SECRET)
        steer(driver, site)

        assert site.tickets() == []

# END =========================================================================
