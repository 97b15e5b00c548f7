"""
    The site of the other tests works (support/site.py)
"""

import os
import signal
import subprocess
import sys
import unittest

from mechanicalsoup import StatefulBrowser

from support.folders import temporary_folder
from support.site import TESTS, Site, eventually

# =============================================================================
def ended(group):
    """
        Whether a process group has no members left
    """

    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False

# =============================================================================
class SiteTests(unittest.TestCase):
    """ A site of the tests works like one that somebody runs """

    def setUp(self):

        folder = temporary_folder()
        self.addCleanup(folder.cleanup)
        self.site = Site(folder.name).create()
        self.addCleanup(self.site.close)

    def test_the_first_page_is_served(self):
        """ The app answers at the site's address """

        self.site.serve()
        browser = StatefulBrowser(raise_on_404=True)

        browser.open(self.site.url)

        self.assertIn("You are not logged in", browser.page.text)
        self.assertEqual(self.site.tickets(), [])

    def test_a_visitor_registers(self):
        """ A visitor who registers is logged in where no verification is required """

        self.site.serve()
        browser = StatefulBrowser()
        browser.open(self.site.url + "/default/user/register")
        browser.select_form("form")
        browser["first_name"] = "Anne"
        browser["last_name"] = "Example"
        browser["email"] = "anne@example.org"
        browser["password"] = browser["password_two"] = "a long secret"

        browser.submit_selected()

        self.assertIn("logged in as anne@example.org", browser.page.text)
        self.assertEqual(self.site.shell("print(db(db.auth_user).select().first().email)"),
                         "anne@example.org\n")

    def test_a_worker_runs_a_task(self):
        """ A queued task comes out completed """

        self.site.configure(scheduler={"mode": "dict", "heartbeat": 0.5})
        self.site.work()

        self.queue("hello", '["Anne"]')

        results = "for run in db(db.scheduler_run).select(): print(run.run_result)"
        self.assertTrue(eventually(lambda: self.site.shell(results) == '"Hello Anne"\n'))

    def test_closing_ends_all_processes(self):
        """ close() ends server, worker and the task that it runs """

        self.site.configure(scheduler={"mode": "plain", "heartbeat": 0.5})
        server = self.site.serve()
        worker = self.site.work()
        self.queue("hello", '["Anne", 60]')
        running = "print(db(db.scheduler_task.status == 'RUNNING').count())"
        self.assertTrue(eventually(lambda: self.site.shell(running) == "1\n"))

        self.site.close()

        self.assertTrue(eventually(lambda: ended(server.pid)))
        self.assertTrue(eventually(lambda: ended(worker.pid)))

    def test_killing_the_parent_ends_all_processes(self):
        """ No process of a site runs on after kill -9 of its parent """

        parent = subprocess.Popen([sys.executable, "-c",
                                   "import sys, time; from support.site import TESTS, Site\n"
                                   "print(Site(sys.argv[1]).serve().pid, flush=True)\n"
                                   "time.sleep(60)\n",
                                   self.site.folder],
                                  cwd = TESTS,
                                  stdout = subprocess.PIPE,
                                  )
        with parent:
            server = int(parent.stdout.readline())
            os.kill(parent.pid, signal.SIGKILL)

        self.assertTrue(eventually(lambda: ended(server)))

    def queue(self, task, args):
        """
            Queue a task
            - by plain insert: with pydal of 2023 and later, queue_task fails
        """

        self.site.shell("db.scheduler_task.insert(application_name='shelter/default', "
                        "task_name='%s', function_name='%s', args='%s')" % (task, task, args))

# END =========================================================================
