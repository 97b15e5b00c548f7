# -*- coding: utf-8 -*-

"""
    Files with a secret: its first line. Lines that begin with # are comments.

    Others may not read such a file. Its group may: a file that belongs to root and
    to the web server's group is common practice.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import hashlib
import os
import stat
import tempfile
import time

from contextlib import contextmanager, suppress

from ..replies import ConfigurationFailure, RelayUnavailable

try:
    import fcntl
except ImportError:
    # Windows
    fcntl = None

__all__ = ("content_digest", "locked", "read_secret", "replace_secret",
           "write_secret")

MAX_BYTES = 65536

# Others may do nothing, the group may read
FORBIDDEN = stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP

# The comment by which a file that we have written is known as the successor of
# the one that a person has written
ORIGIN = "# replaces "

# How often a lock of another process is tried (seconds)
LOCK_EVERY_S = 0.05

# -----------------------------------------------------------------------------
def read_secret(path, setting):
    """
        Read the secret in a file

        Args:
            path: of the file
            setting: the name of the setting that names it, for error texts

        Returns:
            the secret (str, printable ASCII)

        Raises:
            ConfigurationFailure: it can't be read, or others can read it; the
                                  text names setting and file
    """

    def failure(what):
        return ConfigurationFailure("Setting %s: %s %s" % (setting, path, what))

    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise failure("can't be read (%s)" % (error.strerror or type(error).__name__)) from None
    if os.name == "posix" and mode & FORBIDDEN:
        raise failure("is open to other users of this machine: chmod 600 %s" % path)
    lines = [line for line in lines_of(text) if not line.startswith("#")]
    if len(lines) != 1 or len(text) > MAX_BYTES:
        raise failure("does not have the secret, and nothing else, on one line")
    secret = lines[0]
    if not (secret.isascii() and secret.isprintable()):
        raise failure("has a secret with other characters than those of ASCII")
    return secret

# -----------------------------------------------------------------------------
def lines_of(text):
    """ The lines of a file (bytes) that are not empty (list of str) """

    # Editors on Windows write a byte order mark
    return [line.strip() for line in text.decode("utf-8-sig", "replace").splitlines()
            if line.strip()]

# -----------------------------------------------------------------------------
def replace_secret(path, secret):
    """
        Put the successor of a secret into its file; see write_secret()
        - for content_digest(), the file is as before
    """

    write_secret(path, "%s\n%s%s" % (secret, ORIGIN, content_digest(path)))

# -----------------------------------------------------------------------------
def write_secret(path, text):
    """
        Write a file with a secret; nobody ever reads a part of it
        - owner, group and mode of a file that exists stay. A new one is for the
          owner of its folder: root may do this for the web server.

        Args:
            path: of the file
            text: its content, ASCII

        Raises:
            OSError: that is not possible; the file is as it was
    """

    # A link stays a link
    path = os.path.realpath(path)
    folder = os.path.dirname(path)
    like = os.stat(path if os.path.exists(path) else folder)
    mode = stat.S_IMODE(like.st_mode) if stat.S_ISREG(like.st_mode) else 0o600
    handle, new = tempfile.mkstemp(dir=folder, prefix=".mails3-")
    try:
        with open(handle, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            if os.name == "posix":
                if os.geteuid() == 0 or stat.S_ISREG(like.st_mode) and \
                   (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(file.fileno(), like.st_uid, like.st_gid)
                os.fchmod(file.fileno(), mode & ~FORBIDDEN)
            os.fsync(file.fileno())
        os.replace(new, path)
    except BaseException:
        with suppress(OSError):
            os.remove(new)
        raise

# -----------------------------------------------------------------------------
def content_digest(path):
    """
        Tell what a person has put into a file from what it was before, without
        giving it away; what replace_secret() writes makes no difference

        Args:
            path: of the file; empty = there is no file

        Returns:
            a hexadecimal text, empty if there is no file; another text if it
            can't be used
    """

    if not path:
        return ""
    try:
        secret = read_secret(path, "")
        with open(path, "rb") as file:
            lines = lines_of(file.read(MAX_BYTES))
    except (ConfigurationFailure, OSError) as failure:
        # When that is repaired, the login has changed
        return type(failure).__name__
    origins = [line[len(ORIGIN):] for line in lines if line.startswith(ORIGIN)]
    return origins[0] if origins else hashlib.sha256(secret.encode("ascii")).hexdigest()

# -----------------------------------------------------------------------------
@contextmanager
def locked(path, within_s, clock=time.monotonic, sleep=time.sleep):
    """
        Keep other processes and threads from doing the same with a file
        - the lock is on its folder, because the file itself is replaced. Where
          there can be no lock (Windows, some network file systems), nothing is
          locked.

        Args:
            path: of the file
            within_s: how long to wait for others (seconds)
            clock, sleep: tell the time, wait (seconds)

        Raises:
            RelayUnavailable: others take too long
    """

    try:
        handle = os.open(os.path.dirname(os.path.realpath(path)), os.O_RDONLY) if fcntl else None
    except OSError:
        handle = None
    try:
        until = clock() + within_s
        while handle is not None and not try_lock(handle):
            if clock() >= until:
                raise RelayUnavailable("Another process renews the token, and takes too long")
            sleep(LOCK_EVERY_S)
        yield
    finally:
        if handle is not None:
            os.close(handle)

# -----------------------------------------------------------------------------
def try_lock(handle):
    """ Lock an open file or folder; False if somebody else has locked it """

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # A file system without locks
        pass
    return True

# END =========================================================================
