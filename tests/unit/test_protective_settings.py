"""
    The settings that keep mail from real people: a mistake in them must not send
"""

import pytest

from mails3.delivery.capture import Capture
from mails3.settings import read_settings

ANNE = "anne@example.org"

# -----------------------------------------------------------------------------
def capture(**given):
    """ The Capture by some settings, and what was complained about """

    complaints = []
    return Capture(read_settings(given, complaints.append)), complaints

# =============================================================================
class TestMistakes:
    """ A mistake in one of these settings has all mail captured """

    @pytest.mark.parametrize("given", [
        {"delivery": "captured"}, {"delivery": ""}, {"delivery": "none"},
        {"redirect_to": "me"}, {"redirect_to": "a@b.org, c@b.org"}, {"redirect_to": "Me <a@b.org>"},
        {"only_to": "example.org"}, {"only_to": "*"}, {"only_to": ","},
        {"redirect": "me@example.org"}, {"only": "*@example.org"}, {"delivrey": "capture"},
        ], ids=str)
    def test_a_mistake_sends_nobody_anything(self, given):
        """ A value that can't be read, or a mistyped name, captures all mail """

        assert capture(**given)[0].reason(ANNE)

    @pytest.mark.parametrize("given", [{"redirect_to": "me"}, {"delivrey": "capture"}], ids=str)
    def test_a_mistake_is_told(self, given):
        """ The log says what can't be read, and that all mail is captured """

        assert "all mail is captured" in capture(**given)[1][-1]

    @pytest.mark.parametrize("given", [{}, {"delivery": "relay"}, {"redirect_to": ""},
                                       {"only_to": ""}, {"only_for": "*@example.org"},
                                       {"colour": "red"}, {"max_size": "large"}], ids=str)
    def test_other_settings_send(self, given):
        """ Without these settings mail goes out, also if another one has a mistake """

        assert not capture(**given)[0].is_active

# =============================================================================
class TestChannels:
    """ Texts by SMS are captured by each of these settings """

    @pytest.mark.parametrize("given", [{"delivery": "capture"}, {"redirect_to": ANNE},
                                       {"only_to": "*@example.org"}], ids=str)
    def test_a_text_is_captured(self, given):
        """ A text has no address to redirect it to, nor one that a pattern is for """

        assert capture(**given)[0].reason("+49 170 1234567", "SMS")

    @pytest.mark.parametrize("given, words", [
        ({"delivery": "capture"}, "sent to nobody"),
        ({"redirect_to": "me@example.com"}, "goes to me@example.com"),
        ({"only_to": "*@example.org"}, "Only mail to *@example.org"),
        ({"redirect_to": "me@example.com", "only_to": "*@example.org"}, "Mail to *@example.org"),
        ])
    def test_the_notice_says_so(self, given, words):
        """ A sentence says what happens to mail """

        assert words in capture(**given)[0].notice

# END =========================================================================
