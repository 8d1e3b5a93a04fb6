"""
A total deadline for a blocking call.

The time-outs of ``requests`` hold per read: a server that drips one byte a second passes them for ever. A
watchdog shuts the connection down instead, which wakes the blocked read with an error.
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from airflow_provider_jobstatus.transports.threads import EXHAUSTED
from airflow_provider_jobstatus.transports.upload import Upload


class _Thread(threading.local):
    """
    What is kept of each thread.

    :ivar watchdog: that guards its present call, if it makes one.
    """

    watchdog: Watchdog | None = None


_thread = _Thread()


def guarding() -> Watchdog:
    """
    Return the watchdog of this thread's call.

    :raises RuntimeError: it makes none.
    """
    if _thread.watchdog is None:
        raise RuntimeError("a connection is used outside of a call")
    return _thread.watchdog


class Watchdog:
    """
    Ends the connection that is in use when the time is up.

    :param seconds: from now on.
    :param check: called with the address of every connection before anything is sent there; raises to prevent
        that.
    :param url: the address of the request, to be sent byte for byte; empty to leave it to ``requests``.
    :raises OSError: no thread can be started for it.

    :ivar expired: whether it did.
    :ivar connecting: whether a connection is still being made, so that nothing was sent.
    :ivar upload: the request's body, if it is streamed.
    """

    def __init__(self, seconds: float, check: Callable[[str], None] = lambda _: None, url: str = "") -> None:
        self.check = check
        self.url = url
        self.expired = False
        self.connecting = False
        self.upload: Upload | None = None
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
        outer, _thread.watchdog = _thread.watchdog, self
        try:
            yield
        finally:
            _thread.watchdog = outer

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
        if _thread.watchdog is None:
            return True
        if record.exc_info:
            record.msg, record.args, record.exc_info = "The headers of a reply cannot all be read", (), None
        elif isinstance(record.args, tuple):
            record.args = tuple(arg.partition("?")[0] if isinstance(arg, str) else arg for arg in record.args)
        return True


for _name in ("urllib3.connectionpool", "urllib3.connection"):
    logging.getLogger(_name).addFilter(_WithoutSecrets())
