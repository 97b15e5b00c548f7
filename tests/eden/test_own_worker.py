"""
    The worker of our own, the verb work, sends all that a real Eden has to send
"""

import signal

import pytest

from support.fake_relay import FakeRelay
from support.site import eventually

from mails3.states import SENT

from .fake_gateway import FakeGateway
from .test_channels import NUMBER, PERSON, by_web_api, text

# -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def station(eden, engine):
    """ A site with MailS3, with a person, and nobody at work """

    with eden.site(engine) as site:
        site.configure(mail = {"server": "127.0.0.1:1", "tls": False, "fallback": False,
                               "sender": "Shelter <shelter@example.org>"})
        site.install()
        site.pe_id = int(site.shell(PERSON))
        yield site

@pytest.fixture
def site(station, relay):
    """ That site, its mail going to the relay, and a worker of our own """

    station.configure(mail={"server": relay.address})
    worker = station.work_alone()
    assert eventually(lambda: processes(station)), errors(station)
    yield station
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    station.processes.remove(worker)
    worker.stdin.close()
    for table in ("mails3_delivery", "mails3_message", "msg_outbox", "msg_sms_outbound_gateway"):
        station.sql("DELETE FROM %s" % table)

@pytest.fixture
def gateway():
    """ A web API that takes texts """

    with FakeGateway() as gateway:
        yield gateway

# -----------------------------------------------------------------------------
def processes(site):
    """ The numbers of the worker's processes """

    return [row[0] for row in site.sql("SELECT process_id FROM mails3_worker")]

def errors(site):
    """ What the processes of the worker have said """

    return "".join(path.read_text() for path in sorted(site.logs.glob("mails3-*.err")))

def statuses(site):
    """ What has become of all that was queued """

    return [row[0] for row in site.sql("SELECT status FROM msg_outbox ORDER BY id")]

# =============================================================================
class TestOwnWorker:
    """ Nothing else is at work: no scheduler, no request of a visitor """

    def test_all_ways_of_eden_go_by_it(self, site, relay, gateway):
        """
            A mail of current.mail.send(), one of msg.send_by_pe_id() and a text by a web API
            are sent by the worker alone
        """

        site.shell(by_web_api(gateway) + text(site, "Water is coming") +
                   "current.mail.send('bob@example.org', 'Hello', 'There is news.')\n"
                   "msg.send_by_pe_id(%s, 'News', 'There is news.')" % site.pe_id)

        relay.wait(2)
        assert eventually(lambda: gateway.texts) == [(NUMBER, "Water is coming")]
        addresses = sorted(mail.recipients[0] for mail in relay.mails)
        assert addresses == ["anne@example.org", "bob@example.org"]
        assert eventually(lambda: statuses(site) == [SENT] * 3), statuses(site)

    def test_texts_do_not_wait_for_mail(self, site, relay, gateway):
        """ A text is sent while the relay is slow with a mail """

        site.shell(by_web_api(gateway))
        relay.hold("BODY", lambda: gateway.texts)
        site.shell("current.mail.send('bob@example.org', 'Hello', 'There is news.')")
        assert eventually(lambda: any(verb == "DATA" for _, verb, _ in relay.commands))

        site.shell(text(site, "Water is coming"))

        relay.wait(1)
        assert gateway.texts == [(NUMBER, "Water is coming")]

    def test_mail_does_not_wait_for_texts(self, site, relay, gateway):
        """ A mail is sent while a gateway does not answer """

        gateway.status = None
        site.shell(by_web_api(gateway) + text(site, "Water is coming"))
        assert eventually(lambda: gateway.asked)

        site.shell("current.mail.send('bob@example.org', 'Hello', 'There is news.')")

        relay.wait(1)
        assert gateway.texts == []

    def test_changed_settings_are_used(self, site, relay):
        """ Settings that are changed in 000_config.py have mail go to the new server """

        before = processes(site)
        with FakeRelay() as other:
            site.configure(mail={"server": other.address})
            assert eventually(lambda: processes(site) and
                              not set(before).intersection(processes(site))), errors(site)

            site.shell("current.mail.send('bob@example.org', 'Hello', 'There is news.')")

            assert len(other.wait()) == 1
        assert relay.connections == 0

# END =========================================================================
