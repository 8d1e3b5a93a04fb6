"""A reply in ``aiohttp``: its head checked, its body read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp

from airflow_provider_jobstatus.core.body import SMALL_BYTES, BodyReader
from airflow_provider_jobstatus.core.http import Request
from airflow_provider_jobstatus.transports.heads import (
    MAX_HEADERS,
    MAX_LINE_BYTES,
    check_length,
    content_coding,
    header_text,
)


def checked_headers(reply: aiohttp.ClientResponse) -> dict[str, str]:
    """
    Return the headers of a reply, by their names in lower case.

    :raises ValueError: its head is one that the blocking transport does not read.
    """
    if len(reply.raw_headers) > MAX_HEADERS:
        raise ValueError("the reply has too many headers")
    for name, text in reply.raw_headers:
        # Of both together, which aiohttp counts apart before 3.14; and what stands between them.
        if len(name) + len(text) + 4 > MAX_LINE_BYTES:
            raise ValueError("the reply has a header that is too long")
        # aiohttp's parser allows some behind the names that it knows; others refuse it.
        if b" " in name:
            raise ValueError("the reply has white space behind a header's name")
    if "\0" in (reply.reason or ""):
        raise ValueError("the first line of the reply has a NUL")
    headers = _headers(reply)
    check_length(headers)
    return headers


def _headers(reply: aiohttp.ClientResponse) -> dict[str, str]:
    """Return headers by their names in lower case; the values of one that came twice, joined."""
    headers = {name.lower(): header_text(text, "utf-8") for name, text in reply.headers.items()}
    if len(headers) < len(reply.headers):
        return {
            name: ", ".join(header_text(text, "utf-8") for text in reply.headers.getall(name))
            for name in headers
        }
    return headers


async def _take_in(reader: BodyReader, chunk: bytes) -> bool:
    """Read a chunk, with a turn of the loop between two steps; return whether no more is needed."""
    for step, enough in enumerate(reader.feed(chunk)):
        if enough:
            return True
        if step:
            await asyncio.sleep(0)
    return False


async def read_body(
    request: Request,
    reply: aiohttp.ClientResponse,
    headers: dict[str, str],
    more_time: Callable[[], None],
) -> bytes:
    """
    Return what is needed of a reply's body.

    :param more_time: called before each wait for more of it.
    :raises ValueError: it is broken, or too large.
    """
    coding, content = content_coding(reply.status, headers), reply.content
    if content.is_eof() and not coding and content.total_bytes <= SMALL_BYTES:
        # All of it came with the headers.
        return content.read_nowait()
    reader = BodyReader(coding, request.outline_for(reply.status))
    while not content.at_eof():
        # What has come already needs no time.
        if not content.is_eof():
            more_time()
        if await _take_in(reader, await content.readany()):
            # The rest is not needed; the connection cannot be used again.
            reply.close()
            break
    return reader.finish()
