# -*- coding: utf-8 -*-

"""
    Dropping MailS3 into a web2py app, and taking it out again

    This file imports the standard library and files of its kind only: see
    __main__.load().

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import os
import shutil

from pathlib import Path

from .hosts.entry import enter
from .manifest import Manifest, PACKAGE, SETTINGS_FILE, SOURCE, fingerprint, package_files, \
                      single_files

__all__ = ("InstallError", "install", "uninstall")

START = "Now restart the web server, and start a worker: python3 %s work"
RESTART = "Now restart the web server and the worker."
REMOVED = "Now restart the web server, and web2py's scheduler worker if there is one."

# =============================================================================
class InstallError(Exception):
    """ It can't be done; the text says why. Nothing has been changed. """

# =============================================================================
def install(app, link=False, tell=print):
    """
        Drop MailS3 into an app, or bring it up to date there

        Args:
            app: path of the app, like web2py/applications/myapp
            link: link to this copy in place of copying (for development)
            tell: function to call with each line of the report

        Raises:
            InstallError: the path is not that of an app, or the app has other
                          files in our place
    """

    app = check_app(app)
    before = Manifest(app)
    is_upgrade = os.path.lexists(app / PACKAGE)
    files = package_files() + single_files()
    refuse_foreign_files(before, files, link)

    for name in set(before.fingerprints).difference(files):
        if before.may_replace(name):
            remove(app, name)

    # A link can't be written over a folder that was copied, nor a copy over a link
    if link or (app / PACKAGE).is_symlink():
        remove_package(app)

    installed = {}
    for name in files:
        if name == SETTINGS_FILE and (app / name).exists():
            installed[name] = before.fingerprints.get(name, "")
        elif not (link and name.startswith(PACKAGE)):
            put(app, name, link)
            installed[name] = fingerprint(app / name)
            tell("%s %s" % ("replaced" if name in before.fingerprints else "installed", name))
    if link:
        (app / PACKAGE).symlink_to(SOURCE / PACKAGE)
        tell("linked %s to %s" % (PACKAGE, SOURCE / PACKAGE))
    else:
        before.write(installed)

    if (app / "compiled").is_dir():
        tell("This app is compiled: compile it again, before that MailS3 has no effect.")
    tell(RESTART if is_upgrade else START % (app / PACKAGE))

# -----------------------------------------------------------------------------
def refuse_foreign_files(manifest, files, link):
    """
        Refuse to install over files that are not ours

        Args:
            manifest: the Manifest of what is installed
            files: names of the files that are to be written
            link: the package is to become a link

        Raises:
            InstallError: there are such files
    """

    foreign = [name for name in files if not manifest.may_replace(name)]
    if link:
        # Then the whole folder is removed
        foreign.extend(set(manifest.foreign_files()).difference(foreign))
    if foreign:
        raise InstallError("In the way, and not as MailS3 has left it: %s. "
                           "Move it away first." % ", ".join(foreign))

# -----------------------------------------------------------------------------
def put(app, name, link):
    """ Copy a file into an app, or link to it """

    target = app / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink():
        target.unlink()
    if link and name != SETTINGS_FILE:
        target.symlink_to(SOURCE / name)
    else:
        shutil.copyfile(SOURCE / name, target)

# -----------------------------------------------------------------------------
def uninstall(app, tell=print):
    """
        Take MailS3 out of an app
        - this works also if MailS3 is half installed, or the app does not run
        - if the app runs, our rows are removed from the scheduler, and our
          claims from the mail

        Args:
            app: path of the app
            tell: function to call with each line of the report

        Raises:
            InstallError: nothing of MailS3 is there
    """

    app = check_app(app)
    manifest = Manifest(app)
    names = [name for name in single_files() if os.path.lexists(app / name)]
    if not os.path.lexists(app / PACKAGE) and set(names) <= {SETTINGS_FILE}:
        raise InstallError("MailS3 is not installed in %s" % app)

    environment, why_not = {}, None
    try:
        environment = enter(app)
        why_not = environment.get("mails3_error")
    except (Exception, SystemExit) as error:
        # web2py prints an error of the app's models, and exits
        why_not = "The app does not run (%s: %s): with the Python that runs its web2py?" % \
            (type(error).__name__, error)

    for name in names:
        if manifest.is_ours(name):
            remove(app, name)
            tell("removed %s" % name)
        else:
            tell("LEFT %s: it has been edited" % name)
    foreign = manifest.foreign_files()
    remove_package(app, foreign)
    tell("removed %s" % PACKAGE)
    for name in foreign:
        tell("LEFT %s: it is not as MailS3 has installed it" % name)

    # A compiled model would import files that are no longer there
    for pattern in ("models.tasks_mail.*", "controllers.mails3.*", "views.mails3.*"):
        for path in (app / "compiled").glob(pattern):
            path.unlink()
            tell("removed compiled/%s" % path.name)

    # Only now: a running server that still has our model would make the tasks again
    for line in tidy_database(environment, why_not):
        tell(line)
    tell(REMOVED)

# -----------------------------------------------------------------------------
def tidy_database(environment, why_not):
    """
        Remove our tasks from the scheduler, and our claims from the mail

        Args:
            environment: of the app's models (dict)
            why_not: why MailS3 does not run in them (str); None = it does

        Returns:
            list of sentences about what is left (str)
    """

    if not why_not:
        try:
            told = environment["mail"].retire()
            environment["db"].commit()
            return told
        except Exception as error:
            why_not = "%s: %s" % (type(error).__name__, error)
    return ["The database could not be tidied up. %s" % why_not,
            "What is left there does no harm: rows of scheduler_task whose uuid begins with "
            "mails3-, and the tables of MailS3 with the unsent mail."]

# -----------------------------------------------------------------------------
def check_app(app):
    """
        Check that a path is that of a web2py app

        Args:
            app: the path

        Returns:
            the path as path_of() returns it

        Raises:
            InstallError: it is not, or it is where this copy of MailS3 is
    """

    app = path_of(app)
    if not app.is_dir():
        raise InstallError("There is no folder %s" % app)
    if app.parent.name != "applications" or \
       not all((app / name).is_dir() for name in ("models", "controllers")):
        raise InstallError("%s is no web2py app: expected is a path like "
                           "web2py/applications/myapp" % app)
    if app.resolve() == SOURCE:
        raise InstallError("%s is where this copy of MailS3 is itself: run this from the "
                           "folder that you have installed it from" % app)
    return app

# -----------------------------------------------------------------------------
def path_of(app):
    """ The absolute path of an app; links are not resolved, as an Eden is often a link """

    return Path(os.path.abspath(app))

# -----------------------------------------------------------------------------
def remove(app, name):
    """ Remove a file, and the folder of the views if it becomes empty """

    target = app / name
    if os.path.lexists(target):
        target.unlink()
    if name.startswith("views/") and target.parent.is_dir() and \
       not any(target.parent.iterdir()):
        target.parent.rmdir()

# -----------------------------------------------------------------------------
def remove_package(app, keep=()):
    """
        Remove the package: the link, or the folder with its compiled files

        Args:
            app: Path of the app
            keep: names of files that stay
    """

    package = app / PACKAGE
    if package.is_symlink():
        package.unlink()
    elif package.is_dir():
        # Deepest first, so that a folder is empty when its turn comes
        for path in sorted(package.rglob("*"), reverse=True) + [package]:
            if path.is_symlink() or not path.is_dir():
                if path.relative_to(app).as_posix() not in keep:
                    path.unlink()
            elif not any(path.iterdir()):
                path.rmdir()

# END =========================================================================
