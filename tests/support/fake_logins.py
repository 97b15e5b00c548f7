"""
    The ways to log in to the relay of the tests that aiosmtpd does not have
"""

import hashlib
import hmac
import json
import re

from base64 import b64decode, b64encode

from aiosmtpd.smtp import MISSING, AuthResult

from .relay_script import negative

MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER")

SALT, ITERATIONS = b"a salt of the relay", 4096

# =============================================================================
class Logins:
    """ The part of a Session that checks a login """

    # -------------------------------------------------------------------------
    async def auth_CRAM__MD5(self, server, args):
        """ RFC 2195: the password answers a challenge, and is not shown """

        challenge = b"<%d@relay.example.org>" % self.number
        if self.relay.scrambles:
            self.relay.record("commands", (self.number, "AUTH", "scrambled"))
            return await self.scrambled()
        answer = await self.challenge_auth(challenge)
        if answer is MISSING:
            return AuthResult(success=False, handled=True)
        username, _, answer = answer.decode().partition(" ")
        login = self.relay.login
        known = login and hmac.new(login[1].encode(), challenge, "md5").hexdigest()
        return self.decided("CRAM-MD5", username, (username, answer) == (login[0], known))

    # -------------------------------------------------------------------------
    async def auth_SCRAM__SHA__256(self, server, args):
        """ RFC 5802: both sides prove that they know the password """

        if self.relay.scrambles:
            return await self.scrambled()
        bare = b64decode(args[1]).decode()[len("n,,"):]
        name, nonce = re.fullmatch("n=(.*),r=(.*)", bare).groups()
        first = "r=%srelay,s=%s,i=%s" % (nonce, b64encode(SALT).decode(), ITERATIONS)
        answer = await self.challenge_auth(first)
        if answer is MISSING:
            return AuthResult(success=False, handled=True)
        final, _, proof = answer.decode().partition(",p=")

        username, password = self.relay.login
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), SALT, ITERATIONS)
        key = hmac.new(salted, b"Client Key", "sha256").digest()
        exchanged = ",".join((bare, first, final)).encode()
        signature = hmac.new(hashlib.sha256(key).digest(), exchanged, "sha256").digest()
        is_right = b64decode(proof) == bytes(a ^ b for a, b in zip(key, signature))
        name = name.replace("=2C", ",").replace("=3D", "=")
        if not is_right or name != username:
            return self.decided("SCRAM-SHA-256", name, False)

        key = hmac.new(self.relay.server_key or salted, b"Server Key", "sha256").digest()
        signature = hmac.new(key, exchanged, "sha256").digest()
        if not self.relay.is_silent_about_itself:
            await self.challenge_auth("v=" + b64encode(signature).decode())
        return self.decided("SCRAM-SHA-256", name, True)

    # -------------------------------------------------------------------------
    async def scrambled(self):
        """ A challenge that is not one """

        answer = await self.challenge_auth(b"}garbage{", encode_to_b64=False)
        return AuthResult(success=False, handled=answer is MISSING)

    # -------------------------------------------------------------------------
    async def auth_XOAUTH2(self, server, args):
        """ developers.google.com/gmail/imap/xoauth2-protocol """

        return await self.by_token("XOAUTH2", args, r"user=(.*)\1auth=Bearer (.*)\1\1", b"")

    # -------------------------------------------------------------------------
    async def auth_OAUTHBEARER(self, server, args):
        """ RFC 7628 """

        return await self.by_token(
            "OAUTHBEARER", args, r"n,a=(.*),\1host=127.0.0.1\1port=%s\1auth=Bearer (.*)\1\1" %
            self.relay.port, b"\1")

    # -------------------------------------------------------------------------
    async def by_token(self, mechanism, args, form, receipt):
        """ A login whose message is of a form (regular expression), by a token """

        message = b64decode(args[1]) if len(args) > 1 else await self.challenge_auth("")
        user, token = re.fullmatch(form.replace(r"\1", "\1"), message.decode()).groups()
        user = user.replace("=2C", ",").replace("=3D", "=")
        self.relay.record("tokens", (mechanism, user, token))
        if self.relay.takes_token(user, token):
            return self.decided(mechanism, user, True)
        words = self.relay.words_about_token
        if words is not None:
            answer = await self.challenge_auth(json.dumps(words))
            assert answer == receipt, answer
        return self.decided(mechanism, user, False)

    # -------------------------------------------------------------------------
    def decided(self, mechanism, username, accepted):
        """ Note a login, and decide on it unless told how (AuthResult) """

        reply = self.told.get("reply")
        if reply:
            accepted = not negative(reply)
        self.relay.record("logins", (self.number, mechanism, username, accepted))
        return AuthResult(success=accepted, handled=False, message=reply)

# END =========================================================================
