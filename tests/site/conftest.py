"""
    Fixtures of the tests of the admin's page: one site for all tests of a file
"""

import pytest

from support.fake_relay import FakeRelay
from support.page import ADD_ADMIN, ADD_USER, PageVisitor
from support.site import Site

from mails3.installation import install

# -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def page_relay():
    """ A relay for all tests of a file """

    with FakeRelay() as relay:
        yield relay

# -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def page_site(tmp_path_factory, page_relay):
    """ A site with MailS3, an admin and a user, and a mail of each kind """

    with Site(tmp_path_factory.mktemp("page") / "site").create() as site:
        install(site.app_path, tell=lambda line: None)
        (site.app_path / "private/mails3.ini").write_text(
                "[mails3]\nfallback = no\nmetrics_token = let me in\n")
        site.configure(smtp = {"server": page_relay.address,
                               "sender": "Shelter <shelter@shelter.example>",
                               })
        site.shell(ADD_ADMIN + ADD_USER)
        page_relay.answer("RCPT", "550 5.1.1 No such user", to="nobody@example.org")
        page_relay.answer("RCPT", "451 4.2.1 Mailbox <busy>", to="busy@example.org")
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
def admin(page_site):

    return PageVisitor(page_site, "admin@example.org")

# -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def user(page_site):

    return PageVisitor(page_site, "user@example.org")

# END =========================================================================
