"""
    Fidelity: the mail that arrives through the queue is the one that web2py's
    own Mail.send delivers for the same call, or the right one where Mail.send
    fails
"""

import email
import email.utils
import hashlib
import inspect
import os
import re
import sys

from collections import Counter
from dataclasses import dataclass
from email import message_from_string
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from io import BytesIO, StringIO
from typing import Any, Callable

import pytest

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from gluon.languages import TranslatorFactory, lazyT
from gluon.storage import Storage
from gluon.tools import Mail

from support.web2py import FOLDER
from support.fake_relay import FakeRelay
from support.office import Office

from mails3.message.composition import MAKERS, Once
from mails3.message.content import HEADER_NAME
from mails3.message.header import FOLDED, MAX_LINE_CHARS
from mails3.message.stored import Message

ANNE, BOB, CARL = "anne@example.org", "bob@example.org", "carl@example.org"

# The arguments of Mail.send as this web2py has them
NAMES = list(inspect.signature(Mail.send).parameters)[1:]

# web2py 2.x knows encoding=, 3.x does not
WEB2PY_3 = "encoding" not in NAMES

# Newer Pythons would not read a domain literal otherwise
LENIENTLY = {"strict": False} if "strict" in \
            inspect.signature(email.utils.getaddresses).parameters else {}

ADDRESSES = ("to", "cc", "bcc", "reply_to", "sender", "from_address")

T = TranslatorFactory(os.path.join(FOLDER, "languages"), "en")
T.is_writable = False

# =============================================================================
# Calls, described so that their arguments can be made anew: who sends a file
# or a list uses it up
#
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

# =============================================================================
# Strategies
#
def one_of_or(samples, strategy):
    """ Real life, or anything """

    return st.sampled_from(samples) | strategy

def optionally(**strategies):
    """ Some of these arguments """

    return st.fixed_dictionaries({}, optional=strategies)

CHARACTERS = st.characters(exclude_categories=["Cs"])

bodies = one_of_or(["",
                    "Hello",
                    "Héllo ☺\n.\n..dots\nFrom here  \n\n--\nAnne\t\n",
                    "line\r\nline\rline\n",
                    "long " * 60,
                    "=20 =\n",
                    "<html",
                    ],
                   st.text(CHARACTERS, max_size=80))

pages = one_of_or(["<html></html>",
                   " \n<html><body>مرحبا &amp; <b>Grüße</b></body></html>\n",
                   '<html><img src="cid:photo" /></html>',
                   ],
                  st.text(CHARACTERS, max_size=80).map("<html>%s</html>".__mod__))

# In a header: one line, as far as the protocol goes
lines = one_of_or(["",
                   "News",
                   "Nouvelles d'été",
                   "☂ \U0001f1e9\U0001f1ea \U0001f469\u200d\U0001f692",
                   "שלום עולם",
                   "A subject much longer than the 78 characters of Eden's table, "
                   "which is a limit of the table and not one of mail at all",
                   "Une façon de dire beaucoup de choses, plus long que les 78 "
                   "caractères de la table d'Eden, qui est une limite de la table",
                   "w" * 300,
                   " [tag]  two  spaces ",
                   "=?utf-8?q?already?=",
                   "100% & <b>",
                   "tab\there, vertical\x0btab, paragraph\u2029end",
                   ],
                  st.text(st.characters(exclude_categories=["Cs"],
                                        exclude_characters="\r\n\0"),
                          max_size=60))

lazy_bodies = bodies.map(lambda text: Form(T, text))
lazy_lines = lines.map(lambda text: Form(T, text))

# -----------------------------------------------------------------------------
locals_ = one_of_or(["anne", "o'hara", "first.last", "news+tag", '"anne smith"',
                     '"a,b"'],
                    st.from_regex(r"[a-z0-9_+-]{1,12}(\.[a-z0-9_+-]{1,12})?",
                                  fullmatch=True))

