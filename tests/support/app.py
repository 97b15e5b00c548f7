"""
    An app into which MailS3 is installed, and the installer
"""

import os
import subprocess
import sys

from .web2py import CLONE

MINE = "# mine\n"

# =============================================================================
class App:
    """ An app, and the installer as a person runs it """

    def __init__(self, path):

        self.path = path

    # -------------------------------------------------------------------------
    def run(self, *words):
        """ python3 modules/mails3 ... APP; what it says, and its exit status """

        run = subprocess.run([sys.executable, str(CLONE / "modules" / "mails3"),
                              *words, str(self.path)],
                             capture_output = True,
                             encoding = "utf-8",
                             env = {**os.environ, "PYTHONPATH": os.environ.get("WEB2PY_PATH", "")},
                             )
        return run.stdout + run.stderr, run.returncode

    # -------------------------------------------------------------------------
    def command(self, *words):
        """ python3 APP/modules/mails3 ...; what it says, and its exit status """

        run = subprocess.run([sys.executable, str(self.path / "modules" / "mails3"), *words],
                             capture_output = True,
                             encoding = "utf-8",
                             env = {**os.environ, "PYTHONPATH": os.environ.get("WEB2PY_PATH", "")},
                             )
        return run.stdout + run.stderr, run.returncode

    # -------------------------------------------------------------------------
    def files(self):
        """ All files of the app with their contents, but for compiled ones """

        return {str(path.relative_to(self.path)): path.read_bytes()
                for path in sorted(self.path.rglob("*"))
                if path.is_file() and "__pycache__" not in path.parts}

    # -------------------------------------------------------------------------
    def write(self, name, text=MINE):
        """ Put a file into the app """

        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

# -----------------------------------------------------------------------------
def without_databases(files):
    """ But for what web2py itself makes when it runs """

    return {name: content for name, content in files.items()
            if not name.startswith(("databases/", "sessions/", "errors/", "cron/"))}

# END =========================================================================
