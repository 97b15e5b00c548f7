"""
    Eden's calls: msg.send_email, send_by_pe_id, process_outbox, run_async (on
    the stand-in for Eden)
"""

import os

from io import BytesIO

import pytest

from gluon import current

from support.fake_relay import FakeRelay

from mails3.states import FAILED, INVALID, SENT, UNSENT

from .branch import SENDER

ANNE, BOB = "anne@example.org", "bob@example.org"
OTHER = "Office <office@example.org>"

# =============================================================================
class TestWelcome:
    """ The welcome mail of Eden, which goes by msg.send_email() """

    @pytest.mark.parametrize("password", [None, "a long secret"])
    def test_the_welcome_mail_is_one_of_auth(self, branch, password):
        """ It is marked as automatic, and is a secret if it has a password """

        branch.auth.s3_send_welcome_email({"email": ANNE}, password)
        branch.msg.send_email(BOB, "News", "There is news.")
        branch.drain()

        anne, bob = sorted(branch.relay.mails, key=lambda mail: mail.recipients)
        assert anne.message["Auto-Submitted"] == "auto-generated"
        assert bob.message["Auto-Submitted"] is None
        table = branch.db.mails3_message
        bodies = [row.body for row in branch.db(table).select(orderby=table.id)]
        assert (bodies[0] is None) == bool(password)
        assert bodies[1] is not None

# =============================================================================
class TestDocuments:
    """ Documents of a message are attached """

    @staticmethod
    def document(branch, name="Plan für alle.txt", content=b"Go home"):
        """ A document with a file: its id """

        field = branch.s3db.doc_document.file
        return branch.insert("doc_document", name = name,
                             file = field.store(BytesIO(content), name))["id"]

    def send(self, branch, *documents):
        """ Eden sends documents to Anne """

        return branch.msg.send_by_pe_id(branch.person(ANNE)["pe_id"], "News",
                                        "There is news.", document_ids=list(documents))

    def test_documents_have_their_real_names(self, branch):
        """ A document is attached under its original name """

        self.send(branch, self.document(branch),
                  self.document(branch, "map.pdf", b"\x00\xff\x80"))

        branch.drain()

        mail, = branch.relay.mails
        parts = [part for part in mail.message.walk() if part.get_filename()]
        assert [part.get_payload(decode=True) for part in parts] == \
               [b"Go home", b"\x00\xff\x80"]
        assert parts[1].get_filename() == "map.pdf"
        assert branch.statuses() == [SENT]

    def test_a_missing_file_rejects_the_row(self, branch):
        """ A row with a missing file is rejected with the reason, and holds up no other """

        document = self.document(branch)
        self.send(branch, document)
        stored = branch.db(branch.s3db.doc_document.id == document).select().first().file
        os.remove(branch.eden.folder / "uploads" / stored)
        branch.entry(branch.message(), address=BOB)

        branch.drain()

        status, attempts, reply = branch.outbox()[0]
        assert (status, attempts) == (INVALID, 0)
        assert reply.startswith("A document of the message can not be read")
        assert branch.addresses() == [BOB]

    def test_a_deleted_document_is_left_out(self, branch):
        """ A deleted document and a link to a page are left out, and the mail goes """

        document = self.document(branch)
        self.send(branch, document,
                  branch.insert("doc_document", url="http://example.org")["id"])
        branch.db(branch.s3db.doc_document.id == document).update(deleted=True)

        branch.drain()

        mail, = branch.relay.mails
        assert [part for part in mail.message.walk() if part.get_filename()] == []

