"""
    Texts and the daily limit in a real Eden
"""

import pytest

from support.site import eventually

from .fake_gateway import FakeGateway

PHONE = "+49 170 1234567"
NUMBER = "491701234567"

TASK = "SELECT status, times_failed FROM scheduler_task WHERE function_name = '%s'"

# A person with a phone and an address
PERSON = """
table = s3db.pr_person
record = {"id": table.insert(first_name="Anne", last_name="Example")}
s3db.update_super(table, record)
s3db.pr_contact.insert(pe_id=record["pe_id"], contact_method="SMS", value="%s")
s3db.pr_contact.insert(pe_id=record["pe_id"], contact_method="EMAIL", value="anne@example.org")
print(record["pe_id"])
""" % PHONE

GATEWAY = """
for gateway in db(s3db.msg_sms_outbound_gateway).select():
    gateway.delete_record()
table = s3db["%s"]
record = {"id": table.insert(**%r)}
s3db.update_super(table, record)
s3db.msg_sms_outbound_gateway.insert(channel_id=record["channel_id"])
"""

# =============================================================================
@pytest.fixture(scope="module")
def station(eden, engine):
    """ A site with MailS3, not served; what fails may be tried again at once """

    with eden.site(engine) as site:
        site.configure(mail = {"server": "127.0.0.1:1",
                               "tls": False,
                               "sender": "Shelter <shelter@example.org>",
                               "fallback": False,
                               "retry_interval": 0,
                               "shortest_wait": 1,
                               "drain_interval": 5,
                               })
        site.install()
        site.pe_id = int(site.shell(PERSON))
        yield site

@pytest.fixture
def site(station):
    """ That site, with nothing queued, and no gateway """

    yield station
    for table in ("mails3_delivery", "mails3_message", "msg_outbox", "msg_channel_limit",
                  "msg_sms_outbound_gateway"):
        station.sql("DELETE FROM %s" % table)
    station.sql("UPDATE mails3_channel SET status = 'closed'")

@pytest.fixture
def gateway():
    """ A web API that takes texts """

    with FakeGateway() as gateway:
        yield gateway

# -----------------------------------------------------------------------------
def by_web_api(gateway):
    """ What an admin does to have texts sent by a web API (code) """

    return GATEWAY % ("msg_sms_webapi_channel",
                      {"url": gateway.url, "parameters": "user=anne",
                       "message_variable": "text", "to_variable": "to"})

def by_smtp():
    """ What an admin does to have texts sent by mail (code) """

    return GATEWAY % ("msg_sms_smtp_channel", {"address": "sms.example.org"})

def text(site, words):
    """ What Eden does to send a text (code) """

    return "msg.send_by_pe_id(%s, message=%r, contact_method='SMS')\n" % (site.pe_id, words)

SEND = "db.commit()\nmail.send_channels()\n"

def outbox(site):
    """ The deliveries: list of (status, attempts, reply) """

    return site.sql("SELECT o.status, d.attempts, d.reply FROM msg_outbox o"
                    " LEFT JOIN mails3_delivery d ON d.outbox_id = o.id ORDER BY o.id")

def channel(site, channel=""):
    """ The state of a channel's relay: tuple (status, reason) """

    row, = site.sql("SELECT status, reason FROM mails3_channel WHERE site = '%s'"
                    % (site.app + channel))
    return row

