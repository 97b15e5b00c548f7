# -*- coding: utf-8 -*-

"""
    The settings for OAuth 2.0, and what is known of the providers

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import hashlib
import os
import re
import shlex

from dataclasses import dataclass
from typing import NamedTuple, Optional
from urllib.parse import urlsplit

from ..replies import ConfigurationFailure
from .secret_file import content_digest

__all__ = ("COMMAND", "CLIENT_CREDENTIALS", "GOOGLE", "LOOPBACK", "MICROSOFT", "OTHER",
           "REFRESH_TOKEN", "OAuth")

# The setting oauth
MICROSOFT, GOOGLE, OTHER, COMMAND = "microsoft", "google", "other", "command"

# How a token is had (RFC 6749 sections 4.4 and 6), or by a command
CLIENT_CREDENTIALS, REFRESH_TOKEN = "client_credentials", "refresh_token"

# A part of a URL
TENANT = re.compile(r"[\w.-]+", re.ASCII)

# Of Microsoft, for persons only
ANY_TENANT = ("common", "organizations", "consumers")

# This machine: here, an endpoint may do without TLS
LOOPBACK = ("localhost", "127.0.0.1", "::1")

# =============================================================================
class Provider(NamedTuple):
    """ What is known of a provider """

    token_url: str
    client_scope: str # for the grant client_credentials
    user_scope: str   # for a refresh token
    needs: tuple      # settings

PROVIDERS = {
    # MicrosoftDocs: how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth
    MICROSOFT: Provider("https://login.microsoftonline.com/%s/oauth2/v2.0/token",
                        "https://outlook.office365.com/.default",
                        "https://outlook.office.com/SMTP.Send offline_access",
                        ("oauth_tenant", "oauth_client_id")),
    # developers.google.com/gmail/imap/xoauth2-protocol: no smaller scope does
    GOOGLE: Provider("https://oauth2.googleapis.com/token", "", "https://mail.google.com/",
                     ("oauth_client_id", "oauth_client_secret_file",
                      "oauth_refresh_token_file")),
    OTHER: Provider("", "", "", ("oauth_token_url", "oauth_client_id")),
    COMMAND: Provider("", "", "", ("oauth_token_command",)),
    }

# =============================================================================
@dataclass(frozen = True)
class OAuth:
    """ How to get the token for one relay; holds no secret """

    provider: str                 # one of PROVIDERS
    grant: str                    # CLIENT_CREDENTIALS, REFRESH_TOKEN or COMMAND
    user: Optional[str] = None    # the mailbox; None = the user of Mail's login
    token_url: str = ""
    scope: str = ""
    client_id: str = ""
    tenant: str = ""              # of MICROSOFT
    secret_file: str = ""         # paths
    refresh_token_file: str = ""
    command: tuple = ()           # a program with its arguments

    # -------------------------------------------------------------------------
    @classmethod
    def read(cls, options):
        """
            Read the settings oauth, oauth_tenant, ... of one relay

            Args:
                options: the settings (a namespace, see settings.py)

            Returns:
                the OAuth; None if the login is not by OAuth

            Raises:
                ConfigurationFailure: a setting is missing or malformed; the text
                                      names it
        """

        name = options.oauth.lower()
        if not name:
            return None
        provider = PROVIDERS.get(name)
        if not provider:
            raise ConfigurationFailure("Setting oauth is not one of %s" % ", ".join(PROVIDERS))
        for needed in provider.needs:
            if not getattr(options, needed):
                raise ConfigurationFailure("Setting %s is missing (oauth = %s)" % (needed, name))
        user = options.oauth_user or None
        if name == COMMAND:
            return cls(name, COMMAND, user, command=read_command(options.oauth_token_command))

        grant = REFRESH_TOKEN if options.oauth_refresh_token_file else CLIENT_CREDENTIALS
        if grant == CLIENT_CREDENTIALS and not options.oauth_client_secret_file:
            raise ConfigurationFailure("Setting oauth_client_secret_file or "
                                       "oauth_refresh_token_file is missing (oauth = %s)" % name)
        if name == MICROSOFT and grant == CLIENT_CREDENTIALS and \
           options.oauth_tenant.lower() in ANY_TENANT:
            raise ConfigurationFailure("Setting oauth_tenant is not that of one tenant")
        for setting in ("oauth_client_secret_file", "oauth_refresh_token_file"):
            if not os.path.isabs(getattr(options, setting) or "/"):
                raise ConfigurationFailure("Setting %s is not an absolute path" % setting)
        scopes = {CLIENT_CREDENTIALS: provider.client_scope, REFRESH_TOKEN: provider.user_scope}
        return cls(name, grant, user,
                   token_url = read_token_url(options, provider),
                   scope = options.oauth_scope or scopes[grant],
                   client_id = options.oauth_client_id,
                   tenant = options.oauth_tenant,
                   secret_file = options.oauth_client_secret_file,
                   refresh_token_file = options.oauth_refresh_token_file,
                   )

    # -------------------------------------------------------------------------
    @property
    def source(self):
        """ Where the token comes from, for people (str) """

        return "oauth_token_command" if self.grant == COMMAND else \
            urlsplit(self.token_url).hostname

    # -------------------------------------------------------------------------
    def identity(self):
        """
            Tell this login from another: the same on all machines of a site, and
            another one when a file has been given another secret

            Returns:
                tuple of texts, without secrets
        """

        return (self.provider, self.grant, self.user or "", self.token_url, self.scope,
                self.client_id, content_digest(self.secret_file),
                content_digest(self.refresh_token_file), *self.command)

    # -------------------------------------------------------------------------
    def key(self):
        """ The identity as one text, for the TokenCache """

        return hashlib.sha256(repr(self.identity()).encode("utf-8")).hexdigest()

# -----------------------------------------------------------------------------
def read_token_url(options, provider):
    """ The URL of the token endpoint; raises ConfigurationFailure (args as for OAuth.read()) """

    url = options.oauth_token_url or provider.token_url
    if "%s" in url:
        if not TENANT.fullmatch(options.oauth_tenant):
            raise ConfigurationFailure("Setting oauth_tenant is not a tenant's id or domain")
        url = url % options.oauth_tenant
    try:
        parts = urlsplit(url)
        is_safe = parts.scheme == "https" or \
            parts.scheme == "http" and parts.hostname in LOOPBACK
    except ValueError:
        is_safe = False
    if not is_safe or not parts.hostname:
        raise ConfigurationFailure("Setting oauth_token_url is not an https URL")
    return url

# -----------------------------------------------------------------------------
def read_command(text):
    """ A command with its arguments (tuple); raises ConfigurationFailure """

    try:
        return tuple(shlex.split(text))
    except ValueError:
        raise ConfigurationFailure("Setting oauth_token_command has a quote that does "
                                   "not end") from None

# END =========================================================================
