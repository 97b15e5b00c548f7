"""
    A real web2py site with MailS3, from a visitor's click to the mail

    Makes a throw-away site with SQLite, installs MailS3 into it, starts its
    web server, a worker and an SMTP server, and tells each step once it was
    seen to happen:

      - a visitor registers, gets the mail, follows its link and logs in
      - the SMTP server is stopped, another visitor registers and notices
        nothing; the server comes back, and the mail goes out by itself

    This takes a quarter of a minute, and once another minute to make a Python
    environment in this clone (.venv-*) from PyPI. No mail leaves this machine.
    However it ends, no process is left, and the site is removed: by a later run,
    if this one is killed (-9).

    Exit status: 0 if all was seen, 1 if something was not, 130 after Ctrl-C.
"""

import argparse
import contextlib
import email.policy
import itertools
import re
import signal
import sqlite3
import subprocess
import sys
import time

from importlib.metadata import version

import environment

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

STATUS = {"unsent": 1, "sent": 2} # msg_outbox.status
PASSWORD = "a long secret"

# -----------------------------------------------------------------------------
def end(*_):
    """ End cleanly, which is not to be interrupted again """

    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(130)

for number in SIGNALS:
    signal.signal(number, end)
parser = argparse.ArgumentParser(description = __doc__,
                                 formatter_class = argparse.RawDescriptionHelpFormatter)
parser.add_argument("--serve", action="store_true",
                    help="start it all for you to try, print each mail, until Ctrl-C")
arguments = parser.parse_args()
environment.enter()

from mechanicalsoup import StatefulBrowser # noqa: E402

from support.fake_relay import FakeRelay # noqa: E402
from support.folders import temporary_folder # noqa: E402
from support.site import Site, eventually # noqa: E402

# =============================================================================
class NotSeen(Exception):
    """ What should have happened did not """

