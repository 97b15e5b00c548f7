"""
    The notice on other pages that mail does not go out
"""

from support.page import ADD_ADMIN, PageVisitor, states
from support.site import Site, eventually

from mails3.installation import install

# =============================================================================
class TestNotice:
    """ Only an admin is told on other pages that mail does not go out """

    def test_an_admin_sees_a_notice_while_mail_waits(self, page_site, admin, user):
        """ While mail waits, an admin sees a notice with a link to the page, others see none """

        home = admin.session.get(page_site.url + "/default/index").text
        assert "No worker is alive" in home and "/mails3" in home

        for visitor in (PageVisitor(page_site), user):
            assert "worker" not in visitor.session.get(page_site.url + "/default/index").text

    def test_the_notice_is_up_to_date(self, page_site, admin):
        """ The next page shows an incident that has begun, and no more an incident that is over """

        def home():
            return admin.session.get(page_site.url + "/default/index").text

        assert "No worker is alive" in home()
        page_site.shell("db(db.mails3_channel).update(manual_run_on=request.utcnow)")
        try:
            assert "No worker is alive" not in home()
        finally:
            page_site.shell("db(db.mails3_channel).update(manual_run_on=None)")
        assert "No worker is alive" in home()

    def test_nobody_sees_a_notice_while_mail_flows(self, tmp_path, page_relay):
        """ No notice is shown while mail flows """

        with Site(tmp_path / "site").create() as site:
            install(site.app_path, tell=lambda line: None)
            site.configure(smtp={"server": page_relay.address, "sender": "shelter@example.org"},
                           scheduler={"mode": "plain"})
            site.shell(ADD_ADMIN)
            site.work()
            site.serve()
            admin = PageVisitor(site, "admin@example.org")
            home = admin.session.get(site.url + "/default/index").text
            assert "admin@example.org" in home and "/mails3" not in home
            page = admin.get().text
            assert "No mail has gone out yet" in page and "Mail is going out" not in page

            # And it leaves by the worker
            admin.post("/test", address="anne@example.org")
            assert eventually(lambda: "sent" in states(site).values())
            assert "Mail is going out" in admin.get().text

# END =========================================================================
