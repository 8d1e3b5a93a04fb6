"""Certificates for a sandbox that serves over TLS: one good one, and some that no client must accept."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

#: What is wrong with each, by its name.
BAD_CERTIFICATES = {
    "expired": "has expired",
    "early": "is not valid yet",
    "wrong-host": "is for another host",
    "self-signed": "is signed by itself",
}
DAY = timedelta(days=1)
_UNUSED = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "encipher_only", "decipher_only"),
)
_USAGE = x509.KeyUsage(key_cert_sign=True, crl_sign=True, **dict.fromkeys(_UNUSED, False))


class Certificates:
    """An authority made for one sandbox, and contexts for a server with each of its certificates.

    :param host: The address that the good ones are for.

    :ivar authority: Its certificate as PEM, for clients to trust.
    """

    def __init__(self, host: str) -> None:
        now = datetime.now(UTC)
        fresh = (now - DAY, now + DAY)
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Authority of the sandbox")
        own = x509.IPAddress(ip_address(host))
        other = x509.DNSName("elsewhere.example")
        authority = (
            _builder(name, name, key, key, fresh)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_USAGE, critical=True)
            .sign(key, hashes.SHA256())
        )
        self.authority = authority.public_bytes(serialization.Encoding.PEM)
        self.contexts: Mapping[str, ssl.SSLContext] = {
            "good": _context(name, key, own, fresh),
            "expired": _context(name, key, own, (now - 2 * DAY, now - DAY)),
            "early": _context(name, key, own, (now + DAY, now + 2 * DAY)),
            "wrong-host": _context(name, key, other, fresh),
            "self-signed": _context(None, None, own, fresh),
        }


def _context(
    issuer: x509.Name | None,
    signer: ec.EllipticCurvePrivateKey | None,
    host: x509.GeneralName,
    validity: tuple[datetime, datetime],
) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("The sandbox")
    certificate = (
        _builder(name, issuer or name, key, signer or key, validity)
        .add_extension(x509.SubjectAlternativeName([host]), critical=False)
        .sign(signer or key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:  # the module ssl reads certificates from files only
        file = Path(folder, "server.pem")
        file.write_bytes(pem)
        context.load_cert_chain(file)
    return context


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    validity: tuple[datetime, datetime],
) -> x509.CertificateBuilder:
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity[0])
        .not_valid_after(validity[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(identifier, critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
