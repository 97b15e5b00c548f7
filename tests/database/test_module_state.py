"""
    The modules of the package keep no state of their own
"""

import sys

ANNE, BOB = "anne@example.org", "bob@example.org"

# -----------------------------------------------------------------------------
def test_no_state_is_kept_in_a_module(small_office):
    """ No module of the package changes its own variables while mail is sent """

    def state():
        return {(module.__name__, name): value if callable(value) else repr(value)
                for module in list(sys.modules.values())
                if module.__name__.partition(".")[0] == "mails3"
                for name, value in vars(module).items() if not name.startswith("__")}

    before = state()
    small_office.relay.answer("RCPT", "451 4.2.1 Later", to=BOB)
    small_office.queue(ANNE, BOB)
    small_office.drain()
    small_office.retry()
    small_office.mail.send_direct_email(ANNE, "News", "There is news.")

    assert state() == before

# END =========================================================================
