"""
    A stand-in for a Sahana Eden: as much of it as MailS3 touches, where there
    is no Eden to be had

    Simpler than Eden, but under Eden's names and with Eden's types;
    test_stand_in.py holds it against the real one.
"""

import os

from datetime import datetime, timedelta, timezone
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request as HttpRequest, urlopen
from uuid import uuid4

from gluon import current
from gluon.cache import Cache
from gluon.dal import DAL, Field
from gluon.globals import Request, Response
from gluon.languages import TranslatorFactory
from gluon.scheduler import Scheduler
from gluon.storage import Storage
from gluon.tools import Mail

SUPER_TABLES = {"pr_pentity": ("pe_id", ("pr_person", "pr_group", "pr_forum",
                                         "org_organisation", "hrm_training_event",
                                         "deploy_alert")),
                "msg_message": ("message_id", ("msg_email", "msg_sms")),
                "msg_channel": ("channel_id", ("msg_sms_webapi_channel",
                                               "msg_sms_smtp_channel")),
                }

# In the order in which they can be made
TABLES = ("pr_pentity", "msg_channel", "msg_message",
          "pr_person", "pr_contact", "pr_group", "pr_group_membership", "pr_forum",
          "pr_forum_membership", "org_organisation", "hrm_human_resource",
          "hrm_training_event", "hrm_training", "deploy_alert", "deploy_alert_recipient",
          "doc_document", "msg_email", "msg_sms", "msg_attachment", "msg_outbox",
          "msg_channel_limit", "msg_sms_webapi_channel", "msg_sms_smtp_channel",
          "msg_sms_outbound_gateway")

# -----------------------------------------------------------------------------
def utcnow():
    """ The time, as Eden keeps it """

    return datetime.now(timezone.utc).replace(tzinfo=None, microsecond=0)

# -----------------------------------------------------------------------------
def link(table, name=None):
    """ A reference to another table """

    return Field(name or "%s_id" % table.partition("_")[2], "reference %s" % table)

def super_key(name):
    """ The key of a super-entity, in itself or in an instance of it """

    return SUPER_TABLES[name][0]

def super_link(name):
    """ A reference to a super-entity """

    return Field(super_key(name), "reference %s" % name)

def super_fields(name, *fields):
    """ The fields of a super-entity """

    return (Field(super_key(name), "id"),
            Field("deleted", "boolean", default=False),
            Field("instance_type"),
            Field("uuid", length=128)) + fields

def timestamps():
    """ When a record was made and changed """

    return (Field("created_on", "datetime", default=utcnow),
            Field("modified_on", "datetime", default=utcnow, update=utcnow))

def record(*fields):
    """ The fields of a record, with those that all have """

    return fields + timestamps() + (
            Field("uuid", length=128, notnull=True, default=lambda: uuid4().urn),
            Field("deleted", "boolean", default=False))

def text(*more):
    """ The fields of a message """

    return (Field("date", "datetime", default=utcnow),
            Field("body", "text"),
            Field("from_address"),
            Field("to_address"),
            Field("inbound", "boolean", default=False)) + more

