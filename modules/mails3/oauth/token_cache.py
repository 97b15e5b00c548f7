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

# How long the other sessions try a token that was refused in place of another one: then
# a repair may have taken effect, for which it takes a new token (seconds)
REFUSED_S = 30

# =============================================================================
@dataclass(frozen = True)
class Token:
    """ A token in use """

    text: str = field(repr = False)
    number: int     # those of one login are numbered, from 1
    renew_at: float # by the clock
    ends_at: float
    unsaved: Optional[str] = field(default = None, repr = False) # see Grant

# =============================================================================
class Entry:
    """ The token for one OAuth """

    def __init__(self):

        self.lock = threading.Lock() # held while a token is fetched
        self.token = None
        # Numbers of tokens that the relay has refused, since it accepted one
        self.refused = None # the first one
        self.final = None   # the last one that was had in place of a refused one

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
                the Token; None if the relay has refused another one before it,
                in this session or in another one

            Raises:
                as token()
        """

        entry = self._entry(oauth)
        if self._is_final(entry, refused):
            return None
        other = self.token(oauth, within_s)
        if other.text == refused.text:
            # The provider or the command has no other
            self._is_final(entry, other)
            other = None
        return other

    # -------------------------------------------------------------------------
    def _is_final(self, entry, refused):
        """
            Note a refused Token, which is not used any more

            Args:
                entry: its Entry
                refused: the Token

            Returns:
                whether the relay has refused the token that was had in place of
                a refused one; then no session gets another one
        """

        with self.lock:
            if entry.refused is None:
                entry.refused = refused.number
            renew_at = 0
            if refused.number > entry.refused and refused.number != entry.final:
                entry.final, renew_at = refused.number, self.clock() + REFUSED_S
            elif refused.number == entry.final:
                return True
            if entry.token.number == refused.number:
                entry.token = replace(entry.token, renew_at=renew_at, ends_at=renew_at)
            return entry.final is not None

    # -------------------------------------------------------------------------
    def note_accepted(self, oauth, token):
        """ The relay has accepted a Token """

        entry = self._entry(oauth)
        with self.lock:
            # Not one that another session has had before the refused one
            if entry.refused is not None and token.number >= entry.refused:
                entry.refused = entry.final = None

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
                     number = before.number + 1 if before else 1,
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
