"""
    Rows that somebody removes from msg_outbox of a plain app, which keeps
    nothing of them: by appadmin, or by code of the app's own
"""

import pytest

from mails3.clock import utcnow
from mails3.states import DEFERRED, EMAIL, NEW

ANNE, BOB = "anne@example.org", "bob@example.org"

# -----------------------------------------------------------------------------
def delete(office, number):
    """ What appadmin does """

    office.db(office.db.msg_outbox.id == number).delete()
    office.db.commit()

# -----------------------------------------------------------------------------
@pytest.fixture(params=["new", "deferred"])
def deleted(office, request):
    """ The number of a mail that was deleted while it waited """

    number = office.queue(ANNE)
    if request.param == "deferred":
        office.relay.answer("RCPT", "451 4.3.0 Later", times=1)
        office.drain()
        office.later(600)
    delete(office, number)
    return number

# -----------------------------------------------------------------------------
def test_a_deleted_mail_is_not_sent(office, deleted):
    """ Neither by a drain nor by a retry pass """

    office.drain()
    office.retry()

    assert office.relay.mails == []

def test_a_deleted_mail_is_counted_nowhere(office, deleted):
    """ Not before a run has noticed, and not afterwards """

    for _ in range(2):
        report = office.mail.report()
        assert not any(report.counts().values())
        assert report.oldest() is None
        assert report.waiting(NEW) == report.waiting(DEFERRED) == 0
        assert report.recent() == []
        assert not office.mail._outbox(EMAIL).neglected(utcnow())
        office.drain()
        office.retry()

def test_the_content_of_a_deleted_mail_is_removed(office, deleted):
    """ By the next purge, with all that belongs to it; that of others stays """

    kept = office.queue(BOB)
    tables = [office.db[name] for name in ("mails3_delivery", "mails3_message")]

    assert office.mail.housekeeping().old() == 1
    assert office.mail.purge() == 1

    assert [office.db(table).count() for table in tables] == [1, 1]
    assert office.db(office.db.mails3_attempt).count() == 0
    assert office.mail.report().has_content(office.entry(kept).mails3_delivery.message_id)

# END =========================================================================
