"""
    An app whose mail goes to a real mail server
"""

import os

from contextlib import contextmanager

import pytest

from .office import Office

# -----------------------------------------------------------------------------
@contextmanager
def wanted(kind):
    """
        A mail server, not started yet, whose log is printed at the end for the reader of
        a test that fails; where there is no such server, the test is skipped, or fails if
        the server is required

        Args:
            kind: a class of support.mail_servers
    """

    missing = kind.missing()
    if missing:
        if os.environ.get("MAILS3_REQUIRE_MAIL_SERVERS") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    server = kind()
    yield server
    server.close()
    print(server.log())

# -----------------------------------------------------------------------------
def app_of(server, folder):
    """ An Office in a folder (Path), which sends by a mail server """

    office = Office("sqlite://%s" % (folder / "storage.sqlite"), server)
    office.mail.settings.timeout = 5
    office.configure(reply_timeout=10)
    return office

# END =========================================================================
