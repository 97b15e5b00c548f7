"""
    A crash campaign: workers are killed, or suspended for longer than their
    lease, the relay and the database go away, at random moments; then the
    relay's record is held against the database (tests/campaign.py)

    Required:
    - no message is lost, none is left over
    - a message arrives twice only if one of the workers that sent it was
      killed, suspended, or lost the database; with the same Message-ID
    - no attempt is counted that was not made
"""

import collections
import contextlib
import os
import random
import signal
import subprocess
import sys
import time

from types import SimpleNamespace

from .database_server import MariaDB, Postgres
from .fake_relay import FakeRelay
from .office import Office
from .site import TESTS, eventually

from mails3.queue.database import recover
from mails3.service.web_sender import Order
from mails3.service.worker_process import WorkerProcess
from mails3.states import DRAFT, EMAIL, INVALID, NEW, SENT, UNSENT

WAITS = {"sessions": 3, "fallback": "no", "reply_timeout": 1, "retry_interval": 0,
         "shortest_wait": 1, "longest_wait": 2,
         }

SERVERS = {"postgres": Postgres, "mariadb": MariaDB}

# =============================================================================
class Campaign:
    """ Messages, workers, and a supervisor who means them no good """

    def __init__(self, uri, messages, kills, workers, seed, restart=None, restarts=0,
                 offer=("PIPELINING",), tell=lambda line: None):
        """
            Args:
                uri: of an empty database
                messages: how many to queue
                kills: how many workers to kill
                workers: how many work at a time
                seed: of all that is random
                restart: function that restarts the database (optional)
                restarts: how often to run it
                offer: the relay's extensions
                tell: function to call with each line of the report
        """

        self.uri = uri
        self.messages = messages
        self.kills = kills
        self.number = workers
        self.chance = random.Random(seed)
        self.restart = restart
        self.restarts = restarts
        self.tell = tell

        self.relay = FakeRelay(extensions=offer)
        self.addresses = set()
        self.workers = {} # name: process
        self.suspended = {}
        self.started = 0
        self.lost = set() # names of the workers that were killed, or lost the database

    # -------------------------------------------------------------------------
    def run(self):
        """
            Run the campaign

            Returns:
                list of what is wrong (empty if all is well)
        """

        with self.relay:
            self.office = Office(self.uri, self.relay)
            self.office.configure(**WAITS)
            if not self.office.db(self.office.db.msg_outbox).isempty():
                raise ValueError("The database is not empty")
            try:
                self._mischief()
                self._peace()
                return self._judge()
            finally:
                self.workers.update(self.suspended)
                for name in list(self.workers):
                    self._kill(name)
                self.office.close()

    # -------------------------------------------------------------------------
    def _mischief(self):
        """ Queue, kill, stop, restart, in random order """

        relay, chance = self.relay, self.chance
        relay.answer("RCPT", "550 5.1.1 No such user", to="never@example.org")
        relay.delay("BODY", 0.002)

        events = ["kill"] * self.kills + ["relay"] * (self.kills // 10) + \
                 ["later"] * (self.kills // 5) + ["restart"] * self.restarts + \
                 ["suspend"] * (self.kills // 50)
        chance.shuffle(events)
        share = -(-self.messages // max(len(events), 1))
        queued = 0
        for event in events:
            self._work()
            more = min(share, self.messages - queued)
            self._queue(queued, more)
            queued += more
            time.sleep(chance.uniform(0, 0.4))
            if event == "kill":
                self._kill(chance.choice(sorted(self.workers)))
            elif event == "relay":
                relay.stop()
                time.sleep(chance.uniform(0, 0.3))
                relay.start()
                self._probe()
            elif event == "suspend":
                name = chance.choice(sorted(self.workers))
                os.kill(self.workers[name].pid, signal.SIGSTOP)
                self.suspended[name] = self.workers.pop(name)
            elif event == "later":
                relay.answer("RCPT", "451 4.3.0 Later", times=3)
            else:
                self.lost.update(self.workers)
                self.restart()
                self._again(lambda: self.office.db.executesql("SELECT 1"))

    # -------------------------------------------------------------------------
    def _peace(self):
        """ Let the workers finish; let the leases of the lost ones end """

        db = self.office.db
        table = db.msg_outbox

        def settled():
            self._work()
            self._probe()
            waiting = db(table.status == UNSENT).count()
            db.commit()
            return not waiting

        claimed = (db.mails3_delivery.lease != None)
        eventually(lambda: settled() or self._only(claimed), 600)
        for name in list(self.workers):
            self._kill(name)
        self.office.later(3600)
        # What two workers were lost over, the admin releases
        self.set_aside = db(table.status == DRAFT).update(status=UNSENT)
        db((db.mails3_delivery.in_doubt_count > 0) & (db.mails3_delivery.queue == None) &
           db.mails3_delivery.outbox_id.belongs(db(table.status == UNSENT)._select(table.id))
           ).update(queue=NEW, in_doubt_count=0, begun_on=None)
        db.commit()
        eventually(lambda: settled(), 120)

        # Those that were suspended for longer than their lease wake up
        self.workers.update(self.suspended)
        for process in self.suspended.values():
            os.kill(process.pid, signal.SIGCONT)
        time.sleep(2 * bool(self.suspended))
        self.suspended = {}
        for name in list(self.workers):
            self._kill(name)

    # -------------------------------------------------------------------------
    def _only(self, query):
        """ Whether all that is unsent is claimed, and nobody is sending it """

        db = self.office.db
        unsent = db(db.msg_outbox.status == UNSENT).count()
        held = db(query).count()
        before = len(self.relay.mails)
        time.sleep(1)
        db.commit()
        return held >= unsent and len(self.relay.mails) == before

    # -------------------------------------------------------------------------
    def _judge(self):
        """ Hold the relay's record against the database """

        wrong = []
        db = self.office.db
        db.commit()
        outbox, delivery = db.msg_outbox, db.mails3_delivery
        rows = db(delivery.outbox_id == outbox.id).select(outbox.address, outbox.status,
                                                          delivery.attempts, delivery.lease,
                                                          delivery.queue)
        arrived = collections.defaultdict(list)
        for mail in self.relay.mails:
            for address in mail.recipients:
                arrived[address].append(mail)
        named = collections.Counter(argument for _, verb, argument in self.relay.commands
                                    if verb == "RCPT")
        tried = collections.Counter()
        for argument, times in named.items():
            tried[argument[argument.index("<") + 1:argument.index(">")]] += times
        worker = {session: argument for session, verb, argument in self.relay.commands
                  if verb == "EHLO"}

        # Without a database to queue it in, a mail is sent directly
        queued = {row.msg_outbox.address for row in rows}
        direct = [address for address in self.addresses if address not in queued]
        wrong.extend("%s is lost" % address for address in direct if not arrived[address])
        twice = 0
        for row in rows:
            address, mails = row.msg_outbox.address, arrived[row.msg_outbox.address]
            if address == "never@example.org":
                if row.msg_outbox.status != INVALID:
                    wrong.append("%s has status %s" % (address, row.msg_outbox.status))
                continue
            if row.msg_outbox.status != SENT or not mails:
                wrong.append("%s has status %s and arrived %s times" %
                             (address, row.msg_outbox.status, len(mails)))
            if row.mails3_delivery.lease or row.mails3_delivery.queue:
                wrong.append("%s is still claimed" % address)
            if row.mails3_delivery.attempts > tried[address]:
                wrong.append("%s has %s attempts, %s were made" %
                             (address, row.mails3_delivery.attempts, tried[address]))
            twice += len(mails) > 1
            if len({mail.message["Message-ID"] for mail in mails}) > 1:
                wrong.append("%s arrived with different Message-IDs" % address)
            # One may come from a worker that was lost, and had been suspended
            well = [mail for mail in mails if worker.get(mail.session) not in self.lost]
            if len(well) > 1:
                wrong.append("%s arrived again, though its worker was not lost" % address)
        # Each may have had one in hand for each session
        if twice > len(self.lost) * WAITS["sessions"]:
            wrong.append("%s messages arrived twice, %s workers were lost" %
                         (twice, len(self.lost)))

        self.tell("%s messages queued, %s sent directly, %s workers lost, %s messages set "
                  "aside after two of them, %s arrived twice, %s wrong" %
                  (len(rows), len(direct), len(self.lost), self.set_aside, twice, len(wrong)))
        return wrong

    # -------------------------------------------------------------------------
    def _queue(self, start, number):
        """ Queue messages, each to an address of its own; one in 50 to nobody """

        def queue():
            for n in range(start, start + number):
                address = "never@example.org" if n % 50 == 49 else "user%s@example.org" % n
                if not self.office.mail.send(address, "News %s" % n, "There is news.",
                                             idempotency_key=str(n)):
                    raise RuntimeError(self.office.mail.error)
            self.office.db.commit()

        self._again(queue)
        self.addresses.update("user%s@example.org" % n for n in range(start, start + number)
                              if n % 50 != 49)

    # -------------------------------------------------------------------------
    def _probe(self):
        """ Let the time pass until a held relay may be probed """

        db = self.office.db
        self._again(lambda: (db(db.mails3_channel.probe_on != None).update(
                                    probe_on="2000-01-01 00:00:00"), db.commit()))

    # -------------------------------------------------------------------------
    def _again(self, action):
        """ Do something in the database, again if it was away or busy """

        for _ in range(60):
            try:
                return action()
            except Exception:
                time.sleep(0.5)
                recover(self.office.db)
        return action()

    # -------------------------------------------------------------------------
    def _work(self):
        """ Start workers until there are enough """

        for name, process in list(self.workers.items()):
            if process.poll() is not None:
                # It lost the database, and ended
                self.lost.add(name)
                del self.workers[name]
        while len(self.workers) < self.number:
            self.started += 1
            name = "worker%s.example.org" % self.started
            self.workers[name] = subprocess.Popen([sys.executable, TESTS / "campaign.py",
                                                   "--work", name,
                                                   "--uri", self.uri,
                                                   "--relay", self.relay.address],
                                                  stderr = subprocess.DEVNULL)

    # -------------------------------------------------------------------------
    def _kill(self, name):
        """ Kill a worker, without a warning """

        process = self.workers.pop(name)
        self.lost.add(name)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

# -----------------------------------------------------------------------------
def work(name, uri, address):
    """
        What a worker does until it is killed: by its number, it is one of our own,
        one of the scheduler, or the sender of a web server's process
    """

    office = Office.__new__(Office)
    office.uri, office.given = uri, dict(WAITS)
    office.relay = SimpleNamespace(address=address)
    office.db = office.connection()
    office.mail = office.mailer(office.db)
    office.mail.settings.hostname = name
    number = int("".join(filter(str.isdigit, name)))
    (work_of_our_own, work_for_the_scheduler, send_for_a_web_server)[number % 3](office)

# -----------------------------------------------------------------------------
def work_of_our_own(office):
    """ Be a worker process of ours """

    office.mail.self_repair = lambda: True
    supervisor = SimpleNamespace(is_gone = lambda: False,
                                 ask_for_replacement = lambda: None,
                                 say_ready = lambda: None)
    files = SimpleNamespace(have_changed = lambda: False)
    WorkerProcess(office.mail, files, supervisor).run()

# -----------------------------------------------------------------------------
def work_for_the_scheduler(office):
    """ Run the tasks of the scheduler one after the other """

    while True:
        if not (office.mail.drain() or 0) + (office.mail.retry() or 0):
            time.sleep(0.05)

# -----------------------------------------------------------------------------
def send_for_a_web_server(office):
    """ Have the thread of a web server's process send, as after a request """

    while True:
        order = Order(office.mail, EMAIL, contextlib.nullcontext)
        while not order.is_done():
            pass
        time.sleep(0.05)

# END =========================================================================
