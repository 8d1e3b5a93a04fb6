"""
A total deadline for a blocking call.

The time-outs of ``requests`` hold per read: a server that drips one byte a second passes them for ever. A
watchdog shuts the connection down instead, which wakes the blocked read with an error.
"""

from __future__ import annotations

import errno
import io
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException, HTTPResponse, RemoteDisconnected
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from airflow_provider_jobstatus.transports.threads import EXHAUSTED

_current = threading.local()


class Watchdog:
    """
    Ends the connection that is in use when the time is up.

    :param seconds: from now on.
    :param check: told the address of every connection before anything is sent there; raises to prevent that.
    :param url: that is asked for.
    :raises OSError: no thread can be started for it.

    :ivar expired: whether it did.
    :ivar connecting: whether a connection is still being made, so that nothing was sent.
    """

    def __init__(
        self, seconds: float, check: Callable[[str], None] = lambda address: None, url: str = ""
    ) -> None:
        self.check = check
        self.url = url
        self.expired = False
        self.connecting = False
        self._expires_at = time.monotonic() + seconds
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        try:
            threading.Thread(target=self._watch, name="jobstatus-watchdog", daemon=True).start()
        except (RuntimeError, MemoryError):
            raise OSError(errno.EAGAIN, EXHAUSTED) from None

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """Watch every connection that this thread uses meanwhile; within another's, in its place."""
        outer = getattr(_current, "watchdog", None)
        _current.watchdog = self
        try:
            yield
        finally:
            _current.watchdog = outer

    def extend(self, seconds: float) -> None:
        """Move the end to ``seconds`` from now."""
        self._expires_at = time.monotonic() + seconds

    def stop(self) -> None:
        """Leave the connection alone from now on."""
        with self._lock:
            self._stopped.set()

    def watch(self, connection: socket.socket) -> None:
        """End this connection, too, when the time is up."""
        with self._lock:
            self._socket = connection
            if self.expired:
                self._shut_down()

    def _watch(self) -> None:
        while (left := self._expires_at - time.monotonic()) > 0:
            if self._stopped.wait(left):
                return
        with self._lock:
            if not self._stopped.is_set():
                self.expired = True
                self._shut_down()

    def _shut_down(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                # Not the method of an SSL socket, which drops TLS first and would let raw bytes through to
                # the reader.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _WithoutSecrets(logging.Filter):
    """
    Takes what may be a secret out of what urllib3 logs of our calls: the query of an address, which may be a
    signature; and all but the words where it quotes a reply's headers that it cannot read.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(_current, "watchdog", None) is None:
            return True
        if record.exc_info:
            record.msg, record.args, record.exc_info = "The headers of a reply cannot all be read", (), None
        elif isinstance(record.args, tuple):
            record.args = tuple(arg.partition("?")[0] if isinstance(arg, str) else arg for arg in record.args)
        return True


for _name in ("urllib3.connectionpool", "urllib3.connection"):
    logging.getLogger(_name).addFilter(_WithoutSecrets())


def split_url(url: str) -> tuple[str, str]:
    """Return a URL's scheme and host, and what is to be asked for there: as they are, without a fragment."""
    url = url.partition("#")[0]
    end = min((at for mark in "/?" if (at := url.find(mark, url.find("://") + 3)) >= 0), default=len(url))
    return url[:end], url[end:] if url[end:].startswith("/") else f"/{url[end:]}"


# How a line of a head begins that is a header, or one more line of its value.
_HEADER = re.compile(rb"([\w!#$%&'*+.^`|~-]+:)|[ \t]")


class _Lines(io.BufferedReader):
    """Lines of a head as aiohttp reads them, where http.client passes over those that are no header."""

    #: Whether the next line is the first header, whether it is any other.
    first = within = False

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        # http.client takes the end of a connection for the end of a head, and a lone CR for that of a line.
        if not line.endswith(b"\n") and len(line) != size:
            raise RemoteDisconnected("a line of the reply is cut short")
        if b"\r" in line[:-2] or b"\0" in line:
            raise HTTPException("a line of the reply has a CR or a NUL")
        if self.first:
            line = line.removeprefix(b" ")
        if self.first or self.within:
            self.within = line not in (b"\r\n", b"\n")
            begins = _HEADER.match(line)
            if self.within and not (begins and (begins[1] or not self.first)):
                raise HTTPException("a line of the head is no header")
            self.first = False
        return line


class _Reply(HTTPResponse):
    """Reads the head of a reply as aiohttp does: all of it or none, and behind any interim reply."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fp = self._lines = _Lines(self.fp.detach())

    #: Of the class: what an instance has not read yet.
    headers: Any = None

    def begin(self) -> None:
        super().begin()
        while 100 < self.status < 200 and self.status != 101:  # 100 is passed over by http.client itself
            del self.headers
            super().begin()

    def _read_status(self) -> tuple[str, int, str]:
        status: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
        self._lines.first = True
        return status


class _Watched(HTTPConnection):
    response_class = _Reply

    def _new_conn(self) -> socket.socket:
        connection: socket.socket = super()._new_conn()
        watchdog: Watchdog | None = getattr(_current, "watchdog", None)
        try:
            if watchdog is not None:
                watchdog.check(connection.getpeername()[0])
        except BaseException:
            connection.close()
            raise
        return connection

    def connect(self) -> None:
        watchdog: Watchdog | None = getattr(_current, "watchdog", None)
        if watchdog is not None:
            watchdog.connecting = True
        # A proxy's tunnel and TLS included.
        super().connect()
        if watchdog is not None:
            watchdog.connecting = False

    def putrequest(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        watchdog: Watchdog | None = getattr(_current, "watchdog", None)
        if watchdog is not None and watchdog.url:
            # As it is: requests and urllib3 quote it anew, and a signature may cover its bytes.
            place, target = split_url(watchdog.url)
            url = target if url.startswith("/") else place + target
        super().putrequest(method, url, *args, **kwargs)

    def getresponse(self) -> Any:
        watchdog: Watchdog | None = getattr(_current, "watchdog", None)
        if watchdog is not None and self.sock is not None:
            watchdog.watch(self.sock)
        return super().getresponse()


class _WatchedTLS(_Watched, HTTPSConnection):
    pass


class _WatchedPool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _WatchedTLSPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTLS


def watched_pools() -> dict[str, type[HTTPConnectionPool]]:
    """Return the pool classes, by scheme, whose connections a :class:`Watchdog` can end."""
    return {"http": _WatchedPool, "https": _WatchedTLSPool}
