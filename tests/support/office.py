"""
    An app's mail with its database, without the app
"""

import json

from datetime import timedelta

from .web2py import FOLDER
from .databases import make_impatient

from gluon.dal import DAL
from gluon.tools import Mail

from mails3 import MailS3
from mails3.delivery.rate_limit import PARTS
from mails3.delivery.worker import Worker
from mails3.queue.channel_row import ChannelRow
from mails3.queue.database import lock_rows_only, recover
from mails3.queue.migration import create
from mails3.queue.schema import TABLES, define
from mails3.settings import read_settings
from mails3.settings_file import complain_once
from mails3.states import NEW

# =============================================================================
class Office:
    """ An app's mail with its database, without the app """

    def __init__(self, uri, relay):

        self.uri = uri
        self.relay = relay
        self.given = {"fallback": "no", "reply_timeout": 2, "retry_interval": 0}
        self.hurried = {}

        db = self.connection()
        create(db, TABLES)
        ChannelRow(db, "shelter").ensure()
        db.commit()
        db.close()
        self.db = self.connection()
        self.mail = self.mailer(self.db)

    # -------------------------------------------------------------------------
    def connection(self, after_connection=make_impatient, **options):
        """ A connection like that of another process (options: of DAL) """

        db = DAL(self.uri, folder=FOLDER, migrate_enabled=False,
                 after_connection=after_connection, **options)
        define(db)
        return db

    # -------------------------------------------------------------------------
    def reopen(self, **options):
        """ Go on with another connection (options: as for connection()) """

        self.db.close()
        self.db = self.connection(**options)
        self.mail = self.mailer(self.db)

    # -------------------------------------------------------------------------
    def mailer(self, db):
        """ A MailS3 like that of another process """

        host = Mail(server = self.relay.address,
                    sender = "Shelter <shelter@example.org>",
                    tls = False,
                    )
        host.settings.timeout = 2
        return MailS3(db, host.settings, given=lambda: self.given, site="shelter")

    # -------------------------------------------------------------------------
    def queue(self, *addresses, **arguments):
        """ Queue a mail to each address; the rows in msg_outbox """

        for address in addresses:
            assert self.mail.send(address, "News", "There is news.", **arguments), \
                   self.mail.error
        self.db.commit()
        rows = self.db(self.db.msg_outbox).select(orderby=~self.db.msg_outbox.id,
                                                  limitby=(0, len(addresses)))
        ids = [row.id for row in rows][::-1]
        return ids if len(ids) > 1 else ids[0]

    # -------------------------------------------------------------------------
    def drain(self, **given):
        """ A drain, as a worker runs it """

        return self._fresh(given).drain()

    def retry(self, **given):
        """ A retry pass, as a worker runs it """

        return self._fresh(given).retry()

    def _fresh(self, given):

        self.configure(**given)
        return self.mail

    # -------------------------------------------------------------------------
    def configure(self, **given):
        """ Change settings, as a new process reads them """

        self.given.update(given)
        options = read_settings(self.given, complain_once)
        vars(self.mail.options).update(vars(options), **self.hurried)

    # -------------------------------------------------------------------------
    def hurry(self, **seconds):
        """ Wait for less time than a setting can say: hurry(reply_timeout=0.3) """

        self.hurried.update(seconds)
        self.configure()

    # -------------------------------------------------------------------------
    def later(self, seconds):
        """ Let time pass: all that waits for its time in the database """

        self.db.commit()
        for table in ("mails3_delivery", "mails3_channel", "mails3_worker"):
            for field in self.db[table]:
                if field.type == "datetime":
                    for row in self.db(field != None).select(self.db[table].id, field):
                        earlier = row[field.name] - timedelta(seconds=seconds)
                        row.update_record(**{field.name: earlier})
        for row in self.db(self.db.mails3_channel.pace != None).select():
            row.update_record(pace = earlier_pace(row.pace, seconds))
        self.db.commit()

    # -------------------------------------------------------------------------
    def entry(self, number):
        """ The rows of a delivery: msg_outbox and mails3_delivery """

        self.db.commit()
        outbox, delivery = self.db.msg_outbox, self.db.mails3_delivery
        return self.db((outbox.id == number) &
                       (delivery.outbox_id == outbox.id)).select().first()

    def change_message(self, number, **values):
        """ Change what is stored of a delivery's message; the head as it was """

        table = self.db.mails3_message
        query = (table.id == self.entry(number).mails3_delivery.message_id)
        head = self.db(query).select().first().head
        self.db(query).update(**values)
        self.db.commit()
        return head

    def status(self, number):
        """ What has become of a delivery """

        return self.entry(number).msg_outbox.status

    def state(self):
        """ The relay's state """

        self.db.commit()
        return ChannelRow(self.db, "shelter").read()

    # -------------------------------------------------------------------------
    def close(self):

        self.db.rollback()
        self.db.close()

# -----------------------------------------------------------------------------
def earlier_pace(text, seconds):
    """ What is known of a relay's pace (the column pace), so many seconds earlier """

    known = json.loads(text)
    for name in known["pace"]:
        if name.endswith("_at"):
            known["pace"][name] -= seconds
    for period_s, parts in known["counted"].items():
        known["counted"][period_s] = [(part - seconds * PARTS // int(period_s), count)
                                      for part, count in parts]
    return json.dumps(known)

# -----------------------------------------------------------------------------
def worker_that_commits(office, commit, transport=None, **options):
    """
        A Worker like that of Channel.worker(), with a commit of the test's own

        Args:
            office: the Office
            commit: function in place of db.commit()
            transport: the Transport; None = that of the channel
            options: see Worker
    """

    channel = office.mail.channel()
    lock_rows_only(office.db)
    return Worker(channel.relay, transport or channel.transport(), channel.options, commit,
                  recover = lambda: recover(office.db), now = channel.shared_clock(), **options)

# -----------------------------------------------------------------------------
def claim(worker, limit=100):
    """ Let a worker claim new deliveries: list of Delivery; commits are the caller's """

    return worker.lease.claim(NEW, limit, limit)

# -----------------------------------------------------------------------------
def begin(worker, deliveries):
    """ Let a worker begin deliveries: those that are its own; commits are the caller's """

    now = worker.now()
    return worker.channel.transitions.begin(deliveries, now, now + worker.lease.begun)

# -----------------------------------------------------------------------------
def lose_a_worker(office):
    """ A worker begins to send, and does nothing any more """

    worker = office.mail.channel().worker()
    begin(worker, claim(worker))
    office.db.commit()
    office.later(3600)

# -----------------------------------------------------------------------------
def named(relay, address):
    """ How often a recipient was named to the relay """

    return sum(verb == "RCPT" and "<%s>" % address in argument
               for _, verb, argument in relay.commands)

# -----------------------------------------------------------------------------
def attempts(office, number):
    """ How many attempts a delivery has been charged with """

    return office.entry(number).mails3_delivery.attempts

# -----------------------------------------------------------------------------
def users(count, name="user"):
    """ So many addresses """

    return ["%s%02d@example.org" % (name, n) for n in range(count)]

# END =========================================================================