# =============================================================================
class TestSender:
    """ The sender of a mail """

    @pytest.fixture
    def branch(self, small_branch):
        """ On one engine: they make no difference here """

        return small_branch

    def test_the_configured_sender_is_read_when_sending(self, branch):
        """ Queued mail leaves with the sender that is configured when it is sent """

        branch.msg.send_by_pe_id(branch.person(ANNE)["pe_id"], "News", "There is news.")
        assert branch.msg.send_email(BOB, "News", "There is news.")

        branch.drain(sender=OTHER)

        assert {mail.message["From"] for mail in branch.relay.mails} == {OTHER}
        assert branch.addresses() == [ANNE, BOB]

    def test_a_sender_that_a_request_has_set_goes_with_its_mail(self, branch):
        """ A sender that a request has set goes with its mail, also by auth's mailer """

        branch.mail.settings.sender = OTHER
        assert branch.auth.settings.mailer.send(ANNE, "News", "There is news.")
        branch.request()
        assert branch.auth.settings.mailer.send(BOB, "News", "There is news.")

        branch.drain()

        assert {mail.recipients[0]: mail.message["From"] for mail in branch.relay.mails} == \
               {ANNE: OTHER, BOB: SENDER}

    def test_a_sender_of_the_callers_stays(self, branch):
        """ A sender given in the call stays, whatever is configured """

        anne = branch.person(ANNE)["pe_id"]
        branch.msg.send_by_pe_id(anne, "News", "There is news.", from_address=OTHER)
        branch.msg.send_email_by_pe_id(anne, "News", "There is news.", from_address=OTHER)
        branch.msg.send_email(ANNE, "News", "There is news.", sender=OTHER)

        branch.drain()

        assert [mail.message["From"] for mail in branch.relay.mails] == 3 * [OTHER]

    def test_mail_leaves_by_a_port_that_speaks_tls_at_once(self, branch):
        """ With settings.mail.ssl, mail leaves by a port that speaks TLS from its first byte """

        with FakeRelay(tls="ssl") as relay:
            branch.configure(server=relay.address, ssl=True)
            assert branch.msg.send_email(BOB, "News", "There is news.")
            branch.drain()

            assert len(relay.mails) == 1

    def test_mail_without_a_configured_sender_waits(self, branch):
        """
            Mail waits without an attempt while no sender is configured, and leaves after the
            repair
        """

        branch.configure(sender=None)
        branch.msg.send_by_pe_id(branch.person(ANNE)["pe_id"], "News", "There is news.")
        assert branch.msg.send_email(BOB, "News", "There is news.")

        branch.drain()
        assert [row[:2] for row in branch.outbox()] == 2 * [(UNSENT, 0)]
        assert branch.state().reason == "No sender configured"

        branch.drain(sender=SENDER)
        assert branch.addresses() == [ANNE, BOB]
        assert {mail.message["From"] for mail in branch.relay.mails} == {SENDER}

    def test_mail_without_a_configured_server_waits(self, branch):
        """ Mail is queued while no server is configured, and leaves after the repair """

        branch.configure(server=None)
        assert branch.auth.settings.mailer.settings.server
        assert branch.mail.send(ANNE, "News", "There is news.")
        branch.drain()
        assert branch.outbox()[0][:2] == (UNSENT, 0)

        branch.drain(server=branch.relay.address)

        assert branch.statuses() == [SENT]

# =============================================================================
class TestCalls:
    """ Eden's calls do what they did """

    def test_session_error_is_not_changed(self, branch):
        """ Queueing neither sets session.error nor clears it """

        current.session.error = "The form has errors"
        assert branch.msg.send_email(ANNE, "News", "There is news.")
        assert current.session.error == "The form has errors"

        current.session.error = None
        assert not branch.msg.send_email("anne at home", "News", "There is news.")
        assert current.session.error is None

    def test_a_long_subject_keeps_the_transaction_usable(self, branch):
        """ A mail with a long subject goes out, and the request's transaction stays usable """

        anne = branch.person(ANNE)["pe_id"]

        assert branch.msg.send_by_pe_id(anne, 100 * "x", "There is news.")
        branch.drain()

        mail, = branch.relay.mails
        assert mail.message["Subject"] == 78 * "x"

    def test_send_by_pe_id_keeps_the_sender(self, branch):
        """ msg.send_by_pe_id keeps its sender, which stock Eden takes for a document """

        message_id = branch.msg.send_email_by_pe_id(branch.person(ANNE)["pe_id"], "News",
                                                    "There is news.", OTHER, True)

        row = branch.db(branch.s3db.msg_outbox.message_id == message_id).select().first()
        assert row.system_generated
        branch.drain()
        assert branch.relay.mails[0].message["From"] == OTHER

    def test_send_email_takes_several_recipients(self, branch):
        """ msg.send_email sends one message to all of its recipients """

        assert branch.msg.send_email([ANNE], "News", "There is news.", cc=[BOB],
                                     reply_to=OTHER)
        branch.drain()

        mail, = branch.relay.mails
        assert mail.recipients == [ANNE, BOB]
        assert (mail.message["Cc"], mail.message["Reply-To"]) == (BOB, OTHER)

    def test_other_tasks_are_edens(self, branch):
        """ run_async for another task is Eden's own """

        done = []
        branch.tasks = {"msg_poll": lambda *args, **vars: done.append((args, vars))}
        branch.request()

        current.s3task.run_async("msg_poll", ["msg_email_channel"], {"channel_id": 1})

        assert done == [(("msg_email_channel",), {"channel_id": 1})]
        assert branch.wakes() == 0

    def test_a_burst_wakes_a_worker_once(self, branch):
        """ A burst wakes a worker once, and nothing is sent in the request """

        branch.worker()
        branch.configure(fallback=True)
        anne = branch.person(ANNE)["pe_id"]

        for _ in range(3):
            branch.msg.send_by_pe_id(anne, "News", "There is news.")

        assert branch.wakes() == 1
        assert branch.relay.mails == []

    def test_mail_without_a_worker_is_tried_in_the_request(self, branch):
        """ Without a worker mail is sent in the request, and nothing is committed """

        anne = branch.person(ANNE)["pe_id"]
        branch.configure(fallback=True)

        branch.msg.send_by_pe_id(anne, "News", "There is news.")
        assert branch.addresses() == [ANNE]
        branch.db.rollback()

        # Not committed by us: with the request its row is gone
        assert branch.outbox() == []

    def test_mail_to_a_group_is_tried_in_the_request_once(self, branch, caplog):
        """ Each member of a large group gets the mail once, by several sessions """

        group = branch.group(*["user%s@example.org" % number for number in range(40)])
        branch.configure(fallback=True)

        branch.msg.send_by_pe_id(group, "News", "There is news.")
        branch.db.commit()
        branch.drain()

        assert len(branch.addresses()) == len(set(branch.addresses())) == 40
        assert "can't be tried now" not in caplog.text

    def test_mail_that_fails_in_the_request_stays_queued(self, branch):
        """ Mail that fails in the request stays queued, and the visitor is told nothing """

        anne = branch.person(ANNE)["pe_id"]
        branch.configure(fallback=True)
        branch.relay.stop()

        assert branch.msg.send_by_pe_id(anne, "News", "There is news.")
        assert current.session.error is None
        assert branch.outbox()[0][:2] == (UNSENT, 0)

        branch.relay.start()
        branch.later(60)
        branch.drain()
        assert branch.addresses() == [ANNE]

