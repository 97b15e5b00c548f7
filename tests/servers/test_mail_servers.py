"""
    Delivery to Postfix, Exim and OpenSMTPD
"""

import re

from email import message_from_bytes
from email.policy import default

import pytest

from support.certificates import authority, certificate
from support.server_app import app_of, wanted
from support.site import eventually
from support.mail_servers import DOMAIN, USERS, Exim, OpenSMTPD, Postfix

from mails3.smtp.session import Session
from mails3.states import INVALID, SENT, UNSENT

SENDER, ANNE = "shelter@" + DOMAIN, "anne@" + DOMAIN

# -----------------------------------------------------------------------------
@pytest.fixture(params=[Postfix, Exim, OpenSMTPD])
def server(request):
    """ Each mail server in turn, not started yet """

    with wanted(request.param) as server:
        yield server

@pytest.fixture
def office(server, tmp_path):
    """ An app whose mail goes to that server """

    office = app_of(server, tmp_path)
    yield office
    office.close()

# -----------------------------------------------------------------------------
def own_certificate():
    """ A certificate for this machine: (chain, key) """

    made = certificate("127.0.0.1", by=authority())
    return made.chain, made.key

def addresses(users):
    """ The addresses of users """

    return ["%s@%s" % (user, DOMAIN) for user in users]

def statuses(office):
    """ What has become of each recipient: dict {user: status} """

    office.db.commit()
    return {row.address.partition("@")[0]: row.status
            for row in office.db(office.db.msg_outbox).select()}

def replies(office):
    """ The server's words about each recipient: dict {user: text} """

    office.db.commit()
    outbox, delivery = office.db.msg_outbox, office.db.mails3_delivery
    return {row.msg_outbox.address.partition("@")[0]: row.mails3_delivery.reply
            for row in office.db(delivery.outbox_id == outbox.id).select()}

def attempts(office):
    """ How many attempts deliveries have been charged with (set) """

    office.db.commit()
    return {row.attempts for row in office.db(office.db.mails3_delivery).select()}

# -----------------------------------------------------------------------------
def come_back(server, office):
    """
        The server is back, and all mail leaves with its first attempt: what is in
        doubt, because the server went away with its content, by the retry pass
    """

    server.run()
    office.later(400)
    office.drain()
    office.retry()

    assert set(statuses(office).values()) == {SENT}
    assert attempts(office) == {1}

# -----------------------------------------------------------------------------
def assert_waits_for_the_configuration(office):
    """ Probes trip the breaker over the configuration, and cost no mail an attempt """

    for _ in range(3):
        office.drain()
        office.later(40)

    state = office.state()
    assert (state.status, state.cause) == ("tripped", "configuration"), state.reason
    assert set(statuses(office).values()) == {UNSENT}
    assert attempts(office) == {0}