# -----------------------------------------------------------------------------
def fields_of(name, folder, max_retries):
    """
        The fields of a table; made anew each time, as pydal binds them

        Args:
            name: of the table
            folder: of the app
            max_retries: as configured
    """

    entity, message, channel = map(super_link, ("pr_pentity", "msg_message", "msg_channel"))
    person, organisation = link("pr_person"), link("org_organisation")
    return {
        "pr_pentity": lambda: super_fields("pr_pentity"),
        "pr_person": lambda: record(entity,
                                    Field("first_name", length=64, notnull=True),
                                    Field("last_name", length=64)),
        "pr_contact": lambda: record(entity,
                                     Field("contact_method", length=32, default="SMS"),
                                     Field("value", notnull=True),
                                     Field("priority", "integer", default=1),
                                     Field("comments", "text")),
        "pr_group": lambda: record(entity, Field("name")),
        "pr_group_membership": lambda: record(link("pr_group"), person),
        "pr_forum": lambda: record(entity, Field("name")),
        "pr_forum_membership": lambda: record(link("pr_forum"), person),
        "org_organisation": lambda: record(entity, Field("name", length=128, notnull=True)),
        "hrm_human_resource": lambda: record(organisation, person),
        "hrm_training_event": lambda: record(entity, Field("name")),
        "hrm_training": lambda: record(person, link("hrm_training_event",
                                                    "training_event_id")),
        "deploy_alert": lambda: record(entity),
        "deploy_alert_recipient": lambda: record(link("deploy_alert"),
                                                 link("hrm_human_resource")),
        "doc_document": lambda: record(Field("name", length=128),
                                       Field("file", "upload", length=255,
                                             uploadfolder=os.path.join(folder, "uploads")),
                                       Field("url")),
        "msg_message": lambda: super_fields("msg_message", channel, *text()),
        "msg_email": lambda: record(message, Field("subject", length=78), *text()),
        "msg_sms": lambda: record(message, organisation, *text()),
        "msg_attachment": lambda: record(message, link("doc_document")),
        "msg_outbox": lambda: record(message, entity,
                                     Field("address"),
                                     Field("contact_method", length=32, default="EMAIL"),
                                     Field("status", "integer", notnull=True, default=1),
                                     Field("system_generated", "boolean", default=False),
                                     Field("retries", "integer", default=max_retries)),
        "msg_channel_limit": timestamps,
        "msg_channel": lambda: super_fields("msg_channel",
                                            Field("enabled", "boolean", default=True)),
        "msg_sms_webapi_channel": lambda: record(channel,
                                                 Field("url"),
                                                 Field("parameters"),
                                                 Field("message_variable", default="text"),
                                                 Field("to_variable", default="to"),
                                                 Field("enabled", "boolean", default=True)),
        "msg_sms_smtp_channel": lambda: record(channel,
                                               Field("address", length=64),
                                               Field("enabled", "boolean", default=True)),
        "msg_sms_outbound_gateway": lambda: record(channel, organisation),
        }[name]()

# =============================================================================
class Mail3(Mail):
    """ Mail as web2py 3 has it, which takes no encoding, on any web2py """

    def send(self, to, subject="[no subject]", message="[no message]", attachments=None,
             cc=None, bcc=None, reply_to=None, sender=None, raw=False, headers={},
             from_address=None):

        return super().send(to, subject, message, attachments, cc, bcc, reply_to, sender,
                            raw=raw, headers=dict(headers), from_address=from_address)

class Mail2(Mail3):
    """ Mail that takes the encoding that Eden passes, as web2py 2 has it, on any web2py """

    def send(self, *args, encoding="utf-8", **kwargs):

        return super().send(*args, **kwargs)

# =============================================================================
class Settings(Storage):
    """ current.deployment_settings (modules/s3cfg.py) """

    def __init__(self, sections):

        super().__init__((name, Storage(values)) for name, values in sections.items())

    def has_module(self, module_name):
        return module_name in self.modules

    def get_mail_server(self):
        return self.mail.get("server", "127.0.0.1:25")

    def get_mail_server_login(self):
        return self.mail.get("login", False)

    def get_mail_server_tls(self):
        return self.mail.get("tls", False)

    def get_mail_sender(self):
        return self.mail.get("sender")

    def get_mail_limit(self):
        return self.mail.get("limit")

    def get_msg_max_send_retries(self):
        return self.msg.get("max_send_retries", 9)

    def get_org_branches(self):
        return self.org.get("branches", False)

# =============================================================================
class Model:
    """ current.s3db: defines a table when it is asked for """

    def __init__(self, db, folder, settings):

        self.db = db
        self.folder = folder
        self.settings = settings
        self.configuration = {}

    # -------------------------------------------------------------------------
    def configure(self, tablename, **attr):

        self.configuration.setdefault(tablename, {}).update(attr)

    def get_config(self, tablename, key, default=None):

        return self.configuration.get(tablename, {}).get(key, default)

    # -------------------------------------------------------------------------
    def table(self, tablename, default=None):

        if tablename not in TABLES or \
           not self.settings.has_module(tablename.partition("_")[0]):
            return default
        if tablename not in self.db.tables:
            fields = fields_of(tablename, self.folder,
                               self.settings.get_msg_max_send_retries())
            for field in fields:
                if field.type.startswith("reference "):
                    self.table(field.type.partition(" ")[2])
            self.db.define_table(tablename, *fields)
            if tablename == "msg_outbox":
                self.configure(tablename, list_fields=["id", "message_id", "pe_id", "status"])
        return self.db[tablename]

    # -------------------------------------------------------------------------
    def __getattr__(self, name):

        table = self.table(name)
        if table is None:
            raise AttributeError("undefined table: %s" % name)
        return table

    def __getitem__(self, name):

        return getattr(self, name)

    # -------------------------------------------------------------------------
    def update_super(self, table, record):
        """ Make the record of the super-entity, and the link to it """

        name = next((name for name, (_, instances) in SUPER_TABLES.items()
                     if table._tablename in instances), None)
        if not name:
            return False
        key, entity = super_key(name), self.table(name)
        row = self.db(table.id == record["id"]).select().first()
        shared = {field: row[field] for field in entity.fields
                  if field != key and field in table.fields}
        record[key] = int(entity.insert(instance_type=table._tablename, **shared))
        row.update_record(**{key: record[key]})
        return True

