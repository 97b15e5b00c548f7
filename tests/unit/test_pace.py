"""
    The pace that is learned about a relay (no clock, no database)
"""

import pytest

from math import inf

from support.simulated_relay import FixedWindow, SlidingWindow, StrictWindow, TokenBucket

from mails3.delivery.pace import MORE_SESSIONS_S, Pace

# How long a message takes (seconds)
MESSAGE_S = 0.05

# -----------------------------------------------------------------------------
def send(pace, relay, count, now=1000.0):
    """
        Send messages one after the other, each again until it is accepted

        Args:
            pace: the Pace
            relay: a Limit
            count: of the messages
            now: the time to begin (seconds)

        Returns:
            tuple (when the last one was accepted, how many were refused)
    """

    refused, accepted, first = 0, 0, now
    while accepted < count:
        if not pace.left(now):
            now = pace.next_at
        pace.spend(1, now)
        began, now = now, now + MESSAGE_S
        if relay.take(now):
            accepted += 1
            pace.note_accepted(1, began, now)
        else:
            refused += 1
            pace.note_refused(began, now, recent=(first, accepted))
    return now, refused

def paced(rate):
    """ A Pace that has learned a rate (messages per second) """

    return Pace(rate = rate, counted_at = 0)

# =============================================================================
class TestPace:

    @pytest.mark.parametrize("window", [FixedWindow, SlidingWindow, TokenBucket])
    @pytest.mark.parametrize("number, window_s", [(5, 60), (30, 60), (14, 1), (500, 3600)])
    def test_the_pace_of_a_relay_is_learned(self, window, number, window_s):
        """
            Mail goes nearly as fast as a relay takes it, and few messages are refused,
            whatever the relay counts
        """

        end, refused = send(Pace(), window(number, window_s), 1000)

        assert end - 1000 <= 1.15 * 1000 * window_s / number
        assert refused <= 50

    @pytest.mark.parametrize("number, window_s", [(30, 60), (14, 1)])
    def test_a_relay_that_counts_refusals_gets_few(self, number, window_s):
        """ A relay that counts refused messages as well (Exim, strict) takes the mail in time """

        end, refused = send(Pace(), StrictWindow(number, window_s), 1000)

        assert end - 1000 <= 1.5 * 1000 * window_s / number
        assert refused <= 100

    def test_nothing_is_limited_before_the_first_refusal(self):
        """ As long as nothing is refused, any number may go, and nothing is noted """

        pace = Pace()
        pace.spend(50, 1000)
        pace.note_accepted(50, 1000, 1001)

        assert pace.left(1001) == inf
        assert pace.dump() == {} and not pace.is_learned()

    def test_messages_under_way_count_as_one_refusal(self):
        """ Messages that were handed over before the pace has changed do not change it again """

        pace = Pace()
        for now in (1000.1, 1000.2, 1000.3):
            pace.note_refused(1000.0, now)

        assert (pace.refused_at, pace.backoff_s) == (1000.1, 0.25)

    def test_one_message_at_a_time_ends_a_back_off(self):
        """ In a back-off one message may go, and no other one before its answer """

        pace = Pace()
        pace.note_refused(1000, 1000.1)
        assert pace.left(1000.2) == 0

        assert pace.left(1000.4) == 1
        pace.spend(1, 1000.4)
        assert pace.left(1002) == 0

    def test_a_lost_message_does_not_end_the_tries_of_a_back_off(self):
        """ If the message that tries the relay has no outcome, another one follows """

        pace = Pace()
        pace.note_refused(1000, 1000.1)
        pace.spend(1, 1000.4)

        assert pace.left(1011) == 1

    @pytest.mark.parametrize("learn", [
        lambda pace: pace.note_accepted(1, 1000.05, 1000.5),
        lambda pace: pace.note_refused(1000.05, 1000.5),
        lambda pace: pace.note_too_many_sessions(1, 1, 1000.4, 1000.5),
        lambda pace: pace.note_inconclusive()])
    def test_a_try_that_tells_nothing_is_repeated(self, learn):
        """ If the message that tries the relay tells nothing new, another one follows at once """

        pace = Pace()
        pace.note_refused(1000, 1000.1)
        pace.spend(1, 1000.4)
        learn(pace)

        assert pace.backoff_s and pace.left(1000.6) == 1

    def test_what_was_under_way_does_not_end_a_back_off(self):
        """ A message that was handed over before the refusal, and is accepted, ends no back-off """

        pace = Pace()
        pace.note_refused(1000, 1000.1)
        pace.note_accepted(1, 1000.05, 1000.2)

        assert pace.backoff_s

    def test_the_waits_grow(self):
        """ Each wait for a relay that goes on refusing is longer, up to five minutes """

        pace, now, waits = Pace(), 1000, []
        for _ in range(40):
            pace.note_refused(now, now + 0.1)
            waits.append(pace.backoff_s)
            now = pace.next_at

        assert waits == sorted(waits)
        assert waits[0] < 1 and waits[5] == 30 and waits[-1] == 300

    def test_messages_go_evenly(self):
        """ At a pace of two in a second, messages are half a second apart, also after a rest """

        pace = paced(2)
        times, now = [], 1000.0
        while len(times) < 4:
            if pace.left(now):
                pace.spend(1, now)
                times.append(now)
            now = round(now + 0.125, 3)

        assert times[1:] == [1000.5, 1001.0, 1001.5]

    def test_an_urgent_message_goes_before_its_turn(self):
        """ One urgent message does not wait for its turn; the next message waits for longer """

        pace = paced(0.1)
        pace.spend(1, 1000)
        assert not pace.left(1002)

        pace.lend(1002)
        assert pace.left(1002) == 1
        pace.spend(1, 1002)
        pace.lend(1003)
        assert not pace.left(1003) and pace.next_at > 1019

    def test_a_clock_that_is_put_back_holds_up_nothing(self):
        """ After the clock was put back by a day, mail goes on """

        pace = paced(1)
        pace.spend(1, 90000)

        assert pace.left(90000 - 86400) > 0

    def test_a_rest_is_no_slow_relay(self):
        """ The average does not include a time in which there was nothing to send """

        pace = paced(1)
        send(pace, SlidingWindow(60, 60), 30)
        end, _ = send(pace, SlidingWindow(60, 60), 100, now=90000.0)
        pace.note_refused(end, end + 0.1)
        pace.note_accepted(1, pace.next_at, pace.next_at + 0.1)

        assert pace.rate > 0.8

    def test_a_pace_far_beyond_the_mail_is_forgotten(self):
        """ A relay that has not refused anything for long has no limit any more """

        pace = paced(500)
        for number in range(2000):
            pace.note_accepted(1, 1000 + number, 1000 + number)

        assert pace.rate is None and pace.left(5000) == inf

    def test_two_sites_share_a_relay(self):
        """ A site that comes later gets its part of a relay, and the first one keeps a part """

        relay, paces, accepted = FixedWindow(30, 60), [Pace(), Pace()], [[], []]
        now, free = 1000.0, [1000.0, 1300.0]
        while now < 1000 + 3 * 3600:
            site = free.index(min(free))
            now, pace, mine = free[site], paces[site], accepted[site]
            if not pace.left(now):
                free[site] = pace.next_at
                continue
            pace.spend(1, now)
            free[site] = now + MESSAGE_S
            if relay.take(now + MESSAGE_S):
                mine.append(now)
                pace.note_accepted(1, now, free[site])
            else:
                lately = [time for time in mine if time > now - 60]
                recent = (lately[0], len(lately)) if lately else None
                pace.note_refused(now, free[site], recent=recent)

        late = [sum(time > 1000 + 2 * 3600 for time in times) for times in accepted]
        assert min(late) > 0.25 * sum(late)

