# -*- coding: utf-8 -*-

"""
    How a message gets into the queue, and into which transaction

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from contextlib import ExitStack, contextmanager
from threading import current_thread

from ..states import DRAFT, EMAIL, NEW, NORMAL, SCHEDULED, UNSENT
from .contents import Contents
from .database import commits_each_statement, has_written, insert_rows, own_connection, \
                      sql_literal, sql_time
from .lookup import Queued

__all__ = ("enqueue", "transaction")

# A thread without a transaction waits so long for another writer on SQLite
LOCK_WAIT_S = 5

# -----------------------------------------------------------------------------
def enqueue(tables, message, message_id_header, now, retries=None, priority=NORMAL,
            not_before=None, is_held=False, **options):
    """
        Queue a message: one delivery for each recipient; commits are the
        caller's

        Args:
            tables: the Tables
            message: the Message
            message_id_header: its Message-ID
            now: the time
            retries: how often each delivery may be retried; None = no limit
            priority: 0 (first) to 9 (last)
            not_before: not to be sent before that time, which is to come; None =
                        at once
            is_held: in a test: no worker of any process is to send it, also if
                     the test commits
            options: expires_on, idempotency_key, secret: see Contents.store()

        Returns:
            tuple (the Queued, list of the ids of its deliveries)

        Raises:
            as Contents.store(); ValueError: the database can't store an address
    """

    message_id = Contents(tables).store(message, message_id_header, now, **options)
    common = {"contact_method": EMAIL,
              "status": DRAFT if is_held else UNSENT,
              "retries": retries,
              "created_on": now,
              "modified_on": now,
              }
    outbox_ids = insert_rows(tables.db, tables.outbox,
                             *outbox_rows(tables.outbox, common, message.recipients))
    check_stored(tables, outbox_ids, message.recipients)
    queue, reply = SCHEDULED if not_before else NEW, "NULL"
    if is_held:
        queue, reply = "NULL", "'Queued in a test'"
    ids = insert_rows(tables.db, tables.delivery,
                      "outbox_id, message_id, channel, queue, priority, due_on, "
                      "attempts, in_doubt_count, reply",
                      ["%d, %d, '%s', %s, %d, '%s', 0, 0, %s" %
                       (outbox_id, message_id, EMAIL, queue, priority,
                        sql_time(not_before or now), reply)
                       for outbox_id in outbox_ids])
    return Queued(outbox_ids[0], message_id_header, dict(zip(message.recipients, outbox_ids))), ids

# -----------------------------------------------------------------------------
def check_stored(tables, outbox_ids, addresses):
    """
        Make sure that the database has the addresses as they are: MySQL stores
        question marks for what its character set does not have

        Raises:
            ValueError: it has others
    """

    if all(map(str.isascii, addresses)):
        return
    outbox = tables.outbox
    stored = tables.db(outbox.id.belongs(outbox_ids)).select(outbox.address)
    if {row.address for row in stored} != set(addresses):
        raise ValueError("The database can't store an address")

# -----------------------------------------------------------------------------
def outbox_rows(table, common, addresses):
    """
        Rows of msg_outbox, which may be the host's, with the host's own defaults

        Args:
            table: the Table msg_outbox
            common: the values that all rows have in common (dict)
            addresses: of the recipients

        Returns:
            columns and rows for insert_rows()
    """

    expand = table._db._adapter.expand
    known = {name: sql_literal(value) for name, value in common.items()}
    rows = [table._fields_and_values_for_insert(dict(common, address=address)).op_values()
            for address in addresses]
    return ", ".join(field._rname for field, _ in rows[0]), \
           [", ".join(known.get(field.name) or expand(value, field.type)
                      for field, value in row) for row in rows]

# -----------------------------------------------------------------------------
@contextmanager
def transaction(db, others, thread):
    """
        The transaction to queue in: the caller's, if somebody commits it
        - web2py commits the connections of the thread that has run the models,
          when the request, the task or the script ends. In a thread that the
          app has started, perhaps nobody commits: there, the mail is committed
          on a connection of its own, and the thread's transaction is left alone.
        - on SQLite, a thread that has begun to write locks out all others, this
          function included: that thread has to commit, and the mail with it

        Args:
            db: the DAL of the app
            others: further DALs that are written to, like the scheduler's
            thread: the thread that has run the models

        Yields:
            whether the transaction is the caller's: else it is committed at
            the end of the block
    """

    if current_thread() is thread or has_written(db):
        yield not commits_each_statement(db)
        return
    with ExitStack() as stack:
        for each in (db, *others):
            stack.enter_context(own_connection(each, LOCK_WAIT_S))
        yield False

# END =========================================================================
