"""
    What send() promises to its caller
"""

import inspect
import io
import json
import smtplib
import sys
import textwrap

from datetime import datetime, timedelta, timezone

import pytest

from conftest import FakeRelay, Office
from gluon import tools
from gluon.html import DIV
from gluon.storage import Storage
from gluon.tools import Mail

from mails3.states import SENT, UNSENT
from mails3.message.stored import Message

ANNE, BOB = "anne@example.org", "bob@example.org"

def attachment(size=10):
    """ An attachment of some bytes """

    return Mail.Attachment(io.BytesIO(b"x" * size), filename="file.bin")

class Broken:
    """ A file that can't be read """

    def read(self):

        raise RuntimeError("secret words")

# -----------------------------------------------------------------------------
def newer_send(signature):
    """ Mail.send as it may be one day, with one more argument: importance """

    source = textwrap.dedent(inspect.getsource(Mail.send))
    head, docstring, body = source.split('"""', 2)
    head = head.replace("\n):", "\n    %s):" % signature)
    value = "more['importance']" if "more" in signature else "importance"
    body = "\n    headers = dict(headers, **{'X-Importance': str(%s)})%s" % (value, body)

    names = {}
    exec('"""'.join((head, docstring, body)), vars(tools), names)
    return names["send"]

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
    "too long an address":      (dict(to="a" * 65 + "@example.org"), "address"),
    "a number as recipient":    (dict(to=5), "address"),
    "a number in the list":     (dict(to=[5]), "to"),
    "a malformed cc":           (dict(cc="bob"), "cc"),
    "a malformed bcc":          (dict(bcc=["bob@"]), "bcc"),
    "a malformed reply_to":     (dict(reply_to="bob@"), "reply_to"),
    "a malformed sender":       (dict(sender="bob"), "sender"),
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
    "a name outside ASCII":     (dict(to="änne@example.org"), "ASCII"),
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
    """ What can't be a mail is refused, with a reason """

    @pytest.mark.parametrize("verb", ["send", "send_direct_email"])
    @pytest.mark.parametrize("case", BAD_INPUT)
    def test_it_is_refused_and_nothing_is_stored(self, small_office, verb, case, caplog):
        """ False, the error says what; no exception, the transaction usable """

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

