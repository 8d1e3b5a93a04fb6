"""Checks of single fields of a connection. What is wrong with one is said without showing a secret."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from ipaddress import ip_address
from unicodedata import normalize
from urllib.parse import SplitResult, urlsplit, urlunsplit

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.text import clean

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HOST = re.compile(r"[a-z0-9._:-]+")
# As it stands in a header, or with the header's name before it.
_BEARER = re.compile(r"(?:authorization\s*:\s*)?bearer(?:\s+|$)", re.IGNORECASE)
# What the IDNA of 2003, by which Python encodes a host, and that of 2008 turn into different domains: the
# sharp s, the final sigma, and two invisible characters.
_DEVIATIONS = re.compile("[\u00df\u03c2\u200c\u200d]")
_DOTS = re.compile("[.\u3002\uff0e\uff61]")
_QUOTES = ('"', "'", "`")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def settings_error(conn_id: str, field_name: str, problem: str, fix: str) -> SettingsError:
    """Return the error for a field that cannot be used."""
    return SettingsError(f"connection {conn_id!r}: {field_name} {problem}; {fix}")


def credential_text(conn_id: str, name: str, value: str | None) -> str | None:
    """
    Return ``value``, stripped, or None if nothing is left.

    :raises SettingsError: it holds a control character, as a value does that was copied with its line break.
    """
    text = (value or "").strip()
    if _CONTROL.search(text):
        raise settings_error(
            conn_id, name, "holds a line break or another control character", "copy it again"
        )
    return text or None


def misread_key(credential: str) -> str | None:
    """Return what is odd about a key, as the end of a sentence that does not show it; None for nothing."""
    if without_scheme(credential) != credential.strip():
        return "begins with 'Bearer', which is no part of a key and is left out"
    key = credential.strip()
    if key[:1] in _QUOTES or key[-1:] in _QUOTES:
        return "stands in quotes, which are sent as part of it"
    if re.match(r"[\w-]+\s*:\s|(?:authorization|[\w-]*(?:key|token))\s*[:=]\s*[^=\s]", key, re.IGNORECASE):
        return "begins with a name, as of a header, which is sent as part of the key"
    if re.search(r"\s", key):
        return "has white space in it, as behind a word such as 'Token', which is sent as part of the key"
    return None


def without_scheme(credential: str) -> str:
    """Return a credential without the ``Bearer`` that was copied with it."""
    stripped = credential.strip()
    found = _BEARER.match(stripped)
    return stripped[found.end() :] if found else stripped


def with_port(url: str, port: object) -> str:
    """
    Return ``url`` with the port of another field.

    :param port: None, 0 and an empty text are none.
    :raises ValueError: no port, or not the one that ``url`` names; says so as the end of a sentence.
    """
    text = clean(port or "", 20)
    if text in ("", "0"):
        return url
    if not (text.isascii() and text.isdigit() and int(text) < 65536):
        raise ValueError("is no number from 1 to 65535")
    try:
        parts = urlsplit(url.strip())
        own = parts.port
    except ValueError:
        return url  # is refused, whatever the port
    if own is not None and own != int(text):
        raise ValueError("is another than the one that the host names")
    if own is not None or int(text) == _DEFAULT_PORTS.get(parts.scheme):
        return url
    return urlunsplit(parts._replace(netloc=f"{parts.netloc}:{int(text)}"))


def checked_url(conn_id: str, name: str, url: str, allow_http: bool) -> str:
    """
    Return ``url`` with scheme and host in lower case.

    :raises SettingsError: what is wrong with it.
    """

    def error(problem: str, fix: str) -> SettingsError:
        return settings_error(conn_id, name, problem, fix)

    try:
        parts = urlsplit(url.strip())
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode() if not _is_ipv6(parts) else parts.hostname or ""
    except (ValueError, UnicodeError):
        raise error("is no address", "give one such as https://api.example.com") from None
    if parts.username is not None or parts.password is not None:
        raise error("holds a user or password", "put them into login and password")
    if parts.scheme not in ("http", "https"):
        raise error("begins with another scheme than https", "begin with https://")
    # Clients disagree on where such a host ends, and the credential goes to it.
    if not _HOST.fullmatch(host) or re.search(r"[\s\x00-\x1f\x7f]", url.strip()):
        raise error("is no address", "give one such as https://api.example.com")
    if found := _DEVIATIONS.search(parts.hostname or ""):
        raise error(
            f"holds the character U+{ord(found[0]):04X}, which clients turn into different domains",
            f"write the host as {_punycode(parts.hostname or '')}, if it is that one",
        )
    if parts.query or parts.fragment:
        raise error("holds a ? or #", "give only scheme, host, port and path")
    if parts.scheme == "http" and not allow_http and not is_loopback(host):
        raise error("is plain http", "use https://, or set extra 'allow_http' to true")
    netloc = f"[{host}]" if ":" in host else host
    shown_port = f":{port}" if port and port != _DEFAULT_PORTS[parts.scheme] else ""
    return urlunsplit((parts.scheme, netloc + shown_port, parts.path, "", ""))


def _punycode(host: str) -> str:
    """Return a host in ASCII, by IDNA of 2008, which changes no letter."""
    labels = (normalize("NFC", label) for label in _DOTS.split(host))
    return ".".join(
        label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels
    )


def _is_ipv6(parts: SplitResult) -> bool:
    return ":" in (parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def not_negative(value: object) -> float | None:
    """
    Return a number of 0 or more, or None if it is not set.

    :raises ValueError: as :func:`positive`.
    """
    with suppress(TypeError, ValueError, OverflowError):
        if not isinstance(value, bool) and float(value) == 0.0:  # type: ignore[arg-type]
            return 0.0
    return positive(value)


def positive(value: object) -> float | None:
    """
    Return a number above 0, or None if it is not set.

    :raises ValueError: says what it is instead, as the end of a sentence.
    """
    if value is None or value == "":
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not 0 < number < math.inf:
        raise ValueError(f"is {clean(value, 40)!r}, and no number above 0")
    return number


def positive_whole(value: object) -> int | None:
    """
    Return a whole number above 0, or None if it is not set.

    :raises ValueError: as :func:`positive`.
    """
    number = positive(value)
    if number is not None and not number.is_integer():
        raise ValueError(f"is {clean(value, 40)!r}, and no whole number")
    return None if number is None else int(number)
