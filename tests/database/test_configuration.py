"""
    Failures of the configuration, and its repair
"""

import pytest

from support.fake_relay import FakeRelay
from support.office import Office, attempts, lose_a_worker, named, users

from mails3.queue.channel_row import TRIPPED
from mails3.states import DRAFT, INVALID, SENT, UNSENT

ANNE, BOB, ODD = "anne@example.org", "bob@example.org", "odd@example.org"

# What servers say when they refuse the site, and not a recipient; where it is
# told, and what becomes of a mail that has a sender of its own
REFUSALS_OF_THE_SENDER = [
    # Postfix, with smtpd_delay_reject as by default
    ("RCPT", "553 5.7.1 <a@example.org>: Sender address rejected: not owned by user shelter"),
    ("RCPT", "553 5.7.1 <a@example.org>: Sender address rejected: not logged in"),
    ("RCPT", "550 5.1.8 <a@example.org>: Sender address rejected: Domain not found"),
    ("RCPT", "450 4.1.8 <a@example.org>: Sender address rejected: Domain not found"),
    # Exim
    ("RCPT", "550 Sender verify failed"),
    # Exchange Online
    ("BODY", "550 5.7.60 SMTP; Client does not have permissions to send as this sender"),
    ("BODY", "554 5.2.252 SendAsDenied; a@example.org not allowed to send as b@example.org"),
    ("BODY", "550 5.1.8 Access denied, bad outbound sender"),
    # Amazon SES, SendGrid
    ("BODY", "554 Message rejected: Email address is not verified."),
    ("BODY", "550 The from address does not match a verified Sender Identity."),
    # Zoho
    ("RCPT", "553 Relaying disallowed as a@example.org"),
    ]
REFUSALS_OF_THE_CLIENT = [
    ("RCPT", "554 5.7.1 <anne@example.org>: Relay access denied"),
    ("RCPT", "454 4.7.1 <anne@example.org>: Relay access denied"),
    ("RCPT", "550 relay not permitted"),
    ("RCPT", "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain"),
    ("RCPT", "554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied"),
    ("DATA", "421 Domain example.org is not allowed to send: Free accounts are limited"),
    ("BODY", "550 5.4.5 Daily user sending limit exceeded."),
    ("RCPT", "450 Mail send limit exceeded."),
    ("BODY", "554 5.7.1 Your account has been suspended"),
    ]

# -----------------------------------------------------------------------------
def drain_repeatedly(office, times, **given):
    """ Drain several times; after each, a probe is due """

    for _ in range(times):
        office.drain(**given)
        office.later(400)

# -----------------------------------------------------------------------------
def assert_untried(office, ids):
    """ No attempt was counted for any of these deliveries, and all are unsent """

    assert {(office.status(number), attempts(office, number)) for number in ids} == {(UNSENT, 0)}

