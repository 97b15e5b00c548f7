"""
    The limits that a site sets (no clock, no database)
"""

import json

from math import inf

import pytest

from hypothesis import given
from hypothesis import strategies as st

from support.call_strategies import reproducibly

from mails3.delivery.limits import Limits, seconds, time_of
from mails3.delivery.rate_limit import PARTS, RateLimit
from mails3.setting_forms import PERIODS_S, Rate

# A time in seconds, as the clocks tell it
NOW_S = 1790000000.0
DAY_S = 86400

RATES = st.builds(Rate, st.integers(1, 100), st.sampled_from(sorted(PERIODS_S.values())))

# Mails that are to go: how long after the one before (in periods), how many
MAILS = st.lists(st.tuples(st.one_of(st.just(0), st.floats(0, 0.1), st.floats(0, 1.2)),
                           st.integers(1, 120)), max_size=60)

# -----------------------------------------------------------------------------
def loaded(limit, rate, now_s):
    """ A RateLimit, as another worker reads it from the database """

    return RateLimit(rate, json.loads(json.dumps(limit.dump(now_s))))

# -----------------------------------------------------------------------------
def full(rate, now_s=NOW_S):
    """ A RateLimit that is reached at a time (seconds) """

    limit = RateLimit(rate)
    limit.spend(rate.most, now_s)
    return limit

# -----------------------------------------------------------------------------
def limits_of(*rates, counts_recipients=True, text=None):
    """ Limits of a site """

    return Limits(list(rates), counts_recipients, text)

# =============================================================================
class TestRateLimit:
    """ At most so many in any period """

    @reproducibly
    @given(rate=RATES, mails=MAILS, start_s=st.floats(NOW_S, NOW_S + DAY_S))
    def test_no_period_has_more_than_the_rate_allows(self, rate, mails, start_s):
        """ No period has more mails than the rate allows, whenever the period begins """

        limit, now_s, went = RateLimit(rate), start_s, []
        for pause, wanted in mails:
            now_s = seconds(time_of(now_s + pause * rate.period_s))
            limit = loaded(limit, rate, now_s)
            count = min(wanted, limit.left(now_s))
            limit.spend(count, now_s)
            went.append((now_s, count))

        for end_s, _ in went:
            assert sum(count for time_s, count in went
                       if end_s - rate.period_s < time_s <= end_s) <= rate.most

    @reproducibly
    @given(rate=RATES, mails=MAILS, start_s=st.floats(NOW_S, NOW_S + DAY_S))
    def test_the_next_one_may_go_when_it_is_said_to(self, rate, mails, start_s):
        """ The next mail may go at the time that is told, and not much before """

        limit, now_s = RateLimit(rate), start_s
        for pause, count in mails:
            now_s += pause * rate.period_s
            limit.spend(min(count, limit.left(now_s)), now_s)
        next_s = seconds(time_of(limit.next_at(now_s)))

        assert limit.left(next_s)
        assert now_s - 1e-3 <= next_s <= now_s + (1 + 1 / PARTS) * rate.period_s + 1e-2
        if next_s > now_s + 2e-3:
            assert not limit.left(next_s - 2e-3)

    @reproducibly
    @given(rate=RATES, start_s=st.floats(NOW_S, NOW_S + DAY_S))
    def test_a_limit_costs_little_of_its_rate(self, rate, start_s):
        """ After a period and a sixtieth, all that the rate allows may go again """

        assert full(rate, start_s).left(start_s + (1 + 1 / PARTS) * rate.period_s + 1e-3) == \
            rate.most

    @reproducibly
    @given(rate=RATES, back=st.floats(0, 50))
    def test_a_clock_that_is_put_back_blocks_for_two_periods_at_most(self, rate, back):
        """ However far the clock was put back, mail goes again after two periods """

        limit = full(rate)
        now_s = NOW_S - back * rate.period_s
        next_s = seconds(time_of(limit.next_at(now_s)))

        assert next_s <= now_s + (2 + 2 / PARTS) * rate.period_s + 1e-3
        assert limit.left(next_s) == rate.most

    def test_a_clock_that_is_put_back_a_little_allows_no_more(self):
        """ Mail that went just now counts after the clock was put back a little """

        assert full(Rate(30, 60)).left(NOW_S - 5) == 0

    @reproducibly
    @given(rate=RATES, times=st.lists(st.floats(0, 3), max_size=300))
    def test_what_is_kept_is_small(self, rate, times):
        """ Not more is kept than two periods have parts, though the clocks of workers differ """

        limit = RateLimit(rate)
        for time in times:
            limit.spend(1, NOW_S + time * rate.period_s)

        assert len(limit.dump(NOW_S + rate.period_s)) <= 2 * PARTS + 1

    @pytest.mark.parametrize("waiting, periods", [(1, 1), (30, 1), (31, 2), (300, 10)])
    def test_the_last_of_many_is_foreseen(self, waiting, periods):
        """ It is told about when the last of the mails that wait may go """

        foreseen_s = full(Rate(30, 60)).last_at(waiting, NOW_S) - NOW_S

        assert periods * 60 <= foreseen_s <= periods * 61

