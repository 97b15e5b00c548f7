"""
    All mail that web2py's Auth sends, in the browser, on a running site
"""

import itertools
import re

import pytest

from support.fake_relay import FakeRelay
from support.shelter import IDLE_WORKER
from support.site import Site, eventually
from support.visitor import SECRET, Visitor

from mails3.installation import install
from mails3.states import UNSENT

ANOTHER = "another secret"

# The app's Auth, where a flow does not say otherwise
SETTINGS = {"verification": False, "approval": False, "two_factor": False,
            "reset_link": True, "breakdown": False}

# All that a visitor can change
STATE = """
print(db(db.auth_user).select(orderby=db.auth_user.id).as_json())
print([db(db[name]).count() for name in ("auth_event", "msg_outbox", "mails3_message",
                                         "mails3_delivery")])
"""

# =============================================================================
class Flow:
    """ A request of a visitor, and what follows with the mail """

    settings = {}
    usernames = False # whether the site's users have some

    numbers = itertools.count(1)

    def __init__(self, site):

        self.site = site
        self.name = "anne%d" % next(self.numbers)
        self.address = self.name + "@example.org"
        self.recipients = [self.address]
        self.visitor = Visitor(site)

        self.begin(**SETTINGS)
        self.prepare()
        self.begin(**self.settings)

    # -------------------------------------------------------------------------
    def begin(self, **settings):
        """ Configure the app """

        self.site.configure(auth=settings)

    # -------------------------------------------------------------------------
    def prepare(self):
        """ What must have been before: the visitor has registered """

        Visitor(self.site).register(self.address)

    # -------------------------------------------------------------------------
    def ask(self):
        """ What has the mail sent; the response """

        raise NotImplementedError

    # -------------------------------------------------------------------------
    def answered(self):
        """ Whether the visitor was told that the mail is under way """

        return "Email sent" in self.visitor.reads

    # -------------------------------------------------------------------------
    def complete(self, letter):
        """ Do what the mail (text) is for; whether it works """

        raise NotImplementedError

    # -------------------------------------------------------------------------
    def follow(self, letter):
        """ Open the link in a mail """

        self.visitor.open(re.search(r"https?://[^\s,]+", letter).group())

    # -------------------------------------------------------------------------
    def logs_in(self, address=None, password=SECRET):
        """ Whether somebody can log in """

        visitor = Visitor(self.site)
        visitor.fill_in("default/user/login", email=address or self.address, password=password)
        return "You are logged in as" in visitor.reads

# =============================================================================
class Registration(Flow):
    """ With verification of the address """

    settings = {"verification": True}

    def prepare(self):

        pass

    def ask(self):

        return self.visitor.register(self.address)

    def complete(self, letter):

        early = self.logs_in()
        self.follow(letter)
        return self.logs_in() and not early

# =============================================================================
class RegistrationWithApproval(Registration):
    """
        An admin approves of a visitor who has verified their address (with approval alone,
        web2py sends no mail)
    """

    settings = {"verification": True, "approval": True}

    def complete(self, letter):

        self.follow(letter)
        self.visitor.fill_in("default/user/login", email=self.address, password=SECRET)
        return "Registration is pending approval" in self.visitor.reads

# =============================================================================
class Username(Flow):
    """ The forgotten name of a login """

    usernames = True

    def prepare(self):

        Visitor(self.site).register(self.address, username=self.name)

    def ask(self):

        return self.visitor.fill_in("default/user/retrieve_username", email=self.address)

    def complete(self, letter):

        self.visitor.fill_in("default/user/login", username=letter.split()[-1], password=SECRET)
        return "You are logged in as" in self.visitor.reads

# =============================================================================
class PasswordReset(Flow):
    """ Through a link in the mail """

    def ask(self):

        return self.visitor.fill_in("default/user/request_reset_password", email=self.address)

    def complete(self, letter):

        self.follow(letter)
        self.visitor.fill_in(new_password=ANOTHER, new_password2=ANOTHER)
        return self.logs_in(password=ANOTHER) and not self.logs_in()

# =============================================================================
class PasswordByMail(Flow):
    """ With a new password in the mail: reset_password_deprecated """

    settings = {"reset_link": False}

    def ask(self):

        return self.visitor.fill_in("default/user/retrieve_password", email=self.address)

    def complete(self, letter):

        return self.logs_in(password=letter.split()[-1]) and not self.logs_in()

# =============================================================================
class Invitations(Flow):
    """ bulk_register: to many addresses at a time """

    def prepare(self):

        self.recipients = ["%s.%s" % (guest, self.address) for guest in ("bob", "chris", "dora")]
        self.visitor.register(self.address)

    def ask(self):

        return self.visitor.fill_in("default/bulk", emails=", ".join(self.recipients))

    def answered(self):

        sent, failed, existing = self.visitor.page.select("h4 + ul")
        return [item.text for item in sent.select("a")] == self.recipients

    def complete(self, letter):

        guest = Visitor(self.site)
        self.visitor = guest
        self.follow(letter)
        guest.fill_in(first_name = "A",
                      last_name = "Guest",
                      new_password = ANOTHER,
                      new_password2 = ANOTHER,
                      )
        return "Password changed" in guest.reads

