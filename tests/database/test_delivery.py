"""
    Drain and retry pass: which messages they send, and with what results
"""

from email.utils import getaddresses

from support.fake_relay import FakeRelay
from support.meanwhile import meanwhile
from support.office import Office, begin, claim, users
from support.statements import statements
from support.transports import WatchedTransport

from mails3.states import DRAFT, FAILED, INVALID, SENT, UNSENT

ANNE, BOB, NOBODY = "anne@example.org", "bob@example.org", "nobody@example.org"

# =============================================================================
class TestDrain:
    """ The drain sends new messages """

    def test_a_new_mail_is_sent_once(self, office):
        """ A new mail arrives and is marked as sent, and another drain leaves it alone """

        anne = office.queue(ANNE)

        office.drain()
        office.drain()

        assert office.status(anne) == SENT
        assert [mail.recipients for mail in office.relay.mails] == [[ANNE]]

    def test_a_run_reads_no_more_mail_than_it_can_begin(self, small_office, monkeypatch):
        """
            A run reads large messages in parts, and beside those that it begins only the next
            one of its session
        """

        monkeypatch.setattr("mails3.delivery.outgoing.READ_BYTES", 100)
        small_office.queue(*["user%s@example.org" % number for number in range(8)])
        transport = WatchedTransport(small_office.mail, before=lambda outgoing: run.stop())
        run = small_office.mail.channel().worker(transport=transport)

        def reads(action):
            return sum("body" in statement for statement in statements(small_office, action))

        assert reads(run.drain) == 2 and len(small_office.relay.mails) == 1
        # Each of the others is larger than a part may be
        assert reads(small_office.drain) == 7

    def test_uncommitted_mail_is_not_sent(self, office):
        """ No worker sends a message that its caller has not committed """

        assert office.mail.send(ANNE, "News", "There is news.")
        other = office.connection()

        assert office.mailer(other).drain() is None
        other.close()
        office.db.rollback()

        assert office.drain() is None
        assert office.relay.mails == []

    def test_one_message_to_many_is_handed_over_once(self, office):
        """ All recipients of one message share one SMTP transaction """

        office.queue([ANNE, BOB], cc="carl@example.org")

        office.drain()

        mail, = office.relay.mails
        assert mail.recipients == [ANNE, BOB, "carl@example.org"]

    def test_many_messages_share_a_session(self, office):
        """ Several messages are sent over one connection to the relay """

        office.queue(*["user%s@example.org" % n for n in range(20)])

        office.drain(sessions=1)

        assert len(office.relay.mails) == 20
        assert office.relay.connections == 1

    def test_many_messages_use_several_sessions(self, office):
        """ Many messages use as many sessions as are set, a few messages use one """

        office.queue(*["user%s@example.org" % n for n in range(5)])
        office.drain(sessions=4)
        assert office.relay.connections == 1

        ids = office.queue(*["user%s@example.org" % n for n in range(40)])
        office.drain()

        assert office.relay.connections == 1 + 4
        assert {office.status(number) for number in ids} == {SENT}
        assert len(office.relay.mails) == 5 + 40

    def test_a_mail_to_a_hundred_has_no_line_too_long(self, office):
        """ The header of a mail to a hundred recipients has no line over 998 characters """

        people = ["Person No. %s <person%s@example.org>" % (n, n) for n in range(100)]
        assert office.mail.send(people, "News", "There is news.")
        office.db.commit()

        assert office.drain() == 100

        mail, = office.relay.mails
        assert len(mail.recipients) == 100
        assert max(map(len, mail.content.split(b"\r\n"))) <= 998
        assert len(getaddresses([mail.message["To"]])) == 100

    def test_a_session_that_the_relay_ends_is_replaced(self, office):
        """ A relay that ends the session after three messages gets all of them """

        office.relay.limit(3)
        ids = office.queue(*["user%s@example.org" % n for n in range(10)])

        office.drain()

        assert {office.status(number) for number in ids} == {SENT}
        assert office.state().status == "closed"

    def test_a_refused_recipient_does_not_hold_up_the_others(self, office):
        """ A 5xx reply to one recipient rejects that delivery and no other """

        office.relay.answer("RCPT", "550 5.1.1 No such user", to=NOBODY)
        nobody, anne = office.queue(NOBODY, ANNE)

        office.drain()

        assert office.status(nobody) == INVALID
        assert "No such user" in office.entry(nobody).mails3_delivery.reply
        assert office.status(anne) == SENT

    def test_a_partial_refusal_defers_the_refused_recipients(self, office):
        """ Only the refused recipients of a message are tried again """

        office.relay.answer("RCPT", "451 4.3.0 Later", to=BOB, times=1)
        office.queue([ANNE, BOB, NOBODY])
        office.relay.answer("RCPT", "550 5.1.1 No such user", to=NOBODY)

        office.drain()
        office.later(600)
        office.retry()

        assert [mail.recipients for mail in office.relay.mails] == [[ANNE], [BOB]]

    def test_mail_of_high_priority_is_sent_first(self, office):
        """ A message of high priority is sent before a newsletter that was queued earlier """

        office.queue("news1@example.org", "news2@example.org", priority=9)
        office.queue("reset@example.org", priority=0)

        office.drain()

        assert [mail.recipients[0] for mail in office.relay.mails] == \
               ["reset@example.org", "news1@example.org", "news2@example.org"]

    def test_a_developers_worker_sends_into_the_log(self, small_office, caplog):
        """ With settings.server = "logging", Mail.send itself writes the message into the log """

        anne = small_office.queue(ANNE)
        small_office.mail.settings.server = "logging"

        small_office.drain()

        assert small_office.status(anne) == SENT
        assert small_office.relay.connections == 0
        assert "To: %s" % ANNE in caplog.text

    def test_an_expired_mail_is_given_up(self, office):
        """ A message that has expired is not sent """

        late = office.queue(ANNE, expires=60)
        office.db(office.db.mails3_message).update(
                                        expires_on = office.entry(late).msg_outbox.created_on)

        office.drain()

        assert office.status(late) == FAILED
        assert office.entry(late).mails3_delivery.attempts == 0
        assert office.relay.connections == 0

    def test_a_held_delivery_is_not_sent(self, office):
        """ A delivery that is no longer unsent is left alone """

        anne = office.queue(ANNE)
        office.db(office.db.msg_outbox.id == anne).update(status=DRAFT)
        office.db.commit()

        office.drain()

        assert office.status(anne) == DRAFT
        assert office.relay.connections == 0

    def test_a_changed_address_gets_no_mail(self, office):
        """ An address that was changed in the outbox gets no mail, the other recipients do """

        office.queue([ANNE, BOB])
        number, other = [row.id for row in office.db(office.db.msg_outbox).select()]
        office.db(office.db.msg_outbox.id == number).update(address="eve@example.org")
        office.db.commit()

        office.drain()

        assert [mail.recipients for mail in office.relay.mails] == [[BOB]]
        assert (office.status(number), office.status(other)) == (INVALID, SENT)

    def test_an_unreadable_message_is_held(self, office):
        """ A message that can not be read is held with its reason, and the run goes on """

        broken, anne = office.queue(NOBODY, ANNE)
        office.change_message(broken, head="{")

        office.drain()

        assert office.status(broken) == DRAFT
        assert "Not readable" in office.entry(broken).mails3_delivery.reply
        assert office.status(anne) == SENT

    def test_a_message_of_a_newer_version_is_left_alone(self, office):
        """
            A message that a newer MailS3 has stored waits for a newer worker, at no cost of an
            attempt
        """

        newer, anne = office.queue(BOB, ANNE)
        head = office.change_message(newer, head='{"version": 99}')

        office.drain()

        entry = office.entry(newer)
        assert entry.msg_outbox.status == UNSENT
        assert entry.mails3_delivery.attempts == 0
        assert "newer version" in entry.mails3_delivery.reply
        assert office.status(anne) == SENT

        # After the upgrade
        office.change_message(newer, head=head)
        office.later(600)
        office.retry()
        assert office.status(newer) == SENT

    def test_an_idle_drain_writes_nothing(self, small_office):
        """ An idle drain looks for new and for scheduled mail, and writes nothing """

        office = small_office
        office.queue(ANNE)
        office.drain()
        office.db._timings.clear()

        office.drain()

        statements = [statement for statement, _ in office.db._timings]
        assert len(statements) == 2
        assert all(statement.startswith("SELECT") for statement in statements)

