"""
    Enqueue: a mail becomes part of the caller's transaction
"""

import json

from datetime import datetime, timedelta, timezone

import pytest

from support.calls import A_FILE, fresh

from mails3.states import SENT, UNSENT

ANNE, BOB = "anne@example.org", "bob@example.org"

# =============================================================================
class TestEnqueue:
    """ A mail is queued in the caller's transaction """

    def test_a_rolled_back_mail_never_existed(self, office):
        """ A mail is rolled back with the registration that it was about """

        assert office.mail.send(ANNE, "News", "There is news.", attachments=fresh(A_FILE))
        office.db.rollback()

        for name in ("msg_outbox", "mails3_message", "mails3_attachment", "mails3_delivery"):
            assert office.db(office.db[name]).isempty()

    def test_the_callers_transaction_is_not_committed(self, office):
        """ send() commits nothing, also if the caller has written nothing before """

        assert office.mail.send(ANNE, "News", "There is news.")

        other = office.connection()
        assert other(other.msg_outbox).isempty()
        other.close()

    def test_the_callers_rows_are_neither_committed_nor_lost(self, office):
        """ A mail that can't be queued leaves the caller's rows uncommitted and in place """

        office.db.msg_outbox.insert(address="before@example.org")
        assert office.mail.send(ANNE, "News", "There is news.")
        office.db.rollback()
        assert office.db(office.db.msg_outbox).isempty()

        office.db.msg_outbox.insert(address="before@example.org")
        assert office.mail.send(ANNE, "News", "There is news.")
        office.db.commit()
        assert office.db(office.db.msg_outbox).count() == 2

    def test_an_outbox_row_is_like_edens(self, office):
        """ Each recipient has an outbox row with address, method, status and retries """

        office.given["max_retries"] = 9
        assert office.mail.send(["Anne <anne@example.org>"], "News", "News.", bcc=BOB)
        office.db.commit()

        rows = office.db(office.db.msg_outbox).select(orderby=office.db.msg_outbox.id)
        assert [(row.address, row.contact_method, row.status, row.retries) for row in rows] == \
               [(ANNE, "EMAIL", UNSENT, 9), (BOB, "EMAIL", UNSENT, 9)]

    def test_one_idempotency_key_is_one_message(self, office):
        """
            A second send() with the same key queues nothing, also after the first message was
            sent
        """

        for _ in range(2):
            assert office.mail.send(ANNE, "News", "There is news.", idempotency_key="order 17")
        office.db.commit()
        office.drain()
        assert office.mail.send(ANNE, "News", "There is news.", idempotency_key="order 17")
        office.db.commit()
        office.drain()

        assert len(office.relay.mails) == 1

    def test_an_expiry_may_be_given_in_many_ways(self, small_office):
        """ `expires` is a time with or without a zone, a span or a number of seconds """

        office = small_office
        now = datetime.now(timezone.utc)
        for expires in (now + timedelta(hours=1), now.replace(tzinfo=None) + timedelta(hours=1),
                        timedelta(hours=1), 3600):
            office.queue(ANNE, expires=expires)

        table = office.db.mails3_message
        for row in office.db(table).select():
            assert abs(row.expires_on - row.queued_on - timedelta(hours=1)).total_seconds() < 5

    def test_the_stored_form_is_no_pickle(self, small_office):
        """ A message is stored as JSON with a version """

        small_office.queue(ANNE, attachments=fresh(A_FILE))
        row = small_office.db(small_office.db.mails3_message).select().first()

        assert json.loads(row.head)["version"] == 1
        assert json.loads(row.body) == "There is news."

    def test_the_configuration_is_not_stored(self, small_office):
        """ A repair of the configuration takes effect on mail that is already queued """

        office = small_office
        office.mail.settings.login = "shelter:password"
        anne = office.queue(ANNE)
        office.mail.settings.login = None
        office.mail.settings.sender = "new@example.org"

        office.drain()

        assert office.status(anne) == SENT
        assert office.relay.mails[0].sender == "new@example.org"

    @pytest.mark.parametrize("setting", ["server", "sender"])
    def test_a_mail_without_its_setting_waits(self, small_office, setting):
        """ A mail is queued although the server or the sender is not set, and waits for it """

        values = small_office.mail.settings
        value, values[setting] = values[setting], None
        assert small_office.mail.send(ANNE, "News", "There is news.")
        small_office.db.commit()
        small_office.drain()
        assert small_office.relay.mails == []

        values[setting] = value
        small_office.drain()

        assert len(small_office.relay.mails) == 1

# END =========================================================================
