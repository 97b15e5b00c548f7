"""
    Sessions with a relay of the tests
"""

import time

from . import web2py # noqa: F401 (mails3 can be imported)

from mails3.smtp.envelope import Envelope
from mails3.smtp.server import Server
from mails3.smtp.session import Session
from mails3.smtp.waits import run

ANNE = "anne@example.org"
TEXT = "Subject: News\n\nThere is news.\n"

# -----------------------------------------------------------------------------
def session(relay, timeout=2, clock=time.monotonic, **settings):
    """ A session with a relay """

    return Session(Server(relay.host, relay.port, **settings), timeout, clock)

# -----------------------------------------------------------------------------
def mail(*recipients, content=TEXT):
    """ A mail for them """

    return Envelope("shelter@example.org", list(recipients) or [ANNE], content)

# -----------------------------------------------------------------------------
def transmit_by(session, envelope, within_s, following=None):
    """ Hand an Envelope over, and block until that is done: see Session.transmitting() """

    return run(session.transmitting(envelope, within_s, following), session.clock)

# -----------------------------------------------------------------------------
def transmit(session, *recipients, within=5, **options):
    """ Hand a mail over, and close """

    try:
        return transmit_by(session, mail(*recipients, **options), within)
    finally:
        session.close()

# -----------------------------------------------------------------------------
def accepted(outcome):
    """ The outcome of a message; raises what its recipients met, if all were refused """

    for error in outcome.values():
        if None not in outcome.values():
            raise error
    return outcome

# END =========================================================================
