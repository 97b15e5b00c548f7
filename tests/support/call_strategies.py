"""
    Strategies of hypothesis for calls of Mail.send
"""

import email.utils

from io import StringIO

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from .calls import Form, T, attachment, commas, latin1_file, unicode_domain, utf8_file, without

ANNE = "anne@example.org"

# Failures come again at the next run, in the same form
reproducibly = settings(deadline = None,
                        derandomize = True,
                        print_blob = True,
                        suppress_health_check = [HealthCheck.too_slow],
                        # To explain a failure takes longer than to find it
                        phases = [phase for phase in Phase if phase != Phase.explain],
                        )

# -----------------------------------------------------------------------------
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

# END =========================================================================
