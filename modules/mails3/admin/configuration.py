# -*- coding: utf-8 -*-

"""
    The mail configuration of a site as an admin sees it, and warnings about it

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import re

from ..message.address import BadInput, address_of
from ..replies import ConfigurationFailure
from ..delivery.configuration import Configuration, is_native

__all__ = ("configuration_in_use", "configuration_warnings", "server_of")

# Domains for examples, which nobody has (RFC 2606). The example of web2py's own
# scaffolding app is you@gmail.com.
EXAMPLE_DOMAIN = re.compile(
                    r"(?:^|\.)(?:example(?:\.com|\.net|\.org)?|invalid|test|localhost)$",
                    re.IGNORECASE)
EXAMPLE_ADDRESS = "you@gmail.com"

LOOPBACK = re.compile(r"localhost|127\.[\d.]+|::1", re.IGNORECASE)

# -----------------------------------------------------------------------------
def configuration_in_use(mail):
    """
        The configuration as this request or command has it, without secrets

        Args:
            mail: the MailS3

        Returns:
            list of tuples (name, value)
    """

    settings = mail.settings
    sender = [("Sender", settings.sender or "none")]
    further = [("Mail server %s" % relay.name, further_relay(mail, relay))
               for relay in mail.options.relays]
    if is_native(settings):
        return [("Mail server", "%s (for what is sent from here; a worker may have "
                 "another)" % settings.server)] + sender + further
    try:
        server = Configuration(mail).server()
    except ConfigurationFailure as error:
        return [("Mail server", str(error))] + sender + further

    return [("Mail server", "%s:%s" % (server.host, server.port)),
            ("Encryption", encryption_of(server)),
            ("Login", "yes" if server.user is not None else "none"),
            ] + sender + further

# -----------------------------------------------------------------------------
def encryption_of(server):
    """ How the connection to a Server is encrypted (str) """

    encryption = "from the first byte (SSL)" if server.ssl else \
                 "STARTTLS" if server.starttls else "none"
    if encryption != "none":
        encryption += ", certificate %s" % ("verified" if server.verify else "not verified")
    return encryption

# -----------------------------------------------------------------------------
def further_relay(mail, settings):
    """
        The configuration of a further relay, without secrets

        Args:
            mail: the MailS3
            settings: those of the relay

        Returns:
            a text
    """

    try:
        server = Configuration(mail, settings).server()
    except ConfigurationFailure as error:
        return str(error)
    parts = ["%s:%s" % (server.host, server.port), "encryption: %s" % encryption_of(server),
             "login: %s" % ("yes" if server.user is not None else "none")]
    if settings.only_for:
        parts.append("only for %s" % settings.only_for)
    return ", ".join(parts)

# -----------------------------------------------------------------------------
def server_of(mail, salt, fingerprints, relay_settings=None):
    """
        The mail server of this configuration, if it is one of some configurations

        Args:
            mail: the MailS3
            salt: of the fingerprints
            fingerprints: of those configurations (list)
            relay_settings: those of a further relay; None = the first one

        Returns:
            its address (host:port), or None
    """

    configuration = Configuration(mail, relay_settings)
    try:
        server = configuration.server()
    except ConfigurationFailure:
        return None
    return "%s:%s" % (server.host, server.port) \
        if configuration.fingerprint(salt) in fingerprints else None

# -----------------------------------------------------------------------------
def configuration_warnings(mail):
    """
        What will or may go wrong with the configuration

        Args:
            mail: the MailS3

        Returns:
            list of sentences (str)
    """

    warnings = []
    settings = mail.settings
    try:
        domain = address_of(settings.sender).rpartition("@")[2]
    except BadInput:
        warnings.append("No sender is configured: no mail can be sent.")
    else:
        if EXAMPLE_DOMAIN.search(domain) or EXAMPLE_ADDRESS in settings.sender:
            warnings.append("The sender is an example (%s): mail servers refuse "
                            "such mail, or nobody gets the answers." % settings.sender)

    if is_native(settings):
        # The models may say: "logging" if request.is_local else ...
        outcome = "only logged" if settings.server.startswith("logging") else \
            "handed over at once"
        warnings.append("What is sent from here is %s, and not queued: mail.settings."
                        "server is %r in this request." % (outcome, settings.server))
        return warnings
    for relay in (None, *mail.options.relays):
        try:
            warnings.extend(server_warnings(Configuration(mail, relay).server()))
        except ConfigurationFailure as error:
            warnings.append("%s: no mail can be sent%s." %
                            (error, " by the mail server %s" % relay.name if relay else ""))
    return warnings

# -----------------------------------------------------------------------------
def server_warnings(server):
    """ What others may read on the way to the Server (yields sentences) """

    if LOOPBACK.fullmatch(server.host):
        return
    has_login = server.user is not None
    if not (server.ssl or server.starttls):
        yield "Mail%s goes to %s without encryption (TLS)." % \
              (" and the login" if has_login else "", server.host)
    elif not server.verify:
        yield "The certificate of %s is not verified: a server that pretends to be it " \
              "gets the %s (verify_tls = yes)." % (server.host,
                                                   "login" if has_login else "mail")

# END =========================================================================
