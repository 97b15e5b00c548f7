"""
    Dropping MailS3 into an Eden, and taking it out again
"""

import pytest

from host import eventually

from .visitor import EdenVisitor

# =============================================================================
class TestInstalled:
    """ What an admin sees """

    @pytest.fixture
    def fresh(self, eden, engine):
        """ A site with MailS3, not yet started """

        with eden.site(engine) as site:
            self.before = files(site)
            site.install()
            yield site

    def test_a_registration_sends_its_mail(self, fresh, relay):
        """ The worker sends it, to the visitor who gave the address """

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

    def test_uninstalling_gives_the_app_back(self, fresh):
        """ As it was; and it works """

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
