"""
    Actions of others at the same time, on connections of their own
"""

from threading import Thread

from .site import eventually

# -----------------------------------------------------------------------------
def meanwhile(office, verb, action):
    """
        Do something while the relay has a command and has not answered yet;
        on a connection of its own

        Args:
            verb: the command
            action: function of a MailS3 like that of another process

        Returns:
            the thread, started
    """

    def wait_and_act():
        assert eventually(lambda: any(seen == verb for _, seen, _ in office.relay.commands))
        db = office.connection()
        try:
            action(office.mailer(db))
        finally:
            db.rollback()
            db.close()

    thread = Thread(target=wait_and_act)
    thread.start()
    return thread

# -----------------------------------------------------------------------------
def end_of_connection(db):
    """ What another connection has to say to end this one (SQL) """

    query, end = ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend(%s)") \
        if db._adapter.dbengine == "postgres" else ("SELECT connection_id()", "KILL %s")
    number, = db.executesql(query)[0]
    db.commit()
    return end % number

# -----------------------------------------------------------------------------
def somebody_waits(db):
    """
        Whether a transaction in this database waits for another one's lock
        - other tests may run on other databases of the server
    """

    waiting = {"postgres": "SELECT count(*) FROM pg_stat_activity WHERE "
                           "datname = current_database() AND wait_event_type = 'Lock'",
               "mysql": "SELECT count(*) FROM information_schema.innodb_trx, "
                        "information_schema.processlist WHERE id = trx_mysql_thread_id "
                        "AND db = DATABASE() AND trx_state = 'LOCK WAIT'",
               }[db._adapter.dbengine]
    count = db.executesql(waiting)[0][0]
    db.rollback()
    return count

# END =========================================================================