# =============================================================================
class TestRetry:
    """ The retry pass sends deferred messages, at its own rate """

    def test_a_deferred_mail_waits_for_the_retry_pass(self, office):
        """ No drain tries a deferred message again """

        office.relay.answer("RCPT", "451 4.3.0 Later")
        anne = office.queue(ANNE)

        for _ in range(3):
            office.drain()

        entry = office.entry(anne)
        assert entry.msg_outbox.status == UNSENT
        assert entry.mails3_delivery.attempts == 1
        assert "Later" in entry.mails3_delivery.reply
        assert office.relay.connections == 1

    def test_a_deferred_mail_waits_five_minutes(self, office):
        """ No deferred message is tried again within five minutes """

        office.relay.answer("RCPT", "451 4.3.0 Later", times=1)
        anne = office.queue(ANNE)
        office.drain()

        office.later(290)
        office.retry()
        assert office.status(anne) == UNSENT

        office.later(60)
        office.retry()
        assert office.status(anne) == SENT
        assert office.entry(anne).mails3_delivery.attempts == 2

    def test_retry_passes_keep_their_distance(self, office):
        """ There is at most one retry pass in five minutes, however many are asked for """

        office.relay.answer("RCPT", "451 4.3.0 Later")
        office.queue(*["user%s@example.org" % n for n in range(5)])
        office.drain()
        office.later(600)
        other = office.connection()
        office.relay.clear()

        office.retry(retry_interval=300, retry_limit=2)
        office.retry()
        office.mailer(other).retry()
        other.close()

        assert sum(verb == "RCPT" for _, verb, _ in office.relay.commands) == 2

    def test_a_mail_without_retries_left_is_given_up(self, office):
        """ With two retries, three attempts are made, then the delivery fails """

        office.given["max_retries"] = 2
        office.relay.answer("RCPT", "451 4.3.0 Later")
        anne = office.queue(ANNE)

        office.drain()
        assert office.entry(anne).msg_outbox.retries == 1
        for _ in range(4):
            office.later(100000)
            office.retry()

        entry = office.entry(anne)
        assert entry.msg_outbox.status == FAILED
        assert entry.msg_outbox.retries == 0
        assert entry.mails3_delivery.attempts == 3

    def test_a_mail_is_given_up_after_five_days(self, office):
        """ Without a limit of retries, a delivery fails after five days (RFC 5321 4.5.4.1) """

        office.relay.answer("RCPT", "451 4.3.0 Later")
        anne = office.queue(ANNE)
        office.drain()

        office.later(5 * 86400)
        office.retry()

        assert office.status(anne) == FAILED

