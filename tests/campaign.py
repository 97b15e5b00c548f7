"""
    A crash campaign (support/campaign.py):

        python3 tests/campaign.py [--server postgres|mariadb] [--messages N] [--kills N] ...

    Exit status: 1 if a message was lost, or repeated without a reason
"""

import argparse
import contextlib
import random
import sys
import time

import environment

environment.enter()

from support.campaign import SERVERS, Campaign, work # noqa: E402
from support.databases import make_database # noqa: E402
from support.folders import temporary_folder # noqa: E402

# -----------------------------------------------------------------------------
def main():

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--server", choices=sorted(SERVERS),
                        help="a server of our own, of what is installed; default: SQLite")
    parser.add_argument("--uri", help="an empty database that is there already (pydal URI)")
    parser.add_argument("--messages", type=int, default=10000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=random.randrange(10 ** 6))
    parser.add_argument("--restarts", type=int, default=20,
                        help="how often the server of our own crashes")
    parser.add_argument("--offer", nargs="*", default=["PIPELINING"],
                        metavar="EXTENSION", help="what the relay offers")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--relay", help=argparse.SUPPRESS)
    arguments = parser.parse_args()

    if arguments.work:
        work(arguments.work, arguments.uri, arguments.relay)

    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        uri, crash = arguments.uri or "sqlite://%s/storage.sqlite" % folder, None
        if arguments.server:
            server = stack.enter_context(SERVERS[arguments.server](folder))
            uri, crash = make_database(server.uri), server.crash
        print("seed %s" % arguments.seed, flush=True)
        start = time.monotonic()
        wrong = Campaign(uri, arguments.messages, arguments.kills, arguments.workers,
                         arguments.seed, crash, arguments.restarts if crash else 0,
                         arguments.offer, tell=print).run()
        print("\n".join(wrong[:20] + ["%.0f s" % (time.monotonic() - start)]))
    return 1 if wrong else 0

# -----------------------------------------------------------------------------
if __name__ == "__main__":
    sys.exit(main())

# END =========================================================================
