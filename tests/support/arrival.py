"""
    What arrives of a call: by the queue of MailS3, or by web2py itself
"""

import email.utils
import inspect
import re

from collections import Counter
from email.errors import HeaderParseError
from email.header import decode_header, make_header

from . import web2py # noqa: F401 (gluon and mails3 can be imported)

from gluon.tools import Mail

from mails3.message.composition import Once

# Newer Pythons would not read a domain literal otherwise
LENIENTLY = {"strict": False} if "strict" in \
            inspect.signature(email.utils.getaddresses).parameters else {}

# -----------------------------------------------------------------------------
def through_the_queue(office, *args, **kwargs):
    """ What arrives when MailS3 queues a call and drains it """

    assert office.mail.send(*args, **kwargs), office.mail.error
    office.db.commit()
    return what_arrives(office)

# -----------------------------------------------------------------------------
def what_arrives(office):
    """ What arrives when what is queued is drained """

    office.relay.clear()
    office.drain()

    rows = office.db(office.db.mails3_delivery).select()
    replies = [row.reply for row in rows if row.reply]
    office.db(office.db.mails3_delivery).delete()
    office.db.commit()

    assert not replies
    arrived, = office.relay.mails
    return arrived

# -----------------------------------------------------------------------------
def by_web2py(office, **arguments):
    """ What arrives when Mail.send sends """

    office.relay.clear()
    mail = Mail()
    mail.settings = office.mail.settings

    assert mail.send(**arguments), mail.error
    arrived, = office.relay.wait()
    return arrived

# -----------------------------------------------------------------------------
def likeness(part):
    """
        A mail or a part of it, as far as it has to be equal

        Args:
            part: the Message

        Returns:
            dict; all but Message-ID, Date, boundaries and line folding
    """

    others, single = Counter(), {}
    for name, value in part.items():
        name, value = name.lower(), unfolded(value)
        if name in ("from", "to", "cc", "bcc", "reply-to"):
            value = people(value)
        elif name == "date":
            value = None
        elif name == "message-id" and value != "<20260101.1@example.org>":
            continue
        elif name in ("content-type", "content-disposition"):
            continue
        else:
            value = decoded(value)
        if name in Once.ONCE:
            # web2py leaves what a header was meant to replace
            single[name] = value
        else:
            others[name, value] += 1

    content = part.get_payload(decode=True)
    if part.is_multipart():
        content = [likeness(sub) for sub in part.get_payload()]
    parameters = {(name, email.utils.collapse_rfc2231_value(value))
                  for name, value in part.get_params([])[1:] if name != "boundary"}
    return {"headers": (others, single),
            "type": (part.get_content_type(), parameters),
            "disposition": (part.get_content_disposition(),
                            unfolded(part.get_filename() or "")),
            "content": content,
            }

# -----------------------------------------------------------------------------
def unfolded(value):
    """ A header as one line (RFC 5322 section 2.2.3) """

    return re.sub(r"\r?\n(?=[ \t])", "", value)

# -----------------------------------------------------------------------------
def decoded(value):
    """ The text that a reader is shown """

    try:
        return str(make_header(decode_header(value)))
    except HeaderParseError:
        # "=??B?0?=" is no encoded-word: it is shown as it is
        return value

# -----------------------------------------------------------------------------
def people(value):
    """ The mailboxes in a header: names as a reader is shown them, addresses """

    if "@" not in value:
        # web2py encodes the addresses along with the names, which RFC 2047
        # section 5 forbids
        value = decoded(value)
    found = email.utils.getaddresses([value], **LENIENTLY)
    assert all(address for _, address in found)
    return tuple((decoded(name).strip(), address) for name, address in found)

# -----------------------------------------------------------------------------
def text_of(arrived):
    """ The text of a mail that has no parts, with the lines as we end them """

    text = arrived.message.get_payload(decode=True).decode("utf-8")
    return "\n".join(text.splitlines())

# -----------------------------------------------------------------------------
def lines_of(arrived):
    """ The lines of a mail's content, as it came (list of str) """

    return arrived.content.decode("ascii").split("\r\n")

# END =========================================================================
