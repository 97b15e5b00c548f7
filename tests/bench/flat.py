"""
    What one new mail costs, whatever lies around it; and what a drain needs
    of memory

        python3 tests/bench/flat.py [--databases sqlite postgres mysql]
                                    [--around N] [--times N] [--memory]

    One mail is queued, committed and drained, many times, in turn in a queue
    that is empty and in others with many rows of a kind; told are the medians
    and their ratio to the empty one. With --memory: the peak of a process that
    drains, above what it was before, in MB.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from datetime import timedelta

import compare # makes the environment

from support.databases import SERVERS, make_database, on_server # noqa: E402

from mails3.clock import utcnow # noqa: E402
from mails3.states import DEFERRED, NEW, SENT, UNSENT # noqa: E402
from mails3.replies import LoginRefused  # noqa: E402
from mails3.queue.database import insert_rows # noqa: E402
from mails3.queue.schema import TABLES # noqa: E402

from gluon.tools import Mail # noqa: E402

# What lies around: status, queue, whether the relay is held
AROUND = {"nothing": None,
          "sent": (SENT, None, False),
          "deferred": (UNSENT, DEFERRED, False),
          "nothing, held": (None, None, True),
          "held": (UNSENT, NEW, True),
          }

# How much is sent: number of mails, size of the text, size of the attachment
LOADS = {"100,000 of 1 kB": (100000, 1000, 0),
         "1,000 of 10 kB": (1000, 10000, 0),
         "50 with 5 MB attached": (50, 1000, 5000000),
         }

# -----------------------------------------------------------------------------
def fill(office, number, status, queue):
    """ Put rows into the queue, as they would be there after a while """

    db, now = office.db, utcnow().replace(microsecond=0)
    office.mail.send("old@example.org", "Old", "x" * 1000)
    message_id = db(db.mails3_message).select(orderby=~db.mails3_message.id,
                                              limitby=(0, 1)).first().id
    tables = office.mail.channel().tables
    for start in range(0, number, 1000):
        ids = insert_rows(db, tables.outbox, "address, contact_method, status, created_on",
                          ["'old@example.org', 'EMAIL', %d, '%s'" % (status, now)] * 1000)
        insert_rows(db, tables.delivery,
                    "outbox_id, message_id, channel, queue, priority, due_on, "
                    "attempts, in_doubt_count",
                    ["%d, %d, 'EMAIL', %s, 5, '%s', 1, 0" %
                     (each, message_id, queue or "NULL", now + timedelta(hours=1))
                     for each in ids])
    db.commit()
    analyze(db)

# -----------------------------------------------------------------------------
def analyze(db):
    """ What the database does by itself, sooner or later """

    if db._adapter.dbengine == "postgres":
        db._adapter.connection.autocommit = True
        db.executesql("VACUUM ANALYZE")
        db._adapter.connection.autocommit = False
    elif db._adapter.dbengine == "sqlite":
        db.executesql("ANALYZE")
        db.commit()
    else:
        for name in TABLES:
            db.executesql("ANALYZE TABLE %s" % name)

# -----------------------------------------------------------------------------
def one_mail(office):
    """ Seconds of wall clock and processor to queue, commit and drain a mail """

    start, cpu = time.perf_counter(), time.process_time()
    office.mail.send("new@example.org", "New", "x" * 1000)
    office.db.commit()
    office.drain()
    return time.perf_counter() - start, time.process_time() - cpu

# -----------------------------------------------------------------------------
def flat(engine, around, times, server):
    """ One new mail among many """

    offices, made = {}, []
    with tempfile.TemporaryDirectory() as folder:
        for kind, what in AROUND.items():
            uri = "sqlite://%s/%s.sqlite" % (folder, kind.replace(", ", "-"))
            if engine != "sqlite":
                uri = make_database(SERVERS[engine])
                made.append(uri)
            office = offices[kind] = compare.open_office(uri, server.address)
            if what and what[0]:
                fill(office, around, *what[:2])
            if what and what[2]:
                run = office.mail.channel().worker()
                breaker = run.channel.breaker
                state = breaker.read()
                # Held until somebody repairs it
                breaker.trip(LoginRefused("535"), run.transport.fingerprint(state.salt),
                             run.transport.login_fingerprint(state.salt), utcnow())
                office.db.commit()
        try:
            seen = {kind: [] for kind in offices}
            for _ in range(times):
                for kind, office in offices.items():
                    seen[kind].append(one_mail(office))
        finally:
            for office in offices.values():
                office.close()
            for uri in made:
                on_server(SERVERS[engine],
                          "DROP DATABASE %s" % uri.rpartition("/")[2])

    print("\n%s: one mail queued, committed, drained, among %s rows\n%-16s %9s %9s %9s" %
          (engine, around, "", "wall ms", "cpu ms", "to empty"))
    for kind, figures in seen.items():
        wall, cpu = (statistics.median(values) * 1000 for values in zip(*figures))
        empty = "nothing, held" if "held" in kind else "nothing"
        ratio = statistics.median(each[0] / other[0] for each, other in
                                  zip(figures, seen[empty]))
        print("%-16s %9.2f %9.2f %9.2f" % (kind, wall, cpu, ratio), flush=True)

# -----------------------------------------------------------------------------
def read_memory(key):
    """ A figure of this process, in kB """

    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(key))

# -----------------------------------------------------------------------------
def memory(load, uri, address):
    """ Drain a load, and tell what that took """

    number, size, attached = LOADS[load]
    office = compare.open_office(uri, address)
    office.mail.send("first@example.org", "First", "There is news.")
    office.db.commit()
    office.drain()
    for n in range(number):
        attachments = Mail.Attachment(open(os.devnull, "rb"), filename="large.bin") \
            if attached else None
        if attached:
            attachments.set_payload(("x" * 71 + "\n") * (attached // 72))
        office.mail.send("user%s@example.org" % n, "Number", "x" * size,
                         attachments=attachments)
        if n % 1000 == 0 or attached:
            office.db.commit()
    office.db.commit()
    office.close()

    # The process that drains is another one
    output = subprocess.run([sys.executable, __file__, "--drain", uri, address],
                            stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(output)

# -----------------------------------------------------------------------------
def main():

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--databases", nargs="*", default=["sqlite", "postgres", "mysql"])
    parser.add_argument("--around", type=int, default=100000)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--drain", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()

    if options.drain:
        office = compare.open_office(*options.drain)
        office.configure(task_timeout=3600)
        before = read_memory("VmRSS")
        start = time.monotonic()
        number = office.drain()
        print(json.dumps({"above": (read_memory("VmHWM") - before) / 1024,
                          "idle": before / 1024, "number": number,
                          "seconds": time.monotonic() - start}))
        return

    server = compare.start_server()
    try:
        if not options.memory:
            for engine in options.databases:
                flat(engine, options.around, options.times, server)
        for load in LOADS if options.memory else ():
            with tempfile.TemporaryDirectory() as folder:
                server.counts()
                figures = memory(load, "sqlite://%s/storage.sqlite" % folder, server.address)
                print("%-24s %.0f MB above %.0f MB, %s drained in %.0f s, %s arrived" %
                      (load, figures["above"], figures["idle"], figures["number"],
                       figures["seconds"], server.counts()["messages"] - 1), flush=True)
    finally:
        server.close()

# -----------------------------------------------------------------------------
if __name__ == "__main__":
    main()

# END =========================================================================
