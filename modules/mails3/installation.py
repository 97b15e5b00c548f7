# -*- coding: utf-8 -*-

"""
    Dropping MailS3 into a web2py app, and taking it out again

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import hashlib
import json
import os
import shutil
import sys

from pathlib import Path

__all__ = ("InstallError", "install", "uninstall", "enter")

# Where this copy of MailS3 is: a clone of the project, or an app
SOURCE = Path(__file__).resolve().parents[2]

PACKAGE = "modules/mails3"
VIEWS = "views/mails3"
SINGLE_FILES = ("models/tasks_mail.py",
                "controllers/mails3.py",
                "private/mails3.ini",
                )

# The site's own, once it is there
KEPT = "private/mails3.ini"

# What we have installed, and what it was like
MANIFEST = PACKAGE + "/INSTALLED"

# =============================================================================
class InstallError(Exception):
    """ It can't be done; says why, nothing has been changed """

# =============================================================================
def install(app, link=False, tell=print):
    """
        Drop MailS3 into an app, or bring it up to date there

        Args:
            app: path of the app, like web2py/applications/myapp
            link: link to this copy in place of copying (for development)
            tell: function to call with each line of the report

        Raises:
            InstallError: the app is none, or has files in our place
    """

    app = check_app(app)
    before = read_manifest(app)
    files = [path.relative_to(SOURCE).as_posix()
             for path in sorted((SOURCE / PACKAGE).rglob("*.py"))]
    files.extend(single_files())

    foreign = [name for name in files if not may_replace(app, name, before)]
    if link:
        # The folder itself has to go
        foreign.extend(set(strangers(app, before)).difference(foreign))
    if foreign:
        raise InstallError("In the way, and not as MailS3 has left it: %s. "
                           "Move it away first." % ", ".join(foreign))

    for name in set(before).difference(files):
        if may_replace(app, name, before):
            remove(app, name)

    # A package that was copied can't be linked over, and vice versa
    if link or (app / PACKAGE).is_symlink():
        remove_package(app)
    installed = {}
    for name in files:
        target = app / name
        if name == KEPT and target.exists():
            installed[name] = before.get(name, "")
            continue
        if link and name.startswith(PACKAGE):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_symlink():
            target.unlink()
        if link and name != KEPT:
            target.symlink_to(SOURCE / name)
        else:
            shutil.copyfile(SOURCE / name, target)
        installed[name] = fingerprint(target)
        tell("%s %s" % ("replaced" if name in before else "installed", name))
    if link:
        (app / PACKAGE).symlink_to(SOURCE / PACKAGE)
        tell("linked %s to %s" % (PACKAGE, SOURCE / PACKAGE))
    else:
        # In one go: an upgrade may be interrupted
        new = app / (MANIFEST + ".new")
        new.write_text(json.dumps(installed, indent=1) + "\n", encoding="utf-8")
        new.replace(app / MANIFEST)

    if (app / "compiled").is_dir():
        tell("This app is compiled: compile it again, before that MailS3 has no effect.")
    tell("Now restart the web server and the scheduler worker.")

# -----------------------------------------------------------------------------
def uninstall(app, tell=print):
    """
        Take MailS3 out of an app
        - also where it is half installed, or the app does not run
        - its rows out of the scheduler and its claims off the mail as well,
          as far as the app runs

        Args:
            app: path of the app
            tell: function to call with each line of the report

        Raises:
            InstallError: nothing of it is there
    """

    app = check_app(app)
    manifest = read_manifest(app)
    names = [name for name in single_files() if os.path.lexists(app / name)]
    if not os.path.lexists(app / PACKAGE) and set(names) <= {KEPT}:
        raise InstallError("MailS3 is not installed in %s" % app)

    environment, trouble = {}, None
    try:
        environment = enter(app)
        trouble = environment.get("mails3_error")
    except (Exception, SystemExit) as error:
        # web2py prints an error of the app's models, and exits
        trouble = "The app does not run (%s: %s): with the Python that runs its web2py?" % \
            (type(error).__name__, error)

    for name in names:
        if is_ours(app, name, manifest):
            remove(app, name)
            tell("removed %s" % name)
        else:
            tell("LEFT %s: it has been edited" % name)
    strange = strangers(app, manifest)
    remove_package(app, strange)
    tell("removed %s" % PACKAGE)
    for name in strange:
        tell("LEFT %s: it is not as MailS3 has installed it" % name)

    # A compiled model would look for what is no longer there
    for pattern in ("models.tasks_mail.*", "controllers.mails3.*", "views.mails3.*"):
        for path in (app / "compiled").glob(pattern):
            path.unlink()
            tell("removed compiled/%s" % path.name)

    # Not earlier: a running server would bring its tasks into being again
    for line in tidy(environment, trouble):
        tell(line)
    tell("Now restart the web server and the scheduler worker.")

