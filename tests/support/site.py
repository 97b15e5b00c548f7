"""
    A real web2py site: its folder, its web server, its workers

    Run as a script, it is what those processes run:

        python site.py serve|work|shell APP [PORT]     in the site's folder
        python site.py web2py APP ARGUMENTS            web2py.py of that folder
        python site.py mails3 APP ARGUMENTS            python3 APP/modules/mails3 ARGUMENTS
"""

import configparser
import contextlib
import os
import pickle
import runpy
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]

# web2py-gluon does not start without it, web2py 3 has its own
VERSION = "Version 2.26.1-stable+timestamp.2023.05.01.00.00.00"

FOLDERS = ("models", "controllers", "views", "modules", "databases",
           "sessions", "errors", "cache", "languages", "private", "static",
           "uploads", "cron")

# =============================================================================
class Site:
    """
        A site of its own, with one app, on PyPI's web2py-gluon or a checkout

        with Site(folder).create() as site:
            site.configure(smtp={"server": "127.0.0.1:2525"})
            site.serve()
            site.work()
            ... # site.url is the app's
    """

    def __init__(self, folder, uri="sqlite://storage.sqlite", app="shelter", web2py=None):
        """
            Args:
                folder: where to make it
                uri: its database (pydal URI), an empty one
                app: the name of its app
                web2py: the checkout of web2py (default: WEB2PY_PATH if set,
                        else the gluon that this Python has)
        """

        self.folder = Path(folder).resolve()
        self.uri = uri
        self.app = app
        self.python = sys.executable
        self.web2py = web2py or os.environ.get("WEB2PY_PATH")
        if self.web2py:
            self.web2py = os.path.abspath(self.web2py)

        self.app_path = self.folder / "applications" / app
        # *.out and *.err of each process, shell.log of those of shell()
        self.logs = self.folder / "logs"
        self.url = None
        self.processes = []

    def __enter__(self):

        return self

    def __exit__(self, *error):

        self.close()

    # Its files --------------------------------------------------------------
    def create(self, original=TESTS / "app"):
        """
            Make the folder, with a copy of an app in it

            Args:
                original: its folder; by default that of the demo
        """

        if self.web2py and not Path(self.web2py, "gluon").is_dir():
            raise ValueError("not a checkout of web2py: %s" % self.web2py)

        for name in FOLDERS:
            (self.app_path / name).mkdir(parents=True)
        shutil.copytree(original, self.app_path, dirs_exist_ok=True)
        for package in (self.app_path.parent, self.app_path, self.app_path / "modules"):
            (package / "__init__.py").touch()

        self.logs.mkdir()
        (self.folder / "VERSION").write_text(VERSION)
        self.configure(db={"uri": self.uri})
        return self

    def configure(self, **sections):
        """
            Change the app's configuration: takes effect with the next request
            and the next task, what is not named remains

            Args:
                sections: new values (dict) by section, see app/private/appconfig.ini;
                          None empties a setting
        """

        path = self.app_path / "private" / "appconfig.ini"
        config = configparser.ConfigParser(interpolation=None)
        config.read(path, encoding="utf-8")
        for section, values in sections.items():
            for name, value in values.items():
                config.set(section, name, "" if value is None else
                           str(value).lower() if isinstance(value, bool) else str(value))

        # In one go: somebody may be reading it
        new = path.with_suffix(".new")
        with open(new, "w", encoding="utf-8") as f:
            config.write(f)
        new.replace(path)

    def tickets(self):
        """
            The tracebacks of the errors that visitors met
        """

        paths = sorted((self.app_path / "errors").iterdir())
        return [pickle.loads(path.read_bytes())["traceback"] for path in paths]

    # Its processes ----------------------------------------------------------
    def serve(self, port=0, local=False):
        """
            Start the web server, wait until it takes requests

            Args:
                port: the port (default: any)
                local: visitors count as sitting before this machine, as they
                       do; else as if they came over the network

            Returns:
                the process (Popen); the address is self.url from now on
        """

        server, self.url = self._start("serve", str(port), "local" if local else "")
        return server

    def work(self, *groups):
        """
            Start a scheduler worker, wait for its first heartbeat

            Args:
                groups: whose tasks it runs (default: those that the app says)

            Returns:
                the process (Popen), leader of a process group
        """

        worker, _ = self._start("work", *groups)
        if not eventually(lambda: self._alive(worker)):
            raise RuntimeError("no heartbeat: see %s" % self.logs)
        return worker

    def work_alone(self, *options):
        """
            Start a worker of our own (the verb work), where MailS3 is installed;
            its processes may still be running the models then

            Args:
                options: of the command line

            Returns:
                the process (Popen) of its supervisor
        """

        worker, _ = self._start("mails3", "work", *options)
        return worker

    def _alive(self, worker):
        """ Whether a worker has given its first heartbeat """

        query = "db.scheduler_worker.worker_name.endswith('#%d')" % worker.pid
        return self.shell("print(db(%s).count())" % query) == "1\n"

    def stop(self, process, grace=5):
        """
            End a process with all of its children

            Args:
                process: what serve() or work() returned
                grace: how long it may take to end by itself (seconds),
                       0 = as if the power went off
        """

        gone = contextlib.suppress(ProcessLookupError, PermissionError)
        with gone:
            # More than once: to a worker that runs a task the first one means
            # the end of that task only
            for _ in range(4 * grace):
                os.killpg(process.pid, signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.25)
                    break
        with gone:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdin.close()
        self.processes.remove(process)

    def close(self):
        """
            End all processes
        """

        for process in list(self.processes):
            self.stop(process)

    def _start(self, verb, *args):
        """
            Start a process, wait for the first line that it prints

            Returns:
                the process (Popen), the line
        """

        number = len(list(self.logs.glob(verb + "-*.out"))) + 1
        out, err = (self.logs / ("%s-%d.%s" % (verb, number, kind))
                    for kind in ("out", "err"))
        with open(out, "wb") as stdout, open(err, "wb") as stderr:
            process = subprocess.Popen(self._command(verb, *args),
                                       cwd = self.folder,
                                       env = self._environ(),
                                       stdin = subprocess.PIPE, # see end_with_parent
                                       stdout = stdout,
                                       stderr = stderr,
                                       start_new_session = True,
                                       )
        self.processes.append(process)

        started = eventually(lambda: out.read_text().endswith("\n") or process.poll() is not None)
        if not started or process.returncode is not None:
            self.stop(process)
            raise RuntimeError("%s does not start: %s" % (verb, err.read_text()))
        return process, out.read_text().strip()

    # Its database -----------------------------------------------------------
    def sql(self, command):
        """
            Run a command in the database, and commit
            - at once, where shell() takes a second to start, and more to load Eden

            Returns:
                the rows, if it is a query (list of tuples)
        """

        from gluon.dal import DAL

        folder = self.app_path / "databases"
        db = DAL(self.uri.replace("://storage", "://%s/storage" % folder),
                 folder = str(folder),
                 migrate_enabled = False,
                 # Workers may be busy for long on a slow machine
                 driver_args = {"timeout": 60} if self.uri.startswith("sqlite") else {},
                 attempts = 1,
                 )
        try:
            rows = db.executesql(command)
            db.commit()
        finally:
            db.close()
        return rows

    # Its models -------------------------------------------------------------
    def shell(self, code, timeout=60):
        """
            Run Python code after the app's models, in a process of its own,
            and commit

            Returns:
                what it printed
        """

        run = subprocess.run(self._command("shell"),
                             cwd = self.folder,
                             env = self._environ(),
                             input = code,
                             capture_output = True,
                             encoding = "utf-8",
                             timeout = timeout,
                             )
        with open(self.logs / "shell.log", "a", encoding="utf-8") as log:
            log.write(run.stderr)
        if run.returncode:
            raise RuntimeError(run.stdout + run.stderr)
        return run.stdout

    @contextlib.contextmanager
    def background(self, code):
        """ Run Python code after the app's models in a process of its own, until the block ends """

        process = subprocess.Popen(self._command("shell"), cwd=self.folder, env=self._environ(),
                                   stdin=subprocess.PIPE, encoding="utf-8")
        process.stdin.write(code)
        process.stdin.close()
        try:
            yield
        finally:
            process.kill()
            process.wait()

    def environment(self, controller="default", function="index"):
        """
            Run the app's models in this very process
            - for one site per process: its modules stay imported
            - commit or roll back when done, others may be waiting

            Returns:
                the names the models have defined (dict): db, auth, mail, ...
        """

        os.environ.update(self._environ())
        sys.pycache_prefix = os.environ.get("PYTHONPYCACHEPREFIX")
        for path in (self.web2py, str(self.folder)):
            if path and path not in sys.path:
                sys.path.insert(0, path)

        # gluon may have been imported for another folder
        from gluon.settings import global_settings
        global_settings.gluon_parent = str(self.folder)
        global_settings.applications_parent = str(self.folder)

        return models(self.app, controller, function, folder=str(self.app_path))

    def _command(self, verb, *args):

        return [self.python, __file__, verb, self.app, *args]

    def _environ(self):

        environ = {**os.environ,
                   "web2py_path": str(self.folder),
                   "PYTHONIOENCODING": "utf-8",
                   }
        if self.web2py:
            environ["PYTHONPATH"] = self.web2py
            # Leaves the checkout as it is
            environ["PYTHONPYCACHEPREFIX"] = os.path.join(sys.prefix, "pycache")
        return environ

