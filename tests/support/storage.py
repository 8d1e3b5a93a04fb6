"""Storages: one that publishes objects as a whole, and a server that shows a file when it is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from airflow.sdk.io import attach, store
from fsspec import AbstractFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractBufferedFile

from airflow_provider_jobstatus.files.destination import writing

S = TypeVar("S", bound=AbstractFileSystem)


def write(path: object, content: bytes = b"rows", **options: Any) -> None:
    """Write a whole file with :func:`writing`."""
    with writing(str(path), **options) as file:
        file.write(content)


def everything(folder: Path) -> list[str]:
    """Return all that is below a folder, by its path from there."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def memory_files(storage: MemoryFileSystem) -> dict[str, bytes]:
    """Return the files of a filesystem in memory, by path."""
    return {path.removeprefix("/"): file.getvalue() for path, file in storage.store.items()}


class FileServer(MemoryFileSystem):  # type: ignore[misc]
    """
    A file server as SFTP is one: a file is there, and empty, when it is opened; files are renamed.

    :ivar refuses: what the server does not do: ``"rename"``, ``"write"``, ``"remove"``.
    """

    protocol = "sftp"
    cachable = False

    def __init__(self) -> None:
        super().__init__(global_store=False)
        self.refuses = ""
        self.before_rename: Callable[[], object] = lambda: None

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        file = super()._open(path, mode, **options)
        if self.refuses == "write" and mode == "wb":
            file.write = self.refuse
        return file

    def mv(self, old: str, new: str, **_: Any) -> None:
        self.before_rename()
        self.refuse("rename")
        self.store[new] = self.store.pop(old)

    def _rm(self, path: str) -> None:
        self.refuse("remove")
        super()._rm(path)

    def refuse(self, step: object = "write") -> None:
        """Raise if the step is not allowed."""
        if self.refuses and step in (self.refuses, b"rows"):
            raise PermissionError(13, f"No {self.refuses}")


class ObjectStorage(AbstractFileSystem):  # type: ignore[misc]
    """
    Keeps objects in memory.

    :param published_by: ``"commit"`` as S3 and Google do it, or ``"close"`` as Azure, which knows no commit.
    :param refuses: ``"upload"`` or ``"commit"``: what the storage does not allow.

    :ivar objects: what is published.
    :ivar unfinished: uploads that were begun and neither published nor aborted.
    """

    protocol = "s3"
    cachable = False
    part_bytes = 1000

    def __init__(self, published_by: str, refuses: str = "") -> None:
        super().__init__()
        self.published_by = published_by
        self.refuses = refuses
        self.objects: dict[str, bytes] = {}
        self.unfinished: list[str] = []

    def _open(self, path: str, mode: str = "rb", autocommit: bool = True, **_: Any) -> Upload:
        return Upload(self, path, mode, self.part_bytes, autocommit)

    def exists(self, path: str, **_: Any) -> bool:
        return self._strip_protocol(path) in self.objects

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        if not self.exists(path):
            raise FileNotFoundError(path)
        return {"type": "file", "size": len(self.objects[self._strip_protocol(path)])}

    def check(self, step: str) -> None:
        """Raise if the step is not allowed."""
        if step == self.refuses:
            raise PermissionError(13, "Access denied")


class Upload(AbstractBufferedFile):  # type: ignore[misc]
    """One object on its way."""

    def _initiate_upload(self) -> None:
        self.parts: list[bytes] = []
        if self.fs.published_by == "commit":
            self.fs.unfinished.append(self.path)

    def _upload_chunk(self, final: bool = False) -> None:
        self.fs.check("upload")
        self.parts.append(self.buffer.getvalue())
        if final and (self.autocommit or self.fs.published_by == "close"):
            self._publish()

    def commit(self) -> None:
        if self.fs.published_by == "commit":
            self.fs.check("commit")
            self._publish()

    def discard(self) -> None:
        if self.path in self.fs.unfinished:
            self.fs.unfinished.remove(self.path)

    def _publish(self) -> None:
        self.fs.objects[self.path] = b"".join(self.parts)
        self.discard()


@contextmanager
def attached(storage: S, scheme: str = "s3") -> Iterator[S]:
    """Give Airflow's ``ObjectStoragePath`` a filesystem for a scheme, for as long as the ``with`` lasts."""
    store._STORE_CACHE.pop(scheme, None)  # attach() would keep what is there
    attach(scheme, fs=storage)
    try:
        yield storage
    finally:
        store._STORE_CACHE.pop(scheme)
