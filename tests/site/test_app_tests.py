"""
    Tests of an app in its own web2py: the outbox where the app's models have run
"""

from support.fake_relay import FakeRelay
from support.site import Site

from mails3.installation import install

# A file of unit tests, as an app has it
UNIT_TESTS = '''
import io
import unittest

from mails3.testing import outbox

class TestRegistration(unittest.TestCase):

    def test_a_new_user_gets_a_mail(self):

        with outbox(current.mail) as mails:
            auth.settings.mailer.send("anne@example.org", T("Welcome"), "Hello")
            mail.send_direct_email("ben@example.org", "Direct", "Hello")
            mail.drain()

        self.assertEqual([each.to for each in mails],
                         [["anne@example.org"], ["ben@example.org"]])
        self.assertEqual(mails[0].subject, "Welcome")

from gluon import current

suite = unittest.defaultTestLoader.loadTestsFromTestCase(TestRegistration)
result = unittest.TextTestRunner(stream=io.StringIO()).run(suite)
print(result.testsRun, result.errors, result.failures)
db.commit()
'''

# =============================================================================
class TestAppTests:
    """ A developer's tests run in the app's own web2py """

    def test_unit_tests_see_the_mail_and_nobody_gets_it(self, tmp_path):
        """
            A unit test that runs after the models sees the mail of all mailers of the app, and
            nobody gets it, though the test commits and a worker's run follows
        """

        with FakeRelay() as relay, Site(tmp_path / "site").create() as site:
            install(site.app_path, tell=lambda line: None)
            site.configure(smtp = {"server": relay.address, "sender": "shelter@example.org"})

            assert site.shell(UNIT_TESTS) == "1 [] []\n"
            site.shell("mail.drain()")

            assert relay.mails == []
            assert site.shell("print(db(db.msg_outbox).select().first().status)") == "3\n"

# END =========================================================================
