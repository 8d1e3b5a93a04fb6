"""A file of a storage that Airflow reaches: uploaded in parts, and published at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, cast

from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.exceptions import DestinationError

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


@contextmanager
def remote_file(uri: str, scheme: str, if_exists: str, part_bytes: int) -> Iterator[BinaryIO]:
    """
    Open ``uri`` for writing; publish it if the ``with`` ends well, else leave nothing.

    :param part_bytes: size of the parts that are uploaded.
    :raises DestinationError: there is no filesystem for it, it is there and may not be replaced, or the
        storage's client gives up.
    :raises OSError: the storage refuses.
    """
    with _storage_errors(uri):
        path, storage = filesystem(uri, scheme)
        # Not target.exists(), which asks without the connection's credentials (universal-pathlib 0.3).
        if if_exists == "fail" and storage.exists(path):
            raise DestinationError(f"{uri} exists already, and if_exists is 'fail'")
        # An exception that leaves the file's own `with` would publish what was written so far.
        file = storage.open(path, "wb", block_size=part_bytes, autocommit=False)
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


def filesystem(uri: str, scheme: str) -> tuple[str, Any]:
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
