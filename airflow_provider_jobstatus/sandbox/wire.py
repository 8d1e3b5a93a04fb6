"""Answers that are no good HTTP, written to the connection byte by byte."""

from __future__ import annotations

import asyncio
import socket
import struct
from enum import Enum

from aiohttp import web

#: Seconds between two bytes of a drip. Shorter than any time-out for a single read.
DRIP_SECONDS = 0.02


class End(Enum):
    """How a connection ends after what was written."""

    #: With a FIN.
    CLOSE = "close"
    #: With a reset.
    RESET = "reset"
    #: Not: nothing more comes until the client goes.
    STALL = "stall"
    #: Not either: a byte comes now and then.
    DRIP = "drip"


def head(*lines: str, status: str = "200 OK", kept: bool = False) -> bytes:
    """Return the beginning of a reply.

    :param kept: Whether the connection may be used again.
    """
    closing = () if kept else ("Connection: close",)
    all_lines = (f"HTTP/1.1 {status}", "Content-Type: application/json", *closing, *lines, "", "")
    return "\r\n".join(all_lines).encode("latin-1")


def framed(body: bytes, *lines: str, status: str = "200 OK", kept: bool = False) -> bytes:
    """Return a whole reply with its length."""
    return head(*lines, f"Content-Length: {len(body)}", status=status, kept=kept) + body


class _Sent(web.StreamResponse):
    """A response that was written to the connection already, which stays open."""

    @property
    def keep_alive(self) -> bool:
        return True

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


def send_kept(request: web.Request, data: bytes) -> web.StreamResponse:
    """Write bytes to the connection at once, and leave it open for the next request."""
    if request.transport is not None:
        request.transport.write(data)
    return _Sent()


async def send_raw(request: web.Request, data: bytes, end: End = End.CLOSE) -> web.StreamResponse:
    """Write bytes to the connection and end it."""
    transport = request.transport
    if transport is not None:
        # Until the client goes, which every client does sooner or later, or the sandbox stops.
        transport.write(data)
        while end in (End.STALL, End.DRIP) and not transport.is_closing():
            await asyncio.sleep(DRIP_SECONDS)
            if end is End.DRIP and not transport.is_closing():
                transport.write(b" ")
        if end is End.RESET:
            reset(transport)
        else:
            transport.close()
    return web.Response()  # goes nowhere, the connection is closed


def reset(transport: asyncio.BaseTransport) -> None:
    """End a connection with a reset instead of a FIN."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
