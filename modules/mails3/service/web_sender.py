# -*- coding: utf-8 -*-

"""
    Where no worker is at work, the web server's process sends what a request
    has queued: in a thread, after the request, so that the visitor does not wait

    - The thread begins when web2py has committed the request: what is undone is
      not there. From then on, nobody else uses the DAL of this request.
    - One thread for each site and process: it ends when there was nothing to do
      for some seconds, and with its process. What it has claimed then goes out
      like that of any worker that is lost.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import logging
import os
import re
import sys
import threading
import time

from contextlib import ExitStack

from ..admin.alerts import Alerts
from ..delivery.configuration import is_native
from ..queue.database import after_request, is_in_memory, own_connection
from ..queue.workers import WEB, WorkerRow, Workers
from ..states import brief

__all__ = ("WebRequest", "can_run_threads")

log = logging.getLogger("web2py.mails3")

# How long the thread waits for the next request before it ends; how long it
# leaves the processor to the response of a request (seconds)
LINGER_S = 10
RESPONSE_S = 0.03

# For how long the work for a request is taken up again (seconds)
MAX_TIME_S = 600

# The pauses before a run that has failed is made again; the wait for another
# writer on SQLite (seconds)
MIN_PAUSE_S, MAX_PAUSE_S = 1, 60
LOCK_WAIT_S = 5

# uWSGI lets threads go on between two requests since this version; older ones
# with one of these options
THREADS_SINCE = (2, 0, 27)
THREAD_OPTIONS = ("enable-threads", "threads")
OFF = (b"false", b"off", b"no", b"0")

# Guards the start of a thread; held for a moment. A process that was forked at
# this moment would wait for ever (seconds).
STARTING = threading.Lock()
STARTING_TIMEOUT_S = 1

# =============================================================================
class WebRequest:
    """ One request of a visitor """

    def __init__(self, mail, keep_globals):
        """
            Args:
                mail: the MailS3 of the request
                keep_globals: function that is called at the end of the request,
                              with the MailS3 that sends; returns a function that
                              returns a context manager: it gives the globals of
                              the request to a thread
        """

        self.mail = mail
        self.keep_globals = keep_globals
        self.sending_mail = None # the MailS3 that sends
        self.channels = []       # names, of those in which mail is to be sent

    # -------------------------------------------------------------------------
    def send_later(self, channel):
        """
            Send, after the request, what it has queued in a channel

            Args:
                channel: its name

            Returns:
                whether this will be done; False in a thread that the app has
                started, or where no thread can do it
        """

        mail = self.mail
        if threading.current_thread() is not mail.thread or is_in_memory(mail.db) or \
           channel not in mail.channel_names:
            return False
        if channel in self.channels:
            return True
        if self.sending_mail is None:
            self.sending_mail = mail.as_configured()
        if is_native(self.sending_mail.settings):
            # Other requests may have a mail server: their mail is not for a log
            return False
        try:
            self._thread()
        except RuntimeError as error:
            log.warning("No thread can be started (%s).", brief(error))
            return False
        if not self.channels and not after_request(self._end):
            return False
        self.channels.append(channel)
        return True

    # -------------------------------------------------------------------------
    def _end(self):
        """ The transactions of the request are ended; never raises """

        channels, self.channels = self.channels, []
        try:
            globals_of_request = self.keep_globals(self.sending_mail)
            for channel in channels:
                order = Order(self.sending_mail, channel, globals_of_request)
                while not self._thread().take(order):
                    # It has just ended
                    pass
        except Exception as error:
            log.error("Mail can't be sent now (%s), it stays queued.", brief(error))

    # -------------------------------------------------------------------------
    def _thread(self):
        """ The WebSender for this site; raises RuntimeError if it can't be started """

        mail = self.mail
        # After a fork by uWSGI, Python does not know that the threads are gone
        key = (os.getpid(), mail.site, mail.db._adapter.uri)
        has_lock = STARTING.acquire(timeout=STARTING_TIMEOUT_S)
        try:
            for thread in threading.enumerate():
                # By its class: an upgrade of MailS3 has another
                if isinstance(thread, WebSender) and thread.key == key and not thread.is_over:
                    return thread
            thread = WebSender(key)
            thread.start()
            return thread
        finally:
            if has_lock:
                STARTING.release()

