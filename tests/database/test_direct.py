"""
    Mail that is sent directly, without the queue
"""

import smtplib

import pytest

from support.fake_relay import FakeRelay
from support.office import Office

from gluon.storage import Storage

ANNE, BOB = "anne@example.org", "bob@example.org"

# =============================================================================
class TestSendDirect:
    """ send_direct_email sends at once and tells the result """

    def test_send_direct_email_sends_now(self, small_office):
        """ send_direct_email returns True when every recipient was accepted """

        assert small_office.mail.send_direct_email([ANNE, BOB], "News", "There is news.") is True
        assert small_office.mail.error is None
        assert small_office.relay.mails[0].recipients == [ANNE, BOB]

    def test_a_partial_refusal_is_an_error(self, small_office):
        """ send_direct_email names the refused recipients with the server's words """

        small_office.relay.answer("RCPT", "550 5.1.1 No such user", to=BOB)

        assert small_office.mail.send_direct_email([ANNE, BOB], "News", "News.") is False
        assert small_office.mail.result == {BOB: (550, "5.1.1 No such user")}
        assert "No such user" in str(small_office.mail.error)
        assert small_office.relay.mails[0].recipients == [ANNE]

    @pytest.mark.parametrize("step", ["CONNECT", "MAIL", "RCPT", "BODY"])
    def test_a_relay_that_wants_less_mail_is_an_error(self, small_office, step):
        """ send_direct_email says that the mail server wants less mail, in its words """

        small_office.relay.answer(step, "421 4.7.0 Error: too many connections from 192.0.2.1")

        assert small_office.mail.send_direct_email(ANNE, "News", "News.") is False
        assert str(small_office.mail.error).startswith("The mail server wants less mail now (")
        assert "too many connections" in str(small_office.mail.error)

    @pytest.mark.parametrize("setting, value", [("server", None), ("server", 5),
                                                ("server", "127.0.0.1:port"),
                                                ("sender", None), ("sender", "nobody"),
                                                ("login", "nonsense"), ("tls", True)])
    def test_a_wrong_setting_is_an_error(self, small_office, setting, value):
        """ send_direct_email raises nothing, also for settings that make Mail.send raise """

        small_office.mail.settings[setting] = value

        assert small_office.mail.send_direct_email(ANNE, "News", "There is news.") is False
        assert small_office.mail.error

    @pytest.mark.parametrize("step", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BODY"])
    def test_a_lost_connection_is_an_error(self, small_office, step):
        """
            send_direct_email raises nothing, at whatever point of the dialogue the relay goes
            away
        """

        small_office.relay.drop(step)

        assert small_office.mail.send_direct_email(ANNE, "News", "There is news.") is False
        assert small_office.mail.error

    def test_no_password_gets_into_an_error(self, tmp_path, caplog):
        """ An error never shows the password, also if the relay repeats it """

        with FakeRelay(login=("shelter", "right")) as relay:
            office = Office("sqlite://%s" % (tmp_path / "storage.sqlite"), relay)
            office.mail.settings.login = "shelter-user:pass-word"
            relay.answer("AUTH", "535 5.7.8 No such login: shelter-user pass-word")

            assert office.mail.send_direct_email(ANNE, "News", "News.") is False
            for text in (str(office.mail.error), caplog.text):
                assert "pass-word" not in text and "shelter-user" not in text
            office.close()

# =============================================================================
class TestNotStored:
    """ A call that can't be stored is sent directly """

    @pytest.mark.parametrize("secret", [
        {"sign_passphrase": "secret"},
        {"x509_sign_keyfile": "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----"},
        ])
    def test_secrets_are_not_stored(self, small_office, secret):
        """ A call that carries a secret is sent directly and not stored """

        office = small_office
        assert office.mail.send(ANNE, "News", "There is news.", **secret)

        assert office.db(office.db.msg_outbox).isempty()
        assert len(office.relay.mails) == 1

    def test_the_key_of_dkim_is_not_stored(self, small_office, caplog):
        """ A DKIM key in any form is neither stored nor shown when Mail.send fails """

        office = small_office
        assert office.mail.send(ANNE, "News", "There is news.",
                                dkim = Storage(key="secret", selector="shelter")) is False

        assert office.db(office.db.msg_outbox).isempty()
        assert "secret" not in caplog.text + office.mail.error

    def test_a_live_connection_is_used_at_once(self, small_office):
        """ A call with remote_server is sent directly """

        with smtplib.SMTP(small_office.relay.host, small_office.relay.port) as server:
            assert small_office.mail.send(ANNE, "News", "There is news.", remote_server=server)

        assert small_office.relay.mails[0].recipients == [ANNE]
        assert small_office.relay.connections == 1

# =============================================================================
class TestQueueFails:
    """ A mail that can't be queued is sent directly """

    def test_a_missing_table_has_the_mail_sent_directly(self, office, caplog):
        """
            Without the outbox table a mail is sent directly, the log has the reason and the
            transaction stays usable
        """

        office.db.executesql("DROP TABLE mails3_delivery")
        office.db.commit()
        office.db.msg_outbox.insert(address="before@example.org")

        assert office.mail.send(ANNE, "News", "There is news.")

        office.db.msg_outbox.insert(address="after@example.org")
        office.db.commit()
        assert [row.address for row in office.db(office.db.msg_outbox).select()] == \
               ["before@example.org", "after@example.org"]
        assert len(office.relay.mails) == 1
        assert "can't be queued" in caplog.text

    def test_a_mail_that_nobody_takes_is_refused(self, small_office, caplog):
        """
            send() returns False if neither queue nor relay take the mail, and hides the relay's
            words
        """

        small_office.db.executesql("DROP TABLE mails3_delivery")
        small_office.relay.answer("RCPT", "550 5.1.1 Words for the admin")

        assert small_office.mail.send(ANNE, "News", "There is news.") is False
        assert "Words" not in str(small_office.mail.error)
        assert "Words for the admin" in caplog.text

# END =========================================================================
