"""
    A site whose worker processes live by a virtual clock, and send to a simulated
    relay: real ones, but as threads of this process
"""

import contextlib

from types import SimpleNamespace

from gluon import current
from gluon.cache import Cache
from gluon.globals import Request

from mails3.delivery.channel import Channel
from mails3.queue.listener import Listener
from mails3.service.worker_process import WorkerProcess
from mails3.states import EMAIL, FAILED, SENT, UNSENT

from .office import Office
from .simulated_relay import SimulatedTransport

# How often it is looked at least whether mail is left (seconds)
LOOK_EVERY_S = 5

# =============================================================================
class SimulatedChannel(Channel):
    """ A Channel by the virtual clock, to the simulated relay """

    def __init__(self, mail, site):
        """
            Args:
                mail: the MailS3
                site: the SimulatedSite
        """

        super().__init__(mail, EMAIL)
        self.site = site

    # -------------------------------------------------------------------------
    def transport(self, relay_settings=None):

        return SimulatedTransport(self.mail, self.site.relay, self.site.number)

    # -------------------------------------------------------------------------
    def shared_clock(self):

        return self.site.clock.now

    # -------------------------------------------------------------------------
    def has_work(self, *args, **options):

        site = self.site
        if site.clock() < site.idle_until and site.seen_idle_by is not self:
            return False
        has_work = super().has_work(*args, **options)
        if not has_work:
            site.idle_until, site.seen_idle_by = site.clock() + site.idle_s, self
        return has_work

# =============================================================================
class SimulatedListener(Listener):
    """ A Listener that asks the database only after somebody has done something """

    def wait(self, timeout_s):

        end = self.clock() + timeout_s
        while self.clock() < end:
            self.clock.wait_for_change(end - self.clock())
            if self._has_changed():
                return True
        return False

# =============================================================================
class SimulatedProcess(WorkerProcess):
    """ A WorkerProcess whose failures end the simulation """

    def __init__(self, mail, is_over, clock):
        """
            Args:
                mail: the MailS3
                is_over: function that tells whether the simulation is over
                clock: the VirtualTime
        """

        super().__init__(mail, None, None, clock=clock, sleep=clock.sleep)
        self.duties = NoDuties(is_over)
        self.listener = SimulatedListener(mail.db, self._has_new_mail, clock, clock.sleep)

    def _recover(self, error, pause_s):

        raise error

# =============================================================================
class NoDuties:
    """ In place of the Duties of a worker process, which take time here and send nothing """

    waiting = None # as WorkerRow.doing

    def __init__(self, is_over):

        self.is_orphan = is_over
        self.begin = self.show_alive = self.note_run = self.do = self.repair = \
            self.look_for_changes = lambda *_: None

# =============================================================================
class SimulatedSite:
    """ A site with its database """

    def __init__(self, number, folder, relay, expected, idle_s=0, retries=None):
        """
            Args:
                number: of the site, from 0
                folder: where its database is made
                relay: the SimulatedRelay
                expected: how many mails it will queue in all
                idle_s: if one worker has found nothing to do, the other ones do not
                        look for so long (seconds), which saves queries
                retries: after how many retries mail is given up; None = the default
        """

        self.number = number
        self.relay = relay
        self.clock = relay.clock
        self.left = self.expected = expected
        self.idle_s = idle_s

        self.idle_until = 0      # by the clock
        self.seen_idle_by = None # the SimulatedChannel of the worker
        self.looked_at = None    # what was known when the queue was last looked at
        enter_app()
        self.office = Office("sqlite://%s/%s.sqlite" % (folder, number),
                             SimpleNamespace(address="relay.example.org:25"))
        self.office.given = {"fallback": "no"}
        if retries is not None:
            self.office.given["max_retries"] = retries

    # -------------------------------------------------------------------------
    @contextlib.contextmanager
    def opened(self):
        """ A MailS3 of this thread """

        enter_app()
        db = self.office.connection(
            after_connection=lambda adapter: adapter.execute("PRAGMA synchronous=OFF"))
        mail = self.office.mailer(db)
        channel = SimulatedChannel(mail, self)
        mail.channel = lambda name=EMAIL: channel
        mail.self_repair = lambda: True
        try:
            yield mail
        finally:
            db.rollback()
            db.close()

    # -------------------------------------------------------------------------
    def queue_newsletters(self, number):
        """ Queue so many """

        with self.opened() as mail:
            for n in range(number):
                mail.send("reader%s@example.org" % n, "News", "There is news.", priority=9)
            mail.db.commit()

    # -------------------------------------------------------------------------
    def register(self, delays_s, registered):
        """
            Visitors register (a thread)

            Args:
                delays_s: list of the times (seconds)
                registered: dict to be filled {address: (when it was queued, when
                            the relay would have taken one)}, in seconds
        """

        with self.opened() as mail:
            for delay_s in delays_s:
                self.clock.sleep(delay_s - self.clock())
                address = "visitor%d@example.org" % delay_s
                mail.send(address, "Welcome", "Confirm, please.", priority=0)
                mail.db.commit()
                registered[address] = self.clock(), self.relay.limit.free_at(self.clock())
                self.idle_until = 0
                self.clock.note_change()

    # -------------------------------------------------------------------------
    def work(self, phase_s, max_s):
        """
            Be a worker process (a thread)

            Args:
                phase_s: it begins then (seconds)
                max_s: it ends then
        """

        self.clock.sleep(phase_s)
        with self.opened() as mail:
            SimulatedProcess(mail, lambda: self.is_over(mail.db, max_s), self.clock).run()

    # -------------------------------------------------------------------------
    def is_over(self, db, max_s):
        """ Whether no mail is left, or the time is over """

        if self.clock.failure or self.clock() >= max_s:
            return True
        # A result is written after its transaction
        state = self.relay.transactions, self.clock() // LOOK_EVERY_S
        if self.looked_at != state:
            self.looked_at = state
            self.left = self.expected - db(db.msg_outbox.status != UNSENT).count()
        return self.left <= 0

    # -------------------------------------------------------------------------
    def counts(self):
        """ Tuple: how many are sent, how many given up, attempts that were counted """

        with self.opened() as mail:
            outbox, delivery = mail.db.msg_outbox, mail.db.mails3_delivery
            attempts = delivery.attempts.sum()
            return (mail.db(outbox.status == SENT).count(),
                    mail.db(outbox.status == FAILED).count(),
                    mail.db(delivery).select(attempts).first()[attempts] or 0)

    # -------------------------------------------------------------------------
    def close(self):

        self.office.close()

# -----------------------------------------------------------------------------
def enter_app():
    """ Let this thread compose mail, as in an app """

    current.request = Request({})
    current.request.application = "shelter"
    current.cache = Cache(current.request)

# END =========================================================================