# =============================================================================
class Msg:
    """ current.msg (S3Msg) """

    modem = None

    @staticmethod
    def sanitise_phone(phone, channel_id=None):

        return "".join(c for c in phone if c.isdigit())

    @staticmethod
    def sanitize_sender(sender):
        """ Name and address, without the quotes """

        return sender.replace('"', "").replace("'", "") if sender else sender

    # -------------------------------------------------------------------------
    def send_email(self, to, subject, message, attachments=None, cc=None, bcc=None,
                   reply_to=None, sender=None, encoding="utf-8", from_address=None):

        settings = current.deployment_settings
        if not to or not settings.get_mail_sender():
            return False

        limit = settings.get_mail_limit()
        if limit:
            table = current.s3db.msg_channel_limit
            if current.db(table.created_on > utcnow() - timedelta(days=1)).count() >= limit:
                return False
            table.insert()

        result = current.mail.send(to,
                                   subject = subject,
                                   message = message,
                                   attachments = attachments,
                                   cc = cc,
                                   bcc = bcc,
                                   reply_to = reply_to,
                                   sender = self.sanitize_sender(sender or
                                                                 settings.get_mail_sender()),
                                   encoding = encoding,
                                   headers = {},
                                   from_address = from_address,
                                   )
        current.session.error = None if result else current.mail.error
        return result

    # -------------------------------------------------------------------------
    @staticmethod
    def send_by_pe_id(pe_id, subject="", message="", contact_method="EMAIL",
                      document_ids=None, from_address=None, system_generated=False, **data):

        s3db = current.s3db
        if contact_method == "EMAIL":
            table, values = s3db.msg_email, {"subject": subject}
            from_address = from_address or current.deployment_settings.get_mail_sender()
        elif contact_method == "SMS":
            table, values = s3db.msg_sms, {}
        else:
            raise NotImplementedError

        record = {"id": table.insert(body=message, from_address=from_address,
                                     inbound=False, **values)}
        s3db.update_super(table, record)
        message_id = record["message_id"]
        for document_id in document_ids or ():
            s3db.msg_attachment.insert(message_id=message_id, document_id=document_id)

        for entity in pe_id if isinstance(pe_id, list) else [pe_id]:
            s3db.msg_outbox.insert(message_id = message_id,
                                   pe_id = entity,
                                   contact_method = contact_method,
                                   system_generated = system_generated,
                                   )
        current.s3task.run_async("msg_process_outbox", args=[contact_method])
        return message_id

    # -------------------------------------------------------------------------
    def send_email_by_pe_id(self, pe_id, subject="", message="", from_address=None,
                            system_generated=False):

        # As Eden has it: the fifth is document_ids
        return self.send_by_pe_id(pe_id, subject, message, "EMAIL", from_address,
                                  system_generated)

    # -------------------------------------------------------------------------
    def process_outbox(self, contact_method="EMAIL"):

        raise NotImplementedError("MailS3 takes the place of this one")

    # -------------------------------------------------------------------------
    def send_sms_via_api(self, mobile, text="", message_id=None, channel_id=None):

        table = current.s3db.msg_sms_webapi_channel
        api = current.db(table.channel_id == channel_id).select().first()
        query = dict(part.split("=") for part in api.parameters.split("&"))
        query[api.message_variable] = text.encode("iso-8859-1")
        query[api.to_variable] = self.sanitise_phone(mobile)
        try:
            # As Eden-ASP has it: text, which the real urlopen refuses
            urlopen(HttpRequest(api.url), urlencode(query)).read()
        except HTTPError:
            return False
        return True

    # -------------------------------------------------------------------------
    def send_sms_via_smtp(self, mobile, text="", channel_id=None):

        table = current.s3db.msg_sms_smtp_channel
        gateway = current.db(table.channel_id == channel_id).select().first()
        try:
            return self.send_email(to = "%s@%s" % (self.sanitise_phone(mobile),
                                                   gateway.address),
                                   subject = "",
                                   message = text)
        except Exception:
            return False

