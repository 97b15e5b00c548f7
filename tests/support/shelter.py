"""
    A site with MailS3 installed, and its scheduler
"""

import json

from mechanicalsoup import StatefulBrowser

from . import web2py # noqa: F401 (mails3 can be imported)
from .site import Site

from mails3.installation import install

TASKS = """
table = db.scheduler_task
print(db(table.uuid.startswith("mails3-")).select(orderby=table.uuid).as_json())
"""
# Looks alive, but does nothing: what reaches the relay comes from the request itself
IDLE_WORKER = """
import datetime
db.scheduler_worker.insert(worker_name = "idle",
                           status = "ACTIVE",
                           group_names = ["main"],
                           last_heartbeat = datetime.datetime(2999, 1, 1),
                           )
"""
MAILS = """
table = db.msg_outbox
print([row.status for row in db(table).select(orderby=table.id)])
"""

# =============================================================================
class Shelter(Site):
    """ A site with MailS3 """

    def open(self, relay, mode="dict", heartbeat=0.5, **given):
        """
            Install MailS3, start the web server

            Args:
                relay: the FakeRelay to send to
                mode: what Scheduler the app has: none, dict or plain
                heartbeat: of the app's Scheduler
                given: settings of MailS3
        """

        install(self.app_path, tell=lambda line: None)
        lines = ["%s = %s\n" % setting for setting in given.items()]
        path = self.app_path / "private" / "mails3.ini"
        path.write_text("[mails3]\n" + "".join(lines))
        self.configure(smtp = {"server": relay.address,
                               "sender": "Shelter <shelter@example.org>"},
                       scheduler = {"mode": mode, "heartbeat": heartbeat},
                       )
        self.serve()

    # -------------------------------------------------------------------------
    def post(self, number=1, action="flood", **values):
        """ A request that sends mails; the response """

        if action == "flood":
            values["number"] = number
        return StatefulBrowser().post("%s/default/%s" % (self.url, action),
                                      data = dict(values, to="anne@example.org"),
                                      )

    # -------------------------------------------------------------------------
    def accepts(self, number=1):
        """ Whether a visitor is told that so many mails are under way """

        return self.post(number).text == str(number)

    # -------------------------------------------------------------------------
    def mails(self, code=""):
        """ The statuses of all mails; after some code """

        return json.loads(self.shell(code + MAILS))

    # -------------------------------------------------------------------------
    def tasks(self, name="", code=""):
        """ Our rows in the scheduler's table, by how their uuid goes on """

        return [row for row in json.loads(self.shell(code + TASKS))
                if row["uuid"].startswith("mails3-" + name)]

    # -------------------------------------------------------------------------
    def told(self, words):
        """ How often the admin is told something in the web server's log """

        return sum(path.read_text().count(words) for path in self.logs.glob("serve-*.err"))

# END =========================================================================
