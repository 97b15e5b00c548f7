"""
    How mail goes over a relay that limits its customers: a simulation

        python3 tests/bench/pace.py [--quick] [--jobs N] [--seed N] [--messages N]
                                    [--relay 5/minute 30/minute 14/second]
                                    [--window fixed sliding strict bucket]
                                    [--words ses postfix exchange sendgrid slower unknown]
                                    [--workers 1 4 16] [--sites 1 2] [--retries N]

    Real worker processes (as threads), each with a connection of its own to a
    SQLite file, hold the real dialogue with a simulated relay. All of them live
    by a virtual clock, so that hours take seconds, and each run with the same
    seed is the same. Newsletters (priority 9) are queued at first; registrations
    (priority 0) while they go out.

    Ideal is the time in which the relay takes as many messages by its limit.
    Charged are the attempts that were counted beside those by which mail was
    accepted. Of the registrations, the longest delay is told, and in brackets
    how long the relay would have let any message wait at that moment. Without
    an option that selects cases, a choice of them is simulated; with some, all
    combinations of what they name.
"""

import argparse
import concurrent.futures
import functools
import itertools
import logging
import random
import tempfile
import time

from dataclasses import dataclass, replace
from typing import Optional
from unittest import mock

import compare # noqa: F401 (makes the environment)

from support.simulated_relay import FixedWindow, SimulatedRelay, SlidingWindow, StrictWindow, \
                                    TokenBucket, Words # noqa: E402
from support.simulated_site import SimulatedSite # noqa: E402
from support.virtual_time import VirtualSelector, VirtualTime # noqa: E402

from mails3 import mail as mail_module # noqa: E402
from mails3.clock import utcnow # noqa: E402
from mails3.delivery import sendings # noqa: E402
from mails3.replies import BODY, MAIL, RCPT # noqa: E402

# What a relay takes: number, in so many seconds
RELAYS = {"5/minute": (5, 60), "30/minute": (30, 60), "14/second": (14, 1)}

WINDOWS = {"fixed": FixedWindow, "sliding": SlidingWindow, "strict": StrictWindow,
           "bucket": TokenBucket}

# How a relay says that there is too much
WORDS = {"ses": Words(BODY, 454, "Throttling failure: Maximum sending rate exceeded."),
         "postfix": Words(MAIL, 450, "4.7.1 Error: too much mail from 192.0.2.1"),
         "exchange": Words(MAIL, 421, "4.4.2 Message submission rate for this client has "
                                      "exceeded the configured limit", closes=True),
         "sendgrid": Words(RCPT, 452, "Too many recipients received this hour (throttled)"),
         "slower": Words(RCPT, 451, "4.3.2 Please slow down"),
         "unknown": Words(MAIL, 450, "4.3.9 Nope, come back a bit later"),
         }

# When registrations come, as parts of the ideal time
REGISTRATIONS_AT = (0.35, 0.5, 0.65)

# A simulation ends after so many times the ideal time, and this (seconds)
MAX_TIMES, MAX_EXTRA_S = 5, 6 * 3600

# If one worker has found nothing to do, the other ones do not look for so long at
# most (seconds), which saves queries; at a fast relay for a part of its pace
MAX_IDLE_S, IDLE_PART = 0.5, 0.25

# The figures that are wanted
MAX_LAST_TIMES, MAX_REFUSED_PERCENT, MAX_REGISTRATION_S = 1.15, 5, 10
# A worker may need so long to notice that the relay takes mail again (seconds)
NOTICE_S = 2

# =============================================================================
@dataclass(frozen = True)
class Case:
    """ What is simulated """

    relay: str = "30/minute"
    window: str = "fixed"
    words: str = "postfix"
    workers: int = 4 # of each site
    messages: int = 1000 # of all sites
    sites: int = 1
    retries: Optional[int] = None

    @property
    def ideal_s(self):
        """ In what time the relay takes all of it (seconds) """

        number, window_s = RELAYS[self.relay]
        return self.messages * window_s / number

