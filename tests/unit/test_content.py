"""
    The content of a message: text, html, files, attachments
"""

from io import StringIO

import pytest

from support.arrival import decoded, likeness, lines_of, text_of, through_the_queue, what_arrives
from support.calls import A_FILE, Form, T, fresh, utf8_file

from mails3.message.header import MAX_LINE_CHARS

ANNE, BOB, CARL = "anne@example.org", "bob@example.org", "carl@example.org"

# =============================================================================
class TestContent:
    """ The content arrives as the caller has meant it """

    @pytest.mark.parametrize("text", ["Hello", "Grüße\n.\n\nAnne", "<html>Grüße</html>"])
    @pytest.mark.parametrize("make", [str, StringIO, utf8_file])
    def test_a_raw_message_is_sent_unchanged(self, branch, make, text):
        """ A raw message is sent as it is, from text or from a file """

        arrived = through_the_queue(branch, ANNE, "Grüße", make(text), raw=True)

        assert arrived.message.get_content_type() == "text/plain"
        assert text_of(arrived) == text
        assert decoded(arrived.message["Subject"]) == "Grüße"

    def test_a_long_line_of_a_raw_message_arrives(self, branch):
        """ A raw message with a line over 998 characters arrives unchanged """

        arrived = through_the_queue(branch, ANNE, "News", "w" * 2000, raw=True)

        assert text_of(arrived) == "w" * 2000
        assert max(map(len, lines_of(arrived))) <= MAX_LINE_CHARS

    @pytest.mark.parametrize("make", [StringIO, utf8_file])
    def test_a_message_may_be_a_file(self, branch, make):
        """ A file may be the whole message, as web2py's documentation says """

        arrived = through_the_queue(branch, ANNE, message=make("<html>Grüße</html>"))

        assert arrived.message.get_content_type() == "text/html"
        assert text_of(arrived) == "<html>Grüße</html>"

    def test_a_lazy_translation_is_made_in_its_request(self, branch):
        """ A lazy translation becomes text in the language of its request """

        words = {"name": "Anne"}
        branch.mail.send(ANNE, T("Hello, %(name)s", words), T("Dear %(name)s", words),
                         headers = {"X-Kind": T("for %(name)s", words)})
        branch.db.commit()
        words["name"] = "nobody"
        arrived = what_arrives(branch)

        assert arrived.message["Subject"] == "Hello, Anne"
        assert arrived.message["X-Kind"] == "for Anne"
        assert text_of(arrived) == "Dear Anne"

    def test_the_callers_arguments_are_not_changed(self, branch):
        """ The caller's lists are as before after send(), web2py appends to them """

        parts = fresh([A_FILE, A_FILE])
        content = parts[0].as_bytes()
        arguments = {"to": [ANNE], "cc": [BOB], "bcc": [CARL], "reply_to": [BOB],
                     "message": ["text", "<html></html>"], "headers": {"X-Mailer": "Eden"},
                     "attachments": list(parts)}
        before = {key: value[:] if isinstance(value, list) else dict(value)
                  for key, value in arguments.items()}

        first = through_the_queue(branch, **arguments)
        again = through_the_queue(branch, **arguments)

        assert arguments == before
        assert [part.as_bytes() for part in parts] == [content, content]
        assert likeness(again.message) == likeness(first.message)
        assert again.recipients == first.recipients

    @pytest.mark.parametrize("attachments", [None, [], ()])
    @pytest.mark.parametrize("message", [None, (None, None), (None, ""),
                                         Form(list, [None, Form(StringIO, "")])])
    def test_a_mail_without_content_is_refused(self, small_office, message, attachments):
        """ A mail without text, html and attachments is refused with a reason """

        assert small_office.mail.send(ANNE, "News", fresh(message), attachments) is False
        assert "message" in small_office.mail.error

# END =========================================================================
