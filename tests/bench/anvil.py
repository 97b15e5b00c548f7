"""
    How mail goes over real mail servers that limit their clients, by the clock:

        python3 tests/bench/anvil.py [--cases WORD ...] [--number N] [--workers N]
                                     [--window S]

    Postfix with the limits of its anvil, Exim and OpenSMTPD with theirs, as in
    tests/servers (needs root, and MAIL_SERVERS_PATH or what is installed). Mail is
    queued, and workers send it over SQLite, each in a thread with a connection of its
    own. The ideal time is the one in which the server takes so many by its limit, in
    bursts at the beginning of each window. Refused: connections and commands, as the
    server has logged them. Charged: attempts beside those by which mail was accepted.
"""

import argparse
import logging
import re
import sys
import tempfile
import threading
import time

from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import environment # noqa: E402

environment.enter()

from support.mail_servers import DOMAIN, USERS, Exim, OpenSMTPD, Postfix # noqa: E402
from support.office import Office # noqa: E402
from support.simulated_site import enter_app # noqa: E402
from support.site import eventually # noqa: E402

from mails3.delivery.limits import Limits # noqa: E402
from mails3.states import SENT # noqa: E402

# How long a worker that has nothing to do waits (seconds)
IDLE_S = 0.1

# After so many seconds, a case ends
MAX_S = 3600

# What the servers log of a refusal
REFUSED = re.compile(r"warning: .* limit exceeded: "
                     r"|refused: too many connections|too many messages in one connection"
                     r"|Sender rate|result=\"4\d\d|no new messages allowed|too many messages")

# =============================================================================
@dataclass
class Case:
    """ A server with a limit; WINDOW stands for the time in which it counts (seconds) """

    server: type # a MailServer
    settings: dict = field(default_factory=dict)
    checks: tuple = ()
    per_window: int = 0 # mails that it takes in one time; 0 = as many as it can

    # -------------------------------------------------------------------------
    def ideal_s(self, number, window_s):
        """ In what time the server takes so many mails (seconds) """

        return (ceil(number / self.per_window) - 1) * window_s if self.per_window else 0

# -----------------------------------------------------------------------------
def anvil(per_window=0, **limits):
    """ A Case of Postfix, with limits of a client """

    settings = {"smtpd_client_%s_limit" % name: number for name, number in limits.items()}
    return Case(Postfix, dict(settings, anvil_rate_time_unit="WINDOWs"),
                per_window = per_window)

CASES = {
    "postfix-none": anvil(),
    "postfix-messages": anvil(message_rate=30, per_window=30),
    "postfix-recipients": anvil(recipient_rate=30, per_window=30),
    "postfix-connections": anvil(connection_count=2),
    "postfix-one-connection": anvil(connection_count=1),
    "postfix-new-connections": anvil(connection_rate=5),
    "exim-none": Case(Exim),
    "exim-connections": Case(Exim, {"smtp_accept_max_per_host": 2}),
    "exim-messages": Case(Exim, {"smtp_accept_max_per_connection": 10}),
    "exim-rate": Case(Exim, checks=("defer message = Sender rate overlimit\n"
                                    "  ratelimit = 30 / WINDOWs / per_mail",),
                      per_window=30),
    "opensmtpd-none": Case(OpenSMTPD),
    "opensmtpd-messages": Case(OpenSMTPD, {"limit max-mails": 10}),
    "opensmtpd-recipients": Case(OpenSMTPD, {"limit max-rcpt": 10}),
    }

