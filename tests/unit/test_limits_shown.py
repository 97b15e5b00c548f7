"""
    What an admin is told about limits: numbers in words, and estimates
"""

from datetime import datetime, timedelta

import pytest

from mails3.admin.limits_report import rate_words
from mails3.admin.metrics import metric_text
from mails3.admin.times import clock_time
from mails3.delivery.rate_limit import RateLimit
from mails3.setting_forms import Rate

# A whole number of minutes and hours
NOW_S = 1_795_780_800

# -----------------------------------------------------------------------------
def sent(rate_limit, waiting, now_s):
    """ Send all that waits as soon as a limit allows it; when the last one went (seconds) """

    while True:
        count = min(rate_limit.left(now_s), waiting)
        rate_limit.spend(count, now_s)
        waiting -= count
        if not waiting:
            return now_s
        now_s = rate_limit.next_at(now_s)

# =============================================================================
class TestEstimate:
    """ When the last mail goes is known about right """

    @pytest.mark.parametrize("used, waiting", [(0, 1), (0, 30), (0, 31), (0, 480), (30, 1),
                                               (12, 18), (12, 19), (30, 480), (29, 91)])
    def test_the_last_mail_goes_when_it_was_estimated(self, used, waiting):
        """ The estimate is the time of the last mail, if all go as soon as they may """

        rate_limit = RateLimit(Rate(30, 60))
        for number in range(used):
            rate_limit.spend(1, NOW_S - 45 + number)
        estimate = rate_limit.last_at(waiting, NOW_S)

        last_at = sent(rate_limit, waiting, NOW_S)

        assert last_at <= estimate <= last_at + 60 # at most by one period too late

    def test_mail_that_was_sent_evenly_makes_room_evenly(self):
        """ A limit that was used evenly becomes free evenly, and the estimate knows that """

        rate_limit = RateLimit(Rate(60, 3600))
        for minute in range(60):
            rate_limit.spend(1, NOW_S + 60 * minute)

        assert rate_limit.last_at(30, NOW_S + 3600) == NOW_S + 60 * (29 + 61)

    def test_a_limit_that_was_reached_is_free_since_a_time(self):
        """ It is known since when a limit is not reached any more """

        rate_limit = RateLimit(Rate(2, 60))
        assert rate_limit.free_at(1, NOW_S) == 0
        rate_limit.spend(1, NOW_S)
        rate_limit.spend(1, NOW_S + 10)

        assert rate_limit.free_at(1, NOW_S + 500) == NOW_S + 61
        assert rate_limit.free_at(2, NOW_S + 500) == NOW_S + 71

    def test_a_count_from_the_future_holds_nothing_up(self):
        """ What was counted before the clock was put back by a day is not waited for """

        rate_limit = RateLimit(Rate(2, 60))
        rate_limit.spend(2, NOW_S + 86400)

        assert rate_limit.next_at(NOW_S) == NOW_S

# =============================================================================
class TestWords:
    """ Numbers and times are in words that people use """

    @pytest.mark.parametrize("rate, words", [(0.4833, "about 29 messages a minute"),
                                             (14.2, "about 14 messages a second"),
                                             (5, "about 300 messages a minute"),
                                             (0.025, "about 1.5 messages a minute"),
                                             (0.0133, "about 48 messages an hour"),
                                             (0.0001, "about 0.36 messages an hour")])
    def test_a_pace_has_the_unit_that_fits_it(self, rate, words):
        """ A pace is told by the second, minute or hour, in a number that is easy to read """

        assert rate_words(rate) == words

    def test_a_time_of_another_day_has_its_date(self):
        """ A time of today is told without its date, and another one with it """

        now = datetime(2026, 11, 27, 23, 59, 1)

        assert clock_time(now, now) == "23:59"
        assert clock_time(now + timedelta(minutes=1), now, "%H:%M:%S") == "2026-11-28 00:00:01"

    def test_a_label_of_a_metric_is_escaped(self):
        """ Quotes, backslashes and line ends in a label do not break the format of the metrics """

        text = metric_text("used", "gauge", "Used.", {(("limit", 'a "b\\\nc'),): 1})

        assert text.splitlines()[-1] == r'mails3_used{limit="a \"b\\\nc"} 1'

# END =========================================================================
