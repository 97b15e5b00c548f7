"""
    Headers: what they say, and how their lines are written
"""

import email.utils
import re

from email import message_from_string

import pytest

from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.arrival import decoded, likeness, lines_of, through_the_queue, unfolded, what_arrives
from support.call_strategies import reproducibly

from mails3.message.content import HEADER_NAME
from mails3.message.header import FOLDED, MAX_LINE_CHARS

ANNE, BOB = "anne@example.org", "bob@example.org"

LATER = "Fri, 01 Jan 2100 00:00:00 +0000"

HINDI = "आश्रय में आपका स्वागत है। "

# =============================================================================
class TestLines:
    """ A header of any length has lines that each relay takes """

    @settings(reproducibly)
    @given(name = st.from_regex(HEADER_NAME, fullmatch=True),
           value = st.text(st.characters(exclude_categories=["Cs"],
                                         exclude_characters="\r\n\0")))
    @example(name="Subject", value="News ")
    @example(name="Subject", value="")
    @example(name="X-Name" * 20, value="Zoë " * 100)
    @example(name="Subject", value="w" * 3000)
    @example(name="Subject", value="a" + " " * 3000 + "b")
    def test_a_header_is_read_as_it_was_written(self, name, value):
        """ A header of any length has lines that each mail server takes (RFC 5322, RFC 2047) """

        written = FOLDED.fold(name, value)

        read = message_from_string(written)[name]
        assert decoded(unfolded(read)).strip(" ") == decoded(value).strip(" ")
        assert FOLDED.fold_binary(name, value).decode("ascii") == written
        assert FOLDED.fold(name, read) == written
        lines = written.splitlines()
        assert max(map(len, lines)) <= MAX_LINE_CHARS
        assert all(line.strip() for line in lines)
        assert all(len(line) <= 76 for line in lines if "=?utf-8?" in line)

    @pytest.mark.parametrize("text", [HINDI * 5, HINDI * 20, "Новости " * 4000, "w" * 3000,
                                      "\U0001f6d6" * 200, "News " * 300, "a" + " " * 2000 + "b",
                                      "Grüße, " + "w" * 900])
    def test_a_long_text_in_a_header_is_folded(self, branch, text):
        """ A long text in a header stays the same, folded into lines that each relay takes """

        arrived = through_the_queue(branch, ANNE, text, headers={"X-Text": text})

        for name in ("Subject", "X-Text"):
            assert decoded(unfolded(arrived.message[name])) == text
        assert max(map(len, lines_of(arrived))) <= MAX_LINE_CHARS
        assert all(len(line) <= 76 for line in lines_of(arrived) if "=?utf-8?" in line)

    def test_an_unknown_header_stays_as_it_is(self, branch):
        """ An unknown header in ASCII is not changed """

        arrived = through_the_queue(branch, ANNE, headers={"Errors-To": "undisclosed:;"})

        assert arrived.message["Errors-To"] == "undisclosed:;"

    @pytest.mark.parametrize("argument", ["subject", "header", "name"])
    def test_a_line_break_in_a_header_is_a_space(self, branch, argument):
        """ No line break or vertical tab in a value begins another header """

        text = "News\x0bX-Spam: yes"
        arrived = through_the_queue(branch, **{
            "subject": {"to": ANNE, "subject": text},
            "header": {"to": ANNE, "headers": {"X-Kind": text}},
            "name": {"to": '"%s" <%s>' % (text, ANNE)},
            }[argument])

        assert "X-Spam" not in arrived.message
        assert any("News X-Spam: yes" in decoded(unfolded(value))
                   for value in arrived.message.values())

# =============================================================================
class TestHeaders:
    """ Each header is there once, with the value of the call """

    def test_no_subject_is_an_empty_one(self, branch):
        """ A subject of None becomes an empty one """

        assert through_the_queue(branch, ANNE, None).message["Subject"] == ""

    def test_a_number_may_be_a_header(self, branch):
        """ A header whose value is a number is written as text """

        arrived = through_the_queue(branch, ANNE, headers={"X-Priority": 1})

        assert arrived.message["X-Priority"] == "1"

    def test_a_header_of_the_callers_replaces_ours(self, branch):
        """ A header of the caller's replaces ours in any case, because RFC 5322 allows one """

        arrived = through_the_queue(branch, ANNE, "News", headers={"subject": "Other news",
                                                                   "DATE": LATER})

        assert arrived.message.get_all("Subject") == ["Other news"]
        assert arrived.message.get_all("Date") == [LATER]

    def test_the_callers_message_id_is_the_only_one(self, branch):
        """ A Message-ID of the caller's is the only one, in whatever case it is written """

        arrived = through_the_queue(branch, ANNE, headers={"message-id": "<1@example.org>"})

        assert arrived.message.get_all("Message-ID") == ["<1@example.org>"]

    def test_all_attempts_have_one_message_id(self, small_office):
        """ All attempts of a message have the same Message-ID """

        small_office.relay.answer("RCPT", "451 4.3.0 Later", to=BOB, times=1)
        small_office.queue([ANNE, BOB])
        small_office.drain()
        small_office.later(600)
        small_office.retry()

        first, second = small_office.relay.mails
        assert (first.recipients, second.recipients) == ([ANNE], [BOB])
        assert re.fullmatch("<[^@]+@example.org>", first.message["Message-ID"])
        assert likeness(second.message) == likeness(first.message)
        assert second.message["Message-ID"] == first.message["Message-ID"]

    def test_all_attempts_and_recipients_have_one_date(self, branch, monkeypatch):
        """ All attempts and recipients of a message have the Date of the call """

        assert branch.mail.send(ANNE, "News", "There is news.")
        branch.db.commit()
        monkeypatch.setattr(email.utils, "formatdate", lambda *args, **kwargs: LATER)
        arrived = what_arrives(branch)

        assert arrived.message.get_all("Date") != [LATER]
        assert len(arrived.message.get_all("Date")) == 1

# END =========================================================================
