"""A file of a storage that Airflow reaches, published at the end, whatever its filesystem shows before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, cast

from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.exceptions import DestinationError
from airflow_provider_jobstatus.files.moved_file import MovedFile, Target
from airflow_provider_jobstatus.files.places import scheme_of
from airflow_provider_jobstatus.files.steps import ended_first
from airflow_provider_jobstatus.files.storage_errors import client_errors, storage_errors

#: Size of the parts of an object; s3fs alone would hold 50 MiB of it, more than once. S3 takes 10,000 parts.
PART_BYTES = 8 * 1024 * 1024
#: Extra of this package that installs the filesystem of schemes.
_EXTRAS = {"s3": ("s3", "s3a"), "gcs": ("gs", "gcs"), "azure": ("abfs", "abfss", "adl")}
#: What installs the filesystem of a scheme.
_PACKAGES = {
    scheme: f"airflow-provider-jobstatus[{extra}]" for extra, schemes in _EXTRAS.items() for scheme in schemes
}
#: Storages in which an upload is invisible until it is finished. Any other filesystem may show a file, or cut
#: the one that was there, when it is opened.
_PUBLISHED_WHEN_FINISHED = {*_PACKAGES, "az"}
_PACKAGES |= dict.fromkeys(("sftp", "ssh"), "apache-airflow-providers-sftp[sshfs]")


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
    kind: type[Target] = _Object if protocols & _PUBLISHED_WHEN_FINISHED else MovedFile
    target = kind(uri, path, storage, if_exists)
    try:
        with storage_errors(uri):
            target.open()
        yield cast(BinaryIO, target)
        with storage_errors(uri):
            target.publish()
    except BaseException:
        # The first error is the one to report.
        with suppress(OSError, *client_errors()):
            target.discard()
        raise


def remote_size(uri: str) -> int | None:
    """
    Return the size of the file that is there, in bytes, or None without one.

    :raises DestinationError: there is no filesystem for it, or the storage's client gives up.
    :raises OSError: the storage refuses.
    """
    path, storage = filesystem(uri)
    with storage_errors(uri):
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

    with storage_errors(uri):
        try:
            target = ObjectStoragePath(uri)
            return target.path, target.fs
        except (ImportError, ValueError) as error:
            scheme = scheme_of(uri)
            package = _PACKAGES.get(scheme)
            fix = f"pip install '{package}'" if package else "check the scheme"
            raise DestinationError(f"no filesystem for {scheme}:// is installed ({error}); {fix}") from None
        except TypeError as error:  # SFTP's needs a host
            raise DestinationError(
                f"{clean(uri)} names no connection, as scheme://conn_id@host/path: {error}"
            ) from None


class _Object(Target):
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
        begin = self.file._initiate_upload

        def begin_first() -> None:
            with ended_first():  # else an upload may have begun whose id is not known here
                begin()

        self.file._initiate_upload = begin_first

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
        if self.file is None:
            return
        # Otherwise its destructor closes it, and some storages (Azure's) publish what is closed.
        self.file.closed = True
        self.file.discard()


def _http_status(error: OSError) -> int | None:
    """Return the status of the reply of which s3fs made ``error``."""
    response = getattr(error.__cause__, "response", None)
    if not isinstance(response, dict):
        return None
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status if isinstance(status, int) else None