# =============================================================================
def eventually(condition, seconds=30):
    """
        Wait for a condition (function) to become true

        Returns:
            its last value
    """

    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(0.05)

# =============================================================================
# What runs in the processes
#
def models(app, controller="default", function="index", folder="", **request):
    """
        Run an app's models as web2py does for a task

        Returns:
            the names that they have defined (dict)
    """

    import gluon.main # noqa: F401 (sets up logging, loads the routes)
    from gluon.shell import env

    return env(app,
               import_models = True,
               c = controller,
               f = function,
               dir = folder,
               extra_request = request,
               )

def serve(app, port, local=""):
    """ A web server, with a thread per request """

    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIServer, make_server

    from gluon.main import wsgibase

    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True
        request_queue_size = 100

    def application(environ, start_response):
        if not local:
            environ["REMOTE_ADDR"] = "192.0.2.1" # RFC 5737: nobody's
        return wsgibase(environ, start_response)

    server = make_server("127.0.0.1", int(port), application, Server)
    print("http://127.0.0.1:%d/%s" % (server.server_port, app), flush=True)
    server.serve_forever()

def work(app, *groups):
    """ A scheduler worker, like web2py.py -K app:group:group """

    from gluon.globals import current

    models(app, is_scheduler=True)
    if groups:
        current._scheduler.group_names = list(groups)
    print("working", flush=True)
    current._scheduler.loop()

def web2py(app, *args):
    """ What web2py's own program does with these arguments """

    sys.argv = ["web2py.py", *args]
    runpy.run_path("web2py.py", run_name="__main__")

def mails3(app, *args):
    """ What the command line of MailS3 does with these arguments """

    path = os.path.join("applications", app, "modules", "mails3")
    sys.argv = [path, *args]
    runpy.run_path(path, run_name="__main__")

def shell(app):
    """ The code on stdin """

    names = models(app)
    exec(compile(sys.stdin.read(), "<shell>", "exec"), names)
    names["db"].commit()

def end_with_parent():
    """
        End this process group when the parent ends, even by kill -9: this
        closes the pipe that is our stdin
    """

    def watch():
        os.read(0, 1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()

if __name__ == "__main__":
    verb, *args = sys.argv[1:]
    # The app's imports must not find the files that lie beside this one
    sys.path[0] = os.getcwd()
    if verb != "shell":
        end_with_parent()
    {"serve": serve, "work": work, "web2py": web2py, "mails3": mails3,
     "shell": shell}[verb](*args)

# END =========================================================================
