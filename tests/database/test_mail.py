"""
    The promises of send() to its caller
"""

import inspect
import io
import json
import smtplib
import sys
import textwrap

from datetime import datetime, timedelta, timezone

import pytest

from support.fake_relay import FakeRelay
from support.office import Office
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

# =============================================================================
class TestEnqueue:
    """ A mail is queued in the caller's transaction """

    def test_a_rolled_back_mail_never_existed(self, office):
        """ A mail is rolled back with the registration that it was about """

        assert office.mail.send(ANNE, "News", "There is news.", attachments=attachment())
        office.db.rollback()

        for name in ("msg_outbox", "mails3_message", "mails3_attachment", "mails3_delivery"):
            assert office.db(office.db[name]).isempty()

    def test_the_callers_transaction_is_not_committed(self, office):
        """ send() commits nothing, also if the caller has written nothing before """

        assert office.mail.send(ANNE, "News", "There is news.")

        other = office.connection()
        assert other(other.msg_outbox).isempty()
        other.close()

    def test_the_callers_rows_are_neither_committed_nor_lost(self, office):
        """ A mail that can't be queued leaves the caller's rows uncommitted and in place """

        office.db.msg_outbox.insert(address="before@example.org")
        assert office.mail.send(ANNE, "News", "There is news.")
        office.db.rollback()
        assert office.db(office.db.msg_outbox).isempty()

        office.db.msg_outbox.insert(address="before@example.org")
        assert office.mail.send(ANNE, "News", "There is news.")
        office.db.commit()
        assert office.db(office.db.msg_outbox).count() == 2

    def test_an_outbox_row_is_like_edens(self, office):
        """ Each recipient has an outbox row with address, method, status and retries """

        office.given["max_retries"] = 9
        assert office.mail.send(["Anne <anne@example.org>"], "News", "News.", bcc=BOB)
        office.db.commit()

        rows = office.db(office.db.msg_outbox).select(orderby=office.db.msg_outbox.id)
        assert [(row.address, row.contact_method, row.status, row.retries) for row in rows] == \
               [(ANNE, "EMAIL", UNSENT, 9), (BOB, "EMAIL", UNSENT, 9)]

    def test_the_configuration_is_not_stored(self, small_office):
        """ A repair of the configuration takes effect on mail that is already queued """

        office = small_office
        office.mail.settings.login = "shelter:password"
        anne = office.queue(ANNE)
        office.mail.settings.login = None
        office.mail.settings.sender = "new@example.org"

        office.drain()

        assert office.status(anne) == SENT
        assert office.relay.mails[0].sender == "new@example.org"

    def test_one_idempotency_key_is_one_message(self, office):
        """
            A second send() with the same key queues nothing, also after the first message was
            sent
        """

        for _ in range(2):
            assert office.mail.send(ANNE, "News", "There is news.", idempotency_key="order 17")
        office.db.commit()
        office.drain()
        assert office.mail.send(ANNE, "News", "There is news.", idempotency_key="order 17")
        office.db.commit()
        office.drain()

        assert len(office.relay.mails) == 1

    def test_an_expiry_may_be_given_in_many_ways(self, small_office):
        """ `expires` is a time with or without a zone, a span or a number of seconds """

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
        """ A call that carries a secret is sent directly and not stored """

        office = small_office
        assert office.mail.send(ANNE, "News", "There is news.", **secret)

        assert office.db(office.db.msg_outbox).isempty()
        assert len(office.relay.mails) == 1

    def test_the_key_of_dkim_is_not_stored(self, small_office, caplog):
        """ A DKIM key in any form is neither stored nor shown when Mail.send fails """

        office = small_office
        assert office.mail.send(ANNE, "News", "There is news.",
                                dkim = Storage(key="secret", selector="shelter")) is False

        assert office.db(office.db.msg_outbox).isempty()
        assert "secret" not in caplog.text + office.mail.error

    def test_a_live_connection_is_used_at_once(self, small_office):
        """ A call with remote_server is sent directly """

        with smtplib.SMTP(small_office.relay.host, small_office.relay.port) as server:
            assert small_office.mail.send(ANNE, "News", "There is news.", remote_server=server)

        assert small_office.relay.mails[0].recipients == [ANNE]
        assert small_office.relay.connections == 1

    def test_the_arguments_of_both_dialects_are_taken(self, small_office):
        """ send() takes the arguments of web2py 2.x and 3.x, `encoding` included """

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
        """ An argument that only a newer Mail.send has reaches it, named or by ** """

        monkeypatch.setattr(Mail, "send", newer_send(signature))

        small_office.queue(ANNE, importance="high")
        small_office.drain()

        assert small_office.relay.mails[0].message["X-Importance"] == "high"

    def test_an_unstorable_argument_is_sent_directly(self, small_office, monkeypatch, caplog):
        """ A call with an object that can't be stored is sent directly """

        monkeypatch.setattr(Mail, "send", newer_send("importance=None"))

        assert small_office.mail.send(ANNE, "News", "There is news.", importance=object())

        assert small_office.relay.mails[0].message["X-Importance"].startswith("<object")
        assert small_office.db(small_office.db.msg_outbox).isempty()
        assert "can't be queued" in caplog.text

    def test_the_stored_form_is_no_pickle(self, small_office):
        """ A message is stored as JSON with a version """

        small_office.queue(ANNE, attachments=attachment())
        row = small_office.db(small_office.db.mails3_message).select().first()

        assert json.loads(row.head)["version"] == 1
        assert json.loads(row.body) == "There is news."

