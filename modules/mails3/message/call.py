# -*- coding: utf-8 -*-

"""
    One call of send(), in the dialect of any web2py: read and checked

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import inspect
import logging

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Optional

from gluon.languages import lazyT
from gluon.tools import Mail

from ..states import FIRST, LAST, NORMAL, URGENT
from .address import BadInput
from .stored import Message

__all__ = ("Call",)

log = logging.getLogger("web2py.mails3")

# Arguments that Mail.send has in one version of web2py and not in another
DIALECTS = ("encoding", "dkim", "list_unsubscribe", "remote_server")

# Arguments for the queue; Mail.send does not have them
QUEUEING = ("priority", "expires", "not_before", "idempotency_key", "secret")

# Arguments that Mail.send does not have either; they become headers
HEADERS = ("unsubscribe",)

# Settings of a Mail object that do not change its mail
IRRELEVANT = ("timeout", "debug", "lock_keys", "lock_values")

# Settings with three values: None means that another setting decides
THREE_VALUED = ("sign", "encrypt")

# The header of a mail that no person has written (RFC 3834 section 5)
AUTOMATIC = {"Auto-Submitted": "auto-generated"}

# A bound for callers; the database has a digest of the key
MAX_KEY_CHARS = 128

# =============================================================================
@dataclass(frozen = True)
class Call:
    """ The message that a call hands over, and the values for the queue """

    message: Message
    priority: int                  # 0 (first) to 9 (last)
    expires_on: Optional[datetime] # not to be sent after that (UTC)
    not_before: Optional[datetime] # not to be sent before that (UTC), which is to come
    idempotency_key: Optional[str] # the same key is queued only once
    is_secret: bool                # its content is dropped once it is sent
    remote_server: object          # a live connection of the caller's, or None
    is_storable: bool              # a worker can send it from its stored form

    # -------------------------------------------------------------------------
    @classmethod
    def read(cls, mail, args, kwargs, now):
        """
            Read a call

            Args:
                mail: the MailS3
                args: all positional arguments (list)
                kwargs: the arguments by keyword (dict); is not changed
                now: the time (datetime, UTC without a zone)

            Returns:
                the Call

            Raises:
                BadInput: it can not become a mail
                Exception: of the caller's own objects, while they are read
        """

        arguments = named(args, kwargs)
        arguments["sender"] = mail.sender_of(arguments.get("sender"))

        is_secret = arguments.pop("secret", None)
        is_secret = mail.secret if is_secret is None else bool(is_secret)
        priority = read_priority(arguments.pop("priority", None), is_secret)
        expires_on = read_time("expires", arguments.pop("expires", None), now)
        not_before = read_time("not_before", arguments.pop("not_before", None), now)
        if not_before and expires_on and expires_on <= not_before:
            raise BadInput("It expires before it may be sent (expires, not_before)")
        key = read_key(arguments.pop("idempotency_key", None))

        remote_server = arguments.pop("remote_server", None)
        is_storable = add_changed_settings(arguments, mail) and remote_server is None and \
            not carries_credentials(arguments)
        defaults = AUTOMATIC if mail.is_automatic and mail.options.auto_submitted else None
        return cls(message = Message.read(arguments, mail.options.max_size, defaults),
                   priority = priority,
                   expires_on = expires_on,
                   not_before = not_before if not_before and not_before > now else None,
                   idempotency_key = key,
                   is_secret = is_secret,
                   remote_server = remote_server,
                   is_storable = is_storable,
                   )

# -----------------------------------------------------------------------------
def named(args, kwargs):
    """
        Name the arguments of a call

        Args:
            args: the positional arguments
            kwargs: the arguments by keyword

        Returns:
            dict; lazy translations have become texts

        Raises:
            BadInput: there is one that Mail.send does not take
    """

    names, known = parameters_of(Mail.send)
    arguments = dict(zip(names, args))
    if len(args) > len(names) or any(name in arguments for name in kwargs):
        raise BadInput("Too many arguments")
    unknown = known and set(kwargs) - known
    if unknown:
        raise BadInput("Unknown argument: %s" % ", ".join(sorted(unknown)))

    arguments.update(kwargs)
    return {name: value if name == "dkim" else translated(value)
            for name, value in arguments.items()}

# -----------------------------------------------------------------------------
@lru_cache()
def parameters_of(method):
    """
        The arguments that a Mail.send takes, and so does send()

        Args:
            method: Mail.send of this web2py

        Returns:
            tuple (names, known): the names of its positional parameters, in
            order; all names that are known, None = it takes any name
    """

    parameters = list(inspect.signature(method).parameters.values())[1:]
    names = [parameter.name for parameter in parameters
             if parameter.kind == parameter.POSITIONAL_OR_KEYWORD]
    known = {parameter.name for parameter in parameters}.union(DIALECTS, QUEUEING, HEADERS)
    takes_any = parameters[-1].kind == parameters[-1].VAR_KEYWORD
    return names, None if takes_any else known

# -----------------------------------------------------------------------------
def translated(value):
    """ Lazy translations in a value become texts, in the language of the request """

    if isinstance(value, lazyT):
        return str(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [translated(item) for item in value]
    if isinstance(value, dict):
        return {translated(key): translated(item) for key, item in value.items()}
    return value

# -----------------------------------------------------------------------------
def read_priority(priority, is_secret):
    """ Read the priority; None: NORMAL, or URGENT for a secret that a person waits for """

    if priority is None:
        return URGENT if is_secret else NORMAL
    if not isinstance(priority, int) or not FIRST <= priority <= LAST:
        raise BadInput("priority is not a number from %s to %s" % (FIRST, LAST))
    return priority

# -----------------------------------------------------------------------------
def read_time(name, value, now):
    """
        Read a time after which, or before which, a message is not to be sent

        Args:
            name: of the argument
            value: datetime (UTC, if it has no zone), timedelta or seconds from
                   now, or None
            now: the time (datetime)

        Returns:
            datetime (UTC without a zone), or None

        Raises:
            BadInput: it is something else, or beyond the calendar
    """

    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = timedelta(seconds=value)
        if isinstance(value, timedelta):
            value = now + value
        if isinstance(value, datetime) and value.tzinfo:
            value = value.astimezone(timezone.utc).replace(tzinfo=None)
    except (OverflowError, ValueError):
        raise BadInput("%s is beyond the calendar" % name) from None
    if value is not None and not isinstance(value, datetime):
        raise BadInput("%s is not a time" % name)
    return value

# -----------------------------------------------------------------------------
def read_key(key):
    """ Read the idempotency key, or None """

    if key is not None and not (isinstance(key, str) and key.isascii() and
                                key.isprintable() and 0 < len(key) <= MAX_KEY_CHARS):
        raise BadInput("idempotency_key is not a text of up to %s ASCII characters" %
                       MAX_KEY_CHARS)
    return key

# -----------------------------------------------------------------------------
def add_changed_settings(arguments, mail):
    """
        Add the settings that this request has changed to its message: the
        worker knows the settings of the models only

        Args:
            arguments: the arguments by name; settings that Mail.send takes as
                       arguments are added, unless the call has its own
            mail: the MailS3

        Returns:
            False if the request has changed a setting that is no argument of
            Mail.send, like the server or the login
    """

    is_complete = True
    for name, value in mail.settings.items():
        if name in IRRELEVANT or value == mail.configured(name):
            continue
        if name in parameters_of(Mail.send)[0] and \
           (value or name in THREE_VALUED and value is not None):
            if arguments.get(name) is None:
                arguments[name] = value
        else:
            warn_once("mail.settings.%s differs from what it was when MailS3 became the "
                      "mailer: such mail is not queued, but sent at once. A model that changes "
                      "it must sort before models/tasks_mail.py." % name)
            is_complete = False
    return is_complete

# -----------------------------------------------------------------------------
@lru_cache()
def warn_once(text):
    """ Log a warning once per process, not with each mail """

    log.warning("%s", text)

# -----------------------------------------------------------------------------
def carries_credentials(arguments):
    """ Whether a call has a passphrase or a private key, which must not be stored """

    # dkim has its key with it; an x509 keyfile may be a path or the key itself
    return bool(arguments.get("sign_passphrase") or arguments.get("dkim") or
                "PRIVATE KEY" in str(arguments.get("x509_sign_keyfile")))

# END =========================================================================
