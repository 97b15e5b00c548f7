# -*- coding: utf-8 -*-

"""
    The command line

    python3 modules/mails3 install APP      from a copy of the project
    python3 APP/modules/mails3 VERB         where it is installed

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import sys

if sys.version_info < (3, 9):
    # An old Python reads this whole file first: so it has no newer syntax, and
    # imports nothing newer before this line
    sys.exit("mails3: This needs Python 3.9 or newer, and runs on %d.%d: use the Python "
             "that runs your web2py." % tuple(sys.version_info[:2]))

# Python finds this folder first when it runs it, and its queue/ before its own
HERE = sys.path.pop(0)

import argparse # noqa: E402
import getpass # noqa: E402
import importlib.util # noqa: E402
import os # noqa: E402

from pathlib import Path # noqa: E402

# The app that this is run in, if it is one: as called, not where links lead
APP = Path(os.path.abspath(__file__)).parents[2]

STATES = ("new", "deferred", "held", "sent", "rejected", "failed")

# What every database takes for a number; ten years
MAX_NUMBER = 2 ** 31 - 1
MAX_MINUTES = 10 * 366 * 24 * 60

# As a shell tells of a program whose reader has gone away: 128 + SIGPIPE
READER_IS_GONE = 141

# -----------------------------------------------------------------------------
def load(name):
    """ A file of this folder, without its package: that needs web2py """

    spec = importlib.util.spec_from_file_location("mails3_" + name,
                                                  os.path.join(HERE, name + ".py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

installation = load("installation")

# -----------------------------------------------------------------------------
def number(first, last=MAX_NUMBER):
    """ The type of an argument that is a number from first to last """

    def read(text):
        if text.isascii() and text.isdigit() and first <= int(text[:20]) <= last:
            return int(text)
        raise argparse.ArgumentTypeError("%r is not a number from %d to %d" %
                                         (text[:40], first, last))
    return read

# -----------------------------------------------------------------------------
def parser():
    """ What can be said on the command line """

    main = argparse.ArgumentParser(
                prog = "python3 APP/modules/mails3",
                formatter_class = argparse.RawDescriptionHelpFormatter,
                description = "MailS3, the outbound mail queue for web2py apps.\n\n"
                              "install and uninstall take the app's path. All other verbs\n"
                              "are run where the app is installed, with the Python that\n"
                              "runs its web2py, as the user that the web server runs as.",
                )
    verbs = main.add_subparsers(dest="verb", required=True, metavar="VERB")

    def add(name, brief, text="", json=True, quiet=False):
        verb = verbs.add_parser(name, help=brief, description="%s. %s" % (brief, text))
        if json:
            verb.add_argument("--json", action="store_true",
                              help="for scripts: times are UTC, ISO 8601")
        if quiet:
            verb.add_argument("--quiet", action="store_true",
                              help="for cron: say nothing while all is well")
        return verb

    verb = add("install", "Drop it into a web2py app, or upgrade it there",
               "Copies MailS3 into the app; no file of the app is changed. Run it "
               "again to upgrade.", json=False)
    verb.add_argument("app", help="path of the app, like web2py/applications/myapp")
    verb.add_argument("--link", action="store_true",
                      help="link to this copy, for development")
    verb = add("uninstall", "Take it out of a web2py app again",
               "Removes MailS3 from a web2py app. Unsent mail stays in the database. "
               "Needs the Python that runs the app.", json=False)
    verb.add_argument("app", help="path of the app")

    verb = add("status", "Is mail going out? If not, why?",
               "Exit status: 0 mail is flowing, 1 it is waiting for something that may "
               "come by itself (the mail server is away, sending is paused), 2 somebody "
               "has to repair something (no worker, wrong login, no sender). Also "
               "notices and tells of incidents, for sites whose workers may be down.",
               quiet=True)
    verb.add_argument("--prometheus", action="store_true",
                      help="metrics in Prometheus' text format (exit status 0)")

    verb = add("list", "List mails, the newest first")
    verb.add_argument("state", nargs="?", choices=STATES, metavar="STATE",
                      help="one of: %s (default: all)" % ", ".join(STATES))
    verb.add_argument("--search", metavar="TEXT", help="a part of the address")
    verb.add_argument("--before", metavar="N", type=number(1), help="those with a smaller number")
    verb.add_argument("--limit", metavar="N", type=number(1, 100000), default=50,
                      help="how many at most (default 50)")

    verb = add("show", "Show the story of one mail",
               "Its state, each attempt with the mail server's words, what happens "
               "next and when. Not its content.")
    verb.add_argument("number", type=number(1), metavar="N", help="its number, as in list and log")

    for name, brief, text, many in (
            ("retry", "Try deferred mails now; without numbers: make a retry pass",
             "A mail that was refused for now is tried with the next drain, in place of "
             "its time. Its attempts still count. Without numbers, all that is due is "
             "tried, at the rate that the settings allow: for cron, see drain.", "*"),
            ("requeue", "Begin again with mails, as if they were new",
             "For those that were refused for good or given up, when the reason is gone; "
             "attempts and times start anew.", "+"),
            ("cancel", "Give up mails that are not sent yet", "They become failed.", "+"),
            ("hold", "Set mails aside until they are released", "They become drafts.", "+"),
            ("release", "Send mails that were set aside", "With the next drain.", "+")):
        verb = add(name, brief, text, quiet = name == "retry")
        verb.add_argument("numbers", type=number(1), metavar="N", nargs=many,
                          help="their numbers, as in list and log")
        if name == "retry":
            add_limit(verb)

    verb = add("pause", "Send nothing until it is resumed",
               "Mail is still queued. Holds for all workers and all ways to start a "
               "run. What is being handed over at this moment still goes out.")
    verb.add_argument("reason", nargs="?", help="why, for the other admins")
    verb.add_argument("--minutes", type=number(1, MAX_MINUTES), metavar="N",
                      help="ends by itself after that")
    add("resume", "End the pause",
        "Also asks a mail server that is known to be broken again at once, even if it "
        "has refused the login.")

    add_limit(add("drain", "Send what is new",
                  "For sites that have cron or systemd timers in place of web2py's "
                  "scheduler: run drain each minute and retry every five. Any number of "
                  "them may run at a time. Ctrl-C ends it after the mail in hand.", quiet=True))
    add_limit(add("flush", "Send what is new, and all that is deferred",
                  "Past the times and the rate of the retry pass: for the moment after "
                  "a repair. Ctrl-C ends it after the mail in hand.", quiet=True))

    verb = add("check", "Try the configuration without sending anything",
               "Connects, greets, secures, logs in, names sender and recipient, and "
               "breaks off. Exit status: 0 it works, 1 it works but the recipient is "
               "refused, 2 it does not work.")
    verb.add_argument("address", nargs="?",
                      help="a recipient to name (default: the sender's own address)")

    verb = add("test", "Send a test mail the way all mail goes",
               "Exit status: 0 the mail server has accepted it, 1 it is still waiting, "
               "2 it was refused.")
    verb.add_argument("address", help="whom to")
    verb.add_argument("--seconds", type=number(0), metavar="N", default=60,
                      help="how long to wait for it (default 60)")

    verb = add("purge", "Remove what has been kept for long enough",
               "Mail that is sent, invalid or failed, each for as long as the settings "
               "keep_sent, keep_rejected and keep_failed say; never what is unsent or on "
               "hold. A task of the scheduler does that each night.", quiet=True)
    verb.add_argument("--dry-run", action="store_true", help="only tell how many")

    add("migrate", "Bring the tables and the tasks up to date",
        "They come up to date by themselves with the first request after an upgrade; "
        "this does it at once, and says if it fails.")
    return main

# -----------------------------------------------------------------------------
def add_limit(verb):
    """ A run may be limited """

    verb.add_argument("--seconds", type=number(1), metavar="N",
                      help="begin nothing after that (default: until nothing is left)")

# -----------------------------------------------------------------------------
def console():
    """
        Enter the app

        Returns:
            the Console, of the package as the app has imported it
    """

    if APP.parent.name != "applications" or \
       not os.path.exists(APP / "models/tasks_mail.py"):
        sys.exit("mails3: This is run where the app is installed: "
                 "python3 web2py/applications/myapp/modules/mails3 VERB")
    try:
        environment = installation.enter(APP)
        mail = environment["mail"]
    except (Exception, SystemExit) as error:
        # web2py prints an error of the app's models, and exits
        sys.exit("mails3: The app does not run (%s: %s). Use the Python that runs its "
                 "web2py." % (type(error).__name__, error))
    if "mails3_error" in environment:
        sys.exit("mails3: %s" % environment["mails3_error"])

    # MailS3 itself, of which a host may have made its own kind
    base = type(mail).__mro__[-3]
    package = base.__module__.rpartition(".")[0]
    by = "%s on the command line" % user_name()
    return importlib.import_module(package + ".admin.console").Console(mail, by)

# -----------------------------------------------------------------------------
def user_name():
    """ Who runs this, as far as the system knows """

    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        # A container may run as a number that is no user
        return "user %s" % os.getuid()

# -----------------------------------------------------------------------------
def main():
    """ Read the command and do it; returns the exit status """

    prepare_streams()
    arguments = parser().parse_args()
    try:
        status = do(arguments)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # "| head -1" has read enough. Python would complain when it ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        return READER_IS_GONE

# -----------------------------------------------------------------------------
def do(arguments):
    """ Do a verb; returns the exit status """

    try:
        if arguments.verb == "install":
            return installation.install(arguments.app, arguments.link)
        if arguments.verb == "uninstall":
            return installation.uninstall(arguments.app)
    except BrokenPipeError:
        raise
    except (installation.InstallError, OSError) as error:
        sys.exit("mails3: %s" % error)
    return console().do(arguments)

# -----------------------------------------------------------------------------
def prepare_streams():
    """ Have whatever is said be written, on any terminal, or on none """

    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        else:
            stream.reconfigure(errors="backslashreplace")

# -----------------------------------------------------------------------------
if __name__ == "__main__":
    sys.exit(main())

# END =========================================================================
