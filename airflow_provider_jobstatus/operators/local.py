"""A file of this machine: written beside its destination, and renamed once it is complete."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from airflow_provider_jobstatus.exceptions import DestinationError

#: Age, in seconds, at which a part that was never finished is removed.
STALE_AFTER = 86_400.0


@contextmanager
def local_file(path: Path, if_exists: str) -> Iterator[BinaryIO]:
    """
    Open ``path`` for writing; publish it if the ``with`` ends well, else leave nothing.

    :raises DestinationError: it is a folder, or is there and may not be replaced.
    :raises OSError: it cannot be written.
    """
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
