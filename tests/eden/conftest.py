"""
    Fixtures of the tests on a real Eden (EDEN_PATH, see tests/run.py) and on
    the stand-in for it
"""

import os

from contextlib import contextmanager

import pytest

from gluon import current

from support.databases import SERVERS, make_database, on_server

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
@pytest.fixture(scope="session")
def stand_ins(databases, tmp_path_factory):
    """ A stand-in for an Eden on each engine, made when first asked for """

    made = {}

    def stand_in(engine):
        if engine not in made:
            uri = "sqlite://storage.sqlite"
            if engine != "sqlite":
                databases(engine) # skips where there is no server
                uri = make_database(SERVERS[engine])
            made[engine] = StandIn(tmp_path_factory.mktemp("eden"), uri)
            made[engine].create()
        return made[engine]

    yield stand_in

    for engine, eden in made.items():
        if engine != "sqlite":
            on_server(SERVERS[engine], "DROP DATABASE %s" % eden.uri.rpartition("/")[2])

# -----------------------------------------------------------------------------
@pytest.fixture(params=ENGINES + ("mysql",))
def branch(request, request_of_web2py, stand_ins, relay):
    """ The stand-in with MailS3, on each engine in turn, empty """

    with opened(stand_ins(request.param), relay) as branch:
        yield branch

@pytest.fixture
def small_branch(request_of_web2py, stand_ins, relay):
    """ The stand-in on SQLite, where the engine makes no difference """

    with opened(stand_ins("sqlite"), relay) as branch:
        yield branch

@contextmanager
def opened(eden, relay):
    """ A Branch; what it has told gluon is forgotten afterwards """

    before = dict(vars(current))
    branch = Branch(eden, relay)
    yield branch
    branch.close()
    vars(current).clear()
    vars(current).update(before)

# END =========================================================================
