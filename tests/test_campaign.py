"""
    A short crash campaign on each engine; the long one is tests/campaign.py
"""

from campaign import Campaign

# -----------------------------------------------------------------------------
def test_killed_workers_lose_nothing_and_send_nothing_twice(uri, capsys):
    """ But for what they were sending at that very moment """

    lines = []
    campaign = Campaign(uri, messages=200, kills=8, workers=2, seed=7, tell=lines.append)

    wrong = campaign.run()

    assert wrong == [], lines

# END =========================================================================
