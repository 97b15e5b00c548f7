# -*- coding: utf-8 -*-

"""
    The command line

    python3 modules/mails3 install APP      from a copy of the project
    python3 APP/modules/mails3 VERB         where MailS3 is installed

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import os
import sys

if sys.version_info < (3, 9):
    # An old Python parses the whole file before it runs this line: the file has
    # no newer syntax, and imports nothing newer above this line
    sys.exit("mails3: This needs Python 3.9 or newer, and runs on %d.%d: use the Python "
             "that runs your web2py." % tuple(sys.version_info[:2]))

HERE = os.path.dirname(os.path.abspath(__file__))

# Python searches the folder that it runs first, and would import the folder queue/
# in place of its own module queue
sys.path[:] = [path for path in sys.path if os.path.abspath(path) != HERE]

import getpass # noqa: E402
import importlib # noqa: E402
import types # noqa: E402

from pathlib import Path # noqa: E402

# The app in which MailS3 is installed: its path as called, links not resolved
APP = Path(HERE).parents[1]

# The exit status of a shell for a program whose reader has gone away: 128 + SIGPIPE
READER_IS_GONE = 141
INTERRUPTED = 130 # 128 + SIGINT

# -----------------------------------------------------------------------------
def load(name):
    """
        Import a module of this folder without running the __init__.py of the
        package, which needs web2py

        Args:
            name: name of the module; it imports the standard library and
                  modules of the same kind only

        Returns:
            the module
    """

    package = "mails3_command_line"
    if package not in sys.modules:
        sys.modules[package] = types.ModuleType(package)
        sys.modules[package].__path__ = [HERE]
    return importlib.import_module("%s.%s" % (package, name))

commands = load("commands")
installation = load("installation")

# -----------------------------------------------------------------------------
def main():
    """
        Read the command and do it

        Returns:
            the exit status
    """

    prepare_streams()
    arguments = commands.parser().parse_args()
    try:
        status = do(arguments)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # A reader like "| head -1" has read enough. Without this, Python would
        # complain when it closes the streams.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        return READER_IS_GONE

# -----------------------------------------------------------------------------
def prepare_streams():
    """ Make the output work on any terminal, and with closed streams """

    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        else:
            stream.reconfigure(errors="backslashreplace")

# -----------------------------------------------------------------------------
def do(arguments):
    """
        Do a verb

        Args:
            arguments: as parsed by commands.parser()

        Returns:
            the exit status
    """

    try:
        if arguments.verb == "install":
            return installation.install(arguments.app, arguments.link)
        if arguments.verb == "uninstall":
            return installation.uninstall(arguments.app)
    except BrokenPipeError:
        raise
    except (installation.InstallError, OSError) as error:
        sys.exit("mails3: %s" % error)
    if arguments.verb == "work":
        check_installed()
        return work(arguments)
    if arguments.verb == "oauth":
        mail, package = app_mail()
        sign_in = importlib.import_module(package + ".admin.sign_in").sign_in
        return sign_in(mail.options, arguments.relay)
    return console().do(arguments)

# -----------------------------------------------------------------------------
def work(arguments):
    """ The verb work: be the supervisor, or one of its processes; returns the exit status """

    if arguments.process is None:
        return load("service.supervisor").Supervisor(APP, HERE, arguments.workers).run()
    supervisor = load("service.seat").SupervisorLink(arguments.socket)
    # Before the models are run: they may change meanwhile
    files = load("service.source_files").SourceFiles(APP)
    mail, package = app_mail()
    process = importlib.import_module(package + ".service.worker_process")
    return process.work(mail, files, supervisor, is_first = arguments.process == 0,
                        is_for_others = arguments.others)

# -----------------------------------------------------------------------------
def check_installed():
    """ End with a message unless this is the package in an app """

    if APP.parent.name != "applications" or \
       not os.path.exists(APP / "models/tasks_mail.py"):
        sys.exit("mails3: This is run where the app is installed: "
                 "python3 web2py/applications/myapp/modules/mails3 VERB")

# -----------------------------------------------------------------------------
def console():
    """ Run the models of the app in which MailS3 is installed; returns the Console """

    mail, package = app_mail()
    by = "%s on the command line" % user_name()
    return importlib.import_module(package + ".admin.console").Console(mail, by)

# -----------------------------------------------------------------------------
def app_mail():
    """
        Run the models of the app in which MailS3 is installed

        Returns:
            tuple (mail, package): the MailS3; the name of its package as the app
            has imported it
    """

    check_installed()
    try:
        environment = load("hosts.entry").enter(APP)
        mail = environment["mail"]
    except (Exception, SystemExit) as error:
        # web2py prints an error of the app's models, and exits
        sys.exit("mails3: The app does not run (%s: %s). Use the Python that runs its "
                 "web2py." % (type(error).__name__, error))
    if "mails3_error" in environment:
        sys.exit("mails3: %s" % environment["mails3_error"])

    # A host may have a subclass of MailS3 in another package. The bases of MailS3
    # end with AppMail, Mail and object: AppMail is in the package itself.
    base = type(mail).__mro__[-3]
    return mail, base.__module__.rpartition(".")[0]

# -----------------------------------------------------------------------------
def user_name():
    """ The name of the person who runs this, as the system knows it (str) """

    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        # In a container, the user may have a number but no name
        return "user %s" % os.getuid()

# -----------------------------------------------------------------------------
if __name__ == "__main__":
    sys.exit(main())

# END =========================================================================