# =============================================================================
class TestDelivery:
    """ Mail arrives """

    def test_a_mail_arrives(self, server, office):
        """ A mail arrives once, in the mailbox of its recipient """

        server.run()
        anne = office.queue(ANNE)

        office.drain()

        assert office.status(anne) == SENT
        assert eventually(lambda: server.delivered("anne"), 10)
        message, = server.delivered("anne")
        assert message["Subject"] == "News"

    def test_a_long_subject_in_another_script_arrives(self, server, office):
        """ A long subject and a sender's name with a comma and an umlaut arrive unchanged """

        subject = "आश्रय में आपका स्वागत है। " * 30
        server.run()
        office.mail.settings.sender = '"Flüchtlingshilfe, Süd" <%s>' % SENDER
        assert office.mail.send("Zoë <%s>" % ANNE, subject, "There is news.")
        office.db.commit()

        office.drain()

        assert eventually(lambda: server.delivered("anne"), 10)
        message, = server.delivered("anne")
        read = message_from_bytes(message.as_bytes(), policy=default)
        assert read["Subject"].rstrip() == subject.rstrip()
        assert [(each.display_name, each.addr_spec) for each in
                (*read["From"].addresses, *read["To"].addresses)] == \
               [("Flüchtlingshilfe, Süd", SENDER), ("Zoë", ANNE)]

    def test_valid_addresses_on_a_list_get_their_mail(self, server, office):
        """
            Valid addresses get their mail although the list has more dead ones than the
            server's error limit
        """

        server.run()
        living = USERS[2:37]
        dead = ["dead%02d" % number for number in range(25)]
        # Some before, some among, some after the living
        office.queue(addresses(dead[:22] + living[:20] + dead[22:] + living[20:]))

        office.drain()

        found, words = statuses(office), replies(office)
        assert {found[user] for user in living} == {SENT}
        assert {found[user] for user in dead} == {INVALID}
        assert [user for user in dead if server.says_unknown not in words[user]] == []
        assert attempts(office) == {1}
        assert eventually(lambda: server.recipients() == sorted(living), 10)
        assert office.state().status == "closed"

    @pytest.mark.parametrize("server", [Postfix], indirect=True)
    def test_dead_addresses_in_a_row_hold_up_no_other_mail(self, server, office):
        """ Any number of messages to dead addresses delays no other mail """

        server.run()
        dead = ["dead%02d" % number for number in range(11)]
        office.queue(*addresses(dead + ["anne"]))

        office.drain()

        assert statuses(office) == dict(dict.fromkeys(dead, INVALID), anne=SENT)
        assert office.state().status == "closed"

    def test_a_restart_of_the_server_loses_nothing(self, server, office):
        """ Mail waits while the server is away, and each message arrives once """

        server.run()
        office.queue(*addresses(USERS[2:12]))
        office.drain()
        server.stop()
        office.queue(*addresses(USERS[12:22]))
        office.drain()
        assert office.state().status == "tripped"

        come_back(server, office)
        assert eventually(lambda: server.recipients() == USERS[2:22], 30), server.recipients()

    @pytest.mark.parametrize("server", [OpenSMTPD], indirect=True)
    def test_mail_beyond_a_sessions_limit_leaves_at_once(self, server, office):
        """ Recipients over OpenSMTPD's limit of a hundred in a session pay no attempt """

        server.run()
        office.queue(*addresses(USERS[2:62] + USERS[2:62]))

        office.drain(sessions=1)

        assert set(statuses(office).values()) == {SENT}
        assert attempts(office) == {1}
        assert eventually(lambda: server.recipients() == sorted(USERS[2:62] * 2), 30)

    @pytest.mark.parametrize("server", [OpenSMTPD], indirect=True)
    def test_a_servers_limit_of_a_session_is_learned(self, server, office, monkeypatch):
        """ What OpenSMTPD says after its hundred messages in a session is understood """

        server.run()
        office.queue(*addresses(USERS[2:62] + USERS[2:62]))
        office.configure(sessions=1)
        transport = office.mail.channel().transport()
        monkeypatch.setattr(Session, "MAX_MESSAGES", 1000)

        office.mail.channel().worker(transport=transport).drain()

        assert transport.max_messages == 100
        assert set(statuses(office).values()) == {SENT}
        assert attempts(office) == {1}
        assert office.state().status == "closed"

    @pytest.mark.parametrize("server", [Postfix, Exim], indirect=True)
    def test_a_server_that_takes_one_connection_gets_all_mail(self, server, office):
        """
            All mail leaves to a server that takes one connection, although more sessions are
            allowed
        """

        server.run(connections=1)
        # The connection by which it was found to be up is over
        assert eventually(server.is_listening)
        office.queue(*addresses(USERS[2:42]))

        office.drain(sessions=3)

        assert set(statuses(office).values()) == {SENT}
        assert attempts(office) == {1}
        assert office.state().status == "closed"

    def test_a_server_that_stops_in_the_middle_loses_nothing(self, server, office,
                                                             monkeypatch):
        """ Mail that the stopping server has not accepted leaves when the server is back """

        server.run()
        office.queue(*addresses(USERS[2:32]))
        commit = office.db.commit

        def commit_and_stop():
            commit()
            # The results of the first messages are written: the run goes on
            if server.process and not office.db(office.db.msg_outbox.status == SENT).isempty():
                server.stop()

        monkeypatch.setattr(office.db, "commit", commit_and_stop)
        office.drain()
        monkeypatch.undo()

        assert sorted(set(statuses(office).values())) == [UNSENT, SENT]
        assert office.state().status == "tripped"
        come_back(server, office)
        assert eventually(lambda: server.recipients() == USERS[2:32], 30), server.recipients()

