# -*- coding: utf-8 -*-

"""
    What the outcome of a transaction tells of the session

    An outcome is a dict {recipient: None if accepted, else the DeliveryError}.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from ..replies import MAIL, RCPT, RelayUnavailable, Throttled
from ..throttling import MESSAGES_PER_SESSION

__all__ = ("is_about_session", "is_dropped", "refused_parameters")

# RFC 5321 section 4.2.2 and 4.1.1.11: the relay can't do with a parameter of MAIL or RCPT
PARAMETER_CODES = (455, 501, 504, 555)

# -----------------------------------------------------------------------------
def is_dropped(outcome):
    """ Whether a new session may take the message at once """

    errors = outcome.values()
    # The relay broke off before any recipient was named, or has refused only the session
    return any(isinstance(error, RelayUnavailable) and error.phase == MAIL for error in errors) \
        or bool(errors) and all(map(is_about_session, errors))

# -----------------------------------------------------------------------------
def is_about_session(error):
    """ Whether the relay takes no more by this session (error: DeliveryError, or None) """

    return isinstance(error, Throttled) and error.limit == MESSAGES_PER_SESSION

# -----------------------------------------------------------------------------
def refused_parameters(outcome):
    """ The recipients over whom the relay may have refused a parameter of MAIL or RCPT (list) """

    return [recipient for recipient, error in outcome.items()
            if error and error.phase in (MAIL, RCPT) and error.code in PARAMETER_CODES]

# END =========================================================================