domains = st.sampled_from(["example.org", "mail.example.com", "[127.0.0.1]",
                           "xn--bcher-kva.example"])

names = one_of_or(["Anne", "Miller, Joe", "Zoë Müller", "Müller, Zoë", "王秀英",
                   'Joe "the" Plumber', "back\\slash", "O'Hara (Desk)",
                   "A. N. Other", "someone@example.net", "☺"],
                  st.text(st.characters(categories=["L", "N", "P", "S", "M", "Zs"]),
                          min_size=1, max_size=20))

@st.composite
def mailboxes(draw):
    """ One mailbox, in the ways people write them """

    address = "%s@%s" % (draw(locals_), draw(domains))
    if "[" in address:
        # With a name, the smtplib of newer Pythons can not read it
        return address

    form = draw(st.sampled_from(["bare", "bare", "quoted", "encoded", "simple",
                                 "comment", "spaces"]))
    name = draw(names)
    if form == "quoted":
        text = '"%s" <%s>' % (email.utils.quote(name), address)
    elif form == "encoded":
        text = email.utils.formataddr((name, address))
    elif form == "simple":
        text = "%s <%s>" % (draw(st.sampled_from(["Anne", "Anne Smith", "Zoë"])),
                            address)
    elif form == "comment":
        text = "%s (Anne)" % address
    elif form == "spaces":
        text = " %s " % address
    else:
        text = address

    if "xn--" in address and draw(st.booleans()):
        return Form(unicode_domain, text)
    return text

many = st.lists(mailboxes(), min_size=1, max_size=4)

# Everything that Mail.send takes, or pretends to take
addresses = st.one_of(mailboxes(),
                      many,
                      many.map(tuple),
                      many.map(lambda entries: Form(set, without([unicode_domain], entries))),
                      many.map(lambda entries: Form(commas, entries)),
                      many.map(lambda entries: [Form(commas, entries[1:] or [ANNE]), entries[0]]),
                      )

# -----------------------------------------------------------------------------
def files(texts, encoding):
    """ Texts, and files of them """

    forms = [texts, texts.map(lambda text: Form(StringIO, text))]
    if encoding == "latin-1":
        forms.append(texts.filter(is_latin1).map(lambda text: Form(latin1_file, text)))
    else:
        forms.append(texts.map(lambda text: Form(utf8_file, text)))
    return st.one_of(*forms)

def is_latin1(text):

    return all(ord(char) < 256 for char in text)

@st.composite
def messages(draw, encoding, raw, attached):
    """ The argument message """

    texts = files(bodies, encoding)
    single = st.one_of(texts, files(pages, encoding), lazy_bodies)
    if raw:
        return draw(single)

    html = st.one_of(files(pages, encoding), files(bodies, encoding), lazy_bodies)
    pairs = st.one_of(st.tuples(texts | lazy_bodies, html),
                      st.tuples(st.none(), files(pages, encoding)),
                      st.tuples(texts, st.none()))
    if attached:
        pairs |= st.tuples(st.none(), html | st.none())
        single |= st.none()
    if draw(st.booleans()):
        return draw(single)
    pair = draw(pairs)
    return list(pair) if draw(st.booleans()) else pair

# -----------------------------------------------------------------------------
filenames = one_of_or(["photo.png", "report.pdf", "data.csv", "Grüße aus Köln.txt",
                       "no extension", 'quo"te.txt', "semi;colon=.txt", "报告.html",
                       "a name with spaces that is longer than a line of a header "
                       "should be, by far.odt"],
                      st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]),
                              min_size=1, max_size=40))

attachments = st.builds(
    lambda required, more: Form(attachment, dict(required, **more)),
    st.fixed_dictionaries({"content": one_of_or([b"", b"\x89PNG\r\n\x1a\n", b"." * 999],
                                                st.binary(max_size=100)),
                           "filename": filenames,
                           }),
    optionally(content_id = st.sampled_from(["photo", "part1.06@example.org", "a b"]),
               content_type = st.sampled_from(["image/png", "text/plain",
                                               "text/calendar; method=REQUEST",
                                               "application/octet-stream"]),
               ),
    )

