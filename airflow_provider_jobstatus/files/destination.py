"""
Where a download goes: written under a temporary name, and there under its own name only once it is complete.

A local file is written beside its destination and renamed; an object is uploaded in parts and published at
the end. Whatever goes wrong before, nothing is left under the destination.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.exceptions import BadSettings, DestinationError
from airflow_provider_jobstatus.files.local_file import check_kind, local_file, local_size
from airflow_provider_jobstatus.files.places import destination_text, local_path, scheme_of, uri_caveat
from airflow_provider_jobstatus.files.remote_file import filesystem, remote_file, remote_size

log = logging.getLogger(__name__)

IfExists = Literal["replace", "fail", "skip"]


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
    :param if_exists: what to do with a file that is there: only ``"replace"`` replaces it.
    :raises DestinationError: it cannot be written, or a file is there, or has appeared meanwhile, and stays.
    """
    local = _local(path)
    opened = remote_file(path, if_exists) if local is None else local_file(Path(local), if_exists)
    with _disk_errors(path):
        try:
            with opened as file:
                yield file
        except DestinationError as error:
            error.existing = error.existing and path  # as a manifest has it, with its scheme
            raise


def unless_there(
    destination: object, if_exists: IfExists, write: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """
    Return the manifest of ``write``; with ``"skip"``, of the file that is there, and then nothing is written.

    Whatever asks a vendor belongs in ``write``, which is not called for a file that is there. The name of a
    file in a folder may only be known from the vendor's response: :func:`writing` looks then.

    :param destination: a path, a URI, or a folder, which ends in a slash.
    :param write: calls :func:`writing` with the same ``if_exists``.
    """
    if if_exists != "skip":
        return write()
    path = resolve(destination, "")
    if not path.endswith("/") and (there := _manifest_of(path)):
        return there
    try:
        return write()
    except DestinationError as error:
        if error.existing and (there := _manifest_of(error.existing)):
            return there
        raise  # a folder, or a link to nothing


def described(manifest: dict[str, Any]) -> str:
    """Return a manifest as the end of a line in a log."""
    if manifest.get("skipped"):
        return f"skipped, {manifest['path']} is there already ({manifest['bytes']} bytes)"
    return f"{manifest['rows']} rows, {manifest['bytes']} bytes, in {manifest['path']}"


def _manifest_of(path: str) -> dict[str, Any] | None:
    """Return the manifest of a file that was there before, or None without one."""
    local = _local(path)
    with _disk_errors(path):
        size = remote_size(path) if local is None else local_size(Path(local))
    if size is None:
        return None
    unknown = dict.fromkeys(("rows", "sha256", "format", "verified_by"))
    return {"path": path, "bytes": size, **unknown, "skipped": True}


@contextmanager
def _disk_errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DestinationError(f"cannot write {path}: {type(error).__name__}: {_reason(error)}") from error
    except BadSettings:  # a ValueError, too, and of what is written
        raise
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
        with _disk_errors(text):
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
