"""
    A real Sahana Eden: copies of a given one, with databases of their own
"""

import hashlib
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from support.web2py import CLONE
from support.databases import SERVERS, make_database, on_server
from support.folders import temporary_folder
from support.site import Site, eventually

# What runs it; the rest of a web2py folder is the site's own: other apps,
# routes, logs, passwords
WEB2PY = ("web2py.py", "VERSION", "gluon", "site-packages")

# What an app has from running, or from being configured: a copy must not send
# mail to people whom the given site knows, or through its mail server
RUNTIME = ("databases", "sessions", "errors", "cache", "uploads", "compiled",
           "models/000_config.py", "models/0000_update_check.py")

# Both Edens have them from the default template
ADMIN = ("admin@example.com", "testing")
NORMAL_USER = ("normaluser@example.com", "testing")

ENGINES = ("sqlite", "postgres")

# =============================================================================
class EdenSite(Site):
    """
        A copy of an Eden, stock until install() is called

        with eden.site("postgres") as site:
            site.configure(mail={"server": relay.address, "tls": False})
            site.install()
            site.serve()
            site.work()
    """

    def __init__(self, folder, python, app):
        """
            Args:
                folder: where to make it
                python: the Python that runs it
                app: the name of its app
        """

        super().__init__(folder, uri=None, app=app)
        self.python = python
        self.web2py = None # it has its own
        self.settings = {}

    # Its files ---------------------------------------------------------------
    def create(self, original, database=None):
        """
            Make the folder

            Args:
                original: the folder (Path) to copy
                database: the settings of its database (dict),
                          default: Eden's own default, SQLite
        """

        shutil.copytree(original, self.folder, symlinks=True, dirs_exist_ok=True)
        for name in ("databases", "errors", "sessions", "cache", "uploads"):
            (self.app_path / name).mkdir(exist_ok=True)
        self.logs.mkdir(exist_ok=True)
        self.configure(database=database or {})
        return self

    # -------------------------------------------------------------------------
    def configure(self, **sections):
        """
            Change the site's settings, those which an admin has in
            models/000_config.py: takes effect with the next request and the
            next task, what is not named remains

            Args:
                sections: new values (dict) by section, like
                          mail={"sender": "Shelter <shelter@example.org>"}
        """

        for section, values in sections.items():
            self.settings.setdefault(section, {}).update(values)

        sample = (self.app_path / "modules/templates/000_config.py").read_text(encoding="utf-8")
        # Below the template's, so they come last
        lines = ["settings.%s.%s = %r\n" % (section, name, value)
                 for section, values in self.settings.items()
                 for name, value in values.items()]

        # In one go: somebody may be reading it
        new = self.app_path / "models" / "000_config.new"
        new.write_text(sample.replace("FINISHED_EDITING_CONFIG_FILE = False",
                                      "FINISHED_EDITING_CONFIG_FILE = True")
                       + "".join(lines),
                       encoding = "utf-8")
        new.replace(new.with_suffix(".py"))

    # -------------------------------------------------------------------------
    def install(self, *options):
        """
            Drop MailS3 into the app, as an admin does; what the installer says
            - running processes have to be started again
        """

        return self._installer("install", *options)

    def uninstall(self):
        """ Take MailS3 out of the app again; what the installer says """

        return self._installer("uninstall")

    def _installer(self, verb, *options):

        run = subprocess.run([self.python, CLONE / "modules/mails3", verb, self.app_path, *options],
                             stdout = subprocess.PIPE,
                             stderr = subprocess.STDOUT,
                             encoding = "utf-8",
                             timeout = 60,
                             )
        if run.returncode:
            raise RuntimeError(run.stdout)
        return run.stdout

    # Its processes -----------------------------------------------------------
    def serve(self, port=0):
        """
            Start web2py's own web server, wait until it takes requests

            Args:
                port: the port (default: any)

            Returns:
                the process (Popen); the address is self.url from now on
        """

        port = port or free_port()
        server, _ = self._start("serve", str(port))
        if not eventually(lambda: takes_connections(port) or server.poll() is not None) \
           or server.returncode is not None:
            raise RuntimeError("no web server: see %s" % self.logs)
        self.url = "http://127.0.0.1:%d/%s" % (port, self.app)
        return server

    # -------------------------------------------------------------------------
    def close(self):
        """ End all processes, remove the folder and the database """

        super().close()
        shutil.rmtree(self.folder, ignore_errors=True)
        database = self.settings.pop("database", None)
        if database:
            # An ended process may still have its connection
            on_server(SERVERS["postgres"], "DROP DATABASE %s WITH (FORCE)" % database["database"])

    # -------------------------------------------------------------------------
    def _alive(self, worker):

        return self.sql("SELECT id FROM scheduler_worker"
                        " WHERE worker_name LIKE '%%#%d'" % worker.pid)

    def _command(self, verb, *args):

        if verb == "serve":
            verb, args = "web2py", ("--no_gui", "-a", "secret", "-i", "127.0.0.1", "-p", *args)
        elif verb == "work":
            verb, args = "web2py", ("-K", ":".join((self.app, *args)))
        return super()._command(verb, *args)

    def _environ(self):

        return {**super()._environ(), "PYTHONUNBUFFERED": "1"}

