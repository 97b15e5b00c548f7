# -*- coding: utf-8 -*-

"""
    The dialogue about the next message of a session, which begins while the one
    before is being finished

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from .dialogue import Dialogue
from ..replies import ConfigurationFailure, PermanentFailure

__all__ = ("NextDialogue",)

# =============================================================================
class NextDialogue:
    """ The Dialogue of which the relay has got the beginning, if there is one """

    def __init__(self):

        self.dialogue = None

    # -------------------------------------------------------------------------
    def take(self):
        """ The Dialogue, or None; it is forgotten here """

        dialogue, self.dialogue = self.dialogue, None
        return dialogue

    # -------------------------------------------------------------------------
    def is_begun(self):
        """ Whether a reply is to come that is not read yet """

        return self.dialogue is not None and self.dialogue.is_begun

    # -------------------------------------------------------------------------
    def fits(self, envelope):
        """ Whether the relay expects the content of an Envelope """

        dialogue = self.dialogue
        return dialogue.envelope is envelope and (dialogue.is_begun or dialogue.is_answered())

    # -------------------------------------------------------------------------
    def open(self, client, following):
        """
            Begin along with the content of the message before, if the relay takes
            several commands at a time

            Args:
                client: the Client
                following: function that gives the next Envelope, or None

            Returns:
                the Dialogue, or None
        """

        if "pipelining" not in client.extensions:
            return None
        dialogue = dialogue_of(client, following)
        self.dialogue = dialogue if dialogue and dialogue.may_be_opened_ahead() else None
        return self.dialogue

    # -------------------------------------------------------------------------
    def begin(self, client, following):
        """
            Begin after the message before, if the relay takes one command at a
            time: the reply to the first command comes while the result of that
            message is written

            Args:
                as for open()

            Returns:
                False if the connection is of no use any more
        """

        if "pipelining" in client.extensions:
            return True
        dialogue = dialogue_of(client, following)
        if dialogue is None:
            return True
        if not client.give_at_once(dialogue.groups[0]):
            return False
        dialogue.is_begun, self.dialogue = True, dialogue
        return True

# -----------------------------------------------------------------------------
def dialogue_of(client, following):
    """ The Dialogue about the next message, or None; arguments as for NextDialogue.open() """

    envelope = following()
    try:
        return envelope and Dialogue(envelope, client.extensions)
    except (ConfigurationFailure, PermanentFailure):
        # The message fails when it has its turn
        return None

# END =========================================================================
