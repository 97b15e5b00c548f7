"""
    MailS3 in a real Sahana Eden: what queueing costs beside Eden's own, and
    what a mail costs among 100,000 contacts

        EDEN_PATH=... EDEN_PYTHON=... python3 tests/bench/eden.py [--engines sqlite postgres]
                                                                  [--number N] [--contacts N]

    The figures of a stock site and of one with MailS3 are taken in turns, each
    in a process of its own, all calls of a process within one transaction; with
    the wake of the worker. Stock's own wake fails on Eden-ASP, so that stock is
    measured without as well. Delivery is counted at the SMTP server.
"""

import argparse
import json
import os
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import environment # noqa: E402

environment.enter()

import compare # noqa: E402

from eden.host import ENGINES, Eden # noqa: E402

# A person, and who sends to them
PERSON = """
import json, time
def person(n):
    record = {"id": s3db.pr_person.insert(first_name="Anne", last_name=str(n))}
    s3db.update_super(s3db.pr_person, record)
    s3db.pr_contact.insert(pe_id=record["pe_id"], contact_method="EMAIL",
                           value="user%s@example.org" % n)
    return record["pe_id"]
pe_id = person("first")
text = ("x" * 71 + "\\n") * 13
"""
WORKER = """
import datetime
db.scheduler_worker.insert(worker_name="worker", status="ACTIVE",
                           group_names=current._scheduler.group_names,
                           last_heartbeat=datetime.datetime(2999, 1, 1))
db.commit()
print(1)
"""
NOT_WOKEN = "current.s3task.run_async = lambda *args, **kwargs: None\n"

TIMED = """
def timed(send, number):
    for n in range(10):
        assert send(n)
    start = time.monotonic()
    for n in range(number):
        assert send(n)
    return (time.monotonic() - start) / number * 1000
print(json.dumps(timed(lambda n: %s, %s)))
db.rollback()
"""
BY_PE_ID = "current.msg.send_by_pe_id(pe_id, 'Number %s' % n, text)"
BY_MAIL = "current.mail.send('user%s@example.org' % n, 'Number %s' % n, text)"

QUEUED = """
print(json.dumps([current.msg.send_by_pe_id(person(n), "Number %%s" %% n, text)
                  for n in range(%s)][0]))
db.commit()
"""
DRAINED = """
import json, time
start = time.monotonic()
%s
print(json.dumps(time.monotonic() - start))
"""
ONE_MORE = """
def one():
    start = time.monotonic()
    assert current.msg.send_by_pe_id(pe_id, "News", text)
    db.commit()
    current.mail.drain()
    return time.monotonic() - start
print(json.dumps(sorted(one() for n in range(100))[50]))
"""

# -----------------------------------------------------------------------------
def add_contacts(site, engine, number):
    """ Put many contacts into an Eden """

    first = 1 + site.sql("SELECT MAX(pe_id) FROM pr_pentity")[0][0]
    source = "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) " \
             "SELECT i FROM n) AS numbers" % number
    site.sql("INSERT INTO pr_pentity (pe_id, uuid, instance_type, deleted) "
             "SELECT %d + i, 'person-' || i, 'pr_person', 'F' FROM %s" % (first, source))
    site.sql("INSERT INTO pr_contact (uuid, pe_id, contact_method, value, priority, deleted) "
             "SELECT 'contact-' || i, %d + i, 'EMAIL', 'many@example.org', 1, 'F' FROM %s" %
             (first, source))
    if engine == "postgres":
        site.sql("SELECT setval('pr_pentity_pe_id_seq', (SELECT MAX(pe_id) FROM pr_pentity))")
    site.sql("ANALYZE")

# -----------------------------------------------------------------------------
def ask(site, *code):
    """ Run code in an Eden; what it prints last, from JSON """

    return json.loads(site.shell("".join(code), timeout=600).splitlines()[-1])

# -----------------------------------------------------------------------------
def queueing(stock, ours, number, rounds):
    """ What it takes to queue a mail, in turns """

    ways = [("stock, send_by_pe_id without its wake", stock, NOT_WOKEN + PERSON, BY_PE_ID),
            ("stock, send_by_pe_id", stock, PERSON, BY_PE_ID),
            ("MailS3, send_by_pe_id", ours, PERSON, BY_PE_ID),
            ("MailS3, mail.send", ours, PERSON, BY_MAIL)]
    seen = {}
    for _ in range(rounds):
        for name, site, before, send in ways:
            try:
                seen.setdefault(name, []).append(ask(site, before, TIMED % (send, number)))
            except RuntimeError as error:
                print("%-40s fails: %s" % (name, str(error).strip().splitlines()[-1]))
                ways = [way for way in ways if way[0] != name]
                del seen[name]
    first = seen[ways[0][0]]
    for name, values in seen.items():
        print("%-40s %6.2f ms   %s times stock's" %
              (name, statistics.median(values),
               compare.spread([value / stock for value, stock in zip(values, first)])),
              flush=True)

# -----------------------------------------------------------------------------
def among_contacts(few, many, server, number, rounds):
    """ What a mail takes to send, among few contacts and among many, in turns """

    drains = ["current.msg.process_outbox()", "current.mail.drain()"]
    seen = {}
    for _ in range(rounds):
        for sites in (few, many):
            for name, site, drain in zip(("stock", "MailS3"), sites, drains):
                ask(site, NOT_WOKEN, PERSON, QUEUED % number)
                server.counts()
                seconds = ask(site, DRAINED % drain)
                arrived = server.counts()["messages"]
                if arrived == number:
                    seen.setdefault(name + ", drained", {}).setdefault(
                        sites is many, []).append(seconds / number * 1000)
            seen.setdefault("MailS3, one queued and sent", {}).setdefault(
                sites is many, []).append(1000 * ask(sites[1], PERSON, ONE_MORE))
    for name, figures in seen.items():
        print("%-40s %6.2f ms, among many contacts %6.2f ms: %s" %
              (name, statistics.median(figures[False]), statistics.median(figures[True]),
               compare.spread([lots / less for less, lots in
                               zip(figures[False], figures[True])])), flush=True)

# -----------------------------------------------------------------------------
def main():

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--engines", nargs="*", default=ENGINES)
    parser.add_argument("--number", type=int, default=300)
    parser.add_argument("--contacts", type=int, default=100000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    eden = Eden(os.environ["EDEN_PATH"], os.environ.get("EDEN_PYTHON"))
    server = compare.start_server()
    try:
        for engine in options.engines:
            print("\n%s" % engine, flush=True)
            few, many = ([eden.site(engine), eden.site(engine)] for _ in range(2))
            for stock, ours in (few, many):
                for site in (stock, ours):
                    site.configure(mail={"server": server.address, "tls": False,
                                         "sender": "shelter@example.org"})
                    ask(site, WORKER)
                ours.install()
                # Finds that worker
                ask(ours, "print(1)\n")
            for site in many:
                add_contacts(site, engine, options.contacts)
            queueing(*few, options.number, options.rounds)
            among_contacts(few, many, server, options.number, options.rounds)
            for site in few + many:
                site.close()
    finally:
        server.close()
        eden.close()

# -----------------------------------------------------------------------------
if __name__ == "__main__":
    main()

# END =========================================================================
