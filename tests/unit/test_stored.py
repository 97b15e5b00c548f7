"""
    The stored form of a message
"""

import pytest

from hypothesis import given, settings

from support.call_strategies import calls, options, reproducibly
from support.calls import T, fresh, without

from mails3.message.stored import Message

# =============================================================================
class TestStored:
    """ A message is stored as versioned text and blobs """

    @settings(reproducibly, max_examples=150)
    @given(call=calls(), more=options)
    def test_a_stored_message_is_read_as_it_was_written(self, call, more):
        """ The stored form is complete and ASCII, so that no database changes it """

        arguments = {"message": "[no message]", **fresh(without([T], call)), **more}
        message = Message.read(arguments)

        head, body, parts = message.dump()

        assert Message.load(head, body, lambda: parts) == message
        assert (head + body).isascii()
        assert all(isinstance(part, bytes) for part in parts)

# -----------------------------------------------------------------------------
def test_a_stored_message_of_a_newer_version_is_not_read():
    """ Reading a message of a newer version raises an exception """

    with pytest.raises(ValueError):
        Message.load('{"version": 2, "attachments": 0}', '""', list)

# END =========================================================================
