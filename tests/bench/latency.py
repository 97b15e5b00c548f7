"""
    How long a new mail takes, from the visitor's commit to the relay's copy

        python3 tests/bench/latency.py [--way work|scheduler|web|peer] [--database postgres]
                                       [--number N] [--load N] [--waiting N]
        EDEN_PATH=... EDEN_PYTHON=... python3 tests/bench/latency.py --eden [--by mail]

    The ways: a worker of our own (the verb work), web2py's scheduler worker, no
    worker (the web server's process), and a peer: django-mailer's runmailer_pg,
    which needs PostgreSQL.

    On a site on which nothing else happens, a mail is sent every three seconds, at
    random moments. Both times are read from the clock of this machine: in the
    visitor's process after the commit, in the relay when it has the message.
    --load N: somebody else sends N mails a second meanwhile. --waiting N: so many
    mails of priority 9 wait already when the first mail of priority 0 is sent.
    WEB2PY_PATH names another web2py than the one of PyPI.
"""

import argparse
import contextlib
import os
import random
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import urlopen

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import environment # noqa: E402

environment.enter()

from peer_site import PeerSite # noqa: E402
from support.databases import SERVERS, make_database, on_server # noqa: E402
from support.fake_relay import FakeRelay # noqa: E402
from support.shelter import Shelter # noqa: E402

# The visitor's process: prints when each mail was committed
VISITS = """
from gluon import current
import random, time
for number in range({number}):
    time.sleep(random.uniform({shortest}, {longest}))
    {send}
    db.commit()
    print("committed", number, time.time(), flush=True)
"""

# The same as a page of the site, for one mail
PAGE = """
def index():
    import time
    from gluon import current
    number, pe_id = map(int, request.args)
    {send}
    db.commit()
    return str(time.time())
"""

# How the visitor sends
BY_MAIL = "assert current.mail.send('anne@example.org', 'Number %d' % number, " \
          "'There is news.', priority=0)"
BY_PE_ID = "assert current.msg.send_by_pe_id(pe_id, 'Number %d' % number, 'There is news.')"

# Whom Eden sends to
PERSON = """
record = {"id": s3db.pr_person.insert(first_name="Anne", last_name="Example")}
s3db.update_super(s3db.pr_person, record)
pe_id = record["pe_id"]
s3db.pr_contact.insert(pe_id=pe_id, contact_method="EMAIL", value="anne@example.org")
db.commit()
print("person", 0, pe_id)
"""

# How a visitor's mail is found at the relay
VISITORS_RECIPIENT = ["anne@example.org"]
SUBJECT = re.compile(rb"^Subject: Number (\d+)\r?$", re.MULTILINE)

# For how long the last of them is waited for
LONGEST_WAIT_S = 1200

# What somebody else sends meanwhile, until the process is killed
LOAD = """
import itertools, time
start = time.time()
for number in itertools.count():
    assert mail.send("load@example.org", "Load", "There is news.", priority=9)
    db.commit()
    time.sleep(max(start + (number + 1) / {load} - time.time(), 0))
"""

# What waits already: one message of many deliveries, each a mail of its own
WAITING = """
assert mail.send("load@example.org", "Load", "There is news.", priority=9)
message_id = db(db.mails3_message).select().last().id
for start in range(0, {waiting}, 1000):
    ids = db.msg_outbox.bulk_insert([dict(address="load@example.org", message_id=message_id)
                                     for _ in range(1000)])
    db.mails3_delivery.bulk_insert([dict(outbox_id=each, message_id=message_id, queue=1,
                                         priority=9, due_on=request.utcnow)
                                    for each in ids])
db(db.mails3_message.id == message_id).update(individual=True)
db.commit()
"""

# =============================================================================
class Scheduler:
    """ web2py's scheduler worker, at its default heartbeat """

    HEARTBEAT_S = 3
    needs_site = True

    def fill(self, site, waiting):
        """ Have so many mails wait already """

        site.shell(WAITING.format(waiting=waiting), timeout=600)

    # -------------------------------------------------------------------------
    def start(self, site):
        """ Start what sends the mail of the site """

        site.work()

    # -------------------------------------------------------------------------
    def load(self, site, load):
        """ Have somebody else send so many mails a second, until the block ends """

        return site.background(LOAD.format(load=load))

    # -------------------------------------------------------------------------
    def send(self, site, prepare, send, options):
        """
            Have a visitor send mails

            Args:
                site: the site
                prepare: code to run before, after the app's models
                send: code that sends one mail
                options: of the command line

            Returns:
                dict {number of the mail: when it was committed}
        """

        code = VISITS.format(number = options.number,
                             shortest = options.pause / 2,
                             longest = options.pause * 3 / 2,
                             send = send)
        return {int(number): float(at) for word, number, at in
                map(str.split, site.shell(prepare + code, timeout=3600).splitlines())
                if word == "committed"}

# =============================================================================
class Work(Scheduler):
    """ A worker of our own """

    def start(self, site):
        """ As Scheduler.start() """

        site.work_alone()
        # Until it has run the models
        time.sleep(5)