# =============================================================================
class Demo:
    """ The story, each step told once it was seen """

    def __init__(self, site, relay):

        self.site = site
        self.relay = relay # a FakeRelay, running
        self.started = time.time()
        self.clicked = None # when the last visitor registered
        self.steps = 0

    # Its parts --------------------------------------------------------------
    def prepare(self):
        """ Make the site, install MailS3, start all processes """

        site = self.site.create()
        self.step("A new web2py site, with SQLite", site.web2py or
                  "web2py-gluon %s, pydal %s" % (version("web2py-gluon"), version("pydal")))

        run = subprocess.run([sys.executable, "modules/mails3", "install", site.app_path],
                             cwd=environment.CLONE, capture_output=True, encoding="utf-8")
        if run.returncode:
            raise NotSeen("MailS3 can't be installed: %s%s" % (run.stdout, run.stderr))
        told = ["| " + line for line in run.stdout.splitlines()]
        self.step("MailS3 is installed: python3 modules/mails3 install %s" %
                  site.app_path.relative_to(site.folder),
                  *told[:2], "| ... (%s more lines)" % (len(told) - 3), told[-1])

        site.configure(smtp = {"server": self.relay.address,
                               "sender": "Shelter <shelter@example.org>"},
                       auth = {"verification": True})
        self.step("The app is configured: its mail server, and that addresses are verified",
                  "All settings of MailS3 are at their defaults.")

        site.serve()
        site.work_alone()
        self.see("the worker", self.workers)
        self.step("Web server, SMTP server and worker run",
                  site.url, "smtp://" + self.relay.address,
                  "python3 %s work" % (site.app_path / "modules/mails3").relative_to(site.folder))

    def mail_goes_out(self):
        """ Part one; returns how long the registration took (seconds) """

        self.title("A visitor registers")
        anne, address = StatefulBrowser(), "anne@example.org"
        took = self.register(anne, "Anne", address)
        text = self.receive(address)
        link = re.escape(self.site.url) + r"\S+/verify_email/\S+"
        anne.open(*self.see("a verification link", lambda: re.findall(link, text), 0))
        self.step("Anne follows the link: " + answer(anne, "Email verified"), click=True)

        submit(anne, self.site.url + "/default/user/login", email=address, password=PASSWORD)
        told = answer(anne, "Logged in")
        if "You are logged in as " + address not in anne.page.text:
            raise NotSeen("Anne is not logged in.")
        self.step("Anne logs in: %s as %s" % (told, address), click=True)
        return took

    def mail_waits(self, usual):
        """ Part two; usual: how long a registration takes (seconds) """

        self.title("The mail server goes away, and comes back")
        self.relay.stop()
        self.step("The SMTP server is stopped")

        address = "ben@example.org"
        took = self.register(StatefulBrowser(), "Ben", address)
        told = "Ben waited for %.2f s, Anne for %.2f s." % (took, usual)
        if took > usual + 1:
            raise NotSeen(told)
        self.line("He notices nothing: " + told)
        self.step("The worker's log tells the admin what is wrong",
                  self.logged("Sending is suspended"), click=True)
        self.show_row(address, "unsent")

        self.relay.start()
        returned = time.time()
        self.step("The SMTP server is running again",
                  "... a server that was away is asked 5 s after the failure, then 10, 20,",
                  "    30 s later and so on, then ever less often")
        self.receive(address)
        waited = self.relay.mails[-1].at - returned
        self.step("The worker's log tells that, too", self.logged("Sending is resumed"))

        self.title("All of this was seen: the visitors waited %.2f and %.2f s, and the waiting\n"
                   "mail left by itself, %.1f s after the server's return." %
                   (usual, took, waited))

    def serve(self):
        """ Print each mail as it arrives, until interrupted """

        self.step("It is yours now: register with any address, no mail leaves this machine",
                  "The site         " + self.site.url,
                  "Register         " + self.site.url + "/default/user/register",
                  "The SMTP server  " + self.relay.address,
                  "The logs         %s" % self.site.logs,
                  "Each mail is printed here as it arrives. Ctrl-C ends all of it.")
        for number in itertools.count():
            mail = self.relay.wait(number + 1, timeout=10**9)[number]
            self.step("Mail from %s to %s" % (mail.sender, ", ".join(mail.recipients)),
                      *lines_of(mail))

    # What they are made of --------------------------------------------------
    def register(self, visitor, name, address):
        """ Register; returns how long it took (seconds) """

        self.clicked, took = submit(visitor, self.site.url + "/default/user/register",
                                    first_name=name, last_name="Example", email=address,
                                    password=PASSWORD, password_two=PASSWORD)
        self.step("%s registers: %s, %.2f s after the click" %
                  (name, answer(visitor, "Email sent"), took))
        return took

    def show_row(self, address, status):
        """ See the mail to an address in the queue, with that status """

        rows = self.see("the mail to %s %s" % (address, status), lambda: self.ask(
            "SELECT o.id, address, ?, attempts FROM msg_outbox o JOIN mails3_delivery ON outbox_id "
            "= o.id WHERE address = ? AND status = ?", status, address, STATUS[status]))
        self.step("The mail in the queue", "msg_outbox %s: %s, %s, attempts: %s" % rows[0],
                  click=True)

    def receive(self, address, seconds=60):
        """ See the mail to an address arrive, and marked as sent; returns its text """

        mail = self.see("the mail to %s at the SMTP server" % address, lambda: next(
            (mail for mail in self.relay.mails if address in mail.recipients), None), seconds)
        lines = lines_of(mail)
        self.step("The SMTP server has the mail", *lines, click=True, at=mail.at)
        self.show_row(address, "sent")
        return "\n".join(lines)

    def logged(self, words):
        """ See these words in the worker's log; returns their line """

        log = self.site.logs / "mails3-1.err"
        return self.see("\"%s\" in the worker's log" % words, lambda: next(
            (line for line in log.read_text().splitlines() if words in line), None))

    def workers(self):
        """ The workers at work: their rows; the first one makes the tables """

        with contextlib.suppress(sqlite3.OperationalError):
            return self.ask("SELECT process_id FROM mails3_worker")

    def ask(self, query, *values):
        """ Look into the site's database, from outside """

        uri = (self.site.app_path / "databases" / "storage.sqlite").as_uri() + "?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as db:
            return db.execute(query, values).fetchall()

    @staticmethod
    def see(what, condition, seconds=60):
        """ Wait for a condition to become true; returns its value """

        value = eventually(condition, seconds)
        if value:
            return value
        raise NotSeen("%s s were not enough to see %s." % (seconds, what))

    # The terminal -----------------------------------------------------------
    def step(self, text, *lines, click=False, at=None):
        self.steps += 1
        at = at or time.time()
        after = ", %.2f s after the click" % (at - self.clicked) if click else ""
        print("%6.1f s  %2d. %s%s" % (at - self.started, self.steps, text, after))
        self.line(*lines)

    def line(self, *lines):
        print(*(" " * 14 + line for line in lines), sep="\n", end="\n" if lines else "", flush=True)

    def title(self, text):
        print("\n%s\n" % ("\033[1m%s\033[0m" % text if sys.stdout.isatty() else text), flush=True)

    def failed(self, error):
        self.title("FAILED in step %s, after %.1f s: %s: %s" % (
            self.steps + 1, time.time() - self.started, type(error).__name__, error))
        for log in sorted(self.site.logs.glob("*.err")):
            print("The end of", log.name, *log.read_text().splitlines()[-5:], sep="\n  ")
        print(*self.site.tickets()[-1:] if self.site.url else ())

# =============================================================================
def submit(visitor, page, **fields):
    """ Fill in and send the form of a page; returns (time, seconds until the answer) """

    visitor.open(page)
    visitor.select_form("form")
    for name, value in fields.items():
        visitor[name] = value
    clicked = time.time()
    visitor.submit_selected()
    return clicked, time.time() - clicked

def answer(visitor, expected):
    """ What the site has told the visitor, in quotes """

    told = visitor.page.select_one("[role=status]") or visitor.page
    if told.text != expected:
        raise NotSeen("\"%s\", not \"%s\"" % (" ".join(told.text.split()), expected))
    return "\"%s\"" % told.text

def lines_of(mail):
    """ A mail as one reads it """

    message = email.message_from_bytes(mail.content, policy=email.policy.default)
    lines = ["%s: %s" % (name, message[name]) for name in ("From", "To", "Subject")]
    text = message.get_body(("plain", "html")).get_content()
    return ["| " + line for line in lines + [""] + text.strip().splitlines()]

# =============================================================================
def main():
    """ Returns the exit status """

    with temporary_folder() as folder, \
         FakeRelay() as relay, Site(folder) as site:
        demo = Demo(site, relay)
        try:
            demo.prepare()
            if arguments.serve:
                demo.serve()
            demo.mail_waits(demo.mail_goes_out())
        except Exception as error:
            demo.failed(error)
            return 1
    return 0

sys.exit(main())

# END =========================================================================
