"""
Tokens for which a login is exchanged: where they are kept, and how long they are valid.

An :class:`Exchange` is a login that the transport runs alone per :class:`TokenSlot`, so that a thousand waits
on one login exchange once.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_jobstatus.core.errors import AccessDenied, RequestRejected, VendorError
from airflow_provider_jobstatus.core.http import Flow, Request, Response
from airflow_provider_jobstatus.core.responses import error_of, expect_json, retry_after, unexpected

#: Life of a token, in seconds, if the reply gives none.
DEFAULT_TOKEN_LIFE = 300.0
#: Words of OAuth that refuse a login, whatever the status of the reply.
REFUSALS = frozenset(
    {
        *("access_denied", "invalid_client", "invalid_grant", "invalid_request", "invalid_scope"),
        *("invalid_token", "insufficient_scope", "unauthorized", "unauthorized_client"),
        *("unsupported_grant_type", "unsupported_response_type"),
    }
)
_REASONS = ("error_description", "message")
#: Bounds of the life that a reply gives, in seconds.
TOKEN_LIFE_BOUNDS = (5.0, 86_400.0)
#: A token is renewed this many seconds before its end, or after 80 % of its life, whichever is later.
RENEW_AHEAD = 60.0


@dataclass(frozen=True, slots=True)
class Token:
    """
    A token.

    :param value: the access token.
    :param life: seconds for which it is valid, counted from the reply.
    """

    value: str = field(repr=False)
    life: float


def token_life(expires_in: object) -> float:
    """Return the seconds for which a token is valid, whatever ``expires_in`` holds."""
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
        #: Exchanges that have failed so far: to be remembered before queueing for the next.
        self.failures = 0
        self._last_error: VendorError | None = None

    def failed(self, error: VendorError) -> None:
        """Keep the error of an exchange for the calls that are queued for it."""
        self.failures += 1
        # The flow that it ends adds remarks of its own.
        self._last_error = error.seen_by("")

    def failed_since(self, failures: int) -> VendorError | None:
        """Return the error of an exchange for which a call was queued, so that it is not repeated."""
        if self._last_error is None or self.failures <= failures:
            return None
        return self._last_error.seen_by("")

    @property
    def token(self) -> str | None:
        """The token, or None if there is none that stays valid for some time."""
        if self._token is None or self._clock() >= self._renew_at:
            return None
        return self._token.value

    def store(self, token: Token) -> str:
        """Keep ``token`` until shortly before it ends, and return its value."""
        self._renew_at = self._clock() + max(token.life - RENEW_AHEAD, token.life * 0.8)
        self._token = token
        return token.value

    def forget(self, value: str | None) -> None:
        """Drop the token if it is still ``value``: another call may have renewed it."""
        if self._token is not None and self._token.value == value:
            self._token = None


#: This process's slots, each by a digest of its login.
slots: dict[str, TokenSlot] = {}


def token_slot(*login: str) -> TokenSlot:
    """
    Return this process's slot for a login.

    :param login: all that identifies the login, the secret included; only a digest is kept.
    """
    digest = hashlib.sha256(repr(login).encode("utf-8", "surrogatepass")).hexdigest()
    return slots.setdefault(digest, TokenSlot())


def renew_locks() -> None:
    """Give every slot a free lock, after a fork: a thread that holds one does not exist in the child."""
    for slot in slots.values():
        slot.lock = threading.Lock()


def bearer(token: str) -> Mapping[str, str]:
    """Return the header that carries a token."""
    return {"Authorization": f"Bearer {token}"}


@dataclass(frozen=True, slots=True)
class Exchange:
    """
    A step of a conversation, answered by the token in ``slot``.

    The transport drives ``flow``, one at a time for each slot, and not at all if the slot is filled by then.
    It registers the token with the secrets masker and stores it.

    :param headers_of: returns the headers that carry the token.
    """

    slot: TokenSlot
    flow: Callable[[], Flow[Token]]
    headers_of: Callable[[str], Mapping[str, str]] = bearer

    def headers(self) -> Generator[Exchange, Any, Mapping[str, str]]:
        """Yield the exchange and return the headers that carry its token."""
        return self.headers_of((yield self))


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
    Return the token in the reply to a login.

    :param secrets: of the login, to be taken out of an error.
    :raises AccessDenied: 400, 401 or 403, or one of :data:`REFUSALS` in place of a token: none of them can be
        mended by sending the same login again.
    """
    try:
        reply = expect_json(request, response)
    except VendorError as error:
        raise _of_login(request, error, isinstance(error, RequestRejected), response, secrets) from None
    token = reply.get("access_token")
    if not isinstance(token, str) or not token or not token.isprintable():
        words, refused = _said_instead(reply)
        useless = unexpected(request, f"answered a login without an access_token{words}", response.status)
        raise _of_login(request, useless, refused, response, secrets)
    return Token(token, token_life(reply.get("expires_in")))


def _of_login(
    request: Request, error: VendorError, refused: bool, response: Response, secrets: tuple[str, ...]
) -> VendorError:
    """Return the error of a login without its secrets; if the login was refused, as a refusal."""
    error.redact((*secrets, *response.secrets))
    if refused:
        error = error_of(AccessDenied, request, error.reason, error.status)
    error.retry_after = retry_after(response)
    if isinstance(error, AccessDenied):
        error.login = True
    return error


def _said_instead(reply: dict[str, Any]) -> tuple[str, bool]:
    """Return the reason in a reply without a token, and whether it is one of :data:`REFUSALS`."""
    error = reply.get("error")
    words = list(error.values()) if isinstance(error, dict) else [error]
    said = [word.strip() for word in words if isinstance(word, str)]
    refused = any(word.lower() in REFUSALS for word in said)
    said += [text.strip() for key in _REASONS if isinstance(text := reply.get(key), str)]
    return "".join(f": {text[:1000]}" for text in said if text), refused
