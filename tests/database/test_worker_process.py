"""
    A worker process of our own: what it sends, in which order, and what else it does
"""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from support.employment import Employer
from support.meanwhile import meanwhile
from support.office import claim, named, users
from support.site import eventually
from support.statements import statements
from support.transports import InstantTransport

from mails3.admin.printing import status_lines
from mails3.admin.status import Status
from mails3.clock import utcnow
from mails3.queue.channel_row import TRIPPED
from mails3.queue.workers import OWN
from mails3.states import DEFERRED, INVALID, NEW, SENT

ANNE, BOB, FIRST = "anne@example.org", "bob@example.org", "first@example.org"
CHANNELS = EMAIL, SMS, TWITTER = "EMAIL", "SMS", "TWITTER"

LATER = "451 4.3.0 Later"

# How long the relay takes for a message, where the clock is the test's (seconds)
MESSAGE_S = 0.1

# =============================================================================
class Desk:
    """ A worker process whose transports are the test's, and what they have sent """

    def __init__(self, office, app, channel_names=(EMAIL,), **options):

        self.office = office
        self.sent = []     # addresses, in the order in which they were handed over
        self.actions = {}  # by how many were sent: what happens then
        self.connections = 0
        self.employer = Employer(office, app, self.transport, channel_names, **options)
        self.process, self.turn = self.employer.process, self.employer.turn

    # -------------------------------------------------------------------------
    def transport(self, mail, name):

        return InstantTransport(mail, before_open=self.note_connection, before=self.note)

    def note_connection(self):

        self.connections += 1

    def note(self, outgoing):
        """ A message is being handed over, which takes its time """

        self.employer.clock.sleep(MESSAGE_S)
        self.sent += outgoing.recipients
        action = self.actions.pop(len(self.sent), None)
        if action:
            action()

    # -------------------------------------------------------------------------
    def elsewhere(self, action):
        """ Do something with a MailS3 of another process, and commit """

        db = self.office.connection()
        try:
            action(self.office.mailer(db))
            db.commit()
        finally:
            db.close()

# -----------------------------------------------------------------------------
@pytest.fixture
def employer(office, tmp_path):
    """ A worker process that sends to the relay """

    employer = Employer(office, tmp_path)
    yield employer
    employer.close()

@pytest.fixture
def desk(office, tmp_path):
    """ A worker process with transports of the test's """

    desk = Desk(office, tmp_path)
    yield desk
    desk.employer.close()

@pytest.fixture
def eden_desk(office, tmp_path):
    """ The same, in an app with other channels """

    desk = Desk(office, tmp_path, CHANNELS)
    yield desk
    desk.employer.close()

@pytest.fixture
def other_desk(office, tmp_path):
    """ The process for the other channels of that app """

    desk = Desk(office, tmp_path, CHANNELS, is_for_others=True)
    yield desk
    desk.employer.close()

# -----------------------------------------------------------------------------
def in_channel(mail, name, address):
    """ Queue a mail that goes by another channel """

    assert mail.send(address, "News", "There is news.")
    db = mail.db
    last = db(db.mails3_delivery).select(orderby=~db.mails3_delivery.id, limitby=(0, 1)).first()
    last.update_record(channel=name)

def is_due(office, queue=DEFERRED):
    """ All mail that waits is deferred, and due """

    office.db(office.db.mails3_delivery.queue == NEW).update(
        queue=queue, due_on=utcnow() - timedelta(seconds=60), deferred_on=utcnow(), attempts=1)
    office.db.commit()

