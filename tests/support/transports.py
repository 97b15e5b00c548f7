"""
    Transports that tests put in place of a channel's own
"""

from mails3.delivery.transport import Transport

# =============================================================================
class WatchedTransport(Transport):
    """
        A Transport that lets a test act before each message

        transport = WatchedTransport(office.mail, before=act)
        office.mail.channel().worker(transport=transport).drain()
    """

    def __init__(self, mail, before=None, before_open=None):
        """
            Args:
                mail: the MailS3
                before: function that is called with each Outgoing before it is
                        handed over; None = nothing is called
                before_open: function that is called before sessions are opened;
                             None = nothing is called
        """

        super().__init__(mail, mail.options.reply_timeout)
        self.before = before
        self.before_open = before_open

    # -------------------------------------------------------------------------
    def open(self, *args):

        if self.before_open:
            self.before_open()
        return super().open(*args)

    # -------------------------------------------------------------------------
    def sending(self, session, outgoing, *args):

        if self.before:
            self.before(outgoing)
        return super().sending(session, outgoing, *args)

# =============================================================================
class InstantTransport(WatchedTransport):
    """
        A Transport to a relay that answers at once, so that all messages that
        began together finish together: it has any number of sessions, and
        makes no connection
    """

    def __init__(self, mail, refusals=None, **options):
        """
            Args:
                mail: the MailS3
                refusals: dict {address: the DeliveryError}; all other
                          recipients are accepted
                options: as for WatchedTransport
        """

        super().__init__(mail, **options)
        self.refusals = refusals or {}
        self.count = 0      # sessions that are open
        self.accepted = []  # recipients, in the order in which they were accepted

    # -------------------------------------------------------------------------
    def open(self, count, within_s):

        if self.before_open:
            self.before_open()
        self.count = count
        return count

    # -------------------------------------------------------------------------
    def is_ready(self, session):

        return session < self.count

    # -------------------------------------------------------------------------
    def looks_ahead(self, session):

        return False

    # -------------------------------------------------------------------------
    def sending(self, session, outgoing, within_s, following=None):

        if self.before:
            self.before(outgoing)
        return self._answer(outgoing.recipients)

    # -------------------------------------------------------------------------
    def _answer(self, recipients):
        """ The generator of sending() """

        yield None
        outcome = {address: self.refusals.get(address) for address in recipients}
        self.accepted += [address for address in recipients if outcome[address] is None]
        return outcome

    # -------------------------------------------------------------------------
    def close(self):

        self.count = 0

# END =========================================================================