# =============================================================================
class Eden:
    """
        The Eden that the tests are run on: a copy of the given one, with a
        database on each engine that is made by its first run when first asked
        for. The given one remains as it is.
    """

    def __init__(self, path, python=None):
        """
            Args:
                path: path of the app, like web2py/applications/eden
                python: the Python that runs it (default: this one)

            Raises:
                ValueError: there is no stock Eden
        """

        # Not resolved: the app may be a link to a clone elsewhere
        path = Path(os.path.abspath(path))
        web2py = path.parent.parent
        if not (path / "modules/templates/000_config.py").is_file():
            raise ValueError("%s is not a Sahana Eden" % path)
        if path.parent.name != "applications" or not (web2py / "web2py.py").is_file():
            raise ValueError("%s is not in the applications of a web2py" % path)
        if (path / "modules/mails3").exists():
            raise ValueError("%s has MailS3 already, a stock Eden is needed" % path)

        self.python = python or sys.executable
        self.app = path.name
        self.temporary = temporary_folder()
        self.folder = Path(self.temporary.name).resolve()
        self.original = self.folder / "original"
        self.sites = []
        self.populated = {} # the site to copy, by engine

        self._copy(web2py, path)

    # -------------------------------------------------------------------------
    def _copy(self, web2py, path):
        """ What there was before the first run, byte code left out """

        app = self.original / "applications" / self.app
        runtime = {os.fspath(path / name) for name in RUNTIME}

        def ignore(folder, names):
            return [name for name in names
                    if name in (".git", "__pycache__") or os.path.join(folder, name) in runtime]

        # What browsers load is the greater part of it, one copy does for all
        static = self.folder / "static"
        shutil.copytree(path / "static", static)
        runtime.add(os.fspath(path / "static"))
        shutil.copytree(path, app, ignore=ignore)
        (app / "static").symlink_to(static)

        (app.parent / "__init__.py").touch()
        for name in WEB2PY:
            if (web2py / name).is_dir():
                shutil.copytree(web2py / name, self.original / name, ignore=ignore)
            elif (web2py / name).exists():
                shutil.copy2(web2py / name, self.original)

    # -------------------------------------------------------------------------
    def site(self, engine="sqlite"):
        """
            A stock site, populated: as after the first run

            Args:
                engine: of its database, one of ENGINES

            Returns:
                the EdenSite; close() it
        """

        first = self.populated.get(engine) or self._first_run(engine)
        site = self._new_site()
        if engine == "sqlite":
            site.create(first.folder)
            site.uri = first.uri
            return site

        template = first.settings["database"]["database"]
        site.create(first.folder, make_postgres("CREATE DATABASE %%s TEMPLATE %s" % template))
        site.uri = first.uri.replace(template, site.settings["database"]["database"])

        # pydal's notes of the tables are named after the URI
        before, after = (hashlib.md5(uri.encode()).hexdigest() for uri in (first.uri, site.uri))
        for path in (site.app_path / "databases").glob("%s_*.table" % before):
            path.rename(path.with_name(path.name.replace(before, after)))
        return site

    # -------------------------------------------------------------------------
    def new_site(self, engine="sqlite", **base):
        """
            A stock site, made by its own first run

            Args:
                engine: of its database, one of ENGINES
                base: what is set for it before, of settings.base

            Returns:
                the EdenSite; close() it
        """

        site = self._new_site()
        site.create(self.original,
                    make_postgres("CREATE DATABASE %s") if engine == "postgres" else None)
        site.configure(base=base)
        site.uri = site.shell("print(db._uri)", timeout=600).strip()
        return site

    # -------------------------------------------------------------------------
    def _first_run(self, engine):
        """ Have a site make its tables, and import what its template brings """

        self.populated[engine] = site = self.new_site(engine)
        return site

    # -------------------------------------------------------------------------
    def _new_site(self):

        site = EdenSite(self.folder / ("site-%d" % len(self.sites)), self.python, self.app)
        self.sites.append(site)
        return site

    # -------------------------------------------------------------------------
    def close(self):
        """ Close all sites, remove all that was made """

        for site in self.sites:
            site.close()
        self.temporary.cleanup()

# -----------------------------------------------------------------------------
def make_postgres(command):
    """
        Make a database on the PostgreSQL server

        Args:
            command: the SQL, with %s for the name

        Returns:
            what an admin of Eden sets for it (dict)
    """

    uri = urlsplit(make_database(SERVERS["postgres"], command).replace(":psycopg2:", ":"))
    return {"db_type": "postgres",
            "host": uri.hostname,
            "port": uri.port or 5432,
            "database": uri.path.strip("/"),
            "username": unquote(uri.username),
            "password": unquote(uri.password or ""),
            }

# -----------------------------------------------------------------------------
def free_port():
    """ A port that nobody listens on """

    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]

# -----------------------------------------------------------------------------
def takes_connections(port):
    """ Whether somebody listens on a port """

    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0

# END =========================================================================
