# -*- coding: utf-8 -*-

"""
    A relay: one of the mail servers by which a channel sends. Mostly there is
    one, that of web2py's Mail; the site may set further ones, in the order in
    which they are preferred.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from datetime import timedelta
from functools import cached_property
from math import inf

from ..message.domain import with_ascii_domain
from ..queue.channel_row import ChannelRow
from ..queue.claims import Claims
from ..setting_forms import matches, read_patterns
from ..states import DEFERRED, NEW
from .allowance import Allowance
from .breaker import Breaker, is_paused, is_waiting
from .capture import Capture, CaptureTransport
from .limits import Limiter
from .route import route

__all__ = ("Relay",)

# How long a silent relay is waited for where another one takes the mail as well
# (seconds): somebody who registers waits for this mail
PATIENCE_S, FINAL_PATIENCE_S = 4, 15

# A run lasts so long if other mail waits for another relay
TURN = timedelta(seconds=15)

# =============================================================================
class Relay:
    """
        What a run has to know of one relay

        row, breaker, limiter: those of this relay; the first relay has the row
                               of the channel
        claims: the deliveries that may go by this relay now, see read_route()
    """

    def __init__(self, channel, settings=None):
        """
            Args:
                channel: the Channel
                settings: those of a further relay (see settings.py); None = the
                          first one, with those of the channel
        """

        self.channel = channel
        self.settings = settings
        self.options = settings or channel.options
        self.only_for = list(map(with_ascii_domain, read_patterns(settings.only_for))) \
            if settings else []
        if settings:
            self.row = ChannelRow(channel.db, "%s relay %s" % (channel.row_name, settings.name),
                                  channel.is_apart)
            self.breaker = Breaker(self.row)
        else:
            self.row, self.breaker = channel.row, channel.breaker

    # -------------------------------------------------------------------------
    @property
    def name(self):
        """ Its name in the settings (str); None = the first relay """

        return self.settings and self.settings.name

    # -------------------------------------------------------------------------
    @cached_property
    def limiter(self):
        """ The Limiter """

        return Limiter(self.row, self.options)

    # -------------------------------------------------------------------------
    def transport(self):
        """ A Transport """

        if Capture(self.options).is_whole(self.channel.name):
            return CaptureTransport(self.channel.mail, self.options.reply_timeout)
        return self.channel.transport(self.settings)

    # -------------------------------------------------------------------------
    @cached_property
    def claims(self):
        """ The Claims """

        channel = self.channel
        if not self.others:
            return channel.claims
        return Claims(channel.tables, channel.transitions, channel.name, self.options.longest_wait)

    # -------------------------------------------------------------------------
    def allowance(self, now):
        """ What may be handed over at a time: the Allowance, as it is in the database """

        return Allowance.at(self, self.row.read(), now)

    # -------------------------------------------------------------------------
    # The other relays
    #
    @cached_property
    def others(self):
        """ The other relays of the channel (list) """

        return [relay for relay in self.channel.relays if relay.name != self.name]

    # -------------------------------------------------------------------------
    @property
    def preferred(self):
        """ The relays that are preferred to this one (list): see Channel.relays """

        names = [relay.name for relay in self.channel.relays]
        return self.channel.relays[:names.index(self.name)]

    # -------------------------------------------------------------------------
    def is_usable(self, now):
        """ Whether mail may flow to this relay, or a probe is due (now: the time) """

        return not is_waiting(self.row.read(), now)

    # -------------------------------------------------------------------------
    def may_send(self, now, is_patient=True):
        """
            Whether mail may go by this relay now, or a probe: no pause, no limit is
            reached

            Args:
                now: the time
                is_patient: see Channel.has_work()
        """

        row = self.row.read()
        if is_patient and (is_waiting(row, now) or self.is_paused(row, now)):
            return False
        return bool(Allowance.at(self, row, now).left())

    # -------------------------------------------------------------------------
    def is_paused(self, row, now):
        """
            Whether an admin has paused sending

            Args:
                row: as from self.row.read()
                now: the time
        """

        return is_paused(self.channel.row.read() if self.settings else row, now)

    # -------------------------------------------------------------------------
    def has_replacement(self, now):
        """ Whether another relay takes the mail if this one does not (now: the time) """

        return any(not relay.only_for and relay.is_usable(now) for relay in self.others)

    # -------------------------------------------------------------------------
    def patience_s(self, message_time_s, now):
        """
            How long a run waits for a relay that is silent

            Args:
                message_time_s: what one message may take in all (seconds)
                now: the time

            Returns:
                tuple of seconds, fewer where another relay takes the mail as well:
                after a failure for the messages that would be in doubt; for the
                other ones, and always for the banner
        """

        most = (FINAL_PATIENCE_S, PATIENCE_S) if self.has_replacement(now) else (inf, inf)
        return tuple(min(each_s, message_time_s) for each_s in most)

    # -------------------------------------------------------------------------
    # Which mail goes by this relay
    #
    def read_route(self, now):
        """
            Find out which mail may go by this relay now: not what a relay takes
            that is preferred and usable

            Args:
                now: the time

            Returns:
                whether any mail may
        """

        if not self.others:
            return True
        taken = [relay.only_for for relay in self.preferred if relay.is_usable(now)]
        if not all(taken):
            return False
        self.claims.route = route(self.channel.tables, self.only_for,
                                  [pattern for patterns in taken for pattern in patterns])
        return True

    # -------------------------------------------------------------------------
    def takes(self, address):
        """ Whether a recipient's address (str) may go by this relay """

        return not self.only_for or matches(address, self.only_for)

    # -------------------------------------------------------------------------
    def has_work(self, now, has_new, is_patient):
        """
            Whether a run would find something to send by this relay; no write

            Args:
                now: the time
                has_new: whether there is new mail for any relay
                is_patient: see Channel.has_work()
        """

        if not self.may_send(now, is_patient) or not self.read_route(now):
            return False
        if has_new and (not self.others or not self.channel.claims.has_free(NEW, now) or
                        self.claims.has_free(NEW, now)):
            # What the host itself has put into msg_outbox is in no queue yet
            return True
        return self.claims.has_free(DEFERRED, now) and \
            self.limiter.may_begin_retry_pass(self.row.read(), now)

    # -------------------------------------------------------------------------
    def is_to_stop(self, now, began_on):
        """
            Whether this relay's run is to end: a relay that is preferred is usable
            again, or mail waits that goes by another relay

            Args:
                now: the time
                began_on: when the run began
        """

        if not self.others:
            return False
        is_long = now - began_on > TURN
        return not self.read_route(now) or self.others_have(
            lambda claims: claims.has_urgent(now) or is_long and claims.has_free(NEW, now), now)

    # -------------------------------------------------------------------------
    def others_have(self, has, now):
        """
            Whether there is mail that may go by another relay now

            Args:
                has: function that tells whether there is, for the Claims of a relay
                now: the time
        """

        return any(relay.may_send(now) and relay.read_route(now) and has(relay.claims)
                   for relay in self.others)

    # -------------------------------------------------------------------------
    def waiting_among(self, ids, now):
        """
            New deliveries that may go by this relay now

            Args:
                ids: of deliveries
                now: the time

            Returns:
                list of those ids that are among them
        """

        return self.claims.waiting_among(ids) if self.read_route(now) else []

# END =========================================================================
