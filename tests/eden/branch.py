"""
    An office of an Eden: the stand-in with MailS3, and people to write to
"""

from gluon import current

from support.office import Office
from mails3.admin.alerts import Alerts
from mails3.hosts.eden import install_mailer
from mails3.hosts.scheduler import Tasks
from mails3.queue.schema import COMPANIONS
from mails3.hosts.self_repair import SCHEDULER_TABLES

from .stand_in import SUPER_TABLES, TABLES

SENDER = "Shelter <shelter@example.org>"

INSTANCES = [table for _, tables in SUPER_TABLES.values() for table in tables]

# =============================================================================
class Branch(Office):
    """ An office with persons, groups and documents """

    def __init__(self, eden, relay):
        """
            Args:
                eden: the StandIn, empty
                relay: the FakeRelay
        """

        self.eden = eden
        self.relay = relay
        self.db = None
        self.tasks = {}
        self.configure(server=relay.address, tls=False, sender=SENDER,
                       fallback=False, reply_timeout=2, retry_interval=0)

    # -------------------------------------------------------------------------
    def configure(self, **values):
        """ Change the settings of mail, and what MailS3 has there """

        self.eden.settings["mail"].update(values)
        self.request()

    # -------------------------------------------------------------------------
    def request(self, roles=(), page=None, **request_env):
        """ Begin a request, or a task; the one before ends well """

        if self.db:
            self.db.commit()
            self.db.close()
        environment = self.eden.environment(self.tasks, roles, page, **request_env)
        self.db, self.msg = environment["db"], environment["msg"]
        self.auth, self.s3db = environment["auth"], environment["s3db"]
        self.mail = install_mailer(environment)

    # -------------------------------------------------------------------------
    def send_channels(self):
        """ What goes by other channels, as a worker does it """

        self.request()
        return self.mail.send_channels()

    # -------------------------------------------------------------------------
    def worker(self):
        """ A worker that is alive """

        scheduler = current._scheduler
        self.db.scheduler_worker.insert(worker_name = "worker",
                                        status = "ACTIVE",
                                        group_names = scheduler.group_names,
                                        last_heartbeat = scheduler.now(),
                                        )
        self.db.commit()
        Alerts(self.mail).run()

    def wakes(self):
        """ How often the workers have been woken """

        prefix = Tasks.WAKE.replace("_", "-")
        return self.db(self.db.scheduler_task.uuid.startswith(prefix)).count()

    # -------------------------------------------------------------------------
    def insert(self, table, **values):
        """ A record with its super-entity, if it has one: dict of its ids """

        record = {"id": int(self.s3db[table].insert(**values))}
        if table in INSTANCES:
            self.s3db.update_super(self.s3db[table], record)
        return record

    # -------------------------------------------------------------------------
    def person(self, address=None, **values):
        """ A person with an address: dict of their ids """

        person = self.insert("pr_person", first_name="Anne", **values)
        if address:
            self.contact(person, address)
        return person

    def contact(self, person, value, contact_method="EMAIL", **values):
        """ One more way to reach a person """

        self.insert("pr_contact", pe_id=person["pe_id"], value=value,
                    contact_method=contact_method, **values)

    # -------------------------------------------------------------------------
    def message(self, subject="News", body="There is news.", from_address=SENDER):
        """ A message of Eden's without recipients: its message_id """

        return self.insert("msg_email", subject=subject, body=body,
                           from_address=from_address)["message_id"]

    def entry(self, message_id=None, **values):
        """ A row in Eden's outbox: its id """

        return self.insert("msg_outbox", message_id=message_id, **values)["id"]

    def group(self, *addresses):
        """ A group of persons with these addresses: its pe_id """

        group = self.insert("pr_group", name="Helpers")
        for address in addresses:
            person = self.person(address)
            self.insert("pr_group_membership", group_id=group["id"], person_id=person["id"])
        return group["pe_id"]

    # -------------------------------------------------------------------------
    def delete(self, number):
        """ What Messaging > Outbox > Delete does: Eden keeps the row without its links """

        table = self.s3db.msg_outbox
        self.db(table.id == number).update(deleted=True, message_id=None, pe_id=None)
        self.db.commit()

    def numbers(self):
        """ The numbers of all rows in the outbox, the oldest first """

        table = self.s3db.msg_outbox
        return [row.id for row in self.db(table.id > 0).select(table.id, orderby=table.id)]

    # -------------------------------------------------------------------------
    def outbox(self):
        """ All deliveries, the oldest first: list of (status, attempts, reply) """

        self.db.commit()
        table, delivery = self.s3db.msg_outbox, self.db.mails3_delivery
        rows = self.db(table.id > 0).select(
                    table.status, delivery.attempts, delivery.reply,
                    left = delivery.on(delivery.outbox_id == table.id),
                    orderby = table.id)
        return [(row.msg_outbox.status, row.mails3_delivery.attempts,
                 row.mails3_delivery.reply) for row in rows]

    def statuses(self):
        """ What has become of all deliveries, the oldest first """

        return [status for status, *_ in self.outbox()]

    def state(self, channel="EMAIL"):
        """ The state of a channel's relay """

        self.db.commit()
        return self.mail.channel(channel).breaker.read()

    # -------------------------------------------------------------------------
    def addresses(self):
        """ Who has got mail, sorted """

        return sorted(address for mail in self.relay.mails for address in mail.recipients)

    # -------------------------------------------------------------------------
    def close(self):
        """ Leave the installation empty """

        self.db.rollback()
        for name in COMPANIONS + SCHEDULER_TABLES + TABLES[::-1]:
            self.db.executesql("DELETE FROM %s" % name)
        self.db.commit()
        self.db.close()
        self.eden.clear()

# END =========================================================================