some_attachments = st.one_of(attachments,
                             st.lists(attachments, max_size=3),
                             st.lists(attachments, max_size=3).map(tuple))

# -----------------------------------------------------------------------------
header_names = one_of_or(["X-Mailer", "Auto-Submitted", "Subject", "In-Reply-To",
                          "x-lower"],
                         st.from_regex("X-[A-Za-z0-9-]{1,20}", fullmatch=True))

numbers = st.integers(0, 5).map(lambda number: Form(int, str(number)))

headers = st.builds(
    lambda some, more: dict(some, **more),
    st.dictionaries(header_names, lines | lazy_lines | numbers, max_size=3),
    optionally(**{"Message-ID": st.just("<20260101.1@example.org>"),
                  "Date": st.just("Thu, 01 Jan 2026 00:00:00 +0000"),
                  "Reply-To": mailboxes(),
                  }),
    )

# -----------------------------------------------------------------------------
@st.composite
def calls(draw):
    """ A call of Mail.send: its arguments by name, as a description """

    call = draw(optionally(
        subject = lines | lazy_lines | st.none(),
        cc = addresses | st.sampled_from([None, [], ""]),
        bcc = addresses,
        reply_to = addresses,
        sender = mailboxes(),
        from_address = mailboxes(),
        headers = headers,
        raw = st.booleans(),
        list_unsubscribe = st.sampled_from([ANNE, "leave@example.org?subject=no"]),
        encoding = st.sampled_from(["utf-8", "utf-8", "latin-1"]),
        ))
    call["to"] = draw(addresses)

    raw, encoding = call.get("raw"), call.get("encoding")
    if draw(st.integers(0, 2)) == 0:
        call["attachments"] = draw(some_attachments)
    attached = call.get("attachments") not in (None, [], ())
    if draw(st.integers(0, 9)):
        call["message"] = draw(messages(encoding, raw, attached))
    return call

# What it takes keys to compose with, and is stored all the same
options = optionally(cipher_type = st.sampled_from(["gpg", "x509"]),
                     sign = st.booleans(),
                     encrypt = st.booleans(),
                     x509_crypt_certfiles = st.lists(st.text(CHARACTERS), max_size=2),
                     x509_nocerts = st.booleans(),
                     )

# =============================================================================
# What has arrived
#
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

# =============================================================================
@pytest.fixture(scope="module")
def branch(tmp_path_factory):
    """ One app's mail for all the examples of a property """

    path = tmp_path_factory.mktemp("fidelity") / "storage.sqlite"
    with FakeRelay() as relay:
        office = Office("sqlite://%s" % path, relay)
        # No test pulls the plug
        office.db.executesql("PRAGMA synchronous=OFF")
        yield office
        office.close()

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
def positional(arguments, number):
    """ The first arguments by position, all others by name """

    arguments = dict(arguments)
    defaults = inspect.signature(Mail.send).parameters
    return [arguments.pop(name, defaults[name].default)
            for name in NAMES[:number]], arguments

# =============================================================================
# Failures come again at the next run, in the same form
reproducibly = settings(deadline = None,
                        derandomize = True,
                        print_blob = True,
                        suppress_health_check = [HealthCheck.too_slow],
                        # To explain a failure takes longer than to find it
                        phases = [phase for phase in Phase if phase != Phase.explain],
                        )

