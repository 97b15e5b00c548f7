"""
    Transports that tests put in place of a channel's own: by
    Channel.worker(transport=...), as a host does with one of its own
"""

from mails3.delivery.transport import Transport

# =============================================================================
class WatchedTransport(Transport):
    """ A Transport that lets a test act at certain points of a run """

    def __init__(self, mail, before_open=None, before=None, during=None):
        """
            Args:
                mail: the MailS3
                before_open: function that is called before sessions are opened:
                             deliveries are claimed then, and not begun
                before: function that is called with each Outgoing before it is
                        handed over: it is begun then
                during: function that is called with each Outgoing whenever its
                        session goes on
        """

        super().__init__(mail, mail.options.reply_timeout)
        self.before_open = before_open
        self.before = before
        self.during = during

    # -------------------------------------------------------------------------
    def opening(self, *args):

        if self.before_open:
            self.before_open()
        yield from super().opening(*args)

    # -------------------------------------------------------------------------
    def sending(self, session, outgoing, *args):

        if self.before:
            self.before(outgoing)
        return self._watched(super().sending(session, outgoing, *args), outgoing)

    # -------------------------------------------------------------------------
    def _watched(self, steps, outgoing):
        """ The same generator, with a call of during() before each of its steps """

        try:
            while True:
                if self.during:
                    self.during(outgoing)
                try:
                    wait = next(steps)
                except StopIteration as end:
                    return end.value
                yield wait
        finally:
            steps.close()

# =============================================================================
class InstantTransport(WatchedTransport):
    """
        A transport that makes no connection: all sessions answer at once, so
        that messages that begin together finish together, in their order. Each
        message takes two steps: it waits in the first, and is accepted in the
        second.
    """

    def __init__(self, mail, **options):
        """
            Args:
                mail: the MailS3
                options: as for WatchedTransport
        """

        super().__init__(mail, **options)
        self.open_sessions = set()
        self.accepted = [] # addresses, in the order in which they were accepted

    # -------------------------------------------------------------------------
    def opening(self, session, within_s, banner_within_s=None):

        if self.before_open:
            self.before_open()
        yield None
        self.open_sessions.add(session)

    # -------------------------------------------------------------------------
    def is_ready(self, session):

        return session in self.open_sessions

    # -------------------------------------------------------------------------
    def looks_ahead(self, session):

        return False

    # -------------------------------------------------------------------------
    def sending(self, session, outgoing, *args):

        if self.before:
            self.before(outgoing)
        return self._watched(self._accepting(outgoing.recipients), outgoing)

    # -------------------------------------------------------------------------
    def _accepting(self, recipients):
        """ A generator as of Transport.sending(), which waits once and accepts """

        yield None
        self.accepted += recipients
        return dict.fromkeys(recipients)

    # -------------------------------------------------------------------------
    def close(self):

        self.open_sessions.clear()

# =============================================================================
class Interrupt:
    """
        Interrupts a run as the scheduler ends a task

        InstantTransport(office.mail, during=Interrupt(after=7))
    """

    def __init__(self, after):
        """
            Args:
                after: how many calls end well
        """

        self.left = after
        self.has_struck = False

    # -------------------------------------------------------------------------
    def __call__(self, outgoing):

        if not self.left:
            self.has_struck = True
            raise KeyboardInterrupt()
        self.left -= 1

# END =========================================================================
