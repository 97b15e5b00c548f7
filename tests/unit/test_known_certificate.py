"""
    What workers remember together of the relay's certificate
"""

from datetime import datetime, timedelta

import pytest

from mails3.delivery.known_certificate import KnownCertificate

# -----------------------------------------------------------------------------
def hours_later(hours):
    """ The time, so many hours after a certificate was met """

    return datetime(2026, 11, 27, 10) + timedelta(hours=hours)

# =============================================================================
class TestSeveralMachines:
    """ The name of a relay may have several machines, and one has a bad certificate """

    def finding(self, **values):
        """ What a session has found out, by default about a bad certificate """

        return KnownCertificate(**{**dict(relay="x:25", is_verified=False, is_told=True,
                                          text="bad", fingerprint="AB", address="192.0.2.1",
                                          seen_on="2026-11-27T10:00:00"), **values})

    @pytest.mark.parametrize("hours, newer, is_outdated", [
        (1.5, {"address": "192.0.2.2"}, False),
        (0.5, {"address": "192.0.2.1"}, True),
        (0.5, {"address": "192.0.2.2", "fingerprint": "AB"}, True),
        (25, {"address": "192.0.2.2"}, True),
        ])
    def test_a_good_machine_does_not_hide_a_bad_one(self, hours, newer, is_outdated):
        """ The warning ends when that machine is repaired, or was not met for a day """

        bad, now = self.finding(), hours_later(hours)
        good = self.finding(**{**dict(is_verified=True, is_told=False, fingerprint="CD"), **newer})

        assert bad.is_outdated(good, now) == is_outdated

    def test_two_bad_machines_are_told_once(self):
        """ A second machine with another bad certificate does not take the place of the first """

        other = self.finding(fingerprint="CD", address="192.0.2.2")

        assert not self.finding().is_outdated(other, hours_later(1.5))

    def test_many_good_machines_are_written_once(self):
        """ Machines with different good certificates write nothing, a bad one does """

        good = self.finding(is_verified=True, is_told=False)

        assert not good.is_outdated(good._replace(fingerprint="CD"), hours_later(1.5))
        assert good.is_outdated(self.finding(), hours_later(1.5))

    @pytest.mark.parametrize("hours, is_outdated", [(0.5, False), (1.5, True), (-1, True)])
    def test_a_bad_one_is_noted_each_hour(self, hours, is_outdated):
        """ That a bad certificate is still met is written once per hour """

        again = self.finding(seen_on="2026-11-27T11:00:00")

        assert self.finding().is_outdated(again, hours_later(hours)) == is_outdated

# =============================================================================
class TestStored:
    """ It is stored as text """

    def test_it_is_about_one_relay(self):
        """ What is stored is read for the same relay only """

        known = KnownCertificate("x:25", True, False, "good", "AB", None, "2026-11-27T10:00:00")

        assert KnownCertificate.load(known.dump(), "x:25") == known
        assert KnownCertificate.load(known.dump(), "y:25") is None

    @pytest.mark.parametrize("text", [None, "", '{"relay": "x:25"}', '{"other": 1}'])
    def test_what_another_version_has_written_is_ignored(self, text):
        """ A text with other fields, or none, is nothing known """

        assert KnownCertificate.load(text, "x:25") is None

# END =========================================================================
