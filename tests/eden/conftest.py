"""
    Tests on a real Eden, where there is one: EDEN_PATH (see tests/run.py)
"""

import os

import pytest

from .host import ENGINES, Eden

# -----------------------------------------------------------------------------
@pytest.fixture(scope="session", autouse=True)
def eden():
    """ The Eden to be tested with """

    path = os.environ.get("EDEN_PATH")
    if not path:
        pytest.skip("No Sahana Eden: EDEN_PATH is not set, see tests/run.py")

    eden = Eden(path, os.environ.get("EDEN_PYTHON"))
    yield eden
    eden.close()

# -----------------------------------------------------------------------------
@pytest.fixture(scope="module", params=ENGINES)
def engine(request, databases):
    """ The kind of database, each in turn """

    if request.param == "postgres":
        databases("postgres") # skips where there is no server
    return request.param

# -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def stock(eden, engine):
    """ A stock site, served """

    with eden.site(engine) as site:
        site.serve()
        yield site

# -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def site(eden, engine):
    """ A site with MailS3, served """

    with eden.site(engine) as site:
        site.install()
        site.serve()
        yield site

# END =========================================================================
