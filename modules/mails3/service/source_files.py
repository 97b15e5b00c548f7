# -*- coding: utf-8 -*-

"""
    The source files of an app, models and configuration: have they changed?

    The supervisor loads this file before web2py can be imported: it imports the
    standard library only.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import os
import re
import stat
import sys
import time

__all__ = ("SourceFiles",)

# Files in private/ that are no configuration: hidden ones, copies that an editor
# makes, logs, databases
NO_CONFIGURATION = re.compile(r"^[.#]|~$|\.(log|out|pid|lock|sock|tmp|swp|db|sql\w*)\b")

# =============================================================================
class SourceFiles:
    """
        What the files of an app are like when a process begins to read them: it
        makes this object before that
    """

    def __init__(self, app, has_all_modules=False):
        """
            Args:
                app: path of the app
                has_all_modules: watch all modules of the app, which takes some
                                 time; else those that this process imports
        """

        self.app = os.path.abspath(app)
        # The app may be a link, and imported by both paths
        self.modules = tuple(os.path.join(path, "modules", "")
                             for path in (self.app, os.path.realpath(self.app)))
        self.has_all_modules = has_all_modules
        self.made_ns = time.time_ns()
        self.before = self.last = self._read()

    # -------------------------------------------------------------------------
    def have_changed(self):
        """
            Whether a file was changed, added or removed since this object was
            made; not yet if one was changed since this was last asked, because
            somebody may be writing it
        """

        now = self._read()
        is_quiet, self.last = now == self.last, now
        if not self.has_all_modules:
            self._note_imported(now)
        return is_quiet and now != self.before

    # -------------------------------------------------------------------------
    def _note_imported(self, now):
        """ A module that was imported since, and is older than this object, has not changed """

        self.before.update((path, state) for path, state in now.items()
                           if path not in self.before and path.startswith(self.modules)
                           # No file is changed in the future
                           and not (state and self.made_ns <= state[0] <= time.time_ns()))

    # -------------------------------------------------------------------------
    def _read(self):
        """ The files: dict {path: its state, see state_of()} """

        paths = set(files_in(self.modules[0], is_python)) if self.has_all_modules else \
            imported_from(self.modules)
        paths.update(files_in(os.path.join(self.app, "models"), is_python))
        for folder, is_source in (("private", is_configuration), ("compiled", is_compiled)):
            folder = os.path.join(self.app, folder)
            paths.update(os.path.join(folder, name) for name in names_in(folder)
                         if is_source(name))
        return {path: state_of(path) for path in paths}

# -----------------------------------------------------------------------------
# Which files
#
def is_python(name):
    """ Whether a file has this name of a model or module """

    return name.endswith(".py")

# -----------------------------------------------------------------------------
def is_compiled(name):
    """ Whether a file has the name of a compiled model """

    return name.endswith(".pyc")

# -----------------------------------------------------------------------------
def is_configuration(name):
    """ Whether a file in private/ may be configuration """

    return not NO_CONFIGURATION.search(name)

# -----------------------------------------------------------------------------
# Reading
#
def imported_from(folders):
    """ The files in some folders (tuple) that this process has imported (set of paths) """

    # Not by getattr(): a module may do anything when it is asked for an attribute
    paths = (vars(module).get("__file__") for module in list(sys.modules.values())
             if isinstance(module, type(sys)))
    return {path for path in paths if isinstance(path, str) and path.startswith(folders)}

# -----------------------------------------------------------------------------
def files_in(folder, is_source):
    """ The files of a folder and of the folders in it (generator of paths) """

    for path, _, names in os.walk(folder):
        yield from (os.path.join(path, name) for name in names if is_source(name))

# -----------------------------------------------------------------------------
def names_in(folder):
    """ The names in a folder (list); none if it does not exist """

    try:
        return os.listdir(folder)
    except OSError:
        return []

# -----------------------------------------------------------------------------
def state_of(path):
    """ What differs if a file has changed; None if there is no file """

    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if stat.S_ISREG(found.st_mode) \
        else None

# END =========================================================================
