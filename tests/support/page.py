"""
    The admin's page, as its visitors and its site have it
"""

import re
import sqlite3

from contextlib import closing

import requests

SECRET = "a long secret"

# Code for the site: adds a user who is an admin, and one who is not
ADD_ADMIN = """
password = db.auth_user.password.validate("%s")[0]
number = db.auth_user.insert(email="admin@example.org", password=password)
auth.add_membership(auth.add_group("admin"), number)
""" % SECRET
ADD_USER = """
db.auth_user.insert(email="user@example.org", password=password)
"""

# =============================================================================
class PageVisitor:
    """ A visitor with a browser, as far as the tests need one """

    def __init__(self, site, email=None):

        self.url = site.url
        self.session = requests.Session()
        if email:
            login = self.url + "/default/user/login"
            page = self.session.get(login).text
            fields = dict(re.findall(r'name="(_form\w+)"[^>]* value="([^"]*)"', page))
            assert self.session.post(login, dict(fields, email=email, password=SECRET)).ok

    # -------------------------------------------------------------------------
    def get(self, page="", **options):

        return self.session.get(self.url + "/mails3" + page, **options)

    # -------------------------------------------------------------------------
    def post(self, page, key=None, **fields):
        """ Send a form of the page; or one with another key """

        if key is None:
            key = re.search(r'name="_formkey" value="(\w+)"', self.get().text).group(1)
        return self.session.post(self.url + "/mails3" + page,
                                 dict(fields, _formkey=key))

# -----------------------------------------------------------------------------
def states(site):
    """ The states of all mails, by address """

    entries = site.shell("for entry in mail.report().page()[0]:\n"
                         "    print(entry['address'], entry['state'])")
    return dict(line.split() for line in entries.splitlines())

# -----------------------------------------------------------------------------
def newest(site):
    """ The number of the newest mail """

    return int(site.shell("print(db(db.msg_outbox).select(db.msg_outbox.id.max())"
                          ".first()[db.msg_outbox.id.max()])"))

# -----------------------------------------------------------------------------
def rows(site):
    """ What a verb would change """

    with closing(sqlite3.connect(site.app_path / "databases/storage.sqlite")) as db:
        return [db.execute("SELECT * FROM %s" % table).fetchall()
                for table in ("msg_outbox", "mails3_delivery", "mails3_channel")]

# END =========================================================================