# =============================================================================
class Peer(Scheduler):
    """ django-mailer's runmailer_pg, which listens to PostgreSQL's NOTIFY """

    needs_site = False

    def fill(self, site, waiting):
        """ As Scheduler.fill() """

        site.run("fill", waiting)

    # -------------------------------------------------------------------------
    def start(self, site):
        """ As Scheduler.start() """

        site.start("listen", 0)
        time.sleep(5)

    # -------------------------------------------------------------------------
    @contextlib.contextmanager
    def load(self, site, load):
        """ As Scheduler.load() """

        process = site.start("load", load)
        try:
            yield
        finally:
            process.kill()
            process.wait()

    # -------------------------------------------------------------------------
    def send(self, site, prepare, send, options):
        """ As Scheduler.send() """

        told = site.run("visit", options.number, max(1, int(options.pause)))
        return {int(number): float(at) for _, number, at in map(str.split, told.splitlines())}

# =============================================================================
class Web(Scheduler):
    """ No worker: the web server's process sends after the request """

    def start(self, site):
        """ As Scheduler.start() """

        if not site.url:
            site.serve()

    # -------------------------------------------------------------------------
    def send(self, site, prepare, send, options):
        """ As Scheduler.send(): each mail by a request """

        told = site.shell(prepare).split() if prepare else ["0"]
        page = site.app_path / "controllers" / "latency.py"
        page.write_text(PAGE.format(send=send))
        committed = {}
        for number in range(options.number):
            time.sleep(random.uniform(options.pause / 2, options.pause * 3 / 2))
            with urlopen("%s/latency/index/%d/%s" % (site.url, number, told[-1])) as response:
                committed[number] = float(response.read())
        return committed

# =============================================================================
# A way is a class like this one
WAYS = {"work": Work, "scheduler": Scheduler, "web": Web, "peer": Peer}

# -----------------------------------------------------------------------------
@contextlib.contextmanager
def throw_away_site(database, relay, heartbeat_s):
    """ The site of the tests, with MailS3 """

    uri = "sqlite://storage.sqlite"
    if database != "sqlite":
        uri = make_database(SERVERS[database])
    try:
        with tempfile.TemporaryDirectory() as folder, \
             Shelter(folder, uri=uri).create() as site:
            site.open(relay, "dict", heartbeat=heartbeat_s)
            yield site
    finally:
        if database != "sqlite":
            on_server(SERVERS[database], "DROP DATABASE %s" % uri.rpartition("/")[2])

# -----------------------------------------------------------------------------
@contextlib.contextmanager
def eden_site(database, relay):
    """ An Eden, with MailS3; its heartbeat is the default """

    from eden.host import Eden

    eden = Eden(os.environ["EDEN_PATH"], os.environ.get("EDEN_PYTHON"))
    try:
        site = eden.site(database)
        site.configure(mail={"server": relay.address, "tls": False,
                             "sender": "shelter@example.org"})
        site.install()
        yield site
    finally:
        eden.close()

# -----------------------------------------------------------------------------
def arrivals(relay):
    """ When the relay had each of the visitor's mails (dict, by number) """

    return {int(SUBJECT.search(mail.content)[1]): mail.at for mail in relay.mails
            if mail.recipients == VISITORS_RECIPIENT}

# -----------------------------------------------------------------------------
def measure(way, site, relay, options):
    """ How long each mail has taken (list of seconds, sorted) """

    if options.waiting:
        way.fill(site, options.waiting)
    way.start(site)
    with way.load(site, options.load) if options.load else contextlib.nullcontext():
        committed = way.send(site,
                             PERSON if options.eden else "",
                             BY_PE_ID if options.eden and options.by == "pe_id" else BY_MAIL,
                             options)
        # The peer sends all that waits before it looks for new mail
        deadline = time.monotonic() + LONGEST_WAIT_S
        while len(arrivals(relay)) < options.number and time.monotonic() < deadline:
            # The relay is a thread of this process: it is to answer the others
            time.sleep(2)
    arrived = arrivals(relay)
    return sorted(arrived[number] - at for number, at in committed.items())

# -----------------------------------------------------------------------------
def main():

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--way", choices=sorted(WAYS), default="work")
    parser.add_argument("--database", choices=["sqlite", *sorted(SERVERS)], default="sqlite")
    parser.add_argument("--number", type=int, default=30, help="of mails")
    parser.add_argument("--pause", type=float, default=3, help="between two mails (seconds)")
    parser.add_argument("--load", type=int, default=0, help="mails a second meanwhile")
    parser.add_argument("--waiting", type=int, default=0, help="mails that wait already")
    parser.add_argument("--eden", action="store_true", help="on the Eden of EDEN_PATH")
    parser.add_argument("--by", choices=["pe_id", "mail"], default="pe_id",
                        help="how Eden sends: send_by_pe_id() or mail.send()")
    options = parser.parse_args()

    way = WAYS[options.way]()
    with FakeRelay(extensions=("PIPELINING", "CHUNKING")) as relay, \
         (eden_site(options.database, relay) if options.eden else
          throw_away_site(options.database, relay, way.HEARTBEAT_S) if way.needs_site else
          PeerSite.made(relay)) as site:
        times = measure(way, site, relay, options)
    print("%s, %s: median %.0f ms, 95 %% within %.0f ms, worst %.0f ms (%s mails)" %
          (options.way, options.database, 1000 * statistics.median(times),
           1000 * times[int(0.95 * len(times) + 0.5) - 1], 1000 * times[-1], len(times)))

# -----------------------------------------------------------------------------
if __name__ == "__main__":
    main()

# END =========================================================================
