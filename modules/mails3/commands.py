# -*- coding: utf-8 -*-

"""
    The verbs of the command line and their arguments

    __main__.py loads this file before web2py can be imported, so this file
    imports the standard library and files of its kind only.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import argparse

from .states import STATES

__all__ = ("parser",)

# The greatest integer that every database accepts; ten years
MAX_INTEGER = 2 ** 31 - 1
MAX_MINUTES = 10 * 366 * 24 * 60

# -----------------------------------------------------------------------------
def parser():
    """
        All verbs

        Returns:
            an argparse.ArgumentParser; its result has the verb in .verb
    """

    main = argparse.ArgumentParser(
                prog = "python3 APP/modules/mails3",
                formatter_class = argparse.RawDescriptionHelpFormatter,
                description = "MailS3, the outbound mail queue for web2py apps.\n\n"
                              "install and uninstall take the app's path. All other verbs\n"
                              "are run where the app is installed, with the Python that\n"
                              "runs its web2py, as the user that the web server runs as.",
                )
    verbs = main.add_subparsers(dest="verb", required=True, metavar="VERB")
    for add_group in (add_installing,
                      add_looking,
                      add_deliveries,
                      add_pausing,
                      add_sending,
                      add_testing,
                      add_keeping,
                      ):
        add_group(verbs)
    return main

# -----------------------------------------------------------------------------
# The verbs, by subject, in the order in which --help lists them
#
def add_installing(verbs):
    """ Into an app, and out of it """

    verb = add(verbs, "install", "Drop it into a web2py app, or upgrade it there",
               "Copies MailS3 into the app; no file of the app is changed. Run it "
               "again to upgrade.", json=False)
    verb.add_argument("app", help="path of the app, like web2py/applications/myapp")
    verb.add_argument("--link", action="store_true",
                      help="link to this copy, for development")

    verb = add(verbs, "uninstall", "Take it out of a web2py app again",
               "Removes MailS3 from a web2py app. Unsent mail stays in the database. "
               "Needs the Python that runs the app.", json=False)
    verb.add_argument("app", help="path of the app")

# -----------------------------------------------------------------------------
def add_looking(verbs):
    """ Verbs that change nothing """

    verb = add(verbs, "status", "Is mail going out? If not, why?",
               "Exit status: 0 mail is flowing, 1 it waits for something that may "
               "end by itself (the mail server is away, sending is paused), 2 somebody "
               "has to repair something (no worker, wrong login, no sender). This verb "
               "also notices incidents and sends their alerts, for sites whose workers "
               "may be down.", quiet=True)
    verb.add_argument("--prometheus", action="store_true",
                      help="metrics in Prometheus' text format (exit status 0)")

    verb = add(verbs, "list", "List mails, the newest first")
    verb.add_argument("state", nargs="?", choices=STATES, metavar="STATE",
                      help="one of: %s (default: all)" % ", ".join(STATES))
    verb.add_argument("--search", metavar="TEXT", help="a part of the address, or a number")
    verb.add_argument("--before", metavar="N", type=integer(1),
                      help="only mails with a smaller number")
    verb.add_argument("--limit", metavar="N", type=integer(1, 100000), default=50,
                      help="how many at most (default 50)")

    verb = add(verbs, "show", "Show the story of one mail",
               "Its state, each attempt with the mail server's words, what happens "
               "next and when. Not its content, but for --eml.")
    verb.add_argument("number", type=integer(1), metavar="N",
                      help="its number, as in list and log")
    verb.add_argument("--eml", action="store_true",
                      help="the mail itself with its content, for a file N.eml; the log keeps "
                           "who has done that")

# -----------------------------------------------------------------------------
def add_deliveries(verbs):
    """ Verbs for mails, by their numbers """

    verb = add(verbs, "retry", "Try deferred mails now; without numbers: make a retry pass",
               "A mail that was refused for now is tried with the next drain, before its "
               "time. Its attempts still count. Without numbers, all mails that are due "
               "are tried, at the rate that the settings allow: for cron, see drain.",
               quiet=True)
    add_numbers(verb, "*")
    add_seconds(verb)

    for name, brief, text in (
            ("requeue", "Begin again with mails, as if they were new",
             "For mails that are rejected or failed, after the reason is repaired; "
             "attempts and times start anew."),
            ("cancel", "Give up mails that are not sent yet", "They become failed."),
            ("hold", "Set mails aside until they are released", "They become held."),
            ("release", "Send mails that were held or captured", "With the next drain.")):
        add_numbers(add(verbs, name, brief, text), "+")

# -----------------------------------------------------------------------------
def add_pausing(verbs):
    """ Verbs that stop and start all sending """

    verb = add(verbs, "pause", "Send nothing until it is resumed",
               "Mail is still queued. The pause is for all workers and all ways to start a "
               "run. A mail that is being handed over at this moment still goes out.")
    verb.add_argument("reason", nargs="?", help="why, for the other admins")
    verb.add_argument("--minutes", type=integer(1, MAX_MINUTES), metavar="N",
                      help="the pause ends by itself after N minutes")
    add(verbs, "resume", "End the pause",
        "If sending is suspended, the mail server is also asked again at once, even if it "
        "has refused the login.")

# -----------------------------------------------------------------------------
def add_sending(verbs):
    """ Runs in place of a worker's """

    verb = add(verbs, "work", "Send new mail at once, and deferred mail when it is due",
               "A worker that runs until it gets SIGTERM, for systemd or supervisor: nothing "
               "else is needed then, no scheduler and no cron. It ends after the mail in hand. "
               "SIGHUP: it reads the settings again; it also does that by itself when the "
               "files of the app change.", json=False)
    verb.add_argument("--workers", type=integer(1, 64), metavar="N", default=1,
                      help="how many processes (default 1)")
    # For a process that the supervisor starts: its number, its socket to the
    # supervisor, whether it is for other channels than mail
    verb.add_argument("--process", type=integer(0), help=argparse.SUPPRESS)
    verb.add_argument("--socket", type=integer(0), help=argparse.SUPPRESS)
    verb.add_argument("--others", action="store_true", help=argparse.SUPPRESS)

    add_seconds(add(verbs, "drain", "Send new mail",
                    "For sites that have cron or systemd timers in place of a worker: "
                    "run drain each minute and retry every five. Any number of "
                    "them may run at a time. Ctrl-C ends it after the current mail.",
                    quiet=True))
    add_seconds(add(verbs, "flush", "Send new mail, and all deferred mail",
                    "Deferred mail is sent before its time, and at any rate: for the moment "
                    "after a repair. Ctrl-C ends it after the current mail.", quiet=True))

