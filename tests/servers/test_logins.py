"""
    The login to Postfix with Dovecot, by each mechanism
"""

import pytest

from support.dovecot import PASSWORD, USER, Submission
from support.mail_servers import DOMAIN
from support.server_app import app_of, wanted
from support.site import eventually
from support.token_endpoint import CLIENT, SECRET, TokenEndpoint, secret_file

from mails3.states import SENT, UNSENT

ANNE = "anne@" + DOMAIN

# -----------------------------------------------------------------------------
@pytest.fixture
def server():
    """ Postfix with Dovecot, not started yet """

    with wanted(Submission) as server:
        yield server

@pytest.fixture
def office(server, tmp_path):
    """ An app whose mail goes there """

    office = app_of(server, tmp_path)
    office.mail.settings.login = "%s:%s" % (USER, PASSWORD)
    yield office
    office.close()

# -----------------------------------------------------------------------------
@pytest.fixture
def tokens(office, tmp_path):
    """ The endpoint for the tokens of the app, which are as long as Microsoft's """

    with TokenEndpoint(long_token=True) as endpoint:
        office.mail.settings.login = USER
        office.configure(oauth="other", oauth_client_id=CLIENT,
                         oauth_token_url=endpoint.token_url,
                         oauth_client_secret_file=secret_file(tmp_path, "secret", SECRET))
        yield endpoint

# -----------------------------------------------------------------------------
def used(server):
    """ The mechanisms by which mail has come, as Postfix logs them (set) """

    return {line.rpartition("sasl_method=")[2].partition(",")[0]
            for line in server.log().splitlines() if "sasl_method=" in line}

# =============================================================================
class TestPassword:
    """ A login by password """

    @pytest.mark.parametrize("offered, mechanism", [
        ("plain login cram-md5 scram-sha-256", "SCRAM-SHA-256"), ("scram-sha-256",) * 2,
        ("plain login cram-md5", "CRAM-MD5"), ("plain login", "PLAIN"), ("login", "LOGIN")])
    def test_a_mail_arrives(self, server, office, offered, mechanism):
        """ A mail arrives after a login by the strongest mechanism that is offered """

        server.run(mechanisms=offered)
        anne = office.queue(ANNE)

        office.drain()

        assert office.status(anne) == SENT, office.state().reason
        assert eventually(lambda: server.delivered("anne"), 10)
        assert used(server) == {mechanism.upper()}

    @pytest.mark.parametrize("offered", ["plain cram-md5", "plain scram-sha-256",
                                         "plain login cram-md5 scram-sha-256"])
    def test_a_mechanism_without_secrets_is_passed_over(self, server, office, offered):
        """ Where the password is stored as a hash, the login is by PLAIN """

        server.run(mechanisms=offered, scheme="SHA512-CRYPT")
        anne = office.queue(ANNE)

        office.drain()

        assert office.status(anne) == SENT, office.state().reason
        assert used(server) == {"PLAIN"}

    @pytest.mark.parametrize("mechanism", ["scram-sha-256", "cram-md5", "plain", "login"])
    def test_a_wrong_password_is_used_once(self, server, office, mechanism):
        """ A refused login suspends sending and is not tried again """

        server.run(mechanisms=mechanism)
        office.mail.settings.login = USER + ":wrong"
        anne = office.queue(ANNE)
        for _ in range(3):
            office.drain()
            office.later(4000)

        assert office.status(anne) == UNSENT
        assert office.state().login_refused
        assert server.refused_logins() == 1

# =============================================================================
class TestToken:
    """ A login by token """

    @pytest.mark.parametrize("offered, mechanism", [
        ("plain xoauth2", "XOAUTH2"), ("plain oauthbearer", "OAUTHBEARER"),
        ("plain xoauth2 oauthbearer scram-sha-256", "OAUTHBEARER")])
    @pytest.mark.parametrize("padding", ["", "x" * 2000], ids=["short", "long"])
    def test_a_mail_arrives(self, server, office, tokens, offered, mechanism, padding):
        """ A mail arrives after a login by a token, of any length """

        tokens.padding = padding
        server.run(mechanisms=offered, tokens=tokens)
        anne = office.queue(ANNE)

        office.drain()

        assert office.status(anne) == SENT, office.state().reason
        assert eventually(lambda: server.delivered("anne"), 10)
        assert used(server) == {mechanism}

    @pytest.mark.parametrize("mechanism", ["xoauth2", "oauthbearer"])
    def test_a_token_that_was_withdrawn_is_replaced(self, server, office, tokens, mechanism):
        """ A token that is withdrawn is replaced in the same session """

        server.run(mechanisms=mechanism, tokens=tokens)
        first = office.queue(ANNE)
        office.drain()
        tokens.expire()
        second = office.queue(ANNE)
        office.drain()

        assert [office.status(first), office.status(second)] == [SENT, SENT]
        assert server.refused_logins() == 1
        assert len(tokens.requests) == 2

    @pytest.mark.parametrize("mechanism", ["xoauth2", "oauthbearer"])
    def test_a_refused_mailbox_suspends_sending(self, server, office, tokens, mechanism):
        """ A token for another mailbox is refused twice, then no more is tried """

        server.run(mechanisms=mechanism, tokens=tokens)
        tokens.user = "another@" + DOMAIN
        anne = office.queue(ANNE)
        for _ in range(3):
            office.drain()
            office.later(4000)

        assert office.status(anne) == UNSENT
        assert office.state().login_refused
        assert server.refused_logins() == 2
        assert "AUTH: 535" in office.state().reason
        assert "(it says: status " in office.state().reason

# END =========================================================================
