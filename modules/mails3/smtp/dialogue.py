# -*- coding: utf-8 -*-

"""
    The dialogue about one message: which commands, in which groups, and what
    the replies to them mean; without a connection

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from typing import NamedTuple, Union

from ..policy import BODY, DATA, MAIL, RCPT, ChannelFailure, PermanentFailure, \
                     RelayUnavailable, Reply, TooManyRecipients, TransientFailure, classify, \
                     is_in_doubt

__all__ = ("Dialogue", "Envelope")

# How many commands are given together: so few that a relay that takes its time
# over each recipient has answered them all before the time is over; and they
# fit into the buffers on the way (RFC 2920 section 3.1)
GROUP = 6

# Largest content that is sent along with the envelope, before it is known
# whether anybody wants it (bytes)
SMALL = 50000

# =============================================================================
class Envelope(NamedTuple):
    """ An envelope and its content (RFC 5321 section 2.3.1) """

    sender: str              # a bare address
    recipients: list         # bare addresses
    content: Union[str, bytes]
    own_sender: bool = True  # the sender is the configured one

# =============================================================================
class Dialogue:
    """
        The dialogue about one mail object
        - with PIPELINING (RFC 2920) commands are given in groups, the first
          of them already along with the content of the mail before
        - with CHUNKING as well (RFC 3030) a small mail goes all in one
    """

    def __init__(self, mail, extensions):
        """
            Args:
                mail: the Envelope
                extensions: what the relay offers (names in lower case)

            Raises:
                PermanentFailure: the mail can not be encoded
        """

        try:
            lines = as_lines(mail.content)
            envelope = [(MAIL, command("MAIL FROM", mail.sender, options(lines, extensions)))]
            envelope.extend((RCPT, command("RCPT TO", recipient))
                            for recipient in mail.recipients)
        except ValueError:
            raise PermanentFailure("The message can not be encoded") from None

        self.mail = mail
        self.lines = lines
        self.pipelining = "pipelining" in extensions
        size = GROUP if self.pipelining else 1
        # All in one, with the content
        self.whole = "chunking" in extensions and len(envelope) < size and \
            len(lines) <= SMALL
        self.last = (BODY, b"BDAT %d LAST\r\n" % len(lines) + lines) if self.whole else \
            (DATA, b"DATA\r\n")
        self.groups = [envelope[start:start + size] for start in range(0, len(envelope), size)]
        if self.pipelining:
            self.groups[-1].append(self.last)
        self.replies = None # to the first group, if it has been given already

    # -------------------------------------------------------------------------
    def may_be_opened_ahead(self):
        """
            Whether the first group may be given before it is this one's turn:
            it is of no consequence as long as the content is not
        """

        return self.pipelining and not self.whole

    # -------------------------------------------------------------------------
    def is_answered(self):
        """ Whether the first group has been given, and answered """

        return bool(self.replies) and all(reply.code is not None for reply in self.replies)

    # -------------------------------------------------------------------------
    def hand_over(self, is_late, following=None):
        """
            Hand the mail over

            Args:
                is_late: function that tells whether it is time to hand it over
                         to those who were accepted so far
                following: the Dialogue to be opened along with the content
                           (see may_be_opened_ahead); None = there is none.
                           Its replies are set if that was done.

            Yields:
                list of (phase, command) to be given at once; to be sent the list
                of the replies to them

            Returns:
                dict {recipient: None if accepted, else the DeliveryError that
                is about that recipient}; without those that are to be handed
                over again, because they were not asked for, or were accepted
                before the relay broke off
        """

        whole, last, groups = self.whole, self.last, list(self.groups)
        own_sender, recipients = self.mail.own_sender, self.mail.recipients
        answers, reply = [], None
        while groups and not (None in answers and is_late()):
            group = groups.pop(0)
            replies = self.replies or (yield group)
            self.replies = None
            if whole:
                # The relay may have got all of it, whatever it did not answer
                replies = [Reply(BODY, None, each.text) if each.code is None else each
                           for each in replies]
            if group[-1] is last:
                reply = replies.pop()
            taken = whole and classify(reply) is None
            if group[0][0] == MAIL:
                error = classify(replies.pop(0), own_sender)
                if error and not taken:
                    # Else it has taken the message, whatever it said before
                    return dict.fromkeys(recipients, error)
            answers.extend(answer(each, taken, own_sender) for each in replies)
            if any(breaks_off(error) for error in answers):
                return broken_off(dict(zip(recipients, answers)), whole,
                                  classify(reply) if whole else None)

        outcome = dict(zip(recipients, answers))
        if None in answers:
            error = yield from self._content(reply, following)
            outcome = {recipient: answer or error for recipient, answer in outcome.items()}
        elif not whole and reply and classify(reply) is None:
            # It waits for content all the same, and gets none (section 3.1)
            yield [(BODY, b".\r\n")]
        return without_too_many(outcome)

    # -------------------------------------------------------------------------
    def _content(self, reply, following):
        """
            Hand the content over, to those who were accepted

            Args:
                reply: the Reply to the command for the content, if that was
                       given along with the envelope; else None
                following: as for hand_over()

            Returns:
                the DeliveryError that is about the content, None if it was taken
        """

        if reply is None:
            reply, = yield [self.last]
        if self.whole:
            return classify(reply, self.mail.own_sender)
        error = classify(reply, self.mail.own_sender)
        if error:
            return error

        group = [(BODY, dotted(self.lines))]
        if following:
            # RFC 2920 section 3.1 allows for that
            group += following.groups[0]
        reply, *ahead = yield group
        if following:
            following.replies = ahead
        return classify(reply, self.mail.own_sender)

# -----------------------------------------------------------------------------
def answer(reply, taken, own_sender):
    """
        What a reply to RCPT means

        Args:
            reply: the Reply
            taken: the content has been sent along, and the relay has taken it
            own_sender: as for judge()

        Returns:
            the DeliveryError, None if the recipient was accepted
    """

    error = classify(reply, own_sender)
    if taken and isinstance(error, ChannelFailure):
        # It has taken the message: for others; or for this one as well, if that
        # was a preliminary yes, which SMTP does not know (RFC 821, appendix E)
        return None if reply.code is not None and reply.code < 200 else TransientFailure(reply)
    return error

# -----------------------------------------------------------------------------
def breaks_off(error):
    """ Whether nothing can follow after that in this session """

    return isinstance(error, RelayUnavailable)

# -----------------------------------------------------------------------------
def broken_off(outcome, whole, content_error=None):
    """
        What becomes of a message when the relay broke off at a recipient:
        what it has answered before counts, and the recipient at which it broke
        off is the one that the trouble is about

        Args:
            outcome: dict {recipient: DeliveryError or None}
            whole: the content had been sent along: then the trouble is about
                   all that have no answer, for they may have it
            content_error: the DeliveryError about that content: those who were
                           accepted may have it as well

        Returns:
            the dict for hand_over()
    """

    kept, found = {}, False
    for recipient, error in outcome.items():
        if error is None and content_error and is_in_doubt(content_error):
            error = content_error
        if error is None or isinstance(error, TooManyRecipients) or \
           breaks_off(error) and found and not whole:
            continue
        found = found or breaks_off(error)
        kept[recipient] = error
    return kept

# -----------------------------------------------------------------------------
def without_too_many(outcome):
    """
        Leave out those for whom there was no room in this transaction, if it
        has settled others: with the next one they get on as well. If it has
        not, smaller ones would be of no use.
    """

    beyond = [recipient for recipient, error in outcome.items()
              if isinstance(error, TooManyRecipients)]
    if len(beyond) == len(outcome):
        return {recipient: TransientFailure(error.args[0]) for recipient, error in outcome.items()}
    return {recipient: error for recipient, error in outcome.items()
            if recipient not in beyond}

# -----------------------------------------------------------------------------
def command(words, address, parameters=""):
    """ A command with an address; raises ValueError if that can't be sent """

    if "\r" in address or "\n" in address:
        raise ValueError("address")
    return ("%s:<%s>%s\r\n" % (words, address, parameters)).encode("ascii")

# -----------------------------------------------------------------------------
def options(lines, extensions):
    """ What the relay wants to know of the content in advance """

    parameters = ""
    if "size" in extensions:
        # RFC 1870 section 6: too large is refused before it is sent
        parameters += " SIZE=%s" % len(lines)
    if "8bitmime" in extensions and not lines.isascii():
        parameters += " BODY=8BITMIME"
    return parameters

# -----------------------------------------------------------------------------
def as_lines(content):
    """ The content as bytes; lines end with CRLF, the last one as well """

    if isinstance(content, str):
        # Mail.send composes ASCII; what is not can not be sent as it is
        content = content.encode("ascii")
    content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not content.endswith(b"\n"):
        content += b"\n"
    return content.replace(b"\n", b"\r\n")

# -----------------------------------------------------------------------------
def dotted(lines):
    """ As DATA wants it: a leading dot is doubled, a dot ends it all """

    if lines.startswith(b"."):
        lines = b"." + lines
    return lines.replace(b"\n.", b"\n..") + b".\r\n"

# END =========================================================================