class TestFidelity:
    """ The mail that arrives is the one that web2py would deliver, whatever the call """

    @settings(reproducibly, max_examples=150)
    @given(call=calls(), number=st.integers(0, len(NAMES)))
    @example(call={"to": ANNE, "subject": "\x0bX-Spam: yes"}, number=0)
    @example(call={"to": ANNE, "subject": Form(T, "\x0c0")}, number=0)
    @example(call={"to": ANNE, "message": (None, ""), "attachments": A_FILE}, number=0)
    def test_a_mail_is_the_one_that_web2py_delivers(self, branch, call, number):
        """ Headers, parts and envelope are those of web2py's own mail """

        expected = by_web2py(branch, **spelled_out(call))
        args, kwargs = positional(fresh(call), number)
        arrived = through_the_queue(branch, *args, **kwargs)

        assert arrived.sender == expected.sender
        assert set(arrived.recipients) == set(expected.recipients)
        assert likeness(arrived.message) == likeness(expected.message)
        assert len(arrived.message.get_all("Message-ID")) == 1

    @settings(reproducibly, max_examples=150)
    @given(call=calls(), more=options)
    def test_a_stored_message_is_read_as_it_was_written(self, call, more):
        """ The stored form is complete and ASCII, so that no database changes it """

        arguments = {"message": "[no message]", **fresh(without([T], call)), **more}
        message = Message.read(arguments)

        head, body, parts = message.dump()

        assert Message.load(head, body, lambda: parts) == message
        assert (head + body).isascii()
        assert all(isinstance(part, bytes) for part in parts)

    @settings(reproducibly)
    @given(name = st.from_regex(HEADER_NAME, fullmatch=True),
           value = st.text(st.characters(exclude_categories=["Cs"],
                                         exclude_characters="\r\n\0")))
    @example(name="Subject", value="News ")
    @example(name="Subject", value="")
    @example(name="X-Name" * 20, value="Zoë " * 100)
    @example(name="Subject", value="w" * 3000)
    @example(name="Subject", value="a" + " " * 3000 + "b")
    def test_a_header_is_read_as_it_was_written(self, name, value):
        """ A header of any length has lines that each mail server takes (RFC 5322, RFC 2047) """

        written = FOLDED.fold(name, value)

        read = message_from_string(written)[name]
        assert decoded(unfolded(read)).strip(" ") == decoded(value).strip(" ")
        assert FOLDED.fold_binary(name, value).decode("ascii") == written
        assert FOLDED.fold(name, read) == written
        lines = written.splitlines()
        assert max(map(len, lines)) <= MAX_LINE_CHARS
        assert all(line.strip() for line in lines)
        assert all(len(line) <= 76 for line in lines if "=?utf-8?" in line)

