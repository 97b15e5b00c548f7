"""
    Limits of Postfix, Exim and OpenSMTPD for their clients
"""

import threading

import pytest

from support.mail_servers import DOMAIN, USERS, Exim, OpenSMTPD, Postfix
from support.server_app import app_of, wanted
from support.simulated_site import enter_app
from support.site import eventually

from mails3.delivery.limits import Limits
from mails3.states import SENT

# Exim delivers each message at once, also after ten in a session
AT_ONCE = {"smtp_accept_queue_per_connection": 0}

# -----------------------------------------------------------------------------
@pytest.fixture
def server(request):
    """ The mail server that a test names, not started yet """

    with wanted(request.param) as server:
        yield server

@pytest.fixture
def office(server, tmp_path):
    """ An app whose mail goes to that server, and is queued already """

    office = app_of(server, tmp_path)
    office.queue(*["%s@%s" % (user, DOMAIN) for user in USERS[2:42]])
    yield office
    office.close()

# -----------------------------------------------------------------------------
def drained(server, office, workers=1):
    """
        Let workers send all mail by their first attempt, without an incident

        Returns:
            the Pace that was learned
    """

    assert eventually(server.is_listening)
    threads = [threading.Thread(target=drain, args=(office,)) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    office.db.commit()
    rows = office.db(office.db.mails3_delivery.outbox_id == office.db.msg_outbox.id).select()
    assert {(row.msg_outbox.status, row.mails3_delivery.attempts) for row in rows} == {(SENT, 1)}
    assert eventually(lambda: server.recipients() == USERS[2:42], 10)
    state = office.state()
    assert (state.status, state.reason) == ("closed", None)
    return Limits([], False, state.pace).pace

def drain(office):
    """ A drain by a worker of its own (a thread) """

    enter_app()
    db = office.connection()
    mail = office.mailer(db)
    mail.settings.timeout = 5
    mail.drain()
    db.close()

# =============================================================================
class TestLimits:
    """ A limit is no incident: all mail arrives, and no attempt is counted for it """

    @pytest.mark.parametrize("server", [Postfix], indirect=True)
    @pytest.mark.parametrize("limit", ["message", "recipient"])
    def test_postfix_limits_the_rate(self, server, office, limit):
        """ The pace is learned when Postfix says that there is too much mail """

        server.run(settings={"smtpd_client_%s_rate_limit" % limit: 25,
                             "anvil_rate_time_unit": "2s"})

        assert drained(server, office).rate

    @pytest.mark.parametrize("server", [Exim], indirect=True)
    def test_exim_limits_the_rate(self, server, office):
        """ The pace is learned when Exim's ratelimit defers a recipient """

        server.run(settings=AT_ONCE, checks=["defer message = Sender rate overlimit\n"
                                             "  ratelimit = 25 / 2s / per_mail"])

        assert drained(server, office).rate

    @pytest.mark.parametrize("server, workers", [(Postfix, 1), (Postfix, 3), (Exim, 1)],
                             indirect=["server"])
    def test_few_connections_are_enough(self, server, office, workers):
        """ With two connections at a time, the number of sessions is learned, and no pace """

        server.run(connections=2, settings=AT_ONCE if isinstance(server, Exim) else {})

        pace = drained(server, office, workers)

        assert 1 <= pace.max_sessions <= 2
        assert pace.rate is None

    @pytest.mark.parametrize("server", [Postfix], indirect=True)
    def test_postfix_limits_new_connections(self, server, office):
        """ Sessions that Postfix opens no more of in this minute are not missed """

        server.run(settings={"smtpd_client_connection_rate_limit": 4})

        pace = drained(server, office)

        assert pace.max_sessions < 4
        assert pace.rate is None

    @pytest.mark.parametrize("server, setting", [(Exim, "smtp_accept_max_per_connection"),
                                                 (OpenSMTPD, "limit max-mails")],
                             indirect=["server"])
    def test_a_session_takes_few_messages(self, server, setting, office):
        """ How many messages a session takes is learned, and the next session takes the others """

        server.run(settings={setting: 7})

        pace = drained(server, office)

        assert pace.messages_per_session == 7
        assert pace.rate is None

# END =========================================================================
