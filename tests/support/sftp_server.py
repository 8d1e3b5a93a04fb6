"""A real SSH server on loopback that serves a folder over SFTP, and can refuse what some servers do."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import asyncssh
from fsspec.asyn import sync
from sshfs import SSHFileSystem

from tests.support.storage import attached

logging.getLogger("asyncssh").setLevel(logging.ERROR)


async def _ended(connection: Any) -> None:
    connection.close()
    await connection.wait_closed()


class SftpServer:
    """
    Serves ``folder`` as the root of its clients, without a password, on a port of 127.0.0.1.

    :ivar renames_onto_files: whether it has OpenSSH's extension for that.
    :ivar loses: so many bytes at the end of each write, without saying so.
    :ivar room: how many bytes may still be written, or None for any number.
    :ivar before: is called with the name of each step, such as ``"rename"``, before it is done; may raise
        an ``OSError``, which the client gets, or :class:`ConnectionError`, which ends the connection.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.restore()
        self.port = 0
        self._connections: list[Any] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def restore(self) -> None:
        """Refuse nothing any more."""
        self.renames_onto_files = True
        self.loses = 0
        self.room: int | None = None
        self.before: Callable[[str], object] = lambda _: None

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(30)
        self.port = self._listening.get_port()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    @contextmanager
    def connected(self) -> Iterator[SSHFileSystem]:
        """Give ``sftp://`` a connection to this server, for as long as the ``with`` lasts."""
        storage = SSHFileSystem("127.0.0.1", port=self.port, username="anyone", skip_instance_cache=True)
        with attached(storage, "sftp"):
            try:
                yield storage
            finally:
                sync(storage.loop, _ended, storage.client)

    async def _listen(self) -> Any:
        owner = self

        class Session(asyncssh.SFTPServer):
            def __init__(self, channel: Any) -> None:
                super().__init__(channel, chroot=str(owner.folder).encode())

            def _step(self, name: str) -> None:
                try:
                    owner.before(name)
                except ConnectionError:
                    self.channel.get_connection().abort()
                    raise

            def open(self, path: bytes, pflags: int, attrs: Any) -> object:
                self._step("open")
                return super().open(path, pflags, attrs)

            def write(self, file: Any, offset: int, data: bytes) -> int:
                self._step("write")
                if owner.room is not None:
                    owner.room -= len(data)
                    if owner.room < 0:
                        raise OSError(28, "No space left on device")
                return super().write(file, offset, data[: len(data) - owner.loses])

            def close(self, file: Any) -> None:
                try:
                    self._step("close")
                finally:
                    super().close(file)

            def stat(self, path: bytes) -> Any:
                if path.endswith(b".part"):
                    self._step("stat")
                return super().stat(path)

            def rename(self, old: bytes, new: bytes) -> None:
                self._step("rename")
                super().rename(old, new)

            def posix_rename(self, old: bytes, new: bytes) -> None:
                self._step("rename")
                if not owner.renames_onto_files:
                    raise asyncssh.SFTPOpUnsupported("no such extension")
                super().posix_rename(old, new)

            def remove(self, path: bytes) -> None:
                self._step("remove")
                super().remove(path)

        class Anyone(asyncssh.SSHServer):
            def connection_made(self, conn: Any) -> None:
                owner._connections.append(conn)

            def begin_auth(self, _: str) -> bool:
                return False

        key = asyncssh.generate_private_key("ssh-ed25519")
        return await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[key], server_factory=Anyone, sftp_factory=Session
        )

    async def _close(self) -> None:
        self._listening.close()
        for connection in self._connections:
            connection.abort()
        await asyncio.gather(*(connection.wait_closed() for connection in self._connections))
        await self._listening.wait_closed()
