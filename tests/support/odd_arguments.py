"""
    Every verb of the command line with odd arguments, in one process

        python odd_arguments.py APP

    Prints each command that ends in an exception
"""

import argparse
import importlib.util
import itertools
import sys
import traceback

from pathlib import Path

# What every database has to cope with, and some that no shell can pass
TEXTS = ("", " ", "%", "_", "'", '"', "\\", "\x1b[31mred", "\0", "line\nbreak", "\u202egro",
         "\U0001f600", "\udcff", "\u00df" * 400, "\u00b2", "\u0661", "9" * 30, "a@b" * 200)

NUMBERS = ("0", "-1", "1", "2147483647", "2147483648", "9" * 30, "\u00b2", "\u0661", "1_0",
           "1.5", "1e3", "nan", "abc", "", " 1", "\0", "\udcff")

ADDRESSES = TEXTS + ("Anne <anne@example.org>", "anne@example.org, bob@example.org",
                     "anne@stra\u00dfe.example", "\u00fc@example.org", "@", "a@", "<a@b",
                     "\U0001f600@example.org", "a@\udcff.example")

COMMANDS = [["list", state] for state in ("new", "sent", "nonsense", "")] + \
    [["list", "--search", text] for text in TEXTS] + \
    [["list", option, number] for option in ("--limit", "--before") for number in NUMBERS] + \
    [["show", number] for number in NUMBERS] + \
    [[verb, number, other]
     for verb in ("retry", "requeue", "cancel", "hold", "release")
     for number, other in zip(NUMBERS, reversed(NUMBERS))] + \
    [["pause", text] for text in TEXTS] + \
    [["pause", "Tea", "--minutes", number] for number in NUMBERS + ("1000000000000",)] + \
    [["resume"], ["resume"]] + \
    [[verb, "--seconds", number]
     for verb in ("drain", "flush", "retry") for number in NUMBERS if number != "9" * 30] + \
    [["check", address] for address in ADDRESSES] + \
    [["test", address, "--seconds", "0"] for address in ADDRESSES] + \
    [["test", "anne@example.org", "--seconds", number] for number in ("-1", "nan", "0")] + \
    [["purge", "--dry-run"], ["purge"], ["status"], ["status", "--prometheus"], ["migrate"]]

# -----------------------------------------------------------------------------
def main(app):
    """ Run them all, each for people and for scripts """

    path = Path(app) / "modules" / "mails3"
    sys.path.insert(0, str(path))
    spec = importlib.util.spec_from_file_location("command_line", path / "__main__.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.prepare_streams()
    console = module.console()

    statuses = set()
    for command, json in itertools.product(COMMANDS, ([], ["--json"])):
        try:
            arguments = module.commands.parser().parse_args([*command, *json])
        except SystemExit as refused:
            statuses.add(refused.code)
            continue
        except Exception:
            report(command)
            continue
        # An exception that do() has caught is shown in one line to people,
        # and is a fault here
        sys.modules[type(console).__module__].give_up = \
            lambda db, why: (why.startswith("This can't be done") and report(command, why)) or 2
        try:
            statuses.add(console.do(arguments))
        except Exception:
            report(command)
    console.do(argparse.Namespace(verb="resume", json=False))
    print("Exit statuses: %s" % sorted(statuses))

# -----------------------------------------------------------------------------
def report(command, why=None):

    print("FAULT %r: %s" % (command, why or traceback.format_exc()), file=sys.stderr)

main(*sys.argv[1:])

# END =========================================================================
