"""
Where a download goes: written under a temporary name, and there under its own name only once it is complete.

A local file is written beside its destination and renamed; an object is uploaded in parts and published at
the end. Whatever goes wrong before, nothing is left under the destination.
"""

from __future__ import annotations

import os
import re
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast
from urllib.parse import unquote, urlsplit

from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.exceptions import DestinationError

IfExists = Literal["replace", "fail"]

#: Age, in seconds, at which a part that was never finished is removed.
STALE_AFTER = 86_400.0
#: Size of the parts of an object; s3fs alone would hold 50 MiB of it, more than once. S3 takes 10,000 parts.
PART_BYTES = 8 * 1024 * 1024
_LOCAL = ("", "file", "local")
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
_UNSAFE_NAME = re.compile(r"[^A-Za-z0-9._ ()+=@-]")


def file_name(content_disposition: str, default: str) -> str:
    """
    Return the name that a server gives a file, made harmless, or ``default``.

    :param content_disposition: header of the reply; a hint (RFC 6266, section 4.3).
    """
    found = re.search(r'filename="?([^";]*)"?', content_disposition, re.IGNORECASE)
    last = re.split(r"[/\\]", unquote(found[1]) if found else "")[-1]
    name = _UNSAFE_NAME.sub("_", clean(last, 150)).strip(" .")
    return name or default


def resolve(destination: object, name: str) -> str:
    """
    Return where to write: ``destination``, or, if that ends in a slash, ``name`` in that folder.

    :raises DestinationError: empty, or no path at all.
    """
    if not isinstance(destination, (str, os.PathLike)):
        raise DestinationError(f"destination is a {type(destination).__name__}; give a path or a URI")
    path = str(destination)
    if not path.strip():
        raise DestinationError("destination is empty; give a path or a URI")
    return path + name if path.endswith("/") else path


@contextmanager
def writing(path: str, if_exists: IfExists = "replace") -> Iterator[BinaryIO]:
    """
    Open ``path`` for writing; publish it if the ``with`` ends well, else leave nothing.

    :param path: local, ``file://`` or any URI that ``ObjectStoragePath`` knows. Missing parent folders are
        made.
    :param if_exists: what to do with a file that is there.
    :raises DestinationError: it cannot be written.
    """
    scheme = urlsplit(path).scheme if "://" in path else ""
    try:
        if scheme in _LOCAL:
            with _local(Path(path.partition("://")[2] if scheme else path), if_exists) as file:
                yield file
        else:
            with _remote(path, scheme, if_exists) as file:
                yield file
    except OSError as error:
        raise DestinationError(f"cannot write {path}: {type(error).__name__}: {_reason(error)}") from error
    except ValueError as error:
        # A NUL in a path.
        raise DestinationError(f"cannot write {clean(path)}: {clean(error)}") from None


def check_filesystem(destination: object) -> None:
    """
    Find out before anything else is done whether there is a filesystem for ``destination``.

    :raises DestinationError: there is none; names what to install.
    """
    scheme, separator, _ = str(destination).partition("://")
    if separator and scheme not in _LOCAL:
        with _storage_errors(str(destination)):
            _filesystem(str(destination), scheme)


def _reason(error: OSError) -> str:
    # s3fs makes a PermissionError of the storage's text alone.
    return error.strerror or clean(error, 200) or "no reason given"


@contextmanager
def _local(path: Path, if_exists: IfExists) -> Iterator[BinaryIO]:
    if path.is_dir():
        raise DestinationError(f"cannot write {path}: it is a folder; end it with / to write into it")
    if if_exists == "fail" and path.exists():
        raise DestinationError(f"{path} exists already, and if_exists is 'fail'")
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent)
    part = path.with_name(f".jobstatus-{uuid.uuid4().hex}.part")
    # Only for us: what vendors reject holds personal data.
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    _sync_folder(path.parent)


def _sweep(folder: Path) -> None:
    """Remove what a worker that was killed has left of ours."""
    for stale in folder.glob(".jobstatus-*.part"):
        with suppress(OSError):
            if stale.stat().st_mtime < time.time() - STALE_AFTER:
                stale.unlink()


def _sync_folder(folder: Path) -> None:
    # Without it, a power cut may undo the rename.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _remote(uri: str, scheme: str, if_exists: IfExists) -> Iterator[BinaryIO]:
    with _storage_errors(uri):
        path, storage = _filesystem(uri, scheme)
        # Not target.exists(), which asks without the connection's credentials (universal-pathlib 0.3).
        if if_exists == "fail" and storage.exists(path):
            raise DestinationError(f"{uri} exists already, and if_exists is 'fail'")
        # An exception that leaves the file's own `with` would publish what was written so far.
        file = storage.open(path, "wb", block_size=PART_BYTES, autocommit=False)
    try:
        yield cast(BinaryIO, _Upload(uri, file))
        with _storage_errors(uri):
            file.close()
            file.commit()
    except BaseException:
        # Or its destructor closes it, and some storages (Azure's) publish what is closed.
        with suppress(AttributeError):
            file.closed = True
        # What went wrong first is what there is to tell.
        with suppress(OSError, *_client_errors()):
            file.discard()
        raise


def _filesystem(uri: str, scheme: str) -> tuple[str, Any]:
    from airflow.sdk import ObjectStoragePath

    try:
        target = ObjectStoragePath(uri)
        return target.path, target.fs
    except (ImportError, ValueError) as error:
        extra = _EXTRAS.get(scheme)
        fix = f"pip install 'airflow-provider-jobstatus[{extra}]'" if extra else "check the scheme"
        raise DestinationError(f"no filesystem for {scheme}:// is installed ({error}); {fix}") from None


class _Upload:
    """A file of an object storage, whose errors are ours."""

    def __init__(self, uri: str, file: Any) -> None:
        self.uri = uri
        self.file = file

    def write(self, data: bytes) -> int:
        with _storage_errors(self.uri):
            written: int = self.file.write(data)
            return written


@contextmanager
def _storage_errors(uri: str) -> Iterator[None]:
    """Turn what a storage's client raises, and what is no OSError, into ours."""
    try:
        yield
    except _client_errors() as error:
        raise DestinationError(f"cannot write {clean(uri)}: {type(error).__name__}") from error


def _client_errors() -> tuple[type[Exception], ...]:
    # Who has not been imported raises nothing.
    client = sys.modules.get("botocore.exceptions")
    return (client.BotoCoreError,) if client else ()