# -----------------------------------------------------------------------------
def tidy(environment, trouble):
    """
        Tidy up in the database

        Args:
            environment: of the app's models (dict)
            trouble: why MailS3 does not run in them (str); None = it does

        Returns:
            list of sentences about what is left (str)
    """

    if not trouble:
        try:
            told = environment["mail"].retire()
            environment["db"].commit()
            return told
        except Exception as error:
            trouble = "%s: %s" % (type(error).__name__, error)
    return ["The database could not be tidied up. %s" % trouble,
            "What is left there does no harm: rows of scheduler_task whose uuid begins with "
            "mails3-, and the tables of MailS3 with the mail that is unsent."]

# -----------------------------------------------------------------------------
def enter(app):
    """
        Run the models of an app, in its own web2py

        Args:
            app: path of the app

        Returns:
            the environment of the models (dict)

        Raises:
            Exception, SystemExit: whatever web2py or the app raises
    """

    app = path_of(app)
    web2py = app.parents[1]
    os.chdir(web2py)
    os.environ["web2py_path"] = str(web2py)
    # In place of the package's own folder, where Python looks when it runs it
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [str(web2py)] + [path for path in sys.path if path != here]

    # Sets what a model may ask for, like web2py_version, as for a request
    import gluon.main # noqa: F401

    from gluon.shell import env
    return env(app.name, c="default", f="index", import_models=True)

# -----------------------------------------------------------------------------
def check_app(app):
    """ The path of a web2py app; raises InstallError if it is none """

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
    """ The path of an app as it is called: it may be a link, like Eden's mostly is """

    return Path(os.path.abspath(app))

# -----------------------------------------------------------------------------
def single_files():
    """ What is installed beside the package (list of names) """

    return [path.relative_to(SOURCE).as_posix()
            for path in sorted((SOURCE / VIEWS).glob("*.html"))] + list(SINGLE_FILES)

# -----------------------------------------------------------------------------
def read_manifest(app):
    """
        What has been installed

        Returns:
            dict {name: fingerprint}; empty if that is not known, or linked
    """

    path = app / MANIFEST
    if (app / PACKAGE).is_symlink() or not path.exists():
        return {}
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # An earlier version was interrupted when it wrote it
        return {}
    return manifest if isinstance(manifest, dict) else {}

# -----------------------------------------------------------------------------
def strangers(app, manifest):
    """ The files in the package's folder that are not ours, or no longer """

    package = app / PACKAGE
    if package.is_symlink():
        return []
    names = [path.relative_to(app).as_posix() for path in sorted(package.rglob("*"))
             if path.is_file() and "__pycache__" not in path.parts]
    return [name for name in names
            if not name.startswith(MANIFEST) and not is_ours(app, name, manifest)]

# -----------------------------------------------------------------------------
def may_replace(app, name, manifest):
    """ Whether an installation may write a file: nothing is there, or what is ours """

    return not os.path.lexists(app / name) or name == KEPT or is_ours(app, name, manifest)

# -----------------------------------------------------------------------------
def is_ours(app, name, manifest):
    """ Whether a file is as MailS3 has left it """

    target = app / name
    if name.startswith(PACKAGE) and (app / PACKAGE).is_symlink():
        return True
    if target.is_symlink():
        # Linked for development
        return target.name == Path(os.readlink(target)).name
    ours = {manifest.get(name)}
    if (SOURCE / name).is_file():
        ours.add(fingerprint(SOURCE / name))
    if fingerprint(target) in ours:
        return True
    # Where it is not known what was installed, a file has to say whose it is
    return not manifest and name != KEPT and b"mails3" in target.read_bytes().lower()

# -----------------------------------------------------------------------------
def fingerprint(path):
    """ Tell a file from what it was before """

    return hashlib.sha256(path.read_bytes()).hexdigest()

# -----------------------------------------------------------------------------
def remove(app, name):
    """ Remove a file, and its folder if that is left empty """

    target = app / name
    if os.path.lexists(target):
        target.unlink()
    if name.startswith("views/") and target.parent.is_dir() and \
       not any(target.parent.iterdir()):
        target.parent.rmdir()

# -----------------------------------------------------------------------------
def remove_package(app, but_for=()):
    """ Remove the package: a link, or the folder with its compiled files """

    package = app / PACKAGE
    if package.is_symlink():
        package.unlink()
    elif package.is_dir():
        # Deepest first, so that a folder is empty when its turn comes
        for path in sorted(package.rglob("*"), reverse=True) + [package]:
            if path.is_symlink() or not path.is_dir():
                if path.relative_to(app).as_posix() not in but_for:
                    path.unlink()
            elif not any(path.iterdir()):
                path.rmdir()

# END =========================================================================
