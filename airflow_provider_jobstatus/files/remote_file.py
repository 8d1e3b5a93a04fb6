"""A file of a storage that Airflow reaches, published at the end, whatever its filesystem shows before."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, cast

from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.exceptions import DestinationError
from airflow_provider_jobstatus.files.places import scheme_of

#: Size of the parts of an object; s3fs alone would hold 50 MiB of it, more than once. S3 takes 10,000 parts.
PART_BYTES = 8 * 1024 * 1024
#: Scheme to the extra of this package that installs its filesystem.
_EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "abfs": "azure",
    "abfss": "azure",
    "adl": "azure",
}
#: Storages in which an upload is invisible until it is finished. Any other filesystem may show a file, or cut
#: the one that was there, when it is opened.
_PUBLISHED_WHEN_FINISHED = {*_EXTRAS, "az"}
#: Exceptions of clients that are no OSError, by module.
_CLIENT_ERRORS = {
    "botocore.exceptions": "BotoCoreError",
    "gcsfs.retry": "HttpError",
    "google.auth.exceptions": "GoogleAuthError",
    "azure.core.exceptions": "AzureError",
    "asyncssh": "Error",
    "paramiko": "SSHException",
}


@contextmanager
def remote_file(uri: str, if_exists: str) -> Iterator[BinaryIO]:
    """
    Open ``uri`` for writing; publish it if the ``with`` ends well, else leave nothing.

    :raises DestinationError: there is no filesystem for it, it is there and may not be replaced, or the
        storage's client gives up.
    :raises OSError: the storage refuses.
    """
    path, storage = filesystem(uri)
    protocols = {storage.protocol} if isinstance(storage.protocol, str) else set(storage.protocol)
    kind = _Object if protocols & _PUBLISHED_WHEN_FINISHED else _Moved
    target = kind(uri, path, storage, if_exists)
    with _storage_errors(uri):
        target.open()
    try:
        yield cast(BinaryIO, target)
        with _storage_errors(uri):
            target.publish()
    except BaseException:
        # The first error is the one to report.
        with suppress(OSError, *_client_errors()):
            target.discard()
        raise


def remote_size(uri: str) -> int | None:
    """
    Return the size of the file that is there, in bytes, or None without one.

    :raises DestinationError: there is no filesystem for it, or the storage's client gives up.
    :raises OSError: the storage refuses.
    """
    path, storage = filesystem(uri)
    with _storage_errors(uri):
        storage.invalidate_cache()
        try:
            info = storage.info(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
    return int(info["size"]) if info["type"] == "file" else None


def filesystem(uri: str) -> tuple[str, Any]:
    """
    Return the path within its storage, and the storage, that ``uri`` means.

    :raises DestinationError: there is none; names what to install.
    """
    from airflow.sdk import ObjectStoragePath

    with _storage_errors(uri):
        try:
            target = ObjectStoragePath(uri)
            return target.path, target.fs
        except (ImportError, ValueError) as error:
            scheme = scheme_of(uri)
            extra = _EXTRAS.get(scheme)
            fix = f"pip install 'airflow-provider-jobstatus[{extra}]'" if extra else "check the scheme"
            raise DestinationError(f"no filesystem for {scheme}:// is installed ({error}); {fix}") from None


class _Target:
    """A file on its way into a storage. Errors of the storage's client become errors of this package."""

    def __init__(self, uri: str, path: str, storage: Any, if_exists: str) -> None:
        self.uri = uri
        self.path = path
        self.storage = storage
        self.if_exists = if_exists
        self.new = if_exists != "replace"
        self.file: Any = None
        self.size = 0

    def write(self, data: bytes) -> int:
        with _storage_errors(self.uri):
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


class _Object(_Target):
    """An object, uploaded in parts, which the storage publishes as a whole."""

    def open(self) -> None:
        self.check_new()
        #: Whether the storage itself refuses a name that is taken.
        self.conditional = self.new
        try:
            self._open("xb" if self.new else "wb")
        except (NotImplementedError, ValueError):
            if not self.new:
                raise
            # A filesystem that knows no condition, such as fsspec's before 2025.2.
            self.conditional = False
            self._open("wb")

    def _open(self, mode: str) -> None:
        # An exception that leaves the file's own `with` would publish what was written so far.
        self.file = self.storage.open(self.path, mode, block_size=PART_BYTES, autocommit=False)

    def publish(self) -> None:
        self.check_new()
        try:
            if self.conditional and not self.size:
                # s3fs puts an empty object without the condition.
                self.discard()
                self.storage.pipe_file(self.path, b"", mode="create")
            else:
                self.file.close()
                self.file.commit()
        except OSError as error:
            status = _http_status(error)
            if self.conditional and (isinstance(error, FileExistsError) or status == 412):
                raise self.exists_already() from error
            if self.conditional and status in (400, 501):
                raise DestinationError(
                    f"cannot write {self.uri}: {clean(error, 200)}; if_exists={self.if_exists!r} is the "
                    "header If-None-Match, which this storage may not know"
                ) from error
            raise

    def discard(self) -> None:
        # Otherwise its destructor closes it, and some storages (Azure's) publish what is closed.
        self.file.closed = True
        self.file.discard()


class _Moved(_Target):
    """A file that is visible while it is written: under a temporary name beside its own, then moved."""

    def open(self) -> None:
        if self.storage.isdir(self.path):
            raise DestinationError(f"cannot write {self.uri}: it is a folder; end it with / to write into it")
        self.check_new()
        folder, slash, _ = self.path.rpartition("/")
        if folder:
            self.storage.makedirs(folder, exist_ok=True)
        self.part = f"{folder}{slash}.jobstatus-{uuid.uuid4().hex}.part"
        self.file = self.storage.open(self.part, "wb")

    def publish(self) -> None:
        from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

        self.file.close()
        self.check_new()
        if getattr(self.storage.mv, "__func__", None) is AbstractFileSystem.mv:
            # The inherited method also copies, but takes [ and * in a path for a pattern.
            self.storage.cp_file(self.part, self.path)
            with suppress(OSError, *_client_errors()):
                self.storage.rm_file(self.part)
        else:
            self.storage.mv(self.part, self.path)

    def discard(self) -> None:
        try:
            self.file.close()
        finally:
            self.storage.rm_file(self.part)


def _http_status(error: OSError) -> int | None:
    """Return the status of the reply of which s3fs made ``error``."""
    response = getattr(error.__cause__, "response", None)
    if not isinstance(response, dict):
        return None
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status if isinstance(status, int) else None


@contextmanager
def _storage_errors(uri: str) -> Iterator[None]:
    """Turn errors of a storage's client that are no OSError into :class:`DestinationError`."""
    try:
        yield
    except _client_errors() as error:
        raise DestinationError(f"cannot write {clean(uri)}: {type(error).__name__}") from error


def _client_errors() -> tuple[type[Exception], ...]:
    # A client that is not imported raises nothing; a filesystem for reading only raises NotImplementedError.
    loaded = [(sys.modules[module], name) for module, name in _CLIENT_ERRORS.items() if module in sys.modules]
    return (NotImplementedError, *(getattr(module, name) for module, name in loaded))
