"""A file that is uploaded: read once to be checked, and again to be sent, and the same both times."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.exceptions import BadSettings, DestinationError, NotSubmitted
from airflow_provider_jobstatus.files.places import destination_text, local_path
from airflow_provider_jobstatus.files.remote_file import filesystem
from airflow_provider_jobstatus.files.storage_errors import client_errors

#: Size of the pieces in which a file is read.
PIECE_BYTES = 256 * 1024
#: Age from which a local file's time of change tells each change, in seconds: some disks count whole ones.
SETTLED_AFTER = 2.0


class UploadFile:
    """
    A file of this machine, or of a storage that Airflow reaches, as the body of a request.

    A mark of UTF-8 at its beginning is left out.

    :param source: path or URI.
    :raises BadSettings: no path, or no filesystem for it.

    :ivar sha256: of the file as it was checked.
    :ivar length: bytes that are sent.
    """

    def __init__(self, source: object) -> None:
        text = destination_text(source)
        if not text:
            raise BadSettings("source is no path and no URI")
        self.source = text
        self.sha256 = ""
        self.length = 0
        try:
            local = local_path(text)
            self._local = None if local is None else os.path.expanduser(local)
            self._remote = filesystem(text) if local is None else None
        except (SettingsError, DestinationError) as error:
            # The rules for a path are those of a destination.
            raise BadSettings(str(error).replace("destination", "source", 1)) from None
        self._mark: tuple[int, ...] | None = None
        self._skipped = 0

    def checked(self) -> Iterator[bytes]:
        """
        Yield the file for the first time, and take note of it.

        :raises BadSettings: it is no file, but a folder, a device or a pipe.
        :raises NotSubmitted: it cannot be read. A retry reads it again.
        """
        try:
            # A pipe would wait for its writer, and be empty the second time.
            if self._local is not None and not stat.S_ISREG(os.stat(self._local).st_mode):
                raise BadSettings(f"source {clean(self.source)} is no file; nothing was sent")
            with self._opened() as file:
                mark = _mark(file) if self._local is not None else None
                settled = mark is not None and time.time() - max(mark[3:]) / 1e9 > SETTLED_AFTER
                digest, size = hashlib.sha256(), 0
                for piece in _pieces(file):
                    if not size:
                        self._skipped = len(BOM_UTF8) if piece.startswith(BOM_UTF8) else 0
                    digest.update(piece)
                    size += len(piece)
                    yield piece
                if mark is not None and mark != _mark(file):
                    raise OSError(errno.EAGAIN, "it changes while it is read")
        except OSError as error:
            raise NotSubmitted(
                f"{clean(self.source)} cannot be read: {clean(error.strerror or type(error).__name__)}; "
                "nothing was sent"
            ) from error
        self._mark = mark if settled else None
        self.sha256, self.length = digest.hexdigest(), size - self._skipped

    def chunks(self) -> Iterator[bytes]:
        """
        Yield what is sent.

        :raises SettingsError: it is not the file that was checked. Of a local file that is known by its time
            of change, else by its digest.
        :raises OSError: it cannot be read.
        """
        with self._opened() as file:
            digest, left = None if self._mark else hashlib.sha256(), self.length + self._skipped
            skip = self._skipped
            for piece in _pieces(file):
                left -= len(piece)
                if digest is not None:
                    digest.update(piece)
                if left < 0:
                    break
                yield piece[skip:] if skip else piece
                skip = 0
            same = digest.hexdigest() == self.sha256 if digest else _mark(file) == self._mark
        if left or not same:
            raise SettingsError(
                f"{clean(self.source)} has changed since it was checked; the upload was broken off"
            )

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        if self._remote is None:
            with open(self._local or "", "rb", buffering=0) as file:
                yield file
            return
        path, storage = self._remote
        try:
            # Its size may be known from a listing that is out of date.
            storage.invalidate_cache()
            with storage.open(path, "rb") as file:
                yield file
        except client_errors() as error:
            raise OSError(errno.EIO, type(error).__name__) from error


class UploadBytes:
    """
    Bytes as the body of a request.

    :param content: held in memory.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.length = len(content)
        self.sha256 = hashlib.sha256(content).hexdigest()

    def chunks(self) -> Iterator[bytes]:
        """Yield them in pieces."""
        for at in range(0, self.length, PIECE_BYTES):
            yield self._content[at : at + PIECE_BYTES]

    checked = chunks


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(PIECE_BYTES):
        yield piece


def _mark(file: Any) -> tuple[int, ...]:
    """Return what changes with a local file: which it is, its size, and the times of its changes."""
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
