"""
    A database server for one test: the installed program, on a port and in a
    folder of its own
"""

import os
import shutil
import signal
import socket
import subprocess

from pathlib import Path

import psycopg2
import pymysql

from .site import eventually

# =============================================================================
class DatabaseServer:
    """
        A server, empty

        with Postgres(folder) as server:
            ... # server.uri is that of a database
            server.crash()
    """

    account = None         # neither of them runs as root
    making = serving = ""  # the binaries
    places = ()            # where these are, if not in the PATH
    ending = signal.SIGKILL
    environment = None     # of the process; None = that of this one

    def __init__(self, folder):
        """
            Args:
                folder: an empty one, for its data

            Raises:
                FileNotFoundError: it is not installed here
        """

        self.folder = Path(folder)
        self.making, self.serving = self.binary(self.making), self.binary(self.serving)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.user = {"user": self.account} if os.geteuid() == 0 else {}
        self.process = None

    def __enter__(self):

        if self.user:
            shutil.chown(self.folder, self.account)
        subprocess.run([self.making, *self.to_make()], check=True, cwd=self.folder,
                       stdout=subprocess.DEVNULL, **self.user)
        self.start()
        return self

    def __exit__(self, *error):

        self.stop()

    # -------------------------------------------------------------------------
    def start(self):
        """ Start it, wait until it works """

        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([self.serving, *self.to_serve()],
                                            env=self.environment,
                                            stdout=log, stderr=log, **self.user)
        eventually(lambda: self.answers() or self.process.poll() is not None, 60)
        if not self.answers():
            self.stop()
            raise RuntimeError("It does not start: %s" % (self.folder / "log").read_text())

    def stop(self):
        """ Stop it without a warning """

        if self.process:
            self.process.send_signal(self.ending)
            self.process.wait()
            self.process = None

    def crash(self):
        """ Stop it without a warning, and start it again """

        self.stop()
        self.start()

    # -------------------------------------------------------------------------
    def answers(self):
        """ Whether somebody can connect to it: not while it recovers """

        try:
            self.connect().close()
        except (psycopg2.Error, pymysql.Error):
            return False
        return True

    # -------------------------------------------------------------------------
    def binary(self, name):
        """ The path of one of its programs """

        found = [shutil.which(name)] + [str(path) for place in self.places
                                        for path in sorted(Path("/").glob(place + name))]
        found = list(filter(None, found))
        if not found:
            raise FileNotFoundError("There is no %s on this machine" % name)
        return found[-1]

# =============================================================================
class Postgres(DatabaseServer):
    """ PostgreSQL """

    account = "postgres"
    making, serving = "initdb", "postgres"
    places = ("usr/lib/postgresql/*/bin/", "usr/local/pgsql/bin/")
    # Immediate shutdown: as after a crash, but no process is left behind
    ending = signal.SIGQUIT

    @property
    def uri(self):

        return "postgres:psycopg2://postgres:@127.0.0.1:%s/postgres" % self.port

    def connect(self):

        return psycopg2.connect(host="127.0.0.1", port=self.port, user="postgres",
                                dbname="postgres")

    def to_make(self):

        return "-D", "data", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync"

    def to_serve(self):

        return ("-D", str(self.folder / "data"),
                "-p", str(self.port), "-k", str(self.folder),
                "-c", "listen_addresses=127.0.0.1")

# =============================================================================
class MariaDB(DatabaseServer):
    """ MariaDB """

    account = "mysql"
    making, serving = "mariadb-install-db", "mariadbd"
    places = ("usr/sbin/", "usr/local/mysql/bin/")

    @property
    def uri(self):

        return "mysql:pymysql://root:@127.0.0.1:%s/mysql" % self.port

    def connect(self):

        return pymysql.connect(host="127.0.0.1", port=self.port, user="root")

    def to_make(self):

        return ("--no-defaults",
                "--datadir=%s" % (self.folder / "data"),
                "--auth-root-authentication-method=normal", "--skip-test-db")

    def to_serve(self):

        return ("--no-defaults",
                "--datadir=%s" % (self.folder / "data"),
                "--socket=%s" % (self.folder / "socket"),
                "--port=%s" % self.port, "--bind-address=127.0.0.1")

# END =========================================================================