# =============================================================================
class TestTexts:
    """ SMS: new texts go at once, deferred ones in the retry pass """

    def test_a_worker_sends_texts_when_a_gateway_is_there(self, site, gateway):
        """
            Tasks live and the text waits without a gateway, and the worker sends it when there
            is one
        """

        site.shell(text(site, "Water is coming"))
        worker = site.work()

        assert eventually(lambda: channel(site, " SMS")[0] == "tripped")
        assert channel(site, " SMS")[1] == "No SMS gateway configured"
        assert outbox(site) == [(1, 0, None)]

        site.shell(by_web_api(gateway))
        assert eventually(lambda: outbox(site) == [(2, 1, None)])
        assert gateway.texts == [(NUMBER, "Water is coming")]
        ours, stock = site.sql(TASK % "mails3_channels"), site.sql(TASK % "msg_process_outbox")
        assert all(status not in ("FAILED", "TIMEOUT") and not failed
                   for status, failed in ours + stock)
        site.stop(worker)

    def test_a_refused_text_is_tried_again(self, site, gateway):
        """ A refused text holds up no other, and leaves when the gateway has recovered """

        gateway.status = 500
        site.shell(by_web_api(gateway) + text(site, "first") + SEND)
        status, attempts, reply = outbox(site)[0]
        assert (status, attempts) == (1, 1)
        assert reply == "The SMS gateway says 500 Internal Server Error"
        assert channel(site, " SMS")[0] == "closed"

        gateway.status = 200
        site.shell(text(site, "second") + SEND)

        assert sorted(words for _, words in gateway.texts) == ["first", "second"]
        assert [status for status, *_ in outbox(site)] == [2, 2]

    def test_a_gateway_that_is_away_costs_no_attempt(self, site, gateway):
        """ Texts wait without an attempt while the gateway is away """

        gateway.stop()
        site.shell(by_web_api(gateway) + text(site, "first") + text(site, "second") + SEND)
        assert channel(site, " SMS")[0] == "tripped"
        assert [row[:2] for row in outbox(site)] == [(1, 0), (1, 0)]

        gateway.start()
        site.sql("UPDATE mails3_channel SET probe_on = tripped_on")
        site.shell(SEND)

        assert sorted(words for _, words in gateway.texts) == ["first", "second"]
        assert channel(site, " SMS")[0] == "closed"

    def test_a_silent_gateway_blocks_no_worker(self, site, gateway):
        """ A worker waits for a silent gateway only until the time-out """

        gateway.status = None
        site.configure(mail={"reply_timeout": 1})
        site.shell(by_web_api(gateway) + text(site, "first") + text(site, "second") +
                   text(site, "third") + SEND)
        site.configure(mail={"reply_timeout": 60})

        # One text may have been to blame, two were not
        assert len(gateway.asked) == 2
        assert channel(site, " SMS")[0] == "tripped"
        assert [row[:2] for row in outbox(site)] == 3 * [(1, 0)]

    def test_texts_by_mail_wait_for_the_mail_server(self, site, relay):
        """ Texts of Eden's SMS-via-SMTP wait while the mail server is away """

        site.shell(by_smtp() + text(site, "first") + SEND)
        assert channel(site, " SMS")[0] == "tripped"
        assert outbox(site)[0][:2] == (1, 0)

        site.configure(mail={"server": relay.address})
        site.sql("UPDATE mails3_channel SET probe_on = tripped_on")
        relay.answer("RCPT", "451 4.3.0 Later", times=1)
        site.shell(SEND)
        assert outbox(site)[0][:2] == (1, 1)
        site.shell("import time; time.sleep(1.2)\n" + SEND)

        mail, = relay.mails
        assert mail.recipients == [NUMBER + "@sms.example.org"]
        assert mail.message.get_payload(decode=True).decode().strip() == "first"
        assert [status for status, *_ in outbox(site)] == [2]
        site.configure(mail={"server": "127.0.0.1:1"})

# =============================================================================
class TestDailyLimit:
    """ Eden's settings.mail.limit """

    def test_mail_over_the_limit_waits_for_the_next_day(self, site, relay):
        """ Mail over the limit waits without an attempt until there is room again """

        site.configure(mail={"server": relay.address, "limit": 3})
        letter = "msg.send_by_pe_id(%s, 'News', 'There is news')\n" % site.pe_id
        drain = "db.commit()\nmail.drain()\n"

        site.shell(by_smtp() + text(site, "by mail") + SEND + 4 * letter + drain + letter +
                   "assert mail.send('bob@example.org', 'News', 'There is news')\n" + drain)

        assert len(relay.mails) == 3
        states = sorted(row[:2] for row in outbox(site))
        assert states == [(1, 0)] * 4 + [(2, 1)] * 3
        assert channel(site)[0] == "closed"
        assert site.sql("SELECT COUNT(*) FROM msg_channel_limit") == [(3,)]

        # A day later
        site.sql("DELETE FROM msg_channel_limit")
        site.shell(drain)
        assert len(relay.mails) == 6
        site.configure(mail={"limit": None})
        site.shell(drain)
        assert len(relay.mails) == 7
        assert {row[:2] for row in outbox(site)} == {(2, 1)}
        site.configure(mail={"server": "127.0.0.1:1"})

# =============================================================================
class TestUnconfigured:
    """ A site without a sender """

    def test_eden_queues_before_there_is_a_sender(self, site, relay):
        """
            msg.send_email takes mail without a configured sender, and the mail leaves when
            there is one
        """

        site.configure(mail={"server": relay.address, "sender": None})
        site.shell("assert msg.send_email('anne@example.org', 'News', 'There is news')\n"
                   "db.commit()\nmail.drain()")
        assert outbox(site) == [(1, 0, None)]
        assert channel(site) == ("tripped", "No sender configured")

        site.configure(mail={"sender": "Shelter <shelter@example.org>"})
        site.shell("mail.drain()")

        assert [mail.recipients for mail in relay.mails] == [["anne@example.org"]]
        site.configure(mail={"server": "127.0.0.1:1"})

# END =========================================================================