# =============================================================================
class TestTheRightMail:
    """ Calls that web2py's own Mail.send gets wrong work """

    def test_all_addresses_in_one_text_get_the_mail(self, branch):
        """ All addresses of a text with commas get the mail, web2py delivers to the first """

        arrived = through_the_queue(branch, "anne@example.org, Bob <bob@example.org>",
                                    cc = "carl@example.org, dora@example.org",
                                    bcc = "emil@example.org,finn@example.org",
                                    )

        assert arrived.recipients == ["%s@example.org" % name for name in
                                      ("anne", "bob", "carl", "dora", "emil", "finn")]
        assert people(arrived.message["To"]) == (("", ANNE), ("Bob", BOB))

    def test_a_comma_in_a_name_does_not_separate(self, branch):
        """ A comma in a name does not separate recipients, also if the name is encoded """

        arrived = through_the_queue(branch, '"Miller, Joe" <bob@example.org>, '
                                            '"Müller, Zoë" <anne@example.org>')

        assert arrived.recipients == [BOB, ANNE]
        assert people(arrived.message["To"]) == (("Miller, Joe", BOB), ("Müller, Zoë", ANNE))

    @pytest.mark.parametrize("text, address", [
        ("Anne <anne@[127.0.0.1]>", "anne@[127.0.0.1]"),
        ("anne@example.org,", ANNE),
        ("anne@example.org (Anne, at work)", ANNE),
        ])
    def test_any_python_reads_an_address_the_same(self, branch, text, address):
        """ Addresses that the strict parser of newer Pythons refuses are read alike on all """

        assert through_the_queue(branch, text).recipients == [address]

    @pytest.mark.parametrize("address", ["who?@example.org", "100%s@example.org",
                                         "it's-10%-off@example.org"])
    def test_an_address_is_no_statement(self, branch, address):
        """ An address with characters that mean something in SQL or SMTP is stored as it is """

        assert through_the_queue(branch, address).recipients == [address]

    @pytest.mark.parametrize("name", [BOB, ANNE])
    @pytest.mark.parametrize("header, argument", [("From", "sender"), ("From", "from_address"),
                                                  ("To", "to"), ("Reply-To", "reply_to")])
    def test_a_name_gets_no_mail(self, branch, name, header, argument):
        """ A name with an @ gets no mail, although older Pythons take it for an address """

        arrived = through_the_queue(branch, **{"to": CARL,
                                               argument: "%s <%s>" % (name, ANNE)})

        assert arrived.recipients == [ANNE if argument == "to" else CARL]
        assert arrived.message[header] == '"%s" <%s>' % (name, ANNE)

    @pytest.mark.parametrize("more", ["cc", "bcc"])
    def test_a_tuple_may_have_a_copy(self, branch, more):
        """ Recipients may be a tuple where cc is given, web2py raises an AttributeError """

        arrived = through_the_queue(branch, (ANNE, BOB), **{more: [CARL]})

        assert arrived.recipients == [ANNE, BOB, CARL]

    def test_the_callers_arguments_are_not_changed(self, branch):
        """ The caller's lists are as before after send(), web2py appends to them """

        parts = fresh([A_FILE, A_FILE])
        content = parts[0].as_bytes()
        arguments = {"to": [ANNE], "cc": [BOB], "bcc": [CARL], "reply_to": [BOB],
                     "message": ["text", "<html></html>"], "headers": {"X-Mailer": "Eden"},
                     "attachments": list(parts)}
        before = {key: value[:] if isinstance(value, list) else dict(value)
                  for key, value in arguments.items()}

        first = through_the_queue(branch, **arguments)
        again = through_the_queue(branch, **arguments)

        assert arguments == before
        assert [part.as_bytes() for part in parts] == [content, content]
        assert likeness(again.message) == likeness(first.message)
        assert again.recipients == first.recipients

    def test_a_lazy_translation_is_made_in_its_request(self, branch):
        """ A lazy translation becomes text in the language of its request """

        words = {"name": "Anne"}
        branch.mail.send(ANNE, T("Hello, %(name)s", words), T("Dear %(name)s", words),
                         headers = {"X-Kind": T("for %(name)s", words)})
        branch.db.commit()
        words["name"] = "nobody"
        arrived = what_arrives(branch)

        assert arrived.message["Subject"] == "Hello, Anne"
        assert arrived.message["X-Kind"] == "for Anne"
        assert text_of(arrived) == "Dear Anne"

    def test_a_domain_may_be_in_any_script(self, branch):
        """ A domain in any script is written in its ASCII form (RFC 5891) """

        arrived = through_the_queue(branch, "Zoë <zoe@bücher.example>",
                                    sender = "leser@bücher.example",
                                    )

        assert arrived.recipients == ["zoe@xn--bcher-kva.example"]
        assert arrived.sender == "leser@xn--bcher-kva.example"
        assert people(arrived.message["To"]) == (("Zoë", "zoe@xn--bcher-kva.example"),)

    @pytest.mark.parametrize("header, argument", [("From", "from_address"), ("To", "to"),
                                                  ("Cc", "cc"), ("Reply-To", "reply_to")])
    def test_an_address_is_never_encoded(self, branch, header, argument):
        """ Only the name before an address is encoded (RFC 2047 section 5) """

        arrived = through_the_queue(branch, **{"to": BOB, argument: "Zoë <anne@example.org>"})

        assert arrived.message[header].endswith(" <%s>" % ANNE)
        assert people(arrived.message[header]) == (("Zoë", ANNE),)

    @pytest.mark.parametrize("text", ["Hello", "Grüße\n.\n\nAnne", "<html>Grüße</html>"])
    @pytest.mark.parametrize("make", [str, StringIO, utf8_file])
    def test_a_raw_message_is_sent_unchanged(self, branch, make, text):
        """ A raw message is sent as it is, from text or from a file """

        arrived = through_the_queue(branch, ANNE, "Grüße", make(text), raw=True)

        assert arrived.message.get_content_type() == "text/plain"
        assert text_of(arrived) == text
        assert decoded(arrived.message["Subject"]) == "Grüße"

    @pytest.mark.parametrize("make", [StringIO, utf8_file])
    def test_a_message_may_be_a_file(self, branch, make):
        """ A file may be the whole message, as web2py's documentation says """

        arrived = through_the_queue(branch, ANNE, message=make("<html>Grüße</html>"))

        assert arrived.message.get_content_type() == "text/html"
        assert text_of(arrived) == "<html>Grüße</html>"

    def test_no_subject_is_an_empty_one(self, branch):
        """ A subject of None becomes an empty one """

        assert through_the_queue(branch, ANNE, None).message["Subject"] == ""

    def test_a_number_may_be_a_header(self, branch):
        """ A header whose value is a number is written as text """

        arrived = through_the_queue(branch, ANNE, headers={"X-Priority": 1})

        assert arrived.message["X-Priority"] == "1"

    @pytest.mark.parametrize("argument", ["subject", "header", "name"])
    def test_a_line_break_in_a_header_is_a_space(self, branch, argument):
        """ No line break or vertical tab in a value begins another header """

        text = "News\x0bX-Spam: yes"
        arrived = through_the_queue(branch, **{
            "subject": {"to": ANNE, "subject": text},
            "header": {"to": ANNE, "headers": {"X-Kind": text}},
            "name": {"to": '"%s" <%s>' % (text, ANNE)},
            }[argument])

        assert "X-Spam" not in arrived.message
        assert any("News X-Spam: yes" in decoded(unfolded(value))
                   for value in arrived.message.values())

    @pytest.mark.parametrize("attachments", [None, [], ()])
    @pytest.mark.parametrize("message", [None, (None, None), (None, ""),
                                         Form(list, [None, Form(StringIO, "")])])
    def test_a_mail_without_content_is_refused(self, small_office, message, attachments):
        """ A mail without text, html and attachments is refused with a reason """

        assert small_office.mail.send(ANNE, "News", fresh(message), attachments) is False
        assert "message" in small_office.mail.error

    @pytest.mark.parametrize("setting", ["server", "sender"])
    def test_a_mail_without_its_setting_waits(self, small_office, setting):
        """ A mail whose cipher setting is missing is queued and waits for the setting """

        values = small_office.mail.settings
        value, values[setting] = values[setting], None
        assert small_office.mail.send(ANNE, "News", "There is news.")
        small_office.db.commit()
        small_office.drain()
        assert small_office.relay.mails == []

        values[setting] = value
        small_office.drain()

        assert len(small_office.relay.mails) == 1

    def test_all_attempts_have_one_message_id(self, small_office):
        """ All attempts of a message have the same Message-ID """

        small_office.relay.answer("RCPT", "451 4.3.0 Later", to=BOB, times=1)
        small_office.queue([ANNE, BOB])
        small_office.drain()
        small_office.later(600)
        small_office.retry()

        first, second = small_office.relay.mails
        assert (first.recipients, second.recipients) == ([ANNE], [BOB])
        assert re.fullmatch("<[^@]+@example.org>", first.message["Message-ID"])
        assert likeness(second.message) == likeness(first.message)
        assert second.message["Message-ID"] == first.message["Message-ID"]

    def test_the_callers_message_id_is_the_only_one(self, branch):
        """ A Message-ID of the caller's is the only one, in whatever case it is written """

        arrived = through_the_queue(branch, ANNE, headers={"message-id": "<1@example.org>"})

        assert arrived.message.get_all("Message-ID") == ["<1@example.org>"]

    def test_all_attempts_and_recipients_have_one_date(self, branch, monkeypatch):
        """ All attempts and recipients of a message have the Date of the call """

        assert branch.mail.send(ANNE, "News", "There is news.")
        branch.db.commit()
        monkeypatch.setattr(email.utils, "formatdate", lambda *args, **kwargs: LATER)
        arrived = what_arrives(branch)

        assert arrived.message.get_all("Date") != [LATER]
        assert len(arrived.message.get_all("Date")) == 1

    def test_a_header_of_the_callers_replaces_ours(self, branch):
        """ A header of the caller's replaces ours in any case, because RFC 5322 allows one """

        arrived = through_the_queue(branch, ANNE, "News", headers={"subject": "Other news",
                                                                   "DATE": LATER})

        assert arrived.message.get_all("Subject") == ["Other news"]
        assert arrived.message.get_all("Date") == [LATER]

