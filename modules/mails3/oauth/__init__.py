# -*- coding: utf-8 -*-

"""
    OAuth 2.0 (RFC 6749): the access token by which we log in to the relay

    configuration  the settings, and what is known of the providers
    token_cache    the tokens of this process: had once, renewed before they end
    grants         how a token is had: by the client's secret, by a refresh
                   token, by a command
    endpoint       ask a provider over HTTPS, and what its refusals mean
    secret_file    the files with the secrets

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

# END =========================================================================
