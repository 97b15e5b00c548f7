# -*- coding: utf-8 -*-

"""
    What is known of the relay's certificate, in the row of the channel: one worker has
    found it out, page and command line tell it

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import json

from datetime import datetime, timedelta
from typing import NamedTuple, Optional

__all__ = ("KnownCertificate", "KnownCertificates")

# A name may have several machines, one or more with bad certificates: the first of them
# that was met is told about, until its machine shows another one, or no session has met it
# for so long. Else an admin would be told again and again.
FORGET_AFTER = timedelta(days=1)

# How often it is noted that the bad one is still met
NOTE_EVERY = timedelta(hours=1)

TIME = "%Y-%m-%dT%H:%M:%S"

# =============================================================================
class KnownCertificate(NamedTuple):
    """ What sessions have found out about the certificate of one relay """

    relay: str              # host:port
    is_verified: bool       # or pinned
    is_told: bool           # to the admin, as a warning
    text: str               # as that of the Finding
    fingerprint: str        # of the certificate
    address: Optional[str]  # of the machine that has shown it
    seen_on: str            # UTC

    # -------------------------------------------------------------------------
    @classmethod
    def of(cls, relay, finding, now):
        """ That a session has found out just now (finding: the Finding) """

        return cls(relay, finding.reason is None, finding.is_told, finding.text,
                   finding.certificate.fingerprint, finding.address, now.strftime(TIME))

    # -------------------------------------------------------------------------
    @classmethod
    def load(cls, text, relay):
        """
            As it is stored

            Args:
                text: the column certificate; None = nothing is known
                relay: host:port

            Returns:
                the KnownCertificate, None if nothing is known of this relay
        """

        try:
            known = cls(**json.loads(text)) if text else None
        except TypeError:
            # Another version of MailS3 has written it
            return None
        return known if known and known.relay == relay else None

    # -------------------------------------------------------------------------
    def dump(self):
        """ As a text for the database """

        return json.dumps(self._asdict(), separators=(",", ":"))

    # -------------------------------------------------------------------------
    def is_outdated(self, newer, now):
        """
            Whether something newer is to be written in its place

            Args:
                newer: the KnownCertificate
                now: the time
        """

        if not self.is_told:
            return newer.is_told or newer.is_verified != self.is_verified
        age = now - datetime.strptime(self.seen_on, TIME)
        if newer._replace(seen_on="", address="") == self._replace(seen_on="", address=""):
            return not timedelta(0) <= age < NOTE_EVERY
        return newer.address == self.address or newer.fingerprint == self.fingerprint or \
            not timedelta(0) <= age < FORGET_AFTER

# =============================================================================
class KnownCertificates:
    """ A run's view of the column certificate; commits are the caller's """

    def __init__(self, row, transport, now):
        """
            Args:
                row: the ChannelRow
                transport: the Transport, whose sessions have found out something
                now: tells the time (datetime)
        """

        self.row = row
        self.transport = transport
        self.now = now
        self.stored = None    # the column, as last read or committed
        self.written = None   # as written, and not committed yet
        self.noted = frozenset() # the findings that are committed, or no news
        self.new = frozenset()   # those that are written

    # -------------------------------------------------------------------------
    def read(self, row):
        """ Take over what all workers know (row: as from ChannelRow.read()) """

        self.stored = self.written = row.certificate

    # -------------------------------------------------------------------------
    def write(self):
        """ Write what the sessions have found out, if it is news; then call note_written() """

        self.new = frozenset(self.transport.findings()) - self.noted
        if not self.new:
            return
        now, self.written = self.now(), self.stored
        for relay, finding in self.new:
            newer = KnownCertificate.of(relay, finding, now)
            known = KnownCertificate.load(self.written, relay)
            if known is None or known.is_outdated(newer, now):
                self.written = newer.dump()
        if self.written != self.stored:
            self.row.update(certificate=self.written)

    # -------------------------------------------------------------------------
    def note_written(self):
        """ What was written is committed """

        self.stored, self.noted, self.new = self.written, self.noted | self.new, frozenset()

# END =========================================================================
