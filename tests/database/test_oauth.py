"""
    An app whose mail server wants OAuth 2.0
"""

import json

import pytest

from support.fake_relay import FakeRelay
from support.office import Office
from support.token_endpoint import CLIENT, SECRET, TokenEndpoint, secret_file

from mails3.admin.config_check import check_configuration, works
from mails3.admin.printing import check_lines
from mails3.clock import utcnow
from mails3.admin.status import Status
from mails3.states import SENT, UNSENT

ANNE, USER = "anne@example.org", "shelter@example.org"

# -----------------------------------------------------------------------------
@pytest.fixture
def endpoint():
    """ A token endpoint """

    with TokenEndpoint() as endpoint:
        yield endpoint

@pytest.fixture
def relay(endpoint):
    """ A relay that takes its tokens only """

    with FakeRelay(login=(USER, "password"), mechanisms=["XOAUTH2"]) as relay:
        relay.takes_token = endpoint.is_valid
        yield relay

@pytest.fixture
def app(tmp_path, relay, endpoint):
    """ An app that logs in as Microsoft documents it """

    office = Office("sqlite://%s" % (tmp_path / "storage.sqlite"), relay)
    office.mail.settings.login = USER
    office.configure(oauth="microsoft", oauth_tenant="contoso", oauth_client_id=CLIENT,
                     oauth_client_secret_file=secret_file(tmp_path, "secret", SECRET),
                     oauth_token_url=endpoint.token_url)
    yield office
    office.close()

# -----------------------------------------------------------------------------
def stored(app):
    """ All that the database has (str) """

    return json.dumps([app.db.executesql("SELECT * FROM %s" % name) for name in app.db.tables],
                      default=str)

