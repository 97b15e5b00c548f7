"""
    How long mail stands still after a failure, with a worker of our own:

        python3 tests/bench/recovery.py [--database sqlite|postgres|mariadb]
                                        [--rate MAILS] [--seconds S] [--rounds N]

    A real site, its worker (the verb work), and an SMTP server that answers at
    once. Mails are queued one by one, so many per second. In the middle,
    something happens:

        kill     the worker process is killed (-9); its supervisor starts another one
        kill-all the worker process and its supervisor are killed, and a second
                 worker is there
        suspend  the worker process is stopped (SIGSTOP) for 20 s, goes on after
                 that, and a second worker is there
        restart  the database server is killed and started again (not on SQLite)
        relay    the SMTP server is killed; there is a second one
        silence  the SMTP server accepts connections and says nothing any more, also
                 on those that are open; there is a second one

    Tells for each round the longest time from a commit to the SMTP server, the
    longest time in which no mail arrived, how many arrived twice, and how many
    of these were handed over twice: without a database, a mail is sent at once,
    then the visitor's commit fails, and the visitor sends the same mail again.
"""

import argparse
import collections
import contextlib
import os
import signal
import sys
import time

from pathlib import Path
from threading import Thread

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import environment # noqa: E402

environment.enter()

from support.campaign import SERVERS # noqa: E402
from support.databases import make_database # noqa: E402
from support.fake_relay import FakeRelay # noqa: E402
from support.folders import temporary_folder # noqa: E402
from support.site import Site, eventually # noqa: E402

from mails3.installation import install # noqa: E402
from mails3.queue.database import recover # noqa: E402

EVENTS = ("kill", "kill-all", "suspend", "restart", "relay", "silence")
SUSPENDED_S = 20

