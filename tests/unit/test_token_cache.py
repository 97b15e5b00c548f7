"""
    The tokens of a process
"""

import random
import threading

from types import SimpleNamespace

import pytest

from support.web2py import CLONE # noqa: F401 (mails3 can be imported)

from mails3.oauth.configuration import OAuth
from mails3.oauth.grants import Grant
from mails3.oauth.token_cache import TokenCache
from mails3.replies import LoginRefused, RelayUnavailable

# =============================================================================
class Bank:
    """ A TokenCache with a provider and a clock of the test's own """

    def __init__(self, life_s=3600):

        self.now, self.life_s = 1000.0, life_s
        self.given, self.failure, self.unsaved, self.kept = 0, None, None, []
        self.same = False
        self.cache = TokenCache(lambda: self.now, self.fetch)
        self.oauth = OAuth("command", "command", command=("a",))

    def fetch(self, oauth, within_s, unsaved=None):
        """ As grants.fetch() """

        self.kept.append(unsaved)
        self.given += 1
        if self.failure:
            raise self.failure
        return Grant("token" if self.same else "token-%s" % self.given, self.life_s,
                     self.unsaved)

    def token(self, oauth=None):
        """ The token to log in with """

        return self.cache.token(oauth or self.oauth, 10)

    def text(self):
        """ The text of it """

        return self.token().text

# -----------------------------------------------------------------------------
@pytest.fixture
def bank():
    """ A cache whose tokens are valid for an hour """

    return Bank()

# =============================================================================
class TestLife:
    """ A token is used until shortly before its end """

    def test_a_token_is_had_once(self, bank):
        """ One token does for all logins """

        assert {bank.text() for _ in range(10)} == {"token-1"}
        assert bank.cache.left_s(bank.token()) == 3600
        assert "token-1" not in repr(bank.token())

    @pytest.mark.parametrize("life_s, used_s", [(3600, 3000), (4500, 3900), (1000, 500), (60, 30)])
    def test_a_token_is_renewed_before_its_end(self, life_s, used_s):
        """ Ten minutes before its end, or after half of its life, another one is had """

        bank = Bank(life_s)
        bank.token()

        bank.now += used_s - 1
        assert bank.text() == "token-1"
        bank.now += 2
        assert bank.text() == "token-2"

    @pytest.mark.parametrize("failure", [RelayUnavailable("away"), LoginRefused("refused")])
    def test_a_token_is_used_on_while_there_is_no_other(self, bank, failure):
        """
            A token that can't be renewed is used to its end; it is tried again each half
            minute, and after the end the failure is told
        """

        bank.token()
        bank.failure = failure
        bank.now += 3001
        for _ in range(5):
            assert bank.text() == "token-1"
        assert bank.given == 2

        bank.now += 31
        bank.token()
        assert bank.given == 3

        bank.now += 600
        with pytest.raises(type(failure)):
            bank.token()
        bank.failure = None
        assert bank.text() == "token-5"

    def test_a_new_refresh_token_in_memory_is_used_next(self, bank):
        """ A refresh token that could not be written is handed to the next grant """

        bank.unsaved = "a refresh token"
        bank.token()
        bank.now += 3600
        bank.token()

        assert bank.kept == [None, "a refresh token"]
        assert "refresh token" not in repr(bank.token())

    def test_another_login_has_a_token_of_its_own(self, bank, tmp_path):
        """ Another user, or another secret in the same file, is another login """

        secret = tmp_path / "secret"
        others = OAuth("other", "client_credentials", secret_file=str(secret))
        texts = [bank.text()]
        for text in ("one", "two", "one"):
            secret.write_text(text)
            secret.chmod(0o600)
            texts.append(bank.token(others).text)

        assert texts == ["token-1", "token-2", "token-3", "token-2"]