# =============================================================================
class TestSettings:
    """ A change of mail.settings in a request concerns its own mail """

    def test_a_sender_of_this_request_goes_with_its_mail(self, office):
        """ A sender that a request has set goes with its mail and no other """

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
        """ A sender given in the call wins over one that the request has set """

        small_office.mail.note_configuration()
        small_office.mail.settings.sender = "camp@example.org"
        small_office.queue(ANNE, sender=BOB)
        small_office.drain()

        assert small_office.relay.mails[0].sender == BOB

    def test_a_changed_cipher_setting_goes_with_the_mail(self, small_office):
        """ A changed setting that is also an argument of send() works like that argument """

        small_office.mail.note_configuration()
        small_office.mail.settings.list_unsubscribe = "leave@example.org"
        small_office.queue(ANNE)
        small_office.mail.settings.list_unsubscribe = None
        small_office.drain()

        assert small_office.relay.mails[0].message["List-Unsubscribe"] == \
            "<mailto:leave@example.org>"

    @pytest.mark.parametrize("setting", ["server", "login", "cipher_type"])
    def test_a_changed_server_has_the_mail_sent_directly(self, small_office, setting):
        """
            A mail is sent directly if its request has changed the server, the login or the
            encryption
        """

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
        """ A passphrase that a request has set is not stored """

        small_office.mail.note_configuration()
        small_office.mail.settings.sign_passphrase = "secret"

        assert small_office.mail.send(ANNE, "News", "There is news.")

        assert small_office.db(small_office.db.mails3_message).isempty()
        assert len(small_office.relay.mails) == 1

    def test_a_changed_sender_is_no_changed_configuration(self, small_office):
        """ A request's own sender does not close a tripped breaker """

        small_office.given["fallback"] = "yes"
        small_office.mail.note_configuration()
        small_office.relay.answer("CONNECT", "421 4.3.2 Not now")
        small_office.queue(ANNE)
        connections = small_office.relay.connections

        small_office.mail.settings.sender = "camp@example.org"
        small_office.queue(BOB)

        assert small_office.relay.connections == connections

    def test_a_developers_mail_is_logged_and_not_queued(self, small_office, caplog):
        """ With settings.server = "logging", a mail is logged and no worker sends it """

        server = small_office.mail.settings.server
        small_office.mail.settings.server = "logging"
        assert small_office.mail.send(ANNE, "News", "There is news.")
        small_office.db.commit()
        small_office.mail.settings.server = server
        small_office.drain()

        assert "To: %s" % ANNE in caplog.text
        assert small_office.relay.connections == 0
        assert small_office.db(small_office.db.msg_outbox).isempty()

    def test_an_unwritable_log_file_is_an_error(self, small_office):
        """
            send() returns False where settings.server is "logging:" with a path that can't be
            written
        """

        small_office.mail.settings.server = "logging:/nowhere/at/all"

        assert small_office.mail.send(ANNE, "News", "There is news.") is False
        assert "nowhere" not in small_office.mail.error

