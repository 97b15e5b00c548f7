"""
    The memory of a worker of our own over many mails

        python3 tests/bench/memory.py [--database sqlite|postgres|mysql] [--number N]

    Mail is queued on a throw-away site, 10,000 at a time, and sent by one worker
    process (the verb work) to sink.py; told is the memory of that process after
    each 10,000, in MB.
"""

import argparse
import sys
import time

from pathlib import Path

import compare # makes the environment

from support.databases import SERVERS, make_database, on_server # noqa: E402
from support.folders import temporary_folder # noqa: E402
from support.shelter import Shelter # noqa: E402
from support.site import eventually # noqa: E402

STEP = 10000
COMMIT_EVERY = 1000
MAX_STEP_S = 600

QUEUE = """
text = ("x" * 71 + "\\n") * 14
for n in range(%d):
    mail.send("user%%d@example.org" %% n, "Number %%d" %% n, text)
    if n %% %d == 0:
        db.commit()
""" % (STEP, COMMIT_EVERY)

# -----------------------------------------------------------------------------
def memory_of(process_id):
    """ What a process has in memory now, and at most so far (MB) """

    with open("/proc/%d/status" % process_id) as status:
        values = dict(line.split(":", 1) for line in status)
    return [int(values[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM")]

# -----------------------------------------------------------------------------
def run(site, server, number):
    """ Queue so many mails, and tell the memory after each STEP """

    server.counts()
    site.work_alone()
    assert eventually(lambda: workers(site)), "The worker does not start"
    process_id, = workers(site)
    print("%9d mails %7.1f MB" % (0, memory_of(process_id)[0]), flush=True)

    arrived = 0
    for step in range(1, number // STEP + 1):
        start = time.monotonic()
        site.shell(QUEUE, timeout=MAX_STEP_S)

        def is_all_sent():
            nonlocal arrived
            arrived += server.counts()["messages"]
            time.sleep(0.2)
            return arrived >= step * STEP

        assert eventually(is_all_sent, MAX_STEP_S), "%s have arrived" % arrived
        now, most = memory_of(process_id)
        print("%9d mails %7.1f MB, at most %7.1f MB, in %.0f s" %
              (arrived, now, most, time.monotonic() - start), flush=True)
    assert workers(site) == [process_id], "Another process has taken its place"

# -----------------------------------------------------------------------------
def workers(site):
    """ The numbers of the worker's processes """

    return [row[0] for row in site.sql("SELECT process_id FROM mails3_worker")]

# -----------------------------------------------------------------------------
def main():

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--database", choices=["sqlite", "postgres", "mysql"], default="sqlite")
    parser.add_argument("--number", type=int, default=100000)
    options = parser.parse_args()

    uri = "sqlite://storage.sqlite"
    if options.database != "sqlite":
        uri = make_database(SERVERS[options.database])
    server = compare.Server()
    try:
        with temporary_folder() as folder, Shelter(Path(folder) / "site", uri) as site:
            site.create()
            site.open(server, "none", fallback="no")
            # Makes the tables
            site.shell("pass")
            run(site, server, options.number)
    finally:
        server.close()
        if options.database != "sqlite":
            on_server(SERVERS[options.database], "DROP DATABASE %s" % uri.rpartition("/")[2])

# -----------------------------------------------------------------------------
if __name__ == "__main__":
    sys.exit(main())

# END =========================================================================
