"""
    Fidelity: the mail that arrives through the queue is the one that web2py's
    own Mail.send delivers for the same call
"""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.arrival import by_web2py, likeness, through_the_queue
from support.call_strategies import calls, reproducibly
from support.calls import A_FILE, NAMES, Form, T, fresh, positional, spelled_out

ANNE = "anne@example.org"

# =============================================================================
class TestFidelity:
    """ The mail that arrives is the one that web2py would deliver, whatever the call """

    @settings(reproducibly, max_examples=150)
    @given(call=calls(), number=st.integers(0, len(NAMES)))
    @example(call={"to": ANNE, "subject": "\x0bX-Spam: yes"}, number=0)
    @example(call={"to": ANNE, "subject": Form(T, "\x0c0")}, number=0)
    @example(call={"to": ANNE, "message": (None, ""), "attachments": A_FILE}, number=0)
    def test_a_mail_is_the_one_that_web2py_delivers(self, branch, call, number):
        """ Headers, parts and envelope are those of web2py's own mail """

        expected = by_web2py(branch, **spelled_out(call))
        args, kwargs = positional(fresh(call), number)
        arrived = through_the_queue(branch, *args, **kwargs)

        assert arrived.sender == expected.sender
        assert set(arrived.recipients) == set(expected.recipients)
        assert likeness(arrived.message) == likeness(expected.message)
        assert len(arrived.message.get_all("Message-ID")) == 1

# END =========================================================================