# =============================================================================
class TestEnqueue:
    """ One transaction with the caller """

    def test_rolled_back_it_has_never_existed(self, office):
        """ The mail goes with the registration that it was about """

        assert office.mail.send(ANNE, "News", "There is news.", attachments=attachment())
        office.db.rollback()

        for name in ("msg_outbox", "mails3_message", "mails3_attachment", "mails3_delivery"):
            assert office.db(office.db[name]).isempty()

    def test_the_callers_transaction_is_not_committed(self, office):
        """ Not even if nothing was written in it before """

        assert office.mail.send(ANNE, "News", "There is news.")

        other = office.connection()
        assert other(other.msg_outbox).isempty()
        other.close()

    def test_what_the_caller_wrote_is_neither_committed_nor_lost(self, office):
        """ The queue's savepoint is its own """

        office.db.msg_outbox.insert(address="before@example.org")
        assert office.mail.send(ANNE, "News", "There is news.")
        office.db.rollback()
        assert office.db(office.db.msg_outbox).isempty()

        office.db.msg_outbox.insert(address="before@example.org")
        assert office.mail.send(ANNE, "News", "There is news.")
        office.db.commit()
        assert office.db(office.db.msg_outbox).count() == 2

    def test_a_row_tells_what_eden_tells(self, office):
        """ One for each recipient: address, method, status, retries """

        office.given["max_retries"] = 9
        assert office.mail.send(["Anne <anne@example.org>"], "News", "News.", bcc=BOB)
        office.db.commit()

        rows = office.db(office.db.msg_outbox).select(orderby=office.db.msg_outbox.id)
        assert [(row.address, row.contact_method, row.status, row.retries) for row in rows] == \
               [(ANNE, "EMAIL", UNSENT, 9), (BOB, "EMAIL", UNSENT, 9)]

    def test_nothing_of_the_configuration_is_stored(self, small_office):
        """ A repair takes effect on mail that is already queued """

        office = small_office
        office.mail.settings.login = "shelter:password"
        anne = office.queue(ANNE)
        office.mail.settings.login = None
        office.mail.settings.sender = "new@example.org"

        office.drain()

        assert office.status(anne) == SENT
        assert office.relay.mails[0].sender == "new@example.org"

    def test_one_key_is_one_message(self, office):
        """ A double click is no second mail, nor is a repeat after the first is sent """

        for _ in range(2):
            assert office.mail.send(ANNE, "News", "There is news.", idempotency_key="order 17")
        office.db.commit()
        office.drain()
        assert office.mail.send(ANNE, "News", "There is news.", idempotency_key="order 17")
        office.db.commit()
        office.drain()

        assert len(office.relay.mails) == 1

    def test_the_end_of_a_mail_may_be_told_in_many_ways(self, small_office):
        """ A time, with a zone or without, a span, a number of seconds """

        office = small_office
        now = datetime.now(timezone.utc)
        for expires in (now + timedelta(hours=1), now.replace(tzinfo=None) + timedelta(hours=1),
                        timedelta(hours=1), 3600):
            office.queue(ANNE, expires=expires)

        table = office.db.mails3_message
        for row in office.db(table).select():
            assert abs(row.expires_on - row.queued_on - timedelta(hours=1)).total_seconds() < 5

    @pytest.mark.parametrize("secret", [
        {"sign_passphrase": "secret"},
        {"x509_sign_keyfile": "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----"},
        ])
    def test_secrets_are_not_stored(self, small_office, secret):
        """ A call that carries one is sent directly """

        office = small_office
        assert office.mail.send(ANNE, "News", "There is news.", **secret)

        assert office.db(office.db.msg_outbox).isempty()
        assert len(office.relay.mails) == 1

    def test_the_key_of_dkim_is_not_stored(self, small_office, caplog):
        """ In whatever form; nor is it told when Mail.send fails over it """

        office = small_office
        assert office.mail.send(ANNE, "News", "There is news.",
                                dkim = Storage(key="secret", selector="shelter")) is False

        assert office.db(office.db.msg_outbox).isempty()
        assert "secret" not in caplog.text + office.mail.error

    def test_a_live_connection_is_used_at_once(self, small_office):
        """ remote_server can't be stored """

        with smtplib.SMTP(small_office.relay.host, small_office.relay.port) as server:
            assert small_office.mail.send(ANNE, "News", "There is news.", remote_server=server)

        assert small_office.relay.mails[0].recipients == [ANNE]
        assert small_office.relay.connections == 1

    def test_the_arguments_of_both_dialects_are_taken(self, small_office):
        """ web2py 2.x has encoding, 3.x has not: Eden-ASP passes it all the same """

        assert small_office.mail.send(ANNE, "News", "There is news.", encoding="utf-8")
        assert small_office.mail.send(ANNE, "News", io.BytesIO("Übung".encode("latin-1")),
                                      encoding = "latin-1")
        small_office.db.commit()
        small_office.drain()

        news = small_office.relay.mails[1].message
        assert news.get_payload(decode=True).decode("utf-8").strip() == "Übung"

    @pytest.mark.parametrize("signature", ["importance=None", "**more"])
    def test_an_argument_of_a_newer_web2py_reaches_its_send(self, small_office, signature,
                                                            monkeypatch):
        """ Whether it is named there, or one of any """

        monkeypatch.setattr(Mail, "send", newer_send(signature))

        small_office.queue(ANNE, importance="high")
        small_office.drain()

        assert small_office.relay.mails[0].message["X-Importance"] == "high"

    def test_what_can_not_be_stored_is_sent_at_once(self, small_office, monkeypatch, caplog):
        """ Like an object that only this web2py's send() knows what to do with """

        monkeypatch.setattr(Mail, "send", newer_send("importance=None"))

        assert small_office.mail.send(ANNE, "News", "There is news.", importance=object())

        assert small_office.relay.mails[0].message["X-Importance"].startswith("<object")
        assert small_office.db(small_office.db.msg_outbox).isempty()
        assert "can't be queued" in caplog.text

    def test_the_stored_form_is_no_pickle(self, small_office):
        """ JSON with a version, readable for those who come later """

        small_office.queue(ANNE, attachments=attachment())
        row = small_office.db(small_office.db.mails3_message).select().first()

        assert json.loads(row.head)["version"] == 1
        assert json.loads(row.body) == "There is news."

