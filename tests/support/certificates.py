"""
    Certificates of a private authority, good ones and bad ones, made when they are
    needed (by the package cryptography, which trustme brings)
"""

import atexit
import datetime
import ipaddress
import os
import socket
import ssl

from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .folders import temporary_file

# The mail server of the tests, by name: nothing is verified about 127.0.0.1
HOST = "mail.shelter.net"

# =============================================================================
class ServerCertificate:
    """ A certificate with its key """

    def __init__(self, certificate, key):

        self.certificate = certificate
        self.chain = certificate.public_bytes(serialization.Encoding.PEM)
        self.der = certificate.public_bytes(serialization.Encoding.DER)
        self.key = key.private_bytes(serialization.Encoding.PEM,
                                     serialization.PrivateFormat.PKCS8,
                                     serialization.NoEncryption())
        self.signing_key = key

    @property
    def fingerprint(self):
        """ As openssl prints it """

        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    # -------------------------------------------------------------------------
    def file(self, *parts):
        """ The path of a file with some PEM, which lasts as long as this process """

        path = temporary_file(".pem")
        atexit.register(os.remove, path)
        with open(path, "wb") as file:
            file.write(b"".join(parts or [self.chain]))
        return path

    def context(self, oldest=None):
        """ The SSLContext of a server that has it (oldest: as for SSLContext.minimum_version) """

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # Also with what is not safe any more
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.load_cert_chain(self.file(self.chain, self.key))
        if oldest:
            context.minimum_version = context.maximum_version = oldest
        return context

# -----------------------------------------------------------------------------
def certificate(*hosts, by=None, days=(-1, 30), name=None, is_authority=False, key=None):
    """
        Make a certificate

        Args:
            hosts: for which it is
            by: ServerCertificate of its authority; None = self-signed
            days: when it begins and ends, from now
            name: its common name; None = its first host
            is_authority: whether it may sign others
            key: its private key; None = a new one

        Returns:
            the ServerCertificate
    """

    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name or hosts[0]),
                         x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Shelter")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder(
        issuer_name = by.certificate.subject if by else subject,
        subject_name = subject,
        public_key = key.public_key(),
        serial_number = x509.random_serial_number(),
        not_valid_before = now + datetime.timedelta(days=days[0]),
        not_valid_after = now + datetime.timedelta(days=days[1]),
        ).add_extension(x509.BasicConstraints(is_authority, None), critical=True)
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(map(alternative, hosts)),
                                        critical=False)
    return ServerCertificate(builder.sign(by.signing_key if by else key, hashes.SHA256()), key)

# -----------------------------------------------------------------------------
def alternative(host):
    """ A host or an IP address, as a certificate has it """

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host.encode("idna").decode("ascii"))

# -----------------------------------------------------------------------------
@lru_cache(maxsize=None)
def authority(name="Shelter CA"):
    """ A private authority: its ServerCertificate """

    return certificate(name=name, is_authority=True, days=(-9, 99))

# -----------------------------------------------------------------------------
def resolve_here(monkeypatch, *names):
    """ Let names be those of this machine """

    find = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *args, **options: find(
        "127.0.0.1" if host in (names or (HOST,)) else host, *args, **options))

# END =========================================================================