# =============================================================================
class TestProcessOutbox:
    """ msg.process_outbox() called directly sends all unsent mail now """

    @staticmethod
    def replace(branch, result):
        """ Have somebody replace msg.send_email, as Eden's tests do; the calls """

        calls = []

        def send_email(to, subject, message, attachments=None, sender=None):
            calls.append((to, subject, message))
            if isinstance(result, Exception):
                raise result
            return result

        branch.msg.send_email = send_email
        return calls

    def test_process_outbox_sends_all_unsent_mail(self, branch):
        """ process_outbox() sends new and deferred mail, Eden's and our own """

        message = branch.message()
        branch.entry(message, pe_id=branch.person(ANNE)["pe_id"])
        branch.entry(message, address=BOB, retries=2)
        assert branch.mail.send("carl@example.org", "News", "There is news.")
        branch.relay.answer("RCPT", "451 4.3.0 Later", to=ANNE, times=1)
        branch.drain()

        branch.msg.process_outbox()

        assert branch.addresses() == [ANNE, BOB, "carl@example.org"]
        assert set(branch.statuses()) == {SENT}

    def test_process_outbox_calls_a_replaced_send_email(self, branch):
        """ process_outbox() calls a replaced msg.send_email once for each row """

        calls = self.replace(branch, True)
        people = [branch.person(address)["pe_id"] for address in (ANNE, BOB)]
        branch.msg.send_by_pe_id(people, "News", "There is news.")

        branch.msg.process_outbox()

        assert sorted(calls) == [(ANNE, "News", "There is news."),
                                 (BOB, "News", "There is news.")]
        assert branch.statuses() == [SENT, SENT]
        assert branch.relay.mails == []

    @pytest.mark.parametrize("result", [False, ValueError("secret")])
    def test_process_outbox_gives_up_after_edens_retries(self, branch, result):
        """ A mail fails after as many calls of process_outbox() as Eden is configured for """

        branch.eden.settings["msg"]["max_send_retries"] = 2
        branch.request()
        calls = self.replace(branch, result)
        branch.msg.send_by_pe_id(branch.person(ANNE)["pe_id"], "News", "There is news.")

        seen = []
        for _ in range(4):
            branch.msg.process_outbox()
            row = branch.db(branch.s3db.msg_outbox.id > 0).select().first()
            seen.append((row.status, row.retries))

        assert seen == [(UNSENT, 1), (UNSENT, 0), (FAILED, 0), (FAILED, 0)]
        assert len(calls) == 3
        assert "secret" not in branch.outbox()[0][2]

    def test_a_visitor_can_not_hammer_the_relay(self, branch):
        """ A request to Eden's page does not try a mail more often than the runs do """

        branch.configure(retry_interval=300)
        branch.relay.answer("RCPT", "451 4.3.0 Later")
        branch.entry(branch.message(), address=ANNE)

        for _ in range(3):
            branch.request(request_method="GET")
            branch.msg.process_outbox()

        rcpts = [verb for _, verb, _ in branch.relay.commands if verb == "RCPT"]
        assert len(rcpts) == 1
        assert branch.outbox()[0][:2] == (UNSENT, 1)

    def test_process_outbox_counts_no_attempt_while_the_relay_is_away(self, branch):
        """ process_outbox() costs no attempt while the relay is away """

        branch.entry(branch.message(), pe_id=branch.person(ANNE)["pe_id"])
        branch.relay.stop()
        branch.msg.process_outbox()
        assert branch.outbox()[0][:2] == (UNSENT, 0)

        branch.relay.start()
        branch.msg.process_outbox()

        assert branch.addresses() == [ANNE]

    def test_edens_scheduler_task_is_the_drain(self, branch):
        """ Eden's task msg_process_outbox does not try deferred mail before its time """

        branch.relay.answer("RCPT", "451 4.3.0 Later", to=ANNE)
        message = branch.message()
        branch.entry(message, address=ANNE)
        branch.drain()
        branch.entry(message, address=BOB)
        branch.relay.reset()

        current._scheduler.tasks["msg_process_outbox"]("EMAIL", user_id=1)

        assert branch.addresses() == [BOB]

# END =========================================================================