CASES = (*(Case(words=words) for words in WORDS),
         Case(window="sliding"),
         Case(window="bucket"),
         Case(workers=1),
         Case(workers=16),
         Case(sites=2),
         Case(relay="14/second", window="bucket", words="ses"),
         Case(relay="5/minute"),
         # Eden gives up after so many retries
         Case(relay="5/minute", messages=2000, retries=9),
         )

# =============================================================================
@dataclass
class Result:
    """ What was seen """

    last_s: float         # when the last mail was accepted
    left: int             # how many were neither sent nor given up in the end
    given_up: int
    twice: int            # how often the relay has taken a mail once more
    transactions: int
    refused: int
    charged: int          # attempts that were counted beside those by which mail was accepted
    registrations: list   # tuples (delay, how long the relay would take none): seconds
    shares: list          # of each site, when the first site was finished
    last_by_site: list    # seconds

# -----------------------------------------------------------------------------
def simulate(case, seed):
    """ Simulate a Case: a Result """

    random.seed(seed)
    clock = VirtualTime(utcnow().replace(hour=9, minute=0, second=0, microsecond=0))
    relay = SimulatedRelay(WINDOWS[case.window](*RELAYS[case.relay]), WORDS[case.words], clock)
    registered = {}
    idle_s = min(MAX_IDLE_S, IDLE_PART * case.ideal_s / case.messages)
    with tempfile.TemporaryDirectory() as folder, \
         mock.patch.object(sendings, "Selector", VirtualSelector), \
         mock.patch.object(mail_module, "utcnow", clock.now):
        sites = [SimulatedSite(number, folder, relay, case.messages // case.sites, idle_s,
                               case.retries) for number in range(case.sites)]
        at = [part * case.ideal_s for part in REGISTRATIONS_AT]
        max_s = MAX_TIMES * case.ideal_s + MAX_EXTRA_S
        threads = [functools.partial(sites[0].register, at, registered)]
        for site in sites:
            of_visitors = len(at) if site is sites[0] else 0
            site.queue_newsletters(site.expected - of_visitors)
            threads += [functools.partial(site.work, random.random(), max_s)
                        for _ in range(case.workers)]
        clock.run(threads)
        counts = [site.counts() for site in sites]
        for site in sites:
            site.close()
    return result_of(case, relay, counts, registered)

# -----------------------------------------------------------------------------
def result_of(case, relay, counts, registered):
    """ The Result of a simulation """

    sent, given_up, attempts = (sum(values) for values in zip(*counts))
    accepted_at = {}
    for seconds, site, recipient in relay.accepted:
        accepted_at.setdefault((site, recipient), seconds)
    registrations = [(accepted_at.get((0, address), float("inf")) - queued_at,
                      free_at - queued_at)
                     for address, (queued_at, free_at) in registered.items()]
    last_by_site = [max((seconds for seconds, number, _ in relay.accepted if number == site),
                        default=float("inf")) for site in range(case.sites)]
    first = min(last_by_site)
    early = [number for seconds, number, _ in relay.accepted if seconds <= first]
    return Result(last_s = max(last_by_site),
                  left = case.messages // case.sites * case.sites - sent - given_up,
                  given_up = given_up,
                  twice = len(relay.accepted) - len(accepted_at),
                  transactions = relay.transactions,
                  refused = relay.refused,
                  charged = attempts - sent,
                  registrations = registrations,
                  shares = [early.count(site) / max(len(early), 1)
                            for site in range(case.sites)],
                  last_by_site = last_by_site)

# -----------------------------------------------------------------------------
# The table
#
ROW = "%-9s %-7s %-8s %7s %8s | %8s %8s %6s | %7s %7s %8s %5s | %15s | %s"
HEAD = ROW % ("relay", "window", "words", "workers", "messages", "last min", "ideal", "times",
              "refused", "charged", "given up", "left", "registration s", "not reached")

