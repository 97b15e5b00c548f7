"""
    Large messages, and the limits of the database server
"""

import json
import os
import random

from base64 import b64encode
from io import BytesIO

import pytest

from gluon.tools import Mail

from mails3.states import SENT, UNSENT
from mails3.queue.contents import packed, unpacked

ANNE, BOB = "anne@example.org", "bob@example.org"

LETTERS = "абвгдежзийклмнопрстуфхцчшщъыьэюя \n\U0001f980"

# -----------------------------------------------------------------------------
def stored(office):
    """ The text of the message that was queued last, as a worker reads it """

    table = office.db.mails3_message
    row = office.db(table).select(table.id, orderby=~table.id, limitby=(0, 1)).first()
    return office.mail.channel().contents.load(row.id)[0].body

# =============================================================================
class TestText:
    """ Text in any script takes no more room than it needs """

    def test_nine_megabytes_of_cyrillic_are_queued(self, office):
        """
            Nine megabytes of Cyrillic text arrive letter by letter, and the visitor's own rows
            are kept
        """

        text = "".join(random.Random(1).choices(LETTERS, k=4900000))
        assert len(text.encode("utf-8")) > 9000000

        office.db.msg_outbox.insert(address=BOB)
        assert office.mail.send(ANNE, "News", text), office.mail.error
        office.db.commit()

        assert office.db(office.db.msg_outbox).count() == 2
        assert stored(office) == text
        assert office.relay.connections == 0

    def test_a_large_text_arrives_as_it_was_sent(self, office):
        """ Plain text and html of some hundred kilobytes arrive unchanged """

        text = "".join(random.Random(2).choices(LETTERS[:33], k=100000))
        assert office.mail.send(ANNE, "News", (text, "<p>%s</p>" % text))
        office.db.commit()
        office.drain()

        mail, = office.relay.mails
        plain, html = mail.message.get_payload()
        assert plain.get_payload(decode=True).decode("utf-8").split() == text.split()
        assert html.get_payload(decode=True).decode("utf-8").split() == \
            ("<p>%s</p>" % text).split()

    def test_a_damaged_message_is_held_alone(self, office):
        """ A damaged message is held, and the others leave """

        large = "x" * 200000
        damaged = office.queue(ANNE)
        office.change_message(damaged, body=packed('"%s"' % large)[:-100])
        assert office.mail.send(BOB, "News", large)
        office.db.commit()
        office.drain()

        assert office.status(damaged) not in (UNSENT, SENT)
        assert [mail.recipients for mail in office.relay.mails] == [[BOB]]

    @pytest.mark.parametrize("body", ['"short"', "null", '["%s", null]' % ("x" * 200000),
                                      '"%s"' % (r"\ud800" * 100000)])
    def test_packing_loses_nothing(self, body):
        """
            Any JSON that a body may be is the same after packing and unpacking, lone surrogates
            included
        """

        assert json.loads(unpacked(packed(body))) == json.loads(body)

# =============================================================================
@pytest.mark.parametrize("uri", ["mysql"], indirect=True)
class TestPacket:
    """ MariaDB ends the connection over a statement that is too large for the server """

    @pytest.fixture
    def limit(self, office):
        """ What the server takes (bytes) """

        limit = int(office.db.executesql("SELECT @@max_allowed_packet")[0][0])
        if limit > 100000000:
            pytest.skip("The server takes statements of %s bytes" % limit)
        office.configure(max_size=10 * limit)
        return limit

    # -------------------------------------------------------------------------
    @pytest.mark.parametrize("part", ["attachment", "text"])
    def test_a_message_too_large_for_the_server_is_refused(self, office, limit, part):
        """
            A message that is too large for the server is refused with a reason, and the
            visitor's transaction goes on
        """

        text, attachments = "News", None
        if part == "attachment":
            attachments = Mail.Attachment(BytesIO(os.urandom(limit * 3 // 4)), "noise.bin")
        else:
            text = b64encode(os.urandom(limit)).decode("ascii")
        office.db.msg_outbox.insert(address=BOB)

        assert office.mail.send(ANNE, "News", text, attachments=attachments) is False

        assert "max_allowed_packet" in office.mail.error and str(limit) in office.mail.error
        office.db.commit()
        assert [row.address for row in office.db(office.db.msg_outbox).select()] == [BOB]
        assert office.db(office.db.mails3_message).isempty()
        assert office.relay.connections == 0

    def test_the_largest_possible_message_is_queued(self, office, limit):
        """ A message that just fits into the server's limit is queued """

        content = os.urandom(int(limit * 0.53))
        attachment = Mail.Attachment(BytesIO(content), "noise.bin")
        assert office.mail.send(ANNE, "News", "News", attachments=attachment), office.mail.error
        office.db.commit()

        assert office.db(office.db.mails3_attachment).count() == 1

# END =========================================================================