# =============================================================================
class TwoFactor(Flow):
    """ With a code for the login """

    settings = {"two_factor": True}

    def ask(self):

        return self.visitor.fill_in("default/user/login", email=self.address, password=SECRET)

    def answered(self):

        return "Authentication code" in self.visitor.reads

    def complete(self, letter):

        self.visitor.fill_in(authentication_code=re.search(r"\d{6}", letter).group())
        return "You are logged in as" in self.visitor.reads

FLOWS = (Registration, RegistrationWithApproval, Username, PasswordReset,
         PasswordByMail, Invitations, TwoFactor)

each_flow = pytest.mark.parametrize("kind", FLOWS, ids=lambda kind: kind.__name__)

# -----------------------------------------------------------------------------
def letter_to(address, relay):
    """ The text of the one mail that an address gets """

    def received():
        return [mail for mail in relay.mails if mail.recipients == [address]]

    assert eventually(received), "no mail to %s: %s" % (address, relay.commands[-8:])
    mail, = received()
    return mail.message.get_payload(decode=True).decode()

# =============================================================================
class Shelters:
    """ Sites with MailS3 and an idle worker, made when first asked for """

    def __init__(self, folder):

        self.folder = folder
        self.made = {}

    # -------------------------------------------------------------------------
    def site(self, kind, relay):
        """ The Site for a flow, with its mail going to the relay """

        site = self.made.get(kind.usernames)
        if site is None:
            site = Site(self.folder / ("site-%d" % len(self.made))).create()
            install(site.app_path, tell=lambda line: None)
            site.configure(auth = {"username": kind.usernames},
                           scheduler = {"mode": "dict", "heartbeat": 0.5},
                           )
            site.serve()
            site.shell(IDLE_WORKER)
            self.made[kind.usernames] = site
        site.configure(smtp = {"server": relay.address,
                               "sender": "Shelter <shelter@example.org>"})
        return site

    # -------------------------------------------------------------------------
    def work(self):
        """ Replace the idle workers by real ones """

        for site in self.made.values():
            site.shell("db(db.scheduler_worker).delete()")
        return [(site, site.work()) for site in self.made.values()]

    # -------------------------------------------------------------------------
    def close(self):

        for site in self.made.values():
            site.close()

# -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def shelters(tmp_path_factory):
    """ The sites of this file """

    shelters = Shelters(tmp_path_factory.mktemp("auth"))
    yield shelters
    shelters.close()

# -----------------------------------------------------------------------------
@pytest.fixture
def flow(kind, shelters, relay):
    """ A flow, about to be asked for """

    return kind(shelters.site(kind, relay))

# =============================================================================
@each_flow
class TestVisitorsDoNotWait:
    """ A mail server that is silent after the connection delays no visitor """

    def test_a_visitors_page_does_not_wait_for_smtp(self, flow, relay):
        """ The page that promises a mail comes at once, and the mail is queued """

        relay.silence("CONNECT")

        response = flow.ask()

        assert response.status_code == 200 and flow.answered(), flow.visitor.reads
        assert relay.connections == 0

        relay.reset()
        statuses = flow.site.shell("query = db.msg_outbox.address.belongs(%r)\n"
                                   "print([row.status for row in db(query).select()])\n"
                                   "mail.drain()\n" % flow.recipients)
        assert statuses == "%s\n" % [UNSENT for _ in flow.recipients]
        for address in flow.recipients:
            assert letter_to(address, relay)
        assert {mail.message["Auto-Submitted"] for mail in relay.mails} == {"auto-generated"}

# =============================================================================
@each_flow
class TestRollback:
    """ A request that fails leaves no mail """

    def test_a_request_that_fails_leaves_no_mail(self, flow, relay):
        """ A request that fails after queueing a mail leaves neither mail nor other rows """

        before = flow.site.shell(STATE)
        flow.begin(breakdown=True)

        response = flow.ask()

        assert response.status_code == 500
        assert "RuntimeError: breakdown" in flow.site.tickets()[-1]
        assert flow.site.shell("mail.drain()\n" + STATE) == before
        assert relay.mails == []

# =============================================================================
class TestDelivery:
    """ With a worker and a mail server, mail arrives """

    @pytest.fixture(scope="class")
    def asked(self, shelters):
        """ The flows, all asked for, the sooner the worker is done with them """

        with FakeRelay() as relay:
            asked = {}
            for kind in FLOWS:
                asked[kind] = kind(shelters.site(kind, relay))
                asked[kind].ask()
            workers = shelters.work()

            yield asked, relay

            for site, worker in workers:
                site.stop(worker)
                site.shell(IDLE_WORKER)

    @each_flow
    def test_the_mail_of_each_flow_arrives_and_works(self, kind, asked, relay):
        """ The link, name, password or code in the mail works, and comes once """

        flows, relay = asked
        flow = flows[kind]
        assert flow.answered(), flow.visitor.reads
        flow.begin(**SETTINGS)
        flow.begin(**flow.settings)

        for address in flow.recipients:
            letter = letter_to(address, relay)
            assert flow.complete(letter), "%s\n%s" % (letter, flow.visitor.reads)

# END =========================================================================
