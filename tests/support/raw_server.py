"""
A server on loopback that says exactly what it is told to, byte for byte.

It knows as much of HTTP as is needed to find the end of a request, and nothing of replies: what a handler
writes is what the client gets, however wrong it is.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    method: str
    target: str
    #: Names as they came, in order.
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the one header of this name, or None."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) < 2, f"{name} was sent {len(values)} times"
        return values[0] if values else None


#: Answers a request on its connection; the connection stays open unless it closes it.
Handler = Callable[[Received, socket.socket], None]


def reply(
    status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None, *, length: bool = True
) -> bytes:
    """Return a reply; without ``length`` it ends where the connection does."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if length and status not in (204, 304):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def says(*answers: bytes, close: bool = False) -> Handler:
    """Return a handler that gives these answers in turn, the last one again and again."""
    left = list(answers)

    def handle(_: Received, connection: socket.socket) -> None:
        connection.sendall(left.pop(0) if len(left) > 1 else left[0])
        if close:
            # What is still unread would turn the end into a reset.
            connection.shutdown(socket.SHUT_WR)
            connection.close()

    return handle


def reset(connection: socket.socket) -> None:
    """End a connection with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class RawServer:
    """
    Serves on a free port of 127.0.0.1 until the ``with`` ends.

    :param handler: answers every request.
    :param tls: makes it speak TLS.
    :param early: whether a request is answered, and noted, without its body, which is read only as far as the
        handler does; the connection serves no other.

    :ivar requests: what came, in order.
    :ivar connections: how many connections were accepted.
    :ivar ended: set when the server stops; a handler that dawdles waits for it.
    """

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None = None, early: bool = False) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self.ended = threading.Event()
        self._handler = handler
        self._tls = tls
        self._early = early
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]

    @property
    def host(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Base URL, without a slash at its end."""
        return f"{'https' if self._tls else 'http'}://{self.host}"

    def __enter__(self) -> RawServer:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        # Closing alone would leave accept() waiting.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
            threads = list(self._threads)
        for thread in threads:
            thread.join(5)
            assert not thread.is_alive(), "a handler does not end"

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name="raw-server", daemon=True)
        with self._lock:
            self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            if self._tls is None:
                self._talk(connection)
            else:
                with self._tls.wrap_socket(connection, server_side=True) as secure:
                    self._talk(secure)

    def _talk(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)
            if self.ended.is_set():
                return
        try:
            rest = b""
            while connection.fileno() != -1:
                received, rest = self._read(connection, rest)
                if received is None:
                    return
                with self._lock:
                    self.requests.append(received)
                self._handler(received, connection)
                if self._early and connection.fileno() != -1:
                    self.ended.wait()
        finally:
            with self._lock:
                self._open.discard(connection)

    def _read(self, connection: socket.socket, rest: bytes) -> tuple[Received | None, bytes]:
        data = rest
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:
                return None, b""
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        pairs = (line.partition(":") for line in lines)
        headers = tuple((name, value.strip()) for name, _, value in pairs)
        length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
        while len(body) < length and not self._early:
            piece = connection.recv(65536)
            if not piece:
                return None, b""
            body += piece
        return Received(method, target, headers, body[:length]), body[length:]
