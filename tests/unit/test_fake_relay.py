"""
    The relay of the other tests works (support/fake_relay.py)
"""

import smtplib
import socket
import ssl
import threading
import time
import unittest

from support.fake_relay import FakeRelay

SENDER = "shop@example.org"
ANNE = "anne@example.org"
BERT = "bert@example.org"
TEXT = "Subject: Hello\r\n\r\nDear reader\r\n.hidden\r\n"

# =============================================================================
class RelayTests(unittest.TestCase):
    """ What a client of the relay sees, and what the relay records of it """

    def relay(self, **settings):
        """ A relay that runs until the end of the test """

        relay = FakeRelay(**settings)
        relay.start()
        self.addCleanup(relay.stop)
        return relay

    def connect(self, relay, protocol=smtplib.SMTP, **settings):
        """ A client, connected """

        client = protocol(relay.host, relay.port, timeout=10, **settings)
        self.addCleanup(client.close)
        return client

    def assertRefused(self, code, send, *args):
        """ A step is refused, with the code given """

        with self.assertRaises(smtplib.SMTPResponseException) as refusal:
            send(*args)
        self.assertEqual(refusal.exception.smtp_code, code)

    def assertGone(self, send, *args):
        """ The relay closes the connection """

        with self.assertRaises(smtplib.SMTPServerDisconnected):
            send(*args)

# -----------------------------------------------------------------------------
class RecordTests(RelayTests):
    """ The relay records what has happened """

    def test_an_accepted_mail_is_kept_as_it_was_sent(self):
        """ Envelope, content, time and session of an accepted mail are recorded """

        relay = self.relay()
        earlier = time.time()
        client = self.connect(relay)
        client.sendmail(SENDER, [ANNE, BERT], TEXT)

        mail, = relay.wait()

        self.assertEqual(mail.sender, SENDER)
        self.assertEqual(mail.recipients, [ANNE, BERT])
        self.assertEqual(mail.content, TEXT.encode())
        self.assertEqual(mail.message["Subject"], "Hello")
        self.assertTrue(earlier <= mail.at <= time.time())
        self.assertEqual(mail.session, 1)

    def test_every_command_is_known_but_no_password(self):
        """ Commands and logins are recorded, passwords are not """

        relay = self.relay(login=("user", "secret"))
        client = self.connect(relay)
        client.login("user", "secret")
        client.noop()
        client.quit()

        self.assertEqual([command[:2] for command in relay.commands],
                         [(1, "EHLO"), (1, "AUTH"), (1, "NOOP"), (1, "QUIT")])
        self.assertEqual(relay.commands[1], (1, "AUTH", "PLAIN"))
        self.assertEqual(relay.logins, [(1, "PLAIN", "user", True)])

    def test_a_failed_wait_says_what_came_instead(self):
        """ wait() fails with the number of mails and the last commands """

        relay = self.relay()
        self.connect(relay).docmd("NOOP", "anyone?")

        with self.assertRaisesRegex(AssertionError, "0 of 2 mails.*anyone"):
            relay.wait(2, timeout=0)

    def test_a_wait_ends_when_the_mail_comes(self):
        """ wait() returns a mail that comes after it was called """

        relay = self.relay()
        relay.delay("BODY", 0.1)
        client = self.connect(relay)
        sending = threading.Thread(target = client.sendmail,
                                   args = (SENDER, [ANNE], TEXT),
                                   )
        sending.start()
        self.addCleanup(sending.join)

        self.assertEqual(len(relay.wait()), 1)

    def test_clear_forgets_all_records(self):
        """ clear() empties the records, and session numbers go on """

        relay = self.relay()
        self.connect(relay).noop()
        relay.clear()
        self.connect(relay).noop()

        self.assertEqual(relay.commands, [(2, "NOOP", "")])
        self.assertEqual(relay.connections, 1)

