"""
Requests, responses and flows: a conversation with a vendor as values.

A *flow* is a generator that yields steps, is sent the answer to each, and returns a parsed result. It does no
I/O; a transport drives it. A step is a :class:`Request`, answered by a :class:`Response`, or an
:class:`~airflow_provider_jobstatus.core.auth.Exchange`, answered by a token. What goes wrong is thrown in as
    a
:class:`~airflow_provider_jobstatus.core.errors.VendorError`.
"""

from __future__ import annotations

import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")
#: Any: a flow yields requests and token exchanges, and is sent a response for the first, a token for the
#: second.
Flow = Generator[Any, Any, T]

#: A reply to a flow that is larger is an error; what may be larger is streamed.
MAX_BODY_BYTES = 8 * 1024 * 1024
#: Most bytes that one step of inflating puts out.
INFLATED_PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """
    One HTTP request.

    :param vendor: for messages, such as ``"ruler"``.
    :param method: HTTP method.
    :param url: absolute, already quoted, sent as it is.
    :param headers: sent besides the transport's own.
    :param body: bytes or None.
    :param stream: leave the body of a 2xx reply unread, for :attr:`Response.chunks`. Worker only.
    """

    vendor: str
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    stream: bool = False

    def with_headers(self, headers: Mapping[str, str]) -> Request:
        """Return the same request with ``headers`` added."""
        return replace(self, headers={**self.headers, **headers})

    @property
    def path(self) -> str:
        """Path of the URL, without query: what may stand in a message."""
        return urlsplit(self.url).path

    def __repr__(self) -> str:
        # Headers and body may carry a credential, a query a signature.
        return f"<Request {self.method} {self.path}>"


@dataclass(frozen=True, slots=True)
class Response:
    """
    One HTTP reply.

    :param status: HTTP status.
    :param headers: names in lower case.
    :param body: decoded of any transfer and content coding; empty if the reply is streamed.
    :param received_at: epoch seconds.
    :param chunks: the unread body of a streamed reply.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    received_at: float = 0.0
    chunks: Iterator[bytes] | None = field(default=None, repr=False)

    @property
    def content_type(self) -> str:
        """Media type in lower case, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def inflate(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """
    Undo a content coding piece by piece, holding no more than one piece of output at a time.

    We ask for ``identity``; a proxy on the way may compress all the same.

    :param chunks: the body as it came.
    :param encoding: value of ``Content-Encoding``.
    :raises ValueError: a coding that we do not know, a broken body, a body cut short.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        yield from chunks
        return
    if name not in ("gzip", "x-gzip", "deflate"):
        raise ValueError("the body has a content coding that was not asked for")
    inflater = zlib.decompressobj(wbits=47)
    try:
        for chunk in chunks:
            data = chunk
            while data:
                if inflater.eof:
                    raise ValueError("the body goes on after the end of its compressed data")
                yield inflater.decompress(data, INFLATED_PIECE_BYTES)
                data = inflater.unconsumed_tail or inflater.unused_data
        yield inflater.flush()
    except zlib.error:
        raise ValueError("the body is not what its content coding says") from None
    if not inflater.eof:
        raise ValueError("the compressed body is cut short")


def decode_body(raw: bytes, encoding: str, limit: int = MAX_BODY_BYTES) -> bytes:
    """
    Return a body without its content coding.

    :raises ValueError: see :func:`inflate`, and for more than ``limit`` bytes.
    """
    body = bytearray()
    for piece in inflate([raw], encoding):
        body += piece
        if len(body) > limit:
            raise ValueError(f"the body is larger than {limit} bytes")
    return bytes(body)
