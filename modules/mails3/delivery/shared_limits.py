# -*- coding: utf-8 -*-

"""
    The Limits of a relay, as all workers of a site share them: in the row of the
    relay

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from typing import NamedTuple, Optional

from ..setting_forms import read_rates
from ..states import EMAIL
from .limits import Limits, seconds

__all__ = ("SharedLimits",)

# How often a change is written again that another worker was faster with
MAX_TRIES = 20

# =============================================================================
class Known(NamedTuple):
    """ The columns pace and pace_no of the row """

    text: Optional[str]
    number: Optional[int]

# =============================================================================
class SharedLimits:
    """ Reads and changes the Limits in the row; commits are the caller's """

    def __init__(self, relay):
        """
            Args:
                relay: the Relay
        """

        self.row, options = relay.row, relay.options
        # How much the mail server takes, as the site has set it
        self.rates = read_rates(options.rate) if relay.channel.name == EMAIL else []
        self.counts_recipients = options.rate_counts == "recipients"

        self.relay_name = None
        self.known = Known(None, None) # as last read or committed
        self.written = None            # the Known that is written and not committed yet

    # -------------------------------------------------------------------------
    def read(self, row, relay_name=None):
        """
            Take over what all workers know

            Args:
                row: as from ChannelRow.read()
                relay_name: None = the one that is known
        """

        self.relay_name, self.known = relay_name, Known(row.pace, row.pace_no)

    # -------------------------------------------------------------------------
    def limits(self):
        """ The Limits, as they are known """

        return Limits(self.rates, self.counts_recipients, self.known.text, self.relay_name)

    # -------------------------------------------------------------------------
    def change(self, change, now):
        """
            Write a change, to be committed; then call note_written()

            Args:
                change: function that changes the Limits; it is called again with
                        what is known then, if another worker was faster
                now: tells the time (datetime)

            Returns:
                what the last call of the function has returned

            Raises:
                TimeoutError: other workers were faster again and again
        """

        for _ in range(MAX_TRIES):
            limits = self.limits()
            returned = change(limits)
            self.written = Known(limits.dump(seconds(now())), (self.known.number or 0) + 1)
            # The number differs each time: MySQL counts only rows that it has changed
            if self.row.update(self.row.table.pace_no == self.known.number,
                               pace = self.written.text,
                               pace_no = self.written.number,
                               ):
                return returned
            self.read(self.row.read_latest(), self.relay_name)
        raise TimeoutError("The limits are changed too often")

    # -------------------------------------------------------------------------
    def note_written(self):
        """ What was written is committed """

        self.known = self.written

# END =========================================================================