# -----------------------------------------------------------------------------
class ScriptTests(RelayTests):
    """ The relay answers what a test has told it """

    def test_each_step_can_be_refused(self):
        """ The client gets the reply of the test at each step, and nothing is accepted """

        relay = self.relay(login=("user", "secret"))
        for step, code in (("CONNECT", 554), ("AUTH", 454), ("MAIL", 450),
                           ("DATA", 451), ("BODY", 552)):
            with self.subTest(step):
                relay.reset()
                relay.answer(step, "%s-Not\n%s now" % (code, code))
                self.assertRefused(code, self.login_and_send, relay)

        self.assertEqual(relay.mails, [])
        self.assertEqual({accepted for *_, accepted in relay.logins[:2]},
                         {False})

        relay.reset()
        self.login_and_send(relay)
        self.assertEqual(len(relay.mails), 1)

    def login_and_send(self, relay):
        """ A session with all steps """

        client = self.connect(relay)
        client.login("user", "secret")
        client.sendmail(SENDER, [ANNE], TEXT)

    def test_a_refused_recipient_does_not_get_the_mail(self):
        """ A reply that is meant for one address refuses that recipient only """

        relay = self.relay()
        relay.answer("RCPT", "550 5.1.1 No such user", to=ANNE)

        refused = self.connect(relay).sendmail(SENDER, [ANNE, BERT], TEXT)

        self.assertEqual(refused, {ANNE: (550, b"5.1.1 No such user")})
        self.assertEqual(relay.mails[0].recipients, [BERT])

    def test_a_body_can_be_refused_for_one_recipient(self):
        """ With BODY, a reply is given if `to` is among the recipients """

        relay = self.relay()
        relay.answer("BODY", "554 5.7.1 Spam", to=ANNE)
        client = self.connect(relay)

        self.assertRefused(554, client.sendmail, SENDER, [BERT, ANNE], TEXT)
        client.sendmail(SENDER, [BERT], TEXT)

        self.assertEqual(len(relay.mails), 1)

    def test_replies_come_in_the_order_told(self):
        """ Replies with a number of times come first, then the latest one without """

        relay = self.relay()
        relay.answer("NOOP", "251 always")
        relay.answer("NOOP", "252 always, since")
        relay.answer("NOOP", "450 twice", times=2)
        relay.answer("NOOP", "451 once", times=1)
        client = self.connect(relay)

        codes = [client.noop()[0] for _ in range(5)]

        self.assertEqual(codes, [450, 450, 451, 252, 252])

    def test_extensions_can_be_replaced(self):
        """ An answer to EHLO replaces all of its lines """

        relay = self.relay()
        relay.answer("EHLO", "250-old.example.org\n250 SIZE 1000")
        client = self.connect(relay)
        client.ehlo()

        self.assertEqual(client.esmtp_features, {"size": "1000"})

    def test_a_misspelt_step_is_an_error(self):
        """ A step that does not exist raises an exception """

        with self.assertRaises(ValueError):
            FakeRelay().answer("RCTP", "550 No")

    def test_a_silent_session_does_not_hold_up_the_others(self):
        """ Other sessions are served while the relay is silent in one """

        relay = self.relay()
        relay.silence("MAIL", to=ANNE)
        silent = self.connect(relay)
        other = self.connect(relay)

        silent.ehlo()
        silent.putcmd("MAIL", "FROM:<%s>" % ANNE)
        other.sendmail(SENDER, [BERT], TEXT)

        self.assertEqual(len(relay.mails), 1)
        silent.sock.settimeout(0.1)
        with self.assertRaisesRegex(smtplib.SMTPServerDisconnected,
                                    "timed out"):
            silent.getreply()

    def test_a_dropped_mail_was_not_accepted(self):
        """ A mail is not accepted if the relay drops it before its answer or in the middle """

        relay = self.relay()
        body = TEXT + ("x" * 900 + "\r\n") * 1000
        for midway in (False, True):
            with self.subTest(midway=midway):
                relay.drop("BODY", times=1, midway=midway)
                self.assertGone(self.connect(relay).sendmail,
                                SENDER, [ANNE], body)

        self.assertEqual(relay.mails, [])

    def test_a_mail_dropped_after_the_answer_is_accepted(self):
        """ A mail is accepted if the relay goes away after its answer """

        relay = self.relay()
        relay.drop_after("BODY")
        client = self.connect(relay)
        client.sendmail(SENDER, [ANNE], TEXT)

        self.assertGone(client.quit)
        self.assertEqual(len(relay.mails), 1)

    def test_a_reply_can_be_delayed(self):
        """ delay() and slow() add up, and work with any answer """

        relay = self.relay()
        relay.answer("NOOP", "250 Yawn")
        relay.delay("NOOP", 0.1)
        relay.slow("NOOP", 0.01)
        client = self.connect(relay)
        start = time.monotonic()

        self.assertEqual(client.noop(), (250, b"Yawn"))
        self.assertGreater(time.monotonic() - start, 0.1 + 0.01 * 8)

    def test_a_reply_can_be_held(self):
        """ A reply that is held comes when its condition is true, and other sessions go on """

        relay, is_over = self.relay(), threading.Event()
        relay.hold("NOOP", is_over.is_set, times=1)
        held, other = self.connect(relay), self.connect(relay)

        held.putcmd("NOOP")
        other.sendmail(SENDER, [ANNE], TEXT)
        held.sock.setblocking(False)
        with self.assertRaises(BlockingIOError):
            held.sock.recv(1)

        is_over.set()
        held.sock.settimeout(10)
        self.assertEqual(held.getreply()[0], 250)

    def test_a_354_can_be_told_although_nobody_was_accepted(self):
        """ A 354 is answered without recipients, and no content is accepted after it """

        relay = self.relay()
        relay.answer("RCPT", "550 5.1.1 Never")
        relay.answer("DATA", "354 Go ahead")
        client = self.connect(relay)
        client.ehlo()
        client.mail(SENDER)
        client.rcpt(ANNE)

        self.assertEqual(client.docmd("DATA"), (354, b"Go ahead"))
        self.assertEqual(client.docmd(".")[0], 500)
        self.assertEqual(relay.mails, [])

    def test_a_limit_ends_the_connection(self):
        """ Mails over the limit of a session need another connection """

        relay = self.relay()
        relay.limit(messages=2)
        client = self.connect(relay)
        client.sendmail(SENDER, [ANNE], TEXT)
        client.sendmail(SENDER, [ANNE], TEXT)

        self.assertRefused(421, client.sendmail, SENDER, [ANNE], TEXT)
        self.connect(relay).sendmail(SENDER, [ANNE], TEXT)

        self.assertEqual([mail.session for mail in relay.mails], [1, 1, 2])

