# -*- coding: utf-8 -*-

"""
    Commands to the relay and its replies, over one connection: a Reply in place
    of a code and text, our errors in place of smtplib's

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import time

from contextlib import suppress

from .deadlines import Deadlines
from .errors import ERRORS, translated
from .opening import Opening
from .tls import with_tls_hint
from ..phases import AUTH, BODY, CERTIFICATE, CONNECT, DATA
from ..replies import Reply, classify
from ..states import one_line

__all__ = ("Client", "hold")

# How much of a relay's words is kept (characters)
MAX_TEXT = 400

# How long to wait for the answer to QUIT, on which nothing depends (seconds)
QUIT_TIMEOUT_S = 1

# =============================================================================
class Client:
    """ One connection with the relay: the commands, and the replies to them """

    def __init__(self, server, deadlines, timeout_s, clock=time.monotonic, observe=None):
        """
            Args:
                server: the Server
                deadlines: the Deadlines of the message that is under way; may
                           be set anew
                timeout_s: the longest wait for one reply (seconds)
                clock: function that tells the time (seconds)
                observe: as for Session
        """

        self.server = server
        self.deadlines = deadlines
        self.timeout_s = timeout_s
        self.clock = clock
        self.observe = observe

        self.connection = None         # the Connection, once connected
        self.finding = None            # the Finding about its certificate; None = no TLS
        self.must_send_content = False # the relay has said 354, and waits
        self.has_given_content = False # and waits for the reply to it
        self.given_at = 0              # the last group of commands was given (by the clock)
        self.has_quit = False          # QUIT has been given
        self.refused = set()           # extensions (lower case) that are not to be used

    # -------------------------------------------------------------------------
    def connect(self, before=None):
        """
            Connect, EHLO, STARTTLS, login; blocks

            Args:
                before: the Client before, which is closed first: a relay may
                        count connections; None = none

            Raises:
                ChannelFailure, Throttled: the relay refuses or does not answer,
                                           or the configuration is wrong
        """

        if before:
            before.close()
        Opening(self).run()

    # -------------------------------------------------------------------------
    def give_up(self, began):
        """ Let connect(), which began in another thread, end soon; returns the RelayUnavailable """

        self.deadlines = Deadlines(began)
        return classify(self.heard(began, CONNECT, None, "timed out"))

    # -------------------------------------------------------------------------
    @property
    def extensions(self):
        """ What the relay offers and may be used: dict {name in lower case: parameters} """

        return {name: value for name, value in self.connection.esmtp_features.items()
                if name not in self.refused}

    # -------------------------------------------------------------------------
    # To hold a dialogue: without blocking
    # -------------------------------------------------------------------------
    def exchange(self, group):
        """
            Give a group of commands, and take the replies; a generator

            Args:
                group: list of tuples (phase, command in bytes)

            Yields:
                a Wait, each time it would block

            Returns:
                list of the Replies, one for each command; after a missing
                reply, all further ones are missing (code None)
        """

        failure = yield from self._give(group)
        return (yield from self.replies(group, failure))

    # -------------------------------------------------------------------------
    def replies(self, group, failure=None):
        """
            Take the replies to a group of commands that was given; a generator

            Args:
                group, yields, returns: as for exchange()
                failure: as from _give()
        """

        replies = []
        for phase, _ in group:
            reply = (yield from self._take(phase)) if failure is None else \
                    self.heard(self.given_at, phase, None, failure)
            if reply.code is None:
                failure = reply.text
            replies.append(reply)
        return replies

    # -------------------------------------------------------------------------
    def give_at_once(self, group):
        """
            Give a group of commands without waiting; for the replies, see replies()

            Args:
                group: as for exchange()

            Returns:
                whether all of it was given; else the connection is of no use
        """

        try:
            next(self._give(group))
        except StopIteration as end:
            return end.value is None
        return False

    # -------------------------------------------------------------------------
    def _give(self, group):
        """ Give a group of commands; returns None, or the reason why that fails (str) """

        self.given_at = self.clock()
        # The deadline of the content counts for all that is given with it
        phases = [phase for phase, _ in group]
        self.has_given_content = BODY in phases
        phase = BODY if self.has_given_content else phases[0]
        if phase != BODY and self.clock() >= self.deadlines.reply:
            return "took too long"
        try:
            yield from self.connection.writing(b"".join(command for _, command in group),
                                               self.answer_by(phase))
        except ERRORS as error:
            return translated(phase, error)[1]
        return None

    # -------------------------------------------------------------------------
    def _take(self, phase):
        """ Take the reply to a command that was given """

        try:
            result = yield from self.connection.reading(self.answer_by(phase))
        except ERRORS as error:
            result = translated(phase, error)
        reply = self.heard(self.given_at, phase, *result)
        if phase == BODY:
            self.has_given_content = False
        # After 354, the relay takes all that follows for the content
        self.must_send_content = phase == DATA and reply.code is not None and \
            300 <= reply.code < 400
        return reply

    # -------------------------------------------------------------------------
    # For both
    # -------------------------------------------------------------------------
    def answer_by(self, phase):
        """ The latest time for a reply (by the clock), if we wait from now on """

        return self.deadlines.answer_by(phase, self.clock(), self.timeout_s)

    # -------------------------------------------------------------------------
    def heard(self, began, phase, code, text, kind=None):
        """
            Make a Reply of an answer, and show it to the observer

            Args:
                began: when the command was given (by the clock)
                phase: the phase of the dialogue
                code: the code of the answer; None or less than 1 = there is no
                      answer (smtplib has -1)
                text: its text (str or bytes)
                kind: class of the DeliveryError to raise; None = do not raise

            Returns:
                the Reply
        """

        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        text = one_line(text)
        if phase == AUTH:
            text = self.server.without_login(text)
        if phase != CERTIFICATE:
            # Else it is all ours, and what to do stands at its end
            text = text[:MAX_TEXT]
        if self.connection and not self.connection.is_encrypted:
            text = with_tls_hint(code, text)
        reply = Reply(phase, code if code and code > 0 else None, text)
        error = kind(reply) if kind else None
        if self.observe:
            self.observe(reply, error or classify(reply), self.clock() - began)
        if error:
            raise error
        return reply

    # -------------------------------------------------------------------------
    def note(self, finding):
        """ Keep the Finding about the relay's certificate, and show it to the observer """

        self.finding = finding
        if self.observe and finding:
            self.observe(Reply(CERTIFICATE, None, str(finding)), None, 0)

    # -------------------------------------------------------------------------
    def is_quiet(self):
        """ Whether there is no unsolicited data, which means that the relay is closing """

        return self.connection is not None and not self.connection.has_unread()

    # -------------------------------------------------------------------------
    # To close the connection
    # -------------------------------------------------------------------------
    def quit(self):
        """ Give QUIT, if the relay can understand it now; never raises """

        connection = self.connection
        if connection and connection.sock and not (self.must_send_content or self.has_quit):
            # If the relay has closed first, this fails
            with suppress(Exception):
                connection.wait_until(self.clock() + min(self.timeout_s, QUIT_TIMEOUT_S))
                connection.putcmd("quit")
                self.has_quit = True

    # -------------------------------------------------------------------------
    def close(self):
        """ Close the connection, after QUIT if the relay can understand it; never raises """

        self.quit()
        connection = self.connection
        if connection is None:
            return
        if self.has_quit and connection.sock:
            with suppress(Exception):
                connection.wait_until(self.clock() + min(self.timeout_s, QUIT_TIMEOUT_S))
                connection.getreply()
        with suppress(Exception):
            connection.close()

# -----------------------------------------------------------------------------
def hold(client, dialogue, is_late, following):
    """
        Hold a Dialogue; a generator

        Args:
            client: the Client
            dialogue: the Dialogue; perhaps its beginning was given already
            is_late, following: as for Dialogue.hand_over()

        Yields:
            a Wait, each time it would block

        Returns:
            as Dialogue.hand_over()
    """

    steps = dialogue.hand_over(is_late, following)
    try:
        group = next(steps)
        if dialogue.is_begun:
            group = steps.send((yield from client.replies(group)))
        while True:
            group = steps.send((yield from client.exchange(group)))
    except StopIteration as end:
        return end.value

# END =========================================================================