# =============================================================================
LATER = "Fri, 01 Jan 2100 00:00:00 +0000"

HINDI = "आश्रय में आपका स्वागत है। "

class Signer:
    """ Stands for the module dkim: signs a message by its digest """

    @staticmethod
    def sign(message, **arguments):

        assert isinstance(message, bytes)
        return b"DKIM-Signature: v=1; d=%s;\r\n b=%s" % \
               (arguments["domain"], digest_of(message))

# -----------------------------------------------------------------------------
def digest_of(message):
    """ What a signature would be over: simple canonicalization (RFC 6376 section 3.4) """

    lines = b"\r\n".join(message.splitlines()).rstrip(b"\r\n") + b"\r\n"
    return hashlib.sha256(lines).hexdigest().encode("ascii")

# -----------------------------------------------------------------------------
def lines_of(arrived):
    """ The lines of a mail's content, as it came (list of str) """

    return arrived.content.decode("ascii").split("\r\n")

# =============================================================================
class TestLines:
    """ A message is sent as it was signed, in lines that each relay takes """

    @pytest.mark.parametrize("text", [HINDI * 5, HINDI * 20, "Новости " * 4000, "w" * 3000,
                                      "\U0001f6d6" * 200, "News " * 300, "a" + " " * 2000 + "b",
                                      "Grüße, " + "w" * 900])
    def test_a_long_text_in_a_header_is_folded(self, branch, text):
        """ The time to fold a long header grows with its length, not with its square """

        arrived = through_the_queue(branch, ANNE, text, headers={"X-Text": text})

        for name in ("Subject", "X-Text"):
            assert decoded(unfolded(arrived.message[name])) == text
        assert max(map(len, lines_of(arrived))) <= MAX_LINE_CHARS
        assert all(len(line) <= 76 for line in lines_of(arrived) if "=?utf-8?" in line)

    @pytest.mark.parametrize("sender, person, address", [
        ("Flüchtlingshilfe <shelter@example.org>", "Flüchtlingshilfe", "shelter@example.org"),
        ('"Müller, Zoë" <shelter@example.org>', "Müller, Zoë", "shelter@example.org"),
        ("Shelter, the <shelter@example.org>", "Shelter, the", "shelter@example.org"),
        ("Shelter <shelter@bücher.example>", "Shelter", "shelter@xn--bcher-kva.example"),
        ("a@example.org <a@example.org>", "a@example.org", "a@example.org"),
        ])
    def test_the_configured_sender_is_written_like_any_address(self, branch, sender, person,
                                                               address):
        """ The configured sender's name is encoded or quoted, the address is not """

        settings = branch.mail.settings
        before, settings.sender = settings.sender, sender
        try:
            arrived = through_the_queue(branch, ANNE)
        finally:
            settings.sender = before

        assert arrived.sender == address
        assert arrived.message["From"].endswith("<%s>" % address)
        assert people(arrived.message["From"]) == ((person, address),)

    @pytest.mark.parametrize("name", ["Disposition-Notification-To", "Errors-To", "Reply-To"])
    def test_an_address_in_a_further_header_is_never_encoded(self, branch, name):
        """ An address in a further header is not encoded (RFC 2047 section 5) """

        arrived = through_the_queue(branch, ANNE, headers={name: "Zoë <zoe@bücher.example>"})

        assert unfolded(arrived.message[name]).endswith(" <zoe@xn--bcher-kva.example>")

    def test_an_unknown_header_stays_as_it_is(self, branch):
        """ An unknown header in ASCII is not changed """

        arrived = through_the_queue(branch, ANNE, headers={"Errors-To": "undisclosed:;"})

        assert arrived.message["Errors-To"] == "undisclosed:;"

    def test_an_address_to_unsubscribe_may_be_of_any_domain(self, branch):
        """ A mailto address in List-Unsubscribe has its domain in ASCII """

        arrived = through_the_queue(branch, ANNE,
                                    list_unsubscribe = "leave@bücher.example?subject=größer")

        assert arrived.message["List-Unsubscribe"] == \
            "<mailto:leave@xn--bcher-kva.example?subject=gr%C3%B6%C3%9Fer>"

    @pytest.mark.parametrize("text", ["News", HINDI * 20, "News " * 60])
    def test_a_signed_message_arrives_unchanged(self, branch, monkeypatch, text):
        """ The signed text is the text that arrives, so that the DKIM signature is valid """

        monkeypatch.setitem(sys.modules, "dkim", Signer)
        monkeypatch.setitem(branch.mail.settings, "dkim", Storage(key="k", selector="s"))

        arrived = through_the_queue(branch, ["Zoë %s <p%s@example.org>" % (text[:300], number)
                                             for number in range(30)],
                                    text, HINDI * 20, fresh(A_FILE),
                                    headers = {"X-Text": text})

        content = arrived.content.replace(b"\r\n", b"\n")
        signed = re.sub(rb"DKIM-Signature: .*\n .*\n", b"", content)
        signature = unfolded(arrived.message["DKIM-Signature"]).rpartition(" b=")[2]
        assert signature == digest_of(signed).decode("ascii")
        assert " d=example.org;" in arrived.message["DKIM-Signature"]

    @settings(reproducibly)
    @given(some=st.lists(attachments, min_size=1, max_size=3), text=bodies, subject=lines)
    def test_a_signed_part_is_written_as_it_was_read(self, some, text, subject):
        """ A signed part is the same after it was parsed and written as text and as bytes """

        mail = MAKERS["MIMEMultipart"]("mixed")
        mail["Subject"] = subject.replace("\x0b", " ").replace("\u2029", " ")
        mail.attach(MAKERS["MIMEText"](text, _charset="utf-8"))
        for part in Message.read({"to": ANNE, "message": "", "attachments":
                                  fresh(some)}).attachments:
            mail.attach(email.message_from_bytes(part))

        written = mail.as_string()

        assert mail.as_bytes().decode("ascii") == written
        assert MAKERS["message_from_string"](written).as_string() == written
        assert max(map(len, written.splitlines())) <= MAX_LINE_CHARS

    @pytest.mark.parametrize("name", ["報" * 250, "w" * 255, "Ж" * 251 + ".odt", "a b" * 80])
    def test_a_long_filename_arrives(self, branch, name):
        """ A long filename arrives in lines that each relay takes (RFC 2231 section 3) """

        part = fresh(Form(attachment, {"content": b"x", "filename": name}))
        arrived = through_the_queue(branch, ANNE, attachments=part)

        assert unfolded(arrived.message.get_payload(1).get_filename()) == name
        assert max(map(len, lines_of(arrived))) <= MAX_LINE_CHARS

    def test_a_long_line_of_a_raw_message_arrives(self, branch):
        """ A raw message with a line over 998 characters arrives unchanged """

        arrived = through_the_queue(branch, ANNE, "News", "w" * 2000, raw=True)

        assert text_of(arrived) == "w" * 2000
        assert max(map(len, lines_of(arrived))) <= MAX_LINE_CHARS

# END =========================================================================
