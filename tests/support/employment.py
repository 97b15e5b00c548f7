"""
    A worker process of our own (the verb work), in the process of the test
"""

import socket

from mails3.delivery.channel import Channel
from mails3.queue.workers import Workers
from mails3.service.seat import OTHERS_WAIT, REPLACE_ME, SupervisorLink
from mails3.service.source_files import SourceFiles
from mails3.service.worker_process import WorkerProcess
from mails3.states import EMAIL

from .clock import SleeplessClock

# =============================================================================
class Employer:
    """
        The supervisor of a worker process, and what the process works with

        employer = Employer(office, tmp_path)
        employer.process.turn()
    """

    def __init__(self, office, app, transports=None, channel_names=(EMAIL,), **options):
        """
            Args:
                office: the Office
                app: path of the app, whose files are watched
                transports: function that makes the transport of a channel of a
                            MailS3; None = the channel's own
                channel_names: of all its channels
                options: of the WorkerProcess
        """

        self.office = office
        self.mail = office.mail
        self.mail.channel_names = channel_names
        self.repairs = 0
        self.mail.self_repair = self._repair
        if transports:
            self.mail.channel = lambda name=EMAIL: StaffedChannel(self.mail, name, transports)
        self.clock = SleeplessClock()
        self.socket, theirs = socket.socketpair()
        self.socket.setblocking(False)
        self.heard = b""
        self.link = LinkWithEnd(theirs.detach())
        self.process = WorkerProcess(self.mail, SourceFiles(app), self.link,
                                     clock=self.clock, sleep=self.clock.sleep, **options)
        self.process.duties.begin()
        # Begins to listen as well
        self.process._listen()

    # -------------------------------------------------------------------------
    def _repair(self):
        """ In place of the host's """

        self.repairs += 1
        return True

    # -------------------------------------------------------------------------
    def turn(self, after_s=0):
        """ Let the process do what is to be done, after some time by its clock """

        self.clock.sleep(after_s)
        self.process.turn()

    # -------------------------------------------------------------------------
    def run_until(self, condition):
        """ Let the process run as it does alone, until a condition (function) is true """

        self.link.condition, self.process.is_stopped = condition, False
        try:
            self.process.run()
        finally:
            self.link.condition = None

    # -------------------------------------------------------------------------
    def is_asked_for_successor(self):
        """ Whether the process has asked its supervisor to be replaced, once """

        return self._hears(REPLACE_ME)

    def is_asked_for_others(self):
        """ Whether the process has asked for another one, for other channels, once """

        return self._hears(OTHERS_WAIT)

    def _hears(self, what):

        try:
            self.heard += self.socket.recv(100)
        except BlockingIOError:
            pass
        is_heard = what in self.heard
        self.heard = self.heard.replace(what, b"")
        return is_heard

    # -------------------------------------------------------------------------
    def leave(self):
        """ The supervisor ends without a word """

        self.socket.close()

    # -------------------------------------------------------------------------
    def rows(self):
        """ The rows of all workers (Rows) """

        self.office.db.commit()
        return Workers(self.office.db, self.mail.site).rows()

    # -------------------------------------------------------------------------
    def close(self):
        """ The process ends, not well """

        self.process.listener.close()
        self.socket.close()
        self.link.socket.close()

# =============================================================================
class LinkWithEnd(SupervisorLink):
    """ A supervisor that ends when a condition is true """

    condition = None

    # -------------------------------------------------------------------------
    def is_gone(self):

        return bool(self.condition and self.condition()) or super().is_gone()

# =============================================================================
class StaffedChannel(Channel):
    """ A Channel with a transport of the test's own """

    def __init__(self, mail, name, transports):

        super().__init__(mail, name)
        self.transports = transports
        self.row.ensure()

    # -------------------------------------------------------------------------
    def transport(self, relay_settings=None):

        return self.transports(self.mail, self.name)

# END =========================================================================
