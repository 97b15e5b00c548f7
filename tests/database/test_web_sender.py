"""
    Without a worker, the process of a web server sends after the request
"""

import threading

from contextlib import nullcontext
from threading import Event, Thread

import pytest

from support.meanwhile import TIMEOUT_S
from support.site import eventually
from support.web2py import FOLDER

from gluon.dal import DAL
from pydal.connection import ConnectionPool

from mails3.queue.database import after_request
from mails3.queue.migration import create
from mails3.queue.schema import TABLES, define
from mails3.service import web_sender
from mails3.service.web_sender import WebRequest, WebSender
from mails3.states import SENT, UNSENT

ANNE, BOB = "anne@example.org", "bob@example.org"

# -----------------------------------------------------------------------------
@pytest.fixture
def office(office, monkeypatch):
    """ An app without a worker; its thread ends with the test """

    monkeypatch.setattr(web_sender, "LINGER_S", 0.5)
    office.given.update(fallback="yes", fallback_timeout="1")
    yield office
    for thread in senders():
        thread.join()

# -----------------------------------------------------------------------------
def senders():
    """ The threads that send (list) """

    return [thread for thread in threading.enumerate() if isinstance(thread, WebSender)]

# -----------------------------------------------------------------------------
def begin_request(office, db=None):
    """ What the models of a request make: the MailS3 """

    mail = office.mailer(db or office.connection())
    mail.note_configuration()
    mail.web_request = WebRequest(mail, lambda sending_mail: nullcontext)
    return mail

# -----------------------------------------------------------------------------
def end_request(action="commit"):
    """ The last thing that web2py does with the databases of a request """

    ConnectionPool.close_all_instances(action)

# -----------------------------------------------------------------------------
def visit(office, *addresses, end="commit"):
    """ A request that sends a mail to each address """

    mail = begin_request(office)
    for address in addresses:
        assert mail.send(address, "News", "There is news.")
    end_request(end)

# -----------------------------------------------------------------------------
def is_settled(office):
    """ Whether the results of all mails are written """

    office.db.commit()
    return office.db(office.db.msg_outbox.status == UNSENT).isempty()

# =============================================================================
class TestWebSender:
    """ A thread sends what a request has queued """

    def test_mail_goes_out_when_its_request_is_over(self, office):
        """ The relay hears of a mail after the request, and the result is written """

        mail = begin_request(office)
        assert mail.send(ANNE, "News", "There is news.")
        assert mail.send(BOB, "News", "There is news.")
        assert senders() and office.relay.connections == 0
        end_request()

        assert [mail.recipients for mail in office.relay.wait(2)] == [[ANNE], [BOB]]
        assert eventually(lambda: is_settled(office))
        assert office.relay.connections == 1

    def test_a_request_does_not_wait_for_the_relay(self, office):
        """ A request is over before the relay has answered """

        is_over = Event()
        office.configure(reply_timeout=TIMEOUT_S)
        office.relay.hold("CONNECT", is_over.is_set)

        visit(office, ANNE)
        assert office.relay.mails == []
        is_over.set()

        assert office.relay.wait()[0].recipients == [ANNE]

    def test_what_a_request_has_undone_is_not_sent(self, office):
        """ The mail of a request that was rolled back has never existed """

        visit(office, ANNE, end="rollback")
        visit(office, BOB)

        assert office.relay.wait()[0].recipients == [BOB]
        assert eventually(lambda: is_settled(office))
        assert len(office.relay.mails) == 1

    def test_what_a_request_has_committed_before_it_fails_is_sent(self, office):
        """ The mail that a request has committed itself goes out at its end, also if it fails """

        mail = begin_request(office)
        assert mail.send(ANNE, "News", "There is news.")
        mail.db.commit()
        end_request("rollback")

        assert office.relay.wait()[0].recipients == [ANNE]

    def test_waiting_mail_goes_with_the_next_new_mail(self, office):
        """ Deferred mail that is due, and new mail that nobody has sent, go with a new mail """

        office.relay.answer("RCPT", "451 4.2.1 Later", to=ANNE, times=1)
        visit(office, ANNE)
        attempts = office.db.mails3_delivery.attempts
        assert eventually(lambda: office.db.commit() or
                          not office.db(attempts == 1).isempty())
        office.given["fallback"] = "no"
        visit(office, BOB)
        office.later(3600)
        assert office.relay.mails == []

        office.given["fallback"] = "yes"
        visit(office, "carl@example.org")

        assert {mail.recipients[0] for mail in office.relay.wait(3)} == \
               {ANNE, BOB, "carl@example.org"}
        assert eventually(lambda: is_settled(office))

    def test_the_setting_turns_it_off(self, office):
        """ With fallback = no, nothing is begun for a request """

        office.given["fallback"] = "no"

        visit(office, ANNE)

        assert senders() == []
        assert office.status(1) == UNSENT

    def test_a_request_changes_the_server_for_itself_only(self, office):
        """ What a request changes in mail.settings has no effect on mail that is queued """

        mail = begin_request(office)
        assert mail.send(ANNE, "News", "There is news.")
        mail.settings.server = "127.0.0.1:1"
        mail.settings.sender = "camp@example.org"
        end_request()

        assert office.relay.wait()[0].sender == "shelter@example.org"

    def test_a_repaired_configuration_is_used_by_the_next_request(self, office):
        """ The thread, which goes on, sends with the configuration of the newest request """

        address, office.relay.address = office.relay.address, "127.0.0.1:1"
        visit(office, ANNE)
        assert eventually(lambda: office.state().status == "tripped")
        office.relay.address = address

        visit(office, BOB)

        assert {mail.recipients[0] for mail in office.relay.wait(2)} == {ANNE, BOB}