# =============================================================================
class TestRefusal:
    """ A token that the relay refuses """

    def test_a_refused_token_is_replaced_once(self, bank):
        """ After a refusal there is another token, after its refusal there is not """

        first = bank.token()
        second = bank.cache.after_refusal(bank.oauth, first, 10)

        assert second.text == "token-2"
        assert bank.cache.after_refusal(bank.oauth, second, 10) is None

    def test_after_two_refusals_it_begins_anew(self, bank):
        """ The next login, after a repair, has a new token, and only one if it is refused """

        bank.cache.after_refusal(bank.oauth, bank.cache.after_refusal(
            bank.oauth, bank.token(), 10), 10)

        assert bank.text() == "token-2"
        bank.now += 31
        third = bank.token()
        assert third.text == "token-3"
        assert bank.cache.after_refusal(bank.oauth, third, 10) is None
        bank.now += 31
        assert bank.text() == "token-4"
        bank.cache.note_accepted(bank.oauth, bank.token())
        assert bank.cache.after_refusal(bank.oauth, bank.token(), 10).text == "token-5"

    @pytest.mark.parametrize("order", range(20))
    def test_sessions_refused_in_turn_have_one_new_token(self, bank, order):
        """ Six sessions whose tokens are all refused have one new token, in whatever order """

        chance, refusals = random.Random(order), 0
        tokens = [bank.token() for _ in range(6)]
        while tokens:
            refused = tokens.pop(chance.randrange(len(tokens)))
            refusals += 1
            other = bank.cache.after_refusal(bank.oauth, refused, 10)
            tokens += [other] if other else []
        assert bank.given == 2
        assert refusals <= 12

        # Those that come after that
        for _ in range(3):
            assert bank.cache.after_refusal(bank.oauth, bank.token(), 10) is None
        assert bank.given == 2

    def test_a_token_from_before_a_refused_one_proves_nothing(self, bank):
        """ A session that is accepted by an older token does not end the count of refusals """

        old = bank.token()
        bank.now += 3600
        third = bank.cache.after_refusal(bank.oauth, bank.token(), 10)
        bank.cache.note_accepted(bank.oauth, old)

        assert bank.cache.after_refusal(bank.oauth, third, 10) is None

    def test_an_accepted_token_ends_the_count(self, bank):
        """ A token that was accepted is replaced once as well """

        second = bank.cache.after_refusal(bank.oauth, bank.token(), 10)
        bank.cache.note_accepted(bank.oauth, second)

        assert bank.cache.after_refusal(bank.oauth, second, 10).text == "token-3"

    def test_sessions_share_the_new_token(self, bank):
        """ All sessions whose token was refused get the same new one """

        first = bank.token()

        assert {bank.cache.after_refusal(bank.oauth, first, 10).text for _ in range(5)} == \
               {"token-2"}

    def test_a_provider_that_has_no_other_token_is_asked_once(self, bank):
        """ If the new token is the refused one, there is no other """

        bank.same = True

        assert bank.cache.after_refusal(bank.oauth, bank.token(), 10) is None
        assert bank.given == 2

    def test_a_refresh_token_in_memory_survives_refusals(self, bank):
        """ Refused tokens do not take the refresh token along """

        bank.unsaved = "a refresh token"
        bank.cache.after_refusal(bank.oauth, bank.cache.after_refusal(
            bank.oauth, bank.token(), 10), 10)
        bank.now += 31
        bank.token()

        assert bank.kept == [None, "a refresh token", "a refresh token"]

# =============================================================================
class TestThreads:
    """ Several sessions at the same time """

    def test_one_thread_asks_for_all(self, bank):
        """ Threads that need the first token at the same time have it fetched once """

        go, texts = threading.Event(), []

        def slow(oauth, within_s, unsaved):
            go.wait(10)
            return bank.fetch(oauth, within_s)

        bank.cache.fetch = slow
        threads = [threading.Thread(target=lambda: texts.append(bank.text())) for _ in range(8)]
        for thread in threads:
            thread.start()
        go.set()
        for thread in threads:
            thread.join(10)

        assert texts == ["token-1"] * 8

    def test_nobody_waits_while_the_old_token_is_valid(self, bank):
        """ While one thread renews a token, another one uses it on """

        bank.token()
        bank.now += 3001
        waits_s = []
        bank.cache.entries[bank.oauth.key()].lock = SimpleNamespace(
            acquire = lambda timeout: waits_s.append(timeout))

        assert bank.text() == "token-1"
        assert waits_s == [0]

    def test_a_wait_for_another_thread_ends(self, bank):
        """ Who waits for the first token for too long is told so """

        bank.cache.after_refusal(bank.oauth, bank.token(), 10)
        bank.now += 4000
        with bank.cache.entries[bank.oauth.key()].lock:
            with pytest.raises(RelayUnavailable):
                bank.cache.token(bank.oauth, 0.01)

    def test_a_session_does_not_wait_for_a_refresh_token_beyond_its_time(self, bank):
        """
            While the provider replaces the refresh token, a session whose time ends uses the
            old token on, and what fails after that harms no other session
        """

        person, go, failures = OAuth("other", "refresh_token"), threading.Event(), [1]

        def slow(oauth, within_s, unsaved):
            go.wait(10)
            if failures:
                raise LoginRefused("refused %s" % failures.pop())
            return bank.fetch(oauth, within_s)

        bank.token(person)
        bank.now += 3001
        bank.cache.fetch = slow
        assert bank.cache.token(person, 0.01).text == "token-1"
        bank.now += 3600
        with pytest.raises(RelayUnavailable):
            bank.cache.token(person, 0.01)
        go.set()
        with bank.cache.entries[person.key()].lock:
            assert failures == []

        assert bank.token(person).text == "token-2"

    def test_a_process_that_was_forked_has_its_own_locks(self, bank):
        """ A lock that was held at the moment of a fork holds nobody up """

        bank.token()
        bank.now += 4000
        bank.cache.lock.acquire()
        bank.cache.entries[bank.oauth.key()].lock.acquire()

        bank.cache.renew_locks()

        assert bank.text() == "token-2"

# END =========================================================================
