"""
    The picture of the admin's page in the README, taken of a real page

        python3 tests/picture.py [FILE]     default: private/docs/page.png

    Makes a throw-away site, sends mail, stops the SMTP server, sends more, and
    has a browser (chromium, chromedriver) show the page. The times of what was
    sent are spread over a day first, as on a site that is used. With
    WEB2PY_PATH, the site is web2py's own scaffolding app, with its layout.
"""

import base64
import os
import sys

from pathlib import Path

import environment

environment.enter()

import support.web2py # noqa: E402, F401 (makes mails3 known)

from support.browser import browser, log_in # noqa: E402
from support.fake_relay import FakeRelay # noqa: E402
from support.folders import temporary_folder # noqa: E402
from support.site import TESTS, Site # noqa: E402
from mails3.installation import install # noqa: E402

PASSWORD = "a long secret"
WIDTH, HEIGHT = 1280, 1160

# The worker has seen what is to be seen
UNTIL = """
import time
while not (%s):
    db.commit()
    time.sleep(0.1)
"""

# An admin; a day of mail, two of which the SMTP server refuses
BEFORE = UNTIL % "db(db.mails3_worker).count()" + """
number = db.auth_user.insert(email="olga@shelter.net", first_name="Olga",
                             password=db.auth_user.password.validate(PASSWORD)[0])
auth.add_membership(auth.add_group("admin"), number)
for n in range(148):
    mail.send("user%s@there.net" % n, "Volunteers needed on Saturday", "There is news.")
for name in ("ben", "carol"):
    mail.send(name + "@there.net", "Welcome to the shelter", "Hello")
""" + UNTIL % "db(db.mails3_delivery.attempts == 0).isempty()"

# The SMTP server is away
MEANWHILE = """
import datetime, random
random.seed(7)
ago = lambda minutes: request.utcnow - datetime.timedelta(minutes=minutes)
by_hour = [1, 1, 0, 0, 0, 1, 2, 4, 8, 10, 12, 10, 8, 9, 11, 12, 9, 7, 5, 6, 8, 6, 3, 2]
weights = [by_hour[(request.utcnow.hour - back) % 24] for back in range(24)]
for row in db(db.mails3_delivery).select():
    back = random.choices(range(24), weights)[0]
    row.update_record(tried_on=ago(60 * back + random.randint(0, 20)))
db(db.mails3_attempt).update(tried_on=ago(38))
for n in range(12):
    mail.send("late%s@there.net" % n, "Volunteers needed on Sunday", "There is news.")
""" + UNTIL % "db(db.mails3_channel.status == 'tripped').count()" + """
db(db.mails3_channel).update(tripped_on=ago(12), probe_on=ago(-4))
db(db.msg_outbox.status == 1).update(created_on=ago(11))
"""

# -----------------------------------------------------------------------------
def main(target):
    """ Make the site, and take the picture """

    checkout = os.environ.get("WEB2PY_PATH")
    original = Path(checkout, "applications/welcome") if checkout else TESTS / "app"
    with browser() as driver, FakeRelay() as relay, \
         temporary_folder() as folder, Site(folder + "/site") as site:
        site.create(original)
        install(site.app_path, tell=lambda line: None)
        site.configure(smtp={"server": relay.address, "login": None, "tls": False,
                             "ssl": False, "sender": "Shelter <office@shelter.net>"})
        relay.answer("RCPT", "550 5.1.1 <ben@there.net>: User unknown", to="ben@there.net")
        relay.answer("RCPT", "450 4.2.2 <carol@there.net>: Mailbox full", to="carol@there.net")
        site.serve()
        # A visitor's request, not a developer's: the app would only log its mail
        visit = "mail.settings.server = %r\nmail.note_configuration()\n" % relay.address
        site.work_alone()
        site.shell(visit + "PASSWORD = %r\n" % PASSWORD + BEFORE)
        relay.stop()
        site.shell(visit + MEANWHILE)

        log_in(driver, site, "olga@shelter.net", PASSWORD)
        driver.get(site.url + "/mails3")
        # A higher window, so that the picture has no scroll bar in it
        driver.set_window_size(WIDTH, 2 * HEIGHT)
        shot = driver.execute_cdp_cmd("Page.captureScreenshot", {
                    "clip": {"x": 0, "y": 0, "width": WIDTH, "height": HEIGHT, "scale": 1}})
    Path(target).write_bytes(base64.b64decode(shot["data"]))

# -----------------------------------------------------------------------------
if __name__ == "__main__":
    main(*sys.argv[1:] or [environment.CLONE / "private" / "docs" / "page.png"])

# END =========================================================================
