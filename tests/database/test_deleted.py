"""
    Rows that an admin or the app deletes from msg_outbox of a plain app
"""

import pytest

from mails3.clock import utcnow
from mails3.states import DEFERRED, NEW

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
    """ Neither a drain nor a retry pass sends a mail whose outbox row is deleted """

    office.drain()
    office.retry()

    assert office.relay.mails == []

def test_a_deleted_mail_is_counted_nowhere(office, deleted):
    """ A deleted mail is not counted, neither before nor after a run has noticed the deletion """

    for _ in range(2):
        report = office.mail.report()
        assert not any(report.counts().values())
        assert report.oldest() is None
        assert report.waiting(NEW) == report.waiting(DEFERRED) == 0
        assert report.recent() == []
        assert not office.mail.channel().claims.is_neglected(utcnow())
        office.drain()
        office.retry()

def test_the_content_of_a_deleted_mail_is_removed(office, deleted):
    """ The next purge removes the content of a deleted mail, and no other content """

    kept = office.queue(BOB)
    tables = [office.db[name] for name in ("mails3_delivery", "mails3_message")]

    assert office.mail.channel().purge().old() == 1
    assert office.mail.purge() == 1

    assert [office.db(table).count() for table in tables] == [1, 1]
    assert office.db(office.db.mails3_attempt).count() == 0
    assert office.mail.report().has_content(office.entry(kept).mails3_delivery.message_id)

# END =========================================================================
