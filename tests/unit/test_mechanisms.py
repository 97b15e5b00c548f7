"""
    The mechanisms of a login, by the examples in their RFCs
"""

import smtplib

import pytest

from support import web2py # noqa: F401 (mails3 can be imported)

from mails3.smtp.mechanisms import CramMD5, Login, OAuthBearer, Plain, XOAuth2
from mails3.smtp.scram import ScramSHA256

# RFC 7677 section 3
NONCE = "rOprNGfwEbeRWgbNEkqO"
FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
PROOF = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0," \
        b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
VERIFIER = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

# -----------------------------------------------------------------------------
def scram(password="pencil"):
    """ A login as in the RFC """

    return ScramSHA256("user", password, NONCE)

# =============================================================================
class TestPassword:
    """ A login by password """

    def test_plain_is_as_in_its_rfc(self):
        """ PLAIN sends user and password in UTF-8 (RFC 4616 section 4) """

        assert Plain("tim", "tanstaaftanstaaf").initial() == b"\0tim\0tanstaaftanstaaf"
        assert Plain("Zoë", "ÄÖ").initial() == "\0Zoë\0ÄÖ".encode()

    def test_login_answers_twice(self):
        """ LOGIN answers with the user, then the password, and no third time """

        mechanism = Login("user", "password")

        assert [mechanism.answer(b"Username:"), mechanism.answer(b"?")] == [b"user", b"password"]
        with pytest.raises(ValueError):
            mechanism.answer(b"And?")

    def test_cram_md5_is_as_in_its_rfc(self):
        """ CRAM-MD5 answers as in RFC 2195 section 2 """

        assert CramMD5("tim", "tanstaaftanstaaf").answer(
            b"<1896.697170952@postoffice.reston.mci.net>") == \
            b"tim b913a602c7eda7a495b4e6e7334d3890"

# =============================================================================
class TestScram:
    """ SCRAM-SHA-256 """

    def test_an_exchange_is_as_in_its_rfc(self):
        """ Each message is that of RFC 7677 section 3, and the server is believed """

        mechanism = scram()

        assert mechanism.initial() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
        assert mechanism.answer(FIRST) == PROOF
        assert not mechanism.is_settled
        assert mechanism.answer(VERIFIER) == b""
        assert mechanism.is_settled

    @pytest.mark.parametrize("final", [b"v=AAAA", b"v=", b"x=1", VERIFIER.lower()])
    def test_a_server_that_does_not_know_the_password_is_not_believed(self, final):
        """ A wrong or missing signature of the server ends the login """

        mechanism = scram()
        mechanism.answer(FIRST)

        with pytest.raises(smtplib.SMTPException, match="not the right server"):
            mechanism.answer(final)
        assert not mechanism.is_settled

    def test_an_error_of_the_server_proves_nothing(self):
        """ After "e=" the server is not believed """

        mechanism = scram()
        mechanism.answer(FIRST)

        assert mechanism.answer(b"e=invalid-proof") == b""
        assert not mechanism.is_settled

    @pytest.mark.parametrize("was, is_now", [
        (b"r=rOpr", b"r=else"), (b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", b""),
        (b"i=4096", b"i=1"), (b"i=4096", b"i=4095"), (b"i=4096", b"i=99999999"),
        (b"i=4096", b"i=x"), (b"i=4096", b""), (b"s=W22", b"s=}}}"), (b"r=", b"m=1,r="),
        (FIRST, b""), (FIRST, b"\xff")])
    def test_a_bad_challenge_is_not_answered(self, was, is_now):
        """
            A challenge with another nonce, too few or too many iterations, an extension that
            must be understood, or garbage gets no answer
        """

        with pytest.raises(ValueError):
            scram().answer(FIRST.replace(was, is_now))

    def test_a_name_is_escaped(self):
        """ A comma and an equals sign in a user are escaped (RFC 5802 section 5.1) """

        assert ScramSHA256("a,b=c", "x", NONCE).initial().startswith(b"n,,n=a=2Cb=3Dc,r=")

    def test_a_password_is_prepared(self):
        """ Passwords that look alike are the same (RFC 4013 section 3) """

        assert scram("I\u00adX").answer(FIRST) == scram("IX").answer(FIRST)
        assert scram("\u2168").answer(FIRST) == scram("IX").answer(FIRST)
        assert scram("a\u00a0b").answer(FIRST) == scram("a b").answer(FIRST)

    def test_a_nonce_is_not_used_twice(self):
        """ Each login has a nonce of its own """

        assert ScramSHA256("a", "b").nonce != ScramSHA256("a", "b").nonce

# =============================================================================
class TestToken:
    """ A login by token """

    def test_oauthbearer_is_as_in_its_rfc(self):
        """ OAUTHBEARER sends what RFC 7628 section 4.1 has """

        assert OAuthBearer("user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==",
                           "server.example.com", 587).initial() == \
            b"n,a=user@example.com,\1host=server.example.com\1port=587\1" \
            b"auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1"

    def test_xoauth2_is_as_google_documents_it(self):
        """ XOAUTH2 sends the message of Google's document """

        assert XOAuth2("someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg") \
            .initial() == b"user=someuser@example.com\1" \
                          b"auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\1\1"

    @pytest.mark.parametrize("kind, receipt", [(XOAuth2, b""), (OAuthBearer, b"\1")])
    def test_an_error_is_read_and_answered(self, kind, receipt):
        """
            An error (RFC 7628 section 4.3) is answered as each mechanism has it, and its
            status and scope are kept
        """

        mechanism = kind("user", "a-t0ken")

        assert mechanism.answer(b'{"status":"invalid_token","scope":"example_scope",'
                                b'"openid-configuration":"https://example.com/"}') == receipt
        assert mechanism.told == "status invalid_token, scope example_scope"
        with pytest.raises(ValueError):
            mechanism.answer(b"{}")

    @pytest.mark.parametrize("words", [b"", b"[]", b"{", b'"x"', b"\xff", b'{"status": ""}',
                                       b"[" * 100000])
    def test_an_error_that_is_garbage_is_answered(self, words):
        """ Words that are no JSON are answered all the same """

        mechanism = XOAuth2("user", "token")

        assert mechanism.answer(words) == b""
        assert mechanism.told == "the token is refused"

# END =========================================================================
