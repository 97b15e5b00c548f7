# -*- coding: utf-8 -*-

"""
    The source files of an app, models and configuration: have they changed?

    The supervisor loads this file before web2py can be imported: it imports the
    standard library only.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import os
import sys

__all__ = ("SourceFiles",)

# The folders of an app whose files each request reads: all files of them, and of
# the folders in models/
FOLDERS = ("models", "private", "compiled")

# Files that are no configuration
IGNORED = (".log", ".pid", ".db", ".tmp", "~")

# =============================================================================
class SourceFiles:
    """ What the files of an app were like at a moment """

    def __init__(self, app):
        """
            Args:
                app: path of the app
        """

        self.app = os.path.abspath(app)
        self.before = self._state()

    # -------------------------------------------------------------------------
    def have_changed(self):
        """ Whether a file was changed, added or removed since this was last asked """

        before, self.before = self.before, self._state()
        # A module that was imported meanwhile has not changed
        return any(self.before.get(path) != state for path, state in before.items()) or \
            any(path not in before for path in self.before if path not in modules_in(self.app))

    # -------------------------------------------------------------------------
    def _state(self):
        """ The files: dict {path: (time, size)} """

        paths = set(modules_in(self.app))
        for folder in FOLDERS:
            paths.update(files_in(os.path.join(self.app, folder)))
        models = os.path.join(self.app, "models")
        for name in names_in(models):
            paths.update(files_in(os.path.join(models, name)))
        return {path: state_of(path) for path in paths}

# -----------------------------------------------------------------------------
def modules_in(app):
    """ The files in an app's folder that this process has imported (set of paths) """

    paths = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return {path for path in paths if isinstance(path, str) and path.startswith(app + os.sep)}

# -----------------------------------------------------------------------------
def names_in(folder):
    """ The names in a folder (list); none if it does not exist """

    try:
        return os.listdir(folder)
    except OSError:
        return []

# -----------------------------------------------------------------------------
def files_in(folder):
    """ The files of a folder that may be configuration (list of paths) """

    paths = [os.path.join(folder, name) for name in names_in(folder)
             if not name.endswith(IGNORED)]
    return [path for path in paths if os.path.isfile(path)]

# -----------------------------------------------------------------------------
def state_of(path):
    """ What differs if a file has changed; None if it does not exist """

    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino

# END =========================================================================
