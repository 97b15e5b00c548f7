# -*- coding: utf-8 -*-

"""
    How a token is had: by a grant at the token endpoint (RFC 6749 sections 4.4 and
    6), or by a command

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import os
import signal
import subprocess
import threading
import time

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Optional

from ..phases import TOKEN
from ..replies import ConfigurationFailure, LoginRefused, RelayUnavailable, Reply
from ..settings_file import complain_once
from .advice import NEW_REFRESH_TOKEN
from .configuration import COMMAND, REFRESH_TOKEN
from .endpoint import post
from .secret_file import locked, read_secret, replace_secret

__all__ = ("Grant", "fetch")

# How long a token is taken to be valid if the provider does not say (seconds);
# RFC 6749 section 5.1 leaves it open, an hour is usual
DEFAULT_LIFE_S = 3600

# How long a token of a command is used: the command knows how long it is valid,
# and is asked again soon (seconds)
COMMAND_LIFE_S = 300

# How long to wait for the answer to a refresh token, for any session (seconds): the
# provider may have replaced the token already
REFRESH_WITHIN_S = 30

# What a command may print (bytes)
MAX_OUTPUT = 65536

# =============================================================================
@dataclass(frozen = True)
class Grant:
    """ An access token, as it was given """

    token: str = field(repr = False)
    life_s: int
    # A new refresh token that could not be written to its file
    unsaved: Optional[str] = field(default = None, repr = False)

# -----------------------------------------------------------------------------
def fetch(oauth, within_s, unsaved=None, clock=time.monotonic):
    """
        Have a new token; blocks

        Args:
            oauth: the OAuth
            within_s: how long it may take (seconds); with a refresh token, how long
                      to wait for other processes
            unsaved: refresh token in place of that in the file (str)
            clock: function that tells the time (seconds)

        Returns:
            the Grant

        Raises:
            RelayUnavailable: it can't be had now
            LoginRefused: the client or the refresh token is refused
            ConfigurationFailure: a file or a setting is wrong
    """

    if oauth.grant == COMMAND:
        return by_command(oauth.command, within_s)
    if oauth.grant == REFRESH_TOKEN:
        return by_refresh_token(oauth, within_s, unsaved, clock)
    return granted(oauth, ask(oauth, within_s, clock, scope=oauth.scope))

# -----------------------------------------------------------------------------
def by_refresh_token(oauth, within_s, unsaved, clock):
    """
        The grant by a refresh token; a new one that comes with the access token
        is written to the file at once
        - of several processes one asks at a time. Those of a machine that can't
          lock the file may have lost to another one: then the file has a new token.

        Args, returns, raises: as fetch()
    """

    path = oauth.refresh_token_file
    if not os.path.exists(path):
        raise ConfigurationFailure("There is no refresh token in %s: %s" %
                                   (path, NEW_REFRESH_TOKEN))
    with locked(path, within_s, clock):
        refresh_token = unsaved or read_secret(path, "oauth_refresh_token_file")
        try:
            answer = refresh(oauth, refresh_token, clock)
        except LoginRefused:
            in_file = read_secret(path, "oauth_refresh_token_file")
            if in_file == refresh_token:
                raise
            refresh_token = in_file
            answer = refresh(oauth, refresh_token, clock)
        new = answer.get("refresh_token") or refresh_token
        is_saved = new == read_secret(path, "oauth_refresh_token_file") or \
            save(path, new, refresh_token if not unsaved else None)
    return granted(oauth, answer, None if is_saved else new)

# -----------------------------------------------------------------------------
def refresh(oauth, refresh_token, clock):
    """ Ask by a refresh token; as ask() """

    return ask(oauth, REFRESH_WITHIN_S, clock, refresh_token=refresh_token, scope=oauth.scope)

# -----------------------------------------------------------------------------
def save(path, new, used):
    """
        Write a new refresh token to its file

        Args:
            path: of the file
            new: the new refresh token
            used: the one that it replaces, as it was in the file; None = it was
                  not in the file

        Returns:
            False if that is not possible; the log says why
    """

    try:
        if used is None or read_secret(path, "") == used:
            # Else a person has put another one there meanwhile
            replace_secret(path, new)
        return True
    except (OSError, ConfigurationFailure) as error:
        complain_once("The new refresh token can't be written to %s (%s). This process keeps it; "
                      "if it ends before that is possible, a person has to get another one." %
                      (path, getattr(error, "strerror", None) or type(error).__name__))
        return False

# -----------------------------------------------------------------------------
def ask(oauth, within_s, clock, **fields):
    """
        Ask the token endpoint

        Args:
            oauth: the OAuth
            within_s: how long it may take (seconds)
            clock: function that tells the time (seconds)
            fields: of the form, beside those of the client

        Returns, raises:
            as endpoint.post()
    """

    fields = {name: value for name, value in fields.items() if value}
    fields.update(grant_type=oauth.grant, client_id=oauth.client_id)
    if oauth.secret_file:
        fields["client_secret"] = read_secret(oauth.secret_file, "oauth_client_secret_file")
    secrets = [fields.get(name) for name in ("client_secret", "refresh_token")]
    return post(oauth.token_url, fields, within_s, secrets, clock)

# -----------------------------------------------------------------------------
def granted(oauth, answer, unsaved=None):
    """ The Grant in an answer (RFC 6749 section 5.1); raises RelayUnavailable """

    token, life_s = answer.get("access_token"), answer.get("expires_in")
    if not is_token(token) or str(answer.get("token_type", "bearer")).lower() != "bearer":
        raise RelayUnavailable(Reply(TOKEN, 200, "%s gives no token" % oauth.source))
    try:
        # Some give a number as a text
        life_s = max(int(life_s), 1)
    except (TypeError, ValueError, OverflowError):
        life_s = DEFAULT_LIFE_S
    return Grant(token, life_s, unsaved)

# -----------------------------------------------------------------------------
def is_token(text):
    """ Whether something can be sent as a token (RFC 6750 section 2.1) """

    return isinstance(text, str) and text.isascii() and text.isprintable() and \
        bool(text) and " " not in text

# -----------------------------------------------------------------------------
def by_command(command, within_s):
    """
        The token that a command prints

        Args:
            command: a program with its arguments
            within_s: how long it may take (seconds)

        Returns:
            the Grant

        Raises:
            RelayUnavailable: the command fails
            ConfigurationFailure: there is no such command
    """

    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, start_new_session=True)
    except (OSError, ValueError) as error:
        raise ConfigurationFailure("Setting oauth_token_command can't be run (%s)" %
                                   (getattr(error, "strerror", None) or
                                    type(error).__name__)) from None
    # What it has started would keep its output open
    timer = threading.Timer(within_s, kill, [process])
    timer.start()
    try:
        with process:
            output = process.stdout.read(MAX_OUTPUT + 1)
            if len(output) > MAX_OUTPUT:
                kill(process)
    finally:
        is_late = not timer.is_alive()
        timer.cancel()
    token = output.decode("utf-8", "replace").strip()
    why = "takes too long" if is_late else \
        "fails (exit status %s)" % process.returncode if process.returncode else \
        "prints something else than a token" if not is_token(token) else None
    if why:
        # Its output may be a secret
        raise RelayUnavailable(Reply(TOKEN, None, "oauth_token_command " + why))
    return Grant(token, COMMAND_LIFE_S)

# -----------------------------------------------------------------------------
def kill(process):
    """ End a command, with what it has started """

    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()

# END =========================================================================
