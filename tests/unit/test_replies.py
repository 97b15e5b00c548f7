"""
    Deliveries after any replies of the relay, and after its silence
"""

import pytest

from hypothesis import HealthCheck, example, given, settings, strategies as st

from support.fake_relay import FakeRelay
from support.office import Office

from mails3.states import DRAFT, FAILED, INVALID, SENT, UNSENT

ANNE, BOB, CARL = "anne@example.org", "bob@example.org", "carl@example.org"
RETRIES = 20

# What a relay may do at a step of the dialogue, to some or to all
faults = st.tuples(
    st.sampled_from(["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BODY"]),
    st.sampled_from(["421 4.3.2 Going down", "450 4.2.1 Later", "451 4.7.1 Greylisted",
                     "452 4.3.1 Full", "452 4.5.3 Too many messages sent",
                     "421 4.7.0 Error: too many connections", "450 4.7.1 Rate limit exceeded",
                     "500 5.5.2 What?", "503 5.5.1 Out of step",
                     "530 5.7.0 Log in", "535 5.7.8 Not you", "550 5.1.1 Nobody",
                     "552 5.3.4 Too large", "552 5.5.3 Too many", "554 5.7.1 Spam",
                     "199 what", "drop", "drop_after"]),
    st.sampled_from([None, ANNE, BOB, CARL]),
    st.sampled_from([1, 2, None]))

# -----------------------------------------------------------------------------
@pytest.fixture(scope="module", params=[(), ("PIPELINING",), ("PIPELINING", "CHUNKING")],
                ids = "-".join)
def office(request, tmp_path_factory):
    """ An office whose relay is played with, whatever that offers """

    with FakeRelay(extensions=request.param) as relay:
        office = Office("sqlite://%s" % (tmp_path_factory.mktemp("replies") / "storage.sqlite"),
                        relay)
        office.configure(max_retries=RETRIES)
        yield office
        office.close()

# -----------------------------------------------------------------------------
def play(relay, fault):
    """ Have the relay do something """

    step, what, to, times = fault
    if step in ("CONNECT", "EHLO", "MAIL"):
        # Nobody is named yet
        to = None
    if what in ("drop", "drop_after"):
        getattr(relay, what)(step, to=to, times=times)
    else:
        relay.answer(step, what, to=to, times=times)

# -----------------------------------------------------------------------------
def named_or_refused(relay, address):
    """
        How often a recipient was named, or its sender was not accepted, or the relay was gone
        after it had accepted another recipient
    """

    number, last = 0, {}
    for session, verb, argument in relay.commands:
        number += (verb == "MAIL") + (verb == "RCPT" and "<%s>" % address in argument)
        # Accepted, as a recipient was named next
        number -= (verb == "RCPT" and last.get(session) == "MAIL")
        last[session] = verb
    return number + list(last.values()).count("RCPT")

# =============================================================================
@settings(deadline = None, max_examples = 60, print_blob = True,
          suppress_health_check = list(HealthCheck))
@given(rounds = st.lists(st.lists(faults, max_size=3), max_size=5))
@example(rounds = [[("BODY", "drop_after", None, None)], [("BODY", "drop", ANNE, None)]])
@example(rounds = [[("RCPT", "450 4.2.1 Later", BOB, None)]] * 5)
@example(rounds = [[("CONNECT", "421 4.3.2 Going down", None, 1)],
                   [("MAIL", "199 what", None, 1)]])
@example(rounds = [[("RCPT", "199 what", None, 1)]])
@example(rounds = [[("RCPT", "drop_after", ANNE, 2)]])
def test_every_delivery_ends_in_one_state(office, rounds):
    """
        After any replies each delivery is in one state, its attempts and retries agree, and no
        accepted recipient gets the message again
    """

    relay, db = office.relay, office.db
    for name in ("msg_outbox", "mails3_message", "mails3_delivery"):
        db(db[name]).delete()
    db(db.mails3_channel).update(status="closed", probe_on=None, accepted_on=None, retried_on=None,
                                 login_refused=False, refusals=0, pace=None)
    relay.reset()
    relay.clear()
    assert office.mail.send([ANNE, BOB], "News", "There is news.")
    assert office.mail.send(CARL, "News", "There is news.")
    db.commit()

    for fault in [*rounds, *[[]] * 4]:
        relay.reset()
        for each in fault:
            play(relay, each)
        office.mail.channel().worker(max_wait_s=0).drain()
        office.retry()
        office.later(20000)

    outbox, delivery = db.msg_outbox, db.mails3_delivery
    for row in db(delivery.outbox_id == outbox.id).select():
        entry, own = row.msg_outbox, row.mails3_delivery
        arrived = sum(mail.recipients.count(entry.address) for mail in relay.mails)

        if entry.status == DRAFT:
            # Handed over twice without an answer
            assert own.in_doubt_count + 1 == 2
            continue
        assert entry.status in (SENT, INVALID, FAILED), (entry.status, own.reply)
        assert (own.queue, own.lease, own.begun_on) == (None, None, None)
        assert arrived == (entry.status == SENT)
        # Each attempt but the last one has cost a retry
        assert own.attempts == RETRIES - entry.retries + 1
        # Each was made: it was named to the relay, or the relay let nobody be named
        assert own.attempts <= named_or_refused(relay, entry.address)
    assert db(outbox.status == UNSENT).isempty()

# END =========================================================================