# =============================================================================
class TestSending:
    """ New mail first, then what is due """

    def test_new_mail_is_sent(self, office, employer):
        """ Mail that is queued is sent with the next turn """

        anne = office.queue(ANNE)

        employer.turn()

        assert office.status(anne) == SENT

    def test_deferred_mail_is_sent_when_it_is_due(self, office, employer):
        """ Deferred mail is tried again when it is due, and not before """

        office.relay.answer("RCPT", LATER, times=1)
        anne = office.queue(ANNE)
        employer.turn()

        for _ in range(3):
            employer.turn(1)
        assert named(office.relay, ANNE) == 1

        office.later(600)
        employer.turn()
        assert office.status(anne) == SENT

    def test_new_mail_is_sent_before_deferred_mail(self, office, desk):
        """ New mail is handed over before deferred mail that has been due for longer """

        office.queue(*users(5))
        is_due(office)
        office.queue(ANNE)

        desk.turn()

        assert desk.sent == [ANNE, *users(5)]

    @pytest.mark.parametrize("queue", [NEW, DEFERRED])
    def test_urgent_mail_overtakes(self, office, desk, queue):
        """
            A mail of priority 0 is among the next few while 300 newsletters are being sent,
            of the same queue
        """

        office.configure(retry_limit=1000, sessions=3)
        office.queue(*users(300), priority=9)
        if queue == DEFERRED:
            is_due(office)

        def queue_first(mail):
            assert mail.send(FIRST, "News", "There is news.", priority=0)
            if queue == DEFERRED:
                table = mail.db.mails3_delivery
                mail.db(table.priority == 0).update(queue=DEFERRED, due_on=utcnow())

        desk.actions[100] = lambda: desk.elsewhere(queue_first)
        desk.turn()

        assert len(desk.sent) == 301
        # What is claimed already is sent before: half a second's work, in three sessions
        assert 100 < desk.sent.index(FIRST) + 1 <= 100 + 2 * 0.5 / MESSAGE_S

    def test_new_mail_overtakes_deferred_mail(self, office, desk):
        """ A new newsletter is among the next few while urgent deferred mail is being sent """

        office.configure(retry_limit=1000, sessions=3)
        office.queue(*users(300), priority=0)
        is_due(office)

        desk.actions[100] = lambda: desk.elsewhere(
            lambda mail: mail.send(FIRST, "News", "There is news.", priority=9))
        desk.turn()

        assert 100 < desk.sent.index(FIRST) + 1 <= 100 + 2 * 0.5 / MESSAGE_S

    def test_what_another_worker_has_claimed_is_no_work(self, office, desk):
        """ A worker makes no run for mail that another one is sending """

        office.queue(ANNE, BOB)
        desk.turn()
        office.queue(*users(3))
        desk.elsewhere(lambda mail: claim(mail.channel().worker()))

        run = statements(office, desk.turn)

        assert all(text.startswith("SELECT") for text in run), run

# =============================================================================
class TestChannels:
    """ Other channels than mail have a process of their own """

    def test_mail_does_not_wait_for_texts(self, eden_desk):
        """ The process that sends mail asks for another one when there is a text, each time """

        eden_desk.turn()
        assert not eden_desk.employer.is_asked_for_others()

        eden_desk.elsewhere(lambda mail: in_channel(mail, SMS, ANNE))
        eden_desk.turn(1)
        assert eden_desk.employer.is_asked_for_others()
        eden_desk.turn(1)
        assert eden_desk.employer.is_asked_for_others()

        assert eden_desk.sent == []

    def test_texts_do_not_wait_for_mail(self, office, eden_desk):
        """ The other process is asked for in the middle of a long run of mails """

        office.queue(*users(99))
        eden_desk.actions[20] = lambda: eden_desk.elsewhere(
            lambda mail: in_channel(mail, SMS, ANNE))
        asked = []
        eden_desk.actions[60] = lambda: asked.append(eden_desk.employer.is_asked_for_others())

        eden_desk.turn()

        assert asked == [True]

    def test_texts_are_sent_by_their_process(self, office, other_desk):
        """ The process for other channels sends a text, and no mail """

        office.queue(BOB)
        other_desk.elsewhere(lambda mail: in_channel(mail, SMS, ANNE))

        other_desk.turn()

        assert other_desk.sent == [ANNE]
        row, = other_desk.employer.rows()
        assert row.doing == "waiting (SMS, TWITTER)"

    def test_each_channel_has_its_turn(self, other_desk):
        """ A message in one channel does not wait for the end of hundreds in another one """

        other_desk.elsewhere(lambda mail: [in_channel(mail, SMS, address)
                                           for address in users(99) + users(99, "guest")])
        other_desk.actions[20] = lambda: other_desk.elsewhere(
            lambda mail: in_channel(mail, TWITTER, FIRST))

        for _ in range(3):
            other_desk.turn()

        assert len(other_desk.sent) == 199
        assert 20 < other_desk.sent.index(FIRST) < 100

    def test_the_process_ends_when_there_is_nothing_to_do(self, other_desk):
        """ The process for other channels ends an hour after its last message """

        other_desk.turn(3000)
        other_desk.elsewhere(lambda mail: in_channel(mail, SMS, ANNE))
        other_desk.turn(1)
        other_desk.turn(3500)
        assert not other_desk.process.is_stopped

        other_desk.turn(200)

        assert other_desk.process.is_stopped

