"""
    PgBouncer in transaction mode: each transaction may get another connection of the
    PostgreSQL server, and what is sent to a client outside of one is lost
"""

import os

from pathlib import Path
from urllib.parse import urlsplit

import psycopg2

from .database_server import DatabaseServer

# Where it is unpacked, if it is not installed: see tests/run.py
UNPACKED = Path(os.environ.get("MAIL_SERVERS_PATH", "/nowhere")) / "pgbouncer"

CONFIGURATION = """
[databases]
%(database)s = %(server)s

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %(own_port)s
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
ignore_startup_parameters = extra_float_digits
"""

# =============================================================================
class PgBouncer(DatabaseServer):
    """
        A pool of two connections to a database of a PostgreSQL server

        with PgBouncer(folder, uri) as pool:
            ... # pool.uri is that of the database
    """

    account = "postgres"
    making, serving = "true", "pgbouncer"
    places = ("usr/sbin/", "%s/usr/sbin/" % str(UNPACKED).lstrip("/"))

    def __init__(self, folder, uri):
        """
            Args:
                folder: an empty one, that its user may enter
                uri: of the database (pydal URI)

            Raises:
                FileNotFoundError: it is neither installed nor unpacked here
        """

        super().__init__(folder)
        self.environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(
            str(path.parent) for path in UNPACKED.glob("usr/lib/**/libcares.so.2"))}
        parts = urlsplit(uri.replace(":psycopg2:", ":"))
        self.database = parts.path.strip("/")
        server = [("host", parts.hostname), ("port", parts.port or 5432),
                  ("user", parts.username), ("password", parts.password)]
        (self.folder / "ini").write_text(CONFIGURATION % {
            "database": self.database, "own_port": self.port,
            "server": " ".join("%s=%s" % each for each in server if each[1])})

    # -------------------------------------------------------------------------
    @property
    def uri(self):

        return "postgres:psycopg2://anybody:@127.0.0.1:%s/%s" % (self.port, self.database)

    # -------------------------------------------------------------------------
    def connect(self):

        return psycopg2.connect(host="127.0.0.1", port=self.port, user="anybody",
                                dbname=self.database)

    # -------------------------------------------------------------------------
    def to_make(self):

        return ()

    def to_serve(self):

        return (str(self.folder / "ini"),)

# END =========================================================================