# =============================================================================
class TestConfiguration:
    """ A relay may refuse the site at any point of the dialogue """

    @pytest.mark.parametrize("step, reply", REFUSALS_OF_THE_SENDER + REFUSALS_OF_THE_CLIENT)
    def test_a_refusal_of_the_site_costs_no_attempt(self, small_office, step, reply):
        """ A refusal of the site trips the breaker, and all mail leaves after the repair """

        office = small_office
        office.relay.answer(step, reply)
        ids = office.queue(*users(20))

        drain_repeatedly(office, 3)

        assert office.state().status == "tripped"
        assert_untried(office, ids)

        office.relay.reset()
        office.drain()
        assert {office.status(number) for number in ids} == {SENT}

    @pytest.mark.parametrize("step, reply", REFUSALS_OF_THE_SENDER[:1] +
                             REFUSALS_OF_THE_CLIENT[:1])
    def test_a_single_message_shows_a_refusal_of_the_site(self, office, step, reply):
        """ One message alone trips the breaker where the server's words are about the site """

        office.relay.answer(step, reply)
        anne = office.queue(ANNE)

        office.drain()

        assert (office.state().status, office.state().cause) == ("tripped", "configuration")
        assert (office.status(anne), attempts(office, anne)) == (UNSENT, 0)

    @pytest.mark.parametrize("step, reply", REFUSALS_OF_THE_SENDER)
    def test_a_refused_sender_of_a_call_concerns_its_message_only(self, small_office, step,
                                                                  reply):
        """ A refused sender that was given in the call holds up no other message """

        office = small_office
        office.relay.answer(step, reply, to=ODD)
        odd = office.queue(ODD, sender="visitor@elsewhere.example")
        anne = office.queue(ANNE)

        office.drain()

        assert office.status(anne) == SENT
        assert office.state().status == "closed"
        assert office.status(odd) == (UNSENT if reply.startswith("4") else INVALID)

    @pytest.mark.parametrize("step, reply", REFUSALS_OF_THE_CLIENT[:1])
    def test_another_wrong_configuration_costs_no_attempt(self, small_office, step, reply):
        """ Another configuration that does not work either costs no attempt """

        office = small_office
        office.relay.answer(step, reply)
        ids = office.queue(*users(6))
        drain_repeatedly(office, 4)

        office.mail.settings.hostname = "other.example.org"
        drain_repeatedly(office, 8)

        assert_untried(office, ids)

    def test_a_slowly_freed_quota_rejects_no_mail(self, small_office):
        """ A refusal that comes before and after an accepted message rejects no mail """

        office, reply = small_office, "550 5.4.5 Daily user sending limit exceeded."
        office.relay.answer("RCPT", reply)
        ids = office.queue(*users(6))
        drain_repeatedly(office, 8)

        office.relay.answer("RCPT", "250 OK", times=1)
        drain_repeatedly(office, 5)

        assert sum(office.status(number) == SENT for number in ids) == 1
        assert {office.status(number) for number in ids} == {SENT, UNSENT}
        assert sum(attempts(office, number) for number in ids) <= 2

    def test_a_long_incident_is_logged_once(self, small_office, caplog):
        """ An incident is logged once, also when more than ten probes have met it """

        office = small_office
        office.relay.answer("RCPT", "554 5.7.1 Relay access denied")
        office.queue(*users(6))

        drain_repeatedly(office, 15)

        assert caplog.text.count("Sending is suspended") == 1
        assert office.state().cause == "configuration"
        assert "Relay access denied" in office.state().reason

    def test_the_admin_is_told_what_has_tripped_the_breaker(self, small_office, caplog):
        """
            The admin reads the failure that has tripped the breaker, not an earlier one of
            another message
        """

        office = small_office
        office.relay.answer("RCPT", "554 5.7.1 Relay access denied")
        office.relay.drop_after("RSET")
        office.relay.answer("CONNECT", "220 relay.example.org", times=1)
        office.relay.answer("CONNECT", "421 4.3.2 Going down")
        office.queue(ANNE, BOB)

        office.drain()

        assert caplog.text.count("Sending is suspended") == 1
        assert office.state().reason == "connect: 421 4.3.2 Going down"

    def test_a_refusal_beside_accepted_mail_trips_no_breaker(self, small_office):
        """
            A "relay access denied" for one recipient beside accepted mail trips no breaker: the
            delivery is handed over once more, and then has cost one attempt
        """

        office, others = small_office, users(20)
        office.relay.answer("RCPT", "554 5.7.1 Relay access denied", to=ODD)
        office.relay.hold("RCPT", lambda: len(office.relay.mails) == len(others), to=ODD)
        odd, *ids = office.queue(ODD, *others)

        office.drain(sessions=3, reply_timeout=10)

        assert {office.status(number) for number in ids} == {SENT}
        assert (office.status(odd), attempts(office, odd)) == (UNSENT, 1)
        assert named(office.relay, ODD) == 2
        assert office.state().status == "closed"

    def test_names_without_a_dot_trip_no_breaker(self, small_office):
        """
            A refused domain without a dot trips no breaker, although Postfix refuses it like a
            protocol error
        """

        office = small_office
        for address in ("a@foo", "b@bar"):
            office.relay.answer("RCPT", "504 5.5.2 <%s>: Recipient address rejected: need "
                                        "fully-qualified address" % address, to=address)
        ids = office.queue("a@foo", "b@bar", ANNE)

        office.drain()

        assert [office.status(number) for number in ids] == [INVALID, INVALID, SENT]
        assert office.state().status == "closed"

    def test_a_relay_for_some_recipients_takes_their_mail(self, office):
        """
            A "relay access denied" for one recipient costs that delivery an attempt and trips no
            breaker, if others are accepted
        """

        office.relay.answer("RCPT", "554 5.7.1 Relay access denied", to=ODD)
        odd = office.queue(ODD)
        others = office.queue(*users(5))

        office.drain()

        assert {office.status(number) for number in others} == {SENT}
        # Not rejected: it may have come back for all
        assert (office.status(odd), attempts(office, odd)) == (UNSENT, 1)
        assert office.state().status == "closed"

    def test_a_repeated_refusal_of_the_site_rejects_nothing(self, small_office):
        """ A refusal of the site that comes back after an accepted message rejects no mail """

        office = small_office
        office.relay.answer("BODY", "554 5.7.1 Your account has been suspended")
        ids = office.queue(*users(6))
        drain_repeatedly(office, 4, sessions=1)

        office.relay.answer("BODY", "250 2.0.0 OK", times=1)
        drain_repeatedly(office, 4)

        assert sorted(office.status(number) for number in ids) == [UNSENT] * 5 + [SENT]

    @pytest.mark.parametrize("reply", ["550 5.7.1 No", "450 4.7.0 No"])
    def test_ten_refusals_in_a_row_are_an_incident(self, office, reply, caplog):
        """ Ten refusals in a row in any words trip the breaker, and the admin is told """

        office.relay.answer("RCPT", reply)
        ids = office.queue(*users(25))

        office.drain(sessions=1)

        tried = [number for number in ids if attempts(office, number)]
        assert len(tried) == 10
        assert office.state().status == "tripped"
        assert "10 mails in a row were refused" in office.state().reason
        assert "Sending is suspended: 10 mails in a row" in caplog.text

        # A probe tells
        office.later(60)
        office.drain()
        assert office.state().status == "tripped"
        office.relay.reset()
        office.later(60)
        office.drain()
        assert {office.status(number) for number in ids if number not in tried[:10]} <= \
               {SENT, INVALID, UNSENT}
        assert sum(office.status(number) == SENT for number in ids) == 14
        assert office.state().status == "closed"

    @pytest.mark.parametrize("reply", ["550 5.1.1 <%s>: Recipient address rejected: User unknown",
                                       "550 No such user here"])
    def test_dead_addresses_in_a_row_hold_up_nothing(self, small_office, reply):
        """
            Any number of unknown addresses in a row trips no breaker, because the server's
            words are clear
        """

        office, dead = small_office, users(30, "dead")
        for address in dead:
            office.relay.answer("RCPT", reply.replace("%s", address), to=address)
        ids = office.queue(*dead)
        anne = office.queue(ANNE)

        office.drain()

        assert {office.status(number) for number in ids} == {INVALID}
        assert office.status(anne) == SENT
        assert office.state().status == "closed"

    def test_refusals_in_a_row_are_counted_over_all_runs(self, small_office):
        """ Refusals in a row are counted over all runs of all workers """

        small_office.relay.answer("RCPT", "550 5.7.1 No")
        for address in users(10):
            small_office.queue(address)
            small_office.drain()

        assert small_office.state().status == "tripped"

    def test_a_refused_list_holds_up_others_for_one_probe(self, office):
        """ After a refused list, the next probe takes another message """

        office.relay.answer("RCPT", "550 Invalid recipient")
        office.relay.answer("RCPT", "250 OK", to=ANNE)
        office.queue(users(30))
        office.queue(users(30, "dead"))
        office.drain()
        assert office.state().status == "tripped"
        anne = office.queue(ANNE)

        office.later(35)
        office.drain()

        assert office.status(anne) == SENT

    def test_a_repaired_configuration_has_to_prove_itself(self, office):
        """ The first message that is accepted ends the incident """

        office.relay.answer("MAIL", "550 5.1.8 Sender refused", to="shelter@example.org")
        office.queue(ANNE)
        office.drain()
        assert office.state().fingerprints

        office.mail.settings.sender = "other@example.org"
        office.drain()

        state = office.state()
        assert (state.status, state.fingerprints) == ("closed", None)
        assert state.accepted_on is not None

    def test_other_hostnames_do_not_repeat_a_refused_login(self, tmp_path):
        """ Another hostname or sender does not have a refused login tried again """

        with FakeRelay(login=("shelter", "right")) as relay:
            office = Office("sqlite://%s" % (tmp_path / "storage.sqlite"), relay)
            office.queue(ANNE)
            for number in range(6):
                mail = office.mailer(office.db)
                mail.settings.login = "shelter:wrong"
                mail.settings.hostname = "machine%s.example.org" % (number % 2)
                mail.settings.sender = "shelter%s@example.org" % (number % 2)
                mail.drain()
                office.later(400)

            assert len({session for session, *_ in relay.logins}) == 1
            office.close()

    def test_machines_do_not_close_the_breaker_in_turn(self, small_office):
        """ A configuration that has met the incident before does not count as a new one """

        office = small_office
        office.relay.answer("MAIL", "550 5.1.8 Sender refused")
        office.queue(*users(3))
        for number in range(6):
            mail = office.mailer(office.db)
            mail.settings.hostname = "machine%s.example.org" % (number % 2)
            mail.drain()

        assert office.relay.connections == 2

