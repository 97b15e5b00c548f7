# -*- coding: utf-8 -*-

"""
    What MailS3 installs into an app, and which of the files there are ours

    The installer notes the name and the fingerprint of each file that it has
    written. A file whose content has changed since is the site's, and is
    neither replaced nor removed.

    This file imports nothing but the standard library: see __main__.load().

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import hashlib
import json
import os

from pathlib import Path

__all__ = ("SOURCE", "PACKAGE", "SETTINGS_FILE", "package_files", "single_files",
           "Manifest", "fingerprint")

# Where this copy of MailS3 is: a clone of the project, or an app
SOURCE = Path(__file__).resolve().parents[2]

PACKAGE = "modules/mails3"
VIEWS = "views/mails3"

# The site's own as soon as it exists
SETTINGS_FILE = "private/mails3.ini"

SINGLE_FILES = ("models/tasks_mail.py",
                "controllers/mails3.py",
                SETTINGS_FILE,
                )

MANIFEST = PACKAGE + "/INSTALLED"

# -----------------------------------------------------------------------------
def package_files():
    """ What is installed as the package (list of names, relative to the app) """

    return [path.relative_to(SOURCE).as_posix()
            for path in sorted((SOURCE / PACKAGE).rglob("*.py"))]

# -----------------------------------------------------------------------------
def single_files():
    """ What is installed beside the package (list of names, relative to the app) """

    return [path.relative_to(SOURCE).as_posix()
            for path in sorted((SOURCE / VIEWS).glob("*.html"))] + list(SINGLE_FILES)

# -----------------------------------------------------------------------------
def fingerprint(path):
    """ A text that differs if the content of a file differs """

    return hashlib.sha256(path.read_bytes()).hexdigest()

# =============================================================================
class Manifest:
    """ The files that an installation has written into an app """

    def __init__(self, app):
        """
            Read the manifest of an app

            Args:
                app: Path of the app
        """

        self.app = app
        self.fingerprints = {} # by name; empty if unknown, or if it is a link
        path = app / MANIFEST
        if (app / PACKAGE).is_symlink() or not path.exists():
            return
        try:
            fingerprints = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            # The installation of an earlier version was interrupted
            return
        if isinstance(fingerprints, dict):
            self.fingerprints = fingerprints

    # -------------------------------------------------------------------------
    def write(self, fingerprints):
        """
            Note what is installed now; another process never reads a part of it

            Args:
                fingerprints: dict {name: fingerprint}
        """

        new = self.app / (MANIFEST + ".new")
        new.write_text(json.dumps(fingerprints, indent=1) + "\n", encoding="utf-8")
        new.replace(self.app / MANIFEST)

    # -------------------------------------------------------------------------
    def may_replace(self, name):
        """ Whether an installation may write a file: nothing is there, or a file of ours """

        return not os.path.lexists(self.app / name) or name == SETTINGS_FILE or \
            self.is_ours(name)

    # -------------------------------------------------------------------------
    def is_ours(self, name):
        """ Whether a file is as MailS3 has left it """

        target = self.app / name
        if name.startswith(PACKAGE) and (self.app / PACKAGE).is_symlink():
            return True
        if target.is_symlink():
            # Linked for development
            return target.name == Path(os.readlink(target)).name
        ours = {self.fingerprints.get(name)}
        if (SOURCE / name).is_file():
            ours.add(fingerprint(SOURCE / name))
        if fingerprint(target) in ours:
            return True
        # Without a manifest, the file itself has to name MailS3
        return not self.fingerprints and name != SETTINGS_FILE and \
            b"mails3" in target.read_bytes().lower()

    # -------------------------------------------------------------------------
    def foreign_files(self):
        """ The files in the package's folder that are not ours, or not any more (names) """

        package = self.app / PACKAGE
        if package.is_symlink():
            return []
        names = [path.relative_to(self.app).as_posix()
                 for path in sorted(package.rglob("*"))
                 if path.is_file() and "__pycache__" not in path.parts]
        return [name for name in names
                if not name.startswith(MANIFEST) and not self.is_ours(name)]

# END =========================================================================
