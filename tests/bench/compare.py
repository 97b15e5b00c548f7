"""
    MailS3 beside its peers and the limit: queueing and draining, on the same
    databases and the same SMTP servers

        python3 tests/bench/compare.py [--databases sqlite postgres mysql]
                                       [--number N] [--rounds N] [--slow N]

    Runs take turns, several rounds; each is a process of its own. What is told
    is the median of the ratios within a round, and their spread: machines are
    noisy, and all alike. What was delivered, the SMTP server counts: smtp-sink
    (Debian's package postfix; or the path in SMTP_SINK) where there is one,
    else sink.py; the slow relay is sink.py with 20 ms before each reply, TLS
    and login, and offers nothing more, or one or two of what Postfix offers.
    To queue is timed by the clock, within one transaction, ours with the wake
    of a scheduler worker, which the peers have not.
"""

import argparse
import itertools
import json
import os
import shutil
import smtplib
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import environment # noqa: E402

environment.enter()

from support.databases import SERVERS, make_database, on_server # noqa: E402
from support.office import Office # noqa: E402

from gluon import current           # noqa: E402
from gluon.cache import Cache       # noqa: E402
from gluon.globals import Request   # noqa: E402
from gluon.scheduler import Scheduler # noqa: E402

from mails3.hosts.scheduler import Tasks # noqa: E402
from mails3.queue.migration import create # noqa: E402
from mails3.hosts.self_repair import SCHEDULER_TABLES # noqa: E402


OURS = "MailS3"
PEERS = {"django-mailer": "mailer", "post_office": "post_office",
         "post_office, tuned": "tuned"}
LIMIT = "smtplib alone"
BODY = 1000

# The slow relay: the connections of the tuned peer, and what the relay offers
SLOW_CONNECTIONS = 5
OFFERS = ([], ["PIPELINING"], ["PIPELINING", "CHUNKING"])