# =============================================================================
class TestSettings:
    """ What a request changes in mail.settings is for its own mail """

    def test_a_sender_of_this_request_goes_with_its_mail(self, office):
        """ And with no other, whatever the sender is when it leaves """

        office.mail.note_configuration()
        settings, sender = office.mail.settings, office.mail.settings.sender
        office.queue(ANNE)
        settings.sender = "Camp, the <camp@example.org>"
        office.queue(BOB)
        settings.sender = sender

        worker = office.mailer(office.connection())
        worker.settings.sender = "Repaired <new@example.org>"
        worker.drain()
        worker.db.close()

        anne, bob = office.relay.mails
        assert (anne.sender, anne.message["From"]) == \
               ("new@example.org", "Repaired <new@example.org>")
        assert (bob.sender, bob.message["From"]) == \
               ("camp@example.org", '"Camp, the" <camp@example.org>')

    def test_the_sender_of_a_call_is_preferred(self, small_office):
        """ To the one that this request has put into the settings """

        small_office.mail.note_configuration()
        small_office.mail.settings.sender = "camp@example.org"
        small_office.queue(ANNE, sender=BOB)
        small_office.drain()

        assert small_office.relay.mails[0].sender == BOB

    def test_a_setting_that_is_an_argument_as_well_goes_with_the_mail(self, small_office):
        """ As if it had been given in the call """

        small_office.mail.note_configuration()
        small_office.mail.settings.list_unsubscribe = "leave@example.org"
        small_office.queue(ANNE)
        small_office.mail.settings.list_unsubscribe = None
        small_office.drain()

        assert small_office.relay.mails[0].message["List-Unsubscribe"] == \
            "<mailto:leave@example.org>"

    @pytest.mark.parametrize("setting", ["server", "login", "cipher_type"])
    def test_what_can_not_go_with_a_mail_has_it_sent_at_once(self, small_office, setting):
        """ Another server, a login (a secret), no encryption where the models have some """

        with FakeRelay(login=("camp", "secret")) as other:
            settings = small_office.mail.settings
            settings.cipher_type = "x509" if setting == "cipher_type" else None
            settings.server = other.address if setting == "login" else settings.server
            small_office.mail.note_configuration()
            settings[setting] = {"server": other.address, "login": "camp:secret",
                                 "cipher_type": None}[setting]
            other.login = None if setting == "server" else other.login

            assert small_office.mail.send(ANNE, "News", "There is news."), \
                small_office.mail.error

            relay = small_office.relay if setting == "cipher_type" else other
            assert relay.mails[0].recipients == [ANNE]
            assert small_office.db(small_office.db.mails3_message).isempty()

    def test_a_secret_of_this_request_is_not_stored(self, small_office):
        """ Like the passphrase of a key """

        small_office.mail.note_configuration()
        small_office.mail.settings.sign_passphrase = "secret"

        assert small_office.mail.send(ANNE, "News", "There is news.")

        assert small_office.db(small_office.db.mails3_message).isempty()
        assert len(small_office.relay.mails) == 1

    def test_a_changed_sender_is_no_changed_configuration(self, small_office):
        """ The breaker stays tripped when a request without a worker has its own sender """

        small_office.given["fallback"] = "yes"
        small_office.mail.note_configuration()
        small_office.relay.answer("CONNECT", "421 4.3.2 Not now")
        small_office.queue(ANNE)
        connections = small_office.relay.connections

        small_office.mail.settings.sender = "camp@example.org"
        small_office.queue(BOB)

        assert small_office.relay.connections == connections

    def test_a_developers_mail_is_logged_and_not_queued(self, small_office, caplog):
        """ The worker, which is not local, would send it to real people """

        server = small_office.mail.settings.server
        small_office.mail.settings.server = "logging"
        assert small_office.mail.send(ANNE, "News", "There is news.")
        small_office.db.commit()
        small_office.mail.settings.server = server
        small_office.drain()

        assert "To: %s" % ANNE in caplog.text
        assert small_office.relay.connections == 0
        assert small_office.db(small_office.db.msg_outbox).isempty()

    def test_a_file_that_can_not_be_logged_to_is_an_error_and_no_exception(self, small_office):
        """ settings.server = "logging:" and a path """

        small_office.mail.settings.server = "logging:/nowhere/at/all"

        assert small_office.mail.send(ANNE, "News", "There is news.") is False
        assert "nowhere" not in small_office.mail.error

# =============================================================================
class TestQueueFails:
    """ If the queue can't take a mail, it is sent directly """

    def test_a_table_is_missing(self, office, caplog):
        """ The caller's transaction stays usable, the log has the reason """

        office.db.executesql("DROP TABLE mails3_delivery")
        office.db.commit()
        office.db.msg_outbox.insert(address="before@example.org")

        assert office.mail.send(ANNE, "News", "There is news.")

        office.db.msg_outbox.insert(address="after@example.org")
        office.db.commit()
        assert [row.address for row in office.db(office.db.msg_outbox).select()] == \
               ["before@example.org", "after@example.org"]
        assert len(office.relay.mails) == 1
        assert "can't be queued" in caplog.text

    def test_and_neither_does_the_relay(self, small_office, caplog):
        """ False, and the visitor does not learn the relay's words """

        small_office.db.executesql("DROP TABLE mails3_delivery")
        small_office.relay.answer("RCPT", "550 5.1.1 Words for the admin")

        assert small_office.mail.send(ANNE, "News", "There is news.") is False
        assert "Words" not in str(small_office.mail.error)
        assert "Words for the admin" in caplog.text

