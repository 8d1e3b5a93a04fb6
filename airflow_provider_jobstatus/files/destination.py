"""
Where a download goes: written under a temporary name, and there under its own name only once it is complete.

A local file is written beside its destination and renamed; an object is uploaded in parts and published at
the end. Whatever goes wrong before, nothing is left under the destination.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.exceptions import DestinationError
from airflow_provider_jobstatus.files.local_file import check_kind, local_file
from airflow_provider_jobstatus.files.places import destination_text, local_path, scheme_of, uri_caveat
from airflow_provider_jobstatus.files.remote_file import filesystem, remote_file

log = logging.getLogger(__name__)

IfExists = Literal["replace", "fail"]


def resolve(destination: object, name: str) -> str:
    """
    Return where to write: ``destination``, or, if that ends in a slash, ``name`` in that folder.

    :param destination: text, or a path's object; the latter cannot end in a slash.
    :raises DestinationError: empty, or no path at all.
    """
    path = destination_text(destination)
    if path is None:
        raise DestinationError(f"destination is a {type(destination).__name__}; give a path or a URI")
    if not path:
        raise DestinationError("destination is empty; give a path or a URI")
    if (local := _local(path)) is not None:
        # A path that another task can read: ObjectStoragePath neither expands a ~ nor knows localhost.
        scheme = scheme_of(path)
        path = f"{scheme}://{local}" if scheme else local
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
    try:
        local = _local(path)
        with remote_file(path, if_exists) if local is None else local_file(Path(local), if_exists) as file:
            yield file
    except OSError as error:
        raise DestinationError(f"cannot write {path}: {type(error).__name__}: {_reason(error)}") from error
    except ValueError as error:
        # A NUL in a path.
        raise DestinationError(f"cannot write {clean(path)}: {clean(error)}") from None


def check_destination(destination: object) -> None:
    """
    Check, before anything else is done, whether ``destination`` can be written to, as far as that is visible.

    :raises DestinationError: there is no filesystem for it; names what to install. It is a device or another
        thing that is no file, or a form that would be taken for a file's name.
    """
    text = destination_text(destination) or ""
    if caveat := uri_caveat(text):
        log.warning(caveat)
    if (local := _local(text)) is None:
        filesystem(text)
    elif not text.endswith("/"):
        check_kind(Path(local))


def _local(path: str) -> str | None:
    """Return the path of a file of this machine, its home folder put in, or None for one in a storage."""
    try:
        local = local_path(path)
    except SettingsError as error:
        raise DestinationError(str(error)) from None
    if local is None:
        return None
    found = os.path.expanduser(local)
    if found.startswith("~"):
        user = found.partition("/")[0]
        raise DestinationError(
            f"cannot write {path}: {user} has no home here; a file's name would be ./{user}"
        )
    return found


def _reason(error: OSError) -> str:
    # s3fs makes a PermissionError of the storage's text alone.
    return error.strerror or clean(error, 200) or "no reason given"
