"""
Requests, responses and flows: a conversation with a vendor as values.

A *flow* is a generator that yields requests, is sent the response to each, and returns a parsed result. It
does no I/O; :mod:`airflow_provider_jobstatus.core.operation` says how it is driven. A failed request is
thrown in, as a :class:`~airflow_provider_jobstatus.core.errors.VendorError`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from airflow_provider_jobstatus.core.json_outline import JsonOutline

T = TypeVar("T")


class StreamedBody(Protocol):
    """
    The body of a request that is read while it is sent, and anew each time that the request is sent.
    Worker only.
    """

    @property
    def length(self) -> int:
        """Bytes, announced before the first of them is read."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """
        Yield the bytes, from the first on, in pieces that are held in memory one by one.

        :raises SettingsError: they are not those that were meant to be sent. The request is broken off, so
            that the server never has the whole of it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """
    One HTTP request.

    :param vendor: for messages, such as ``"ruler"``.
    :param method: HTTP method.
    :param url: absolute and quoted; it is sent as it is.
    :param headers: sent in addition to those of the transport.
    :param body: bytes, None, or what streams them.
    :param outline: makes the outline that is read of a large 2xx reply of JSON, instead of holding it whole.
    :param anonymous: whether a reply has named its host: it never carries our credentials, and is not sent
        into the network (:class:`~airflow_provider_jobstatus.core.redirects.Peers`).
    """

    vendor: str
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | StreamedBody | None = None
    outline: Callable[[], JsonOutline] | None = None
    anonymous: bool = False

    def with_headers(self, headers: Mapping[str, str]) -> Request:
        """Return the same request with ``headers`` added."""
        return Request(
            self.vendor,
            self.method,
            self.url,
            {**self.headers, **headers},
            self.body,
            self.outline,
            self.anonymous,
        )

    def outline_for(self, status: int) -> JsonOutline | None:
        """Return the outline to read of a large body, or None to read all of it, as of an error."""
        return self.outline() if self.outline is not None and 200 <= status < 300 else None

    @property
    def path(self) -> str:
        """Path of the URL, without query: may be shown in a message."""
        return urlsplit(self.url).path

    @property
    def host(self) -> str:
        """Host of the URL, with its port if it names one: may be shown in a message."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

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
    :param secrets: those that the request has carried besides the credential, such as a proxy's password and
        the signature of its address: the reply may repeat them.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    received_at: float = 0.0
    chunks: Iterator[bytes] | None = field(default=None, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def content_type(self) -> str:
        """Media type in lower case, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


#: Of a vendor's module: yields requests, is sent responses, returns a parsed result.
Flow = Generator[Request, Response, T]
