"""
    Texts, the daily limit and access rights (on the stand-in for Eden)
"""

from datetime import timedelta

import pytest

from support.transports import InstantTransport

from mails3.admin.status import Status
from mails3.clock import utcnow
from mails3.delivery.breaker import CLOSED
from mails3.states import DRAFT, SENT, UNSENT
from mails3.queue.schema import COMPANIONS

from .fake_gateway import FakeGateway

ANNE, PHONE, NUMBER = "anne@example.org", "+49 170 1234567", "491701234567"

# =============================================================================
@pytest.fixture
def gateway():
    """ A web API that takes texts """

    with FakeGateway() as gateway:
        yield gateway

# =============================================================================
class TestTexts:
    """ SMS: new texts go at once, deferred ones in the retry pass """

    @pytest.fixture
    def branch(self, small_branch):
        """ On one engine: they make no difference here """

        return small_branch

    @staticmethod
    def by_web_api(branch, gateway):
        """ Have texts sent by a web API """

        TestTexts.by(branch, "msg_sms_webapi_channel", url=gateway.url, parameters="user=anne")

    @staticmethod
    def by(branch, kind, **values):
        """ Have texts sent by a gateway """

        channel = branch.insert(kind, **values)
        branch.insert("msg_sms_outbound_gateway", channel_id=channel["channel_id"])

    @staticmethod
    def send(branch, *texts):
        """ Eden sends texts to Anne """

        anne = branch.person()
        branch.contact(anne, PHONE, contact_method="SMS")
        for text in texts:
            branch.msg.send_by_pe_id(anne["pe_id"], message=text, contact_method="SMS")

    def test_texts_wait_for_a_gateway(self, branch, gateway):
        """ Texts wait while no gateway is configured, and leave when there is one """

        self.send(branch, "Water is coming")
        branch.send_channels()
        assert branch.outbox() == [(UNSENT, 0, None)]
        assert branch.state("SMS").reason == "No SMS gateway configured"
        assert branch.state().status == "closed"

        self.by_web_api(branch, gateway)
        branch.send_channels()

        assert gateway.texts == [(NUMBER, "Water is coming")]
        assert branch.statuses() == [SENT]

    def test_a_malformed_url_is_not_quoted(self, branch, caplog):
        """ No error shows a malformed URL, because the URL may have a password """

        self.by(branch, "msg_sms_webapi_channel", parameters="user=anne",
                url="http://127.0.0.1:1/sms?password=very secret")
        self.send(branch, "Water is coming")

        branch.send_channels()

        assert branch.statuses() == [UNSENT]
        assert branch.state("SMS").reason == "The URL of the SMS gateway is malformed"
        assert "secret" not in caplog.text

    def test_only_the_retry_pass_tries_a_text_again(self, branch, gateway):
        """ A refused text holds up no other and is not tried by each drain """

        branch.configure(retry_interval=300)
        self.by_web_api(branch, gateway)
        gateway.status = 500
        self.send(branch, "first")
        branch.send_channels()
        assert branch.outbox() == [(UNSENT, 1, "The SMS gateway says 500 Internal Server Error")]

        gateway.status = 200
        self.send(branch, "second")
        branch.send_channels()
        assert [text for _, text in gateway.texts] == ["second"]

        branch.later(600)
        branch.send_channels()
        assert [text for _, text in gateway.texts] == ["second", "first"]
        assert branch.statuses() == [SENT, SENT]

    def test_a_gateway_that_is_away_costs_no_attempt(self, branch, gateway):
        """ Texts wait without an attempt while the gateway is away """

        self.by_web_api(branch, gateway)
        gateway.stop()
        self.send(branch, "first", "second")
        branch.send_channels()
        assert [row[:2] for row in branch.outbox()] == 2 * [(UNSENT, 0)]

        gateway.start()
        branch.later(60)
        branch.send_channels()

        assert branch.statuses() == [SENT, SENT]

    def send_to(self, branch, *numbers):
        """ Eden sends a text to each number """

        for number in numbers:
            person = branch.person()
            branch.contact(person, number, contact_method="SMS")
            branch.msg.send_by_pe_id(person["pe_id"], message="Water is coming",
                                     contact_method="SMS")

    @staticmethod
    def pass_the_time(branch, times):
        """ A worker runs again and again, minutes apart """

        for _ in range(times):
            branch.send_channels()
            branch.later(600)

    def test_an_unanswered_text_is_sent_twice_at_most(self, branch,
                                                      gateway):
        """
            A gateway that takes the text to one number and hangs up is asked twice for that
            number, and all other texts are sent
        """

        self.by_web_api(branch, gateway)
        gateway.hangs_up_on = ("666",)
        self.send_to(branch, "666", *["49%d" % number for number in range(5)])

        self.pass_the_time(branch, 20)

        assert gateway.asked.count("666") == 2
        assert [number for number, _ in gateway.texts] == ["49%d" % n for n in range(5)]
        assert branch.statuses() == [DRAFT] + 5 * [SENT]
        assert branch.state("SMS").status == "closed"

    @pytest.mark.parametrize("status", [402, 403, 404, 429, 502, 503])
    def test_one_failed_text_holds_up_no_other(self, branch, gateway, status):
        """ A failure of one number holds up no other text """

        self.by_web_api(branch, gateway)
        gateway.statuses = {"666": status}
        self.send_to(branch, "666", "491", "492")

        self.pass_the_time(branch, 2)

        assert [number for number, _ in gateway.texts] == ["491", "492"]
        assert branch.statuses() == [UNSENT, SENT, SENT]
        assert branch.state("SMS").status == "closed"

    @pytest.mark.parametrize("status, asked", [(401, 1), (402, 2), (403, 2), (404, 2), (429, 2),
                                               (502, 2), (503, 2)])
    def test_a_gateway_that_refuses_all_texts_is_not_asked_for_each(self, branch, gateway,
                                                                    status, asked):
        """
            Texts wait without an attempt when the gateway refuses them all, and leave after the
            repair
        """

        self.by_web_api(branch, gateway)
        gateway.status = status
        self.send_to(branch, "491", "492", "493", "494")

        branch.send_channels()

        assert len(gateway.asked) == asked
        assert [row[:2] for row in branch.outbox()] == 4 * [(UNSENT, 0)]
        assert branch.state("SMS").status == "tripped"
        gateway.status = 200
        branch.later(600)
        branch.send_channels()
        assert branch.statuses() == 4 * [SENT]

    @pytest.mark.parametrize("answer", ["ERR: 001, Authentication failed",
                                        "ERR: 301, No Credit Left"])
    def test_a_login_refused_with_status_200_trips_the_breaker(self, branch, gateway, answer):
        """
            Texts wait when a gateway refuses the login in a reply of status 200, as Clickatell
            does
        """

        channel = branch.insert("msg_sms_webapi_channel", parameters="user=anne",
                                url=gateway.url + "?to=clickatell")
        branch.insert("msg_sms_outbound_gateway", channel_id=channel["channel_id"])
        gateway.answer = answer
        self.send_to(branch, "491", "492", "493")

        branch.send_channels()

        assert len(gateway.asked) == 2
        assert [row[:2] for row in branch.outbox()] == 3 * [(UNSENT, 0)]
        assert answer in branch.state("SMS").reason

    def test_ten_refused_texts_trip_the_breaker(self, branch, gateway):
        """ Ten refusals in a row in any words hold back the rest, and the admin is told """

        self.by_web_api(branch, gateway)
        gateway.status = 500
        self.send_to(branch, *["49%02d" % number for number in range(30)])

        branch.send_channels()

        assert len(gateway.asked) == 10
        assert branch.state("SMS").status == "tripped"

    def test_a_repaired_gateway_is_asked_at_once(self, branch, gateway):
        """ A new password has the gateway asked before the next probe """

        self.by_web_api(branch, gateway)
        gateway.status = 401
        self.send_to(branch, "491", "492")
        branch.send_channels()
        assert branch.state("SMS").status == "tripped"

        gateway.status = 200
        table = branch.s3db.msg_sms_webapi_channel
        branch.db(table.id > 0).update(parameters="user=anne&password=new")
        branch.send_channels()

        assert branch.statuses() == [SENT, SENT]

    @pytest.mark.parametrize("trouble", ["refuses the login", "is away"])
    def test_the_gateway_of_one_organisation_holds_up_no_other(self, branch, gateway, trouble):
        """ A gateway that is away delays the texts of its own organisation only """

        with FakeGateway() as broken:
            organisations = []
            for each in (broken, gateway):
                organisation = branch.insert("org_organisation", name="Relief")["id"]
                channel = branch.insert("msg_sms_webapi_channel", url=each.url,
                                        parameters="user=anne")
                branch.insert("msg_sms_outbound_gateway", channel_id=channel["channel_id"],
                              organisation_id=organisation)
                organisations.append(organisation)
            if trouble == "is away":
                broken.stop()
            broken.status = 401
            for number in range(6):
                message = branch.insert("msg_sms", body="Water is coming",
                                        organisation_id=organisations[number % 2])
                branch.entry(message["message_id"], address="49%d" % number,
                             contact_method="SMS")

            self.pass_the_time(branch, 3)

        assert sorted(number for number, _ in gateway.texts) == ["491", "493", "495"]

    def test_a_text_by_mail_that_fails_holds_up_no_other(self, branch):
        """ A text by mail over which the mail server goes away holds up no other """

        self.by(branch, "msg_sms_smtp_channel", address="sms.example.org")
        branch.relay.answer("RCPT", "421 4.3.0 Go away", to="666@sms.example.org")
        self.send_to(branch, "666", "491", "492")

        self.pass_the_time(branch, 3)

        assert sorted(mail.recipients[0] for mail in branch.relay.mails) == \
            ["491@sms.example.org", "492@sms.example.org"]
        assert branch.statuses()[1:] == [SENT, SENT]

    def test_texts_by_mail_go_to_the_persons_number(self, branch):
        """ A gateway that takes mail gets it at the person's number """

        self.by(branch, "msg_sms_smtp_channel", address="sms.example.org")
        self.send(branch, "Water is coming")

        branch.send_channels()

        mail, = branch.relay.mails
        assert mail.recipients == [NUMBER + "@sms.example.org"]
        assert mail.message.get_payload(decode=True).decode().strip() == "Water is coming"
        assert branch.statuses() == [SENT]

    def test_a_text_to_a_number_needs_no_person(self, branch, gateway):
        """ A text to a number needs no person """

        self.by_web_api(branch, gateway)
        message = branch.insert("msg_sms", body="Water is coming")["message_id"]
        branch.entry(message, address=PHONE, contact_method="SMS")

        branch.send_channels()

        assert gateway.texts == [(NUMBER, "Water is coming")]

    def test_texts_and_mails_do_not_wait_for_each_other(self, branch, gateway):
        """ A mail server that is away delays no text """

        self.by_web_api(branch, gateway)
        branch.relay.stop()
        assert branch.mail.send(ANNE, "News", "There is news.")
        branch.drain()
        self.send(branch, "Water is coming")

        branch.send_channels()

        assert [text for _, text in gateway.texts] == ["Water is coming"]
        assert branch.state().status == "tripped"

    def test_a_text_without_a_worker_is_tried_in_the_request(self, branch, gateway):
        """ Without a worker a text is sent in the request without a commit """

        self.by_web_api(branch, gateway)
        branch.configure(fallback=True)

        self.send(branch, "Water is coming")

        assert [text for _, text in gateway.texts] == ["Water is coming"]
        branch.db.rollback()
        assert branch.outbox() == []

