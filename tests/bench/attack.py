"""
    The attack of the blueprint: mail that is sure to fail, and then more of it

        python3 tests/bench/attack.py [--uri URI] [--backlog N] [--flood N]

    A backlog of refused mail waits for its retry pass. Then a visitor sends
    one mail after the other that is refused as well, and each send starts
    whatever it can start: a drain and a retry pass. In the end somebody sends
    one good mail. The relay counts what it is asked; and once more with a
    relay that is dead.
"""

import argparse
import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import environment # noqa: E402

environment.enter()

from support.office import Office # noqa: E402
from support.fake_relay import FakeRelay    # noqa: E402

# -----------------------------------------------------------------------------
def asked(relay):
    """ What the relay was asked since the last time """

    commands = [verb for _, verb, _ in relay.commands]
    figures = relay.connections, commands.count("RCPT")
    relay.clear()
    return figures

# -----------------------------------------------------------------------------
def attack(uri, backlog, flood, tell):
    """ The attack; returns whether the limits held """

    with FakeRelay() as relay:
        office = Office(uri, relay)
        office.configure(retry_interval=300, retry_limit=100, reply_timeout=5)
        relay.answer("RCPT", "451 4.2.1 Later")
        for n in range(backlog):
            office.mail.send("old%s@example.org" % n, "News", "There is news.")
        office.db.commit()
        office.drain()
        office.later(600)
        asked(relay)

        start = time.monotonic()
        for n in range(flood):
            office.mail.send("new%s@example.org" % n, "News", "There is news.")
            office.db.commit()
            office.drain()
            office.retry()
        seconds = time.monotonic() - start
        connections, tried = asked(relay)
        tell("%s refused mails wait, %s more are sent in %.0f s, each starting all it can: "
             "%s connections, %s deliveries tried, of them %s by the retry pass (limit 100 in "
             "300 s)" % (backlog, flood, seconds, connections, tried, tried - flood))
        held = tried - flood <= 100 * (1 + seconds // 300)

        relay.reset()
        start = time.monotonic()
        good = office.queue("good@example.org")
        office.drain()
        tell("one good mail leaves after %.3f s" % (time.monotonic() - start))
        held = held and office.status(good) == 2

        relay.stop()
        office.queue("first@example.org")
        office.drain()
        costs = []
        for n in range(100):
            start = time.monotonic()
            office.queue("held%s@example.org" % n)
            office.drain()
            costs.append(time.monotonic() - start)
        costs.sort()
        tell("with the relay dead, a new mail and a drain take %.4f s (median of 100)" %
             costs[50])
        office.close()
    return held

# -----------------------------------------------------------------------------
def main():

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--uri", help="an empty database (pydal URI); default: SQLite")
    parser.add_argument("--backlog", type=int, default=10000)
    parser.add_argument("--flood", type=int, default=1000)
    arguments = parser.parse_args()

    held = True
    for backlog in (0, arguments.backlog):
        with tempfile.TemporaryDirectory() as folder:
            uri = arguments.uri or "sqlite://%s/storage.sqlite" % folder
            held = attack(uri, backlog, arguments.flood, print) and held
        if arguments.uri:
            break
    return 0 if held else 1

# -----------------------------------------------------------------------------
if __name__ == "__main__":
    sys.exit(main())

# END =========================================================================