# =============================================================================
class Round:
    """ One failure, and what became of the mail """

    def __init__(self, folder, uri, event, rate, seconds, restart):
        """
            Args:
                folder: an empty one
                uri: of an empty database
                event: one of EVENTS
                rate: how many mails are queued per second
                seconds: for how long
                restart: function that restarts the database
        """

        self.folder = folder
        self.uri = uri
        self.event = event
        self.number, self.pause_s = int(rate * seconds), 1 / rate
        self.restart = restart
        self.committed = {} # subject: when
        self.repeated = set() # subjects

    # -------------------------------------------------------------------------
    def run(self):
        """
            Run the round

            Returns:
                tuple (longest wait, longest silence, how many arrived twice, how many
                of these were handed over twice)
        """

        with FakeRelay() as relay, FakeRelay() as second, \
                Site(self.folder, uri=self.uri).create() as site:
            install(site.app_path, tell=lambda line: None)
            if self.event in ("relay", "silence"):
                (site.app_path / "private" / "mails3.ini").write_text(
                    "[relay second]\nserver = %s\n" % second.address)
            site.configure(smtp={"server": relay.address, "sender": "shelter@shelter.net"})
            # First: web2py's migration is not safe for processes that start together
            environment = site.environment()
            environment["db"].commit()
            worker = site.work_alone()
            eventually(lambda: self._processes(environment["db"]))
            if self.event in ("kill-all", "suspend"):
                site.work_alone()
                eventually(lambda: len(self._processes(environment["db"])) == 2)
            self._queue(environment, 10)
            eventually(lambda: len(relay.mails) >= 10)

            victim = self._processes(environment["db"])[0]
            failure = Thread(target=self._fail, args=[victim, worker, relay])
            queueing = time.time()
            self._queue(environment, self.number, failure)
            failure.join()
            # What was in doubt waits for five minutes
            eventually(lambda: {mail.message["Subject"] for mail in relay.mails + second.mails} >=
                       set(self.committed), 400)
            return self._judge(relay.mails + second.mails, queueing)

    # -------------------------------------------------------------------------
    @staticmethod
    def _processes(db):
        """ The process ids of the workers that are at work, the oldest first """

        rows = db(db.mails3_worker).select(orderby=db.mails3_worker.id)
        db.commit()
        return [row.process_id for row in rows]

    # -------------------------------------------------------------------------
    def _queue(self, environment, number, failure=None):
        """ Queue mails at the rate; the failure begins after a third of them """

        db, mail = environment["db"], environment["mail"]
        for n in range(number):
            if failure and n == number // 3:
                failure.start()
            subject = "%s %s" % ("mail" if failure else "first", n)
            while not self._is_queued(db, mail, subject):
                time.sleep(0.2)
            time.sleep(self.pause_s)

    # -------------------------------------------------------------------------
    def _is_queued(self, db, mail, subject):
        """ Queue a mail; False if the database is away """

        is_accepted = False
        try:
            is_accepted = mail.send("anne@example.com", subject, "There is news.",
                                    idempotency_key=subject)
            if is_accepted:
                db.commit()
                self.committed[subject] = time.time()
                return True
        except Exception:
            pass
        if is_accepted:
            self.repeated.add(subject)
        recover(db)
        return False

    # -------------------------------------------------------------------------
    def _fail(self, victim, worker, relay):
        """ What happens in the middle """

        if self.event == "restart":
            self.restart()
        elif self.event == "relay":
            relay.stop()
        elif self.event == "silence":
            for step in ("CONNECT", "MAIL"):
                relay.silence(step)
        elif self.event == "suspend":
            os.kill(victim, signal.SIGSTOP)
            time.sleep(SUSPENDED_S)
            os.kill(victim, signal.SIGCONT)
        else:
            if self.event == "kill-all":
                os.kill(worker.pid, signal.SIGKILL)
            os.kill(victim, signal.SIGKILL)

    # -------------------------------------------------------------------------
    def _judge(self, mails, start):
        """ As run() returns it """

        arrived = collections.defaultdict(list)
        for mail in mails:
            arrived[mail.message["Subject"]].append(mail.at)
        lost = set(self.committed) - set(arrived)
        if lost:
            sys.exit("LOST: %s" % sorted(lost)[:5])
        times = [start] + sorted(min(at) for at in arrived.values() if min(at) > start)
        twice = {subject for subject, at in arrived.items() if len(at) > 1}
        return (max(min(arrived[subject]) - at for subject, at in self.committed.items()),
                max(after - before for before, after in zip(times, times[1:])),
                len(twice), len(twice & self.repeated))

# -----------------------------------------------------------------------------
def one_round(database, event, rate, seconds):
    """ Run a round with a database of its own """

    with contextlib.ExitStack() as stack:
        uri, restart = "sqlite://storage.sqlite", None
        if database != "sqlite":
            server = stack.enter_context(SERVERS[database](
                stack.enter_context(temporary_folder())))
            uri, restart = make_database(server.uri), server.crash
        folder = Path(stack.enter_context(temporary_folder())) / "site"
        return Round(folder, uri, event, rate, seconds, restart).run()

# -----------------------------------------------------------------------------
def main():

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--database", choices=["sqlite", *sorted(SERVERS)], default="sqlite")
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=45)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--events", nargs="*", choices=EVENTS, default=EVENTS)
    parser.add_argument("--event", choices=EVENTS, help=argparse.SUPPRESS)
    options = parser.parse_args()

    if options.event:
        print("%8.1f %8.1f %8d %8d" %
              one_round(options.database, options.event, options.rate, options.seconds))
        return
    print("%-10s %-9s %8s %8s %8s %8s" % ("", "", "longest", "silence", "twice", "repeated"))
    for event in options.events:
        if event == "restart" and options.database == "sqlite":
            continue
        for _ in range(options.rounds):
            # A site runs its models in a process of its own
            print("%-10s %-9s" % (options.database, event), end=" ", flush=True)
            os.spawnv(os.P_WAIT, sys.executable,
                      [sys.executable, __file__, *sys.argv[1:], "--event", event])

# -----------------------------------------------------------------------------
if __name__ == "__main__":
    main()

# END =========================================================================
