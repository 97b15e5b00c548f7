"""
    A short crash campaign on each engine (tests/campaign.py is the long one)
"""

import os

import pytest

from support.campaign import SERVERS, Campaign
from support.databases import make_database
from support.folders import temporary_folder

# -----------------------------------------------------------------------------
def test_killed_workers_lose_nothing_and_send_nothing_twice(uri, capsys):
    """
        Killed workers lose no message, and repeat only those that they were sending at that
        moment
    """

    lines = []
    campaign = Campaign(uri, messages=200, kills=8, workers=2, seed=7, tell=lines.append)

    wrong = campaign.run()

    assert wrong == [], lines

# -----------------------------------------------------------------------------
@pytest.mark.parametrize("kind", sorted(SERVERS))
def test_a_crashing_database_loses_nothing(kind):
    """
        A crashing database loses no message, and repeats only those that were being sent at
        that moment
    """

    lines = []
    # Not one of pytest's folders: those are for nobody else, not even the server
    with temporary_folder() as folder:
        try:
            server = SERVERS[kind](folder)
        except FileNotFoundError as error:
            if os.environ.get("MAILS3_REQUIRE_DATABASES") == "1":
                raise
            pytest.skip(str(error))
        wrong = crash_campaign(server, lines)

    assert wrong == [], lines

# -----------------------------------------------------------------------------
def crash_campaign(server, lines):
    """ A short campaign on a server of our own; what is wrong """

    with server:
        campaign = Campaign(make_database(server.uri), messages=100, kills=5, workers=2,
                            seed=7, restart=server.crash, restarts=3, tell=lines.append)
        return campaign.run()

# END =========================================================================
