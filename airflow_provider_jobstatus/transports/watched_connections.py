"""The connections of ``requests``: a watchdog can end them, and they read a head as strictly as aiohttp."""

from __future__ import annotations

import io
import re
import socket
from http.client import HTTPException, HTTPResponse, RemoteDisconnected
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from airflow_provider_jobstatus.transports.watchdog import guarding


def _split_url(url: str) -> tuple[str, str]:
    """Return scheme and host of a URL, and the target on that host: unchanged, without the fragment."""
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
        raw = self.fp.detach()
        upload = guarding().upload
        self.fp = self._lines = _Lines(raw if upload is None else upload.reply(raw))

    #: Of the class: what an instance has not read yet.
    headers: Any = None

    def begin(self) -> None:
        super().begin()
        while 100 < self.status < 200 and self.status != 101:  # 100 is passed over by http.client itself
            del self.headers
            super().begin()
        if (upload := guarding().upload) is not None and not upload.whole:
            self.will_close = True  # what is sent next would be taken for the rest of the body

    def _read_status(self) -> tuple[str, int, str]:
        status: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
        self._lines.first = True
        return status


class _Watched(HTTPConnection):
    response_class = _Reply

    def _new_conn(self) -> socket.socket:
        connection: socket.socket = super()._new_conn()
        try:
            guarding().check(connection.getpeername()[0])
        except BaseException:
            connection.close()
            raise
        return connection

    def connect(self) -> None:
        watchdog = guarding()
        watchdog.connecting = True
        # A proxy's tunnel and TLS included.
        super().connect()
        watchdog.connecting = False

    def putrequest(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        if exact := guarding().url:
            # As it is: requests and urllib3 quote it anew, and a signature may cover its bytes.
            place, target = _split_url(exact)
            url = target if url.startswith("/") else place + target
        super().putrequest(method, url, *args, **kwargs)

    def send(self, data: Any) -> None:
        # The head is sent before the first piece of the body is pulled.
        if (
            (upload := guarding().upload) is not None
            and upload.begun
            and isinstance(self.sock, socket.socket)
        ):
            guarding().watch(self.sock)
            upload.send(self.sock, data)
        else:
            super().send(data)

    def getresponse(self) -> Any:
        guarding().watch(self.sock)
        return super().getresponse()


class _WatchedTLS(_Watched, HTTPSConnection):
    pass


class _WatchedPool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _WatchedTLSPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTLS


#: Pool classes, by scheme, whose connections a watchdog can end. Without one they make none.
WATCHED_POOLS = {"http": _WatchedPool, "https": _WatchedTLSPool}


class WatchedAdapter(HTTPAdapter):
    """Opens connections that a watchdog can end."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = WATCHED_POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = WATCHED_POOLS
        return manager
