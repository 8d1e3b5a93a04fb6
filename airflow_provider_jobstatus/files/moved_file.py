"""A file of a storage that shows what is written: under a temporary name until it is whole, then moved."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from airflow_provider_jobstatus.exceptions import DestinationError
from airflow_provider_jobstatus.files.steps import ended_first
from airflow_provider_jobstatus.files.storage_errors import client_errors, storage_errors


class Target:
    """A file on its way into a storage. Errors of the storage's client become errors of this package."""

    def __init__(self, uri: str, path: str, storage: Any, if_exists: str) -> None:
        self.uri = uri
        self.path = path
        self.storage = storage
        self.if_exists = if_exists
        self.new = if_exists != "replace"
        self.file: Any = None
        self.size = 0

    def open(self) -> None:
        """Begin; what was begun is removed by :meth:`discard`, also if this fails."""
        raise NotImplementedError

    def publish(self) -> None:
        """Give the file its name."""
        raise NotImplementedError

    def discard(self) -> None:
        """Leave nothing of it."""
        raise NotImplementedError

    def write(self, data: bytes) -> int:
        with storage_errors(self.uri):
            self.file.write(data)
        self.size += len(data)
        return len(data)

    def check_new(self) -> None:
        """Refuse a name that is taken, if it must not be."""
        if self.new:
            # A listing in the cache may be out of date.
            self.storage.invalidate_cache()
            # ObjectStoragePath.exists() does not use the connection's credentials (universal-pathlib 0.3).
            if self.storage.exists(self.path):
                raise self.exists_already()

    def exists_already(self) -> DestinationError:
        return DestinationError.of_existing(self.uri, self.if_exists)


class MovedFile(Target):
    """A file beside its destination, which is moved there once all of it has arrived."""

    part = ""

    def open(self) -> None:
        if self.storage.isdir(self.path):
            raise DestinationError(f"cannot write {self.uri}: it is a folder; end it with / to write into it")
        self.check_new()
        folder, slash, _ = self.path.rpartition("/")
        if folder:
            self.storage.makedirs(folder, exist_ok=True)
        self.part = f"{folder}{slash}.jobstatus-{uuid.uuid4().hex}.part"
        with ended_first():
            self.file = self.storage.open(self.part, "wb")

    def publish(self) -> None:
        self.file.close()
        self.storage.invalidate_cache()
        arrived = self.storage.info(self.part)["size"]
        if arrived != self.size:
            raise DestinationError(
                f"cannot write {self.uri}: {arrived} of {self.size} bytes have arrived, and no error told so"
            )
        self.check_new()
        self._move()

    def _move(self) -> None:
        from fsspec import AbstractFileSystem  # type: ignore[import-untyped]
        from fsspec.asyn import sync  # type: ignore[import-untyped]

        client: Any = getattr(self.storage, "client", None)
        if hasattr(client, "start_sftp_client"):
            # sshfs would copy where it cannot rename, and what it copies can be seen.
            sync(self.storage.loop, self._rename, client.start_sftp_client)
        elif getattr(self.storage.mv, "__func__", None) is AbstractFileSystem.mv:
            # The inherited method also copies, but takes [ and * in a path for a pattern.
            self.storage.cp_file(self.part, self.path)
            with suppress(OSError, *client_errors()):
                self.storage.rm_file(self.part)
        else:
            self.storage.mv(self.part, self.path)

    async def _rename(self, connect: Callable[[], Any]) -> None:
        """Rename over SFTP: at once, and onto a file only if that may be replaced."""
        async with connect() as sftp:
            if not self.new:
                try:
                    await sftp.posix_rename(self.part, self.path)
                except sys.modules["asyncssh"].SFTPOpUnsupported:
                    pass
                else:
                    return
            try:
                # As the protocol has it, this fails for a name that is taken.
                await sftp.rename(self.part, self.path)
            except sys.modules["asyncssh"].SFTPError as error:
                if not await sftp.exists(self.path):
                    raise
                if self.new:
                    raise self.exists_already() from error
                raise DestinationError(
                    f"cannot write {self.uri}: the server cannot rename onto a file that is there; remove it "
                    "first, or give each run a name of its own"
                ) from error

    def discard(self) -> None:
        if not self.part:
            return
        try:
            if self.file is not None:
                self.file.close()
        finally:
            try:
                self.storage.rm_file(self.part)
            except client_errors():
                # The connection may be lost, and the filesystem does not make another.
                options = {**self.storage.storage_options, "skip_instance_cache": True}
                type(self.storage)(*self.storage.storage_args, **options).rm_file(self.part)
