# -*- coding: utf-8 -*-

"""
    The relays of a site, as an admin sees them

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from dataclasses import dataclass
from typing import Any, Optional

from ..delivery.breaker import TRIPPED, fingerprints_of, is_paused
from ..delivery.relay import Relay
from .configuration import server_of

__all__ = ("RelayState", "label_of", "relay_list")

# What as_dict() tells of a relay
FIELDS = ("status", "reason", "cause", "tripped_on", "accepted_on", "probe_on", "probes",
          "login_refused")

# =============================================================================
@dataclass(frozen = True)
class RelayState:
    """
        What is known of a relay

        row: its row of mails3_channel
        server: the mail server because of which sending is suspended (host:port);
                None = it is not suspended, or with another configuration than this
        replacement: the relay by which its mail goes while it is suspended, or None
    """

    relay: Relay
    row: Any
    server: Optional[str]
    replacement: Optional[Relay]

    # -------------------------------------------------------------------------
    @property
    def is_suspended(self):
        """ Whether sending by it is suspended """

        return self.row.status == TRIPPED

    # -------------------------------------------------------------------------
    def as_dict(self):
        """ All of it, for --json (dict) """

        return {"name": self.relay.name,
                "server": self.server,
                "only_for": self.relay.only_for,
                "replacement": self.replacement and label_of(self.replacement),
                **{name: self.row[name] for name in FIELDS}}

# -----------------------------------------------------------------------------
def label_of(relay):
    """ The name of a Relay (str): "first", or that of its section of the settings """

    return relay.name or "first"

# -----------------------------------------------------------------------------
def relay_list(channel, now):
    """
        The state of each relay

        Args:
            channel: the Channel
            now: the time (datetime, UTC)

        Returns:
            list of RelayState, the first relay first
    """

    rows = {relay: relay.row.read() for relay in channel.relays}
    relays = sorted(rows, key = lambda relay: relay.settings is not None)
    # A pause is for all relays
    flowing = [relay for relay in channel.relays
               if not relay.only_for and rows[relay].status != TRIPPED] \
        if not is_paused(channel.row.read(), now) else []
    return [RelayState(relay, row, server_of(channel.mail, row.salt, fingerprints_of(row),
                                             relay.settings)
                       if row.status == TRIPPED else None,
                       next(iter(flowing), None) if row.status == TRIPPED else None)
            for relay, row in ((relay, rows[relay]) for relay in relays)]

# END =========================================================================
