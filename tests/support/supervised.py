"""
    A supervisor in a process of its own, whose worker processes only note what
    happens to them
"""

import os
import signal
import subprocess
import sys

from .site import eventually
from .terminal import Terminal
from .web2py import CLONE

# The package without its __init__.py, which needs web2py; last, as it has a
# folder queue
PATH = "import sys; sys.path.append(%r)\n" % str(CLONE / "modules" / "mails3")

SUPERVISOR = PATH + """
import os, signal, service.seat as seat, service.supervisor as supervisor

class SignalledSeat(seat.Seat):

    def _start(self):
        # It comes at the worst moment: the process is not known yet
        os.kill(os.getpid(), signal.SIGTERM)
        super()._start()

if "signalled" in sys.argv:
    supervisor.Seat = SignalledSeat
if "patient" in sys.argv:
    seat.MIN_PAUSE_S = seat.MAX_PAUSE_S = 10 ** 6
sys.exit(supervisor.Supervisor(sys.argv[1], sys.argv[2], int(sys.argv[3])).run())
"""

# What a worker process is here: files in its folder tell it what to do
WORKER = PATH + """
import os, signal, time
from service.seat import SupervisorLink

os.chdir(os.path.dirname(os.path.abspath(__file__)))
number, link = sys.argv[3], SupervisorLink(int(sys.argv[-1]))
here = os.path.exists

def note(what):
    with open("log", "a") as log:
        log.write("%s %s %d\\n" % (what, number, os.getpid()))

def stop(*_):
    note("stopping")
    while here("busy"):
        time.sleep(0.01)
    note("ended")
    sys.exit()

note("started")
while here("loading") and not link.is_gone():
    time.sleep(0.01)
if here("broken"):
    note("failed")
    sys.exit(1)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, lambda *_: note("interrupted"))
note("ready")
link.say_ready()
while not link.is_gone():
    time.sleep(0.01)
    if here("old"):
        os.remove("old")
        link.ask_for_replacement()
    if here("others") and "--others" not in sys.argv:
        link.ask_for_others()
        note("asked")
        time.sleep(0.1)
note("orphan")
"""

# =============================================================================
class Supervised:
    """
        An app, its supervisor, and its worker processes

        with Supervised(tmp_path) as supervised:
            supervised.start()
            supervised.wait_for("ready 0")
    """

    def __init__(self, folder):
        """
            Args:
                folder: where to make the app (Path)
        """

        self.app = folder / "shelter"
        self.program = self.app / "modules" / "mails3"
        self.program.mkdir(parents=True)
        (self.app / "models").mkdir()
        (self.program / "__main__.py").write_text(WORKER)
        self.process = None
        self.terminal = None # the Terminal of the supervisor

    def __enter__(self):

        return self

    def __exit__(self, *error):

        self.kill()
        for process_id in self.process_ids("started"):
            if is_running(process_id):
                os.kill(process_id, signal.SIGKILL)
        if self.terminal:
            self.terminal.close()
        elif self.process:
            self.process.stdout.close()

    # -------------------------------------------------------------------------
    def start(self, count=1, *options):
        """
            Start the supervisor of so many processes

            Args:
                count: of the processes
                options: "signalled": it gets SIGTERM when it starts one of them;
                         "patient": nothing that has failed is tried again by itself
        """

        self.process = subprocess.Popen(self._command(count, options), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        start_new_session=True)

    # -------------------------------------------------------------------------
    def start_in_terminal(self):
        """ Start it as a person does, in a terminal """

        self.terminal = Terminal()
        self.process = self.terminal.run(self._command(1, ()))

    # -------------------------------------------------------------------------
    def _command(self, count, options):

        return [sys.executable, "-c", SUPERVISOR, str(self.app), str(self.program), str(count),
                *options]

    # -------------------------------------------------------------------------
    def kill(self):
        """ End the supervisor without a warning """

        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    # -------------------------------------------------------------------------
    def end(self, number=signal.SIGTERM):
        """ Send the supervisor a signal, and wait for its end; its exit status """

        self.process.send_signal(number)
        return self.process.wait(30)

    # -------------------------------------------------------------------------
    def tell(self, *words):
        """ Tell all worker processes: loading, broken, busy, old, others """

        for word in words:
            (self.program / word).touch()

    def no_longer(self, word):
        """ Tell them the contrary """

        (self.program / word).unlink()

    # -------------------------------------------------------------------------
    @property
    def log(self):
        """ What has happened: list of "what number", in its order """

        return [line.rpartition(" ")[0] for line in self._lines()]

    def process_ids(self, what):
        """ To which processes something has happened """

        return [int(line.split()[2]) for line in self._lines() if line.split()[0] == what]

    def _lines(self):

        path = self.program / "log"
        return path.read_text().splitlines() if path.exists() else []

    # -------------------------------------------------------------------------
    def wait_for(self, what, times=1):
        """ Wait until something has happened to a process so many times """

        assert eventually(lambda: self.log.count(what) >= times), self.log

# -----------------------------------------------------------------------------
def is_running(process_id):
    """ Whether a process has not ended; a child of this process is waited for """

    try:
        os.waitpid(process_id, os.WNOHANG)
    except ChildProcessError:
        pass
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    # Nobody waits for a process whose parent was killed, in some containers
    with open("/proc/%d/stat" % process_id) as stat:
        return stat.read().rpartition(")")[2].split()[0] != "Z"

# END =========================================================================
