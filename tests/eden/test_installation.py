"""
    Installation in an Eden, and its removal
"""

import pytest

from support.site import eventually

from .visitor import EdenVisitor

# =============================================================================
class TestInstalled:
    """ An admin's view of an installation """

    @pytest.fixture
    def fresh(self, eden, engine):
        """ A site with MailS3, not yet started """

        with eden.site(engine) as site:
            self.before = files(site)
            site.install()
            yield site

    def test_a_registration_sends_its_mail(self, fresh, relay):
        """ The worker sends the mail of a registration to the visitor's address """

        fresh.configure(mail = {"server": relay.address,
                                "tls": False,
                                "sender": "Shelter <shelter@example.org>",
                                },
                        auth = {"registration_requires_verification": True,
                                "registration_requires_approval": False,
                                })
        fresh.serve()
        fresh.work()
        visitor = EdenVisitor(fresh)

        visitor.register("anne@example.org")

        assert eventually(lambda: relay.mails), fresh.sql("SELECT * FROM msg_outbox")
        mail, = relay.mails
        assert mail.recipients == ["anne@example.org"]
        assert fresh.tickets() == []

    def test_uninstall_gives_eden_back(self, fresh):
        """ After uninstall each file is as before, and Eden works """

        fresh.serve()
        EdenVisitor(fresh).visit("default/index")

        fresh.uninstall()

        assert files(fresh) == self.before
        fresh.serve()
        EdenVisitor(fresh).visit("default/index")
        assert fresh.tickets() == []

# -----------------------------------------------------------------------------
def files(site):
    """ The app's files (not what comes into being by running), and what is in them """

    return {path: path.read_bytes()
            for name in ("models", "modules", "controllers", "views", "private")
            for path in (site.app_path / name).rglob("*")
            if path.is_file() and path.suffix != ".pyc"}

# END =========================================================================