# =============================================================================
class TestRefusal:
    """ A refusal concerns what the server's words say """

    def test_greylisted_mail_leaves_with_its_next_attempt(self, server, office):
        """
            Greylisted recipients get the mail at the next attempt, the others on the list get
            it at once
        """

        server.run(greylists=True)
        known, new = USERS[2:5], USERS[5:9]
        for user in known:
            (server.folder / "known" / user).touch()
        office.queue(addresses(new[:3] + known[:2]))
        office.queue(*addresses([new[3], known[2]]))

        office.drain()

        found = statuses(office)
        assert {found[user] for user in known} == {SENT}
        assert {found[user] for user in new} == {UNSENT}
        assert office.state().status == "closed"

        office.later(400)
        office.retry()

        assert set(statuses(office).values()) == {SENT}
        assert attempts(office) == {1, 2}
        assert eventually(lambda: server.recipients() == known + new, 10)

    def test_a_server_that_defers_everything_loses_nothing(self, server, office):
        """ Mail that is deferred as a whole is sent when it is tried again """

        server.run(defers=True)
        office.queue(*addresses(USERS[2:32]))
        for _ in range(3):
            office.drain()
            office.later(40)
        assert set(statuses(office).values()) == {UNSENT}

        server.stop()
        server.run(defers=False)
        for _ in range(3):
            office.later(20000)
            office.drain()
            office.retry()

        assert set(statuses(office).values()) == {SENT}
        assert eventually(lambda: server.recipients() == USERS[2:32], 10)

    def test_a_refused_sender_rejects_little(self, server, office):
        """
            A refused sender is an incident of the site where the server's words say so, and
            mail leaves after the repair
        """

        server.run(refuses_sender=SENDER)
        office.queue(*addresses(USERS[2:32]))

        for _ in range(3):
            office.drain()
            office.later(40)

        found = list(statuses(office).values())
        assert office.state().status == "tripped"
        if not isinstance(server, OpenSMTPD):
            # OpenSMTPD says no more than "Invalid recipient", to each of them
            assert set(found) == {UNSENT}
            assert attempts(office) == {0}
        else:
            assert found.count(INVALID) <= 15
        server.stop()
        server.run(refuses_sender=None)
        office.later(400)
        office.drain()

        assert statuses(office) == {user: SENT if status == UNSENT else status
                                    for user, status in zip(USERS[2:32], found)}

    def test_a_refused_login_is_tried_once(self, server, office):
        """
            A refused login is tried once, and all mail leaves when no login is required any
            more
        """

        server.run(asks_for_login=True, certificate=own_certificate())
        settings = office.mail.settings
        settings.login, settings.tls = "shelter:not-the-password", True
        office.queue(*addresses(USERS[2:7]))

        for _ in range(3):
            office.drain()
            office.later(400)

        state = office.state()
        # No login is sent over a line that can't be encrypted
        assert (state.status, state.login_refused) == ("tripped", server.speaks_tls), state.reason
        assert server.refused_logins() == int(server.speaks_tls)
        assert "not-the-password" not in state.reason
        server.stop()
        server.run(asks_for_login=False)
        settings.login, settings.tls = None, server.speaks_tls
        office.drain()
        assert set(statuses(office).values()) == {SENT}

    def test_mail_waits_while_the_login_is_missing(self, server, office):
        """ Mail waits without an attempt while a required login is missing """

        server.run(asks_for_login=True, certificate=own_certificate())
        office.queue(*addresses(USERS[2:22]))

        assert_waits_for_the_configuration(office)
        server.stop()
        server.run(asks_for_login=False)
        office.later(400)
        office.drain()
        assert set(statuses(office).values()) == {SENT}

    def test_a_message_that_is_too_large_holds_up_no_other(self, server, office):
        """ A message that is too large is rejected, at whatever point the server says so """

        server.run(size=60000)
        office.queue(ANNE)
        assert office.mail.send("live00@" + DOMAIN, "Large", "There is news.\n" * 5000)
        office.queue(*addresses(USERS[3:6]))

        office.drain()

        found = statuses(office)
        assert found.pop("live00") == INVALID
        assert re.search("too big|size exceeds", replies(office)["live00"])
        assert set(found.values()) == {SENT}
        assert office.state().status == "closed"

    def test_an_address_that_is_not_relayed_to_holds_up_no_other(self, server, office):
        """
            Other mail waits for one probe at most, although two messages to such an address
            come first
        """

        server.run()
        here = USERS[2:8]
        office.queue(*["%s@elsewhere.example" % user for user in ("bob", "eve")])
        office.queue(*addresses(here))

        office.drain()
        office.later(40)
        office.drain()

        found = statuses(office)
        assert {found[user] for user in here} == {SENT}
        assert SENT not in (found["bob"], found["eve"])
        # Nor does what is left of them later on
        anne = office.queue(ANNE)
        office.later(400)
        office.drain()
        assert office.status(anne) == SENT

    @pytest.mark.parametrize("server", [Postfix, Exim], indirect=True)
    def test_mail_waits_while_the_server_relays_nothing(self, server, office):
        """
            Mail waits without an attempt while the server relays nothing, whether it answers
            4xx or 5xx
        """

        server.run()
        office.queue(*["user%02d@elsewhere.example" % number for number in range(20)])

        assert_waits_for_the_configuration(office)

# END =========================================================================
