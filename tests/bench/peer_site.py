"""
    A database on PostgreSQL, in which a Django mail queue works (see peer.py)
"""

import contextlib
import subprocess
import tempfile
from pathlib import Path

import environment
from support.databases import SERVERS, make_database, on_server

HERE = Path(__file__).resolve().parent

# =============================================================================
class PeerSite:
    """ What takes the place of a site for the peer: a database on PostgreSQL """

    def __init__(self, uri, relay, folder, python):

        self.uri = uri
        self.relay = relay
        self.folder = folder
        self.python = python
        self.processes = []

    # -------------------------------------------------------------------------
    @classmethod
    @contextlib.contextmanager
    def made(cls, relay):
        """ One for a relay """

        python = environment.provide(environment.CLONE / (".venv-bench-" + environment.VERSION),
                                     HERE / "requirements.txt")
        uri = make_database(SERVERS["postgres"])
        with contextlib.ExitStack() as stack:
            stack.callback(on_server, SERVERS["postgres"],
                           "DROP DATABASE %s WITH (FORCE)" % uri.rpartition("/")[2])
            site = cls(uri, relay, stack.enter_context(tempfile.TemporaryDirectory()), python)
            stack.callback(site.close)
            # Makes the tables
            site.run("mailer", 1)
            yield site

    # -------------------------------------------------------------------------
    def command(self, system, number, pause_s=1):
        """ The command line of peer.py """

        return [self.python, HERE / "peer.py", system, self.uri, str(number),
                self.relay.address, "no", str(pause_s), "100"]

    # -------------------------------------------------------------------------
    def run(self, *args):
        """ Run peer.py, return what it printed """

        return subprocess.run(self.command(*args), cwd=self.folder, check=True,
                              stdout=subprocess.PIPE, encoding="utf-8").stdout

    # -------------------------------------------------------------------------
    def start(self, *args):
        """ Start peer.py, return the process """

        self.processes.append(subprocess.Popen(self.command(*args), cwd=self.folder))
        return self.processes[-1]

    # -------------------------------------------------------------------------
    def close(self):
        """ End all processes """

        for process in self.processes:
            process.kill()
            process.wait()

# END =========================================================================