# =============================================================================
class TestSessions:

    def test_sessions_are_as_many_as_the_relay_takes(self):
        """ When the relay takes no further session, there are as many as are open """

        pace = Pace()
        pace.note_too_many_sessions(3, 1, 1000, 1000.1)

        assert pace.max_sessions == 3 and pace.left(1000.2) == inf

    def test_without_a_session_mail_waits(self):
        """ When the relay takes no session at all, others use it: mail waits for a moment """

        pace = Pace()
        pace.note_too_many_sessions(0, 1, 1000, 1000.1)

        assert pace.max_sessions is None and not pace.left(1000.2)

    def test_a_back_off_for_sessions_changes_no_pace(self):
        """ Mail goes as fast as before when the relay takes a session again """

        for pace in (Pace(), paced(2)):
            rate = pace.rate
            for now in (1000, 1010, 1020):
                pace.note_accepted(1, now, now + 0.1)
                pace.note_too_many_sessions(0, 1, now + 1, now + 1.1)
                pace.note_accepted(1, now + 5, now + 5.1)

            assert (pace.rate, pace.backoff_s) == (rate, 0)

    def test_workers_share_few_sessions(self):
        """
            The sessions become fewer until one worker has them all, when other workers
            get none; no mail waits for that
        """

        pace, most = Pace(), []
        for now in (1000, 1001, 1002):
            pace.note_too_many_sessions(0, 4, now, now + 0.1)
            most.append(pace.max_sessions)

        assert most == [3, 2, 1] and pace.left(1003) == inf

    def test_one_more_session_is_tried_later(self):
        """ After a minute without a refusal one more session is tried, and given up again """

        pace = Pace()
        pace.note_too_many_sessions(3, 1, 1000, 1000.1)
        later = 1001 + MORE_SESSIONS_S
        pace.note_accepted(1, later, later)
        assert pace.max_sessions == 4

        pace.note_too_many_sessions(3, 1, later + 1, later + 2)
        assert pace.max_sessions == 3

# =============================================================================
class TestStored:

    def test_what_is_learned_is_kept(self):
        """ A Pace that is stored and read again is the same """

        pace = Pace()
        send(pace, FixedWindow(30, 60), 50)

        assert Pace.load(pace.dump()) == pace

    def test_values_of_another_version_are_ignored(self):
        """ A value that this version does not know does no harm """

        assert Pace.load({"rate": 2.0, "moon": "full"}) == Pace(rate=2.0)

# END =========================================================================