# =============================================================================
class TestSendDirect:
    """ send_direct_email is what Mail.send should have been """

    def test_it_sends_now(self, small_office):
        """ True: every recipient was accepted """

        assert small_office.mail.send_direct_email([ANNE, BOB], "News", "There is news.") is True
        assert small_office.mail.error is None
        assert small_office.relay.mails[0].recipients == [ANNE, BOB]

    def test_a_partial_refusal_is_told(self, small_office):
        """ Who was refused, and in what words """

        small_office.relay.answer("RCPT", "550 5.1.1 No such user", to=BOB)

        assert small_office.mail.send_direct_email([ANNE, BOB], "News", "News.") is False
        assert small_office.mail.result == {BOB: (550, "5.1.1 No such user")}
        assert "No such user" in str(small_office.mail.error)
        assert small_office.relay.mails[0].recipients == [ANNE]

    @pytest.mark.parametrize("setting, value", [("server", None), ("server", 5),
                                                ("server", "127.0.0.1:port"),
                                                ("sender", None), ("sender", "nobody"),
                                                ("login", "nonsense"), ("tls", True)])
    def test_a_wrong_setting_is_an_error_and_no_exception(self, small_office, setting, value):
        """ Not even those that make web2py's own Mail.send raise """

        small_office.mail.settings[setting] = value

        assert small_office.mail.send_direct_email(ANNE, "News", "There is news.") is False
        assert small_office.mail.error

    @pytest.mark.parametrize("step", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BODY"])
    def test_a_relay_that_goes_away_is_an_error_and_no_exception(self, small_office, step):
        """ At whatever point of the dialogue """

        small_office.relay.drop(step)

        assert small_office.mail.send_direct_email(ANNE, "News", "There is news.") is False
        assert small_office.mail.error

    def test_no_password_gets_into_an_error(self, tmp_path, caplog):
        """ Not even if the relay repeats it """

        with FakeRelay(login=("shelter", "right")) as relay:
            office = Office("sqlite://%s" % (tmp_path / "storage.sqlite"), relay)
            office.mail.settings.login = "shelter-user:pass-word"
            relay.answer("AUTH", "535 5.7.8 No such login: shelter-user pass-word")

            assert office.mail.send_direct_email(ANNE, "News", "News.") is False
            for text in (str(office.mail.error), caplog.text):
                assert "pass-word" not in text and "shelter-user" not in text
            office.close()

# =============================================================================
class TestFallback:
    """ Without a scheduler, a mail is tried at once, as part of the request """

    def test_it_leaves_at_once(self, office):
        """ And is marked as sent when the caller commits """

        office.given["fallback"] = "yes"
        anne = office.queue(ANNE)

        assert office.status(anne) == SENT
        assert len(office.relay.mails) == 1

    def test_a_dead_relay_is_not_the_callers_trouble(self, office, caplog):
        """ The mail stays queued, the log has the reason """

        office.given["fallback"] = "yes"
        office.relay.stop()

        anne = office.queue(ANNE)

        assert office.mail.error is None
        assert office.status(anne) == UNSENT
        assert "Mail is held" in caplog.text

    def test_a_silent_relay_is_waited_for_once(self, office):
        """ Not by every visitor: the queue is held """

        office.given.update(fallback="yes", fallback_timeout="1")
        office.relay.silence("CONNECT")

        office.queue(ANNE, BOB)

        assert office.relay.connections == 1

    def test_it_does_not_commit(self, office):
        """ The caller may still roll back """

        office.given["fallback"] = "yes"
        assert office.mail.send(ANNE, "News", "There is news.")

        office.db.rollback()

        assert office.db(office.db.msg_outbox).isempty()

# =============================================================================
def test_no_state_is_kept_in_a_module(small_office):
    """ A fork, a thread or another app in the process would share it """

    def state():
        return {(module.__name__, name): value if callable(value) else repr(value)
                for module in list(sys.modules.values())
                if module.__name__.partition(".")[0] == "mails3"
                for name, value in vars(module).items() if not name.startswith("__")}

    before = state()
    small_office.relay.answer("RCPT", "451 4.2.1 Later", to=BOB)
    small_office.queue(ANNE, BOB)
    small_office.drain()
    small_office.retry()
    small_office.mail.send_direct_email(ANNE, "News", "There is news.")

    assert state() == before

# -----------------------------------------------------------------------------
def test_a_stored_message_of_a_newer_version_is_not_guessed_at():
    """ It is for a newer MailS3 to read """

    with pytest.raises(ValueError):
        Message.load('{"version": 2, "attachments": 0}', '""', list)

# END =========================================================================
