"""What both transports take from the environment, so that they agree: proxies, trust, a name."""

from __future__ import annotations

import os
import re
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import unquote, urlsplit

from airflow_provider_jobstatus.core.errors import SettingsError

#: Longest line of a reply's head, in bytes, and most headers: as in http.client, which the blocking transport
#: stands on; aiohttp before 3.13.4 has no limit of the second kind.
MAX_LINE_BYTES = 64 * 1024
MAX_HEADERS = 99
#: Methods of which a second request does no more than one, RFC 9110, section 9.2.2.
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
#: What is said of a call that has waited in vain for the one exchange of its login.
LOGIN_BUSY = "another call's exchange of the same login took too long"
#: How many times the longest call a whole question may take.
QUESTION_CALLS = 2
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
    def question(self) -> float:
        """How long a flow may take with all its calls, logins included: as long as two calls."""
        return QUESTION_CALLS * self.total


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
    # As urllib3, which looks only at a certificate's alternative names.
    context.hostname_checks_common_name = False
    return context


def proxy_for(url: str) -> str | None:
    """
    Return the proxy that the environment names for ``url``, if any.

    :raises SettingsError: it is none over http or https.
    """
    from requests.utils import get_environ_proxies, select_proxy

    proxy: str | None = select_proxy(url, get_environ_proxies(url, no_proxy=None))
    if not proxy:
        return None
    # A bare "host:port" is common, and means http.
    proxy = proxy.strip()
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(proxy)
        # Clients split an address at a backslash in different ways, and show what they take for its host.
        usable = (
            parts.scheme in ("http", "https")
            and parts.port != 0
            and re.fullmatch(r"[a-z0-9._:-]+", parts.hostname or "")
            and not re.search(r"[\x00-\x20\x7f\\]", proxy)
        )
        # What basic authentication carries; ValueError if not.
        unquote(f"{parts.username}{parts.password}").encode("latin-1")
    except ValueError:
        usable = False
    if not usable:
        # Not shown: it may hold a password.
        what = "a SOCKS proxy" if proxy.lower().startswith("socks") else "a proxy that cannot be used"
        raise SettingsError(
            f"{proxy_variable(url)} names {what}; give one such as http://proxy.example:3128, or take the"
            " vendor's host out with NO_PROXY"
        )
    return proxy


@cache
def proxy_secrets(proxy: str | None) -> tuple[str, ...]:
    """Return what is shown to a proxy and must not be shown to anybody else: its password, and the login."""
    parts = urlsplit(proxy or "")
    if not parts.password:
        return ()
    password = unquote(parts.password)
    login = f"{unquote(parts.username or '')}:{password}".encode("latin-1", "replace")
    return password, b64encode(login).decode()


def asks_for_proxy_login(url: str, proxy: str | None, status: int) -> bool:
    """
    Return whether a reply is the proxy's, which wants another login than its variable holds. From within a
    tunnel no proxy answers.
    """
    return status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED and bool(proxy) and url.startswith("http:")


def proxy_variable(url: str) -> str:
    """Return the name of the variable that names the proxy for ``url``, for a message."""
    names = (f"{urlsplit(url).scheme}_proxy", "all_proxy")
    forms = [form for name in names for form in (name, name.upper())]
    return next((form for form in forms if os.environ.get(form)), forms[1])


def through_proxy(url: str, status: int | None, text: str) -> str:
    """
    Say that a request did not get past its proxy.

    :param status: by which the proxy has refused, if it did.
    :param text: what else is known.
    """
    name = proxy_variable(url)
    if status is None:
        return f"through the proxy that {name} names: {text}"
    return f"the proxy that {name} names refuses the connection with status {status}"


def chain(error: BaseException) -> list[BaseException]:
    """Return ``error`` and what caused it, the innermost last."""
    links: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in links:
        links.append(link)
        link = link.__cause__ or link.__context__
    return links


#: How OpenSSL, by its version, calls an answer that is no TLS.
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST")


def reason(error: BaseException) -> str:
    """Say what a client library's error is about, without its own text, which may hold the whole URL."""
    for link in reversed(chain(error)):
        if isinstance(link, ssl.SSLError) and link.reason in _NO_TLS:
            return (
                "the server speaks plain http there, and no TLS; if that is meant, write http://... as the "
                "connection's host, with extra 'allow_http' unless it is this machine"
            )
        if isinstance(link, OSError) and link.strerror:
            return f"{type(link).__name__}: {link.strerror}"
    return type(chain(error)[-1]).__name__


def content_coding(status: int, headers: Mapping[str, str]) -> str:
    """Return the ``Content-Encoding`` of a body, or an empty text where it is known that there is no body."""
    coding = headers.get("content-encoding", "")
    return "" if coding and (status in (204, 304) or headers.get("content-length") == "0") else coding


def header_text(text: str, coding: str = "latin-1") -> str:
    """
    Return a header's text: in UTF-8 if its bytes are that, else in Latin-1.

    :param coding: by which the library has read the bytes.
    """
    if not text.isascii():
        raw = text.encode(coding, "surrogateescape")
        try:
            text = raw.decode()
        except UnicodeError:
            text = raw.decode("latin-1")
    return text.strip()


def check_length(headers: dict[str, str]) -> None:
    """
    Refuse a length that the libraries let pass although it is none, and write one without leading zeros.

    :raises ValueError: a negative, repeated or garbled ``Content-Length``, or one beside
        ``Transfer-Encoding``, or a transfer coding besides ``chunked``: then two readers see two bodies.
    """
    coding = headers.get("transfer-encoding", "chunked").strip().lower()
    if coding not in ("chunked", "identity", ""):
        raise ValueError("the reply has a transfer coding that was not asked for")
    length = headers.get("content-length")
    if length is not None and "transfer-encoding" in headers:
        raise ValueError("the reply has a Content-Length and a Transfer-Encoding")
    if length is not None and not (length.isascii() and length.strip().isdigit()):
        raise ValueError("the reply has no proper Content-Length")
    if length is not None:
        headers["content-length"] = length.strip().lstrip("0") or "0"