# =============================================================================
class TestMail:
    """ Mail leaves by a token """

    def test_all_mail_leaves_by_one_token(self, app, relay, endpoint):
        """ Several sessions log in by one token, and no secret is in database or log """

        numbers = app.queue(*["user%02d@example.org" % number for number in range(40)])

        app.drain(sessions=4)

        assert {app.status(number) for number in numbers} == {SENT}
        assert len(endpoint.requests) == 1
        assert len(relay.logins) > 1

    def test_a_mail_is_sent_directly(self, app, endpoint):
        """ A mail that is not queued logs in by the same token """

        assert app.mail.send_direct_email(ANNE, "News", "There is news.")
        assert app.mail.send_direct_email(ANNE, "News", "There is news.")
        assert len(endpoint.requests) == 1

    def test_an_endpoint_that_is_away_suspends_sending(self, app, endpoint):
        """ Mail waits for the endpoint, pays no attempt, and leaves when it is back """

        endpoint.answer(503, "busy")
        anne = app.queue(ANNE)
        app.drain()

        state = app.state()
        assert (state.status, state.cause, state.login_refused) == ("tripped", "relay", False)
        assert "token: 503 127.0.0.1" in state.reason
        app.later(60)
        app.drain()
        assert app.status(anne) == SENT
        assert app.entry(anne).mails3_delivery.attempts == 1

    def test_a_refused_secret_is_not_used_again(self, app, endpoint, tmp_path, caplog):
        """
            A refused secret suspends sending without another request, until the file has
            another secret
        """

        secret_file(tmp_path, "secret", "an-old-secret")
        anne = app.queue(ANNE)
        app.drain()
        assert app.state().login_refused
        assert "invalid_client" in app.state().reason
        for _ in range(3):
            app.later(4000)
            app.drain()
        assert len(endpoint.requests) == 1

        secret_file(tmp_path, "secret", SECRET)
        app.drain()
        assert app.status(anne) == SENT
        assert app.state().status == "closed"
        for secret in (SECRET, "an-old-secret", *endpoint.tokens):
            assert secret not in caplog.text + stored(app)

    def test_a_refused_token_suspends_sending(self, app, relay, endpoint):
        """ A relay that refuses two tokens gets no third one, and the reason has its words """

        relay.takes_token = lambda user, token: False
        relay.words_about_token = {"status": "401", "scope": "mail"}
        anne = app.queue(ANNE)
        for _ in range(3):
            app.drain()
            app.later(4000)

        assert app.status(anne) == UNSENT
        assert len(relay.tokens) == len(endpoint.requests) == 2
        assert "(it says: status 401, scope mail)" in app.state().reason
        title, = [problem.title for problem in Status(app.mail, utcnow()).problems
                  if problem.kind == "suspended"]
        assert title == "The mail server refuses the login"

    def test_a_setting_that_is_missing_is_named(self, app):
        """ A mistake in a setting suspends sending, and its repair resumes it """

        app.configure(oauth_tenant="")
        anne = app.queue(ANNE)
        app.drain()
        assert "Setting oauth_tenant is missing" in app.state().reason
        assert app.state().cause == "configuration"

        app.drain(oauth_tenant="contoso")
        assert app.status(anne) == SENT

    def test_a_rotated_refresh_token_is_no_new_login(self, app, relay, endpoint, tmp_path):
        """ A login that was refused stays refused when its refresh token was replaced """

        app.configure(oauth_client_secret_file="",
                      oauth_refresh_token_file=secret_file(tmp_path, "refresh", "refresh-0"))
        relay.takes_token = lambda user, token: False
        app.queue(ANNE)
        for _ in range(3):
            app.drain()
            app.later(4000)
        assert len(relay.tokens) == 2
        assert endpoint.refresh_token in (tmp_path / "refresh").read_text()

        endpoint.refresh_token = "the-persons"
        secret_file(tmp_path, "refresh", "the-persons")
        app.drain()
        assert len(relay.tokens) == 4

    def test_a_further_relay_has_a_login_of_its_own(self, app, relay, endpoint, tmp_path):
        """ While the first relay is away, mail leaves by another one with its own client """

        with TokenEndpoint() as other, \
             FakeRelay(login=(USER, "password"), mechanisms=["OAUTHBEARER"]) as backup:
            backup.takes_token = other.is_valid
            app.configure(relays={"backup": {
                "server": backup.address, "oauth": "other", "oauth_user": USER,
                "oauth_client_id": CLIENT, "oauth_token_url": other.token_url,
                "oauth_client_secret_file": secret_file(tmp_path, "other", SECRET)}})
            endpoint.answer(503, "busy")
            anne = app.queue(ANNE)

            app.drain()

            assert app.status(anne) == SENT
            assert (len(relay.tokens), len(backup.tokens)) == (0, 1)
            shown = dict(Status(app.mail, utcnow()).configuration())
            assert "login: by OAuth, token from 127.0.0.1" in shown["Mail server backup"]

# =============================================================================
class TestCheck:
    """ The config check """

    def test_the_check_shows_where_the_token_comes_from(self, app):
        """ The token is a step of its own, with its source and its life """

        steps = check_configuration(app.mail)

        assert works(steps)
        assert list(check_lines(Status(app.mail, utcnow()), steps, True, False))[0] == \
            "ok   token          had from 127.0.0.1, valid for 59 min"

    def test_a_failure_is_the_step_of_the_token(self, app, endpoint):
        """ A refused client is shown as the step that failed, with what to do """

        endpoint.answer(401, {"error": "invalid_client"})

        step, = check_configuration(app.mail)

        assert (step["phase"], step["good"], step["code"]) == ("token", False, 401)
        assert "oauth_client_secret_file" in step["reply"]

    def test_an_open_file_is_told(self, app, tmp_path):
        """ A secret that others can read is told with the command that repairs it """

        (tmp_path / "secret").chmod(0o644)

        step, = check_configuration(app.mail)

        assert step["phase"] == "configuration"
        assert "chmod 600 %s" % (tmp_path / "secret") in step["reply"]

    def test_the_configuration_tells_of_it(self, app):
        """ Page and status tell where the token comes from, and no secret """

        shown = dict(Status(app.mail, utcnow()).configuration())

        assert shown["Login"] == "by OAuth, token from 127.0.0.1"
        assert SECRET not in str(shown)

# END =========================================================================