# =============================================================================
class TestSuspended:
    """ While sending is suspended """

    def test_a_probe_is_made_when_it_is_due(self, office, employer):
        """ The relay is asked again when the probe is due, and not before, by one message """

        relay = office.relay
        relay.answer("CONNECT", "421 4.3.2 Down for maintenance")
        office.queue(ANNE, BOB)
        employer.turn()
        connections = relay.connections
        for _ in range(5):
            employer.turn(1)
        assert (office.state().status, relay.connections) == (TRIPPED, connections)

        office.later(6)
        employer.turn()
        employer.turn(1)
        assert relay.connections == connections + 1

        relay.reset()
        office.later(11)
        employer.turn()
        assert len(relay.mails) == 2

    def test_waiting_mail_is_no_news(self, office, employer):
        """ Mail that may not be sent now does not end the wait for new mail """

        office.relay.answer("CONNECT", "421 4.3.2 Down for maintenance")
        office.queue(ANNE)
        # PostgreSQL has told that there is mail, once
        employer.process.listener.wait(1)
        employer.turn()

        assert not employer.process.listener.wait(1)

    def test_a_process_soon_reads_a_configuration_that_is_wrong_again(self, office, employer):
        """ While the configuration is wrong, the process is replaced each minute """

        office.mail.settings.sender = None
        office.queue(ANNE)
        employer.turn(1)
        assert not employer.is_asked_for_successor()

        employer.turn(61)

        assert employer.is_asked_for_successor()

    def test_a_relay_that_is_away_replaces_no_process(self, office, employer):
        """ While the relay is away, the process goes on """

        office.relay.answer("CONNECT", "421 4.3.2 Down for maintenance")
        office.queue(ANNE)
        employer.turn(1)

        employer.turn(61)
        employer.turn(61)

        assert not employer.is_asked_for_successor()

# =============================================================================
class TestSelf:
    """ The process and its supervisor """

    def test_an_old_process_asks_for_a_successor_once(self, employer):
        """ A process that is an hour old asks to be replaced, once, and goes on """

        employer.turn(3500)
        assert not employer.is_asked_for_successor()

        employer.turn(200)
        assert employer.is_asked_for_successor()
        employer.turn(200)
        assert not employer.is_asked_for_successor()
        assert not employer.process.is_stopped

    def test_a_changed_model_asks_for_a_successor(self, employer, tmp_path):
        """ A process whose app has changed asks to be replaced """

        employer.turn()
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "db.py").write_text("changed")

        employer.turn(3)
        employer.turn(3)

        assert employer.is_asked_for_successor()

    def test_a_process_without_a_supervisor_ends(self, office, employer):
        """ A process whose supervisor is gone ends """

        employer.leave()

        employer.process.run()

        assert len(employer.rows()) == 0

    def test_a_long_run_notices_that_the_supervisor_is_gone(self, office, desk):
        """ A process with thousands of mails to send ends when its supervisor is gone """

        office.queue(*users(99))
        desk.actions[20] = desk.employer.leave

        desk.process.run()

        assert 20 <= len(desk.sent) < 50
        assert office.db(office.db.mails3_delivery.lease != None).isempty()

    def test_a_long_run_notices_changes(self, office, desk, tmp_path):
        """ A process asks to be replaced in the middle of a long run """

        office.queue(*users(99))
        (tmp_path / "models").mkdir()
        desk.actions[20] = lambda: (tmp_path / "models" / "db.py").write_text("changed")
        asked = []
        desk.actions[90] = lambda: asked.append(desk.employer.is_asked_for_successor())

        desk.turn()

        assert asked == [True]

