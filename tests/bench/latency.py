"""
    How long a new mail takes, from the visitor's commit to the relay's copy

        python3 tests/bench/latency.py [--way scheduler|web] [--database postgres] [--number N]
        EDEN_PATH=... EDEN_PYTHON=... python3 tests/bench/latency.py --eden [--by mail]

    On a site on which nothing else happens, a mail is sent every three seconds, at
    random moments. Both times are read from the clock of this machine: in the
    visitor's process after the commit, in the relay when it has the message.
    WEB2PY_PATH names another web2py than the one of PyPI.
"""

import argparse
import contextlib
import os
import random
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

# How the visitor sends. The subject is how a mail is found at the relay.
BY_MAIL = "assert current.mail.send('anne@example.org', 'Number %d' % number, 'There is news.')"
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

# =============================================================================
class Scheduler:
    """ web2py's scheduler worker, at its default heartbeat """

    HEARTBEAT_S = 3

    def start(self, site):
        """ Start what sends the mail of the site """

        site.work()

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
class Web:
    """ No worker: the web server's process sends after the request """

    HEARTBEAT_S = 3

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
WAYS = {"scheduler": Scheduler, "web": Web}

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
def measure(way, site, relay, options):
    """ How long each mail has taken (list of seconds, sorted) """

    way.start(site)
    committed = way.send(site,
                         PERSON if options.eden else "",
                         BY_PE_ID if options.eden and options.by == "pe_id" else BY_MAIL,
                         options)
    mails = relay.wait(options.number, timeout=120)
    arrived = {mail.subject: mail.at for mail in mails}
    return sorted(arrived["Number %d" % number] - at for number, at in committed.items())

# -----------------------------------------------------------------------------
def main():

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--way", choices=sorted(WAYS), default="scheduler")
    parser.add_argument("--database", choices=["sqlite", *sorted(SERVERS)], default="sqlite")
    parser.add_argument("--number", type=int, default=30, help="of mails")
    parser.add_argument("--pause", type=float, default=3, help="between two mails (seconds)")
    parser.add_argument("--eden", action="store_true", help="on the Eden of EDEN_PATH")
    parser.add_argument("--by", choices=["pe_id", "mail"], default="pe_id",
                        help="how Eden sends: send_by_pe_id() or mail.send()")
    options = parser.parse_args()

    way = WAYS[options.way]()
    with FakeRelay(extensions=("PIPELINING", "CHUNKING")) as relay, \
         (eden_site(options.database, relay) if options.eden else
          throw_away_site(options.database, relay, way.HEARTBEAT_S)) as site:
        times = measure(way, site, relay, options)
    print("%s, %s: median %.2f s, 95 %% within %.2f s, worst %.2f s (%s mails)" %
          (options.way, options.database, statistics.median(times),
           times[int(0.95 * len(times) + 0.5) - 1], times[-1], len(times)))

# -----------------------------------------------------------------------------
if __name__ == "__main__":
    main()

# END =========================================================================
