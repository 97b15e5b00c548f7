# -*- coding: utf-8 -*-

"""
    What a relay says when it wants less mail: one table, in the words of the
    servers and providers

    The code alone never tells: 421 is also the code of a relay that is going
    down, 450 that of greylisting, 452 that of a full disk. So the words decide.

    Not in the table, although the words look like it:
    - a limit for one recipient ("recipient thread limit exceeded", "The user
      you are trying to contact is receiving mail at a rate ..."): the message
      waits, all others go on
    - quotas by day or month, and an account that may not send: see replies.SITE
    - a relay that is overloaded or full ("Server busy", "Too much load"), and
      "too many errors", which our own mistakes have caused
    - a 421 for missing SPF or DKIM ("rate limited because ..."), or for a wrong
      EHLO ("Try again later"): waiting does not help

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import re

from .phases import RCPT

__all__ = ("RATE", "CONNECTIONS", "MESSAGES_PER_SESSION", "RECIPIENTS", "limit_of")

# What is limited
RATE = "rate"               # messages or recipients in a time: send more slowly
CONNECTIONS = "connections" # sessions at once, or new ones in a time: open fewer
MESSAGES_PER_SESSION = "messages per session" # open a new session at once
RECIPIENTS = "recipients"   # in one transaction: the others go in the next one

# -----------------------------------------------------------------------------
# The first row that fits counts. 5xx only where the words are plainly about a
# limit that ends by itself. Sources: what the server's code or the provider's
# help says, or what its users have reported.
#
ANY = ()
THROTTLING = (
    # limit      phases   code      words                                      who says so
    # Before "too many recipients" and "rate limit", which some of these have as well
    (MESSAGES_PER_SESSION, ANY, "4..", r"too many messages sent"), # OpenSMTPD, with 4.5.3
    (MESSAGES_PER_SESSION, ANY, "4..", r"too many messages (in|on|per) ((this|one|a|the) )?"
                                       r"(connection|session)"), # Exim, Amazon SES, Mailtrap
    (MESSAGES_PER_SESSION, ANY, "4..", r"max messages? per connection"), # Yahoo
    (MESSAGES_PER_SESSION, ANY, "4..", r"too many recipients on this connection"), # KumoMTA
    (MESSAGES_PER_SESSION, ANY, "4..", r"too many recipient attempts"), # Haraka, per session

    (CONNECTIONS, ANY,     "4..",    r"concurrent connections limit exceeded"), # Exchange Online,
    (CONNECTIONS, ANY,     "4..",    r"sender thread limit exceeded"),       # with 432 both
    (CONNECTIONS, ANY,     "4..",    r"maximum number of concurrent connections"), # Exchange
    (CONNECTIONS, ANY,     "4..",    r"too many ((concurrent|simultaneous|open|new) )?"
                                     r"((smtp|tls) )?(connections|sessions)"), # Postfix, Exim,
    # postscreen, Sendmail, KumoMTA, Haraka, Amazon SES, SocketLabs, Oracle
    (CONNECTIONS, ANY,     "4..",    r"connection rate limit exceeded"),     # Sendmail, Haraka
    (CONNECTIONS, ANY,     "[45]..", r"connection frequency limited"),       # QQ (550)
    (CONNECTIONS, ANY,     "4..",    r"too many login attempts"),            # Google (454)
    (CONNECTIONS, ANY,     "4..",    r"too many auth commands from"),        # Postfix's anvil

    (RATE,        ANY,     "4..",    r"too (much mail|many recipients) from"), # Postfix's anvil
    (RATE,        ANY,     "4..",    r"submission rate for this client"),    # Exchange (421)
    (RATE,        ANY,     "4..",    r"peak smtp relay limit exceeded"),     # Google Workspace
    (RATE,        ANY,     "4..",    r"temporarily rate limited"), # Exchange Online, Google
    (RATE,        ANY,     "4..",    r"unusual rate of (unsolicited )?e?mail"), # Google
    (RATE,        ANY,     "4..",    r"due to unexpected volume"),           # Yahoo (TSS04)
    (RATE,        ANY,     "4..",    r"maximum sending rate exceeded"),      # Amazon SES (454)
    (RATE,        ANY,     "4..",    r"recipients received this hour"),      # SendGrid (452)
    (RATE,        ANY,     "4..",    r"to send: recipient limit exceeded"),  # Mailgun (421)
    (RATE,        ANY,     "4..",    r"messages sent per minute reached"),   # Oracle (455)
    (RATE,        ANY,     "4..",    r"messages per second limit"),          # Emailit (452)
    (RATE,        ANY,     "4..",    r"please wait to send more emails"),    # Purelymail (450)
    (RATE,        ANY,     "4..",    r"rate limit (exceeded|reached)"),      # Rambler (4.5.3), GMX,
    # IONOS, Haraka
    (RATE,        ANY,     "[45]..", r"sender rate overlimit"),              # Exim's manual; reg.ru
    (RATE,        ANY,     "[45]..", r"too many messages\. try again in"),   # msndr (550 to AUTH)
    (RATE,        ANY,     "[45]..", r"\b(ip|domain|sender) frequency limited"), # QQ (550)
    (RATE,        ANY,     "[45]..", r"your mail limit has been reached"),   # StartMail (550)
    (RATE,        ANY,     "[45]..", r"allowed outgoing messages was exceeded"), # Plesk (554)

    # In many words, of many servers
    (RATE,        ANY,     "4..",    r"\bslow(ing)? down|\bsending (mails? |messages? )?too fast"),

    # Not 421: the relay is closing, whatever it says
    (RECIPIENTS,  (RCPT,), "(?!421)[45]..", r"^[45]\.5\.3(?![\d.])"),        # RFC 3463 3.6
    (RECIPIENTS,  (RCPT,), "(?!421)[45]..", r"too many recipients"),         # Exim, hMailServer
    (RECIPIENTS,  (RCPT,), "4..",    r"multiple destination domains per transaction"), # Google
    )

# -----------------------------------------------------------------------------
def limit_of(phase, code, text):
    """
        Tell which limit a refusal is about

        Args:
            phase: the phase of the dialogue
            code: the code of the reply (int)
            text: its text

        Returns:
            RATE, CONNECTIONS, MESSAGES_PER_SESSION or RECIPIENTS; None if it
            is not about the amount of mail
    """

    words = without_repeated_codes(text)
    for limit, phases, codes, pattern in THROTTLING:
        if (phases is ANY or phase in phases) and re.fullmatch(codes, str(code)) and \
           re.search(pattern, words, re.IGNORECASE):
            return limit
    return None

# -----------------------------------------------------------------------------
def without_repeated_codes(text):
    """
        A text with its enhanced status code (RFC 3463) at the start only: a
        reply of several lines has it in each line, amid the words once the
        lines are joined
    """

    first, blank, rest = text.partition(" ")
    if re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", first):
        rest = rest.replace(first + " ", "")
    return first + blank + rest

# END =========================================================================
