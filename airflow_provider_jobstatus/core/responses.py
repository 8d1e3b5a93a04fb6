"""What a flow expects of a reply, and the error if it is something else."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeVar

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    ApiError,
    NotFound,
    RateLimited,
    RequestRejected,
    ServerError,
    UnexpectedResponse,
    VendorError,
)
from airflow_provider_jobstatus.core.http import Request, Response
from airflow_provider_jobstatus.core.strict_json import (
    FREE_BYTES,
    MAX_COST,
    MAX_JSON_DEPTH,
    cost,
    nesting,
    parse,
)

E = TypeVar("E", bound=VendorError)
K = TypeVar("K")

#: Longest ``Retry-After`` that is obeyed, in seconds.
MAX_RETRY_AFTER = 3600.0

#: Statuses with which a vendor answers. A reply with another 2xx was changed on its way, is a part of one, or
#: tells of something else.
_ANSWERS = frozenset({200, 201, 202, 204})
_KINDS: dict[int, type[ApiError]] = {
    **dict.fromkeys((401, 403), AccessDenied),
    **dict.fromkeys((404, 410), NotFound),
    **dict.fromkeys((408, 425), ServerError),
    429: RateLimited,
}
#: Most values that are read of a repeated header.
MAX_JOINED = 8
# Not the comma of a date: "Wed, 04 Mar 2026", "Wednesday, 04-Mar-26".
_JOINED = re.compile(r",(?!\s*\d+[ -][A-Za-z])")


def expect(request: Request, response: Response, *statuses: int) -> Response:
    """
    Return ``response`` if its status is 200, 201, 202, 204 or one of ``statuses``, else raise the error that
    names it. No other 2xx is a vendor's answer.

    :raises ApiError: its subclass for the status.
    :raises UnexpectedResponse: a redirect, another 2xx, or a status that is no HTTP.
    """
    status = response.status
    if status in statuses or status in _ANSWERS:
        return response
    raise _status_error(request, response)


def _status_error(request: Request, response: Response) -> VendorError:
    status = response.status
    reason = f"answered {_status_name(status)}"
    if status < 400:
        kind: type[VendorError] = UnexpectedResponse
        reason += ", which this call does not have"
    else:
        kind = _KINDS.get(status, ServerError if status >= 500 else RequestRejected)
        if request.anonymous and kind is AccessDenied:
            kind = UnexpectedResponse  # no credential of ours was shown, so that none can be wrong
        text = response.body[:4096].decode("utf-8", "replace").strip()
        reason += f": {text}" if text else ""
    error = error_of(kind, request, reason, status)
    error.retry_after = retry_after(response)
    return error


def error_of(kind: type[E], request: Request, reason: str, status: int | None = None) -> E:
    """Return the error that a request has met."""
    return kind(
        reason,
        vendor=request.vendor,
        method=request.method,
        path=request.path,
        status=status,
        host=request.host,
    )


def unexpected(request: Request, reason: str, status: int | None = None) -> UnexpectedResponse:
    """Return the error for a reply that is not what the vendor documents."""
    return error_of(UnexpectedResponse, request, reason, status)


def expect_json(request: Request, response: Response, *statuses: int) -> dict[str, Any]:
    """
    Return the JSON object of a reply with a 2xx status, or one of ``statuses``.

    :raises ApiError: another status.
    :raises UnexpectedResponse: no JSON object, a duplicate key, NaN, or deeper than :data:`MAX_JSON_DEPTH`.
    """
    return _expect_kind(dict, "object", request, expect(request, response, *statuses))


def expect_list(request: Request, response: Response) -> list[Any]:
    """
    Return the JSON array of a reply with a 2xx status.

    :raises ApiError: another status.
    :raises UnexpectedResponse: as :func:`expect_json`.
    """
    return _expect_kind(list, "array", request, expect(request, response))


def _expect_kind(kind: type[K], name: str, request: Request, response: Response) -> K:
    try:
        value = load_json(response.body)
    except ValueError as error:
        sent = response.content_type or "no content type"
        raise unexpected(request, f"answered no usable JSON ({sent}): {error}", response.status) from None
    if not isinstance(value, kind):
        raise unexpected(request, f"answered a JSON {type(value).__name__}, not an {name}", response.status)
    return value


def json_object(body: bytes) -> dict[str, Any]:
    """
    Return the JSON object of an error's body, or an empty one if it holds anything else. An error is short:
    one of more than :data:`FREE_BYTES` is no vendor's, and is not read.
    """
    try:
        value = load_json(body) if len(body) <= FREE_BYTES else None
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def load_json(body: bytes | str) -> Any:
    """
    Parse JSON strictly: UTF-8, no NaN, no duplicate keys, no nesting beyond :data:`MAX_JSON_DEPTH`. A byte
    order mark may come first.

    :raises ValueError: for everything that is wrong, with a text that quotes nothing of the body.
    """
    raw = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    raw = raw.removeprefix(BOM_UTF8)
    if not raw.strip():
        raise ValueError("the body is empty")
    if len(raw) > FREE_BYTES and cost(raw) > MAX_COST:
        raise ValueError("more values than can be parsed at once")
    if raw.count(b"{") + raw.count(b"[") > MAX_JSON_DEPTH and nesting(raw) > MAX_JSON_DEPTH:
        raise ValueError(f"nested deeper than {MAX_JSON_DEPTH}")
    try:
        # As text: of bytes, the module json guesses UTF-16 and UTF-32 as well, and lets lone surrogates pass.
        return parse(body.removeprefix("\ufeff") if isinstance(body, str) else raw.decode())
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None


def retry_after(response: Response) -> float | None:
    """
    Return the seconds that ``Retry-After`` asks for, within 0 and :data:`MAX_RETRY_AFTER`, or None.

    A date is read against the reply's own ``Date``, so that a wrong clock on either side does no harm.
    What is neither a whole number of seconds nor a date is ignored (RFC 9110, section 10.2.3). Of a header
    that was sent several times, and joined by commas, the longest counts.
    """
    joined = response.headers.get("retry-after")
    if not joined:
        return None
    waits = (_seconds_asked(text.strip(), response) for text in _JOINED.split(joined, maxsplit=MAX_JOINED))
    return max((wait for wait in waits if wait is not None), default=None)


def _seconds_asked(text: str, response: Response) -> float | None:
    if text.isascii() and text.isdigit():
        # More digits than any sensible number of seconds: int() refuses some thousands of them.
        return min(float(text.lstrip("0")[:12] or 0), MAX_RETRY_AFTER)
    until = _http_date(text)
    if until is None:
        return None
    now = _http_date(response.headers.get("date", ""))
    wait = until - (response.received_at if now is None else now)
    return min(max(wait, 0.0), MAX_RETRY_AFTER)


def clock_difference(response: Response, now: float) -> float:
    """Return the seconds by which the server's clock is ahead of ``now``; 0 without a ``Date``."""
    theirs = _http_date(response.headers.get("date", ""))
    return 0.0 if theirs is None else theirs - now


def _http_date(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        # "-0000" gives a naive time, which means UTC all the same.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _status_name(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