# =============================================================================
class Run:
    """ A Case, and what was seen """

    def __init__(self, case, number, workers, window_s):
        """
            Args:
                case: the Case
                number: of mails
                workers: how many
                window_s: the time in which the server counts (seconds)
        """

        self.case, self.number, self.workers = case, number, workers
        self.window_s = window_s
        self.is_over = threading.Event()
        self.left = number
        self.trips = 0 # how often the breaker was seen tripped

    # -------------------------------------------------------------------------
    def send(self):
        """ Send all mail, and return the row of the table """

        with tempfile.TemporaryDirectory() as folder, \
             self.case.server(**self.options()) as server:
            enter_app()
            office = Office("sqlite://%s/storage.sqlite" % folder, server)
            office.configure(reply_timeout=10)
            office.queue(*["%s@%s" % (USERS[n % len(USERS)], DOMAIN)
                           for n in range(self.number)])
            refused = len(REFUSED.findall(server.log()))
            start, cpu = time.monotonic(), time.process_time()
            threads = [threading.Thread(target=self.work, args=(office,))
                       for _ in range(self.workers)]
            for thread in threads:
                thread.start()
            self.wait(office, start + MAX_S)
            seconds, cpu = time.monotonic() - start, time.process_time() - cpu
            self.is_over.set()
            for thread in threads:
                thread.join()
            eventually(lambda: len(server.recipients()) >= self.number - self.left, 5)
            refused = len(REFUSED.findall(server.log())) - refused
            row = self.row(office, server, seconds, cpu, refused)
            office.close()
        return row

    # -------------------------------------------------------------------------
    def options(self):
        """ What the server does beside its defaults (dict) """

        def with_window(text):
            return str(text).replace("WINDOW", str(self.window_s))

        return {"settings": {name: with_window(value)
                             for name, value in self.case.settings.items()},
                "checks": list(map(with_window, self.case.checks))}

    # -------------------------------------------------------------------------
    def work(self, office):
        """ Send mail until that is over, as a worker does (a thread) """

        enter_app()
        db = office.connection()
        channel = office.mailer(db).channel()
        try:
            while not self.is_over.is_set():
                now = channel.shared_clock()
                has_work = channel.has_work(now())
                db.commit()
                if has_work:
                    channel.worker(now=now).work()
                self.is_over.wait(IDLE_S)
        finally:
            self.is_over.set()
            db.close()

    # -------------------------------------------------------------------------
    def wait(self, office, end):
        """ Wait until all mail is sent (end: no longer than that, by the clock) """

        outbox = office.db.msg_outbox
        while self.left and time.monotonic() < end and not self.is_over.wait(0.05):
            office.db.commit()
            self.left = office.db(outbox.status != SENT).count()
            self.trips += office.state().status == "tripped"

    # -------------------------------------------------------------------------
    def row(self, office, server, seconds, cpu, refused):
        """ The row of the table, as text """

        office.db.commit()
        attempts = office.db.mails3_delivery.attempts.sum()
        charged = office.db().select(attempts).first()[attempts] - (self.number - self.left)
        pace = Limits([], False, office.state().pace).pace
        learned = ["%s %.3g" % (name, getattr(pace, name))
                   for name in ("rate", "max_sessions", "messages_per_session")
                   if getattr(pace, name)]
        return ROW % (self.left, len(server.recipients()), "%.1f" % seconds,
                      "%d" % self.case.ideal_s(self.number, self.window_s), "%.1f" % cpu, refused,
                      "%.1f %%" % (100 * refused / (self.number + refused)), charged,
                      self.trips, ", ".join(learned) or "-")

# -----------------------------------------------------------------------------
ROW = "%5s %7s %7s %6s %6s %8s %7s %8s %8s  %s"

def main():

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0].strip())
    parser.add_argument("--cases", nargs="+", default=[""], help="parts of their names")
    parser.add_argument("--number", type=int, default=120, help="of mails")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--window", type=int, default=10,
                        help="the time in which the servers count (seconds)")
    options = parser.parse_args()
    logging.getLogger("web2py.mails3").setLevel(logging.CRITICAL)

    print("%-24s" % "", ROW % ("left", "arrived", "last s", "ideal", "cpu s", "refused", "",
                               "charged", "tripped", "learned"), flush=True)
    for name, case in CASES.items():
        if any(word in name for word in options.cases):
            run = Run(case, options.number, options.workers, options.window)
            print("%-24s" % name, run.send(), flush=True)

# -----------------------------------------------------------------------------
if __name__ == "__main__":
    main()

# END =========================================================================
