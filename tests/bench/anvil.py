"""
    How mail goes over real mail servers that limit their clients, by the clock:

        python3 tests/bench/anvil.py [--cases WORD ...] [--number N] [--workers N]

    Postfix with the limits of its anvil, Exim and OpenSMTPD with theirs, as in
    tests/servers (needs root, and MAIL_SERVERS_PATH or what is installed). Mail is
    queued, and workers send it over SQLite, each in a thread with a connection of its
    own. The ideal time is the one in which the server takes so many by its limit.
"""

import argparse
import logging
import re
import sys
import tempfile
import threading
import time

from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import environment # noqa: E402

environment.enter()

from support.mail_servers import DOMAIN, USERS, Exim, OpenSMTPD, Postfix # noqa: E402
from support.office import Office # noqa: E402
from support.simulated_site import enter_app # noqa: E402
from support.site import eventually # noqa: E402

from mails3.delivery.limits import Limits # noqa: E402
from mails3.states import UNSENT # noqa: E402

# The time of a rate of Postfix's anvil (seconds), a minute by default
WINDOW_S = 10

# How long a worker that has nothing to do waits (seconds)
IDLE_S = 0.1

# After so many seconds, a case ends
MAX_S = 300

# What the servers log of a refusal
REFUSED = re.compile(r"warning: .* limit exceeded: "
                     r"|refused: too many connections|too many messages in one connection"
                     r"|Sender rate|result=\"4\d\d|no new messages allowed|too many messages")

# =============================================================================
@dataclass
class Case:
    """ A server with a limit """

    server: type # a MailServer
    settings: dict = field(default_factory=dict)
    checks: tuple = ()
    number: int = 120
    ideal_s: float = 0 # 0 = as fast as it can

# -----------------------------------------------------------------------------
def anvil(ideal_s=0, **limits):
    """ A Case of Postfix, with limits of a client """

    settings = {"smtpd_client_%s_limit" % name: number for name, number in limits.items()}
    return Case(Postfix, dict(settings, anvil_rate_time_unit="%ss" % WINDOW_S), ideal_s=ideal_s)

CASES = {
    "postfix-none": anvil(),
    "postfix-messages": anvil(message_rate=30, ideal_s=3 * WINDOW_S),
    "postfix-recipients": anvil(recipient_rate=30, ideal_s=3 * WINDOW_S),
    "postfix-connections": anvil(connection_count=2),
    "postfix-one-connection": anvil(connection_count=1),
    "postfix-new-connections": anvil(connection_rate=5),
    "exim-none": Case(Exim),
    "exim-connections": Case(Exim, {"smtp_accept_max_per_host": 2}),
    "exim-messages": Case(Exim, {"smtp_accept_max_per_connection": 10}),
    "exim-rate": Case(Exim, checks=("defer message = Sender rate overlimit\n"
                                    "  ratelimit = 30 / %ss / per_mail" % WINDOW_S,),
                      ideal_s=3 * WINDOW_S),
    "opensmtpd-none": Case(OpenSMTPD),
    "opensmtpd-messages": Case(OpenSMTPD, {"limit max-mails": 10}),
    "opensmtpd-recipients": Case(OpenSMTPD, {"limit max-rcpt": 10}),
    }

# -----------------------------------------------------------------------------
def work(office, is_over):
    """ Send mail until that is over, as a worker does (a thread) """

    enter_app()
    db = office.connection()
    mail = office.mailer(db)
    channel = mail.channel()
    try:
        while not is_over():
            now = channel.shared_clock()
            if channel.has_work(now(), is_patient=True):
                db.commit()
                channel.worker(now=now).work()
            db.commit()
            time.sleep(IDLE_S)
    finally:
        db.close()

# -----------------------------------------------------------------------------
def run(case, number, workers):
    """
        Send mail over the server of a Case, and print what was seen

        Args:
            case: the Case
            number: how many mails
            workers: how many workers send them

        Returns:
            the server's log (str)
    """

    with tempfile.TemporaryDirectory() as folder, \
         case.server(settings=case.settings, checks=case.checks) as server:
        enter_app()
        office = Office("sqlite://%s/storage.sqlite" % folder, server)
        office.configure(reply_timeout=10)
        office.queue(*["%s@%s" % (USERS[each % len(USERS)], DOMAIN) for each in range(number)])
        refused_before = len(REFUSED.findall(server.log()))

        left, seconds, has_tripped = drained(office, workers)

        eventually(lambda: len(server.recipients()) >= number - left, 5)
        refused = len(REFUSED.findall(server.log())) - refused_before
        attempts = office.db.mails3_delivery.attempts.sum()
        charged = office.db().select(attempts).first()[attempts] - (number - left)
        print("%3d left, %3d arrived, %5.1f s (ideal %4.1f), %3d refused (%.1f %%), charged %d%s" %
              (left, len(server.recipients()), seconds, case.ideal_s * number / 120, refused,
               100 * refused / (number + refused), charged, ", suspended" if has_tripped else ""))
        print("  learned: %s" % learned(office))
        office.close()
        return server.log()

# -----------------------------------------------------------------------------
def drained(office, workers):
    """
        Let workers send until nothing is left, or MAX_S are over

        Args:
            office: the Office
            workers: how many

        Returns:
            tuple (how many mails are left, seconds, whether sending was suspended)
    """

    start, has_tripped, over = time.monotonic(), False, threading.Event()
    threads = [threading.Thread(target=work, args=(office, over.is_set)) for _ in range(workers)]
    for thread in threads:
        thread.start()
    left = None
    while left != 0 and time.monotonic() < start + MAX_S:
        time.sleep(0.05)
        office.db.commit()
        left = office.db(office.db.msg_outbox.status == UNSENT).count()
        has_tripped = has_tripped or office.state().status == "tripped"
    seconds = time.monotonic() - start
    over.set()
    for thread in threads:
        thread.join()
    office.db.commit()
    return left, seconds, has_tripped

# -----------------------------------------------------------------------------
def learned(office):
    """ What was learned about the server (str) """

    pace = Limits([], False, office.state().pace).pace
    return "%s messages/s, %s sessions, %s messages per session" % \
        (pace.rate and round(pace.rate, 2), pace.max_sessions, pace.messages_per_session)

# -----------------------------------------------------------------------------
def main():
    """ The command line """

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0].strip())
    parser.add_argument("--cases", nargs="+", default=[""])
    parser.add_argument("--number", type=int, default=120)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--log", action="store_true", help="print what the server has logged")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stdout)
    for name, case in CASES.items():
        if any(word in name for word in options.cases):
            print("%-24s" % name, end=" ", flush=True)
            log = run(case, options.number, options.workers)
            if options.log:
                print(log)

if __name__ == "__main__":
    main()

# END =========================================================================
