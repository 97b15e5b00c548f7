"""
    The outbox for an app's own tests: which mail it sends, without sending it
"""

from io import BytesIO

import pytest

from gluon.tools import Mail

from mails3.states import DRAFT
from mails3.testing import outbox

ANNE, BOB, CAROL = "anne@example.org", "bob@example.org", "carol@example.org"

# =============================================================================
class TestOutbox:
    """ A test sees the mail that its code queues, and nobody gets it """

    def test_the_parts_of_a_mail(self, office):
        """ A mail is composed: subject, addresses, text, html, attachments and headers """

        photo = Mail.Attachment(BytesIO(b"photo"), filename="photo.jpg", content_id="photo")
        with outbox(office.mail) as mails:
            office.mail.send("Anne Müller <anne@example.org>", "Grüße", ["A täxt", "<b>html</b>"],
                             cc=BOB, bcc=CAROL, reply_to="office@example.org",
                             headers={"X-Campaign": "May"}, attachments=photo)

        mail, = mails
        assert (mail.subject, mail.text, mail.html) == ("Grüße", "A täxt", "<b>html</b>")
        assert (mail.to, mail.cc) == (["Anne Müller <anne@example.org>"], [BOB])
        assert (mail.bcc, mail.reply_to) == ([CAROL], ["office@example.org"])
        assert mail.recipients == [ANNE, BOB, CAROL]
        assert mail.sender == "Shelter <shelter@example.org>"
        assert mail.headers["X-Campaign"] == "May"
        assert mail.headers["Message-ID"] == office.mail.queued.message_id_header
        assert mail.attachments == [("photo.jpg", "image/jpeg", b"photo")]

    def test_what_is_rolled_back_is_not_there(self, office):
        """ The outbox has what is queued within the block, but for what is rolled back in it """

        office.queue(ANNE)
        with outbox(office.mail) as mails:
            office.mail.send(BOB, "News", "There is news.")
            assert [mail.to for mail in mails] == [[BOB]]
            office.db.rollback()
            office.mail.send(CAROL, "News", "There is news.")
        office.db.rollback()

        assert [mail.to for mail in mails] == [[CAROL]]

    def test_requests_of_a_site_are_seen(self, office):
        """ What other processes have committed is in the outbox, also after it was looked at """

        with outbox(office.mail) as mails:
            assert len(mails) == 0
            db = office.connection()
            office.mailer(db).send(ANNE, "News", "There is news.")
            db.commit()
            db.close()

            assert [mail.to for mail in mails] == [[ANNE]]

    def test_no_worker_sends_it(self, office):
        """ Nobody sends mail of a test, neither in the block, nor after the test has committed """

        with outbox(office.mail):
            anne = office.queue(ANNE)
            office.drain()
        office.drain()

        assert (office.relay.mails, office.status(anne)) == ([], DRAFT)

    def test_mail_from_before_stays_in_the_queue(self, small_office):
        """ A run within the block sends nothing, and one after it sends what was there before """

        office = small_office
        office.queue(ANNE)
        with outbox(office.mail):
            office.drain()
            assert office.relay.mails == []
        office.drain()

        assert len(office.relay.mails) == 1

    def test_the_fallback_does_not_send(self, small_office):
        """ Where no worker is alive, the mail of a test is not tried at once """

        small_office.configure(fallback="yes")
        with outbox(small_office.mail) as mails:
            small_office.mail.send(ANNE, "News", "There is news.")

        assert (len(mails), small_office.relay.mails) == (1, [])

    def test_a_direct_mail_is_collected(self, small_office):
        """ What would be sent directly is collected, and not sent """

        mail = small_office.mail
        with outbox(mail) as mails:
            assert mail.send_direct_email(ANNE, "Direct", "There is news.")

        assert [(each.subject, each.is_direct) for each in mails] == [("Direct", True)]
        assert small_office.relay.mails == []

    @pytest.mark.parametrize("server", ["logging", None])
    def test_a_developers_machine_has_no_server(self, small_office, server):
        """ Mail is queued and collected where the server is "logging" or none, without a sender """

        mail = small_office.mail
        mail.settings.server, mail.settings.sender = server, None
        with outbox(mail) as mails:
            assert mail.send(ANNE, "News", "There is news.")

        assert [(each.to, each.text) for each in mails] == [([ANNE], "There is news.")]
        assert mail.queued

    def test_other_mailers_of_the_app_are_seen(self, small_office):
        """ The mail of Auth, which has a mailer of its own, is collected """

        with outbox(small_office.mail) as mails:
            small_office.mail.for_auth().send(ANNE, "Your link", "...")

        assert mails[0].headers["Auto-Submitted"] == "auto-generated"

    def test_the_block_ends_with_an_error(self, small_office):
        """ After a test that has failed, mail is sent as ever """

        with pytest.raises(ZeroDivisionError):
            with outbox(small_office.mail):
                1 / 0
        small_office.queue(ANNE)
        small_office.drain()

        assert len(small_office.relay.mails) == 1

# END =========================================================================
