"""
    Actions of others at the same time, on connections of their own
"""

from threading import Event, Thread

# How long an action waits for its command, and the run for the answer (seconds)
TIMEOUT_S = 30

# -----------------------------------------------------------------------------
def meanwhile(office, verb, action, to=None):
    """
        Do something while the relay has a command, on a connection of its own;
        the relay answers when that is done. Begin the run after that.

        Args:
            office: the Office
            verb: the command
            action: function of a MailS3 like that of another process
            to: the recipient whose command it is; None = any

        Returns:
            the thread, started
    """

    begun, done = Event(), Event()

    def is_done():
        begun.set()
        return done.is_set()

    def wait_and_act():
        assert begun.wait(TIMEOUT_S)
        db = office.connection()
        try:
            action(office.mailer(db))
        finally:
            db.rollback()
            db.close()
            done.set()

    office.configure(reply_timeout=TIMEOUT_S)
    office.relay.hold(verb, is_done, to, times=1)
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