# =============================================================================
class TestEnd:
    """ A normal end, and one that is none """

    def test_a_normal_stop_gives_back_everything(self, office, desk):
        """ A process that is stopped ends after the messages in hand; the rest is free at once """

        numbers = office.queue(*users(30))
        desk.actions[10] = desk.process.stop

        desk.process.run()

        sent = len(desk.sent)
        assert 10 <= sent <= 10 + office.mail.options.sessions
        assert [office.status(number) for number in numbers].count(SENT) == sent
        table = office.db.mails3_delivery
        assert office.db((table.lease != None) | (table.begun_on != None)).isempty()
        assert len(desk.employer.rows()) == 0

    def test_a_stop_before_a_run_sends_nothing(self, office, desk):
        """ A signal that comes before the run has begun ends it before it sends """

        office.queue(ANNE)
        shared_clock = desk.process.channels[0].shared_clock

        def stop_and_tell():
            desk.process.stop()
            return shared_clock()

        desk.process.channels[0].shared_clock = stop_and_tell
        desk.process.run()

        assert desk.sent == []

    def test_a_suspended_worker_overwrites_nothing(self, office, desk):
        """
            A worker that was suspended for longer than its lease changes no result of the
            others, and sends nothing that they have settled
        """

        office.configure(sessions=1)
        office.relay.answer("RCPT", "550 5.1.1 No such user", to=BOB)
        anne, bob = office.queue(ANNE, BOB)

        def others_work():
            office.later(60)
            desk.elsewhere(lambda mail: mail.drain())

        desk.actions[1] = lambda: desk.elsewhere(lambda mail: others_work())
        desk.turn()

        assert (office.status(anne), office.status(bob)) == (SENT, INVALID)
        # Both have handed over the one that was in hand, and none the other
        assert desk.sent == [ANNE]
        assert [mail.recipients for mail in office.relay.mails] == [[ANNE]]
        assert office.entry(anne).mails3_delivery.attempts == 1

    def test_leases_are_renewed_while_the_relay_is_silent(self, office, employer):
        """ A worker that waits for the relay's reply renews its leases, and gives signs of life """

        start = utcnow()
        # Ten times as fast as the clock
        employer.process.channels[0].shared_clock = lambda: lambda: start + 10 * (utcnow() - start)
        office.configure(sessions=1)
        office.queue(ANNE, BOB)
        seen = []

        def wait_for_renewals(mail):
            for _ in range(2):
                seen.append(renewed(mail, seen[-1:]))

        thread = meanwhile(office, "DATA", wait_for_renewals, ANNE)
        employer.turn()
        thread.join()

        assert None not in seen and len(office.relay.mails) == 2

# -----------------------------------------------------------------------------
def renewed(mail, before):
    """
        Wait until a worker has renewed all that it has claimed

        Args:
            mail: the MailS3
            before: list of the times of the last renewal: (first end of a lease,
                    sign of life)

        Returns:
            the times now; None if it does not
    """

    db, now = mail.db, [None]
    leases, rows = db.mails3_delivery.leased_until, db.mails3_worker.alive_on

    def look():
        db.commit()
        now[0] = db(leases != None).select(leases.min()).first()[leases.min()], \
            db(rows != None).select(rows.min()).first()[rows.min()]
        return not before or all(new > old for new, old in zip(now[0], before[0]))

    return now[0] if eventually(look) else None

# =============================================================================
class TestDuties:
    """ What is to be done beside sending """

    def test_an_idle_worker_writes_nothing_but_its_sign_of_life(self, office, employer):
        """ A turn without mail only reads; each three seconds it writes one row """

        office.queue(ANNE)
        employer.turn()
        employer.turn(3)

        idle = statements(office, lambda: employer.turn(1))
        alive = statements(office, lambda: employer.turn(3))

        assert all(text.startswith("SELECT") for text in idle), idle
        assert len(idle) <= 3
        writing = [text for text in alive if not text.startswith("SELECT")]
        assert len(writing) == 1 and writing[0].startswith("UPDATE")

    def test_no_transaction_is_open_while_it_waits(self, office, employer):
        """ A worker that waits keeps no transaction open, also not while it asks for mail """

        employer.turn()
        assert not has_transaction(office)

        assert not employer.process.listener.wait(0.3)

        assert not has_transaction(office)

    def test_the_purge_runs_at_night(self, office, employer):
        """ Old mail is purged once each night """

        hours = iter([12, 3, 3, 12, 3])
        employer.process.duties.hour = lambda: next(hours)
        office.db(office.db.mails3_channel).update(purged_on=utcnow() - timedelta(hours=21))
        left = []
        for earlier in (0, 0, 0, 12, 12):
            office.later(earlier * 3600)
            old_mail(office, 1)
            employer.turn(61)
            employer.turn(1)
            left.append(office.db(office.db.msg_outbox).count())

        # By day; at night; again; by day; the next night
        assert left == [1, 0, 1, 2, 0]

    def test_a_purge_that_was_missed_is_made_by_day(self, office, employer):
        """ Where the machine is off at night, old mail is purged by day """

        employer.process.duties.hour = lambda: 12
        office.db(office.db.mails3_channel).update(purged_on=utcnow() - timedelta(hours=45))
        old_mail(office, 1)

        employer.turn(61)
        employer.turn(1)

        assert office.db(office.db.msg_outbox).isempty()

    def test_mail_is_sent_during_the_purge(self, office, desk):
        """ Mail that is queued during a long purge is sent before the purge ends """

        channel, clock = desk.process.duties.channel, desk.employer.clock
        purge = channel.purge
        channel.purge = lambda: SimpleNamespace(batches=lambda: slow(purge().batches(), clock))
        old_mail(office, 1100)
        left = []
        desk.actions[1] = lambda: left.append(office.db(office.db.msg_outbox).count())

        desk.turn(61)
        office.queue(ANNE)
        while desk.process.duties.purge:
            desk.turn()

        assert (desk.sent, left) == ([ANNE], [601])
        assert office.db(office.db.msg_outbox).count() == 1

    def test_missing_tables_are_made(self, office, employer):
        """ The tables are looked after every five minutes """

        employer.turn()
        assert employer.repairs == 0

        employer.turn(301)
        employer.turn(1)

        assert employer.repairs == 1

    def test_the_clock_of_the_database_is_read_again(self, office, employer):
        """ A clock that is set changes the time of the worker within a minute """

        employer.turn()
        hours = timedelta(hours=5)
        employer.process.channels[0].shared_clock = lambda: lambda: utcnow() + hours

        employer.turn(61)
        employer.turn(3)

        assert employer.rows()[0].alive_on > utcnow() + hours - timedelta(minutes=1)

