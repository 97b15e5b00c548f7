# -*- coding: utf-8 -*-

"""
    The dialogue about one message, without a connection: which commands to
    give, in which groups, and what the replies mean for each recipient

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from .envelope import as_lines, asks_dsn, dotted, envelope_commands, refuses_utf8
from ..policy import is_in_doubt
from ..replies import BODY, DATA, MAIL, ChannelFailure, Reply, TooManyRecipients, \
                      TransientFailure, breaks_off, classify

__all__ = ("Dialogue",)

# How many commands are given together: so few that a relay that is slow with
# each recipient has answered them all in time, and that they fit into the
# buffers on the way (RFC 2920 section 3.1)
MAX_COMMANDS = 6

# The largest content that is sent along with the envelope, before it is known
# whether the relay accepts any recipient (bytes)
MAX_WHOLE_BYTES = 50000

# =============================================================================
class Dialogue:
    """
        The dialogue about one message
        - with PIPELINING (RFC 2920), commands are given in groups, the first
          group already along with the content of the message before
        - with CHUNKING as well (RFC 3030), a small message is one group
    """

    def __init__(self, envelope, extensions):
        """
            Args:
                envelope: the Envelope
                extensions: the names of the relay's extensions (lower case)

            Raises:
                ConfigurationFailure, PermanentFailure: as envelope_commands()
        """

        lines = as_lines(envelope)
        commands = envelope_commands(envelope, lines, extensions)

        self.envelope = envelope
        self.asks_dsn = asks_dsn(envelope, extensions)
        self.lines = lines
        self.has_pipelining = "pipelining" in extensions
        size = MAX_COMMANDS if self.has_pipelining else 1
        # Whether the content goes along with the envelope
        self.is_whole = "chunking" in extensions and len(commands) < size and \
            len(lines) <= MAX_WHOLE_BYTES
        if self.is_whole:
            self.last = BODY, b"BDAT %d LAST\r\n" % len(lines) + lines
        else:
            self.last = DATA, b"DATA\r\n"
        self.groups = [commands[start:start + size] for start in range(0, len(commands), size)]
        if self.has_pipelining:
            self.groups[-1].append(self.last)
        self.replies = None   # to the first group, if it has been given already
        self.is_begun = False # it has been given already, and the replies are not read

    # -------------------------------------------------------------------------
    def may_be_opened_ahead(self):
        """
            Whether the first group may be given while the relay still takes the
            message before: this has no effect until the content is given
        """

        return self.has_pipelining and not self.is_whole

    # -------------------------------------------------------------------------
    def is_answered(self):
        """ Whether the first group has been given already, and answered """

        return bool(self.replies) and all(reply.code is not None for reply in self.replies)

    # -------------------------------------------------------------------------
    def hand_over(self, is_late, following=None):
        """
            Hand the message over; a generator

            Args:
                is_late: function that tells whether to name no further
                         recipients, and to hand the message over to those that
                         are accepted
                following: function that gives the Dialogue to open along with
                           the content (see may_be_opened_ahead), or None; its
                           replies are set then. None = no next one.

            Yields:
                list of tuples (phase, command) to give at once; to be sent the
                list of the Replies to them

            Returns:
                dict {recipient: None if accepted, else the DeliveryError about
                that recipient}; without the recipients that the next
                transaction has to try, because they were not named, or were
                accepted before the relay broke off
        """

        is_whole, groups = self.is_whole, list(self.groups)
        own_sender, recipients = self.envelope.own_sender, self.envelope.recipients
        answers, last_reply = [], None
        while groups and not (None in answers and is_late()):
            group = groups.pop(0)
            replies = self.replies or (yield group)
            self.replies = None
            if is_whole:
                # Without an answer, the relay may still have all of the message
                replies = [Reply(BODY, None, reply.text) if reply.code is None else reply
                           for reply in replies]
            if group[-1] is self.last:
                last_reply = replies.pop()
            is_taken = is_whole and classify(last_reply) is None
            if group[0][0] == MAIL:
                reply = replies.pop(0)
                error = classify(reply, own_sender and not refuses_utf8(self.envelope, reply))
                if error and not is_taken:
                    # A relay that has taken the message has agreed to the sender
                    return dict.fromkeys(recipients, error)
            answers.extend(answer(reply, is_taken, own_sender) for reply in replies)
            if not is_taken and any(map(breaks_off, answers)):
                return broken_off(dict(zip(recipients, answers)), is_whole,
                                  classify(last_reply) if is_whole else None)

        outcome = dict(zip(recipients, answers))
        if None in answers:
            error = yield from self._content(last_reply, following)
            outcome = {recipient: answer or error for recipient, answer in outcome.items()}
        elif not is_whole and last_reply and classify(last_reply) is None:
            # RFC 2920 section 3.1: the relay waits for content although it has
            # accepted no recipient; it gets an empty one
            yield [(BODY, b".\r\n")]
        return without_too_many(outcome)

    # -------------------------------------------------------------------------
    def _content(self, reply, following):
        """
            Hand the content over, to the recipients that were accepted

            Args:
                reply: the Reply to the last command of the envelope's groups, if
                       that was the command for the content; else None
                following: as for hand_over()

            Returns:
                the DeliveryError about the content, None if the relay has taken it
        """

        if reply is None:
            reply, = yield [self.last]
        error = classify(reply, self.envelope.own_sender)
        if error or self.is_whole:
            return error

        group = [(BODY, dotted(self.lines))]
        ahead = following() if following else None
        if ahead:
            # RFC 2920 section 3.1 allows this
            group += ahead.groups[0]
        reply, *replies = yield group
        if ahead:
            ahead.replies = replies
        return classify(reply, self.envelope.own_sender)

# -----------------------------------------------------------------------------
def answer(reply, is_taken, own_sender):
    """
        What a reply to RCPT means

        Args:
            reply: the Reply
            is_taken: the content was sent along, and the relay has taken it
            own_sender: as for classify()

        Returns:
            the DeliveryError, None if the recipient was accepted
    """

    error = classify(reply, own_sender)
    if is_taken and isinstance(error, ChannelFailure):
        # The relay has taken the message, for other recipients: so neither the
        # relay nor the site fails. A preliminary yes (RFC 821, appendix E), which
        # SMTP does not use, means that it has taken it for this one as well.
        return None if reply.code is not None and reply.code < 200 else TransientFailure(reply)
    return error

# -----------------------------------------------------------------------------
def broken_off(outcome, is_whole, content_error=None):
    """
        What becomes of a message when the relay breaks off at a recipient
        - the answers before that count
        - the failure is about the recipient at which the relay broke off
        - if the content was sent along, the failure is about all recipients
          without an answer, because they may have the message

        Args:
            outcome: dict {recipient: DeliveryError or None}
            is_whole: the content was sent along
            content_error: the DeliveryError about that content: in doubt, it is
                           about the recipients that were accepted as well

        Returns:
            the dict for hand_over()
    """

    kept, is_found = {}, False
    for recipient, error in outcome.items():
        if error is None and content_error and is_in_doubt(content_error):
            error = content_error
        is_break = breaks_off(error)
        if error is None or isinstance(error, TooManyRecipients) or \
           is_break and is_found and not is_whole:
            continue
        is_found = is_found or is_break
        kept[recipient] = error
    return kept

# -----------------------------------------------------------------------------
def without_too_many(outcome):
    """
        Leave out the recipients for which this transaction had no room: the
        next transaction names them
        - if it had no room for any recipient, a smaller transaction would not
          help: then they are refused for now

        Args:
            outcome: dict {recipient: DeliveryError or None}

        Returns:
            the dict for hand_over()
    """

    beyond = [recipient for recipient, error in outcome.items()
              if isinstance(error, TooManyRecipients)]
    if len(beyond) == len(outcome):
        return {recipient: TransientFailure(error.reason) for recipient, error in outcome.items()}
    return {recipient: error for recipient, error in outcome.items()
            if recipient not in beyond}

# END =========================================================================
