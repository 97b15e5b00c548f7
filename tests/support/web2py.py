"""
    gluon in this process: import this module before gluon and mails3
"""

import os
import sys

from pathlib import Path

CLONE = Path(__file__).resolve().parents[2]

# gluon wants a folder that it may take for its own. Nothing is ever written into
# it: all processes have the same one, and one that is killed leaves none behind.
FOLDER = os.path.join(sys.prefix, "web2py")
os.makedirs(FOLDER, exist_ok=True)
os.environ["web2py_path"] = FOLDER

sys.path.insert(0, str(CLONE / "modules"))
if os.environ.get("WEB2PY_PATH"):
    sys.path.insert(0, os.environ["WEB2PY_PATH"])

# END =========================================================================
