"""
    A burst on a real site: many requests that each send one mail, on a web2py
    server with a live scheduler worker

        python3 tests/bench/burst.py [--requests N] [--visitors N]

    Tells how many runs of the scheduler that takes, when the last mail is out,
    and how much of the worker's time is left for other tasks.
"""

import argparse
import os
import sqlite3
import statistics
import sys
import tempfile
import threading
import time

from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import environment # noqa: E402

environment.enter()

import requests # noqa: E402

from support.fake_relay import FakeRelay        # noqa: E402
from support.shelter import Shelter      # noqa: E402

RUNNING = "SELECT id, last_run_time FROM scheduler_task WHERE status = 'RUNNING'"

# =============================================================================
class Watch(threading.Thread):
    """ Looks what the worker does, twenty times a second """

    def __init__(self, path):

        super().__init__(daemon=True)
        self.path = path
        self.runs = set()
        self.samples = []
        self.ended = threading.Event()

    # -------------------------------------------------------------------------
    def run(self):

        db = sqlite3.connect("file:%s?mode=ro" % self.path, uri=True, timeout=30)
        while not self.ended.wait(0.05):
            running = db.execute(RUNNING).fetchall()
            self.runs.update(running)
            self.samples.append(bool(running))
        db.close()

# -----------------------------------------------------------------------------
def main():

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--visitors", type=int, default=8, help="at a time")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder, \
         FakeRelay(extensions=("PIPELINING", "CHUNKING")) as relay, \
         Shelter(folder).create() as site:
        site.open(relay, "dict", heartbeat=3)
        site.work()
        assert site.accepts()
        relay.wait()

        watch = Watch(site.app_path / "databases" / "storage.sqlite")
        watch.start()

        def visit(n):
            begun = time.monotonic()
            answer = requests.post(site.url + "/default/flood",
                                   data={"to": "user%s@example.org" % n, "number": "1"})
            assert answer.text == "1", answer.text
            return time.monotonic() - begun

        start = time.time()
        with ThreadPoolExecutor(options.visitors) as visitors:
            waited = list(visitors.map(visit, range(options.requests)))
        asked = time.time() - start
        mails = relay.wait(options.requests + 1, timeout=300)[1:]
        # Until the worker has noted down that it is done
        time.sleep(5)
        watch.ended.set()
        watch.join()

        assert len({mail.recipients[0] for mail in mails}) == options.requests
        print("%s requests by %s visitors at a time in %.0f s, a request takes %.0f ms "
              "(median), %.0f at most" % (options.requests, options.visitors, asked,
                                          statistics.median(waited) * 1000, max(waited) * 1000))
        print("the last mail is out %.1f s after the last request, %.1f s after the first" %
              (mails[-1].at - start - asked, mails[-1].at - start))
        print("runs of the scheduler: %s; the worker is free for %.0f %% of the time; "
              "connections to the relay: %s" %
              (len(watch.runs), 100 - 100 * statistics.mean(watch.samples),
               relay.connections))

# -----------------------------------------------------------------------------
if __name__ == "__main__":
    main()

# END =========================================================================
