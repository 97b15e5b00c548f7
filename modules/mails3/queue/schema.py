# -*- coding: utf-8 -*-

"""
    The tables: msg_outbox where the host has none, and companions of our own

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from ..states import EMAIL, NORMAL, UNSENT

__all__ = ("COMPANIONS", "INDEXES", "TABLES", "Tables", "define")

# The columns of each table: (name, type, options), as for pydal's Field
# - links are plain integers: no table of ours refers to one of Eden's, so that
#   no row of ours keeps a row of Eden's from being deleted
FIELDS = {
    # Eden's columns, as far as a queue without persons needs them
    "msg_outbox": (
        ("message_id", "integer", {}),
        ("address", "string", {"length": 512}),
        ("contact_method", "string", {"length": 32, "default": EMAIL}),
        ("status", "integer", {"notnull": True, "default": UNSENT}),
        ("retries", "integer", {}),
        ("created_on", "datetime", {}),
        ("modified_on", "datetime", {}),
        ),
    # What one send() call hands over
    "mails3_message": (
        ("message_id_header", "string", {"length": 255}), # the same for all attempts
        ("idempotency_key", "string", {"length": 64, "unique": True}), # its digest
        ("queued_on", "datetime", {}),
        ("expires_on", "datetime", {}),
        ("individual", "boolean", {"default": False}), # each recipient gets an own mail
        ("head", "text", {}),                          # see Message.dump()
        ("body", "text", {}),                          # None: dropped
        ("stored_bytes", "integer", {}),               # attachments included
        ("secret", "boolean", {"default": False}),     # to be dropped once it is sent
        ),
    "mails3_attachment": (
        ("message_id", "integer", {}),                 # of mails3_message
        ("part_no", "integer", {}),
        ("payload", "blob", {}),
        ),
    # What msg_outbox has no room for: one row for each of its rows
    "mails3_delivery": (
        ("outbox_id", "integer", {"unique": True}),
        ("message_id", "integer", {}),                 # of mails3_message
        ("expanded_from", "integer", {}),              # outbox_id of a group's row
        ("channel", "string", {"length": 32, "default": EMAIL}),
        ("queue", "integer", {}),                      # NEW, ...; None: no run sends it
        ("priority", "integer", {"default": NORMAL}),  # 0 first, 9 last
        ("due_on", "datetime", {}),
        ("attempts", "integer", {"default": 0}),
        ("deferred_on", "datetime", {}),               # refused for the first time
        ("lease", "string", {"length": 36}),           # the worker that has claimed it
        ("leased_until", "datetime", {}),
        ("begun_on", "datetime", {}),                  # in doubt if its worker is lost now
        ("in_doubt_count", "integer", {"default": 0}), # earlier handovers without an answer
        ("put_back_on", "datetime", {}),               # the relay went away when it took this
        ("throttled_on", "datetime", {}),              # the relay wanted less mail
        ("throttle_count", "integer", {"default": 0}), # how often, with others accepted between
        ("tried_on", "datetime", {}),
        ("captured_on", "datetime", {}),               # kept in place of being sent
        ("reply", "string", {"length": 512}),          # why it is in its state
        ),
    # An attempt that failed
    "mails3_attempt": (
        ("delivery_id", "integer", {}),
        ("tried_on", "datetime", {}),
        ("phase", "string", {"length": 32}),           # where in the dialogue
        ("code", "integer", {}),                       # None: the relay did not reply
        ("reply", "string", {"length": 512}),
        ),
    # A delivery that has come to its end, of which the app is to be told
    "mails3_outcome": (
        ("outbox_id", "integer", {}),
        ),
    # The state of a channel: breaker, limits, activity. One row for each
    # channel of each site (app) in the database.
    "mails3_channel": (
        ("site", "string", {"length": 128, "unique": True}),
        # Breaker
        ("status", "string", {"length": 8}),           # CLOSED, TRIPPED
        ("reason", "string", {"length": 512}),
        ("cause", "string", {"length": 16}),           # RELAY, CONFIGURATION
        ("tripped_on", "datetime", {}),
        ("accepted_on", "datetime", {}),               # took mail again after a trip
        ("probe_on", "datetime", {}),
        ("probes", "integer", {"default": 0}),
        ("refusals", "integer", {"default": 0}),       # in a row, none accepted
        ("login_refused", "boolean", {"default": False}),
        ("refused_login", "string", {"length": 64}),   # fingerprint of the login
        ("fingerprints", "string", {"length": 512}),   # configurations that have failed
        ("salt", "string", {"length": 36}),
        # Limits
        ("pace", "text", {}),                          # see Limits (delivery/allowance.py)
        ("pace_no", "integer", {"default": 0}),        # counts the changes of pace
        ("certificate", "text", {}),                   # the relay's, see KnownCertificate
        # Activity
        ("drained_on", "datetime", {}),                # a run was at work
        ("retried_on", "datetime", {}),
        ("manual_run_on", "datetime", {}),             # cron or a person has started a run
        # Pause
        ("paused_on", "datetime", {}),                 # None: not paused
        ("paused_until", "datetime", {}),              # None: until somebody resumes
        ("paused_by", "string", {"length": 128}),
        ("pause_reason", "string", {"length": 512}),
        ("purged_on", "datetime", {}),                 # a worker of our own has purged
        # What the purge has removed still counts
        ("purged_sent", "integer", {"default": 0}),
        ("purged_attempts", "integer", {"default": 0}),
        ),
    # A worker at work, or one that was lost
    "mails3_worker": (
        ("name", "string", {"length": 36, "unique": True}), # its lease
        ("site", "string", {"length": 128}),
        ("kind", "string", {"length": 16}),            # see queue/workers.py
        ("machine", "string", {"length": 128}),
        ("process_id", "integer", {}),
        ("since", "datetime", {}),
        ("alive_on", "datetime", {}),                  # its last sign of life
        ("doing", "string", {"length": 128}),
        ),
    # What an admin is told once: one row for each site and kind
    "mails3_incident": (
        ("name", "string", {"length": 160, "unique": True}), # site/kind
        ("is_active", "boolean", {"default": False}),
        ("since", "datetime", {}),
        ("reason", "string", {"length": 512}),
        ("told", "boolean", {"default": False}),       # is_active, as last told
        ("tell_on", "datetime", {}),                   # not earlier
        ),
    }

TABLES = tuple(FIELDS)
COMPANIONS = TABLES[1:]

# Indexes for the queries of the runs: (table, name, columns)
INDEXES = (("mails3_delivery", "mails3_delivery_new",
            ("channel", "queue", "priority", "due_on", "id")),
           ("mails3_delivery", "mails3_delivery_due", ("channel", "queue", "due_on")),
           ("mails3_delivery", "mails3_delivery_lease", ("lease",)),
           ("mails3_delivery", "mails3_delivery_message", ("message_id",)),
           ("mails3_message", "mails3_message_id_header", ("message_id_header",)),
           ("mails3_attachment", "mails3_attachment_message", ("message_id",)),
           ("mails3_attempt", "mails3_attempt_delivery", ("delivery_id",)),
           )

# -----------------------------------------------------------------------------
def define(db, names=TABLES):
    """
        Define the tables for pydal, those that db does not have yet; makes
        nothing in the database (see migration.create)

        Args:
            db: the DAL
            names: of the tables to define
    """

    # Fields that the app adds to all its tables are not for ours
    common_fields, db._common_fields = db._common_fields, []
    try:
        for name in names:
            if name not in db.tables:
                # The host's Field, without importing web2py
                fields = [db.Field(column, kind, **options)
                          for column, kind, options in FIELDS[name]]
                db.define_table(name, *fields, migrate=False)
    finally:
        db._common_fields = common_fields

# =============================================================================
class Tables:
    """ The tables of the queue, and what the host's msg_outbox is like """

    def __init__(self, db):
        """
            Args:
                db: the DAL, with the tables defined
        """

        self.db = db
        self.outbox = db.msg_outbox
        self.delivery = db.mails3_delivery
        self.message = db.mails3_message
        self.attachment = db.mails3_attachment
        self.attempt = db.mails3_attempt
        self.outcome = db.mails3_outcome
        # Whether the app wants to be told of deliveries that come to their end
        self.keeps_outcomes = False
        # Eden keeps a row that somebody deletes, and marks the row
        self.keeps_deleted = "deleted" in self.outbox.fields
        # Query for the rows that nobody has deleted
        self.not_deleted = (self.outbox.deleted == False) if self.keeps_deleted \
            else (self.outbox.id > 0)

# END =========================================================================
