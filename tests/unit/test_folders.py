"""
    What killed runs of the tests leave (support/folders.py, support/web2py.py)
"""

import os
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from support.folders import temporary_file, temporary_folder
from support.site import TESTS

DAY_S = 24 * 3600

# What a worker of the campaigns imports
WORKER = "import support.office"

# What the tests need for a server that runs as another user
SERVER = "from support.folders import temporary_folder\nfolder = temporary_folder()"

# -----------------------------------------------------------------------------
@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """ The folder for temporary files, empty: of this process, and of those that it starts """

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path

def kill(code):
    """ Run Python code in a process, and kill the process """

    process = subprocess.Popen([sys.executable, "-c",
                                code + "\nprint(flush=True)\nimport time\ntime.sleep(60)"],
                               cwd=TESTS, stdout=subprocess.PIPE)
    with process:
        assert process.stdout.readline() == b"\n"
        process.send_signal(signal.SIGKILL)

def names(folder):
    """ What is in a folder, sorted """

    return sorted(path.name for path in folder.iterdir())

def age(path):
    """ Make a file or a folder two days old """

    os.utime(path, (time.time() - 2 * DAY_S,) * 2)

# =============================================================================
class TestKilledRuns:
    """ What is left in the folder for temporary files """

    def test_a_killed_worker_leaves_nothing(self, temporary):
        """ A worker that is killed leaves no folder """

        kill(WORKER)

        assert names(temporary) == []

    def test_a_later_run_removes_what_a_killed_run_has_left(self, temporary):
        """ A folder and a file of a run that was killed two days ago are removed """

        kill(SERVER)
        left, = temporary.iterdir()
        (left / "data").mkdir()
        (left / "data" / "log").write_text("There is news.")
        age(left)
        age(temporary_file(".pem"))

        with temporary_folder() as folder:
            assert names(temporary) == [os.path.basename(folder)]

        assert names(temporary) == []

    def test_the_folder_of_another_run_stays(self, temporary):
        """ A new folder of another run stays, and an old folder that is not ours """

        kill(SERVER)
        (temporary / "mails3-mail-servers").mkdir()
        age(temporary / "mails3-mail-servers")
        before = names(temporary)

        temporary_folder().cleanup()

        assert len(before) == 2 and names(temporary) == before

# END =========================================================================