# -----------------------------------------------------------------------------
class SecurityTests(RelayTests):
    """ Logins, TLS and size """

    def test_no_mail_without_login(self):
        """ No mail is accepted without the right login where one is required """

        relay = self.relay(login=("user", "secret"))
        client = self.connect(relay)

        self.assertRefused(530, client.sendmail, SENDER, [ANNE], TEXT)
        self.assertRefused(535, client.login, "user", "wrong")
        self.assertEqual(relay.logins, [(1, "PLAIN", "user", False),
                                        (1, "LOGIN", "user", False)])

        client.login("user", "secret")
        client.sendmail(SENDER, [ANNE], TEXT)
        self.assertEqual(len(relay.mails), 1)

    def test_a_client_that_trusts_the_ca_gets_through(self):
        """ A client that trusts the CA can use STARTTLS and TLS from the start, with a login """

        for tls in ("starttls", "ssl"):
            with self.subTest(tls):
                relay = self.relay(tls=tls, login=("user", "secret"))
                trust = ssl.create_default_context(cafile=relay.cafile)
                if tls == "ssl":
                    client = self.connect(relay, protocol = smtplib.SMTP_SSL,
                                          context = trust)
                else:
                    client = self.connect(relay)
                    client.starttls(context=trust)
                client.login("user", "secret")
                client.sendmail(SENDER, [ANNE], TEXT)

                self.assertEqual(len(relay.mails), 1)

    def test_a_client_that_does_not_trust_the_ca_turns_away(self):
        """ A client that does not trust the CA refuses the relay's certificate """

        relay = self.relay(tls="starttls")
        with self.assertRaises(ssl.SSLCertVerificationError):
            client = self.connect(relay)
            client.starttls(context=ssl.create_default_context())

    def test_offered_extensions_work(self):
        """ The extensions that the relay offers work, and the size limit is enforced """

        relay = self.relay(size=1000)
        client = self.connect(relay)
        client.ehlo()

        self.assertEqual(client.esmtp_features["size"], "1000")
        self.assertTrue(client.has_extn("8bitmime"))
        self.assertTrue(client.has_extn("smtputf8"))
        self.assertFalse(client.has_extn("auth"))
        self.assertRefused(552, client.sendmail, SENDER, [ANNE], "x" * 1000)

# -----------------------------------------------------------------------------
class StopTests(RelayTests):
    """ A relay that is stopped leaves nothing behind """

    def test_a_stopped_relay_is_out_of_reach_until_started_again(self):
        """ stop() ends connections and refuses new ones, start() uses the same port """

        for tls in (None, "ssl"):
            with self.subTest(tls=tls):
                threads = threading.active_count()
                relay = self.relay(tls=tls)
                relay.silence("CONNECT", times=1)
                # Says nothing, so with TLS is still to shake hands
                with socket.create_connection((relay.host, relay.port),
                                              timeout=10) as connection:
                    relay.stop()

                    self.assertEqual(ended(connection), True)
                    self.assertEqual(threading.active_count(), threads)
                    with self.assertRaises(ConnectionRefusedError):
                        socket.create_connection((relay.host, relay.port))

                relay.start()
                socket.create_connection((relay.host, relay.port)).close()

    def test_stop_interrupts_a_delay(self):
        """ A session in the middle of a delay ends with the relay """

        with FakeRelay() as relay:
            relay.delay("MAIL", 3600)
            client = self.connect(relay)
            client.ehlo()
            client.putcmd("MAIL", "FROM:<%s>" % SENDER)

        self.assertGone(client.getreply)

# -----------------------------------------------------------------------------
def ended(connection):
    """ Whether the other side has closed a connection """

    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True

# END =========================================================================
