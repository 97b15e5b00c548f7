"""
    Calls of Mail.send, described so that their arguments can be made anew: a
    caller who sends a file or a list uses it up
"""

import inspect
import os

from dataclasses import dataclass
from io import BytesIO, StringIO
from typing import Any, Callable

from .web2py import FOLDER

from gluon.languages import TranslatorFactory, lazyT
from gluon.tools import Mail

# The arguments of Mail.send as this web2py has them
NAMES = list(inspect.signature(Mail.send).parameters)[1:]

# web2py 2.x knows encoding=, 3.x does not
WEB2PY_3 = "encoding" not in NAMES

ADDRESSES = ("to", "cc", "bcc", "reply_to", "sender", "from_address")

T = TranslatorFactory(os.path.join(FOLDER, "languages"), "en")
T.is_writable = False

# =============================================================================
@dataclass(frozen = True)
class Form:
    """ A value, and the argument that a caller makes of it """

    make: Callable
    value: Any

# -----------------------------------------------------------------------------
def commas(mailboxes):
    """ Many mailboxes as one text """

    return ", ".join(mailboxes)

# -----------------------------------------------------------------------------
def unicode_domain(mailbox):
    """ A domain as people write it """

    return mailbox.replace("xn--bcher-kva", "bücher")

# -----------------------------------------------------------------------------
def utf8_file(text):
    """ A text as a binary file """

    return BytesIO(text.encode("utf-8"))

def latin1_file(text):
    """ A text as a binary file, to be sent with encoding="latin-1" """

    return BytesIO(text.encode("latin-1"))

FILES = (StringIO, utf8_file, latin1_file)

# -----------------------------------------------------------------------------
def attachment(arguments):
    """ A Mail.Attachment from the arguments of one, given with its content """

    arguments = dict(arguments)
    return Mail.Attachment(BytesIO(arguments.pop("content")), **arguments)

A_FILE = Form(attachment, {"content": b"a,b\r\n", "filename": "data.csv"})

# -----------------------------------------------------------------------------
def fresh(value):
    """ What a caller would make of a description, without its Forms """

    if isinstance(value, Form):
        return value.make(fresh(value.value))
    if isinstance(value, (list, tuple)):
        return type(value)(map(fresh, value))
    if isinstance(value, dict):
        return {key: fresh(item) for key, item in value.items()}
    return value

# -----------------------------------------------------------------------------
def without(makes, value):
    """ A description, with the plain value in place of some Forms """

    if isinstance(value, Form):
        if value.make not in makes:
            return Form(value.make, without(makes, value.value))
        if value.make in (T, set):
            # T leaves out a comment, a set what is there twice
            return {T: str, set: list}[value.make](fresh(value))
        return without(makes, value.value)
    if isinstance(value, (list, tuple)):
        return type(value)(without(makes, item) for item in value)
    if isinstance(value, dict):
        return {key: without(makes, item) for key, item in value.items()}
    return value

# -----------------------------------------------------------------------------
def spelled_out(call):
    """
        The same call, as plainly as web2py needs it to deliver the right
        mail: each of its own defects is gone round, nothing else is changed

        Args:
            call: the arguments by name, as a description

        Returns:
            the arguments for Mail.send, by name
    """

    call = dict(call)

    for key in ADDRESSES:
        # "a@x, b@x" goes to the first of them only; a set is a TypeError; an
        # address with an IDN domain can not be encoded
        if key in call:
            call[key] = flat(without([commas, set, unicode_domain], call[key]))
    if "headers" in call:
        call["headers"] = without([unicode_domain], call["headers"])

    if WEB2PY_3:
        # An argument that web2py does not know is a TypeError
        call.pop("encoding", None)
        # What read() gives has no attribute "decode" if it is text, and is
        # taken for UTF-8 if it is not; a lazyT is read like a file, and in a
        # header it is not encoded; neither is a number
        call = without([StringIO, latin1_file, T, int], call)

    message = call.get("message", "")
    if isinstance(message, Form) and message.make in FILES and \
       not (call.get("raw") and WEB2PY_3):
        # A file that is not one of a pair has no attribute "strip"
        call["message"] = message.value
    if isinstance(message, (list, tuple)) and message[0] is None and \
       not without(FILES + (T,), message[1]):
        # With no text and an empty html, a variable remains unbound
        call["message"] = None

    arguments = fresh(call)

    if isinstance(arguments["to"], tuple) and (call.get("cc") or call.get("bcc")):
        # A tuple has no attribute "extend"
        arguments["to"] = list(arguments["to"])
    if arguments.get("subject", "") is None:
        # None is not iterable (3.3)
        arguments["subject"] = ""
    for key in ADDRESSES + ("subject", "headers"):
        # A vertical tab and the like end a line of a header, so that what
        # follows may pass for another header (up to 3.1)
        if key in arguments:
            arguments[key] = on_one_line(arguments[key])
    if call.get("raw") and not WEB2PY_3:
        # A raw text is encoded, to bytes that MIMEText does not take (2.x)
        arguments["message"] = Unencoded(arguments.get("message", "[no message]"))

    return arguments

# -----------------------------------------------------------------------------
def flat(value):
    """ A list without lists in it; any other value as it is """

    if not isinstance(value, list):
        return value
    lists = [item if isinstance(item, list) else [item] for item in value]
    return sum(lists, [])

# -----------------------------------------------------------------------------
def on_one_line(value):
    """ What becomes headers, with spaces for all that breaks lines """

    if isinstance(value, dict):
        return {key: on_one_line(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(on_one_line, value))
    if isinstance(value, (str, lazyT)):
        return " ".join(str(value).splitlines())
    return value

# =============================================================================
class Unencoded(str):
    """ A text that remains text when web2py 2.x encodes it """

    def encode(self, encoding="utf-8", errors="strict"):

        return str(self) if encoding == "utf-8" else super().encode(encoding, errors)

# -----------------------------------------------------------------------------
def positional(arguments, number):
    """ The first arguments by position, all others by name """

    arguments = dict(arguments)
    defaults = inspect.signature(Mail.send).parameters
    return [arguments.pop(name, defaults[name].default)
            for name in NAMES[:number]], arguments

# END =========================================================================