# =============================================================================
class Order:
    """ What the thread is to do for a request: send in one channel """

    def __init__(self, mail, channel, globals_of_request):
        """
            Args:
                mail: the MailS3, which nobody else uses
                channel: the name of the channel
                globals_of_request: as from keep_globals(), see WebRequest
        """

        self.mail = mail
        self.channel = channel
        self.globals_of_request = globals_of_request
        self.until = time.monotonic() + MAX_TIME_S
        self.pause_s = MIN_PAUSE_S # before it is tried again

    # -------------------------------------------------------------------------
    def is_done(self):
        """ Send; returns whether all is done, or given up; never raises """

        try:
            with self.globals_of_request():
                if self._send():
                    return True
        except Exception as error:
            log.error("Mail can't be sent now (%s), it stays queued.", brief(error))
            self.pause_s = min(2 * self.pause_s, MAX_PAUSE_S)
        return time.monotonic() > self.until

    # -------------------------------------------------------------------------
    def _send(self):
        """
            Send what is new, and what is due again; commits

            Returns:
                whether the run has come to its end
        """

        mail, databases = self.mail, [self.mail.db]
        if mail.tasks:
            databases.append(mail.tasks.scheduler.db)
        with ExitStack() as stack:
            for db in dict.fromkeys(databases):
                stack.enter_context(own_connection(db, LOCK_WAIT_S))
            channel = mail.channel(self.channel)
            now = channel.shared_clock()
            if not channel.has_work(now(), is_patient=False):
                return True
            is_over = False
            for run in channel.workers(row=WorkerRow(mail.db, mail.site, WEB), now=now):
                # The next run has the configuration of a newer request
                run.sendings.max_s = run.message_time_s
                run.work()
                is_over = run.is_over()
            Workers(mail.db, mail.site).remove_lost(now())
            Alerts(mail).run()
            return not is_over

# =============================================================================
class WebSender(threading.Thread):
    """ The thread that sends for a site """

    def __init__(self, key):
        """
            Args:
                key: which process and site it is for
        """

        # As a daemon: the end of the process does not wait for a mail server
        super().__init__(name="mails3", daemon=True)
        self.key = key
        self.is_over = False
        self.condition = threading.Condition()
        self.orders = {} # by channel: a newer one does the work of an older one
        self.again = {}  # those that are not done yet

    # -------------------------------------------------------------------------
    def take(self, order):
        """ Take an Order; returns False if the thread is about to end """

        with self.condition:
            if self.is_over:
                return False
            self.orders[order.channel] = order
            self.condition.notify()
            return True

    # -------------------------------------------------------------------------
    def run(self):
        """ Send until there was nothing to do for LINGER_S """

        while not self.is_over:
            self._work()

    # -------------------------------------------------------------------------
    def _work(self):
        """ Wait for orders, and do them; keeps nothing of a request that is done """

        with self.condition:
            wait_s = min([order.pause_s for order in self.again.values()], default=LINGER_S)
            self.condition.wait_for(lambda: self.orders, wait_s)
        time.sleep(RESPONSE_S)
        with self.condition:
            orders = {**self.again, **self.orders}
            self.orders.clear()
            self.is_over = not orders
        self.again = {name: order for name, order in orders.items() if not order.is_done()}

# -----------------------------------------------------------------------------
def can_run_threads(uwsgi=None):
    """
        Whether threads go on between two requests in this process

        Args:
            uwsgi: the module that uWSGI adds to its processes
    """

    uwsgi = uwsgi or sys.modules.get("uwsgi")
    if uwsgi is None:
        return True
    version = tuple(int(part) for part in re.findall(rb"\d+", uwsgi.version)[:3])
    return version >= THREADS_SINCE or \
        any(uwsgi.opt.get(name, b"no") not in OFF for name in THREAD_OPTIONS)

# END =========================================================================
