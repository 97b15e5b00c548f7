"""
    The examples in developing.md: the Python code of each section runs, as it
    stands there
"""

import datetime
import os
import re
import threading

import pytest

from support.web2py import CLONE

from gluon import current
from gluon.html import URL
from gluon.languages import TranslatorFactory

DOCUMENT = CLONE / "private" / "docs" / "developing.md"

# What the examples read, below the folder of the app
FILES = ("views/layout.html", "private/report.pdf", "private/photo.jpg")

# -----------------------------------------------------------------------------
def sections():
    """ The Python code of the document: all blocks under one heading are one example """

    found, heading = {}, None
    for title, code in re.findall(r"(?ms)^#+ ([^\n]+)$|^```python\n(.*?)^```$",
                                  DOCUMENT.read_text(encoding="utf-8")):
        heading = title or heading
        found[heading] = found.get(heading, "") + code
    return [pytest.param(code, id=heading) for heading, code in found.items() if code]

# -----------------------------------------------------------------------------
@pytest.fixture
def names(small_office, tmp_path):
    """ The names that a model or controller has """

    request = current.request
    request.folder, request.function = str(tmp_path), "index"
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("<html>A page</html>")
    languages = tmp_path / "languages"
    languages.mkdir()
    return {"mail": small_office.mail, "db": small_office.db, "request": request,
            "T": TranslatorFactory(str(languages), "en"), "URL": URL, "KEY": "secret",
            "datetime": datetime, "os": os, "threading": threading,
            }

# =============================================================================
class TestExamples:
    """ A developer may copy each example """

    @pytest.mark.parametrize("code", sections())
    def test_an_example_runs(self, code, names, small_office):
        """ The code of a section runs in an app, and each of its mails is taken """

        exec(compile(code, DOCUMENT.name, "exec"), names)

        assert small_office.mail.error is None

# END =========================================================================