# =============================================================================
class TestDailyLimit:
    """ Eden's settings.mail.limit """

    @staticmethod
    def counted(branch):
        """ How many mails Eden has counted """

        branch.db.commit()
        return branch.db(branch.s3db.msg_channel_limit.id > 0).count()

    def test_mail_over_the_daily_limit_waits(self, branch, caplog):
        """
            Mail over the limit waits for the next day, without an attempt and without an
            incident, and Eden's own count is right
        """

        branch.configure(limit=3)
        anne = branch.person(ANNE)["pe_id"]
        for _ in range(3):
            branch.msg.send_by_pe_id(anne, "News", "There is news.")
        for _ in range(2):
            assert branch.msg.send_email(ANNE, "News", "There is news.")

        branch.drain()

        assert self.counted(branch) == len(branch.relay.mails) == 3
        assert sorted(row[:2] for row in branch.outbox()) == \
            2 * [(UNSENT, 0)] + 3 * [(SENT, 1)]
        assert branch.state().status == CLOSED
        assert "suspended" not in caplog.text

        branch.drain()
        assert len(branch.relay.mails) == 3

        # The next day
        table = branch.s3db.msg_channel_limit
        branch.db(table.id > 0).update(created_on=utcnow() - timedelta(hours=24, seconds=1))
        branch.later(86400)
        branch.drain()
        assert set(branch.statuses()) == {SENT}
        assert self.counted(branch) == 5

    def test_the_next_mail_goes_when_the_oldest_is_a_day_old(self, branch):
        """ A worker knows when the daily limit allows the next mail """

        branch.configure(limit=2)
        table, now = branch.s3db.msg_channel_limit, utcnow().replace(microsecond=0)
        for hours in (25, 20, 3):
            table.insert(created_on = now - timedelta(hours=hours))
        limit, = branch.mail.channel().host_limits

        assert (limit.left(now), limit.next_on(now)) == (0, now + timedelta(hours=4))
        assert limit.next_on(now + timedelta(hours=4, seconds=1)) == \
            now + timedelta(hours=4, seconds=1)

    def test_two_workers_keep_the_daily_limit_together(self, branch):
        """ Two workers that claim before either of them sends keep the limit together """

        branch.configure(limit=3)
        for number in range(6):
            assert branch.msg.send_email("user%s@example.org" % number, "News", "There is news.")
        branch.db.commit()
        channel = branch.mail.channel()
        first, second = (InstantTransport(branch.mail) for _ in range(2))
        other = channel.worker(transport=second)

        def take_turn():
            # The first worker has claimed, and knows what was left
            first.before_open = None
            other.drain()

        first.before_open = take_turn
        channel.worker(transport=first).drain()

        assert len(first.accepted) + len(second.accepted) == self.counted(branch) == 3

    def test_a_direct_mail_counts_for_the_daily_limit(self, branch):
        """ send_direct_email() counts once for the daily limit, and does not wait for it """

        branch.configure(limit=1)
        for number in (1, 2):
            assert branch.mail.send_direct_email(ANNE, "News", "There is news.")
            assert self.counted(branch) == number

        assert branch.msg.send_email(ANNE, "News", "There is news.")
        branch.drain()

        assert len(branch.relay.mails) == 2

    def test_unsent_mail_uses_no_daily_limit(self, branch):
        """ Mail that the relay did not take uses no part of the limit """

        branch.configure(limit=1)
        branch.relay.stop()
        assert branch.msg.send_email(ANNE, "News", "There is news.")
        branch.drain()
        branch.relay.start()
        branch.later(60)

        branch.drain()

        assert branch.statuses() == [SENT]

    def test_the_daily_limit_is_shown(self, branch):
        """ Status tells of the limit, and when the next mail goes and the last one """

        branch.configure(limit=2)
        now = utcnow().replace(microsecond=0)
        for hours in (30, 20, 10):
            branch.s3db.msg_channel_limit.insert(created_on = now - timedelta(hours=hours))
        for _ in range(4):
            assert branch.msg.send_email(ANNE, "News", "There is news.")
        branch.worker()

        limits = Status(branch.mail, now).limits

        assert limits.facts() == [("Limits", "2 of 2/day (settings.mail.limit)")]
        assert limits.as_dict()["host_limits"] == [{"limit": "2/day (settings.mail.limit)",
                                                    "used": 2, "left": 0}]
        assert limits.next_on == now + timedelta(hours=4)
        assert limits.last_on == now + timedelta(hours=14 + 24)

    def test_a_worker_that_waits_for_the_next_day_does_not_hang(self, branch):
        """ A worker does not hang while the daily limit holds mail up, nor right after that """

        branch.configure(limit=2)
        now = utcnow()
        for hours in (20, 10):
            branch.s3db.msg_channel_limit.insert(created_on = now - timedelta(hours=hours))
        assert branch.msg.send_email(ANNE, "News", "There is news.")
        branch.worker()

        def problems(**passed):
            at = now + timedelta(**passed)
            branch.db(branch.db.scheduler_worker).update(last_heartbeat = at)
            return [problem.title for problem in Status(branch.mail, at).problems]

        assert problems(hours=3) == problems(hours=4, minutes=4) == []
        assert problems(hours=4, minutes=6) == ["The worker seems to hang"]

    def test_process_outbox_counts_each_mail_once(self, branch):
        """ A mail that process_outbox() sends counts once """

        branch.configure(limit=1)
        anne = branch.person(ANNE)["pe_id"]
        for _ in range(2):
            branch.msg.send_by_pe_id(anne, "News", "There is news.")

        branch.msg.process_outbox()

        assert len(branch.relay.mails) == 1
        assert self.counted(branch) == 1
        assert [row[:2] for row in branch.outbox()] == [(SENT, 1), (UNSENT, 0)]

# =============================================================================
class TestSites:
    """ Differences between sites """

    @pytest.fixture
    def branch(self, small_branch):
        """ On one engine: they make no difference here """

        return small_branch

    def test_a_site_without_edens_messages_can_mail(self, branch):
        """ Mail is queued and sent where the template does without messages """

        del branch.eden.settings["modules"]["msg"]
        branch.request()

        assert branch.mail.send(ANNE, "News", "There is news.")
        branch.drain()

        assert branch.addresses() == [ANNE]
        branch.eden.clear()

    @pytest.mark.parametrize("roles, seen", [((), False), (("ADMIN",), True)])
    def test_our_tables_are_for_admins_only(self, branch, roles, seen):
        """ Only an admin may read our tables, also where all others are public """

        assert branch.mail.send(ANNE, "News", "There is news.")
        branch.request(roles)

        for name in COMPANIONS:
            table = branch.db[name]
            assert branch.auth.s3_has_permission("read", table) is seen
            assert branch.auth.s3_has_permission("read", name) is seen
        query = branch.auth.s3_accessible_query("read", branch.db.mails3_message)
        assert branch.db(query).count() == int(seen)
        assert branch.auth.s3_has_permission("read", branch.s3db.msg_outbox)

# END =========================================================================