# =============================================================================
class TestQueueFails:
    """ A mail that can't be queued is sent directly """

    def test_a_missing_table_has_the_mail_sent_directly(self, office, caplog):
        """
            Without the outbox table a mail is sent directly, the log has the reason and the
            transaction stays usable
        """

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

    def test_a_mail_that_nobody_takes_is_refused(self, small_office, caplog):
        """
            send() returns False if neither queue nor relay take the mail, and hides the relay's
            words
        """

        small_office.db.executesql("DROP TABLE mails3_delivery")
        small_office.relay.answer("RCPT", "550 5.1.1 Words for the admin")

        assert small_office.mail.send(ANNE, "News", "There is news.") is False
        assert "Words" not in str(small_office.mail.error)
        assert "Words for the admin" in caplog.text

# =============================================================================
class TestSendDirect:
    """ send_direct_email sends at once and tells the result """

    def test_send_direct_email_sends_now(self, small_office):
        """ send_direct_email returns True when every recipient was accepted """

        assert small_office.mail.send_direct_email([ANNE, BOB], "News", "There is news.") is True
        assert small_office.mail.error is None
        assert small_office.relay.mails[0].recipients == [ANNE, BOB]

    def test_a_partial_refusal_is_an_error(self, small_office):
        """ send_direct_email names the refused recipients with the server's words """

        small_office.relay.answer("RCPT", "550 5.1.1 No such user", to=BOB)

        assert small_office.mail.send_direct_email([ANNE, BOB], "News", "News.") is False
        assert small_office.mail.result == {BOB: (550, "5.1.1 No such user")}
        assert "No such user" in str(small_office.mail.error)
        assert small_office.relay.mails[0].recipients == [ANNE]

    @pytest.mark.parametrize("setting, value", [("server", None), ("server", 5),
                                                ("server", "127.0.0.1:port"),
                                                ("sender", None), ("sender", "nobody"),
                                                ("login", "nonsense"), ("tls", True)])
    def test_a_wrong_setting_is_an_error(self, small_office, setting, value):
        """ send_direct_email raises nothing, also for settings that make Mail.send raise """

        small_office.mail.settings[setting] = value

        assert small_office.mail.send_direct_email(ANNE, "News", "There is news.") is False
        assert small_office.mail.error

    @pytest.mark.parametrize("step", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BODY"])
    def test_a_lost_connection_is_an_error(self, small_office, step):
        """
            send_direct_email raises nothing, at whatever point of the dialogue the relay goes
            away
        """

        small_office.relay.drop(step)

        assert small_office.mail.send_direct_email(ANNE, "News", "There is news.") is False
        assert small_office.mail.error

    def test_no_password_gets_into_an_error(self, tmp_path, caplog):
        """ An error never shows the password, also if the relay repeats it """

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
    """ Without a scheduler, a mail is tried within the request """

    def test_a_mail_without_scheduler_leaves_at_once(self, office):
        """
            Without a scheduler a mail leaves in send(), and is marked as sent by the caller's
            commit
        """

        office.given["fallback"] = "yes"
        anne = office.queue(ANNE)

        assert office.status(anne) == SENT
        assert len(office.relay.mails) == 1

    def test_a_dead_relay_leaves_the_mail_queued(self, office, caplog):
        """ send() returns True although the relay is away, and the log has the reason """

        office.given["fallback"] = "yes"
        office.relay.stop()

        anne = office.queue(ANNE)

        assert office.mail.error is None
        assert office.status(anne) == UNSENT
        assert "Sending is suspended" in caplog.text

    def test_a_silent_relay_is_waited_for_once(self, office):
        """ Only the first visitor waits for a silent relay, then the breaker is tripped """

        office.given.update(fallback="yes", fallback_timeout="1")
        office.relay.silence("CONNECT")

        office.queue(ANNE, BOB)

        assert office.relay.connections == 1

    def test_the_fallback_does_not_commit(self, office):
        """ The caller may still roll back after a mail was tried within the request """

        office.given["fallback"] = "yes"
        assert office.mail.send(ANNE, "News", "There is news.")

        office.db.rollback()

        assert office.db(office.db.msg_outbox).isempty()

# =============================================================================
def test_no_state_is_kept_in_a_module(small_office):
    """ No module of the package changes its own variables while mail is sent """

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
def test_a_stored_message_of_a_newer_version_is_not_read():
    """ Reading a message of a newer version raises an exception """

    with pytest.raises(ValueError):
        Message.load('{"version": 2, "attachments": 0}', '""', list)

# END =========================================================================
