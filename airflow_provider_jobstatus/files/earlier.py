"""The file that an earlier try of a task has published, and whether it is still there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from airflow_provider_jobstatus.exceptions import DestinationError
from airflow_provider_jobstatus.files.destination import resolve
from airflow_provider_jobstatus.files.local_file import local_size
from airflow_provider_jobstatus.files.naming import is_name_of_job
from airflow_provider_jobstatus.files.places import local_path
from airflow_provider_jobstatus.files.remote_file import filesystem, remote_size

_PIECE_BYTES = 1024 * 1024


def size_of(path: str) -> int | None:
    """
    Return the size of a file that is there, in bytes, or None without one.

    :param path: as a manifest has it.
    :raises DestinationError, OSError: it cannot be looked at.
    """
    local = local_path(path)
    return remote_size(path) if local is None else local_size(Path(local))


def earlier_file(destination: object, job: str) -> str | None:
    """
    Return the path of the file that an earlier try may have published for a job, or None without one.

    What is published is whole. In a folder the file's name shows that it is the job's; under a name of the
    task's own may stand another one.

    :param job: as in :func:`~airflow_provider_jobstatus.files.naming.name_for_job`.
    """
    try:
        path = resolve(destination, "")
        if path.endswith("/"):
            names = [name for name in _names(path) if is_name_of_job(name, job)]
            path += names[0] if len(names) == 1 else ""
        return path if not path.endswith("/") and size_of(path) else None
    except (OSError, DestinationError, NotImplementedError, ValueError):
        return None


def read_again(path: str) -> Iterator[bytes]:
    """
    Yield a published file piece by piece.

    :raises DestinationError, OSError: it cannot be read.
    """
    local = local_path(path)
    if local is None:
        within, storage = filesystem(path)
        opened = storage.open(within, "rb")
    else:
        opened = open(local, "rb")  # noqa: SIM115 - closed below
    with opened as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece


def _names(folder: str) -> list[str]:
    local = local_path(folder)
    if local is not None:
        return os.listdir(local)
    path, storage = filesystem(folder)
    storage.invalidate_cache()
    return [str(entry).rstrip("/").rpartition("/")[2] for entry in storage.ls(path, detail=False)]
