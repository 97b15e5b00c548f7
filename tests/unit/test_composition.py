"""
    Composition: a message is sent as it was signed, in lines that each relay takes
"""

import email
import hashlib
import re
import sys

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from gluon.storage import Storage

from support.arrival import lines_of, through_the_queue, unfolded
from support.call_strategies import attachments, bodies, lines, reproducibly
from support.calls import A_FILE, Form, attachment, fresh

from mails3.message.composition import makers
from mails3.message.header import FOLDED, MAX_LINE_CHARS
from mails3.message.stored import Message

ANNE = "anne@example.org"

MAKERS = makers(FOLDED)

HINDI = "आश्रय में आपका स्वागत है। "

# =============================================================================
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

# =============================================================================
class TestComposition:
    """ A composed message is the same wherever it is written """

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

# END =========================================================================
