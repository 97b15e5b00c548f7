"""
    A request that changes mail.settings
"""

import pytest

from support.fake_relay import FakeRelay

ANNE, BOB = "anne@example.org", "bob@example.org"

# =============================================================================
class TestSettings:
    """ A change of mail.settings in a request concerns its own mail """

    def test_a_sender_of_this_request_goes_with_its_mail(self, office):
        """ A sender that a request has set goes with its mail and no other """

        office.mail.note_configuration()
        settings, sender = office.mail.settings, office.mail.settings.sender
        office.queue(ANNE)
        settings.sender = "Camp, the <camp@example.org>"
        office.queue(BOB)
        settings.sender = sender

        worker = office.mailer(office.connection())
        worker.settings.sender = "Repaired <new@example.org>"
        worker.drain()
        worker.db.close()

        anne, bob = office.relay.mails
        assert (anne.sender, anne.message["From"]) == \
               ("new@example.org", "Repaired <new@example.org>")
        assert (bob.sender, bob.message["From"]) == \
               ("camp@example.org", '"Camp, the" <camp@example.org>')

    def test_the_sender_of_a_call_is_preferred(self, small_office):
        """ A sender given in the call wins over one that the request has set """

        small_office.mail.note_configuration()
        small_office.mail.settings.sender = "camp@example.org"
        small_office.queue(ANNE, sender=BOB)
        small_office.drain()

        assert small_office.relay.mails[0].sender == BOB

    def test_a_changed_cipher_setting_goes_with_the_mail(self, small_office):
        """ A changed setting that is also an argument of send() works like that argument """

        small_office.mail.note_configuration()
        small_office.mail.settings.list_unsubscribe = "leave@example.org"
        small_office.queue(ANNE)
        small_office.mail.settings.list_unsubscribe = None
        small_office.drain()

        assert small_office.relay.mails[0].message["List-Unsubscribe"] == \
            "<mailto:leave@example.org>"

    @pytest.mark.parametrize("setting", ["server", "login", "cipher_type"])
    def test_a_changed_server_has_the_mail_sent_directly(self, small_office, setting):
        """
            A mail is sent directly if its request has changed the server, the login or the
            encryption
        """

        with FakeRelay(login=("camp", "secret")) as other:
            settings = small_office.mail.settings
            settings.cipher_type = "x509" if setting == "cipher_type" else None
            settings.server = other.address if setting == "login" else settings.server
            small_office.mail.note_configuration()
            settings[setting] = {"server": other.address, "login": "camp:secret",
                                 "cipher_type": None}[setting]
            other.login = None if setting == "server" else other.login

            assert small_office.mail.send(ANNE, "News", "There is news."), \
                small_office.mail.error

            relay = small_office.relay if setting == "cipher_type" else other
            assert relay.mails[0].recipients == [ANNE]
            assert small_office.db(small_office.db.mails3_message).isempty()

    def test_a_secret_of_this_request_is_not_stored(self, small_office):
        """ A passphrase that a request has set is not stored """

        small_office.mail.note_configuration()
        small_office.mail.settings.sign_passphrase = "secret"

        assert small_office.mail.send(ANNE, "News", "There is news.")

        assert small_office.db(small_office.db.mails3_message).isempty()
        assert len(small_office.relay.mails) == 1

    def test_a_changed_sender_is_no_changed_configuration(self, small_office):
        """ A request's own sender does not close a tripped breaker """

        small_office.given["fallback"] = "yes"
        small_office.mail.note_configuration()
        small_office.relay.answer("CONNECT", "421 4.3.2 Not now")
        small_office.queue(ANNE)
        connections = small_office.relay.connections

        small_office.mail.settings.sender = "camp@example.org"
        small_office.queue(BOB)

        assert small_office.relay.connections == connections

    def test_a_developers_mail_is_logged_and_not_queued(self, small_office, caplog):
        """ With settings.server = "logging", a mail is logged and no worker sends it """

        server = small_office.mail.settings.server
        small_office.mail.settings.server = "logging"
        assert small_office.mail.send(ANNE, "News", "There is news.")
        small_office.db.commit()
        small_office.mail.settings.server = server
        small_office.drain()

        assert "To: %s" % ANNE in caplog.text
        assert small_office.relay.connections == 0
        assert small_office.db(small_office.db.msg_outbox).isempty()

    def test_an_unwritable_log_file_is_an_error(self, small_office):
        """
            send() returns False where settings.server is "logging:" with a path that can't be
            written
        """

        small_office.mail.settings.server = "logging:/nowhere/at/all"

        assert small_office.mail.send(ANNE, "News", "There is news.") is False
        assert "nowhere" not in small_office.mail.error

# END =========================================================================
