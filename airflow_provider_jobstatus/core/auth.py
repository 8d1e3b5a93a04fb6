"""
Credentials, and the origin that they are bound to.

An auth object gives the headers of a request; one that needs a token first gives an
:class:`~airflow_provider_jobstatus.core.tokens.Exchange`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Protocol
from urllib.parse import unquote, urlsplit

from airflow_provider_jobstatus.core.http import Flow, Response
from airflow_provider_jobstatus.core.tokens import Exchange, Token, TokenSlot, bearer

# Clients differ: in https://a\@b/ the host is a for some and b for others, and some drop a tab from a host.
_AMBIGUOUS = re.compile(r"[\x00-\x20\x7f\\]")
# All of a URL that its origin depends on.
_FRONT = re.compile(r"\A[^:/?#]+://[^/?#]*")
# Of the query of a signed address: what is secret by its name; what describes the file or the signature; and
# the length from which anything else may be a secret.
_SECRET_NAME = re.compile(r"sig|token|credential|policy|secret|auth|hmac|hash|pass|key", re.IGNORECASE)
_OPEN_NAME = re.compile(
    r"response-|rsc[a-z]\Z|x-\w+-(?:algorithm|date|expires|signedheaders)\Z|(?:file)?name\Z|prefix\Z",
    re.IGNORECASE,
)
_SECRET_LENGTH = 20
#: Most members of a query that are read.
_MAX_MEMBERS = 64


class Auth(Protocol):
    """How a request carries the credentials of a connection."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown, in case the vendor echoes it."""
        ...

    def headers(self) -> Mapping[str, str] | Exchange:
        """Return the headers that carry the credential, or the exchange that must come first."""
        ...

    def renewable(self, response: Response) -> bool:
        """Return whether this reply refuses a token that can be renewed; if so, the token is dropped."""
        ...


class HeaderKey:
    """
    A key that never changes, in a header.

    :param name: header name.
    :param key: the secret.
    :param scheme: word before the key, such as ``"Bearer"``.
    """

    def __init__(self, name: str, key: str, scheme: str = "") -> None:
        self.secrets: tuple[str, ...] = (key,)
        self._header = {name: f"{scheme} {key}".strip()}

    def headers(self) -> Mapping[str, str]:
        """Return the header."""
        return self._header

    def renewable(self, response: Response) -> bool:
        """Return False: a refused key stays refused until the connection is changed."""
        return False


class ExchangedToken:
    """
    A bearer token for which a login is exchanged, renewed ahead of its end and after a refusal.

    :param slot: from :func:`token_slot`.
    :param exchange: makes the flow that logs in.
    :param secrets: what the login itself consists of.
    :param refusals: statuses by which the vendor says that a token has ended.
    """

    def __init__(
        self,
        slot: TokenSlot,
        exchange: Callable[[], Flow[Token]],
        secrets: tuple[str, ...],
        refusals: frozenset[int] = frozenset({401}),
    ) -> None:
        self._slot = slot
        self._exchange = exchange
        self._login_secrets = secrets
        self._refusals = refusals
        self._used: str | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The login's secrets and the token used last."""
        return (*self._login_secrets, *([self._used] if self._used else []))

    def headers(self) -> Mapping[str, str] | Exchange:
        """Return the bearer header, or the exchange if there is no token that is good for some time yet."""
        token = self._slot.token
        return Exchange(self._slot, self._exchange, self._bearer) if token is None else self._bearer(token)

    def _bearer(self, token: str) -> Mapping[str, str]:
        self._used = token
        return bearer(token)

    def renewable(self, response: Response) -> bool:
        """Return whether the status says that the token has ended; if so, the token is dropped."""
        if response.status not in self._refusals:
            return False
        self._slot.forget(self._used)
        return True


def origin(url: str) -> tuple[str, str, int]:
    """
    Return scheme, host and port of ``url``: what a credential is bound to.

    A URL that HTTP clients read in different ways has an origin of its own.
    """
    if _AMBIGUOUS.search(url):
        return "", url, 0
    front = _FRONT.match(url)
    return _origin(front[0] if front else url)


@lru_cache(maxsize=256)
def _origin(front: str) -> tuple[str, str, int]:
    # There are few origins, and each request has its origin compared.
    try:
        parts = urlsplit(front)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:
        return "", front, 0
    return parts.scheme, (parts.hostname or "").lower(), port


def same_origin(url: str, base_url: str) -> bool:
    """Return whether ``url`` has the origin of ``base_url``."""
    root = _root(base_url)
    if root is not None and url.startswith(root):
        # Most requests: taking both apart would cost a tenth of a poll without its network.
        return not _AMBIGUOUS.search(url)
    return origin(url) == origin(base_url)


@lru_cache(maxsize=256)
def _root(url: str) -> str | None:
    """Return a URL up to the slash after its host, or None if that may be read in different ways."""
    front = _FRONT.match(url)
    return None if front is None or _AMBIGUOUS.search(url) else f"{front[0]}/"


class Shown(list[str]):
    """
    The credentials that requests have carried. Its repr hides them, as error trackers may report variables.

    :ivar requests: how many requests were sent, those without credentials included.
    """

    requests = 0

    def add(self, headers: Mapping[str, str]) -> None:
        """Note the headers that carry a credential."""
        for value in headers.values():
            self.append(value.rpartition(" ")[2])

    def __repr__(self) -> str:
        return f"<{len(self)} secrets>"


def address_secrets(url: str) -> tuple[str, ...]:
    """Return what may be secret in the query of a signed address: with it the file can be read."""
    found = []
    for member in re.split("[&;]", urlsplit(url).query, maxsplit=_MAX_MEMBERS):
        name, _, value = member.partition("=")
        if not _OPEN_NAME.match(name) and (_SECRET_NAME.search(name) or len(value) >= _SECRET_LENGTH):
            found.append(unquote(value))
    return tuple(found)


def secrets_of(auth: Auth | None, sent: Iterable[str]) -> tuple[str, ...]:
    """
    Return what a reply is to be searched for: a token may have been renewed since its request was sent.

    :param sent: the credentials that requests have carried, also to a proxy.
    """
    own = () if auth is None else auth.secrets
    return tuple(dict.fromkeys((*own, *sent)))
