"""
    Generators that wait, as Session.transmitting() makes them, driven as a test
    wants it
"""

import selectors
import time

from threading import Event

from . import web2py # noqa: F401 (mails3 can be imported)

from mails3.smtp.waits import pause

# How long a test waits for a socket before it fails (seconds)
TIMEOUT_S = 30

# -----------------------------------------------------------------------------
def drive(transmitting):
    """
        Drive several generators in one loop

        Args:
            transmitting: dict {name: generator}

        Returns:
            dict {name: outcome}, in the order in which they ended
    """

    waits, outcomes, ready = {}, {}, dict(transmitting)
    while ready or waits:
        for name, generator in ready.items():
            try:
                waits[name] = next(generator)
            except StopIteration as end:
                outcomes[name] = end.value
        over = pause(waits.values())
        ready = {name: transmitting[name] for name, wait in waits.items() if wait in over}
        waits = {name: wait for name, wait in waits.items() if name not in ready}
    return outcomes

# -----------------------------------------------------------------------------
def then(generator, action):
    """ A generator that does something when another one has ended """

    outcome = yield from generator
    action()
    return outcome

# -----------------------------------------------------------------------------
def is_ready(wait):
    """ Whether a socket becomes ready for what a Wait waits for """

    with selectors.DefaultSelector() as selector:
        selector.register(wait.sock, wait.events)
        return bool(selector.select(TIMEOUT_S))

# -----------------------------------------------------------------------------
def hold(relay, step, is_answered):
    """ Have a step answered, once, only after an Event; returns an Event that it is reached """

    def reach():
        is_reached.set()
        return is_answered.is_set()

    is_reached = Event()
    relay.hold(step, reach, times=1)
    return is_reached

# -----------------------------------------------------------------------------
def run_until(is_reached, transmitting):
    """ Run a generator until an Event """

    while not is_reached.is_set():
        pause([next(transmitting)._replace(until=time.monotonic() + 0.05)])

# END =========================================================================