# =============================================================================
class TestRepair:
    """ A wrong configuration costs no message an attempt """

    @pytest.mark.parametrize("setting, value", [("login", "anne:geheüm"),
                                                ("server", "smtp.example..org:25"),
                                                ("server", "a" * 70 + ".example.org:25")])
    def test_an_unusable_setting_delays_the_mail(self, setting, value, tmp_path):
        """ Mail waits while a setting can not be encoded, and leaves after the repair """

        with FakeRelay(login=("shelter", "right")) as relay:
            office = Office("sqlite://%s" % (tmp_path / "storage.sqlite"), relay)
            settings = office.mail.settings
            settings.login = "shelter:right"
            right, settings[setting] = settings[setting], value
            anne = office.queue(ANNE)
            office.drain()
            office.drain()
            assert office.state().status == TRIPPED

            settings[setting] = right
            office.drain()

            assert office.status(anne) == SENT
            office.close()

    def test_the_configured_sender_in_a_call_counts_as_configured(self, office):
        """
            The configured sender trips the breaker when it is refused, also if the call names
            it
        """

        office.relay.answer("MAIL", "550 5.1.8 Not you")
        anne = office.queue(ANNE, sender=office.mail.settings.sender)

        office.drain()

        assert office.status(anne) == UNSENT
        assert office.state().status == TRIPPED

    def test_an_outage_is_no_lost_worker(self, office):
        """ A message in doubt is not held because of an outage after one lost worker """

        anne = office.queue(ANNE)
        lose_a_worker(office)
        office.relay.stop()
        drain_repeatedly(office, 3)

        office.relay.start()
        office.drain()

        assert office.status(anne) == SENT

    def test_a_row_set_to_unsent_by_hand_is_sent(self, office):
        """ A row that was set to Draft and back to Unsent in the table is sent """

        anne = office.queue(ANNE)
        office.db(office.db.msg_outbox.id == anne).update(status=DRAFT)
        office.db.commit()
        office.drain()
        office.db(office.db.msg_outbox.id == anne).update(status=UNSENT)
        office.db.commit()

        office.retry()
        office.drain()

        assert office.status(anne) == SENT

# END =========================================================================
