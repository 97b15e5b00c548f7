"""
    A simulated relay that limits its customers, and a Transport to it: by a
    VirtualTime, without a connection. The sessions hold the real dialogue.
"""

from collections import deque
from typing import NamedTuple

from mails3.delivery.transport import Transport
from mails3.replies import BODY, DATA, MAIL, RCPT, Reply
from mails3.smtp.session import Session

# How long the relay takes to answer a group of commands, to answer a content
# beside that, to open a session (seconds)
ROUND_TRIP_S, CONTENT_S, CONNECT_S = 0.02, 0.03, 0.1

# =============================================================================
# How much the relay takes
#
class Limit:
    """ So many messages (number) in so much time (window_s, seconds) """

    def __init__(self, number, window_s):

        self.number = number
        self.window_s = window_s

    # -------------------------------------------------------------------------
    def take(self, now):
        """ Whether one more is taken, which is counted then (now: seconds) """

        is_taken = self.free_at(now) <= now
        if is_taken:
            self.count(now)
        return is_taken

    # -------------------------------------------------------------------------
    def free_at(self, now):
        """ The time from which on one more is taken (seconds), not before now """

        raise NotImplementedError

    # -------------------------------------------------------------------------
    def count(self, now):
        """ One more is taken now """

        raise NotImplementedError

# =============================================================================
class FixedWindow(Limit):
    """ Postfix (anvil): a window begins with a message; when it ends, all is forgotten """

    began, taken = float("-inf"), 0

    def free_at(self, now):

        end = self.began + self.window_s
        return now if now >= end or self.taken < self.number else end

    def count(self, now):

        if now >= self.began + self.window_s:
            self.began, self.taken = now, 0
        self.taken += 1

# =============================================================================
class SlidingWindow(Limit):
    """ Never more than so many in any time of that length """

    def __init__(self, number, window_s):

        super().__init__(number, window_s)
        self.times = deque(maxlen=number)

    def free_at(self, now):

        return now if len(self.times) < self.number else max(now, self.times[0] + self.window_s)

    def count(self, now):

        self.times.append(now)

# =============================================================================
class StrictWindow(SlidingWindow):
    """ Exim (ratelimit, strict): what is refused counts as well """

    def take(self, now):

        is_taken = super().take(now)
        if not is_taken:
            self.count(now)
        return is_taken

# =============================================================================
class TokenBucket(Limit):
    """ Amazon SES: unused messages are saved up, as many as for one window """

    at, tokens = 0, None

    def free_at(self, now):

        return max(now, self.at + (1 - self._tokens(self.at)) * self.window_s / self.number)

    def count(self, now):

        self.at, self.tokens = now, self._tokens(now) - 1

    def _tokens(self, now):
        """ How many there are """

        if self.tokens is None:
            return self.number
        # Rounding must not cost a token
        return min(self.tokens + (now - self.at) * self.number / self.window_s + 1e-9,
                   self.number)

# =============================================================================
# What the relay says
#
class Words(NamedTuple):
    """ How a relay says that there is too much mail """

    phase: str
    code: int
    text: str
    closes: bool = False # it closes the connection then

# =============================================================================
class SimulatedRelay:
    """ Answers commands, and keeps what it has taken """

    def __init__(self, limit, words, clock):
        """
            Args:
                limit: the Limit
                words: the Words for what is beyond it
                clock: the VirtualTime
        """

        self.limit = limit
        self.words = words
        self.clock = clock

        self.connections = 0
        self.transactions = 0
        self.refused = 0
        self.accepted = [] # tuples (seconds, site, recipient)

    # -------------------------------------------------------------------------
    def refusal(self, phase):
        """ The text of a refusal in a phase, None to go on """

        if phase != self.words.phase or self.limit.take(self.clock()):
            return None
        self.refused += 1
        return self.words.text

# =============================================================================
class SimulatedClient:
    """ One connection: as smtp.client.Client, as far as an open Session uses that """

    extensions = {"pipelining": "", "8bitmime": ""}

    def __init__(self, relay, site, deadlines):

        self.relay = relay
        self.site = site
        self.deadlines = deadlines
        self.must_send_content = False
        self.has_quit = False

        relay.connections += 1
        self.is_closed = False # by the relay
        self.recipients = None # of the transaction; None = there is none

    # -------------------------------------------------------------------------
    def exchange(self, group):
        """ As of Client """

        clock = self.relay.clock
        phases = [phase for phase, _ in group]
        yield from clock.until(clock() + ROUND_TRIP_S + CONTENT_S * (BODY in phases))
        clock.note_change()
        return [self._reply(phase, command) for phase, command in group]

    # -------------------------------------------------------------------------
    def _reply(self, phase, command):
        """ The Reply to one command """

        if self.is_closed:
            return Reply(phase, None, "Connection unexpectedly closed")
        if command.startswith(b"RSET"):
            self.recipients = None
            return Reply(phase, 250, "2.0.0 Ok")
        if phase == MAIL:
            self.relay.transactions += 1
        elif self.recipients is None or phase == DATA and not self.recipients:
            return Reply(phase, 503, "5.5.1 Error: bad sequence of commands")
        refusal = self.relay.refusal(phase)
        if refusal:
            if phase == BODY:
                self.recipients = None
            self.is_closed, self.must_send_content = self.relay.words.closes, False
            return Reply(phase, self.relay.words.code, refusal)
        return self._agree(phase, command)

    # -------------------------------------------------------------------------
    def _agree(self, phase, command):
        """ The Reply to a command that is taken """

        self.must_send_content = phase == DATA
        if phase == DATA:
            return Reply(phase, 354, "End data with <CR><LF>.<CR><LF>")
        if phase == MAIL:
            self.recipients = []
        elif phase == RCPT:
            self.recipients.append(command.decode().partition("<")[2].partition(">")[0])
        else:
            self.relay.accepted += [(self.relay.clock(), self.site, recipient)
                                    for recipient in self.recipients]
            self.recipients = None
        return Reply(phase, 250, "2.0.0 Ok")

    # -------------------------------------------------------------------------
    def is_quiet(self):
        """ As of Client """

        return not self.is_closed

    # -------------------------------------------------------------------------
    def quit(self):
        """ As of Client """

        self.has_quit = not self.is_closed

    # -------------------------------------------------------------------------
    def close(self):
        """ As of Client """

        self.quit()

# =============================================================================
class SimulatedSession(Session):
    """ A Session with a simulated relay """

    def __init__(self, relay, site, timeout_s):

        super().__init__(None, timeout_s, relay.clock)
        self.relay = relay
        self.site = site

    # -------------------------------------------------------------------------
    def _opening(self, deadlines):

        if self.is_ready():
            self.client.deadlines = deadlines
            return
        self.leave()
        self.left = None
        yield from self.clock.until(self.clock() + CONNECT_S)
        self.client = SimulatedClient(self.relay, self.site, deadlines)
        self.opened_at, self.messages = self.clock(), 0

# =============================================================================
class SimulatedTransport(Transport):
    """ A Transport to a simulated relay (site: what the relay is to note as its customer) """

    def __init__(self, mail, relay, site):

        super().__init__(mail, mail.options.reply_timeout)
        self.relay = relay
        self.site = site

    # -------------------------------------------------------------------------
    def _session(self, number):

        while len(self.sessions) <= number:
            self.sessions.append(SimulatedSession(self.relay, self.site, self.timeout_s))
        return self.sessions[number]

    # -------------------------------------------------------------------------
    def fingerprint(self, salt):

        return salt

    # -------------------------------------------------------------------------
    def login_fingerprint(self, salt):

        return None

# END =========================================================================
