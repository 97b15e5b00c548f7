# -*- coding: utf-8 -*-

"""
    The mail configuration of a site as an admin sees it, and warnings about it

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import os
import re
import stat

from ..message.address import BadInput, address_of
from ..replies import ConfigurationFailure
from ..delivery.configuration import Configuration, is_native
from ..delivery.known_certificate import KnownCertificate
from ..smtp.ehlo_name import full_name
from ..smtp.tls import WARN, YES

__all__ = ("configuration_in_use", "configuration_warnings", "server_of", "unverified_certificate")

# Domains for examples, which nobody has (RFC 2606). The example of web2py's own
# scaffolding app is you@gmail.com.
EXAMPLE_DOMAIN = re.compile(
                    r"(?:^|\.)(?:example(?:\.com|\.net|\.org)?|invalid|test|localhost)$",
                    re.IGNORECASE)
EXAMPLE_ADDRESS = "you@gmail.com"

# -----------------------------------------------------------------------------
def configuration_in_use(mail, relays):
    """
        The configuration as this request or command has it, without secrets

        Args:
            mail: the MailS3
            relays: list of RelayState, the first relay first

        Returns:
            list of tuples (name, value)
    """

    first, *others = relays
    sender = [("Sender", mail.settings.sender or "none")]
    further = [("Mail server %s" % state.relay.name, further_relay(mail, state))
               for state in others]
    if is_native(mail.settings):
        facts = [("Mail server", "%s (for what is sent from here; a worker may have another)" %
                  mail.settings.server)]
    else:
        facts = facts_of(mail, first)
    return facts + sender + further

# -----------------------------------------------------------------------------
def facts_of(mail, state):
    """ The configuration of a relay (state: its RelayState); returns as configuration_in_use() """

    try:
        server = Configuration(mail, state.relay.settings).server()
    except ConfigurationFailure as error:
        return [("Mail server", str(error))]
    has_login = server.user is not None
    known = KnownCertificate.load(state.row.certificate, server.address)
    has_certificate = server.ssl or server.starttls or has_login and known
    return [("Mail server", server.address),
            ("Encryption", "from the first byte (SSL)" if server.ssl else
             "STARTTLS" if server.starttls else
             "STARTTLS, if the mail server offers it" if has_login else "none"),
            *([("Certificate", certificate_state(server, known))] if has_certificate else []),
            ("Login", login_of(server)),
            ]

# -----------------------------------------------------------------------------
def further_relay(mail, state):
    """ The configuration of a further relay (its RelayState), on one line """

    (_, server), *facts = facts_of(mail, state)
    if state.relay.only_for:
        facts.append(("only for", ", ".join(state.relay.only_for)))
    return "; ".join([server] + ["%s: %s" % (name.lower(), value) for name, value in facts])

# -----------------------------------------------------------------------------
def login_of(server):
    """ How the login to a Server is made (str) """

    if server.oauth:
        return "by OAuth, token from %s" % server.oauth.source
    return "yes" if server.user is not None else "none"

# -----------------------------------------------------------------------------
def certificate_state(server, known):
    """ Whether the certificate of a Server is verified (known: the KnownCertificate, or None) """

    if server.tls.pins:
        return "pinned: no mail goes to another one"
    if server.tls.verify == YES:
        return "verified, or no mail goes out"
    if known and server.tls.verify == WARN:
        return "verified" if known.is_verified else "not verified"
    return "not verified" if server.is_local or server.tls.verify != WARN else "not seen yet"

# -----------------------------------------------------------------------------
def unverified_certificate(mail, state):
    """
        What an admin is told of a certificate that could not be verified

        Args:
            mail: the MailS3
            state: the RelayState

        Returns:
            tuple (title, detail); None = nothing is known to be wrong
    """

    configuration = Configuration(mail, state.relay.settings)
    if configuration.is_native():
        return None
    try:
        server = configuration.server()
    except ConfigurationFailure:
        return None
    known = KnownCertificate.load(state.row.certificate, server.address)
    if not known or not known.is_told or server.tls.verify != WARN or server.tls.pins:
        return None
    return "The certificate of %s is not verified" % server.host, known.text

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
    return server.address if configuration.fingerprint(salt) in fingerprints else None

# -----------------------------------------------------------------------------
def configuration_warnings(mail, relays):
    """
        What will or may go wrong with the configuration

        Args:
            mail: the MailS3
            relays: list of RelayState, the first relay first

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
    for state in relays:
        try:
            warnings.extend(server_warnings(Configuration(mail, state.relay.settings).server()))
        except ConfigurationFailure as error:
            warnings.append("%s: no mail can be sent%s." %
                            (error, " by the mail server %s" % state.relay.name
                             if state.relay.name else ""))
    if any(state.relay.name and state.relay.settings.login for state in relays) and \
       others_may_read(mail.settings_file):
        warnings.append("Others may read the password in %s: chmod o-r." % mail.settings_file)
    warnings += ["%s: %s." % unverified for unverified in
                 (unverified_certificate(mail, state) for state in relays) if unverified]
    return warnings

# -----------------------------------------------------------------------------
def others_may_read(path):
    """ Whether all users of this machine may read a file (path: str, or None) """

    try:
        return bool(path) and os.name == "posix" and bool(os.stat(path).st_mode & stat.S_IROTH)
    except OSError:
        return False

# -----------------------------------------------------------------------------
def server_warnings(server):
    """ What mail servers refuse, and what others may read on the way (yields sentences) """

    if server.hostname and not full_name(server.hostname):
        yield "The name for EHLO, %s, is not a full host name (like mail.example.org): it is " \
              "not used." % server.hostname
    if server.is_local or server.ssl or server.starttls:
        return
    if server.user is None:
        yield "Mail goes to %s without encryption (TLS)." % server.host
    elif server.tls.verify != YES:
        yield "Mail and the login go to %s without encryption (TLS) if it offers no STARTTLS: " \
              "set mail.settings.tls = True." % server.host

# END =========================================================================
