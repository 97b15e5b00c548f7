"""
    Fixtures of all tests: a request of web2py, a relay, databases and an app's mail
"""

import os

import pytest

from support.web2py import FOLDER
from support.databases import SERVERS, make_database, on_server
from support.fake_relay import FakeRelay
from support.office import Office

from gluon import current
from gluon.cache import Cache
from gluon.dal import DAL
from gluon.globals import Request

from mails3.queue.schema import TABLES

# -----------------------------------------------------------------------------
def pytest_collection_modifyitems(items):
    """ Tests on the real Eden, which is made once, stay together (--dist loadgroup) """

    for item in items:
        if "eden" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("eden"))

# -----------------------------------------------------------------------------
@pytest.fixture(autouse=True)
def request_of_web2py():
    """ What gluon has for each request """

    current.request = request = Request({})
    request.application = "shelter"
    request.folder = FOLDER
    current.cache = Cache(request)
    current.cache.ram.clear()
    yield

# -----------------------------------------------------------------------------
@pytest.fixture(scope="session")
def databases():
    """ An empty database on each server, made when first asked for """

    made = {}

    def uri(engine):
        if engine not in made:
            server = SERVERS[engine]
            try:
                made[engine] = make_database(server)
            except Exception as error:
                told = "No %s server at %s: %s" % \
                       (engine, server.rpartition("@")[2], type(error).__name__)
                if os.environ.get("MAILS3_REQUIRE_DATABASES") == "1":
                    pytest.fail(told)
                pytest.skip(told)
        return made[engine]

    yield uri

    for engine, made_uri in made.items():
        on_server(SERVERS[engine], "DROP DATABASE %s" % made_uri.rpartition("/")[2])

# -----------------------------------------------------------------------------
@pytest.fixture(params=["sqlite", "postgres", "mysql"])
def uri(request, databases, tmp_path):
    """ The URI of an empty database, of each engine in turn """

    if request.param == "sqlite":
        yield "sqlite://%s" % (tmp_path / "storage.sqlite")
        return

    yield databases(request.param)

    db = DAL(databases(request.param), folder=FOLDER)
    for name in TABLES:
        db.executesql("DROP TABLE IF EXISTS %s" % name)
    db.commit()
    db.close()

# -----------------------------------------------------------------------------
@pytest.fixture
def relay():
    """ A relay that can be told what to answer """

    with FakeRelay() as relay:
        yield relay

# -----------------------------------------------------------------------------
@pytest.fixture
def office(uri, relay):
    """ An app's mail, on each engine in turn """

    office = Office(uri, relay)
    yield office
    office.close()

# -----------------------------------------------------------------------------
@pytest.fixture
def small_office(tmp_path, relay):
    """ An app's mail on SQLite, where the engine makes no difference """

    office = Office("sqlite://%s" % (tmp_path / "storage.sqlite"), relay)
    yield office
    office.close()

# END =========================================================================
