"""
Credentials as flows around flows.

An auth object yields the headers of a request; one that needs a token first yields an :class:`Exchange`,
which the transport runs alone per :class:`TokenSlot`, so that a thousand waits on one login exchange once.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from airflow_provider_jobstatus.core.errors import AccessDenied, RequestRejected, VendorError
from airflow_provider_jobstatus.core.http import Flow, Request, Response
from airflow_provider_jobstatus.core.replies import expect_json, unexpected

T = TypeVar("T")

# Some clients see the host a in https://a\@b/, others b; some drop a tab from a host, others do not.
_AMBIGUOUS = re.compile(r"[\x00-\x20\x7f\\]")
# All of a URL that its origin depends on.
_FRONT = re.compile(r"[^:/?#]+://[^/?#]*")

#: Life of a token, in seconds, whose answer does not say.
DEFAULT_TOKEN_LIFE = 300.0
#: Bounds of a life that an answer does say.
TOKEN_LIFE_BOUNDS = (5.0, 86_400.0)
#: A token is renewed this many seconds before its end, or after 80 % of its life, whichever is later.
RENEW_AHEAD = 60.0


@dataclass(frozen=True, slots=True)
class Token:
    """
    What a login brought.

    :param value: the access token.
    :param life: seconds it is good for, counted from the reply.
    """

    value: str = field(repr=False)
    life: float


def token_life(expires_in: object) -> float:
    """Return the seconds a token is good for, from whatever ``expires_in`` holds."""
    try:
        life = float(expires_in)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return DEFAULT_TOKEN_LIFE
    if not life > 0:  # also NaN
        return DEFAULT_TOKEN_LIFE
    shortest, longest = TOKEN_LIFE_BOUNDS
    return min(max(life, shortest), longest)


class TokenSlot:
    """
    Holds the token of one login, for everything in this process that uses the same login.

    :param clock: monotonic seconds, so that a step of the wall clock neither ages nor revives a token.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.lock = threading.Lock()
        self._clock = clock
        self._token: Token | None = None
        self._renew_at = 0.0
        self._failures = 0
        self._last_error: VendorError | None = None

    @property
    def failures(self) -> int:
        """How many exchanges have failed so far: to be remembered before queueing for the next."""
        return self._failures

    def failed(self, error: VendorError) -> None:
        """Remember why an exchange failed, for those who queue."""
        self._failures += 1
        self._last_error = error

    def failed_since(self, failures: int) -> VendorError | None:
        """Return why an exchange failed while somebody queued, so that not each of them tries it again."""
        return self._last_error if self._failures > failures else None

    @property
    def token(self) -> str | None:
        """The token, or None if there is none that is good for some time yet."""
        if self._token is None or self._clock() >= self._renew_at:
            return None
        return self._token.value

    def store(self, token: Token) -> str:
        """Keep ``token`` until shortly before it ends, and return its value."""
        self._renew_at = self._clock() + max(token.life - RENEW_AHEAD, token.life * 0.8)
        self._token = token
        return token.value

    def forget(self, value: str | None) -> None:
        """Drop the token if it still is ``value``: somebody else may have renewed it in the meantime."""
        if self._token is not None and self._token.value == value:
            self._token = None


_slots: dict[str, TokenSlot] = {}


def token_slot(*login: str) -> TokenSlot:
    """
    Return this process's slot for a login.

    :param login: everything that makes the login what it is, the secret included; only a digest is kept.
    """
    digest = hashlib.sha256(repr(login).encode("utf-8", "surrogatepass")).hexdigest()
    return _slots.setdefault(digest, TokenSlot())


@dataclass(frozen=True, slots=True)
class Exchange:
    """
    A step of a flow, answered by the token in ``slot``.

    The transport runs ``flow`` alone per slot, and not at all if the slot is filled by then; registers the
    token with the secrets masker; stores it.
    """

    slot: TokenSlot
    flow: Callable[[], Flow[Token]]


def token_flow(request: Request, secrets: tuple[str, ...]) -> Flow[Token]:
    """
    Exchange a login for a token.

    Smallest reply relied on: ``{"access_token": "t", "expires_in": 3600}``

    :param request: that logs in.
    :param secrets: of the login, to be taken out of an error.
    :raises AccessDenied: as :func:`read_token`.
    """
    return read_token(request, (yield request), secrets)


def read_token(request: Request, response: Response, secrets: tuple[str, ...]) -> Token:
    """
    Return the token that a login brought.

    :param secrets: of the login, to be taken out of an error.
    :raises AccessDenied: 400, 401 or 403: none of them can be mended by sending the same login again.
    """
    try:
        reply = expect_json(request, response)
    except RequestRejected as error:
        error.redact(secrets)
        denied = AccessDenied(
            error.reason, vendor=error.vendor, method=error.method, path=error.path, status=error.status
        )
        raise denied from None
    except VendorError as error:
        error.redact(secrets)
        raise
    token = reply.get("access_token")
    if not isinstance(token, str) or not token or not token.isprintable():
        raise unexpected(request, "answered a login without an access_token")
    return Token(token, token_life(reply.get("expires_in")))


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
        self._used = self._slot.token or (yield Exchange(self._slot, self._exchange))
        return {"Authorization": f"Bearer {self._used}"}

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


def authorized(flow: Flow[T], auth: Auth, base_url: str) -> Flow[T]:
    """
    Run ``flow`` with credentials on every request to the origin of ``base_url``, and on no other.

    A refused token is renewed and the request repeated, once a request; a 401 or 403 does no work, so that
    this is safe for any method. An error that the flow raises is shown without our secrets.
    """
    advance: Callable[[], Any] = partial(next, flow)
    try:
        while True:
            request = advance()
            try:
                if isinstance(request, Request) and _is_for(request, base_url):
                    response = yield from _ask(request, auth)
                else:
                    response = yield request
                advance = partial(flow.send, response)
            except VendorError as error:
                advance = partial(flow.throw, error)
    except StopIteration as stop:
        result: T = stop.value
        return result
    except VendorError as error:
        error.redact(auth.secrets)
        raise


def _is_for(request: Request, base_url: str) -> bool:
    return not request.anonymous and origin(request.url) == origin(base_url)


def _ask(request: Request, auth: Auth) -> Flow[Response]:
    response: Response = yield request.with_headers((yield from auth.headers()))
    if auth.renewable(response):
        response = yield request.with_headers((yield from auth.headers()))
    return response
