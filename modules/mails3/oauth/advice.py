# -*- coding: utf-8 -*-

"""
    What to do about a refusal, where the words of the provider are known

    Sources: learn.microsoft.com/entra/identity-platform/reference-error-codes,
    developers.google.com/identity/protocols/oauth2, and the reports of those who
    have met them.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import re

__all__ = ("NEW_REFRESH_TOKEN", "advice_for", "advice_on_login")

NEW_REFRESH_TOKEN = "get a new refresh token: python3 APP/modules/mails3 oauth"

# Of a token endpoint, by a part of its host and words: the first that fits
TOKEN_ADVICE = (
    ("microsoft", r"AADSTS7000222",
     "the client secret has expired: make a new one in Entra, and put its value into "
     "oauth_client_secret_file"),
    ("microsoft", r"AADSTS7000215",
     "oauth_client_secret_file must have the secret's value, not its id"),
    ("microsoft", r"AADSTS(700082|70008|70043|70000|50173|50076|50078|50079|65001)\b",
     NEW_REFRESH_TOKEN),
    ("microsoft", r"AADSTS(700016|90002)\b",
     "see oauth_client_id and oauth_tenant"),
    ("google", r"invalid_grant",
     "it has expired (after 7 days, if the consent screen is in Testing) or was withdrawn; " +
     NEW_REFRESH_TOKEN),
    ("google", r"invalid_client|unauthorized_client",
     "oauth_client_id, the client secret and the refresh token must be of the same client"),
    ("", r"invalid_grant", NEW_REFRESH_TOKEN),
    ("", r"invalid_client", "see oauth_client_id and oauth_client_secret_file"),
    ("", r"invalid_scope", "see oauth_scope"),
    )

# Of a relay at the login, by whether that is by token (None: either) and words: the
# first that fits
LOGIN_ADVICE = (
    (None, r"5\.7\.139\b",
     "allow authenticated SMTP: Set-CASMailbox -SmtpClientAuthenticationDisabled $false"),
    (False, r"5\.7\.30\b|basic authentication",
     "log in by OAuth: setting oauth"),
    (False, r"application-specific password|gsmtp",
     "use an app password, or OAuth: setting oauth"),
    (True, r"5\.7\.3\b",
     "the app needs SMTP.SendAsApp with admin consent, and its service principal full access "
     "to the mailbox oauth_user"),
    (True, r"gsmtp",
     "the scope must be https://mail.google.com/, and oauth_user the account that has "
     "consented"),
    )

# -----------------------------------------------------------------------------
def advice_for(host, error, words):
    """
        What to do about a refusal of a token endpoint

        Args:
            host: of the endpoint
            error, words: its error and error_description

        Returns:
            the advice, to be appended to the words (str); empty if there is no advice
    """

    for part, pattern, advice in TOKEN_ADVICE:
        if part in host and re.search(pattern, "%s %s" % (error, words)):
            return " (%s)" % advice
    return ""

# -----------------------------------------------------------------------------
def advice_on_login(text, is_by_token):
    """
        What to do about a relay's refusal of a login

        Args:
            text: the relay's words
            is_by_token: the login was by OAuth (bool)

        Returns:
            as advice_for()
    """

    for by_token, pattern, advice in LOGIN_ADVICE:
        if by_token in (None, is_by_token) and re.search(pattern, text, re.IGNORECASE):
            return " (%s)" % advice
    return ""

# END =========================================================================
