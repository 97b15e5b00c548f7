"""
    Fixtures of the unit tests: what several files have in common
"""

import pytest

from support.fake_relay import FakeRelay
from support.office import Office

# -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def branch(tmp_path_factory):
    """ One app's mail for all the examples of a property """

    path = tmp_path_factory.mktemp("fidelity") / "storage.sqlite"
    with FakeRelay() as relay:
        office = Office("sqlite://%s" % path, relay)
        # Faster, and no test ends in a crash
        office.db.executesql("PRAGMA synchronous=OFF")
        yield office
        office.close()

# -----------------------------------------------------------------------------
@pytest.fixture(params=[(), ("PIPELINING",), ("PIPELINING", "CHUNKING")], ids="-".join)
def any_relay(request):
    """ A relay that can be told what to answer, whatever it offers """

    with FakeRelay(extensions=request.param) as relay:
        yield relay

# END =========================================================================
