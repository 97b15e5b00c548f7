# -*- coding: utf-8 -*-

"""
    The dialogue about one message: which commands, in which groups, and what
    the replies to them mean; without a connection

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from .policy import BODY, DATA, MAIL, RCPT, Never, NotNow, Reply, Trouble, judge

__all__ = ("hand_over",)

# How many commands are given together: so few that a relay that takes its time
# over each recipient has answered them all before the time is over; and they
# fit into the buffers on the way (RFC 2920 section 3.1)
GROUP = 6

# Largest content that is sent along with the envelope, before it is known
# whether anybody wants it (bytes)
SMALL = 50000

# -----------------------------------------------------------------------------
def hand_over(sender, recipients, content, extensions, own_sender, is_late):
    """
        Hand one message over
        - with PIPELINING (RFC 2920) commands are given in groups; with
          CHUNKING as well (RFC 3030) a small message goes all in one

        Args:
            sender: the envelope sender, a bare address
            recipients: the envelope recipients, bare addresses
            content: the message (str or bytes)
            extensions: what the relay offers (names in lower case)
            own_sender: the sender is the configured one
            is_late: function that tells whether it is time to hand it over
                     to those who were accepted so far

        Yields:
            list of (phase, command) to be given at once; to be sent the list
            of the replies to them

        Returns:
            dict {recipient: None if accepted, else a DeliveryError};
            without those that were not asked for, as it was late

        Raises:
            Trouble: the relay or the configuration is to blame
            NotNow, Never: the message was refused for all recipients
    """

    try:
        lines = as_lines(content)
        envelope = [(MAIL, command("MAIL FROM", sender, options(lines, extensions)))]
        envelope.extend((RCPT, command("RCPT TO", recipient)) for recipient in recipients)
    except ValueError:
        raise Never("The message can not be encoded") from None

    size = GROUP if "pipelining" in extensions else 1
    whole = "chunking" in extensions and len(envelope) < size and len(lines) <= SMALL
    last = (BODY, b"BDAT %d LAST\r\n" % len(lines) + lines) if whole else (DATA, b"DATA\r\n")

    answers, reply = [], None
    while envelope and not (None in answers and is_late()):
        group, envelope = envelope[:size], envelope[size:]
        if size > 1 and not envelope:
            group.append(last)
        replies = yield group
        if whole:
            # The relay may have got all of it, whatever it did not answer
            replies = [Reply(BODY, None, each.text) if each.code is None else each
                       for each in replies]
        if group[-1] is last:
            reply = replies.pop()
        if group[0][0] == MAIL:
            first = replies.pop(0)
            if not (whole and reply and judge(reply) is None):
                # Else it has taken the message, whatever it said before
                agreed(first, own_sender)
        answers.extend(answer(each, whole and reply) for each in replies)

    refused = dict(zip(recipients, answers))
    if None not in answers:
        if not whole and reply and judge(reply) is None:
            # It waits for content all the same, and gets none (section 3.1)
            yield [(BODY, b".\r\n")]
        return refused

    if reply is None:
        reply, = yield [last]
    if not whole:
        agreed(reply)
        reply, = yield [(BODY, dotted(lines))]
    agreed(reply)
    return refused

# -----------------------------------------------------------------------------
def agreed(reply, own_sender=True):
    """ Go on if the relay agreed, else raise the DeliveryError """

    error = judge(reply, own_sender)
    if error:
        raise error

# -----------------------------------------------------------------------------
def answer(reply, taken):
    """
        What a reply to RCPT means

        Args:
            reply: the Reply
            taken: the Reply to the content, if that has been sent along

        Returns:
            None if it was accepted, else NotNow or Never

        Raises:
            Trouble: the relay or the configuration is to blame
    """

    error = judge(reply)
    if not isinstance(error, Trouble):
        return error
    if taken and judge(taken) is None:
        # It has taken the message: for others; or for this one as well, if that
        # was a preliminary yes, which SMTP does not know (RFC 821, appendix E)
        return None if reply.code is not None and reply.code < 200 else NotNow(reply)
    raise error

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
