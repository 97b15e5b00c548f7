"""
    The Python environment that tests and demo make for themselves
"""

import fcntl
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

CLONE = Path(__file__).resolve().parent.parent
REQUIREMENTS = CLONE / "tests" / "requirements.txt"
VERSION = "%d.%d" % sys.version_info[:2]
VENV = CLONE / (".venv-" + VERSION)
PYTHON = VENV / "bin" / "python"

# The gluon of PyPI imports this module, which Python 3.12 no longer has, and
# needs this name of another
IMP = """import configparser
import importlib.util
configparser.SafeConfigParser = configparser.ConfigParser
get_magic = lambda: importlib.util.MAGIC_NUMBER
"""

# =============================================================================
def enter():
    """
        Go on in the project's own environment, make it first if need be
        - call it before importing anything that is not in the standard library
    """

    if Path(sys.prefix) == VENV:
        return
    if sys.version_info < (3, 9):
        sys.exit("Python 3.9 or newer is needed, this is " + VERSION)

    provide(VENV, REQUIREMENTS)
    os.execv(PYTHON, [str(PYTHON)] + sys.argv)

# =============================================================================
def provide(venv, requirements):
    """
        Make an environment, if it is not there

        Args:
            venv: its path
            requirements: path of what pip is to install

        Returns:
            the path of its Python
    """

    python, stamp = venv / "bin" / "python", venv / "requirements.sha256"
    with open(requirements, "rb") as wishes:
        # Another run may be making it right now
        fcntl.flock(wishes, fcntl.LOCK_EX)
        wanted = hashlib.sha256(wishes.read()).hexdigest()
        if not (python.exists() and stamp.exists()
                and stamp.read_text() == wanted):
            make(venv, requirements)
            # Last: an environment without it was interrupted and is made anew
            stamp.write_text(wanted)
    return python

# =============================================================================
def make(venv, requirements):
    """
        Make an environment, from nothing
    """

    print("Making %s, once: this takes about a minute ..." % venv.name,
          file=sys.stderr, flush=True)

    run([sys.executable, "-m", "venv", "--clear", venv],
        "Python's venv module does not work here. On Debian or Ubuntu it is "
        "in a package of its own: apt install python%s-venv" % VERSION)

    run([venv / "bin" / "python", "-m", "pip", "install", "-qq",
         "--disable-pip-version-check", "--requirement", requirements],
        "The requirements could not be installed, see above: is there a "
        "network? The next run starts over.")

    if sys.version_info >= (3, 12):
        site_packages = venv / "lib" / ("python" + VERSION) / "site-packages"
        (site_packages / "imp.py").write_text(IMP)

# =============================================================================
def run(command, trouble):
    """
        Run a command, end the program when it fails

        Args:
            command: the command and its arguments
            trouble: what to say when it fails, below the command's own words
    """

    process = subprocess.Popen(command, start_new_session=True)
    try:
        process.wait()
    finally:
        if process.returncode is None:
            # Interrupted: what it has started ends with it
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode:
        sys.exit("\n" + trouble)

# END =========================================================================
