"""
    Without a worker, what Eden queues in a request goes out after the request (on
    the stand-in for Eden)
"""

import threading

from threading import Event

import pytest

from gluon import current
from pydal.connection import ConnectionPool

from support.site import eventually

from mails3.delivery.breaker import CLOSED
from mails3.service import web_sender
from mails3.service.web_sender import WebSender
from mails3.states import SENT, UNSENT

from .fake_gateway import FakeGateway

ANNE, PHONE, NUMBER = "anne@example.org", "+49 170 1234567", "491701234567"

# -----------------------------------------------------------------------------
@pytest.fixture
def web(branch, monkeypatch):
    """ A visitor's request in an Eden without a worker; the thread ends with the test """

    monkeypatch.setattr(web_sender, "LINGER_S", 0.5)
    branch.eden.settings["mail"].update(fallback=True, fallback_timeout=1)
    branch.request(request_method="POST")
    yield branch
    for thread in threading.enumerate():
        if isinstance(thread, WebSender):
            thread.join()

# -----------------------------------------------------------------------------
def end_request(branch, action="commit"):
    """ The last thing that web2py does with the databases of a request; the next one begins """

    ConnectionPool.close_all_instances(action)
    branch.db = None
    branch.request()

# =============================================================================
class TestAfterTheRequest:
    """ The thread works with the request's own Eden """

    def test_mail_to_a_group_goes_out_after_the_request(self, web):
        """ The members of a group get their mail when the request is over, and has not waited """

        is_over = Event()
        web.relay.hold("CONNECT", is_over.is_set)
        group = web.group("anne@example.org", "bob@example.org")

        assert web.msg.send_by_pe_id(group, "News", "There is news.")
        assert web.relay.connections == 0
        end_request(web)
        is_over.set()

        web.relay.wait(2)
        assert web.addresses() == ["anne@example.org", "bob@example.org"]
        assert eventually(lambda: set(web.statuses()) == {SENT})

    def test_what_eden_has_undone_is_not_sent(self, web):
        """ A message of a request that was rolled back goes to nobody """

        anne = web.person(ANNE)["pe_id"]
        web.db.commit()
        assert web.msg.send_by_pe_id(anne, "Never", "There is no news.")
        assert web.mail.send(ANNE, "Never", "There is no news.")
        end_request(web, "rollback")

        web.request(request_method="POST")
        assert web.msg.send_by_pe_id(anne, "News", "There is news.")
        end_request(web)

        assert web.relay.wait()[0].subject == "News"
        assert eventually(lambda: web.statuses() == [SENT])
        assert len(web.relay.mails) == 1

    def test_the_daily_limit_holds_in_the_thread(self, web):
        """ Mail over Eden's daily limit waits """

        web.eden.settings["mail"].update(limit=1)
        web.db.commit()
        web.request(request_method="POST")
        for number in range(2):
            assert web.mail.send(ANNE, "News %s" % number, "There is news.")
        end_request(web)

        assert eventually(lambda: SENT in web.statuses())
        # The thread does not wait for the next day
        assert eventually(lambda: not any(isinstance(thread, WebSender)
                                          for thread in threading.enumerate()))
        assert sorted(row[:2] for row in web.outbox()) == [(UNSENT, 0), (SENT, 1)]
        assert len(web.relay.mails) == 1
        assert web.state().status == CLOSED

    @pytest.mark.parametrize("kind", ["web API", "mail"])
    def test_a_text_goes_out_after_the_request(self, web, kind):
        """ An SMS is handed over by Eden's own method when the request is over """

        anne = web.person()
        web.contact(anne, PHONE, contact_method="SMS")
        with FakeGateway() as gateway:
            table, values = {"web API": ("msg_sms_webapi_channel",
                                         {"url": gateway.url, "parameters": "user=anne"}),
                             "mail": ("msg_sms_smtp_channel", {"address": "sms.example.org"}),
                             }[kind]
            channel = web.insert(table, **values)
            web.insert("msg_sms_outbound_gateway", channel_id=channel["channel_id"])

            web.msg.send_by_pe_id(anne["pe_id"], message="Water is coming",
                                  contact_method="SMS")
            assert (gateway.texts, web.relay.mails) == ([], [])
            end_request(web)

            assert eventually(lambda: web.statuses() == [SENT])
            if kind == "mail":
                assert web.addresses() == ["%s@sms.example.org" % NUMBER]
            else:
                assert gateway.texts == [(NUMBER, "Water is coming")]

    def test_the_thread_leaves_the_globals_of_other_requests_alone(self, web):
        """ The next request has its own globals while the thread sends """

        is_seen = Event()
        web.relay.hold("CONNECT", is_seen.is_set)
        assert web.mail.send(ANNE, "News", "There is news.")
        end_request(web)
        assert eventually(lambda: web.relay.connections)

        assert current.mail is web.mail and current.db is web.db
        is_seen.set()
        assert web.relay.wait()

# END =========================================================================