# =============================================================================
class TestThread:
    """ One thread for a site and process """

    def test_a_burst_has_one_thread_and_one_connection(self, office):
        """ Requests at the same time, and while the relay is slow, are served by one thread """

        are_over = Event()
        office.configure(reply_timeout=TIMEOUT_S)
        office.relay.hold("BODY", are_over.is_set)
        users = ["user%s@example.org" % number for number in range(6)]

        threads = [Thread(target=visit, args=(office, user)) for user in users]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(senders()) == 1
        are_over.set()

        assert sorted(mail.recipients[0] for mail in office.relay.wait(6)) == users
        assert eventually(lambda: is_settled(office))

    @pytest.mark.parametrize("uri", ["sqlite"], indirect=True)
    def test_a_thread_that_fails_tries_again(self, office, caplog):
        """ An error of the database is logged, and the mail goes out when it is over """

        mail = begin_request(office)
        assert mail.send(ANNE, "News", "There is news.")
        mail.db.executesql("ALTER TABLE mails3_channel RENAME TO away")
        end_request()
        assert eventually(lambda: "Mail can't be sent now" in caplog.text)

        office.db.executesql("ALTER TABLE away RENAME TO mails3_channel")
        office.db.commit()

        assert office.relay.wait()[0].recipients == [ANNE]

    @pytest.mark.parametrize("uri", ["sqlite"], indirect=True)
    def test_a_toolbar_finds_only_databases(self, office):
        """ web2py's toolbar lists the databases of a request that has queued a mail """

        mail = begin_request(office)
        assert mail.send(ANNE, "News", "There is news.")

        assert all("dbstats" in found for found in DAL.get_instances().values())
        end_request()
        assert office.relay.wait()

    @pytest.mark.parametrize("uri", ["sqlite"], indirect=True)
    def test_a_function_is_called_once_after_a_request(self, office):
        """ A function for the end of one request is not called after the next one """

        calls = []
        db = office.connection()
        assert after_request(lambda: calls.append(1))
        assert after_request(lambda: calls.append(2))
        db.commit()
        assert calls == []
        end_request()
        office.connection()
        end_request()

        assert calls == [1, 2]
        assert not after_request(lambda: calls.append(3))

# =============================================================================
class TestAtOnce:
    """ Where the thread can't do it, a mail is tried at once """

    @pytest.mark.parametrize("uri", ["sqlite"], indirect=True)
    def test_a_thread_of_the_app_waits_for_its_own_mail(self, office):
        """ A mail that is sent in a thread of the app has gone out when send() returns """

        mail = begin_request(office)
        thread = Thread(target=mail.send, args=(ANNE, "News", "There is news."))
        thread.start()
        thread.join()

        assert office.relay.mails[0].recipients == [ANNE]
        end_request()
        assert len(office.relay.mails) == 1

    @pytest.mark.parametrize("uri", ["sqlite"], indirect=True)
    def test_a_database_in_memory_is_known_to_its_request_only(self, office):
        """ A mail in a database that nobody else sees is tried at once """

        db = DAL("sqlite:memory", folder=FOLDER, migrate_enabled=False)
        define(db)
        create(db, TABLES)
        mail = begin_request(office, db)
        mail.channel().row.ensure()

        assert mail.send(ANNE, "News", "There is news.")

        assert office.relay.mails[0].recipients == [ANNE]
        assert db(db.msg_outbox).select().first().status == SENT
        end_request()

# END =========================================================================
