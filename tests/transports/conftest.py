"""A quiet environment for transports, and certificates."""

from __future__ import annotations

import gc
import os
import ssl
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from airflow_provider_jobstatus.sandbox.certificates import DAY
from airflow_provider_jobstatus.sandbox.certificates import Certificates as SandboxCertificates


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No proxies, trust or .netrc of the machine; nothing left open, which the collector would warn of."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in (
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
            "SSL_CERT_FILE",
            "NETRC",
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    yield
    gc.collect()


@dataclass(frozen=True)
class Certificates:
    """
    Certificates of authorities of our own.

    :param authority: the file of these authorities.
    :param right: for 127.0.0.1.
    :param wrong_host: for another host.
    :param unnamed: for localhost by its common name alone.
    :param speaking: like ``right``, by the newest version of TLS that is spoken.
    """

    authority: str
    right: ssl.SSLContext
    wrong_host: ssl.SSLContext
    unnamed: ssl.SSLContext
    speaking: dict[str, ssl.SSLContext]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    made = {newest: SandboxCertificates("127.0.0.1") for newest in ("TLSv1", "TLSv1_1", "TLSv1_2", "TLSv1_3")}
    for newest, each in made.items():
        context = each.contexts["good"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion[newest]
        # OpenSSL itself offers nothing older otherwise.
        context.set_ciphers("ALL:@SECLEVEL=0")
    usual = SandboxCertificates("127.0.0.1")
    (folder / "unnamed.pem").write_bytes(unnamed())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "unnamed.pem")
    file = folder / "authorities.pem"
    trusted = (usual.authority, *(each.authority for each in made.values()))
    file.write_bytes(b"".join(trusted) + (folder / "unnamed.pem").read_bytes().partition(KEY_END)[2])
    return Certificates(
        str(file),
        usual.contexts["good"],
        usual.contexts["wrong-host"],
        context,
        {newest: each.contexts["good"] for newest, each in made.items()},
    )


KEY_END = b"-----END PRIVATE KEY-----\n"


def unnamed() -> bytes:
    """Return a key and a certificate for localhost that is its own authority, and names no host but there."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return secret + certificate.public_bytes(serialization.Encoding.PEM)
