"""What both transports take from the environment, so that they agree: proxies, trust, a name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version


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


def default_headers() -> dict[str, str]:
    """Return the headers that every request carries unless its flow says otherwise."""
    return {
        "Accept": "application/json",
        # We cap what we read; a compressed body would hide its size.
        "Accept-Encoding": "identity",
        "Cache-Control": "no-cache",
        "User-Agent": _user_agent(),
    }


@cache
def _user_agent() -> str:
    try:
        return f"airflow-provider-jobstatus/{version('airflow-provider-jobstatus')}"
    except PackageNotFoundError:
        return "airflow-provider-jobstatus"


def ca_file(configured: str | None) -> str:
    """
    Return the file of certificate authorities to trust, or their folder.

    :param configured: from the connection; wins over ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE`` and
        ``SSL_CERT_FILE``.
    """
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    return configured or next(
        (path for name in names if (path := os.environ.get(name))), DEFAULT_CA_BUNDLE_PATH
    )


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for ``url``, if any."""
    from requests.utils import get_environ_proxies, select_proxy

    proxy: str | None = select_proxy(url, get_environ_proxies(url, no_proxy=None))
    # A bare "host:port" is common, and means http.
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def chain(error: BaseException) -> list[BaseException]:
    """Return ``error`` and what caused it, the innermost last."""
    links: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in links:
        links.append(link)
        link = link.__cause__ or link.__context__
    return links


def reason(error: BaseException) -> str:
    """Say what a client library's error is about, without its own text, which may hold the whole URL."""
    for link in reversed(chain(error)):
        if isinstance(link, OSError) and link.strerror:
            return f"{type(link).__name__}: {link.strerror}"
    return type(error).__name__


def check_length(headers: Mapping[str, str]) -> None:
    """
    Refuse a length that the libraries let pass although it is none.

    :raises ValueError: a negative, repeated or garbled ``Content-Length``, or one beside
        ``Transfer-Encoding``: then two readers see two bodies.
    """
    length = headers.get("content-length")
    if length is not None and "transfer-encoding" in headers:
        raise ValueError("the reply has a Content-Length and a Transfer-Encoding")
    if length is not None and not (length.isascii() and length.strip().isdigit()):
        raise ValueError("the reply has no proper Content-Length")