# =============================================================================
class TestLimits:
    """ Several limits at once """

    def test_all_limits_hold(self):
        """ The limit that allows the least decides """

        limits = limits_of(Rate(30, 60), Rate(40, 3600))

        limits.spend(30, NOW_S)
        assert not limits.left(NOW_S)
        assert limits.left(NOW_S + 62).recipients == 10
        limits.spend(10, NOW_S + 62)
        assert limits.next_at(NOW_S + 124) > NOW_S + 3600

    def test_recipients_are_counted(self):
        """ A message to fifty counts fifty times where recipients are counted, and is cut """

        limits = limits_of(Rate(30, 60))

        assert limits.left(NOW_S) == (inf, 30)
        assert limits.fit(50, NOW_S) == 30
        limits.spend(30, NOW_S)
        assert limits.fit(20, NOW_S) == 0

    def test_messages_are_counted(self):
        """ A message to fifty counts once where messages are counted, and is not cut """

        limits = limits_of(Rate(2, 60), counts_recipients=False)

        assert limits.left(NOW_S) == (2, inf)
        for _ in range(2):
            assert limits.fit(50, NOW_S) == 50
            limits.spend(50, NOW_S)
        assert limits.fit(1, NOW_S) == 0

    def test_another_number_counts_what_went_before(self):
        """ If the site changes the number of a rate, what went before counts """

        limits = limits_of(Rate(30, 60))
        limits.spend(20, NOW_S)

        changed = limits_of(Rate(25, 60), text=limits.dump(NOW_S))
        assert changed.left(NOW_S).recipients == 5
        assert limits_of(Rate(5, 60), text=limits.dump(NOW_S)).left(NOW_S).recipients == 0

    def test_no_rate_is_no_limit(self):
        """ Without a rate everything may go, also if one was set before """

        limits = limits_of(Rate(1, DAY_S))
        limits.spend(1, NOW_S)

        free = limits_of(text=limits.dump(NOW_S))
        assert not free.is_active()
        assert free.left(NOW_S) == (inf, inf)
        assert free.next_at(NOW_S) == NOW_S

    def test_another_relay_has_the_same_limits(self):
        """ What the site has set is for all mail, to whichever relay it goes """

        limits = Limits([Rate(30, 60)], True, None, "one.example.org")
        limits.spend(30, NOW_S)

        assert not Limits([Rate(30, 60)], True, limits.dump(NOW_S), "two.example.org").left(NOW_S)

    def test_a_direct_mail_changes_no_pace(self):
        """ A mail without the queue counts for the rates, and does not hold up the next probe """

        limits = limits_of(Rate(30, 60))
        limits.pace.note_refused(NOW_S, NOW_S)
        next_at = limits.pace.next_at

        limits.count(3, NOW_S)

        assert limits.left(NOW_S).recipients == 27
        assert limits.pace.next_at == next_at

# END =========================================================================
