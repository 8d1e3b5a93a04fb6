"""A request's body that is streamed on the worker, at its own pace, until a reply comes."""

from __future__ import annotations

import io
import re
import select
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from airflow_provider_jobstatus.core.errors import SendError
from airflow_provider_jobstatus.core.http import Request, StreamedBody
from airflow_provider_jobstatus.core.responses import error_of
from airflow_provider_jobstatus.transports.client_errors import CLIENT_ERRORS
from airflow_provider_jobstatus.transports.environment import CallLimits
from airflow_provider_jobstatus.transports.failures import reason
from airflow_provider_jobstatus.transports.pace import paced

_BLOCKED = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
#: The server reads no more, or the connection has ended.
_CLOSED = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
# Interim replies, such as 100, and what may become one: they end no request.
_INTERIM_HEAD = rb"HTTP/1\.\d 1\d\d(?:(?!\r\n\r\n).)*"
_INTERIM = re.compile(rb"(?:%b\r\n\r\n)*(?:%b|.{0,11})" % (_INTERIM_HEAD, _INTERIM_HEAD), re.DOTALL)


class Upload:
    """
    The body of one request on its way: an iterator with a length, as ``requests`` takes it.

    A server may answer before it has the whole of it, such as with a 413. Then the rest is not sent, and the
    answer is read; a client that only writes finds a broken connection instead, or none that takes more.

    :param request: for messages.
    :param extend: moves the end of the call to so many seconds from now.
    :param limits: ``read`` is how long the connection may take nothing, ``total`` the time for the reply.

    :ivar begun: whether the first piece was requested, the head of the request sent.
    :ivar whole: whether all of it was sent.
    """

    def __init__(
        self, request: Request, body: StreamedBody, extend: Callable[[float], None], limits: CallLimits
    ) -> None:
        self.begun = self.whole = False
        self._request = request
        self._length = self._left = body.length
        self._chunks = paced(body.chunks(), extend)
        self._extend = extend
        self._limits = limits
        self._early = b""

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Upload:
        return self

    def __next__(self) -> bytes:
        self.begun = True
        try:
            chunk = next(self._chunks, None)
        except CLIENT_ERRORS as error:
            # Or the error would be taken for one of the connection.
            raise self._broken_off(f"its body cannot be read ({reason(error)})") from None
        self._left -= len(chunk or b"")
        if self._left < 0 or (chunk is None and self._left):
            raise self._broken_off("its body has not the length that was announced")
        if chunk is None:
            self.whole = True
            self._extend(self._limits.total)
            raise StopIteration
        return chunk

    def _broken_off(self, text: str) -> SendError:
        return error_of(SendError, self._request, f"{text}; the request was broken off")

    def send(self, connection: socket.socket, chunk: bytes) -> None:
        """
        Send a piece of the body.

        :raises BrokenPipeError: the server has answered, or takes no more: ``urllib3`` then reads the reply.
        :raises OSError: nothing could be sent for too long.
        """
        usual = connection.gettimeout()
        connection.settimeout(0)
        try:
            left = memoryview(chunk)
            while left:
                if self._is_answered(connection):
                    raise BrokenPipeError
                with suppress(*_BLOCKED):
                    left = left[connection.send(left) :]
                    continue
                ready = select.poll()
                ready.register(connection, select.POLLIN | select.POLLOUT)
                if not ready.poll(self._limits.read * 1000):
                    raise TimeoutError
        except _CLOSED:
            raise BrokenPipeError from None
        finally:
            connection.settimeout(usual)

    def _is_answered(self, connection: socket.socket) -> bool:
        # Read, not only looked for: with TLS, a ticket for later sessions may be all there is.
        try:
            data = connection.recv(64 * 1024)
        except _BLOCKED:
            return False
        self._early += data
        return not data or not _INTERIM.fullmatch(self._early)

    def reply(self, rest: io.RawIOBase) -> io.RawIOBase:
        """Return a connection's reply from its beginning, of which some may have been read already."""
        return _Rejoined(self._early, rest) if self._early else rest

    def check_reply(self, status: int) -> None:
        """
        Refuse a reply that cannot be one to the request.

        :raises ValueError: a success, before the server had the whole body.
        """
        if not self.whole and 200 <= status < 300:
            raise ValueError(f"the server answered {status} before it had the whole request")


class _Rejoined(io.RawIOBase):
    """Bytes that were read already, and the rest of a stream."""

    def __init__(self, early: bytes, rest: io.RawIOBase) -> None:
        self._early = memoryview(early)
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        if not self._early:
            return self._rest.readinto(buffer)
        size = min(len(buffer), len(self._early))
        buffer[:size] = self._early[:size]
        self._early = self._early[size:]
        return size

    def close(self) -> None:
        self._rest.close()
        super().close()