# =============================================================================
class TestBreaker:
    """ A failure of the relay or the configuration costs no attempt """

    def test_a_dead_relay_costs_no_attempt(self, office):
        """ Mail waits while the relay is away, and leaves as new mail when it is back """

        office.relay.stop()
        ids = office.queue(*["user%s@example.org" % n for n in range(5)])
        office.drain()

        assert office.state().status == "tripped"
        assert "refused" in office.state().reason
        assert {office.entry(number).mails3_delivery.attempts for number in ids} == {0}

        office.relay.start()
        office.later(60)
        office.drain()

        assert {office.status(number) for number in ids} == {SENT}
        assert office.state().status == "closed"

    def test_a_tripped_breaker_allows_no_connection_before_the_probe(self, office):
        """ Many drains make no connection while the breaker is tripped """

        office.relay.silence("EHLO")
        office.queue(ANNE)
        office.drain(reply_timeout=1)

        for _ in range(3):
            office.drain()

        assert office.relay.connections == 1

    def test_one_message_is_the_probe(self, office):
        """ A hundred waiting messages cost a relay that is down one connection """

        office.relay.answer("MAIL", "421 4.3.2 Going down")
        office.queue(*["user%s@example.org" % n for n in range(20)])
        office.drain()
        office.later(60)
        office.relay.clear()

        office.drain()

        assert sum(verb == "MAIL" for _, verb, _ in office.relay.commands) == 1

    def test_a_site_without_a_sender_holds_its_mail(self, office):
        """ Mail of a site without a sender waits, and leaves at once when a sender is set """

        settings = office.mail.settings
        sender, settings.sender = settings.sender, None
        anne = office.queue(ANNE)
        office.drain()
        assert office.state().reason == "No sender configured"

        settings.sender = sender
        office.drain()

        assert office.status(anne) == SENT
        assert office.entry(anne).mails3_delivery.attempts == 1

    def test_refused_credentials_are_not_tried_again(self, tmp_path):
        """ After a refused login, only another login is tried, and that at once """

        with FakeRelay(login=("shelter", "right")) as relay:
            office = Office("sqlite://%s" % (tmp_path / "storage.sqlite"), relay)
            office.mail.settings.login = "shelter:wrong"
            anne = office.queue(ANNE)

            office.drain()
            for _ in range(3):
                office.later(3600)
                office.drain()
            assert len({session for session, *_ in relay.logins}) == 1
            assert "wrong" not in office.state().reason

            office.mail.settings.login = "shelter:right"
            office.drain()
            assert office.status(anne) == SENT
            office.close()

    def test_an_incident_is_logged_once(self, small_office, caplog):
        """ An incident makes one log entry when the breaker trips and one when it closes """

        office = small_office
        office.relay.stop()
        office.queue(ANNE, BOB)
        for _ in range(5):
            office.drain()
            office.later(400)
        office.relay.start()
        office.drain()

        told = [record.message for record in caplog.records if record.name == "web2py.mails3"]
        assert len(told) == 2
        assert told[0].startswith("Sending is suspended: connect: Connection refused")
        assert told[1].startswith("Sending is resumed")

