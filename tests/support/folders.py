"""
    Folders for what exists only while the tests, the demo or a benchmark run

    A run that is killed can remove nothing: what it has left is removed by the
    next run that makes a folder. pytest does so with its own folders, which are
    for nobody else, and not for servers that run as another user.
"""

import fcntl
import os
import shutil
import tempfile
import time

from pathlib import Path

PREFIX = "mails3-run-"

# A process locks what it has made, within this time
NEW_S = 60

# -----------------------------------------------------------------------------
def temporary_folder():
    """
        Make a folder

        Returns:
            a tempfile.TemporaryDirectory: its name is the path; close it by
            cleanup(), or by "with"
    """

    remove_abandoned()
    folder = tempfile.TemporaryDirectory(prefix=PREFIX)
    lock(os.open(folder.name, os.O_RDONLY))
    return folder

# -----------------------------------------------------------------------------
def temporary_file(suffix):
    """
        Make an empty file

        Args:
            suffix: the end of its name

        Returns:
            its path (str); to be removed by the caller
    """

    remove_abandoned()
    handle, path = tempfile.mkstemp(prefix=PREFIX, suffix=suffix)
    lock(handle)
    return path

# -----------------------------------------------------------------------------
def lock(handle):
    """
        Lock a file or a folder until this process ends, however it ends

        Args:
            handle: a file descriptor, which stays open, and which the programs that
                    are started do not get

        Returns:
            False if another process has it
    """

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

# -----------------------------------------------------------------------------
def remove_abandoned():
    """ Remove what killed runs have left """

    for path in Path(tempfile.gettempdir()).glob(PREFIX + "*"):
        try:
            found = path.lstat()
            if found.st_uid != os.getuid() or time.time() - found.st_mtime < NEW_S:
                continue
            handle = os.open(path, os.O_RDONLY)
        except OSError:
            # Another run removes it at the same time
            continue
        try:
            if lock(handle):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
        finally:
            os.close(handle)

# END =========================================================================
