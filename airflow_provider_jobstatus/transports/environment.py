"""What both transports agree on: the time of a call, the authorities that are trusted, usual headers."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.transports.failures import reason

#: Methods of which a second request does no more than one, RFC 9110, section 9.2.2.
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
#: Longest time of an operation, as a multiple of that of a call.
OPERATION_CALLS = 2
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@dataclass(frozen=True, slots=True)
class CallLimits:
    """
    How long one call may take, in seconds.

    :param total: the whole call, body included; a slow drip passes every other limit.
    :param connect: until the connection stands, TLS included.
    :param read: between two pieces of the reply, and, besides ``connect``, until the first.
    """

    total: float = 60.0
    connect: float = 10.0
    read: float = 30.0

    @property
    def operation(self) -> float:
        """How long an operation may take with all its calls, logins included: as long as two calls."""
        return OPERATION_CALLS * self.total


def default_headers() -> dict[str, str]:
    """Return the headers that every request carries unless its flow says otherwise."""
    return {
        "Accept": "application/json",
        # We cap what we read; a compressed body would hide its size.
        "Accept-Encoding": "identity",
        "Cache-Control": "no-cache",
        "User-Agent": user_agent(),
    }


@cache
def user_agent(package: str = "airflow-provider-jobstatus") -> str:
    """Return the name of a package, with its version if it is installed."""
    try:
        return f"{package}/{version(package)}"
    except PackageNotFoundError:
        return package


def ca_file(configured: str | None) -> str:
    """
    Return the file of certificate authorities to trust, or their folder.

    :param configured: from the connection; wins over ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE`` and
        ``SSL_CERT_FILE``.
    :raises SettingsError: there is no such file, or it holds no certificate.
    """
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    named = {"extra 'verify'": configured, **{name: os.environ.get(name) for name in _CA_VARIABLES}}
    for name, path in named.items():
        if path:
            try:
                _tls(path)
            except OSError as error:
                raise SettingsError(
                    f"{name} names {path!r}, from which no certificate authorities can be read"
                    f" ({reason(error)}); give a file in PEM format"
                ) from None
            return path
    return DEFAULT_CA_BUNDLE_PATH


def tls_context(configured: str | None) -> ssl.SSLContext:
    """
    Return what verifies a server, by the authorities of :func:`ca_file`. Reading them takes some time.

    :raises SettingsError: they cannot be read.
    """
    return _tls(ca_file(configured))


@cache
def _tls(ca: str) -> ssl.SSLContext:
    # The environment may name a folder as well, which requests takes, too.
    folder = Path(ca).is_dir()
    context = ssl.create_default_context(cafile=None if folder else ca, capath=ca if folder else None)
    # Python's own default is whatever OpenSSL was set up for, on some systems.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # As urllib3, which reads only a certificate's alternative names.
    context.hostname_checks_common_name = False
    return context
