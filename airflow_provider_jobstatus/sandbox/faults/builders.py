"""What the instructions of a fault script are made of.

Where a body is broken, or is not the vendor's, it says all the same that the job is done: a client that takes
it at its word reports a success that never was.
"""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from functools import partial
from urllib.parse import quote

from aiohttp import web

from airflow_provider_jobstatus.sandbox.dialects import Dialect
from airflow_provider_jobstatus.sandbox.script import Entry
from airflow_provider_jobstatus.sandbox.wire import End, framed, send_kept, send_raw

JSON_TYPE = "application/json; charset=utf-8"
Maker = Callable[[Dialect], Entry]


def answering(send: Callable[[Dialect, web.Request], Awaitable[web.StreamResponse]]) -> Maker:
    """Return what makes an entry that is sent in this way, for a vendor."""
    return lambda dialect: Entry(send=partial(send, dialect))


def _said(dialect: Dialect, request: web.Request, word: str = "done") -> str:
    return json.dumps(dialect.reply(request, dialect.word(word)))


def body_fault(
    make: Callable[[str], str | bytes], status: int = 200, word: str = "done", **headers: str
) -> Maker:
    """Answer with what is made of a reply that says "done", or another word."""

    @answering
    async def send(dialect: Dialect, request: web.Request) -> web.StreamResponse:
        body = make(_said(dialect, request, word))
        data = body.encode() if isinstance(body, str) else body
        given = {name.replace("_", "-"): text for name, text in headers.items()}
        return web.Response(status=status, body=data, headers={"Content-Type": JSON_TYPE} | given)

    return send


def status_fault(make: Callable[[str], object], job_id: object = None) -> Maker:
    """Answer with a whole reply whose status is made of the word for "done"."""

    @answering
    async def send(dialect: Dialect, request: web.Request) -> web.StreamResponse:
        return web.json_response(dialect.reply(request, make(dialect.word("done")), job_id))

    return send


def wire_fault(make: Callable[[bytes], bytes], end: End = End.CLOSE) -> Maker:
    """Write bytes that are made of a reply that says "done", and end the connection."""

    @answering
    async def send(dialect: Dialect, request: web.Request) -> web.StreamResponse:
        return await send_raw(request, make(_said(dialect, request).encode()), end)

    return send


def http_fault(
    status: int, content: bytes | None = None, content_type: str | None = None, **headers: str
) -> Maker:
    given = {name.replace("_", "-"): text for name, text in headers.items()}
    return lambda dialect: Entry(http=status, body=content, content_type=content_type, headers=given)


def come_again(make: Callable[[float], str], clock_off: float = 0.0) -> Maker:
    """Answer 429 with a date to come again, beside the vendor's own clock."""

    @answering
    async def send(dialect: Dialect, request: web.Request) -> web.StreamResponse:
        now = time.time() + clock_off
        headers = {"Date": formatdate(now, usegmt=True), "Retry-After": make(now)}
        return web.Response(status=429, headers=headers)

    return send


@answering
async def doubled_reply(dialect: Dialect, request: web.Request) -> web.StreamResponse:
    """Answer that the job runs, and leave on the connection a reply without a request: it is done."""
    replies = [framed(_said(dialect, request, word).encode(), kept=True) for word in ("running", "done")]
    return send_kept(request, b"".join(replies))


def redirect_fault(
    make: Callable[[web.Request], str | None], status: int = 307, word: str | None = None
) -> Maker:
    """Answer with a redirect.

    :param word: What its body says of the job; with none it has no body.
    """

    @answering
    async def send(dialect: Dialect, request: web.Request) -> web.StreamResponse:
        location = make(request)
        headers = {} if location is None else {"Location": location}
        if word is None:
            return web.Response(status=status, headers=headers)
        text = _said(dialect, request, word)
        return web.Response(status=status, text=text, headers=headers, content_type="application/json")

    return send


def certificate_fault(name: str) -> Maker:
    """Show a bad certificate at the handshake, so that there is no request to answer."""
    return lambda dialect: Entry(certificate=name)


@answering
async def echo(_: Dialect, request: web.Request) -> web.StreamResponse:
    """Answer with an error that repeats the credential."""
    given = [request.headers.get(name, "") for name in ("Authorization", "X-Aftercare-Key", "api-key")]
    secret = "".join(given).rpartition(" ")[2]
    forms = [secret, quote(secret, safe=""), b64encode(secret.encode()).decode()]
    text = json.dumps({"message": f"We cannot serve {' or '.join(forms)}."})
    return web.Response(status=500, text=text, headers={"X-Echo": secret}, content_type="application/json")


def cut(body: bytes) -> bytes:
    """Cut a reply in the middle of the word that it says first, or of all it says."""
    if b'"status": "' not in body:  # an empty list
        return body[: len(body) // 2]
    begin = body.index(b'"status"') + len(b'"status": "')
    return body[: (begin + body.index(b'"', begin)) // 2]


def beside(member: str) -> Callable[[str], str]:
    return lambda text: text.replace('"status":', f'{member}, "status":', 1)


def date_text(date: float) -> str:
    return formatdate(date, usegmt=True)