# -----------------------------------------------------------------------------
def add_testing(verbs):
    """ The configuration, without and with a mail """

    verb = add(verbs, "check", "Try the configuration without sending anything",
               "Connects, greets, secures, logs in, names sender and recipient, and "
               "breaks off. Exit status: 0 it works, 1 it works but the recipient is "
               "refused, 2 it does not work.")
    verb.add_argument("address", nargs="?",
                      help="a recipient to name (default: the sender's own address)")

    verb = add(verbs, "oauth", "Get a refresh token for the login to Microsoft or Google",
               "You open a page in a browser, on any machine, and log in as the mailbox. The "
               "token goes into oauth_refresh_token_file (see the settings), and is not shown.",
               json=False)
    verb.add_argument("relay", nargs="?", metavar="NAME",
                      help="for the mail server in the section [relay NAME]")

    verb = add(verbs, "test", "Send a test mail the way all mail goes",
               "Exit status: 0 the mail server has accepted it, 1 it is still waiting, or "
               "was captured (setting delivery), 2 it was refused.")
    verb.add_argument("address", help="the recipient")
    verb.add_argument("--seconds", type=integer(0), metavar="N", default=60,
                      help="how long to wait for the result (default 60)")

# -----------------------------------------------------------------------------
def add_keeping(verbs):
    """ The database """

    verb = add(verbs, "purge", "Remove old mails",
               "Mails that are sent, rejected, failed or captured, each for as long as the "
               "settings keep_sent, keep_rejected, keep_failed and keep_captured say; never "
               "mail that is new, deferred or held. A worker does that each night.", quiet=True)
    verb.add_argument("--dry-run", action="store_true", help="only tell how many")

    add(verbs, "migrate", "Bring the tables and the tasks up to date",
        "The first request after an upgrade does the same; this verb does it at once, and "
        "says if it fails.")

# -----------------------------------------------------------------------------
# Its parts
#
def add(verbs, name, brief, text="", json=True, quiet=False):
    """
        Add a verb

        Args:
            verbs: as from ArgumentParser.add_subparsers()
            name: the verb
            brief: what it does, in a few words
            text: more about it, for its own --help
            json: it has the option --json
            quiet: it has the option --quiet

        Returns:
            its argparse.ArgumentParser
    """

    sentence = brief if brief.endswith("?") else "%s." % brief
    verb = verbs.add_parser(name, help=brief, description="%s %s" % (sentence, text))
    if json:
        verb.add_argument("--json", action="store_true",
                          help="for scripts: times are UTC, ISO 8601")
    if quiet:
        verb.add_argument("--quiet", action="store_true",
                          help="for cron: say nothing while all is well")
    return verb

# -----------------------------------------------------------------------------
def add_numbers(verb, nargs):
    """ The numbers of mails; nargs as for argparse: "*" or "+" """

    verb.add_argument("numbers", type=integer(1), metavar="N", nargs=nargs,
                      help="their numbers, as in list and log")

# -----------------------------------------------------------------------------
def add_seconds(verb):
    """ A limit of time for a run """

    verb.add_argument("--seconds", type=integer(1), metavar="N",
                      help="begin no mail after N seconds (default: until nothing is left)")

# -----------------------------------------------------------------------------
def integer(first, last=MAX_INTEGER):
    """ The type of an argument that is a number from first to last, for argparse """

    def read(text):
        if text.isascii() and text.isdigit() and first <= int(text[:20]) <= last:
            return int(text)
        raise argparse.ArgumentTypeError("%r is not a number from %d to %d" %
                                         (text[:40], first, last))
    return read

# END =========================================================================
