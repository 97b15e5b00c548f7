"""
    The arguments of web2py's Mail.send, as web2py 2.x, 3.x and a newer one have them
"""

import inspect
import io
import textwrap

import pytest

from gluon import tools
from gluon.tools import Mail

ANNE = "anne@example.org"

# -----------------------------------------------------------------------------
def newer_send(signature):
    """ Mail.send as it may be one day, with one more argument: importance """

    source = textwrap.dedent(inspect.getsource(Mail.send))
    head, docstring, body = source.split('"""', 2)
    head = head.replace("\n):", "\n    %s):" % signature)
    value = "more['importance']" if "more" in signature else "importance"
    body = "\n    headers = dict(headers, **{'X-Importance': str(%s)})%s" % (value, body)

    names = {}
    exec('"""'.join((head, docstring, body)), vars(tools), names)
    return names["send"]

# =============================================================================
class TestDialects:
    """ Each argument of Mail.send reaches it """

    def test_the_arguments_of_both_dialects_are_taken(self, small_office):
        """ send() takes the arguments of web2py 2.x and 3.x, `encoding` included """

        assert small_office.mail.send(ANNE, "News", "There is news.", encoding="utf-8")
        assert small_office.mail.send(ANNE, "News", io.BytesIO("Übung".encode("latin-1")),
                                      encoding = "latin-1")
        small_office.db.commit()
        small_office.drain()

        news = small_office.relay.mails[1].message
        assert news.get_payload(decode=True).decode("utf-8").strip() == "Übung"

    @pytest.mark.parametrize("signature", ["importance=None", "**more"])
    def test_an_argument_of_a_newer_web2py_reaches_its_send(self, small_office, signature,
                                                            monkeypatch):
        """ An argument that only a newer Mail.send has reaches it, named or by ** """

        monkeypatch.setattr(Mail, "send", newer_send(signature))

        small_office.queue(ANNE, importance="high")
        small_office.drain()

        assert small_office.relay.mails[0].message["X-Importance"] == "high"

    def test_an_unstorable_argument_is_sent_directly(self, small_office, monkeypatch, caplog):
        """ A call with an object that can't be stored is sent directly """

        monkeypatch.setattr(Mail, "send", newer_send("importance=None"))

        assert small_office.mail.send(ANNE, "News", "There is news.", importance=object())

        assert small_office.relay.mails[0].message["X-Importance"].startswith("<object")
        assert small_office.db(small_office.db.msg_outbox).isempty()
        assert "can't be queued" in caplog.text

# END =========================================================================