# =============================================================================
class Server:
    """ An SMTP server in a process of its own, which counts """

    def __init__(self, *options):

        self.process = subprocess.Popen([sys.executable, HERE / "sink.py", *options],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.address = "127.0.0.1:%s" % self.process.stdout.readline().strip()

    # -------------------------------------------------------------------------
    def counts(self):
        """ What has arrived since the last time """

        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    # -------------------------------------------------------------------------
    def close(self):

        self.process.kill()
        self.process.wait()

# =============================================================================
class SmtpSink(Server):
    """ Postfix's smtp-sink, which shows its counters """

    def __init__(self, program):

        with smtplib.socket.create_server(("127.0.0.1", 0)) as free:
            self.address = "127.0.0.1:%s" % free.getsockname()[1]
        self.shown = tempfile.TemporaryFile()
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        self.process = subprocess.Popen([program, "-4", "-c", *user, self.address, "200"],
                                        stdout=self.shown, stderr=subprocess.DEVNULL)
        self.before = {"sess": 0, "mesg": 0}
        time.sleep(0.5)

    # -------------------------------------------------------------------------
    def counts(self):

        time.sleep(0.1)
        self.shown.seek(0)
        lines = self.shown.read().decode().split("\r")
        now = dict(self.before)
        if len(lines) > 1:
            now.update((name, int(value)) for name, value in
                       (word.split("=") for word in lines[-2].split()))
        seen = {"connections": now["sess"] - self.before["sess"],
                "messages": now["mesg"] - self.before["mesg"]}
        self.before = now
        return seen

# -----------------------------------------------------------------------------
def open_office(uri, address):
    """ An app's mail, as the tests have it, with a relay of our own """

    current.request = Request({})
    current.request.application = "shelter"
    current.cache = Cache(current.request)
    return Office(uri, SimpleNamespace(address=address))

# -----------------------------------------------------------------------------
def employ_worker(office):
    """ Give an office a scheduler whose worker is alive, so that mail wakes it """

    current._scheduler = None
    scheduler = Scheduler(office.db, migrate=False)
    create(office.db, SCHEDULER_TABLES)
    office.mail.tasks = Tasks(scheduler, office.mail)
    office.mail.tasks.ensure_rows(office.db)
    office.db.scheduler_worker.insert(worker_name="worker", status="ACTIVE",
                                      group_names=scheduler.group_names,
                                      last_heartbeat=scheduler.now())
    office.db.commit()

# -----------------------------------------------------------------------------
def ours(uri, number, address, tls, connections):
    """ One run of MailS3: seconds to queue and drain, and processor time """

    office = open_office(uri, address)
    office.configure(sessions=connections)
    employ_worker(office)
    if tls:
        office.mail.settings.tls = True
        office.mail.settings.login = "user:password"
    text = ("x" * 71 + "\n") * (BODY // 72)

    def queue(many):
        for n in range(many):
            office.mail.send("user%s@example.org" % n, "Number %s" % n, text)

    queue(20)
    office.db.rollback()
    start = time.monotonic()
    queue(number)
    queued = time.monotonic() - start
    office.db.commit()
    start, cpu = time.monotonic(), time.process_time()
    office.drain()
    result = {"queue": queued, "drain": time.monotonic() - start,
              "cpu": time.process_time() - cpu}
    office.close()
    return result

# -----------------------------------------------------------------------------
def limit(number, address, tls):
    """ smtplib over one connection: no database, nothing composed """

    text = "Subject: Number\r\n\r\n" + ("x" * 71 + "\r\n") * (BODY // 72)
    host, _, port = address.partition(":")
    start, cpu = time.monotonic(), time.process_time()
    with smtplib.SMTP(host, int(port)) as smtp:
        if tls:
            smtp.starttls()
            smtp.login("user", "password")
        for n in range(number):
            smtp.sendmail("shelter@example.org", ["user%s@example.org" % n], text)
    return {"queue": 0, "drain": time.monotonic() - start, "cpu": time.process_time() - cpu}

# -----------------------------------------------------------------------------
def start_server():
    """ smtp-sink where there is one, else our own """

    program = os.environ.get("SMTP_SINK") or shutil.which("smtp-sink", path=os.defpath +
                                                          ":/usr/sbin")
    return SmtpSink(program) if program else Server("--offer", "PIPELINING")

# -----------------------------------------------------------------------------
def one_run(system, engine, number, server, tls, connections, python):
    """ One run in a process of its own; what it told, or None if it was wrong """

    made = None
    with tempfile.TemporaryDirectory() as folder:
        uri = "sqlite://%s/storage.sqlite" % folder
        if engine != "sqlite":
            made = uri = make_database(SERVERS[engine])
        arguments = [uri, str(number), server.address, "tls" if tls else "plain",
                     str(connections)]
        if system in PEERS:
            command = [python, HERE / "peer.py", PEERS[system], *arguments, str(BODY)]
        else:
            command = [sys.executable, __file__, "--run", system, *arguments]
        try:
            server.counts()
            output = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    text=True, cwd=folder)
            counts = server.counts()
        finally:
            if made:
                on_server(SERVERS[engine],
                          "DROP DATABASE %s" % made.rpartition("/")[2])
    if output.returncode or counts["messages"] != number:
        print("%s on %s: %s of %s arrived %s" % (system, engine, counts["messages"], number,
                                                 output.stderr[-300:]), flush=True)
        return None
    return dict(json.loads(output.stdout.splitlines()[-1]), **counts)

# -----------------------------------------------------------------------------
def spread(values):
    """ Median, lowest and highest """

    return "%5.2f (%.2f-%.2f)" % (statistics.median(values), min(values), max(values))

# -----------------------------------------------------------------------------
def tell(title, rounds, number):
    """ What the rounds of one table have shown """

    print("\n%s\n%-20s %9s %9s %11s %9s  %s" %
          (title, "", "drain /s", "cpu ms", "connections", "queue ms",
           "MailS3 is ... times as fast, takes ... times the processor time, and to queue"))
    for system in rounds[0]:
        runs = [(each[system], each[OURS]) for each in rounds if each[system] and each[OURS]]
        if not runs:
            continue
        middle = {key: statistics.median(run[key] for run, _ in runs)
                  for key in ("drain", "cpu", "queue", "connections")}
        line = "%-20s %9.0f %9.2f %11d %9.2f" % \
               (system, number / middle["drain"], middle["cpu"] / number * 1000,
                middle["connections"], middle["queue"] / number * 1000)
        if system != OURS:
            line += "  " + spread([run["drain"] / our["drain"] for run, our in runs])
            line += "  " + spread([our["cpu"] / run["cpu"] for run, our in runs])
            if middle["queue"]:
                line += "  " + spread([our["queue"] / run["queue"] for run, our in runs])
        print(line, flush=True)

# -----------------------------------------------------------------------------
def main():

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--databases", nargs="*", default=["sqlite", "postgres", "mysql"])
    parser.add_argument("--number", type=int, default=1000, help="messages on loopback")
    parser.add_argument("--slow", type=int, default=400, help="messages over the slow relay")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=20,
                        help="of MailS3 and the tuned peer, on loopback")
    parser.add_argument("--slow-databases", nargs="*", default=["sqlite"])
    parser.add_argument("--sessions", type=int, default=SLOW_CONNECTIONS,
                        help="of MailS3, over the slow relay")
    parser.add_argument("--run", nargs=6, help=argparse.SUPPRESS)
    options = parser.parse_args()

    if options.run:
        system, uri, number, address, tls, connections = options.run
        result = limit(int(number), address, tls == "tls") if system == LIMIT else \
            ours(uri, int(number), address, tls == "tls", int(connections))
        print(json.dumps(result))
        return

    python = environment.provide(environment.CLONE / (".venv-bench-" + environment.VERSION),
                                 HERE / "requirements.txt")
    systems = [OURS, *PEERS, LIMIT]

    server = start_server()
    for engine in options.databases:
        rounds = [{system: one_run(system, engine, options.number, server, False,
                                   options.connections, python)
                   for system in systems} for _ in range(options.rounds)]
        tell("%s, loopback, %s messages of 1 kB, MailS3 and the tuned one with %s connections" %
             (engine, options.number, options.connections), rounds, options.number)
    server.close()

    if not options.slow:
        return
    for engine, offer in itertools.product(options.slow_databases, OFFERS):
        with tempfile.TemporaryDirectory() as folder:
            pem = Path(folder) / "relay.pem"
            make_certificate(pem)
            server = Server("--latency", "0.02", "--certificate", str(pem), "--login",
                            "--offer", *offer)
            rounds = [{system: one_run(system, engine, options.slow, server, True, connections,
                                       python)
                       for system, connections in ((OURS, options.sessions),
                                                   ("post_office, tuned", SLOW_CONNECTIONS))}
                      for _ in range(options.rounds)]
            server.close()
        tell("%s, slow relay (20 ms a reply, TLS, login, %s), %s messages, %s and %s connections" %
             (engine, " ".join(offer) or "neither PIPELINING nor CHUNKING", options.slow,
              options.sessions, SLOW_CONNECTIONS), rounds, options.slow)

# -----------------------------------------------------------------------------
def make_certificate(path):
    """ A throw-away certificate with its key """

    import trustme

    trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(path)

# -----------------------------------------------------------------------------
if __name__ == "__main__":
    main()

# END =========================================================================
