"""
    Bad input: what can't be a mail is refused, and not stored
"""

import io

import pytest

from gluon.html import DIV
from gluon.tools import Mail

ANNE = "anne@example.org"

# -----------------------------------------------------------------------------
def attachment(size=10):
    """ An attachment of some bytes """

    return Mail.Attachment(io.BytesIO(b"x" * size), filename="file.bin")

# =============================================================================
class Broken:
    """ A file that can't be read """

    def read(self):

        raise RuntimeError("secret words")

# -----------------------------------------------------------------------------
# What can't be a mail, and a word of the answer
BAD_INPUT = {
    "no recipient":             (dict(to=None), "recipient"),
    "an empty recipient":       (dict(to=""), "recipient"),
    "an empty list":            (dict(to=[]), "recipient"),
    "a blank recipient":        (dict(to="  "), "address"),
    "an empty one among others": (dict(to=[ANNE, ""]), "address"),
    "no address":               (dict(to="anne"), "address"),
    "two @":                    (dict(to="anne@@example.org"), "address"),
    "no domain":                (dict(to="anne@"), "address"),
    "a space":                  (dict(to="an ne@example.org"), "address"),
    "two dots":                 (dict(to="anne@example..org"), "address"),
    "a bracket left open":      (dict(to="Anne <anne@example.org"), "address"),
    "too long an address":      (dict(to="a" * 243 + "@example.org"), "address"),
    "a number as recipient":    (dict(to=5), "address"),
    "a number in the list":     (dict(to=[5]), "to"),
    "a malformed cc":           (dict(cc="bob"), "cc"),
    "a malformed bcc":          (dict(bcc=["bob@"]), "bcc"),
    "a malformed reply_to":     (dict(reply_to="bob@"), "reply_to"),
    "a malformed sender":       (dict(sender="bob"), "sender"),
    "no From at all":           (dict(from_address="<>"), "from_address"),
    "no recipient's address":   (dict(to="<>"), "to"),
    "no such IP address":       (dict(to="anne@[300.0.2.1]"), "address"),
    "a malformed from_address": (dict(from_address="bob"), "from_address"),
    "CR in an address":         (dict(to="anne@example.org\rBcc: x@example.org"), "to"),
    "LF in a name":             (dict(to="Anne\n <anne@example.org>"), "to"),
    "NUL in an address":        (dict(to="anne@example.org\0"), "to"),
    "LF in cc":                 (dict(cc="bob@example.org\nX: y"), "cc"),
    "LF in the sender":         (dict(sender="bob@example.org\nX: y"), "sender"),
    "LF in the subject":        (dict(subject="News\nBcc: x@example.org"), "subject"),
    "CR in the subject":        (dict(subject="News\rX"), "subject"),
    "NUL in the subject":       (dict(subject="News\0"), "subject"),
    "LF in a header":           (dict(headers={"X-A": "b\nBcc: x@example.org"}), "X-A"),
    "CR in a header":          (dict(headers={"X-A": "b\rBcc: x@example.org"}), "X-A"),
    "NUL in a header":         (dict(headers={"X-A": "b\0"}), "X-A"),
    "NUL in a header's name":  (dict(headers={"X-A\0": "b"}), "header"),
    "LF in a header's name":    (dict(headers={"X-A\nBcc": "x"}), "header"),
    "a colon in a header's name": (dict(headers={"X-A:": "x"}), "header"),
    "LF in list_unsubscribe":   (dict(list_unsubscribe="a@example.org>\nX: <"), "unsubscribe"),
    "a character that nobody sees": (dict(to="anne\u200b@example.org"), "Invisible"),
    "a space of another script": (dict(to="änne\u3000b@example.org"), "Invisible"),
    "a line end of Unicode in a name": (dict(to="änne\u2028Bcc: x@example.org"), "to"),
    "a surrogate in the address": (dict(to="an\ud800ne@example.org"), "to"),
    "a surrogate in the subject": (dict(subject="\ud800"), "subject"),
    "a surrogate in the message": (dict(message="\ud800"), "message"),
    "a surrogate in a header":  (dict(headers={"X-A": "\ud800"}), "X-A"),
    "no message":               (dict(message=None), "message"),
    "neither text nor html":    (dict(message=(None, None)), "message"),
    "bytes as message":         (dict(message=b"There is news."), "message"),
    "a DIV as message":         (dict(message=DIV("There is news.")), "message"),
    "three messages":           (dict(message=("a", "b", "c")), "message"),
    "a file that fails":        (dict(message=Broken()), "read"),
    "100 MB":                   (dict(message="x" * 100000000), "too large"),
    "too large an attachment":  (dict(attachments=attachment(11000000)), "too large"),
    "too many attachments":     (dict(attachments=[attachment(3000000)] * 3), "too large"),
    "an attachment that is none": (dict(attachments="file.bin"), "attachment"),
    "a list of no attachments": (dict(attachments=["file.bin"]), "attachment"),
    "headers that are no dict": (dict(headers=["X-A: b"]), "headers"),
    "too long a subject":       (dict(subject="Ж" * 50000), "subject"),
    "too long a header":        (dict(headers={"X-A": "b " * 50000}), "X-A"),
    "too long a name of a header": (dict(headers={"X-" * 500: "b"}), "header"),
    "headers of 100 MB":        (dict(headers={"X-%s" % number: "b" * 30000
                                               for number in range(400)}), "too large"),
    "too many recipients":      (dict(to=[ANNE] * 100000), "Too long: to"),
    "too long a mailbox":       (dict(to="A " * 5000 + "<%s>" % ANNE), "Too long an address"),
    "too long a name of somebody": (dict(to="A " * 500 + "<%s>" % ANNE), "Too long a name"),
    "a name that never ends":   (dict(reply_to='"\\' * 400000), "reply_to"),
    "brackets that never end":  (dict(cc="<" * 900000), "cc"),
    "comments that never end":  (dict(bcc="(" * 900000), "bcc"),
    "too long a filename":      (dict(attachments=Mail.Attachment(io.BytesIO(b""), "x" * 300)),
                                 "name of an attachment"),
    "an unknown argument":      (dict(subjet="News"), "subjet"),
    "a priority out of range":  (dict(priority=10), "priority"),
    "a priority in words":      (dict(priority="high"), "priority"),
    "an end that is no time":   (dict(expires="tomorrow"), "expires"),
    "too long a key":           (dict(idempotency_key="x" * 129), "idempotency_key"),
    }

# =============================================================================
class TestBadInput:
    """ Bad input is refused, with a reason """

    @pytest.mark.parametrize("verb", ["send", "send_direct_email"])
    @pytest.mark.parametrize("case", BAD_INPUT)
    def test_bad_input_is_refused_and_not_stored(self, small_office, verb, case, caplog):
        """
            send() returns False with a reason for bad input, raises nothing and leaves the
            transaction usable
        """

        arguments, word = BAD_INPUT[case]
        db = small_office.db
        db.msg_outbox.insert(address="before@example.org")

        done = getattr(small_office.mail, verb)(**{"to": ANNE,
                                                   "subject": "News",
                                                   "message": "There is news.",
                                                   **arguments,
                                                   })

        assert done is False
        assert word in small_office.mail.error
        assert "secret" not in caplog.text
        db.commit()
        assert db(db.msg_outbox).count() == 1
        assert db(db.mails3_message).isempty()
        assert small_office.relay.connections == 0

# END =========================================================================
