"""
    One run of a Django mail queue, in the environment of requirements.txt;
    started by compare.py and latency.py, in a folder of its own: some peers write
    lock files there

        peer.py SYSTEM URI NUMBER SINK TLS CONNECTIONS BODY

    SYSTEM: mailer, post_office, tuned: queue and drain; listen: django-mailer's
    runmailer_pg, until it is killed; visit: send mails one by one, as latency.py
    has a visitor do, with a pause of CONNECTIONS seconds; fill: queue NUMBER mails
    of low priority; load: so many a second, until it is killed
"""

import itertools
import json
import random
import sys
import time

SYSTEM, URI, NUMBER, SINK, TLS, CONNECTIONS, BODY = sys.argv[1:8]
NUMBER, CONNECTIONS, BODY = int(NUMBER), int(CONNECTIONS), int(BODY)

APPS = {"mailer": "mailer", "listen": "mailer", "visit": "mailer",
        "fill": "mailer", "load": "mailer",
        "post_office": "post_office", "tuned": "post_office"}
BACKENDS = {"mailer": "mailer.backend.DbBackend", "post_office": "post_office.EmailBackend"}

# -----------------------------------------------------------------------------
def database():
    """ Django's words for pydal's URI """

    engine, _, rest = URI.partition("://")
    if engine == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": rest}
    login, _, place = rest.rpartition("@")
    address, _, name = place.partition("/")
    host, _, port = address.partition(":")
    user, _, password = login.partition(":")
    if engine.startswith("mysql"):
        import pymysql
        pymysql.install_as_MySQLdb()
    return {"ENGINE": "django.db.backends." +
                      ("mysql" if engine.startswith("mysql") else "postgresql"),
            "NAME": name, "HOST": host, "PORT": port, "USER": user, "PASSWORD": password,
            }

# -----------------------------------------------------------------------------
def visit(send_mail, transaction):
    """ Print when each mail was committed """

    for number in range(NUMBER):
        time.sleep(random.uniform(CONNECTIONS / 2, CONNECTIONS * 3 / 2))
        with transaction.atomic():
            send_mail("Number %s" % number, "There is news.", "shelter@example.org",
                      ["anne@example.org"])
        print("committed", number, time.time(), flush=True)

# -----------------------------------------------------------------------------
def send_low_priority():
    """ Queue a mail that all others go before """

    from mailer import send_mail
    from mailer.models import PRIORITY_LOW

    send_mail("Load", "There is news.", "shelter@example.org", ["load@example.org"],
              priority=PRIORITY_LOW)

# -----------------------------------------------------------------------------
def fill(transaction):
    """ Queue many mails at once """

    with transaction.atomic():
        for _ in range(NUMBER):
            send_low_priority()

# -----------------------------------------------------------------------------
def load():
    """ Queue so many mails a second, each in a transaction of its own """

    start = time.time()
    for number in itertools.count(1):
        send_low_priority()
        time.sleep(max(start + number / NUMBER - time.time(), 0))

# -----------------------------------------------------------------------------
def main():

    from django.conf import settings

    app = APPS[SYSTEM]
    host, _, port = SINK.partition(":")
    office = {"BACKENDS": {"default": "django.core.mail.backends.smtp.EmailBackend"}}
    if SYSTEM == "tuned":
        office.update(BATCH_SIZE=NUMBER, THREADS_PER_PROCESS=CONNECTIONS)
    settings.configure(SECRET_KEY = "bench",
                       USE_TZ = True,
                       DATABASES = {"default": database()},
                       INSTALLED_APPS = ["django.contrib.contenttypes", app],
                       DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField",
                       EMAIL_BACKEND = BACKENDS[app],
                       EMAIL_HOST = host,
                       EMAIL_PORT = int(port),
                       EMAIL_USE_TLS = TLS == "tls",
                       EMAIL_HOST_USER = "user" if TLS == "tls" else "",
                       EMAIL_HOST_PASSWORD = "password" if TLS == "tls" else "",
                       EMAIL_SSL_CERTFILE = None,
                       EMAIL_TIMEOUT = 30,
                       TEMPLATES = [{"BACKEND":
                                     "django.template.backends.django.DjangoTemplates"}],
                       POST_OFFICE = office,
                       )
    import ssl

    import django
    from django.core.mail import send_mail
    from django.core.management import call_command
    from django.db import transaction

    # Like web2py's Mail, which verifies no certificate
    ssl.create_default_context = ssl._create_unverified_context
    django.setup()
    if SYSTEM == "listen":
        call_command("runmailer_pg")
    if SYSTEM == "visit":
        return visit(send_mail, transaction)
    if SYSTEM == "fill":
        return fill(transaction)
    if SYSTEM == "load":
        return load()
    call_command("migrate", verbosity=0)

    text = ("x" * 71 + "\n") * (BODY // 72)

    def queue(number):
        for n in range(number):
            send_mail("Number %s" % n, text, "shelter@example.org",
                      ["user%s@example.org" % n])

    with transaction.atomic():
        queue(20)
        transaction.set_rollback(True)
    with transaction.atomic():
        start = time.monotonic()
        queue(NUMBER)
        queued = time.monotonic() - start

    options = {"log_level": 0} if SYSTEM == "tuned" else {}
    start, cpu = time.monotonic(), time.process_time()
    call_command("send_mail" if app == "mailer" else "send_queued_mail", **options)
    print(json.dumps({"queue": queued, "drain": time.monotonic() - start,
                      "cpu": time.process_time() - cpu}))

# -----------------------------------------------------------------------------
if __name__ == "__main__":
    main()

# END =========================================================================
