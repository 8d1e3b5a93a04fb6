"""The requests that the sandbox has received."""

from __future__ import annotations

import base64
from collections import deque
from dataclasses import dataclass
from typing import Literal, TypedDict

from aiohttp import web

from airflow_provider_jobstatus.sandbox.vendor import Origin

# A recording must not be what ends a long load test: the oldest requests go first, and only the head of a
# body is kept.
KEPT_REQUESTS = 200_000
KEPT_BODY_BYTES = 64 * 1024


class RequestView(TypedDict):
    """A recorded request as the admin API and ``Sandbox.requests`` show it.

    ``body_encoding`` is ``text`` or ``base64``; ``body_bytes`` is the whole length, also where only the head
    was kept. ``status`` is what the sandbox answered, null if it has not answered (yet, or because the
    connection went away).
    """

    number: int
    at: float
    origin: Origin
    method: str
    target: str
    headers: list[list[str]]
    body: str
    body_encoding: Literal["text", "base64"]
    body_bytes: int
    status: int | None


@dataclass(slots=True)
class RecordedRequest:
    """One request as it was received; kept as raw bytes, because decoding can wait until it is read."""

    number: int
    at: float
    origin: Origin
    method: str
    target: str
    raw_headers: tuple[tuple[bytes, bytes], ...]
    body: bytes = b""
    body_bytes: int = 0
    status: int | None = None

    def keep_body(self, body: bytes) -> None:
        """Keep the head of a body and its length."""
        self.body = body[:KEPT_BODY_BYTES]
        self.body_bytes = len(body)

    def view(self) -> RequestView:
        """Return the request in plain JSON values."""
        encoding: Literal["text", "base64"]
        try:
            text, encoding = self.body.decode(), "text"
        except UnicodeDecodeError:
            text, encoding = base64.b64encode(self.body).decode(), "base64"
        return {
            "number": self.number,
            "at": self.at,
            "origin": self.origin,
            "method": self.method,
            "target": self.target,
            "headers": [
                [name.decode("latin-1"), value.decode("latin-1")] for name, value in self.raw_headers
            ],
            "body": text,
            "body_encoding": encoding,
            "body_bytes": self.body_bytes,
            "status": self.status,
        }


class Recorder:
    """The last requests, in the order in which they came in."""

    def __init__(self) -> None:
        self._kept: deque[RecordedRequest] = deque(maxlen=KEPT_REQUESTS)
        self._count = 0

    def add(self, request: web.Request, *, at: float, origin: Origin) -> RecordedRequest:
        """Record the head of a request; its body and our answer are filled in later.

        :param at: The sandbox's time.
        :param origin: The origin that received it.
        """
        self._count += 1
        # raw_path is the request target as it stood on the request line, query included.
        record = RecordedRequest(
            self._count, at, origin, request.method, request.raw_path, request.raw_headers
        )
        self._kept.append(record)
        return record

    def requests(self) -> list[RecordedRequest]:
        """Return the kept requests, oldest first."""
        return list(self._kept)

    def clear(self) -> None:
        """Forget the requests; the numbers go on, so that two readings never show the same number twice."""
        self._kept.clear()
