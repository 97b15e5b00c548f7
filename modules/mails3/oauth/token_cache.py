# -*- coding: utf-8 -*-

"""
    The tokens of this process, in memory only: had when first needed, shared by all
    sessions and threads, renewed before they end

    The time that a provider gives a token is counted from its answer, by a clock
    that only this process has: wrong clocks do no harm.

    A refresh token may be used once. A session that has no more time to wait must not
    throw away the answer, which has the next one: so it is waited for in a thread of
    its own.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import os
import threading
import time

from concurrent import futures
from dataclasses import dataclass, field, replace
from typing import Optional

from ..phases import TOKEN
from ..replies import ChannelFailure, RelayUnavailable, Reply
from .configuration import REFRESH_TOKEN
from .grants import fetch

__all__ = ("TOKENS", "Token", "TokenCache")

# How long before its end a token is renewed; half of its life, if that is less (seconds)
EARLY_S = 600

# How long a token that can't be renewed is used on, before that is tried again (seconds)
RETRY_S = 30

# Not used any more so long before its end: the relay takes time as well (seconds)
MARGIN_S = 10

# =============================================================================
@dataclass(frozen = True)
class Token:
    """ A token in use """

    text: str = field(repr = False)
    renew_at: float # by the clock
    ends_at: float
    unsaved: Optional[str] = field(default = None, repr = False) # see Grant

# =============================================================================
class Entry:
    """ The token for one OAuth """

    def __init__(self):

        self.lock = threading.Lock() # held while a token is fetched
        self.token = None
        self.is_second = False # the relay has refused the token before this one

# =============================================================================
class TokenCache:
    """ The tokens of this process """

    def __init__(self, clock=time.monotonic, fetch=fetch):
        """
            Args:
                clock: function that tells the time (seconds)
                fetch: see grants.fetch()
        """

        self.clock = clock
        self.fetch = fetch
        self.lock = threading.Lock() # of the entries
        self.entries = {}            # by OAuth.key()

    # -------------------------------------------------------------------------
    def renew_locks(self):
        """ In a process that was forked: another thread may have held them """

        self.lock = threading.Lock()
        for entry in self.entries.values():
            entry.lock = threading.Lock()

    # -------------------------------------------------------------------------
    def token(self, oauth, within_s):
        """
            The token to log in with; blocks while it has to be fetched

            Args:
                oauth: the OAuth
                within_s: how long it may take (seconds)

            Returns:
                the Token

            Raises:
                ChannelFailure: as grants.fetch()
        """

        entry, until = self._entry(oauth), self.clock() + within_s
        token = entry.token
        if self._is_fresh(token):
            return token
        # While one thread renews a token, the others use it on
        if not entry.lock.acquire(timeout = 0 if self._is_valid(token) else max(within_s, 0)):
            if self._is_valid(token):
                return token
            raise RelayUnavailable("Another session fetches the token, and takes too long")
        future = futures.Future()
        # No daemon: a process that ends waits for the answer as well
        thread = threading.Thread(target = self._renew, daemon = False,
                                  args = (entry, oauth, until, future))
        if oauth.grant == REFRESH_TOKEN:
            thread.start()
        else:
            thread.run()
        try:
            return future.result(max(until - self.clock(), 0))
        except futures.TimeoutError:
            if self._is_valid(token):
                return token
            raise RelayUnavailable(Reply(TOKEN, None, "%s: timed out" % oauth.source)) from None

    # -------------------------------------------------------------------------
    def _renew(self, entry, oauth, until, future):
        """
            Fetch a token, unless another thread has done so meanwhile

            Args:
                entry: the Entry, whose lock is held; it is released
                oauth: the OAuth
                until: the deadline (by the clock)
                future: the Future that gets the Token, or what fetch() raises
        """

        try:
            if not self._is_fresh(entry.token):
                entry.token = self._fetched(oauth, until - self.clock(), entry.token)
            future.set_result(entry.token)
        except BaseException as error:
            future.set_exception(error)
        finally:
            entry.lock.release()

    # -------------------------------------------------------------------------
    def after_refusal(self, oauth, refused, within_s):
        """
            Another token in place of one that the relay has refused

            Args:
                oauth, within_s: as for token()
                refused: the Token

            Returns:
                the Token; None if the one before it was refused as well

            Raises:
                as token()
        """

        entry, other = self._entry(oauth), None
        if not self._retire(entry, refused):
            other = self.token(oauth, within_s)
        if other and other.text == refused.text:
            # The provider or the command has no other
            self._retire(entry, refused)
            other = None
        return other

    # -------------------------------------------------------------------------
    def _retire(self, entry, refused):
        """
            Do not use a token any more

            Args:
                entry: its Entry
                refused: the Token

            Returns:
                whether it was given in place of one that was refused as well
        """

        with self.lock:
            if entry.token is None or entry.token.text != refused.text:
                # Another session has seen to it
                return False
            was_second = entry.is_second
            entry.is_second = not was_second
            entry.token = replace(entry.token, renew_at=0, ends_at=0)
            return was_second

    # -------------------------------------------------------------------------
    def note_accepted(self, oauth):
        """ The relay has accepted the token """

        self._entry(oauth).is_second = False

    # -------------------------------------------------------------------------
    def _entry(self, oauth):
        """ The Entry of an OAuth; it is made when first asked for """

        key = oauth.key()
        with self.lock:
            return self.entries.setdefault(key, Entry())

    # -------------------------------------------------------------------------
    def _fetched(self, oauth, within_s, before):
        """ A new Token in place of another one; the old one if it can not be renewed now """

        try:
            grant = self.fetch(oauth, within_s, before.unsaved if before else None)
        except ChannelFailure:
            if not self._is_valid(before):
                raise
            return replace(before, renew_at = self.clock() + RETRY_S)
        now = self.clock()
        return Token(grant.token,
                     renew_at = now + max(grant.life_s - EARLY_S, grant.life_s / 2),
                     ends_at = now + grant.life_s,
                     unsaved = grant.unsaved)

    # -------------------------------------------------------------------------
    def _is_fresh(self, token):
        """ Whether a Token (or None) need not be renewed yet """

        return token is not None and self.clock() < token.renew_at

    # -------------------------------------------------------------------------
    def _is_valid(self, token):
        """ Whether a Token (or None) can be used on for a moment """

        return token is not None and self.clock() < token.ends_at - MARGIN_S

    # -------------------------------------------------------------------------
    def left_s(self, token):
        """ How long a Token is valid (seconds) """

        return max(token.ends_at - self.clock(), 0)

# Those of this process
TOKENS = TokenCache()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=TOKENS.renew_locks)

# END =========================================================================
