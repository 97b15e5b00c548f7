"""
    gluon in this process: import this module before gluon and mails3
"""

import atexit
import os
import shutil
import sys
import tempfile

from pathlib import Path

CLONE = Path(__file__).resolve().parents[2]

# gluon wants a folder that it may take for its own
FOLDER = tempfile.mkdtemp(prefix="mails3-")
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
os.environ["web2py_path"] = FOLDER

sys.path.insert(0, str(CLONE / "modules"))
if os.environ.get("WEB2PY_PATH"):
    sys.path.insert(0, os.environ["WEB2PY_PATH"])

# END =========================================================================
