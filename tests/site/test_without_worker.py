"""
    A running site without a worker: its web server sends after the request
"""

import shutil

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from mechanicalsoup import StatefulBrowser

from support.databases import SERVERS, make_database, on_server
from support.fake_relay import FakeRelay
from support.shelter import Shelter
from support.site import eventually

from mails3.states import SENT, UNSENT

NO_WORKER = "No worker is alive"
LONG_AGO = "__import__('datetime').datetime(2020, 1, 1)"

# How many threads of ours the web server has
THREADS = """
def index():
    import threading
    return str(sum(type(each).__name__ == "WebSender" for each in threading.enumerate()))
"""

# -----------------------------------------------------------------------------
@pytest.fixture
def shelter(tmp_path):
    """ A site on which MailS3 is about to be installed, on SQLite """

    with Shelter(tmp_path / "site") as shelter:
        yield shelter.create()

@pytest.fixture(params=["sqlite", "postgres", "mysql"])
def any_shelter(request, databases, tmp_path):
    """ The same on each engine in turn """

    uri = "sqlite://storage.sqlite"
    if request.param != "sqlite":
        databases(request.param) # skips where there is no server
        uri = make_database(SERVERS[request.param])
    with Shelter(tmp_path / "site", uri=uri) as shelter:
        yield shelter.create()
    if request.param != "sqlite":
        on_server(SERVERS[request.param], "DROP DATABASE %s" % uri.rpartition("/")[2])

# -----------------------------------------------------------------------------
def threads(shelter):
    """ How many threads of ours the web server has """

    return int(StatefulBrowser().get(shelter.url + "/threads/index").text)

# =============================================================================
class TestWithoutWorker:
    """ The site works without a worker """

    def test_a_visitor_does_not_wait_for_the_relay(self, any_shelter, relay):
        """ The response is there before the relay has answered; then the mail goes out """

        is_there = Event()
        relay.hold("CONNECT", is_there.is_set)
        any_shelter.open(relay)

        assert any_shelter.accepts(3)
        assert relay.mails == []
        is_there.set()

        assert len(relay.wait(3)) == 3
        assert eventually(lambda: any_shelter.mails() == [SENT] * 3)
        assert any_shelter.tickets() == []
        assert any_shelter.told(NO_WORKER + ": the web server sends a new mail after") == 1

    def test_a_request_that_fails_sends_nothing(self, any_shelter, relay):
        """ The mail of a request that fails after send() never goes out """

        any_shelter.open(relay)

        assert any_shelter.post(action="boom").status_code == 500
        assert any_shelter.accepts()

        assert relay.wait()[0].subject == "News 0"
        assert eventually(lambda: any_shelter.mails() == [SENT])
        assert len(relay.mails) == 1

    def test_a_burst_of_visitors_has_one_sender(self, shelter, relay):
        """ Many visitors at the same time are served by one thread and few connections """

        are_served = Event()
        relay.hold("CONNECT", are_served.is_set)
        (shelter.app_path / "controllers" / "threads.py").write_text(THREADS)
        shelter.open(relay)
        assert threads(shelter) == 0

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(lambda _: shelter.accepts(), range(24)))
        assert threads(shelter) == 1
        are_served.set()

        assert len(relay.wait(24)) == 24
        assert eventually(lambda: shelter.mails() == [SENT] * 24)
        # As the setting sessions has it
        assert relay.connections <= 3
        assert shelter.tickets() == []

    def test_a_script_tries_its_mail_at_once(self, shelter, relay):
        """ Where no process stays, as in the shell, a mail has been tried when send() returns """

        shelter.open(relay)

        told = shelter.shell("mail.send('anne@example.org', 'News', 'There is news.')\n"
                             "print(db(db.msg_outbox).select().first().status)")

        assert (told, len(relay.mails)) == ("%s\n" % SENT, 1)

    def test_a_relay_that_is_away_is_asked_again_with_a_new_mail(self, shelter, relay):
        """ After an outage all waiting mail goes out with the next mail """

        shelter.open(relay)
        relay.stop()
        assert shelter.accepts(20)
        assert eventually(lambda: shelter.told("Sending is suspended"))
        assert shelter.mails() == [UNSENT] * 20

        relay.start()
        # Time passes: the relay may be tried again
        shelter.shell("db(db.mails3_channel).update(probe_on=%s)" % LONG_AGO)
        assert shelter.accepts()

        assert len(relay.wait(21)) == 21

    def test_an_admin_has_mail_sent_by_a_verb(self, shelter, relay):
        """ A mail that an admin requeues on the page goes out although no worker is there """

        shelter.open(relay)
        shelter.shell("group = auth.add_group('admin')\n"
                      "number = db.auth_user.insert(email='admin@example.org',\n"
                      "    password=db.auth_user.password.validate('secret')[0])\n"
                      "auth.add_membership(group, number)\n")
        relay.answer("RCPT", "550 5.1.1 No such user", times=1)
        assert shelter.accepts()
        assert eventually(lambda: shelter.mails() not in ([UNSENT], []))
        browser = StatefulBrowser(raise_on_404=True)
        browser.open(shelter.url + "/default/user/login")
        browser.select_form("form[enctype]")
        browser["email"], browser["password"] = "admin@example.org", "secret"
        browser.submit_selected()

        browser.open(shelter.url + "/mails3/show/1")
        browser.select_form("form:has([value=requeue])")
        browser.submit_selected()

        assert relay.wait()[0].recipients == ["anne@example.org"]

# =============================================================================
def test_each_app_of_a_server_has_its_own_sender(shelter, relay):
    """ Two apps in one web server send by their own mail servers """

    shelter.open(relay)
    other = shelter.app_path.with_name("camp")
    shutil.copytree(shelter.app_path, other)
    config = other / "private" / "appconfig.ini"
    with FakeRelay() as others_relay:
        config.write_text(config.read_text().replace(relay.address, others_relay.address))
        assert shelter.accepts()
        shelter.url = shelter.url.replace("/shelter", "/camp")
        assert shelter.accepts(2)

        assert (len(relay.wait()), len(others_relay.wait(2))) == (1, 2)
    assert eventually(lambda: shelter.mails() == [SENT])

# END =========================================================================