# =============================================================================
class TestLease:
    """ Any number of workers lose nothing and send nothing twice """

    def test_two_workers_do_not_send_one_mail_twice(self, office):
        """ A second worker finds nothing of what the first one is sending """

        ids = office.queue(*users(3))
        found = []

        rival = meanwhile(office, "DATA", lambda mail: found.append(mail.drain()))
        office.drain()
        rival.join()

        assert found == [None]
        assert len(office.relay.mails) == 3
        assert {office.status(number) for number in ids} == {SENT}

    def test_a_lost_workers_mail_is_sent_by_another(self, office):
        """ Another worker sends a lost worker's mail after its lease, with the same Message-ID """

        anne = office.queue(ANNE)
        lost = office.connection()
        mail = office.mailer(lost)
        worker = mail.channel().worker()
        delivery, = claim(worker)
        begin(worker, [delivery])
        lost.commit()

        office.drain()
        assert office.relay.mails == []

        office.later(3600)
        office.drain()
        assert office.status(anne) == SENT

        # It wakes up again: what has happened since is not overwritten
        assert not worker.channel.transitions.defer(delivery, "late", worker.now(),
                                                    worker.now())
        lost.commit()
        lost.close()
        assert office.status(anne) == SENT

    def test_mail_in_doubt_can_be_held(self, office):
        """ With in_doubt = hold, a message in doubt is not sent again by itself """

        anne = office.queue(ANNE)
        worker = office.mail.channel().worker()
        begin(worker, claim(worker))
        office.later(3600)

        office.drain(in_doubt="hold")

        assert office.status(anne) == DRAFT
        assert "In doubt" in office.entry(anne).mails3_delivery.reply
        assert office.relay.mails == []

# END =========================================================================
