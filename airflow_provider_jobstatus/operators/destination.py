"""
Where a download goes: written under a temporary name, and there under its own name only once it is complete.

A local file is written beside its destination and renamed; an object is uploaded in parts and published at
the end. Whatever goes wrong before, nothing is left under the destination.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal
from urllib.parse import urlsplit

from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.exceptions import DestinationError
from airflow_provider_jobstatus.operators.local import local_file
from airflow_provider_jobstatus.operators.remote import filesystem, remote_file

IfExists = Literal["replace", "fail"]

#: Size of the parts of an object; s3fs alone would hold 50 MiB of it, more than once. S3 takes 10,000 parts.
PART_BYTES = 8 * 1024 * 1024
_LOCAL = ("", "file", "local")


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
            with local_file(Path(path.partition("://")[2] if scheme else path), if_exists) as file:
                yield file
        else:
            with remote_file(path, scheme, if_exists, PART_BYTES) as file:
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
        filesystem(str(destination), scheme)


def _reason(error: OSError) -> str:
    # s3fs makes a PermissionError of the storage's text alone.
    return error.strerror or clean(error, 200) or "no reason given"
