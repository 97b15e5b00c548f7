"""
    Where the tests run: gluon in this process, and the databases
"""

import atexit
import os
import shutil
import sys
import tempfile
import uuid

from datetime import timedelta
from pathlib import Path

import pytest

CLONE = Path(__file__).resolve().parent.parent

# gluon wants a folder that it may take for its own
FOLDER = tempfile.mkdtemp(prefix="mails3-")
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
os.environ["web2py_path"] = FOLDER

sys.path.insert(0, str(CLONE / "modules"))
if os.environ.get("WEB2PY_PATH"):
    sys.path.insert(0, os.environ["WEB2PY_PATH"])

from gluon import current           # noqa: E402
from gluon.cache import Cache       # noqa: E402
from gluon.dal import DAL           # noqa: E402
from gluon.globals import Request   # noqa: E402
from gluon.tools import Mail        # noqa: E402

from mails3 import MailS3 # noqa: E402
from mails3.delivery.breaker import Breaker # noqa: E402
from mails3.queue.schema import TABLES, create, define # noqa: E402

from fake_relay import FakeRelay    # noqa: E402

SERVERS = {"postgres": os.environ.get("POSTGRES_URI",
                                      "postgres:psycopg2://postgres:@127.0.0.1:5432/postgres"),
           "mysql": os.environ.get("MYSQL_URI",
                                   "mysql:pymysql://root:@127.0.0.1:3306/mysql"),
           }

# How long a connection of the tests waits for another one's lock
LOCK_WAIT_S = 3

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
def make_database(server, command="CREATE DATABASE %s"):
    """ Make a database, return its URI """

    name = "mails3_%s" % uuid.uuid4().hex[:12]
    on_server(server, command % name)
    return "%s/%s" % (server.rpartition("/")[0], name)

# -----------------------------------------------------------------------------
def on_server(server, command):
    """ Run a command outside of any transaction """

    db = DAL(server, folder=FOLDER, attempts=1)
    try:
        db.commit()
        if db._adapter.dbengine == "postgres":
            db._adapter.connection.autocommit = True
        db.executesql(command)
    finally:
        db.close()

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
def make_impatient(adapter):
    """
        Have a connection give up soon where it waits for another one's lock:
        by default MySQL waits for 50 s, PostgreSQL and a test without end
    """

    if adapter.dbengine == "mysql":
        adapter.execute("SET SESSION innodb_lock_wait_timeout = %d" % LOCK_WAIT_S)
        adapter.execute("SET SESSION lock_wait_timeout = %d" % LOCK_WAIT_S)
    elif adapter.dbengine == "postgres":
        adapter.execute("SET lock_timeout = '%ds'" % LOCK_WAIT_S)

# =============================================================================
class Office:
    """ An app's mail with its database, without the app """

    def __init__(self, uri, relay):

        self.uri = uri
        self.relay = relay
        self.given = {"fallback": "no", "reply_timeout": 2, "retry_interval": 0}

        db = self.connection()
        create(db, TABLES)
        Breaker(db, "shelter").establish()
        db.commit()
        db.close()
        self.db = self.connection()
        self.mail = self.mailer(self.db)

    # -------------------------------------------------------------------------
    def connection(self):
        """ A connection like that of another process """

        db = DAL(self.uri, folder=FOLDER, migrate_enabled=False,
                 after_connection=make_impatient)
        define(db)
        return db

    # -------------------------------------------------------------------------
    def mailer(self, db):
        """ A MailS3 like that of another process """

        host = Mail(server = self.relay.address,
                    sender = "Shelter <shelter@example.org>",
                    tls = False,
                    )
        host.settings.timeout = 2
        return MailS3(db, host.settings, given=lambda: self.given, site="shelter")

    # -------------------------------------------------------------------------
    def queue(self, *addresses, **arguments):
        """ Queue a mail to each address; the rows in msg_outbox """

        for address in addresses:
            assert self.mail.send(address, "News", "There is news.", **arguments), \
                   self.mail.error
        self.db.commit()
        rows = self.db(self.db.msg_outbox).select(orderby=~self.db.msg_outbox.id,
                                                  limitby=(0, len(addresses)))
        ids = [row.id for row in rows][::-1]
        return ids if len(ids) > 1 else ids[0]

    # -------------------------------------------------------------------------
    def drain(self, **given):
        """ A drain, as a worker runs it """

        return self._fresh(given).drain()

    def retry(self, **given):
        """ A retry pass, as a worker runs it """

        return self._fresh(given).retry()

    def _fresh(self, given):

        self.configure(**given)
        return self.mail

    # -------------------------------------------------------------------------
    def configure(self, **given):
        """ Change settings, as a new process reads them """

        self.given.update(given)
        self.mail._options = None

    # -------------------------------------------------------------------------
    def later(self, seconds):
        """ Let time pass: all that waits for its time in the database """

        self.db.commit()
        for table in ("mails3_delivery", "mails3_channel"):
            for field in self.db[table]:
                if field.type == "datetime":
                    for row in self.db(field != None).select(self.db[table].id, field):
                        earlier = row[field.name] - timedelta(seconds=seconds)
                        row.update_record(**{field.name: earlier})
        self.db.commit()

    # -------------------------------------------------------------------------
    def entry(self, number):
        """ The rows of a delivery: msg_outbox and mails3_delivery """

        self.db.commit()
        outbox, delivery = self.db.msg_outbox, self.db.mails3_delivery
        return self.db((outbox.id == number) &
                       (delivery.outbox_id == outbox.id)).select().first()

    def change_message(self, number, **values):
        """ Change what is stored of a delivery's message; the head as it was """

        table = self.db.mails3_message
        query = (table.id == self.entry(number).mails3_delivery.message_id)
        head = self.db(query).select().first().head
        self.db(query).update(**values)
        self.db.commit()
        return head

    def status(self, number):
        """ What has become of a delivery """

        return self.entry(number).msg_outbox.status

    def state(self):
        """ The relay's state """

        self.db.commit()
        return Breaker(self.db, "shelter").read()

    # -------------------------------------------------------------------------
    def close(self):

        self.db.rollback()
        self.db.close()

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

# -----------------------------------------------------------------------------
def statements(office, action):
    """ What an action sends to the database """

    # Connected, as far as it was not
    office.db.executesql("SELECT 1")
    seen = []

    class Counting:
        """ A cursor, which keeps what it is given """

        def __init__(self, cursor):
            self.cursor = cursor

        def __getattr__(self, name):
            return getattr(self.cursor, name)

        def execute(self, statement, *args):
            seen.append(statement)
            return self.cursor.execute(statement, *args)

    class Counted(type(office.db._adapter)):
        """ The adapter, with such a cursor """

        @property
        def cursor(self):
            return Counting(super().cursor)

    adapter = office.db._adapter
    kind, adapter.__class__ = type(adapter), Counted
    try:
        action()
    finally:
        adapter.__class__ = kind
    return [text for text in seen if not text.startswith(("BEGIN", "SET "))]

# END =========================================================================