# -----------------------------------------------------------------------------
def row(case, result):
    """ A row of the table, as text """

    times = result.last_s / case.ideal_s
    refused = 100 * result.refused / max(result.transactions, 1)
    delay, free_after = max(result.registrations)
    sites = "" if case.sites == 1 else "%d x " % case.sites
    text = ROW % (case.relay, case.window, case.words, "%s%d" % (sites, case.workers),
                  case.messages, "%.1f" % (result.last_s / 60), "%.1f" % (case.ideal_s / 60),
                  "%.2f" % times, "%.1f %%" % refused, result.charged, result.given_up,
                  result.left, "%.1f (%.1f)" % (delay, free_after),
                  ", ".join(not_reached(result, times, refused)) or "-")
    if case.sites > 1:
        text += "\n%19sthe sites' last mail: %s min; their shares until one had sent all: %s" % \
                ("", ", ".join("%.1f" % (each / 60) for each in result.last_by_site),
                 ", ".join("%.0f %%" % (100 * share) for share in result.shares))
    if case.retries is not None:
        text += "\n%19sgiven up after %d retries" % ("", case.retries)
    return text

# -----------------------------------------------------------------------------
def not_reached(result, times, refused):
    """
        Which of the wanted figures are not reached (list)

        Args:
            result: the Result
            times: the time of the last mail, as a multiple of the ideal one
            refused: transactions (percent)
    """

    are_reached = {
        "last": times <= MAX_LAST_TIMES and not result.left,
        "refused": refused <= MAX_REFUSED_PERCENT,
        "given up": not result.given_up,
        "twice": not result.twice,
        "registration": all(delay <= max(MAX_REGISTRATION_S, free_after + NOTICE_S)
                            for delay, free_after in result.registrations)}
    return [figure for figure, is_reached in are_reached.items() if not is_reached]

# -----------------------------------------------------------------------------
def selected(options):
    """ The Cases that the options select (list) """

    factor = (options.messages or (200 if options.quick else 1000)) / 1000
    chosen = {name: values for name, values in vars(options).items()
              if name in ("relay", "window", "words", "workers", "sites", "retries") and values}
    cases = [Case(**dict(zip(chosen, values)))
             for values in itertools.product(*chosen.values())] if chosen else CASES
    return [replace(case, messages = round(case.messages * factor)) for case in cases]

# -----------------------------------------------------------------------------
def main():

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0].strip())
    parser.add_argument("--relay", nargs="+", choices=RELAYS)
    parser.add_argument("--window", nargs="+", choices=WINDOWS)
    parser.add_argument("--words", nargs="+", choices=WORDS)
    parser.add_argument("--workers", nargs="+", type=int, help="of each site")
    parser.add_argument("--sites", nargs="+", type=int, help="that share the relay")
    parser.add_argument("--retries", nargs="+", type=int, help="after which mail is given up")
    parser.add_argument("--messages", type=int, help="of all sites (default 1000)")
    parser.add_argument("--quick", action="store_true", help="a fifth of the messages")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="simulations at the same time")
    options = parser.parse_args()
    logging.getLogger("web2py.mails3").setLevel(logging.CRITICAL)

    start, cases, reached = time.monotonic(), selected(options), 0
    print("Wanted: last mail within %s times the ideal, at most %s %% refused, none given up, "
          "registrations within %s s or with the next message that the relay takes. Seed %s." %
          (MAX_LAST_TIMES, MAX_REFUSED_PERCENT, MAX_REGISTRATION_S, options.seed))
    print("\n%s" % HEAD, flush=True)
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        for case, result in zip(cases, pool.map(simulate, cases, [options.seed] * len(cases))):
            text = row(case, result)
            reached += text.partition("\n")[0].endswith("| -")
            print(text, flush=True)
    print("\n%d of %d cases reached all that is wanted; it took %.0f s." %
          (reached, len(cases), time.monotonic() - start))

# -----------------------------------------------------------------------------
if __name__ == "__main__":
    main()

# END =========================================================================
