"""
    What killed runs of the tests leave (support/folders.py, support/web2py.py)
"""

import os
import subprocess
import sys
import tempfile
import time

from contextlib import contextmanager
from pathlib import Path

import pytest

from support.folders import temporary_folder
from support.site import TESTS

# What a worker of the campaigns imports
WORKER = "import support.office"

# What the tests need for a server that runs as another user
SERVER = "from support.folders import temporary_file, temporary_folder\n" \
         "folder, certificate = temporary_folder(), temporary_file('.pem')"

# -----------------------------------------------------------------------------
@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """ The folder for temporary files, empty: of this process, and of those that it starts """

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path

@contextmanager
def running(code):
    """ Run Python code in a process that is killed in the end """

    process = subprocess.Popen([sys.executable, "-c",
                                code + "\nprint(flush=True)\nimport time\ntime.sleep(60)"],
                               cwd=TESTS, stdout=subprocess.PIPE)
    with process:
        try:
            assert process.stdout.readline() == b"\n"
            yield
        finally:
            process.kill()

def names(folder):
    """ What is in a folder, sorted """

    return sorted(path.name for path in folder.iterdir())

def age(folder):
    """ Make all that is in a folder an hour old """

    for path in folder.iterdir():
        os.utime(path, (time.time() - 3600,) * 2)

# =============================================================================
class TestKilledRuns:
    """ What is left in the folder for temporary files """

    def test_a_killed_worker_leaves_nothing(self, temporary):
        """ A worker that is killed leaves no folder """

        with running(WORKER):
            pass

        assert names(temporary) == []

    def test_a_later_run_removes_what_a_killed_run_has_left(self, temporary):
        """ A folder and a file of a run that was killed are removed by the next run """

        with running(SERVER):
            left, = filter(Path.is_dir, temporary.iterdir())
            (left / "data").mkdir()
            (left / "data" / "log").write_text("There is news.")
        assert len(names(temporary)) == 2
        age(temporary)

        with temporary_folder() as folder:
            assert names(temporary) == [os.path.basename(folder)]

        assert names(temporary) == []

    def test_the_folder_of_another_run_stays(self, temporary):
        """ The folder of a run that goes on stays, a new one, and one that is not ours """

        with running(SERVER):
            (temporary / "mails3-mail-servers").mkdir()
            age(temporary)
            # As another run has just made it, and not locked it yet
            (temporary / "mails3-run-new").mkdir()
            before = names(temporary)

            temporary_folder().cleanup()

            assert len(before) == 4 and names(temporary) == before

# END =========================================================================