# -----------------------------------------------------------------------------
def has_transaction(office):
    """ Whether the worker has a transaction open, as the database knows """

    engine = office.db._adapter.dbengine
    if engine == "sqlite":
        return office.db._adapter.connection.in_transaction
    db = office.connection()
    try:
        if engine == "postgres":
            return db.executesql("SELECT count(*) FROM pg_stat_activity WHERE "
                                 "datname = current_database() AND pid <> pg_backend_pid() "
                                 "AND state LIKE 'idle in transaction%'")[0][0] > 0
        return db.executesql("SELECT count(*) FROM information_schema.innodb_trx, "
                             "information_schema.processlist WHERE id = trx_mysql_thread_id "
                             "AND db = DATABASE() AND id <> connection_id()")[0][0] > 0
    finally:
        db.close()

def old_mail(office, count):
    """ So many mails that were sent long ago """

    assert office.mail.send(users(count), "News", "There is news.")
    office.db(office.db.msg_outbox).update(status=SENT,
                                           modified_on=utcnow() - timedelta(days=99))
    office.db(office.db.mails3_delivery).update(queue=None)
    office.db.commit()

def slow(batches, clock):
    """ The same batches, each of which takes a second """

    for count in batches:
        clock.sleep(1)
        yield count

# =============================================================================
class TestShown:
    """ What an admin sees of a worker """

    def test_a_waiting_worker_is_shown(self, office, employer):
        """ The row of a worker says what it is, since when, and that it waits """

        employer.turn()

        row, = employer.rows()
        assert (row.kind, row.doing, row.site) == (OWN, "waiting for mail", "shelter")
        told = Status(office.mail, utcnow()).as_dict()
        assert (told["workers"], told["worker_list"][0]["is_alive"]) == (1, True)
        assert told["problems"] == []

    def test_a_sending_worker_is_shown(self, office, desk):
        """ A worker that sends for some time gives signs of life, and says what it does """

        office.queue(*users(99))
        seen = []
        times = iter(range(0, 10 ** 6, 2))
        start = utcnow()
        for channel in desk.process.channels:
            channel.shared_clock = lambda: lambda: start + timedelta(seconds=next(times))
        desk.actions[50] = lambda: desk.elsewhere(
            lambda mail: seen.extend(row.doing for row in mail.db(mail.db.mails3_worker).select()))

        desk.turn()

        assert seen == ["sending (EMAIL)"]
        assert employer_row(desk).doing == "waiting for mail"

    def test_a_lost_worker_is_shown_for_an_hour(self, office, employer):
        """ A worker without signs of life is shown as lost, and forgotten after an hour """

        employer.turn()
        office.later(30)

        status = Status(office.mail, utcnow())
        assert status.workers is None
        assert "lost, the last sign of life at" in "\n".join(status_lines(status))
        assert not status.as_dict()["worker_list"][0]["is_alive"]

        office.later(3600)
        other = Employer(office, employer.process.duties.files.app)
        other.turn(61)
        assert [row.name for row in employer.rows()] == [other.process.row.name]
        other.close()

# -----------------------------------------------------------------------------
def employer_row(desk):
    """ The row of the worker """

    row, = desk.employer.rows()
    return row

# END =========================================================================
