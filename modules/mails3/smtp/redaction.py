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
def redacted(text, user, secret):
    """
        Replace a login in a text by asterisks, whole and in part

        Args:
            text: the relay's words (str)
            user: str; empty = no user
            secret: the password or token (str); empty = no user

        Returns:
            the text without user and secret (str)
    """

    # As PLAIN (RFC 4616), LOGIN, XOAUTH2 and OAUTHBEARER (RFC 7628) send it
    bearer = "\1auth=Bearer %s\1\1" % secret
    sent = [in_base64(part) for part in (user, secret, "\0%s\0%s" % (user, secret),
                                         "user=%s%s" % (user, bearer))]
    # What comes before the token shifts its base64
    sent += [in_base64(filling + bearer) for filling in ("", " ", "  ")] + [secret]
    sent = " ".join(sent)
    text = SENT.sub(lambda found: "***" if found.group() in sent else found.group(), text)
    for each in (secret, user):
        text = text.replace(each, "***") if each else text
    return text

# -----------------------------------------------------------------------------
def in_base64(text):
    """ A text as AUTH sends it: base64 of UTF-8 """

    return b64encode(text.encode("utf-8")).decode("ascii")

# END =========================================================================