# =============================================================================
class Task:
    """ current.s3task (S3Task) """

    def __init__(self, tasks):

        self.tasks = tasks

    def run_async(self, task, args=None, vars=None, timeout=300):
        """ As without a worker: at once """

        self.tasks[task](*args or (), **vars or {})

# =============================================================================
class Auth:
    """ current.auth (AuthS3), of a site where everybody may see everything """

    override = False

    def __init__(self, roles):

        self.settings = Storage(mailer=True)
        self.user = None
        self.roles = roles

    @staticmethod
    def s3_send_welcome_email(user, password=None):
        current.msg.send_email(user["email"], subject="Welcome", message="Password %s" % password)

    @staticmethod
    def s3_approver(user):
        return "approver@example.org", None

    def s3_has_role(self, role, for_pe=None, include_admin=True):
        return role in self.roles

    def s3_has_permission(self, method, table, record_id=None, c=None, f=None):
        return True

    def s3_accessible_query(self, method, table, c=None, f=None):
        return table.id > 0

# =============================================================================
class StandIn:
    """
        An installation: its folder, its database, its settings

        eden = StandIn(folder, uri)
        eden.create()
        eden.settings["mail"].update(server=relay.address, sender="a@example.org")
        environment = eden.environment() # a request begins
        environment["db"].close()
    """

    MODULES = sorted({name.partition("_")[0] for name in TABLES})

    def __init__(self, folder, uri):
        """
            Args:
                folder: of the app (Path)
                uri: of its database (pydal URI)
        """

        self.folder = folder
        self.uri = uri
        self.clear()
        for name in ("databases", "languages", "uploads"):
            (folder / name).mkdir(exist_ok=True)

    # -------------------------------------------------------------------------
    def clear(self):
        """ Give the settings back as they were """

        self.settings = {"mail": {}, "msg": {}, "org": {},
                         "modules": {name: Storage() for name in self.MODULES}}
        self.mail_class = Mail2

    # -------------------------------------------------------------------------
    def create(self):
        """ Make Eden's tables """

        db = self._connection(migrate=True)
        s3db = Model(db, str(self.folder), Settings(self.settings))
        for name in TABLES:
            s3db.table(name)
        db.commit()
        db.close()

    # -------------------------------------------------------------------------
    def environment(self, tasks=None, roles=(), page=None, **request_env):
        """
            Begin a request in this thread, as gluon and Eden's models do it

            Args:
                tasks: further tasks of the scheduler: dict {name: function}
                roles: those of the visitor
                page: tuple (controller, function), None if it is not a page
                request_env: like request_method = "GET"

            Returns:
                the names that the models have defined (dict)
        """

        current.request = request = Request(dict(request_env))
        request.application = "shelter"
        request.controller, request.function = page or (None, None)
        request.folder = str(self.folder)
        current.response = Response()
        current.T = TranslatorFactory(str(self.folder / "languages"), None)
        current.session = Storage()
        if not hasattr(current, "cache"):
            # Another thread than that of the test
            current.cache = Cache(request)

        current.deployment_settings = settings = Settings(self.settings)
        current.db = db = self._connection(migrate=False)
        current.s3db = Model(db, str(self.folder), settings)
        current.msg = Msg()
        current.s3task = Task({"msg_process_outbox": current.msg.process_outbox,
                               **(tasks or {})})
        current.auth = Auth(roles)
        current.mail = mail = self.mail_class()
        Scheduler(db, dict(current.s3task.tasks), migrate=False)
        return {"db": db, "auth": current.auth, "mail": mail, "msg": current.msg,
                "s3db": current.s3db, "s3task": current.s3task, "settings": settings}

    # -------------------------------------------------------------------------
    def _connection(self, migrate):

        def hasten(adapter):
            # No power cut in the tests: a commit need not wait for the disk
            if adapter.dbengine == "sqlite":
                adapter.execute("PRAGMA synchronous = OFF")
            elif adapter.dbengine == "postgres":
                adapter.execute("SET synchronous_commit = OFF")
                adapter.connection.commit()

        return DAL(self.uri,
                   folder = str(self.folder / "databases"),
                   migrate_enabled = migrate,
                   after_connection = hasten,
                   )

# END =========================================================================
