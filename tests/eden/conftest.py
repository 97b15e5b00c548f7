"""
    Tests on a real Eden, where there is one: EDEN_PATH (see tests/run.py); and
    on a stand-in for it, everywhere
"""

import os

import pytest

from gluon import current

from conftest import SERVERS, make_database, on_server

from .branch import Branch
from .host import ENGINES, Eden
from .stand_in import StandIn

# -----------------------------------------------------------------------------
@pytest.fixture(scope="session")
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

# -----------------------------------------------------------------------------
@pytest.fixture(scope="module", params=ENGINES + ("mysql",))
def stand_in(request, databases, tmp_path_factory):
    """ A stand-in for an Eden on each engine in turn, empty """

    uri = "sqlite://storage.sqlite"
    if request.param != "sqlite":
        databases(request.param) # skips where there is no server
        uri = make_database(SERVERS[request.param])
    eden = StandIn(tmp_path_factory.mktemp("eden"), uri)
    eden.create()
    yield eden
    if request.param != "sqlite":
        on_server(SERVERS[request.param], "DROP DATABASE %s" % uri.rpartition("/")[2])

# -----------------------------------------------------------------------------
@pytest.fixture
def branch(request_of_web2py, stand_in, relay):
    """ The stand-in with MailS3, on each engine in turn """

    before = dict(vars(current))
    branch = Branch(stand_in, relay)
    yield branch
    branch.close()
    vars(current).clear()
    vars(current).update(before)

# END =========================================================================
