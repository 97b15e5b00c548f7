"""
    How throughput grows with the number of workers, and that none sends twice

        python3 tests/bench/workers.py [--database postgres] [--number N] [--rounds N]
                                       [--workers 1 2 4 8]

    All workers start at the same moment on one full queue. The SMTP server
    counts what arrives. Who keeps the cores busy, /proc tells (Linux).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import compare # makes the environment

from support.databases import SERVERS, make_database, on_server # noqa: E402

from mails3.states import SENT # noqa: E402

# The names of their processes; SQLite is in the workers
DATABASES = ("postgres", "mariadbd", "mysqld")
SINKS = ("smtp-sink",)

# -----------------------------------------------------------------------------
def work(uri, address):
    """ A worker: ready, waits for the word, drains until nothing is left """

    office = compare.open_office(uri, address)
    print("ready", flush=True)
    sys.stdin.readline()
    before = time.process_time()
    office.drain()
    print(time.process_time() - before, flush=True)

# -----------------------------------------------------------------------------
def busy(names):
    """ Processor seconds of all processes of some names, those that ended included """

    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, fields = path.read_text().partition("(")[2].rpartition(")")
        except OSError:
            # It has just ended
            continue
        if name in names:
            # utime, stime, and those of its children (proc(5))
            ticks += sum(int(field) for field in fields.split()[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")

# -----------------------------------------------------------------------------
def one_run(uri, workers, number, server):
    """
        Messages per second; cores that the workers, the database and the
        SMTP server keep busy
    """

    office = compare.open_office(uri, server.address)
    for n in range(number):
        office.mail.send("user%s@example.org" % n, "Number %s" % n, ("x" * 71 + "\n") * 14)
    office.db.commit()
    server.counts()
    team = [subprocess.Popen([sys.executable, __file__, "--work", uri, server.address],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(workers)]
    for process in team:
        process.stdout.readline()
    others = [busy(names) for names in (DATABASES, SINKS)]
    before = time.monotonic()
    for process in team:
        process.stdin.write("\n")
        process.stdin.flush()
    used = sum(float(process.stdout.readline()) for process in team)
    seconds = time.monotonic() - before
    for process in team:
        process.communicate()
    cores = [used / seconds] + [(busy(names) - earlier) / seconds for names, earlier in
                                zip((DATABASES, SINKS), others)]
    arrived = server.counts()["messages"]
    sent = office.db(office.db.msg_outbox.status == SENT).count()
    office.close()
    if not arrived == sent == number:
        print("%s workers: %s arrived, %s sent of %s" % (workers, arrived, sent, number))
    return number / seconds, cores

# -----------------------------------------------------------------------------
def main():

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--database", default="postgres")
    parser.add_argument("--number", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", nargs="*", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--latency", type=float, default=0, help="of the relay (seconds)")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()

    if options.work:
        work(*options.work)
        return

    server = compare.start_server() if not options.latency else \
        compare.Server("--latency", str(options.latency), "--offer", "PIPELINING", "CHUNKING")
    figures = {workers: [] for workers in options.workers}
    try:
        for _ in range(options.rounds):
            for workers in options.workers:
                with tempfile.TemporaryDirectory() as folder:
                    uri = "sqlite://%s/storage.sqlite" % folder
                    if options.database != "sqlite":
                        uri = make_database(SERVERS[options.database])
                    try:
                        figures[workers].append(one_run(uri, workers, options.number, server))
                    finally:
                        if options.database != "sqlite":
                            on_server(SERVERS[options.database],
                                      "DROP DATABASE %s" % uri.rpartition("/")[2])
    finally:
        server.close()
    print("%s, %s messages, latency %s s" % (options.database, options.number, options.latency))
    for workers, runs in figures.items():
        rates = [rate for rate, _ in runs]
        print("%s workers: %5.0f messages a second (%.0f-%.0f); cores busy: %.1f by workers, "
              "%.1f by the database, %.1f by the SMTP server" %
              (workers, statistics.median(rates), min(rates), max(rates),
               *map(statistics.median, zip(*(cores for _, cores in runs)))))

# -----------------------------------------------------------------------------
if __name__ == "__main__":
    main()

# END =========================================================================
