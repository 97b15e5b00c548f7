"""
    Folders for what exists only while the tests, the demo or a benchmark run

    A run that is killed can remove nothing: what it has left is removed by a
    later run. pytest does so with its own folders, which are for nobody else,
    and not for servers that run as another user.
"""

import os
import shutil
import tempfile
import time

from pathlib import Path

PREFIX = "mails3-test-"

# No run lasts that long
OLD_S = 24 * 3600

# -----------------------------------------------------------------------------
def temporary_folder():
    """
        Make a folder

        Returns:
            a tempfile.TemporaryDirectory: its name is the path; close it by
            cleanup(), or by "with"
    """

    remove_old()
    return tempfile.TemporaryDirectory(prefix=PREFIX)

# -----------------------------------------------------------------------------
def temporary_file(suffix):
    """
        Make an empty file

        Args:
            suffix: the end of its name

        Returns:
            its path (str); to be removed by the caller
    """

    remove_old()
    handle, path = tempfile.mkstemp(prefix=PREFIX, suffix=suffix)
    os.close(handle)
    return path

# -----------------------------------------------------------------------------
def remove_old():
    """ Remove what killed runs have left """

    for path in Path(tempfile.gettempdir()).glob(PREFIX + "*"):
        try:
            found = path.lstat()
            if found.st_uid != os.getuid() or time.time() - found.st_mtime < OLD_S:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
        except FileNotFoundError:
            # Another run removes it at the same time
            pass

# END =========================================================================
