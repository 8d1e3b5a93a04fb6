"""
Credentials as flows around flows.

An auth object yields the headers of a request; one that needs a token first yields an
:class:`~airflow_provider_jobstatus.core.tokens.Exchange`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Mapping
from functools import lru_cache
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from airflow_provider_jobstatus.core.errors import AccessDenied, VendorError
from airflow_provider_jobstatus.core.http import Flow, Request, Response
from airflow_provider_jobstatus.core.responses import retry_after
from airflow_provider_jobstatus.core.tokens import Exchange, Token, TokenSlot

T = TypeVar("T")

# Some clients see the host a in https://a\@b/, others b; some drop a tab from a host, others do not.
_AMBIGUOUS = re.compile(r"[\x00-\x20\x7f\\]")
# All of a URL that its origin depends on.
_FRONT = re.compile(r"[^:/?#]+://[^/?#]*")


class Auth(Protocol):
    """How a vendor wants to be shown who asks."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Everything that must not be shown, in case the vendor echoes it."""
        ...

    def headers(self) -> Generator[Exchange, str, Mapping[str, str]]:
        """Return the headers that carry the credential, after an exchange if need be."""
        ...

    def renewable(self, response: Response) -> bool:
        """Whether this reply refuses a token that can be renewed; forgets the token if so."""
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

    def headers(self) -> Generator[Exchange, str, Mapping[str, str]]:
        """Return the header."""
        yield from ()
        return self._header

    def renewable(self, response: Response) -> bool:
        """Never: a refused key stays refused until somebody changes the connection."""
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

    def headers(self) -> Generator[Exchange, str, Mapping[str, str]]:
        """Return the bearer header, after an exchange if there is no token that is good for some time yet."""
        self._used = token = self._slot.token or (yield Exchange(self._slot, self._exchange))
        return {"Authorization": f"Bearer {token}"}

    def renewable(self, response: Response) -> bool:
        """Whether the status says that the token has ended; forgets it if so."""
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
    # The same few hosts are asked again and again.
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
        return not _AMBIGUOUS.search(url)
    return origin(url) == origin(base_url)


@lru_cache(maxsize=256)
def _root(url: str) -> str | None:
    """Return a URL up to the slash after its host, or None if that may be read in different ways."""
    front = _FRONT.match(url)
    return None if front is None or _AMBIGUOUS.search(url) else f"{front[0]}/"


class Shown(list[str]):
    """What was shown of credentials. It hides them itself: some error trackers send local variables along."""

    def __repr__(self) -> str:
        return f"<{len(self)} secrets>"


def authorized(
    flow: Flow[T],
    auth: Auth,
    base_url: str,
    sent: Shown | None = None,
    conn_id: str = "",
    replies: list[Response] | None = None,
    credential: str = AccessDenied.credential,
) -> Flow[T]:
    """
    Run ``flow`` with credentials on every request to the origin of ``base_url``, and on no other.

    A refused token is renewed and the request repeated, once a request, unless the refusal says when to come
    again; a 401 or 403 does no work, so that this is safe for any method. An error that the flow raises is
    shown without our secrets.

    :param sent: filled with what was shown of credentials, a proxy's included: for :func:`secrets_of`.
    :param conn_id: of the connection, for the messages of errors.
    :param replies: filled with what the flow was answered.
    :param credential: what of the connection is shown to the vendor, for the messages of refusals.
    """
    answer: Any = None
    sent = Shown() if sent is None else sent
    try:
        while True:
            step = flow.throw(answer) if isinstance(answer, VendorError) else flow.send(answer)
            try:
                if isinstance(step, Request) and not step.anonymous and same_origin(step.url, base_url):
                    answer = yield step.with_headers((yield from show(auth, sent)))
                    if auth.renewable(answer) and not retry_after(answer):
                        answer = yield step.with_headers((yield from show(auth, sent)))
                else:
                    answer = yield step
                if isinstance(answer, Response):
                    sent += answer.secrets
                    if replies is not None:
                        replies.append(answer)
            except VendorError as error:
                answer = error
    except StopIteration as stop:
        result: T = stop.value
        return result
    except VendorError as error:
        error.redact(secrets_of(auth, sent))
        error.conn_id = conn_id
        if isinstance(error, AccessDenied):
            error.credential = credential
        raise


def show(auth: Auth, sent: Shown) -> Generator[Exchange, str, Mapping[str, str]]:
    """Return the headers that carry the credential, and add it to ``sent``."""
    headers = yield from auth.headers()
    sent += (value.rpartition(" ")[2] for value in headers.values())
    return headers


def secrets_of(auth: Auth, sent: Iterable[str]) -> tuple[str, ...]:
    """
    Return what a reply is to be searched for: others may have renewed a token since it was sent.

    :param sent: as :func:`authorized` has filled it.
    """
    return tuple(dict.fromkeys((*auth.secrets, *sent)))
