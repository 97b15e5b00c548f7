# -*- coding: utf-8 -*-

"""
    To keep the login out of texts: some relays repeat it, or the command in which
    it was sent

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import re

from base64 import b64encode

__all__ = ("redacted",)

# A text that may be a login or a token, or a part of one, as AUTH sends it: in
# base64, or as it is (RFC 4648 sections 4 and 5)
SENT = re.compile(r"[A-Za-z0-9+/_-]{6,}={0,2}")

# -----------------------------------------------------------------------------
def redacted(text, secrets, said):
    """
        Replace a login in a text by asterisks, whole and in part

        Args:
            text: the relay's words (str)
            secrets: user, password, token (texts), some may be empty
            said: what was sent in base64 (texts)

        Returns:
            the text without them (str)
    """

    sent = [b64encode(each.encode("utf-8")).decode("ascii") for each in said] + list(secrets)
    # The whole ones first: of one that stands within a word, the other part would stay
    for each in filter(None, sent):
        text = text.replace(each, "***")
    parts = " ".join(sent)
    return SENT.sub(lambda found: "***" if found.group() in parts else found.group(), text)

# END =========================================================================
